/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Commands of the gateway over a link's WebSocket (nodes[].rest: websocket). nodes.c hands them in,
 * the pipeline asks about each RESTResponse; what became of a command goes to the command thread.
 * Asterisk answers in the order of the requests, so the one looked for is mostly the first.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "arizmq/error.h"
#include "gateway/post.h"
#include "node/link_private.h"
#include "ops/log.h"

struct link_command {
    struct link_command *prev, *next;
    uint64_t number;
};

int link_send_command(struct link *self, uint64_t number, const char *text, size_t length)
{
    if (self->state == LINK_CEDED) {
        return link_leaving_send_command(self, number, text, length);
    }
    return self->state == LINK_UP
               ? link_command_send(&self->commands, self->ws, number, text, length)
               : ARIZMQ_ECLOSED;
}

int link_command_send(struct link_command **commands, struct ws *ws, uint64_t number,
                      const char *text, size_t length)
{
    struct link_command *command = malloc(sizeof *command);
    if (command == NULL) {
        return ARIZMQ_ENOMEM;
    }
    int result = ws_send_text(ws, text, length);
    if (result != ARIZMQ_OK) {
        free(command);
        return result;
    }
    command->number = number;
    DL_APPEND(*commands, command);
    return ARIZMQ_OK;
}

static void hand_on(struct link *link, uint64_t number, const struct event *event)
{
    /* The padding is what the command thread's scan reads, too. */
    char *text = calloc(1, event->text.length + SCAN_PADDING);
    if (text == NULL) {
        log_error("command_answer", "%s: no memory for an answer of %zu bytes", link->label,
                  event->text.length);
        feed_answer(link->environment->feed, number, NULL, 0, true);
        return;
    }
    memcpy(text, event->text.bytes, event->text.length);
    feed_answer(link->environment->feed, number, text, event->text.length, true);
}

bool link_command_takes_response(struct link *self, struct link_command **commands,
                                 const struct span *request_id, const struct event *event)
{
    static const char prefix[] = POST_ID_PREFIX;
    size_t used = sizeof prefix - 1;
    if (request_id->length <= used || memcmp(request_id->bytes, prefix, used) != 0) {
        return false;
    }
    char digits[24] = "";
    size_t count = request_id->length - used;
    if (count < sizeof digits) {
        memcpy(digits, request_id->bytes + used, count);
    }
    uint64_t number = strtoull(digits, NULL, 10);
    struct link_command *command = NULL;
    DL_SEARCH_SCALAR(*commands, command, number, number);
    if (command == NULL) {
        return false; /* somebody else's, with an id like ours */
    }
    DL_DELETE(*commands, command);
    free(command);
    hand_on(self, number, event);
    return true;
}

void link_drop_commands(struct link *self, struct link_command **commands)
{
    struct link_command *command = NULL;
    struct link_command *next = NULL;
    DL_FOREACH_SAFE(*commands, command, next)
    {
        DL_DELETE(*commands, command);
        feed_answer(self->environment->feed, command->number, NULL, 0, true);
        free(command);
    }
}
