/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The event thread's part of GET arizmq/snapshot: reads the letters, walks over the state a little
 * in each turn of the loop (keep/state_walk.h), and hands the snapshot over.
 */
#ifndef ARIZMQ_GATEWAY_SNAPSHOT_WALKER_H
#define ARIZMQ_GATEWAY_SNAPSHOT_WALKER_H

#include <stdint.h>

#include <libwebsockets.h>

#include "gateway/feed.h"
#include "gateway/post.h"
#include "pipeline.h"

/* What a letter POST_SNAPSHOT holds. The names follow, each with its NUL; their lengths count it,
 * and are 0 where any node or application is meant. */
struct snapshot_query {
    uint32_t kinds; /* bit 1 << enum object_kind */
    uint32_t node_length;
    uint32_t application_length;
};

struct snapshot_walker;

/* All borrowed. NULL without memory. */
struct snapshot_walker *snapshot_walker_create(struct lws_context *context,
                                               struct pipeline *pipeline, struct feed *feed);

/* Gives up what is under way; nobody is told. */
void snapshot_walker_destroy(struct snapshot_walker **self);

/* The reader of POST_SNAPSHOT; `self` is a struct snapshot_walker. What was asked for is handed
 * over as FEED_SNAPSHOT; NULL where there is no memory for it, or another one is under way. */
void snapshot_walker_read(void *self, const struct post_letter *letter);

#endif
