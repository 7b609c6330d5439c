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
#include "gateway/post.h"
#include "ops/config.h"

struct gateway;

/* Binds config->gateway.endpoint and prepares everything; starts no thread. `config`, `feed` and
 * `post` are borrowed; `epoch` is the pipeline's. Returns ARIZMQ_OK; else ARIZMQ_E… with one line
 * in error[error_size]. */
int gateway_create(const struct config *config, struct feed *feed, struct post *post,
                   uint64_t epoch, struct gateway **out, char *error, size_t error_size);

/* Starts the thread. Signals must be blocked already. Returns ARIZMQ_OK or ARIZMQ_EIO. */
int gateway_start(struct gateway *self);

/* From now on new requests are refused (503 stopping); those under way get up to `drain_ms`. */
void gateway_stop(struct gateway *self, uint32_t drain_ms);

/* The thread is done. */
bool gateway_is_stopped(const struct gateway *self);

/* Ends the thread, if it has not ended yet, and waits for it. */
void gateway_destroy(struct gateway **self);

#endif
