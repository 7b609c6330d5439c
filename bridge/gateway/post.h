/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What the command thread asks the event thread to send: commands of nodes with `rest: websocket`,
 * as text for the WebSocket of one of their links. The other direction is feed.h. Neither thread
 * waits for the other.
 */
#ifndef ARIZMQ_GATEWAY_POST_H
#define ARIZMQ_GATEWAY_POST_H

#include <stddef.h>
#include <stdint.h>

#include <libwebsockets.h>

#include "ops/config.h"

struct post;

enum {
    /* The most that Asterisk takes as one text frame (measured: 65521 bytes of payload). */
    POST_TEXT_MAX = 65521,
};

/* What request_id the RESTRequest of command `number` has: POST_ID_PREFIX and the number. */
#define POST_ID_PREFIX "arizmq-command-"

/* Has room for config->gateway.feed_bytes, but for two texts at least. `context` is the event
 * thread's, which is woken. Returns ARIZMQ_OK or ARIZMQ_ENOMEM. */
int post_create(const struct config *config, struct lws_context *context, struct post **out);

/* Both threads must be done with it. */
void post_destroy(struct post **self);

/* The command thread: `text` is to be sent to `node`; feed_answer() tells what became of it, once.
 * Returns ARIZMQ_OK; or ARIZMQ_ETOOLARGE where there is no room: then nothing will be told. */
int post_send(struct post *self, unsigned node, uint64_t number, const char *text, size_t length);

/* The event thread: what is to be sent, borrowed until the next call. */
struct post_letter {
    unsigned node;
    uint64_t number;
    const char *text;
    size_t length;
};

/* The event thread, when libwebsockets tells of LWS_CALLBACK_EVENT_WAIT_CANCELLED: calls `deliver`
 * for each letter. `self` may be NULL: then there is none. */
void post_take(struct post *self, void (*deliver)(void *owner, const struct post_letter *letter),
               void *owner);

#endif
