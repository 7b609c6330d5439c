/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The command thread: a ROUTER socket at one end, every Asterisk's REST interface at the other.
 * service.c creates, starts and stops it; nothing of it can hold up the event thread.
 */
#ifndef ARIZMQ_GATEWAY_GATEWAY_H
#define ARIZMQ_GATEWAY_GATEWAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/feed.h"
#include "gateway/history_desk.h"
#include "gateway/post.h"
#include "ops/config.h"
#include "ops/reload_plan.h"

struct gateway;
struct gateway_change;

/* Binds config->gateway.endpoint and prepares everything; starts no thread. `config` is held;
 * `feed` and `post` are borrowed, as are `history`, the pipeline's, and `source`, which knows more
 * of the same (NULL: none). Returns ARIZMQ_OK; else ARIZMQ_E… with one line in error[error_size].
 */
int gateway_create(const struct config *config, struct feed *feed, struct post *post,
                   struct history *history, const struct history_source *source,
                   struct gateway **out, char *error, size_t error_size);

/* Starts the thread. Signals must be blocked already. Returns ARIZMQ_OK or ARIZMQ_EIO. */
int gateway_start(struct gateway *self);

/* --- another configuration. Called by the event thread. */

/* Makes all that the gateway needs to go on by plan->after, and changes nothing yet. Returns
 * ARIZMQ_OK; else ARIZMQ_E… with one line in error[error_size]. */
int gateway_prepare(struct gateway *self, const struct reload_plan *plan,
                    struct gateway_change **out, char *error, size_t error_size);
void gateway_change_destroy(struct gateway_change **self);

/* Hands it over to the command thread, behind all that the feed has been told so far: from then on
 * the feed speaks of the nodes as they are after it. *change becomes NULL. The command thread posts
 * POST_CONFIG_TAKEN with `number` once it goes by it, and POST_NODE_CLEAR for the slot of each
 * removed node as soon as nothing of its own refers to it; both have their readers. Returns
 * ARIZMQ_OK; or ARIZMQ_ENOMEM, and then the gateway goes on as it was. */
int gateway_commit(struct gateway *self, struct gateway_change **change, uint64_t number);

/* --- the end */

/* From now on new requests are refused (503 stopping); those under way get up to `drain_ms`. */
void gateway_stop(struct gateway *self, uint32_t drain_ms);

/* The thread is done. */
bool gateway_is_stopped(const struct gateway *self);

/* Ends the thread, if it has not ended yet, and waits for it. */
void gateway_destroy(struct gateway **self);

#endif
