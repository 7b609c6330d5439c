/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The nodes under another configuration. Whatever needs memory or files is made before anything
 * changes; then links come, go, are handed over, or go on with other times. A node's slot is free
 * again when its last link is gone and the command thread has let go of it. reload.c calls it.
 */
#include "node/nodes_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "arizmq/error.h"
#include "base/clock.h"
#include "ops/log.h"

/* What one slot needs. */
struct slot_change {
    unsigned slot;
    char *name;           /* NULL: it keeps its own */
    struct tls_host *tls; /* of its connections from now on; NULL: none */
    struct link **links;  /* by application; NULL in it: the one that is there goes on */
    unsigned count;
};

struct nodes_change {
    const struct config *config; /* held */
    struct slot_change *slots;   /* of the nodes in `config` */
    unsigned slots_count;
    struct parting *partings; /* utlist: room for the links that go */
};

unsigned nodes_names(const struct nodes *self, const char **names)
{
    for (unsigned i = 0; i < self->slots_count; i++) {
        names[i] = self->slots[i].name;
    }
    return self->slots_count;
}

/* --- prepare */

void nodes_change_destroy(struct nodes_change **self)
{
    struct nodes_change *change = *self;
    *self = NULL;
    if (change == NULL) {
        return;
    }
    for (unsigned i = 0; i < change->slots_count; i++) {
        struct slot_change *slot = &change->slots[i];
        for (unsigned k = 0; k < slot->count; k++) {
            link_destroy(&slot->links[k]);
        }
        tls_host_release(&slot->tls);
        free(slot->links);
        free(slot->name);
    }
    free(change->slots);
    while (change->partings != NULL) {
        struct parting *parting = change->partings;
        DL_DELETE(change->partings, parting);
        config_release(&parting->config);
        free(parting);
    }
    config_release(&change->config);
    free(change);
}

static struct link *find_link(const struct node_slot *slot, const char *application)
{
    for (unsigned i = 0; i < slot->count; i++) {
        if (strcmp(link_application(slot->links[i]), application) == 0) {
            return slot->links[i];
        }
    }
    return NULL;
}

static int prepare_links(const struct nodes *nodes, const struct config_node *node,
                         struct slot_change *change)
{
    change->links = calloc(node->apps_count, sizeof(struct link *));
    if (change->links == NULL) {
        return ARIZMQ_ENOMEM;
    }
    change->count = node->apps_count;
    int result = ARIZMQ_OK;
    for (unsigned i = 0; result == ARIZMQ_OK && i < node->apps_count; i++) {
        if (find_link(&nodes->slots[change->slot], node->apps[i]) == NULL) {
            result = link_create(&nodes->environment, node, change->slot, i, change->tls,
                                 &change->links[i]);
        }
    }
    return result;
}

static int prepare_slot(const struct nodes *nodes, const struct reload_plan *plan, unsigned index,
                        struct slot_change *change, char *error, size_t error_size)
{
    const struct config_node *node = &plan->after->nodes[index];
    const struct node_slot *slot = &nodes->slots[index];
    snprintf(error, error_size, "node %s: no memory for its links", node->name);
    change->slot = index;
    if (slot->name == NULL) {
        change->name = strdup(node->name);
        if (change->name == NULL) {
            return ARIZMQ_ENOMEM;
        }
    }
    if ((plan->slots[index] & (RELOAD_IS_ADDED | RELOAD_IS_HANDED_OVER)) == 0) {
        change->tls = tls_host_hold(slot->tls);
    } else {
        int result = nodes_create_tls(nodes, node, &change->tls, error, error_size);
        if (result != ARIZMQ_OK) {
            return result;
        }
    }
    return prepare_links(nodes, node, change);
}

static bool is_same_server(const struct config_node *one, const struct config_node *other)
{
    return one->port == other->port && strcmp(one->host, other->host) == 0 &&
           strcmp(one->path, other->path) == 0;
}

/* Whether another node has that application of the same Asterisk from now on. */
static bool is_moved(const struct reload_plan *plan, unsigned slot, const char *application)
{
    const struct config_node *node = &plan->before->nodes[slot];
    for (unsigned i = 0; i < plan->after->nodes_count; i++) {
        const struct config_node *other = &plan->after->nodes[i];
        if (i == slot || !config_has_node(plan->after, i) || !is_same_server(node, other)) {
            continue;
        }
        for (unsigned k = 0; k < other->apps_count; k++) {
            if (strcmp(other->apps[k], application) == 0) {
                return true;
            }
        }
    }
    return false;
}

/* Room for each link that goes. */
static int prepare_partings(const struct nodes *nodes, const struct reload_plan *plan,
                            struct nodes_change *change)
{
    for (unsigned i = 0; i < nodes->slots_count; i++) {
        for (unsigned k = 0; k < nodes->slots[i].count; k++) {
            struct link *link = nodes->slots[i].links[k];
            if (!reload_app_is_removed(plan, i, link_application(link))) {
                continue;
            }
            struct parting *parting = calloc(1, sizeof *parting);
            if (parting == NULL) {
                return ARIZMQ_ENOMEM;
            }
            parting->link = link;
            parting->config = config_hold(nodes->config);
            parting->slot = i;
            parting->is_moved = is_moved(plan, i, link_application(link));
            DL_APPEND(change->partings, parting);
        }
    }
    return ARIZMQ_OK;
}

int nodes_prepare(struct nodes *self, const struct reload_plan *plan, struct nodes_change **out,
                  char *error, size_t error_size)
{
    snprintf(error, error_size, "no memory for the nodes");
    struct nodes_change *change = calloc(1, sizeof *change);
    if (change == NULL) {
        return ARIZMQ_ENOMEM;
    }
    change->config = config_hold(plan->after);
    change->slots = calloc(plan->after->nodes_count + 1UL, sizeof *change->slots);
    int result = change->slots != NULL ? ARIZMQ_OK : ARIZMQ_ENOMEM;
    if (result == ARIZMQ_OK) {
        result = prepare_partings(self, plan, change);
    }
    for (unsigned i = 0; result == ARIZMQ_OK && i < plan->after->nodes_count; i++) {
        if (config_has_node(plan->after, i)) {
            result = prepare_slot(self, plan, i, &change->slots[change->slots_count++], error,
                                  error_size);
        }
    }
    if (result != ARIZMQ_OK) {
        nodes_change_destroy(&change);
        return result;
    }
    *out = change;
    return ARIZMQ_OK;
}

/* --- commit */

/* Takes the links that go out of their slots. */
static void commit_partings(struct nodes *nodes, struct nodes_change *change)
{
    struct parting *parting = NULL;
    struct parting *next = NULL;
    DL_FOREACH_SAFE(change->partings, parting, next)
    {
        DL_DELETE(change->partings, parting);
        DL_APPEND(nodes->partings, parting);
        bool is_node = !config_has_node(change->config, parting->slot);
        link_detach(parting->link, is_node
                                       ? "the node has been removed from the configuration"
                                       : "the application has been removed from the configuration");
    }
    for (unsigned i = 0; i < nodes->slots_count; i++) {
        struct node_slot *slot = &nodes->slots[i];
        if (slot->is_there && !config_has_node(change->config, i)) {
            slot->is_there = false;
            slot->is_clear = nodes->environment.feed == NULL;
            slot->count = 0;
            free(slot->links);
            slot->links = NULL;
            tls_host_release(&slot->tls);
        }
    }
}

/* A link that was there goes on by its node's new configuration. */
static void go_on(struct link *link, const struct reload_plan *plan, const struct slot_change *to)
{
    const struct config_node *before = &plan->before->nodes[to->slot];
    const struct config_node *after = &plan->after->nodes[to->slot];
    const char *application = link_application(link);
    bool did = reload_hears_all(before, application);
    bool does = reload_hears_all(after, application);
    bool is_handed_over = (plan->slots[to->slot] & RELOAD_IS_HANDED_OVER) != 0;
    int result = ARIZMQ_OK;
    if (did && !does) {
        result = link_reconnect(link, after, to->tls);
    } else if (is_handed_over || (does && !did)) {
        result = link_hand_over(link, after, to->tls);
    } else {
        link_set_node(link, after);
    }
    if (result != ARIZMQ_OK) {
        log_error("handover_failed", "%s/%s: no memory for another connection; it stays as it is",
                  after->name, application);
        link_set_node(link, after);
    }
}

static void commit_slot(struct nodes *nodes, const struct reload_plan *plan,
                        struct slot_change *change)
{
    struct node_slot *slot = &nodes->slots[change->slot];
    const struct config_node *node = &plan->after->nodes[change->slot];
    for (unsigned i = 0; i < change->count; i++) {
        if (change->links[i] == NULL) {
            struct link *link = find_link(slot, node->apps[i]);
            link_set_place(link, i);
            go_on(link, plan, change);
            change->links[i] = link;
        } else {
            link_start(change->links[i]);
        }
    }
    free(slot->links);
    slot->links = change->links;
    slot->count = change->count;
    change->links = NULL;
    change->count = 0;
    if (change->name != NULL) {
        slot->name = change->name;
        change->name = NULL;
    }
    struct tls_host *before = slot->tls;
    slot->tls = change->tls;
    change->tls = NULL;
    tls_host_release(&before);
    slot->is_there = true;
    slot->is_clear = false;
    nodes->slots_count = change->slot >= nodes->slots_count ? change->slot + 1 : nodes->slots_count;
}

static void set_bounds(void *owner, struct link *link)
{
    const struct config *config = owner;
    link_set_max_event_bytes(link, config->limits.max_event_bytes);
}

void nodes_commit(struct nodes *self, struct nodes_change **change, const struct reload_plan *plan)
{
    const struct config *before = self->config;
    self->config = config_hold((*change)->config);
    self->environment.config = self->config;
    commit_partings(self, *change);
    for (unsigned i = 0; i < (*change)->slots_count; i++) {
        commit_slot(self, plan, &(*change)->slots[i]);
    }
    nodes_visit_links(self, set_bounds, (void *)(uintptr_t)self->config);
    nodes_show(self);
    nodes_change_destroy(change);
    config_release(&before);
}

/* --- parting */

void nodes_retire(struct nodes *self)
{
    uint64_t now_ms = clock_monotonic_ms();
    uint32_t stop_ms = self->config->stop_timeout_ms;
    struct parting *parting = NULL;
    DL_FOREACH(self->partings, parting)
    {
        if (parting->by_ms == 0) {
            parting->by_ms = now_ms + (parting->is_moved ? stop_ms : stop_ms / 4);
        }
    }
}

/* Whether there is something that its connection is still good for. */
static bool is_needed(const struct parting *parting)
{
    if (parting->by_ms == 0) {
        return true; /* a command for it may be on its way from the command thread */
    }
    if (link_is_replaced(parting->link)) {
        return true; /* late events; it ends by itself */
    }
    return (parting->is_moved || link_has_commands(parting->link)) &&
           clock_monotonic_ms() < parting->by_ms;
}

static void free_slots(struct nodes *nodes)
{
    for (unsigned i = 0; i < nodes->slots_count; i++) {
        struct node_slot *slot = &nodes->slots[i];
        if (slot->name == NULL || slot->is_there || !slot->is_clear) {
            continue;
        }
        const struct parting *parting = NULL;
        DL_SEARCH_SCALAR(nodes->partings, parting, slot, i);
        if (parting == NULL) {
            free(slot->name);
            *slot = (struct node_slot){0};
        }
    }
}

bool nodes_part(struct nodes *self)
{
    struct parting *parting = NULL;
    struct parting *next = NULL;
    DL_FOREACH_SAFE(self->partings, parting, next)
    {
        if (!parting->is_retired && !link_is_stopped(parting->link) && !is_needed(parting)) {
            parting->is_retired = true;
            link_retire(parting->link);
        }
        if (link_is_stopped(parting->link) && parting->by_ms != 0) {
            link_publish_gone(parting->link);
            nodes_end_parting(self, parting);
        }
    }
    free_slots(self);
    return self->partings != NULL;
}

void nodes_clear(struct nodes *self, unsigned slot)
{
    if (!self->slots[slot].is_there) {
        self->slots[slot].is_clear = true;
        free_slots(self);
    }
}
