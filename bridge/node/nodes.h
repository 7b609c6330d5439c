/* SPDX-License-Identifier: MPL-2.0 */
/*
 * All links of all configured nodes, and the libwebsockets virtual hosts with their TLS settings.
 * Belongs to the event thread.
 */
#ifndef ARIZMQ_NODE_NODES_H
#define ARIZMQ_NODE_NODES_H

#include <stdbool.h>
#include <stddef.h>

#include <libwebsockets.h>

#include "gateway/feed.h"
#include "gateway/post.h"
#include "ops/config.h"
#include "pipeline.h"

struct nodes;

/* The libwebsockets protocols that links use, NULL-terminated. */
extern const struct lws_protocols *nodes_protocols[];

/* Creates a link for each application of each node; none connects yet. `plain` is the virtual host
 * for nodes without TLS. All are borrowed for the nodes' life; `feed` may be NULL. Returns
 * ARIZMQ_OK; ARIZMQ_ENOMEM; or ARIZMQ_EINVALID where a node's TLS files cannot be used. Failures
 * write one line into error[error_size]. */
int nodes_create(struct lws_context *context, struct lws_vhost *plain, const struct config *config,
                 struct pipeline *pipeline, struct feed *feed, struct nodes **out, char *error,
                 size_t error_size);

/* Must come before the context is destroyed. */
void nodes_destroy(struct nodes **self);

void nodes_start(struct nodes *self);

/* From now on the links of config->nodes[node] live by what `to` says, which is borrowed: those
 * that are up are handed over to new connections without losing an event, see link_hand_over().
 * Returns ARIZMQ_OK; or ARIZMQ_EINVALID where the TLS files of `to` cannot be used, or
 * ARIZMQ_ENOMEM, with one line in error[error_size]: then a link that had been told already goes on
 * by `to`, the others as they were. */
int nodes_hand_over(struct nodes *self, unsigned node, const struct config_node *to, char *error,
                    size_t error_size);

/* The link of an application of a node, by their indexes in the configuration; NULL: there is none.
 */
struct link *nodes_link(const struct nodes *self, unsigned node, unsigned application);

/* Calls `visit` for every link. */
void nodes_visit_links(const struct nodes *self, void (*visit)(void *owner, struct link *link),
                       void *owner);

/* Begins the planned end of every link. */
void nodes_stop(struct nodes *self);
/* What has not stopped by now ends at once. */
void nodes_abort(struct nodes *self);

bool nodes_are_stopped(const struct nodes *self);

/* To be called on LWS_CALLBACK_EVENT_WAIT_CANCELLED: another thread may have resolved a name. */
void nodes_wake(struct nodes *self);

/* The reader of POST_COMMAND; `self` is a struct nodes. */
void nodes_send_command(void *self, const struct post_letter *letter);

#endif
