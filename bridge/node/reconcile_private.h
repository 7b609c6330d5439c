/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What the parts of a comparison share: reconcile.c (its steps) and reconcile_tell.c (what is
 * published of it).
 */
#ifndef ARIZMQ_NODE_RECONCILE_PRIVATE_H
#define ARIZMQ_NODE_RECONCILE_PRIVATE_H

#include "event/elements.h"
#include "keep/state_compare.h"
#include "node/heard.h"
#include "node/reconcile.h"
#include "node/rest.h"

enum {
    RECONCILE_ID_MAX = 1024, /* of an object that is asked for */
    RECONCILE_STARTUP_TIME_SIZE = 64,
};

struct reconcile {
    struct link *link;
    struct rest_request *rest;
    lws_sorted_usec_list_t timer;                   /* the next step, or the next round */
    uint32_t pause_ms;                              /* before the next round, if this one fails */
    char startup_time[RECONCILE_STARTUP_TIME_SIZE]; /* of the process; "" before it is known */

    /* Of this round */
    bool is_restarted; /* it is another process than in the round before */
    bool is_unsure;    /* about some object nothing could be found out */
    struct heard heard;
    unsigned list;
    struct elements elements;
    enum object_kind asked; /* kind and id of the object asked for */
    char asked_id[RECONCILE_ID_MAX];
    size_t asked_length;
    unsigned count[STATE_LOST + 1];
};

/* Publishes ArizmqObjectFound or ArizmqObjectLost. */
void reconcile_tell_difference(struct reconcile *self, const struct state_difference *difference);

/* The round is over: publishes ArizmqNodeReconciled. */
void reconcile_tell_end(struct reconcile *self, bool is_complete);

/* The process that was reached was started then, as it says; one other than the one known before is
 * told as ArizmqNodeRestarted. */
void reconcile_take_startup_time(struct reconcile *self, const char *text);

#endif
