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

static int fleet_init_node(struct fleet_node *node, const struct config_node *config,
                           uint64_t now_ns)
{
    node->config = config;
    node->since_ns = now_ns;
    node->apps = calloc(config->apps_count, sizeof *node->apps);
    if (node->apps == NULL) {
        return ARIZMQ_ENOMEM;
    }
    for (unsigned i = 0; i < config->apps_count; i++) {
        node->apps[i].state = FEED_LINK_DOWN;
        node->apps[i].since_ns = now_ns;
    }
    return ARIZMQ_OK;
}

int fleet_create(const struct config *config, struct fleet **out)
{
    struct fleet *fleet = calloc(1, sizeof *fleet);
    if (fleet == NULL) {
        return ARIZMQ_ENOMEM;
    }
    fleet->config = config;
    fleet->nodes = calloc(config->nodes_count, sizeof *fleet->nodes);
    int result = fleet->nodes == NULL ? ARIZMQ_ENOMEM : ARIZMQ_OK;
    uint64_t now_ns = clock_wall_ns();
    for (unsigned i = 0; result == ARIZMQ_OK && i < config->nodes_count; i++) {
        result = fleet_init_node(&fleet->nodes[i], &config->nodes[i], now_ns);
        fleet->count += result == ARIZMQ_OK;
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
    for (unsigned i = 0; i < (*self)->count; i++) {
        free((*self)->nodes[i].apps);
        free((*self)->nodes[i].version);
    }
    free((*self)->nodes);
    free(*self);
    *self = NULL;
}

int fleet_find(const struct fleet *self, const char *name)
{
    for (unsigned i = 0; i < self->count; i++) {
        if (strcmp(self->nodes[i].config->name, name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

bool fleet_is_up(const struct fleet *self, unsigned node)
{
    assert(node < self->count);
    return self->nodes[node].apps_reachable > 0;
}

/* The application's index in that node's apps, or -1. */
static int fleet_find_app(const struct fleet *self, unsigned node, const char *app)
{
    assert(node < self->count);
    const struct config_node *config = self->nodes[node].config;
    for (unsigned i = 0; i < config->apps_count; i++) {
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
    assert(node < self->count && app < self->nodes[node].config->apps_count);
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
    for (unsigned i = 0; i < self->count; i++) {
        struct fleet_node *node = &self->nodes[i];
        uint64_t events = feed_events(feed, i);
        node->events_per_s = (double)(events - node->events_seen) / elapsed_s;
        node->commands_per_s = (double)(node->commands - node->commands_seen) / elapsed_s;
        node->events_seen = events;
        node->commands_seen = node->commands;
    }
}
