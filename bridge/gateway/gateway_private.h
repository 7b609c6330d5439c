/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What gateway.c (the loop and its parts) and gateway_change.c (another configuration) share;
 * nobody else includes this.
 */
#ifndef ARIZMQ_GATEWAY_GATEWAY_PRIVATE_H
#define ARIZMQ_GATEWAY_GATEWAY_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "gateway/census.h"
#include "gateway/command.h"
#include "gateway/gateway.h"

enum { GATEWAY_ENDED_SHARE = 8 }; /* of the objects remembered, one in so many may have ended */

struct gateway {
    const struct config *config; /* held; the command thread's own */
    struct feed *feed;
    struct post *post;
    struct history *history;
    const struct history_source *source; /* NULL: none */
    int epoll_fd;
    int stop_fd; /* eventfd */
    int door_fd;
    _Atomic bool is_stopping;
    _Atomic bool is_stopped;
    _Atomic uint64_t stop_by_ms;
    bool is_started;
    pthread_t thread;
    uint64_t measured_ms;
    struct door *door;
    struct fleet *fleet;
    struct owners *owners;
    struct once *once;
    struct deadlines *deadlines;
    struct transport transport;
    struct census *census;
    struct own own;
    struct takeover takeover;
    struct history_desk *desk;
    struct snapshot_desk *snapshots;
    struct commands commands;

    /* gateway_change.c */
    unsigned leaving;      /* slots of removed nodes that something refers to still */
    uint64_t taken_number; /* of the last change that was taken in */
    uint64_t told_number;  /* the last one that the event thread has been told of */
};

/* --- gateway.c */

/* The configured bounds stand among the metrics, beside what they bound. */
void gateway_show_bounds(const struct config_gateway *config);

/* --- gateway_change.c; in the command thread */

/* Takes in what gateway_commit() handed over, and frees it. */
void gateway_take_change(struct gateway *self, struct gateway_change *change);

/* Tells the event thread what it waits for; once a turn. */
void gateway_change_turn(struct gateway *self);

#endif
