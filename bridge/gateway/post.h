/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Letters from the command thread to the event thread: what it is asked to do, and for which node.
 * Each kind has a reader, which answers through feed.h where there is something to answer. Neither
 * thread waits for the other.
 */
#ifndef ARIZMQ_GATEWAY_POST_H
#define ARIZMQ_GATEWAY_POST_H

#include <stddef.h>
#include <stdint.h>

#include <libwebsockets.h>

#include "ops/config.h"

struct post;

enum post_kind {
    POST_COMMAND,  /* text for the WebSocket of one of `node`'s links; feed_answer() tells what
                      became of it, once */
    POST_SNAPSHOT, /* a struct snapshot_query (snapshot_walker.h); feed_hand() gives the snapshot,
                      once */
    POST_TAKEOVER, /* a struct takeover_letter (gateway/takeover.h); feed_hand() gives a report,
                      once */
    /* A reload; see gateway_commit(). */
    POST_CONFIG_TAKEN, /* the command thread goes by configuration `number` */
    POST_NODE_CLEAR,   /* nothing of the command thread refers to the slot `node` any more */
    POST_KINDS,
};

enum {
    /* The most that Asterisk takes as one text frame (measured: 65521 bytes of payload). */
    POST_TEXT_MAX = 65521,
};

/* What request_id the RESTRequest of command `number` has: POST_ID_PREFIX and the number. */
#define POST_ID_PREFIX "arizmq-command-"

/* Borrowed until the reader returns; `bytes` is aligned as malloc() aligns. */
struct post_letter {
    unsigned node;   /* 0 where no node is meant */
    uint64_t number; /* the sender's, for the answer */
    const void *bytes;
    size_t length;
};

typedef void post_reader(void *owner, const struct post_letter *letter);

/* Has room for config->gateway.feed_bytes, but for two texts at least. `context` is the event
 * thread's, which is woken. Returns ARIZMQ_OK or ARIZMQ_ENOMEM. */
int post_create(const struct config *config, struct lws_context *context, struct post **out);

/* Both threads must be done with it. Letters left in it are dropped unread. */
void post_destroy(struct post **self);

/* Who reads the letters of a kind. To be called before the command thread starts. */
void post_set_reader(struct post *self, enum post_kind kind, post_reader *read, void *owner);

/* The command thread: `bytes` are copied; only kinds that have a reader. Returns ARIZMQ_OK; or
 * ARIZMQ_ETOOLARGE where there is no room: then the letter is not read, and nothing will be told.
 */
int post_send(struct post *self, enum post_kind kind, unsigned node, uint64_t number,
              const void *bytes, size_t length);

/* The event thread, when libwebsockets tells of LWS_CALLBACK_EVENT_WAIT_CANCELLED: has each letter
 * read, in their order. `self` may be NULL: then there is none. */
void post_take(struct post *self);

#endif
