/* SPDX-License-Identifier: MPL-2.0 */
/*
 * How a command ends: an answer comes, or its time is over, or its node goes down. Each client gets
 * one reply; what comes later is counted, and remembered for whoever repeats the request.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "arizmq/error.h"
#include "base/clock.h"
#include "gateway/body.h"
#include "gateway/command_private.h"
#include "gateway/learn.h"
#include "ops/log.h"
#include "ops/metrics.h"

static const char *node_name(const struct command *command, unsigned node)
{
    return command->commands->fleet->nodes[node].config->name;
}

/* --- replies */

static void send_reply(struct command *command, const struct reply *reply, zmq_msg_t *body,
                       const struct door_frames *rest)
{
    struct reply timed = *reply;
    timed.elapsed_ns = clock_monotonic_ns() - command->received_ns;
    size_t length = 0;
    char *header = reply_print(&timed, &command->request, &length);
    if (header == NULL) {
        metrics_add(METRIC_GATEWAY_UNDELIVERABLE, 1);
        return;
    }
    door_send(command->commands->door, &command->message.path, header, length, body, rest);
}

void command_reply(struct command *command, const struct reply *reply, zmq_msg_t *body,
                   const struct door_frames *rest)
{
    if (command->is_answered) {
        return;
    }
    command->is_answered = true;
    command->commands->unanswered--;
    deadlines_cancel(command->commands->deadlines, &command->deadline);
    send_reply(command, reply, body, rest);
}

static void free_parts(struct command *command)
{
    mentions_release(&command->mentions);
    request_release(&command->request);
    door_message_release(&command->message);
    door_path_release(&command->message.path);
    free(command->asks);
    free(command);
}

void command_reply_at_once(struct command *command, const struct reply *reply, zmq_msg_t *body,
                           const struct door_frames *rest)
{
    send_reply(command, reply, body, rest);
    free_parts(command);
}

void command_free(struct command *command)
{
    struct commands *commands = command->commands;
    deadlines_cancel(commands->deadlines, &command->deadline);
    if (command->original != NULL) {
        DL_DELETE(command->original->waiters, command);
    } else {
        DL_DELETE(commands->first, command);
    }
    if (!command->is_answered) {
        commands->unanswered--;
    }
    commands->count--;
    for (unsigned i = 0; i < command->asks_count; i++) {
        commands->fleet->nodes[command->asks[i].node].references--;
    }
    free_parts(command);
}

static void release_claims(struct command *command, bool failed)
{
    for (unsigned i = 0; command->has_claims && i < command->mentions.count; i++) {
        const struct mention *mention = &command->mentions.item[i];
        if (mention->is_chosen && mention->kind < OBJECT_KINDS) {
            owners_release(command->commands->owners, command->asks[0].node,
                           (enum object_kind)mention->kind, mention->id, mention->length, failed);
        }
    }
    command->has_claims = false;
}

/* Answers everybody who waits for this reply, and remembers it. */
static void settle(struct command *command, const struct reply *reply, zmq_msg_t *body,
                   bool is_kept)
{
    struct commands *commands = command->commands;
    if (command->is_answered && is_kept) {
        metrics_add(METRIC_GATEWAY_LATE, 1);
    }
    release_claims(command, reply->status_code >= 400 &&
                                reply->status_code != reply_error_status(REPLY_OUTCOME_UNKNOWN));
    command_reply(command, reply, body, NULL);
    struct command *waiter = NULL;
    struct command *next = NULL;
    DL_FOREACH_SAFE(command->waiters, waiter, next)
    {
        command_reply(waiter, reply, body, NULL);
        command_free(waiter);
    }
    command->is_settled = true;
    const char *request_id = command->request.request_id;
    if (request_id == NULL) {
        return;
    }
    if (command->hh.tbl != NULL) {
        HASH_DEL(commands->by_id, command);
    }
    if (is_kept) {
        struct reply timed = *reply;
        timed.elapsed_ns = clock_monotonic_ns() - command->received_ns;
        once_store(commands->once, "", request_id, &timed, body, clock_monotonic_ms());
    } else {
        once_forget(commands->once, "", request_id);
    }
}

void command_finish(struct command *command, const struct reply *reply, zmq_msg_t *body,
                    bool is_kept)
{
    if (!command->is_settled) {
        settle(command, reply, body, is_kept);
    }
    if (command->asks_left == 0) {
        command_free(command);
    }
}

void command_refuse(struct command *command, enum reply_error error, const char *node, bool is_kept,
                    const char *format, ...)
{
    char message[COMMAND_MESSAGE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    if (error == REPLY_OVERLOADED) {
        metrics_add(METRIC_GATEWAY_OVERLOADED, 1);
    } else if (error == REPLY_OUTCOME_UNKNOWN && !command->is_answered) {
        metrics_add(METRIC_GATEWAY_UNKNOWN, 1);
    }
    struct reply reply = {.source = "bridge",
                          .status_code = reply_error_status(error),
                          .reason_phrase = reply_error_reason(error),
                          .content_type = "application/json",
                          .node = node,
                          .error = reply_error_word(error)};
    zmq_msg_t body;
    body_from_error(message, &body);
    command_finish(command, &reply, &body, is_kept);
    zmq_msg_close(&body);
}

/* --- answers */

static bool is_json(const struct exchange_answer *answer)
{
    static const char json[] = "application/json";
    return answer->content_type != NULL &&
           strncmp(answer->content_type, json, sizeof json - 1) == 0;
}

/* Whether the request is for the object itself, such as DELETE channels/{id}, and not for something
 * of it. */
static bool is_for_object(const struct request *request)
{
    const char *slash = strchr(request->uri, '/');
    return slash != NULL && strchr(slash + 1, '/') == NULL;
}

/* What an answer tells of owners, before the client can know it. */
static void learn(struct command *command, unsigned node, struct exchange_answer *answer)
{
    struct owners *owners = command->commands->owners;
    if (answer->status_code < 200 || answer->status_code > 299) {
        return;
    }
    bool is_deleted = strcmp(command->request.method, "DELETE") == 0;
    for (unsigned i = 0; i < command->mentions.count; i++) {
        const struct mention *mention = &command->mentions.item[i];
        if (mention->kind >= OBJECT_KINDS || mention->is_guess || mention->is_chosen) {
            continue;
        }
        enum object_kind kind = (enum object_kind)mention->kind;
        struct owners_found found;
        owners_find(owners, kind, mention->id, mention->length, &found);
        if (is_deleted && is_for_object(&command->request)) {
            owners_end(owners, node, kind, mention->id, mention->length);
        } else if (found.count == 0) {
            owners_learn(owners, node, kind, mention->id, mention->length);
        }
    }
    if (is_json(answer)) {
        learn_from_reply(owners, node, zmq_msg_data(answer->body), zmq_msg_size(answer->body));
    }
}

static void pass_on(struct command *command, unsigned node, struct exchange_answer *answer)
{
    struct reply reply = {.source = "asterisk",
                          .status_code = answer->status_code,
                          .reason_phrase = answer->reason_phrase,
                          .content_type = answer->content_type,
                          .node = node_name(command, node)};
    command_finish(command, &reply, answer->body, true);
}

/* Which of the bridge's own errors an exchange that was not answered becomes. */
static enum reply_error error_of(enum exchange_outcome outcome)
{
    switch (outcome) {
    case EXCHANGE_NOT_SENT:
        return REPLY_NODE_DOWN;
    case EXCHANGE_REFUSED:
        return REPLY_NODE_ERROR;
    case EXCHANGE_UNKNOWN:
    case EXCHANGE_ANSWERED:
        break;
    }
    return REPLY_OUTCOME_UNKNOWN;
}

static void answer_of_one(struct command *command, unsigned node, struct exchange_answer *answer)
{
    if (answer->outcome == EXCHANGE_ANSWERED) {
        pass_on(command, node, answer);
        return;
    }
    log_debug("command_failed", "%s %s: %s", command->request.method, command->request.uri,
              answer->error);
    command_refuse(command, error_of(answer->outcome), node_name(command, node),
                   answer->outcome != EXCHANGE_NOT_SENT, "%s", answer->error);
}

/* Every node that is up has been asked, and none had it. */
static void end_of_all(struct command *command)
{
    const struct fleet *fleet = command->commands->fleet;
    for (unsigned node = 0; node < fleet->slots && !command->has_doubt; node++) {
        if (fleet_has_node(fleet, node) && !fleet_is_up(fleet, node)) {
            command->has_doubt = true;
            command->doubt = REPLY_NODE_DOWN;
            command->doubt_node = node;
        }
    }
    if (command->has_doubt) {
        const char *node = node_name(command, command->doubt_node);
        command_refuse(command, command->doubt, node, false,
                       "no node that answered has it, and %s did not say", node);
    } else {
        command_refuse(command, REPLY_NO_SUCH_OBJECT, NULL, false, "none of the %u nodes has it",
                       command->asks_count);
    }
}

/* One answer of several: the first node that has the object is believed. The others' answers come
 * too late. */
static void answer_of_all(struct command *command, unsigned node, struct exchange_answer *answer)
{
    bool is_answer = answer->outcome == EXCHANGE_ANSWERED;
    bool has_failed = !is_answer || answer->status_code == 401 || answer->status_code == 403 ||
                      answer->status_code >= 500;
    if (has_failed && !command->has_doubt) {
        command->has_doubt = true;
        command->doubt = is_answer ? REPLY_NODE_ERROR : error_of(answer->outcome);
        command->doubt_node = node;
    }
    if (!has_failed && answer->status_code != 404) {
        pass_on(command, node, answer);
    } else if (command->asks_left == 0) {
        end_of_all(command);
    }
}

void command_ask_done(void *owner, struct exchange_answer *answer)
{
    struct command_ask *asked = owner;
    struct command *command = asked->command;
    struct fleet_node *node = &command->commands->fleet->nodes[asked->node];
    node->under_way--;
    node->failures += answer->outcome != EXCHANGE_ANSWERED;
    asked->is_over = true;
    command->asks_left--;
    if (answer->outcome == EXCHANGE_ANSWERED) {
        learn(command, asked->node, answer);
    }
    if (command->is_of_all) {
        answer_of_all(command, asked->node, answer);
    } else {
        answer_of_one(command, asked->node, answer);
    }
}

/* --- ends that are not answers */

/* Takes back what was not sent to `node`, or to any where it is negative. Returns how many. */
static unsigned withdraw(struct command *command, int node)
{
    unsigned count = 0;
    for (unsigned i = 0; i < command->asks_count; i++) {
        struct command_ask *asked = &command->asks[i];
        if (!asked->is_over && (node < 0 || asked->node == (unsigned)node) &&
            transport_withdraw(command->commands->transport, &asked->exchange)) {
            asked->is_over = true;
            command->asks_left--;
            command->commands->fleet->nodes[asked->node].under_way--;
            command->commands->fleet->nodes[asked->node].commands--;
            count++;
        }
    }
    return count;
}

/* Tells the client, who waits no longer; the command goes on until its exchange is over. */
static void reply_outcome_unknown(struct command *command)
{
    metrics_add(METRIC_GATEWAY_UNKNOWN, 1);
    char message[COMMAND_MESSAGE_SIZE];
    const char *node = command->original != NULL || command->is_of_all
                           ? NULL
                           : node_name(command, command->asks[0].node);
    snprintf(message, sizeof message,
             "%s was sent and has not answered within %" PRIu32
             " ms; whether the command was carried out is not known, and it is not sent again",
             node != NULL ? node : "the request", command->request.timeout_ms);
    struct reply reply = {.source = "bridge",
                          .status_code = reply_error_status(REPLY_OUTCOME_UNKNOWN),
                          .reason_phrase = reply_error_reason(REPLY_OUTCOME_UNKNOWN),
                          .content_type = "application/json",
                          .node = node,
                          .error = reply_error_word(REPLY_OUTCOME_UNKNOWN)};
    zmq_msg_t body;
    body_from_error(message, &body);
    command_reply(command, &reply, &body, NULL);
    zmq_msg_close(&body);
}

void command_deadline_passed(struct deadline *deadline)
{
    struct command *command =
        (struct command *)(void *)((char *)deadline - offsetof(struct command, deadline));
    if (command->original != NULL) {
        reply_outcome_unknown(command);
        command_free(command);
        return;
    }
    if (command->drop != NULL) {
        char message[COMMAND_MESSAGE_SIZE];
        snprintf(message, sizeof message,
                 "it could not be answered within %" PRIu32 " ms: ask again",
                 command->request.timeout_ms);
        command_count_refusal(REPLY_OVERLOADED);
        command_drop_own(command, REPLY_OVERLOADED, message);
        return;
    }
    unsigned withdrawn = withdraw(command, -1);
    if (command->asks_left > 0) {
        reply_outcome_unknown(command);
    } else if (withdrawn == command->asks_count) {
        const char *node = node_name(command, command->asks[0].node);
        command_refuse(command, REPLY_OVERLOADED, node, false,
                       "all connections to %s were busy for %" PRIu32
                       " ms (nodes[].rest_connections); nothing was sent",
                       node, command->request.timeout_ms);
    } else {
        command_refuse(command, REPLY_OUTCOME_UNKNOWN, NULL, false,
                       "not every node has answered within %" PRIu32 " ms",
                       command->request.timeout_ms);
    }
}

void commands_node_down(struct commands *self, unsigned node)
{
    struct command *command = NULL;
    struct command *next = NULL;
    DL_FOREACH_SAFE(self->first, command, next)
    {
        if (withdraw(command, (int)node) == 0) {
            continue;
        }
        if (command->is_of_all && !command->has_doubt) {
            command->has_doubt = true;
            command->doubt = REPLY_NODE_DOWN;
            command->doubt_node = node;
        }
        if (command->asks_left == 0 && command->is_of_all) {
            end_of_all(command);
        } else if (command->asks_left == 0) {
            command_refuse(command, REPLY_NODE_DOWN, node_name(command, node), false,
                           "%s has gone down; nothing was sent", node_name(command, node));
        }
    }
}

void commands_abort(struct commands *self)
{
    while (self->first != NULL) {
        struct command *command = self->first;
        if (command->drop != NULL) {
            command_drop_own(command, REPLY_STOPPING, "the bridge is stopping; nothing was sent");
            continue;
        }
        unsigned withdrawn = withdraw(command, -1);
        command->asks_left = 0; /* so that it is freed, too */
        if (withdrawn == command->asks_count) {
            command_refuse(command, REPLY_STOPPING, NULL, false,
                           "the bridge is stopping; nothing was sent");
        } else {
            command_refuse(command, REPLY_OUTCOME_UNKNOWN, NULL, false,
                           "the bridge is stopping, and no answer has come yet");
        }
    }
    free(self->spare);
    self->spare = NULL;
}
