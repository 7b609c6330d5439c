/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Which node has which channel, bridge, playback and recording. Filled from events (feed.h), from
 * replies (learn.h) and from the ids that clients choose. Belongs to the command thread.
 *
 * Endpoints and device states are no objects here: every node may have the same ones.
 */
#ifndef ARIZMQ_GATEWAY_OWNERS_H
#define ARIZMQ_GATEWAY_OWNERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "event/objects.h"

struct owners;

/* Nodes remembered for one id. Two are enough to know that the id alone does not say which. */
enum { OWNERS_OF_ONE_MAX = 4 };

struct owners_found {
    unsigned count;                   /* 0: unknown */
    unsigned node[OWNERS_OF_ONE_MAX]; /* in the order in which they were learned */
    bool has_ended;                   /* it lives on none of them any more */
};

/* Remembers at most `max_objects` (config gateway.max_objects) objects, `max_ended` of them ended.
 * When it is full the ended one that was seen longest ago leaves, then the live one seen longest
 * ago (counted: METRIC_OWNERS_EVICTED, where it was live). Returns ARIZMQ_OK or ARIZMQ_ENOMEM. */
int owners_create(uint32_t max_objects, uint32_t max_ended, unsigned nodes_count,
                  struct owners **out);

void owners_destroy(struct owners **self);

/* The nodes where the object lives; where it lives nowhere, those where it last ended, so that
 * Asterisk itself can say that it is gone. An id of any length; case matters. */
void owners_find(const struct owners *self, enum object_kind kind, const char *id, size_t length,
                 struct owners_found *out);

/* The object is alive on `node`; where it has ended on others, they are forgotten. No memory, or
 * OWNERS_OF_ONE_MAX others have it: it is not remembered, and counted (METRIC_OWNERS_FORGOTTEN). */
void owners_learn(struct owners *self, unsigned node, enum object_kind kind, const char *id,
                  size_t length);

/* It has ended there. A recording stays findable where it was made: its stored file is there. */
void owners_end(struct owners *self, unsigned node, enum object_kind kind, const char *id,
                size_t length);

/* A client has chosen this id for what a command is about to create on `node`: findable from now
 * on, not counted among the calls until it is learned. Claims nest. */
void owners_claim(struct owners *self, unsigned node, enum object_kind kind, const char *id,
                  size_t length);

/* That command is over. Where it `failed` and no other claim is left, and nothing was learned of
 * the object, it is forgotten. Where it did not fail, the object stays findable. */
void owners_release(struct owners *self, unsigned node, enum object_kind kind, const char *id,
                    size_t length, bool failed);

/* A census: what is not learned on `node` between the two calls has ended there. For the lists that
 * are read after a reconnect. */
void owners_begin_census(struct owners *self, unsigned node, enum object_kind kind);
void owners_end_census(struct owners *self, unsigned node, enum object_kind kind);

/* Live channels of a node: its calls, for choosing the least loaded. */
unsigned owners_calls(const struct owners *self, unsigned node);

/* The node was removed from the configuration: all that is remembered of it is forgotten, and what
 * is told of it is passed over, until it is admitted again (all are at first). Walks all objects.
 */
void owners_forget_node(struct owners *self, unsigned node);
void owners_admit_node(struct owners *self, unsigned node);

/* Other bounds from now on. What is beyond them leaves with owners_trim(), which drops at most
 * `most` objects; to be called now and then. */
void owners_set_bounds(struct owners *self, uint32_t max_objects, uint32_t max_ended);
void owners_trim(struct owners *self, uint32_t most);

/* Objects remembered, ended ones among them. */
uint32_t owners_count(const struct owners *self);

#endif
