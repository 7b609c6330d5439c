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
    const struct config_node *config;
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
    uint64_t events_seen;   /* at that measurement */
    uint64_t commands_seen; /* the same */
};

struct fleet {
    const struct config *config;
    unsigned count;
    unsigned up; /* nodes that are up */
    struct fleet_node *nodes;
};

/* `config` is borrowed. All nodes are down. Returns ARIZMQ_OK or ARIZMQ_ENOMEM. */
int fleet_create(const struct config *config, struct fleet **out);

void fleet_destroy(struct fleet **self);

/* The index of the node of that name, or -1. */
int fleet_find(const struct fleet *self, const char *name);

/* A node is up where any of its links is; one whose application another client has taken answers
 * commands, too. */
bool fleet_is_up(const struct fleet *self, unsigned node);

/* Whether the node is configured to be that application, and whether it is connected as it. */
bool fleet_has_app(const struct fleet *self, unsigned node, const char *app);
bool fleet_app_is_up(const struct fleet *self, unsigned node, const char *app);

/* A link's state has changed. Returns true where the node was down and is up now. */
bool fleet_set_link(struct fleet *self, unsigned node, unsigned app, enum feed_link state,
                    const char *detail);

/* Takes the rates, `elapsed_ms` after the last time. */
void fleet_measure(struct fleet *self, const struct feed *feed, uint64_t elapsed_ms);

#endif
