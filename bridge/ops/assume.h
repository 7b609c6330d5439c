/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Taking over from running bridges (arizmqd --takeover): each is asked over its gateway to cede
 * (ops/cede.h), then this bridge opens its connections beside theirs, and when they say that it has
 * all, they end. Belongs to the event thread; assume_create() alone waits.
 */
#ifndef ARIZMQ_OPS_ASSUME_H
#define ARIZMQ_OPS_ASSUME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libwebsockets.h>

#include "node/nodes.h"
#include "ops/config.h"

struct assume;

/* All borrowed. */
struct assume_parts {
    struct lws_context *context;
    const struct config *config;
    struct nodes *nodes;
    uint64_t epoch; /* this bridge's */
    /* It has failed, or was given up: nothing of what there was to take is here any more, and this
     * bridge is to end. */
    void (*has_failed)(void *owner);
    void *owner;
};

/* Looks for the bridges whose gateways are `endpoints`, separated by commas; to be called before
 * anything of `config` is bound, because their endpoints must be others. Returns ARIZMQ_OK; else
 * ARIZMQ_E… with one line in error[error_size]. */
int assume_create(const struct config *config, const char *endpoints, struct assume **out,
                  char *error, size_t error_size);

void assume_destroy(struct assume **self);

/* Everything is bound: waits `wait_ms` for subscribers to connect, asks, and starts the nodes when
 * that is due. */
void assume_begin(struct assume *self, const struct assume_parts *parts, uint32_t wait_ms);

/* Whether it is not over yet. `self` may be NULL: then there is none. */
bool assume_is_under_way(const struct assume *self);

/* The process is told to stop. True where has_failed() will be called first, because what was taken
 * is given back. `self` may be NULL: then there is nothing to give back. */
bool assume_give_up(struct assume *self);

#endif
