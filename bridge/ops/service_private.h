/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What the parts of the running daemon share: service.c (start, beat, stop), service_loop.c
 * (libwebsockets' loop, signals) and service_parts.c (what it is put together from).
 */
#ifndef ARIZMQ_OPS_SERVICE_PRIVATE_H
#define ARIZMQ_OPS_SERVICE_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libwebsockets.h>

#include "gateway/feed.h"
#include "gateway/gateway.h"
#include "gateway/snapshot_walker.h"
#include "keep/journal.h"
#include "node/nodes.h"
#include "ops/assume.h"
#include "ops/cede.h"
#include "ops/reload.h"
#include "ops/service.h"
#include "pipeline.h"

struct service {
    const struct config *config; /* held */
    const struct config_source *source;
    const struct options *options;
    struct lws_context *context;
    struct lws_vhost *vhost;
    struct feed *feed;              /* NULL: there is no gateway */
    struct post *post;              /* likewise */
    struct snapshot_walker *walker; /* likewise */
    struct gateway *gateway;        /* NULL: there is none */
    struct cede *cede;              /* likewise */
    struct assume *assume;          /* NULL: this bridge does not take over from another */
    struct pipeline *pipeline;
    struct journal *journal; /* NULL: there is none */
    struct nodes *nodes;
    struct reload *reload;
    int signals; /* a signalfd; libwebsockets closes it once it has adopted it */
    lws_sorted_usec_list_t beat;
    lws_sorted_usec_list_t subscriptions;
    lws_sorted_usec_list_t stopping;
    uint64_t stop_by_ms;  /* 0: not stopping */
    uint64_t drain_by_ms; /* for what was published to reach subscribers and disk */
    uint64_t bytes_seen;  /* of events, at the end of the last turn of the loop */
    bool links_are_stopping;
    bool is_done;
    bool has_failed; /* the exit status says so */
};

/* --- service.c */

/* Beats from now on as often as the configuration says. */
void service_beat_again(struct service *self);

/* Begins the stop, unless it has begun; `why` is for the log. */
void service_begin_stop(struct service *self, const char *why);

/* --- service_loop.c */

/* Returns ARIZMQ_OK or ARIZMQ_ENOMEM. */
int service_create_context(struct service *self);

/* Signals arrive as bytes in the loop, like everything else. Returns ARIZMQ_OK, or ARIZMQ_EIO with
 * errno. */
int service_adopt_signals(struct service *self);

/* --- service_parts.c */

/* Everything but the loop; service_run() destroys it. libzmq's threads inherit the blocked signals,
 * so it comes after service_adopt_signals(). Returns ARIZMQ_OK or another code of arizmq/error.h
 * with a text in `error`. */
int service_create_parts(struct service *self, char *error, size_t error_size);

#endif
