/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A link: one application of one Asterisk, kept connected. Each has a WebSocket of its own, so that
 * each has its own filter, liveness and replacement.
 *
 * Belongs to the event thread.
 */
#ifndef ARIZMQ_NODE_LINK_H
#define ARIZMQ_NODE_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libwebsockets.h>

#include "gateway/feed.h"
#include "node/resolve.h"
#include "ops/config.h"
#include "pipeline.h"

struct link;

/* What all links share; borrowed for their life. */
struct link_environment {
    struct lws_context *context;
    struct resolver *resolver;
    struct pipeline *pipeline;
    struct feed *feed; /* NULL: there is no gateway */
    const struct config *config;
};

/* A link for one application of one node, which are indexes into config->nodes and its apps;
 * `vhost` holds the node's TLS settings. All borrowed for the link's life. Returns ARIZMQ_OK or
 * ARIZMQ_ENOMEM. */
int link_create(const struct link_environment *environment, unsigned node, unsigned application,
                struct lws_vhost *vhost, struct link **out);

/* Ends the link at once if it has not been stopped. */
void link_destroy(struct link **self);

/* Connects, and from then on keeps trying for ever, with growing pauses. */
void link_start(struct link *self);

/* Begins the planned end: device-state unsubscription, closing handshake; what is still on its way
 * is published. */
void link_stop(struct link *self);

/* The planned end takes too long: ends at once, and says so like any other end. */
void link_abort(struct link *self);

bool link_is_stopped(const struct link *self);

/* Sends the RESTRequest of command `number` (gateway/post.h); feed_answer() will tell what became of
 * it. Returns ARIZMQ_OK; or ARIZMQ_E… where it was not sent, and then nothing will be told. */
int link_send_command(struct link *self, uint64_t number, const char *text, size_t length);

#endif
