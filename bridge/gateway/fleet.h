/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The nodes as the command thread knows them: which are up, what they are doing. Belongs to the
 * command thread.
 */
#ifndef ARIZMQ_GATEWAY_FLEET_H
#define ARIZMQ_GATEWAY_FLEET_H

#include <stdbool.h>
#include <stdint.h>

#include "gateway/feed.h"
#include "ops/config.h"

enum { FLEET_ERROR_SIZE = 256 };

struct fleet_app {
    enum feed_link state;
    uint64_t since_ns;                 /* wall clock */
    char last_error[FLEET_ERROR_SIZE]; /* why it is or was down, or could not be
                                          handed over; "" for never */
};

struct fleet_node {
    /* Held; NULL: the slot is free. Of a node that was removed: what it had last, as long as
     * anything refers to the slot. */
    const struct config_node *config;
    bool is_there;           /* it is configured */
    uint32_t references;     /* of commands that have been put to it and are not freed yet */
    struct fleet_app *apps;  /* config->apps_count of them */
    unsigned apps_up;        /* of these FEED_LINK_UP */
    unsigned apps_reachable; /* of these not FEED_LINK_DOWN */
    uint64_t since_ns;       /* wall clock: when the node went up or down */
    char *version;           /* of asterisk/info; NULL as long as it is not known */
    uint32_t under_way;      /* commands taken on for it and not answered by it yet */
    uint64_t commands;       /* sent to it in this run */
    uint64_t failures;       /* of these: without an answer that could be passed on */
    double events_per_s;     /* over the last second measured */
    double commands_per_s;
    uint64_t events_seen;   /* at that measurement; whoever adds a node in a used slot sets it */
    uint64_t commands_seen; /* the same */
};

struct fleet {
    unsigned slots;           /* of `nodes` that may be in use */
    unsigned count;           /* nodes that are there */
    unsigned up;              /* of these: up */
    struct fleet_node *nodes; /* CONFIG_SLOTS_MAX, by slot; they never move */
};

/* All nodes of `config` are there, and down. Returns ARIZMQ_OK or ARIZMQ_ENOMEM. */
int fleet_create(const struct config *config, struct fleet **out);

void fleet_destroy(struct fleet **self);

/* What a node with this configuration needs for fleet_add() or fleet_change(); any thread may make
 * it. NULL without memory. Freed with free() where it is not used. */
struct fleet_app *fleet_apps_create(const struct config_node *config);

/* A node more, in a slot that is free or that it had before it was removed; it is down. `apps` is
 * taken over. */
void fleet_add(struct fleet *self, unsigned slot, const struct config_node *config,
               struct fleet_app *apps);

/* The node goes on with another configuration. `apps`, which is taken over, where its applications
 * are others, or in another order: those of the same name go on; NULL where they are the same.
 * Returns true where it was up and is not any more. */
bool fleet_change(struct fleet *self, unsigned slot, const struct config_node *config,
                  struct fleet_app *apps);

/* The node is configured no longer. Its slot stays in use until fleet_clear(). */
void fleet_remove(struct fleet *self, unsigned slot);

/* Nothing refers to the slot of a removed node any more: it is free. */
void fleet_clear(struct fleet *self, unsigned slot);

/* Whether there is a node in that slot, and it is configured. */
bool fleet_has_node(const struct fleet *self, unsigned slot);

/* The slot of the node of that name, or -1. */
int fleet_find(const struct fleet *self, const char *name);

/* A node is up where any of its links is; one whose application another client has taken answers
 * commands, too. */
bool fleet_is_up(const struct fleet *self, unsigned node);

/* Whether the node is configured to be that application, and whether it is connected as it. */
bool fleet_has_app(const struct fleet *self, unsigned node, const char *app);
bool fleet_app_is_up(const struct fleet *self, unsigned node, const char *app);

/* A link's state has changed. Returns true where the node was down and is up now. Passed over where
 * the node has been removed. */
bool fleet_set_link(struct fleet *self, unsigned node, unsigned app, enum feed_link state,
                    const char *detail);

/* Takes the rates, `elapsed_ms` after the last time. */
void fleet_measure(struct fleet *self, const struct feed *feed, uint64_t elapsed_ms);

#endif
