/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What is to be done to get from one configuration to another: a list of actions, and nothing done
 * yet.
 */
#ifndef ARIZMQ_OPS_RELOAD_PLAN_H
#define ARIZMQ_OPS_RELOAD_PLAN_H

#include <stdbool.h>
#include <stddef.h>

#include "ops/config.h"

enum reload_do {
    RELOAD_NODE_ADD,
    RELOAD_NODE_REMOVE,
    RELOAD_NODE_HAND_OVER, /* because of `key` */
    RELOAD_NODE_APPLY,     /* `key` holds from now on */
    RELOAD_APP_ADD,
    RELOAD_APP_REMOVE,
    RELOAD_APP_HEAR_ALL,  /* it has subscribe_all now */
    RELOAD_APP_HEAR_LESS, /* it has not any more */
    RELOAD_VIEW_ADD,
    RELOAD_VIEW_REMOVE,
    RELOAD_VIEW_APPLY,   /* `key` holds from now on */
    RELOAD_VIEW_RESTART, /* `key` has another value, for which a restart is needed */
    RELOAD_APPLY,
    RELOAD_RESTART_FOR,
};

struct reload_action {
    enum reload_do what;
    unsigned index;  /* slot of the node; or of the view, in the configuration that has it */
    unsigned app;    /* index in the node's apps, likewise */
    const char *key; /* of reload_keys; NULL where the thing as a whole is meant */
};

/* For each slot, what its actions come to. */
enum {
    RELOAD_IS_ADDED = 1,
    RELOAD_IS_REMOVED = 2,
    RELOAD_IS_HANDED_OVER = 4,
};

struct reload_plan {
    const struct config *before; /* borrowed */
    const struct config *after;  /* borrowed */
    struct reload_action *actions;
    unsigned actions_count;
    unsigned actions_room;
    bool is_incomplete;                /* while it is made: there was no memory */
    unsigned slots_count;              /* of either */
    unsigned char *slots;              /* RELOAD_IS_… of each */
    int view_from[CONFIG_PUBLISH_MAX]; /* for each view of `after` its index in `before`, or -1 */
};

/* Compares two configurations whose nodes stand in slots; changes nothing but values of `after` for
 * which a restart is needed, which become those of `before`. Both are borrowed for the plan's life.
 * Returns ARIZMQ_OK or ARIZMQ_ENOMEM. */
int reload_plan_create(const struct config *before, struct config *after, struct reload_plan **out);
void reload_plan_destroy(struct reload_plan **self);

/* Whether there is nothing to be done. Keys that need a restart do not count. */
bool reload_plan_is_empty(const struct reload_plan *self);

/* Whether the link of that application of the node in `before` goes. */
bool reload_app_is_removed(const struct reload_plan *self, unsigned slot, const char *app);

/* Whether `node` gives the application every event (subscribe_all). */
bool reload_hears_all(const struct config_node *node, const char *app);

/* One line of what changes, without the keys that need a restart: "node b added; node a: password;
 * limits.max_counters". Cut at the end where it is too long, and says so. */
void reload_plan_print(const struct reload_plan *self, char *out, size_t out_size);

/* The keys that need a restart: "io_threads, publish[tcp://…].topic"; "" for none. */
void reload_plan_print_restart(const struct reload_plan *self, char *out, size_t out_size);

#endif
