/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A command runs once: remembers request ids for a while, with what was asked and what was
 * answered. Belongs to the command thread.
 */
#ifndef ARIZMQ_GATEWAY_ONCE_H
#define ARIZMQ_GATEWAY_ONCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <zmq.h>

#include "gateway/reply.h"
#include "gateway/request.h"
#include "ops/config.h"

struct once;
struct once_entry;

enum once_verdict {
    ONCE_NEW,       /* run it, then once_store() or once_forget() */
    ONCE_UNDER_WAY, /* the same is being run: wait for its reply */
    ONCE_ANSWERED,  /* the reply is stored */
    ONCE_CONFLICT,  /* the id was used for another request */
    ONCE_NO_MEMORY,
};

/* The most bytes of a scope: more than a CURVE key has in Z85. */
enum { ONCE_SCOPE_MAX = 64 };

/* A stored reply; borrowed from the entry. */
struct once_reply {
    struct reply reply; /* elapsed_ns is that of the first time */
    zmq_msg_t *body;
};

/* Bounds: gateway.once_window_ms, since the answer; once_max_requests; once_max_bytes, of replies.
 * When it is full, the entry answered longest ago leaves early (counted: METRIC_ONCE_EVICTED).
 * Entries under way never leave; gateway.max_requests bounds them. So where all are under way, a
 * new one is taken in beyond once_max_requests; and the reply stored last is kept even where its
 * texts alone exceed once_max_bytes. `config` is borrowed. Returns ARIZMQ_OK or ARIZMQ_ENOMEM. */
int once_create(const struct config_gateway *config, struct once **out);

void once_destroy(struct once **self);

/* Looks a request up by `scope` (whose window it is: a CURVE key, "" where there is none) and its
 * request_id, which is not NULL. What must be the same for a repetition: method, uri, query, body,
 * content type, node and app, compared by SHA-256; not timeout_ms and transaction_id. `now_ms` is
 * the monotonic clock. *entry is written for NEW, UNDER_WAY and ANSWERED, and is valid until the
 * next call that takes `self` not const. */
enum once_verdict once_look_up(struct once *self, const char *scope, const struct request *request,
                               uint64_t now_ms, struct once_entry **entry);

/* The reply of an entry that was answered; borrowed like the entry. */
const struct once_reply *once_reply(const struct once_entry *entry);

/* Stores the reply to the request that was looked up as ONCE_NEW, or replaces it by a later one (an
 * answer that came after its request was told 504). Copies the texts and shares the body. A body
 * that alone is larger than once_max_bytes is not kept (METRIC_ONCE_INCOMPLETE): the stored reply
 * then has an empty one and no content type. Without memory for the texts a later reply changes
 * nothing, and in place of a first one 504 outcome_unknown is stored: a repetition never runs the
 * command again. Entries are named by id, since commands outlive pointers. Not found: nothing
 * happens. */
void once_store(struct once *self, const char *scope, const char *request_id,
                const struct reply *reply, zmq_msg_t *body, uint64_t now_ms);

/* Nothing was sent: the same id may be tried again. */
void once_forget(struct once *self, const char *scope, const char *request_id);

/* Drops what is older than the window. Cheap; called every second. */
void once_expire(struct once *self, uint64_t now_ms);

/* Other bounds from now on; `config` is borrowed in place of the one before. What is beyond them
 * leaves at once. */
void once_set_config(struct once *self, const struct config_gateway *config);

uint32_t once_count(const struct once *self);
uint64_t once_bytes(const struct once *self);

#endif
