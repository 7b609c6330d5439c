/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Another bridge takes over from this one. It asks over the gateway (gateway/takeover.h); when
 * every application that it wants and that is up here has gone over to it, and it has been told so,
 * this bridge ends. If it does not come so far in time, or is not heard of any more, this bridge
 * takes back what it lost and goes on. Belongs to the event thread.
 */
#ifndef ARIZMQ_OPS_CEDE_H
#define ARIZMQ_OPS_CEDE_H

#include <stdbool.h>

#include <jansson.h>
#include <libwebsockets.h>

#include "gateway/feed.h"
#include "gateway/post.h"
#include "node/nodes.h"
#include "ops/config.h"
#include "pipeline.h"

struct cede;

/* All borrowed. */
struct cede_parts {
    struct lws_context *context;
    struct nodes *nodes;
    struct pipeline *pipeline;
    struct feed *feed;
    void (*is_over)(void *owner); /* the other bridge has all: this one is to end */
    void *owner;
};

/* `config` is held. Returns ARIZMQ_OK or ARIZMQ_ENOMEM. */
int cede_create(const struct cede_parts *parts, const struct config *config, struct cede **out);
void cede_destroy(struct cede **self);

/* Another configuration is in force, and is held; not while a takeover is under way. */
void cede_set_config(struct cede *self, const struct config *config);

/* The reader of POST_TAKEOVER; `self` is a struct cede. */
void cede_read_letter(void *self, const struct post_letter *letter);

/* This bridge is stopping, for whatever reason: no more takeover. */
void cede_stop(struct cede *self);

/* A takeover is being prepared or under way. */
bool cede_is_under_way(const struct cede *self);

/* How the bridge that has taken over presented itself; NULL: none has. Borrowed. */
const json_t *cede_successor(const struct cede *self);

#endif
