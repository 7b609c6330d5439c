/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Requests for the bridge's own resources, under arizmq/: answered at once, or held until the
 * answer is there. No Asterisk sees them, they may be repeated without harm, and no reply to them
 * is remembered. command.c calls it.
 */
#include <inttypes.h>
#include <stdio.h>

#include <utlist.h>

#include "gateway/body.h"
#include "gateway/command_private.h"

void command_hold(struct command *command, command_drop *drop, void *owner)
{
    struct commands *commands = command->commands;
    command->drop = drop;
    command->drop_owner = owner;
    DL_APPEND(commands->first, command);
    commands->count++;
    commands->unanswered++;
    deadlines_set(commands->deadlines, &command->deadline,
                  command->received_ns / 1000000U + command->request.timeout_ms,
                  command_deadline_passed);
}

void command_answer_own(struct command *command, const struct reply *reply, zmq_msg_t *body,
                        const struct door_frames *rest)
{
    if (command->drop == NULL) {
        command_reply_at_once(command, reply, body, rest);
        return;
    }
    command_reply(command, reply, body, rest);
    command_free(command);
}

void command_drop_own(struct command *command, enum reply_error error, const char *message)
{
    struct reply reply = {.source = "bridge",
                          .status_code = reply_error_status(error),
                          .reason_phrase = reply_error_reason(error),
                          .content_type = "application/json",
                          .error = reply_error_word(error)};
    zmq_msg_t body;
    command->drop(command->drop_owner, command);
    body_from_error(message, &body);
    command_answer_own(command, &reply, &body, NULL);
    zmq_msg_close(&body);
}

/* --- GET arizmq/history */

static void on_history(void *owner, struct history_answer *answer)
{
    struct command *command = owner;
    struct reply reply = {.source = "bridge", .status_code = 200, .reason_phrase = "OK"};
    struct door_frames rest = {answer->page.frames, answer->page.frames_count};
    zmq_msg_t body;
    zmq_msg_init(&body);
    if (answer->is_refused) {
        reply.status_code = reply_error_status(answer->refusal.error);
        reply.reason_phrase = reply_error_reason(answer->refusal.error);
        reply.error = reply_error_word(answer->refusal.error);
        reply.content_type = "application/json";
        body_from_error(answer->refusal.message, &body);
        command_count_refusal(answer->refusal.error);
    }
    reply.position = answer->has_position ? &answer->position : NULL;
    command_answer_own(command, &reply, &body, &rest);
    zmq_msg_close(&body);
}

static void drop_history(void *owner, struct command *command)
{
    history_desk_drop(command->commands->desk, owner);
}

static void ask_history(struct command *command)
{
    struct commands *commands = command->commands;
    struct history_job *job =
        history_desk_ask(commands->desk, command->request.query, on_history, command);
    if (job == NULL) {
        return; /* it was answered, and `command` is gone */
    }
    if (commands->count < commands->config->gateway.max_requests) {
        command_hold(command, drop_history, job);
        return;
    }
    history_desk_drop(commands->desk, job);
    command_refuse_overloaded(command);
}

/* --- GET arizmq/snapshot */

static void on_snapshot(void *owner, const struct snapshot_answer *answer)
{
    struct command *command = owner;
    if (!answer->is_refused) {
        struct reply reply = {.source = "bridge",
                              .status_code = 200,
                              .reason_phrase = "OK",
                              .content_type = "application/json"};
        command_answer_own(command, &reply, answer->body, NULL);
        return;
    }
    struct reply reply = {.source = "bridge",
                          .status_code = reply_error_status(answer->refusal.error),
                          .reason_phrase = reply_error_reason(answer->refusal.error),
                          .content_type = "application/json",
                          .error = reply_error_word(answer->refusal.error)};
    zmq_msg_t body;
    body_from_error(answer->refusal.message, &body);
    command_count_refusal(answer->refusal.error);
    command_answer_own(command, &reply, &body, NULL);
    zmq_msg_close(&body);
}

static void drop_snapshot(void *owner, struct command *command)
{
    snapshot_desk_drop(command->commands->snapshots, owner);
}

static void ask_snapshot(struct command *command)
{
    struct commands *commands = command->commands;
    struct snapshot_job *job =
        snapshot_desk_ask(commands->snapshots, command->request.query, on_snapshot, command);
    if (job == NULL) {
        return; /* it was answered, and `command` is gone */
    }
    if (commands->count < commands->config->gateway.max_requests) {
        command_hold(command, drop_snapshot, job);
        return;
    }
    snapshot_desk_drop(commands->snapshots, job);
    command_refuse_overloaded(command);
}

void command_ask_own(struct command *command)
{
    struct reply reply = {.source = "bridge"};
    zmq_msg_t body;
    switch (own_answer(command->commands->own, &command->request, &reply, &body)) {
    case OWN_HISTORY:
        ask_history(command);
        break;
    case OWN_SNAPSHOT:
        ask_snapshot(command);
        break;
    case OWN_ANSWERED:
        command_answer_own(command, &reply, &body, NULL);
        zmq_msg_close(&body);
        break;
    }
}
