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
#include "ops/reload_plan.h"
#include "pipeline.h"

struct link;
struct nodes;
struct nodes_change;

/* The libwebsockets protocols that links use, NULL-terminated. */
extern const struct lws_protocols *nodes_protocols[];

/* Creates a link for each application of each node; none connects yet. `plain` is the virtual host
 * for nodes without TLS. All are borrowed for the nodes' life, but `config`, which is held; `feed`
 * may be NULL. Returns
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

/* Calls `visit` for every link of the configuration. */
void nodes_visit_links(const struct nodes *self, void (*visit)(void *owner, struct link *link),
                       void *owner);

/* --- another configuration */

/* The names of the slots, for config_place_nodes(): NULL for a free one. Returns how many there are
 * in names[CONFIG_SLOTS_MAX]. They stay as they are until the next nodes_commit(). */
unsigned nodes_names(const struct nodes *self, const char **names);

/* Makes all that is needed to go on by plan->after, and changes nothing yet. Returns ARIZMQ_OK;
 * else ARIZMQ_E… with one line in error[error_size]. */
int nodes_prepare(struct nodes *self, const struct reload_plan *plan, struct nodes_change **out,
                  char *error, size_t error_size);
void nodes_change_destroy(struct nodes_change **self);

/* Goes on by it: new links connect, those that are to be handed over are, the others do not notice;
 * those that are removed go on until nodes_retire(). *change becomes NULL. */
void nodes_commit(struct nodes *self, struct nodes_change **change, const struct reload_plan *plan);

/* The command thread puts nothing more to the links that were removed: their planned end begins,
 * once the commands that were sent over them are answered, or a quarter of stop_timeout_ms is over.
 */
void nodes_retire(struct nodes *self);

/* Looks after the links that were removed; to be called every few milliseconds as long as it
 * returns true: there are some left. */
bool nodes_part(struct nodes *self);

/* The command thread does not refer to that slot any more. Passed over where it has a node. */
void nodes_clear(struct nodes *self, unsigned slot);

/* --- the end */

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
