/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The command thread's own picture of the nodes. The feed's link states pass through
 * fleet_set_link(); the router and `GET arizmq/nodes` read what came of them. It opens no
 * connection and asks no Asterisk anything.
 */
#include "gateway/fleet.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"
#include "base/clock.h"

struct fleet_app *fleet_apps_create(const struct config_node *config)
{
    struct fleet_app *apps = calloc(config->apps_count, sizeof *apps);
    uint64_t now_ns = clock_wall_ns();
    for (unsigned i = 0; apps != NULL && i < config->apps_count; i++) {
        apps[i].state = FEED_LINK_DOWN;
        apps[i].since_ns = now_ns;
    }
    return apps;
}

int fleet_create(const struct config *config, struct fleet **out)
{
    struct fleet *fleet = calloc(1, sizeof *fleet);
    if (fleet == NULL) {
        return ARIZMQ_ENOMEM;
    }
    fleet->nodes = calloc(CONFIG_SLOTS_MAX, sizeof *fleet->nodes);
    int result = fleet->nodes == NULL ? ARIZMQ_ENOMEM : ARIZMQ_OK;
    for (unsigned i = 0; result == ARIZMQ_OK && i < config->nodes_count; i++) {
        struct fleet_app *apps = fleet_apps_create(&config->nodes[i]);
        if (apps == NULL) {
            result = ARIZMQ_ENOMEM;
        } else {
            fleet_add(fleet, i, &config->nodes[i], apps);
        }
    }
    if (result != ARIZMQ_OK) {
        fleet_destroy(&fleet);
        return result;
    }
    *out = fleet;
    return ARIZMQ_OK;
}

void fleet_destroy(struct fleet **self)
{
    if (*self == NULL) {
        return;
    }
    for (unsigned i = 0; i < (*self)->slots; i++) {
        fleet_clear(*self, i);
    }
    free((*self)->nodes);
    free(*self);
    *self = NULL;
}

/* --- nodes that come and go */

void fleet_add(struct fleet *self, unsigned slot, const struct config_node *config,
               struct fleet_app *apps)
{
    assert(slot < CONFIG_SLOTS_MAX && !self->nodes[slot].is_there);
    struct fleet_node *node = &self->nodes[slot];
    config_node_release(&node->config);
    free(node->apps);
    node->config = config_node_hold(config);
    node->apps = apps;
    node->is_there = true;
    node->since_ns = clock_wall_ns();
    self->slots = slot >= self->slots ? slot + 1 : self->slots;
    self->count++;
}

void fleet_remove(struct fleet *self, unsigned slot)
{
    assert(fleet_has_node(self, slot));
    struct fleet_node *node = &self->nodes[slot];
    self->up -= fleet_is_up(self, slot);
    self->count--;
    node->is_there = false;
    node->apps_up = 0;
    node->apps_reachable = 0;
}

void fleet_clear(struct fleet *self, unsigned slot)
{
    struct fleet_node *node = &self->nodes[slot];
    config_node_release(&node->config);
    free(node->apps);
    free(node->version);
    *node = (struct fleet_node){0};
}

/* The states go with the names. */
static void fleet_carry_over(const struct fleet_node *node, const struct config_node *config,
                             struct fleet_app *apps)
{
    for (unsigned i = 0; i < config->apps_count; i++) {
        for (unsigned k = 0; k < node->config->apps_count; k++) {
            if (strcmp(config->apps[i], node->config->apps[k]) == 0) {
                apps[i] = node->apps[k];
            }
        }
    }
}

static void fleet_count_apps(struct fleet_node *node)
{
    node->apps_up = 0;
    node->apps_reachable = 0;
    for (unsigned i = 0; i < node->config->apps_count; i++) {
        node->apps_up += node->apps[i].state == FEED_LINK_UP;
        node->apps_reachable += node->apps[i].state != FEED_LINK_DOWN;
    }
}

bool fleet_change(struct fleet *self, unsigned slot, const struct config_node *config,
                  struct fleet_app *apps)
{
    assert(fleet_has_node(self, slot));
    struct fleet_node *node = &self->nodes[slot];
    bool was_up = fleet_is_up(self, slot);
    if (apps != NULL) {
        fleet_carry_over(node, config, apps);
        free(node->apps);
        node->apps = apps;
    }
    config_node_release(&node->config);
    node->config = config_node_hold(config);
    fleet_count_apps(node);
    bool goes_down = was_up && !fleet_is_up(self, slot);
    if (goes_down) {
        node->since_ns = clock_wall_ns();
        self->up--;
    }
    return goes_down;
}

bool fleet_has_node(const struct fleet *self, unsigned slot)
{
    return slot < self->slots && self->nodes[slot].is_there;
}

/* --- what is asked */

int fleet_find(const struct fleet *self, const char *name)
{
    for (unsigned i = 0; i < self->slots; i++) {
        if (self->nodes[i].is_there && strcmp(self->nodes[i].config->name, name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

bool fleet_is_up(const struct fleet *self, unsigned node)
{
    assert(node < self->slots);
    return self->nodes[node].apps_reachable > 0;
}

/* The application's index in that node's apps, or -1. */
static int fleet_find_app(const struct fleet *self, unsigned node, const char *app)
{
    assert(node < self->slots);
    const struct config_node *config = self->nodes[node].config;
    for (unsigned i = 0; fleet_has_node(self, node) && i < config->apps_count; i++) {
        if (strcmp(config->apps[i], app) == 0) {
            return (int)i;
        }
    }
    return -1;
}

bool fleet_has_app(const struct fleet *self, unsigned node, const char *app)
{
    return fleet_find_app(self, node, app) >= 0;
}

bool fleet_app_is_up(const struct fleet *self, unsigned node, const char *app)
{
    int index = fleet_find_app(self, node, app);
    return index >= 0 && self->nodes[node].apps[index].state == FEED_LINK_UP;
}

/* Copies what fits. The end is never a part of a character, because the text goes out as JSON. */
static void fleet_keep_error(struct fleet_app *app, const char *detail)
{
    size_t length = strlen(detail);
    if (length > FLEET_ERROR_SIZE - 1) {
        length = FLEET_ERROR_SIZE - 1;
        while (length > 0 && ((unsigned char)detail[length] & 0xC0U) == 0x80U) {
            length--;
        }
    }
    memcpy(app->last_error, detail, length);
    app->last_error[length] = '\0';
}

bool fleet_set_link(struct fleet *self, unsigned node, unsigned app, enum feed_link state,
                    const char *detail)
{
    if (!fleet_has_node(self, node)) {
        return false;
    }
    assert(app < self->nodes[node].config->apps_count);
    struct fleet_node *changed = &self->nodes[node];
    struct fleet_app *link = &changed->apps[app];
    uint64_t now_ns = clock_wall_ns();
    bool was_up = fleet_is_up(self, node);

    if (detail != NULL && detail[0] != '\0') {
        fleet_keep_error(link, detail);
    }
    if (state != link->state) {
        changed->apps_up -= link->state == FEED_LINK_UP;
        changed->apps_reachable -= link->state != FEED_LINK_DOWN;
        link->state = state;
        link->since_ns = now_ns;
        changed->apps_up += state == FEED_LINK_UP;
        changed->apps_reachable += state != FEED_LINK_DOWN;
    }

    bool is_up = fleet_is_up(self, node);
    if (is_up != was_up) {
        changed->since_ns = now_ns;
        self->up += is_up;
        self->up -= was_up;
    }
    return is_up && !was_up;
}

void fleet_measure(struct fleet *self, const struct feed *feed, uint64_t elapsed_ms)
{
    if (elapsed_ms == 0) {
        return; /* no time, no rate: what is new counts for the next time */
    }
    double elapsed_s = (double)elapsed_ms / 1000.0;
    for (unsigned i = 0; i < self->slots; i++) {
        struct fleet_node *node = &self->nodes[i];
        if (node->config == NULL) {
            continue;
        }
        uint64_t events = feed_events(feed, i);
        node->events_per_s = (double)(events - node->events_seen) / elapsed_s;
        node->commands_per_s = (double)(node->commands - node->commands_seen) / elapsed_s;
        node->events_seen = events;
        node->commands_seen = node->commands;
    }
}
