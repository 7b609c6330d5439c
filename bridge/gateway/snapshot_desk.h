/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Where GET arizmq/snapshot is answered. The event thread makes one snapshot at a time
 * (snapshot_walker.h); requests for the same that have come before it began share it, so that a
 * thousand clients who join at once cost little more than one. Belongs to the command thread. It
 * knows nothing of sockets or commands.
 */
#ifndef ARIZMQ_GATEWAY_SNAPSHOT_DESK_H
#define ARIZMQ_GATEWAY_SNAPSHOT_DESK_H

#include <stdbool.h>

#include <zmq.h>

#include "gateway/post.h"
#include "gateway/request.h"
#include "keep/snapshot.h"
#include "ops/config.h"

struct snapshot_desk;
struct snapshot_job; /* a request that is not answered yet */

struct snapshot_answer {
    bool is_refused;
    struct request_refusal refusal; /* where it is refused */
    zmq_msg_t *body;                /* else; borrowed, to be copied */
};

/* Called once for each request, in the command thread. */
typedef void snapshot_done(void *owner, const struct snapshot_answer *answer);

/* `config` and `post` are borrowed. NULL without memory. */
struct snapshot_desk *snapshot_desk_create(const struct config *config, struct post *post,
                                           uint64_t epoch);

/* Goes by another configuration, likewise borrowed, from now on. */
void snapshot_desk_set_config(struct snapshot_desk *self, const struct config *config);

/* Requests that are not answered yet are dropped. */
void snapshot_desk_destroy(struct snapshot_desk **self);

/* Takes a request with that query (request.query). Returns NULL where it is answered already, from
 * within this call; else the job, which lives until `done` is called or it is dropped. */
struct snapshot_job *snapshot_desk_ask(struct snapshot_desk *self, const char *query,
                                       snapshot_done *done, void *owner);

/* Nobody waits for the answer any more. */
void snapshot_desk_drop(struct snapshot_desk *self, struct snapshot_job *job);

/* What the event thread handed over for letter `number`; NULL: it had no memory. Taken over. */
void snapshot_desk_take(struct snapshot_desk *self, uint64_t number, struct snapshot *snapshot);

/* Goes on with what was begun; called once in a turn of the command thread. */
void snapshot_desk_turn(struct snapshot_desk *self);

/* Whether there is something to go on with at once. */
bool snapshot_desk_is_busy(const struct snapshot_desk *self);

#endif
