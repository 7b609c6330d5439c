/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The gateway under another configuration. The event thread prepares whatever needs memory, so that
 * the change cannot fail half-way, and hands it over; the command thread takes it in between two
 * records of the feed: what comes before it is told of the nodes as they were, what comes after it
 * of the new ones. A removed node's slot stays in use as long as a command or a question that was
 * put to it is under way.
 */
#include "gateway/gateway_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"
#include "ops/log.h"
#include "ops/metrics.h"

/* What becomes of one slot, with what it needs for that. */
struct node_change {
    unsigned slot;
    bool is_added;
    bool is_removed;
    bool is_elsewhere;      /* it may be another Asterisk now */
    struct http_node *http; /* NULL: it keeps its connections */
    struct fleet_app *apps; /* NULL: they are the same */
};

struct gateway_change {
    const struct config *config; /* held */
    uint64_t number;
    struct node_change *nodes;
    unsigned nodes_count;
};

/* --- the event thread */

void gateway_change_destroy(struct gateway_change **self)
{
    struct gateway_change *change = *self;
    *self = NULL;
    if (change == NULL) {
        return;
    }
    for (unsigned i = 0; i < change->nodes_count; i++) {
        http_node_destroy(&change->nodes[i].http);
        free(change->nodes[i].apps);
    }
    free(change->nodes);
    config_release(&change->config);
    free(change);
}

static bool has_same_apps(const struct config_node *one, const struct config_node *other)
{
    bool is_same = one->apps_count == other->apps_count;
    for (unsigned i = 0; is_same && i < one->apps_count; i++) {
        is_same = strcmp(one->apps[i], other->apps[i]) == 0;
    }
    return is_same;
}

static int prepare_node(struct gateway *gateway, const struct reload_plan *plan,
                        struct node_change *node, char *error, size_t error_size)
{
    const struct config_node *after = &plan->after->nodes[node->slot];
    int result = ARIZMQ_OK;
    if ((plan->slots[node->slot] & (RELOAD_IS_ADDED | RELOAD_IS_HANDED_OVER)) != 0) {
        result = http_node_create(gateway->transport.http, after, &node->http, error, error_size);
    }
    if (result == ARIZMQ_OK &&
        (node->is_added || !has_same_apps(&plan->before->nodes[node->slot], after))) {
        node->apps = fleet_apps_create(after);
        result = node->apps != NULL ? ARIZMQ_OK : ARIZMQ_ENOMEM;
    }
    return result;
}

int gateway_prepare(struct gateway *self, const struct reload_plan *plan,
                    struct gateway_change **out, char *error, size_t error_size)
{
    snprintf(error, error_size, "no memory for the gateway");
    struct gateway_change *change = calloc(1, sizeof *change);
    if (change == NULL) {
        return ARIZMQ_ENOMEM;
    }
    change->config = config_hold(plan->after);
    change->nodes = calloc(plan->slots_count + 1UL, sizeof *change->nodes);
    int result = change->nodes != NULL ? ARIZMQ_OK : ARIZMQ_ENOMEM;
    for (unsigned i = 0; result == ARIZMQ_OK && i < plan->slots_count; i++) {
        if (!config_has_node(plan->after, i) && !config_has_node(plan->before, i)) {
            continue;
        }
        struct node_change *node = &change->nodes[change->nodes_count++];
        node->slot = i;
        node->is_added = (plan->slots[i] & RELOAD_IS_ADDED) != 0;
        node->is_removed = (plan->slots[i] & RELOAD_IS_REMOVED) != 0;
        node->is_elsewhere = (plan->slots[i] & RELOAD_IS_HANDED_OVER) != 0;
        if (!node->is_removed) {
            result = prepare_node(self, plan, node, error, error_size);
        }
    }
    if (result != ARIZMQ_OK) {
        gateway_change_destroy(&change);
        return result;
    }
    *out = change;
    return ARIZMQ_OK;
}

static void discard(void *thing)
{
    struct gateway_change *change = thing;
    gateway_change_destroy(&change);
}

int gateway_commit(struct gateway *self, struct gateway_change **change, uint64_t number)
{
    struct gateway_change *handed = *change;
    *change = NULL;
    handed->number = number;
    return feed_hand(self->feed, FEED_CONFIG, number, handed, discard);
}

/* --- the command thread */

static void add_node(struct gateway *gateway, struct node_change *node,
                     const struct config_node *config)
{
    bool was_leaving = gateway->fleet->nodes[node->slot].config != NULL;
    gateway->leaving -= was_leaving;
    fleet_add(gateway->fleet, node->slot, config, node->apps);
    if (!was_leaving) {
        gateway->fleet->nodes[node->slot].events_seen = feed_events(gateway->feed, node->slot);
    }
    owners_admit_node(gateway->owners, node->slot);
    http_set_node(gateway->transport.http, node->slot, node->http);
    over_ws_set_node(gateway->transport.over_ws, node->slot, config);
    node->apps = NULL;
    node->http = NULL;
}

/* What is under way to it goes on; nothing new is put to it. */
static void remove_node(struct gateway *gateway, unsigned slot)
{
    over_ws_leave_node(gateway->transport.over_ws, slot);
    fleet_remove(gateway->fleet, slot);
    owners_forget_node(gateway->owners, slot);
    census_forget(gateway->census, slot);
    gateway->leaving++;
}

static void change_node(struct gateway *gateway, struct node_change *node,
                        const struct config_node *config)
{
    if (node->http != NULL) {
        http_set_node(gateway->transport.http, node->slot, node->http);
        node->http = NULL;
    } else {
        http_change_node(gateway->transport.http, node->slot, config);
    }
    over_ws_set_node(gateway->transport.over_ws, node->slot, config);
    bool goes_down = fleet_change(gateway->fleet, node->slot, config, node->apps);
    node->apps = NULL;
    if (goes_down) {
        commands_node_down(&gateway->commands, node->slot);
    } else if (node->is_elsewhere && fleet_is_up(gateway->fleet, node->slot)) {
        census_begin(gateway->census, node->slot);
    }
}

static void take_bounds(struct gateway *gateway)
{
    const struct config *config = gateway->config;
    gateway->transport.config = config;
    gateway->own.config = config;
    gateway->takeover.config = config;
    gateway->commands.config = config;
    http_set_config(gateway->transport.http, config);
    over_ws_set_config(gateway->transport.over_ws, config);
    once_set_config(gateway->once, &config->gateway);
    history_desk_set_config(gateway->desk, &config->history);
    snapshot_desk_set_config(gateway->snapshots, config);
    owners_set_bounds(gateway->owners, config->gateway.max_objects,
                      config->gateway.max_objects / GATEWAY_ENDED_SHARE + 1);
    gateway_show_bounds(&config->gateway);
}

void gateway_take_change(struct gateway *self, struct gateway_change *change)
{
    /* First those that go: what is looked for meanwhile is looked for among the others. */
    for (unsigned i = 0; i < change->nodes_count; i++) {
        if (change->nodes[i].is_removed) {
            remove_node(self, change->nodes[i].slot);
        }
    }
    const struct config *before = self->config;
    self->config = config_hold(change->config);
    take_bounds(self);
    for (unsigned i = 0; i < change->nodes_count; i++) {
        struct node_change *node = &change->nodes[i];
        if (node->is_added) {
            add_node(self, node, &self->config->nodes[node->slot]);
        } else if (!node->is_removed) {
            change_node(self, node, &self->config->nodes[node->slot]);
        }
    }
    config_release(&before);
    self->taken_number = change->number;
    log_debug("gateway_reloaded", "%u node(s), %u on their way out", self->fleet->count,
              self->leaving);
    gateway_change_destroy(&change);
}

/* Whether the slot of a removed node can be had by another. */
static bool is_clear(const struct gateway *gateway, unsigned slot)
{
    const struct fleet_node *node = &gateway->fleet->nodes[slot];
    return node->config != NULL && !node->is_there && node->references == 0 &&
           !census_is_asking(gateway->census, slot);
}

static void clear_slots(struct gateway *gateway)
{
    for (unsigned i = 0; gateway->leaving > 0 && i < gateway->fleet->slots; i++) {
        if (!is_clear(gateway, i)) {
            continue;
        }
        if (post_send(gateway->post, POST_NODE_CLEAR, i, 0, NULL, 0) != ARIZMQ_OK) {
            return; /* no room: with the next turn */
        }
        over_ws_clear_node(gateway->transport.over_ws, i);
        http_clear_node(gateway->transport.http, i);
        fleet_clear(gateway->fleet, i);
        gateway->leaving--;
    }
}

void gateway_change_turn(struct gateway *self)
{
    if (self->taken_number != self->told_number &&
        post_send(self->post, POST_CONFIG_TAKEN, 0, self->taken_number, NULL, 0) == ARIZMQ_OK) {
        self->told_number = self->taken_number;
    }
    if (self->leaving > 0) {
        clear_slots(self);
    }
}
