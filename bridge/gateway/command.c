/* SPDX-License-Identifier: MPL-2.0 */
/*
 * How a command is taken on: frames to request, repetition or not, which node, on its way. Called
 * by gateway.c for each message that waits at the door. Whatever comes in leaves with a reply, if
 * there is a way back. What happens after sending is in command_end.c.
 */
#include "gateway/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "arizmq/error.h"
#include "base/clock.h"
#include "gateway/body.h"
#include "gateway/command_private.h"
#include "gateway/route.h"
#include "ops/metrics.h"

static struct span frame_span(zmq_msg_t *frame)
{
    return (struct span){zmq_msg_data(frame), zmq_msg_size(frame)};
}

void command_count_refusal(enum reply_error error)
{
    if (error == REPLY_BAD_REQUEST || error == REPLY_TOO_LARGE) {
        metrics_add(METRIC_GATEWAY_MALFORMED, 1);
    } else if (error == REPLY_OVERLOADED) {
        metrics_add(METRIC_GATEWAY_OVERLOADED, 1);
    }
}

static void refuse_at_once(struct command *command, enum reply_error error, const char *node,
                           const char *message)
{
    command_count_refusal(error);
    zmq_msg_t body;
    body_from_error(message, &body);
    struct reply reply = {.source = "bridge",
                          .status_code = reply_error_status(error),
                          .reason_phrase = reply_error_reason(error),
                          .content_type = "application/json",
                          .node = node,
                          .error = reply_error_word(error)};
    command_reply_at_once(command, &reply, &body, NULL);
    zmq_msg_close(&body);
}

static void reply_stored(struct command *command, const struct once_reply *stored)
{
    metrics_add(METRIC_GATEWAY_REPEATED, 1);
    command_reply_at_once(command, &stored->reply, stored->body, NULL);
}

void command_refuse_overloaded(struct command *command)
{
    char message[COMMAND_MESSAGE_SIZE];
    snprintf(message, sizeof message,
             "%u requests are under way (gateway.max_requests); nothing was sent, try later",
             command->commands->count);
    refuse_at_once(command, REPLY_OVERLOADED, NULL, message);
}

/* Lets it wait for the reply to the one under way. */
static void wait_for_original(struct command *command)
{
    struct commands *commands = command->commands;
    struct command *original = NULL;
    HASH_FIND_STR(commands->by_id, command->request.request_id, original);
    if (commands->count >= commands->config->gateway.max_requests) {
        command_refuse_overloaded(command);
        return;
    }
    if (original == NULL) {
        refuse_at_once(command, REPLY_CONFLICT, NULL,
                       "the same request is under way, but cannot be waited for");
        return;
    }
    metrics_add(METRIC_GATEWAY_REPEATED, 1);
    command->original = original;
    DL_APPEND(original->waiters, command);
    commands->count++;
    commands->unanswered++;
    deadlines_set(commands->deadlines, &command->deadline,
                  command->received_ns / 1000000U + command->request.timeout_ms,
                  command_deadline_passed);
}

/* False where the command was answered, or waits: then it is not to be run. */
static bool is_to_be_run(struct command *command)
{
    if (command->request.request_id == NULL) {
        return true;
    }
    struct once_entry *entry = NULL;
    switch (once_look_up(command->commands->once, "", &command->request,
                         command->received_ns / 1000000U, &entry)) {
    case ONCE_NEW:
        return true;
    case ONCE_UNDER_WAY:
        wait_for_original(command);
        return false;
    case ONCE_ANSWERED:
        reply_stored(command, once_reply(entry));
        return false;
    case ONCE_CONFLICT:
        refuse_at_once(command, REPLY_CONFLICT, NULL,
                       "this request_id was used for another request; use a new one, best a UUID");
        return false;
    case ONCE_NO_MEMORY:
        break;
    }
    refuse_at_once(command, REPLY_OVERLOADED, NULL, "no memory; nothing was sent");
    return false;
}

static bool fits_request_line(const struct command *command, unsigned node)
{
    const struct request *request = &command->request;
    size_t length = strlen(request->method) +
                    strlen(command->commands->fleet->nodes[node].config->path) +
                    strlen(request->uri) + strlen(request->query) + sizeof " /? HTTP/1.1\r\n";
    return length <= command->commands->config->gateway.max_request_line_bytes;
}

/* Puts the command to asks[i]. */
static int ask(struct command *command, unsigned i)
{
    struct commands *commands = command->commands;
    const struct request *request = &command->request;
    struct command_ask *asked = &command->asks[i];
    struct exchange_order order = {.node = asked->node,
                                   .method = request->method,
                                   .uri = request->uri,
                                   .query = request->query,
                                   .content_type = request->content_type,
                                   .body = request->body,
                                   .body_length = request->body_length};
    int result =
        transport_send(commands->transport, &order, command_ask_done, asked, &asked->exchange);
    asked->is_over = result != ARIZMQ_OK;
    if (result == ARIZMQ_OK) {
        command->asks_left++;
        commands->fleet->nodes[asked->node].under_way++;
        commands->fleet->nodes[asked->node].commands++;
    }
    return result;
}

/* Known before the command is sent, so that an event that beats the answer finds them. */
static void claim_chosen_ids(struct command *command, unsigned node)
{
    for (unsigned i = 0; i < command->mentions.count; i++) {
        const struct mention *mention = &command->mentions.item[i];
        if (mention->is_chosen && mention->kind < OBJECT_KINDS) {
            owners_claim(command->commands->owners, node, (enum object_kind)mention->kind,
                         mention->id, mention->length);
        }
    }
    command->has_claims = true;
}

/* Into the lists, and out to its nodes, which stand in asks[0..asks_count). */
static void run(struct command *command)
{
    struct commands *commands = command->commands;
    DL_APPEND(commands->first, command);
    commands->count++;
    commands->unanswered++;
    for (unsigned i = 0; i < command->asks_count; i++) {
        commands->fleet->nodes[command->asks[i].node].references++;
    }
    if (command->request.request_id != NULL) {
        HASH_ADD_KEYPTR(hh, commands->by_id, command->request.request_id,
                        strlen(command->request.request_id), command);
    }
    deadlines_set(commands->deadlines, &command->deadline,
                  command->received_ns / 1000000U + command->request.timeout_ms,
                  command_deadline_passed);
    for (unsigned i = 0; i < command->asks_count; i++) {
        if (ask(command, i) != ARIZMQ_OK && command->asks_left == 0 &&
            i + 1 == command->asks_count) {
            command_refuse(command, REPLY_OVERLOADED, NULL, false, "no memory; nothing was sent");
            return;
        }
    }
}

/* Nothing was sent, so the same id may be tried again. */
static void forget(const struct command *command)
{
    if (command->request.request_id != NULL) {
        once_forget(command->commands->once, "", command->request.request_id);
    }
}

static void refuse_unsent(struct command *command, enum reply_error error, const char *node,
                          const char *message)
{
    forget(command);
    refuse_at_once(command, error, node, message);
}

static bool prepare_asks(struct command *command, const struct route *route)
{
    const struct fleet *fleet = command->commands->fleet;
    command->is_of_all = route->verdict == ROUTE_ASK_ALL;
    command->asks = calloc(command->is_of_all ? fleet->up : 1U, sizeof *command->asks);
    if (command->asks == NULL) {
        return false;
    }
    for (unsigned node = 0; node < fleet->slots; node++) {
        bool is_asked = command->is_of_all ? fleet_is_up(fleet, node) : node == route->node;
        if (is_asked) {
            command->asks[command->asks_count++] =
                (struct command_ask){.command = command, .node = node};
        }
    }
    return true;
}

static void send_command(struct command *command, const struct route *route)
{
    struct commands *commands = command->commands;
    char message[COMMAND_MESSAGE_SIZE];
    if (!prepare_asks(command, route)) {
        refuse_unsent(command, REPLY_OVERLOADED, NULL, "no memory; nothing was sent");
        return;
    }
    for (unsigned i = 0; i < command->asks_count; i++) {
        const struct fleet_node *node = &commands->fleet->nodes[command->asks[i].node];
        if (!fits_request_line(command, command->asks[i].node)) {
            snprintf(message, sizeof message,
                     "method, path and query are more than the %u bytes that a request line may "
                     "have (gateway.max_request_line_bytes); put parameters into message_body",
                     commands->config->gateway.max_request_line_bytes);
            refuse_unsent(command, REPLY_TOO_LARGE, node->config->name, message);
            return;
        }
        if (node->under_way >= commands->config->gateway.max_requests_per_node) {
            snprintf(message, sizeof message,
                     "%u requests are under way to %s (gateway.max_requests_per_node); nothing was "
                     "sent, try later",
                     node->under_way, node->config->name);
            refuse_unsent(command, REPLY_OVERLOADED, node->config->name, message);
            return;
        }
    }
    if (command->is_of_all) {
        metrics_add(METRIC_GATEWAY_ASKED_ALL, 1);
    } else {
        claim_chosen_ids(command, route->node);
    }
    run(command);
}

static void route_command(struct command *command)
{
    struct commands *commands = command->commands;
    if (commands->count >= commands->config->gateway.max_requests) {
        forget(command);
        command_refuse_overloaded(command);
        return;
    }
    if (mentions_read(&command->request, &command->mentions) != ARIZMQ_OK) {
        refuse_unsent(command, REPLY_OVERLOADED, NULL, "no memory; nothing was sent");
        return;
    }
    struct route route;
    route_find(commands->fleet, commands->owners, &command->request, &command->mentions, &route);
    if (route.verdict == ROUTE_REFUSED) {
        refuse_unsent(command, route.refusal.error,
                      route.has_node ? commands->fleet->nodes[route.node].config->name : NULL,
                      route.refusal.message);
        return;
    }
    send_command(command, &route);
}

static void take_on(struct command *command)
{
    struct request_refusal refusal;
    struct span body =
        command->message.has_body ? frame_span(&command->message.body) : (struct span){NULL, 0};
    if (request_read(frame_span(&command->message.header), body,
                     &command->commands->config->gateway, &command->request,
                     &refusal) != ARIZMQ_OK) {
        refuse_at_once(command, refusal.error, NULL, refusal.message);
    } else if (takeover_is_meant(&command->request)) {
        takeover_ask(command->commands->takeover, command);
    } else if (own_is_meant(&command->request)) {
        command_ask_own(command);
    } else if (command->commands->is_stopping) {
        refuse_at_once(command, REPLY_STOPPING, NULL, "the bridge is stopping; nothing was sent");
    } else if (is_to_be_run(command)) {
        route_command(command);
    }
}

static void refuse_frames(struct command *command, enum door_verdict verdict)
{
    char text[COMMAND_MESSAGE_SIZE];
    if (verdict == DOOR_TOO_LARGE) {
        /* Only for its request_id, so that the client knows what the reply is to. */
        struct request_refusal ignored;
        request_read(frame_span(&command->message.header), (struct span){NULL, 0},
                     &command->commands->config->gateway, &command->request, &ignored);
        snprintf(text, sizeof text,
                 "the request has %zu bytes; at most %u are taken (gateway.max_request_bytes)",
                 command->message.bytes, command->commands->config->gateway.max_request_bytes);
    } else {
        snprintf(text, sizeof text,
                 "a request is one frame with a JSON header, and at the most one more with the "
                 "body; this one has %u",
                 command->message.frames);
    }
    refuse_at_once(command, verdict == DOOR_TOO_LARGE ? REPLY_TOO_LARGE : REPLY_BAD_REQUEST, NULL,
                   text);
}

bool commands_receive(struct commands *self)
{
    if (self->spare == NULL) {
        self->spare = calloc(1, sizeof *self->spare);
        if (self->spare == NULL) {
            return false; /* it waits at the socket, which bounds how many do */
        }
        self->spare->commands = self;
    }
    struct command *command = self->spare;
    enum door_verdict verdict = door_receive(self->door, &command->message);
    if (verdict == DOOR_NOTHING || verdict == DOOR_NO_PATH) {
        return verdict == DOOR_NO_PATH;
    }
    self->spare = NULL;
    command->received_ns = clock_monotonic_ns();
    self->catch_up(self->owner);
    if (verdict == DOOR_REQUEST) {
        take_on(command);
    } else {
        refuse_frames(command, verdict);
    }
    return true;
}
