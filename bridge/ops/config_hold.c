/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Who uses a configuration, and where its nodes stand. A reload brings a second one while the first
 * is still in use, in two threads and by what has to end yet; the last of them frees it. Nothing
 * here looks at a value.
 */
#include "arizmq/error.h"
#include "ops/config_internal.h"

#include <stdlib.h>
#include <string.h>

/* A failed allocation must not end the process. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

/* What is derived is not in libcyaml's table, so libcyaml does not free it. */
void config_free(struct config *config)
{
    if (config == NULL) {
        return;
    }
    for (unsigned i = 0; i < config->nodes_count; i++) {
        free(config->nodes[i].host);
        free(config->nodes[i].path);
    }
    cyaml_free(&config_cyaml, &config_schema, config, 0);
}

void config_begin_holds(struct config *config)
{
    atomic_init(&config->holders, 1);
    for (unsigned i = 0; i < config->nodes_count; i++) {
        config->nodes[i].config = config;
    }
}

const struct config *config_hold(const struct config *config)
{
    struct config *counted = (struct config *)(uintptr_t)config;
    if (atomic_load_explicit(&counted->holders, memory_order_relaxed) > 0) {
        atomic_fetch_add_explicit(&counted->holders, 1, memory_order_relaxed);
    }
    return config;
}

void config_release(const struct config **config)
{
    struct config *counted = (struct config *)(uintptr_t)*config;
    *config = NULL;
    if (counted == NULL || atomic_load_explicit(&counted->holders, memory_order_relaxed) == 0) {
        return;
    }
    /* What the others have read was read before it is freed. */
    if (atomic_fetch_sub_explicit(&counted->holders, 1, memory_order_acq_rel) == 1) {
        config_free(counted);
    }
}

void config_destroy(struct config **config)
{
    if (config != NULL) {
        const struct config *held = *config;
        *config = NULL;
        config_release(&held);
    }
}

const struct config_node *config_node_hold(const struct config_node *node)
{
    if (node != NULL && node->config != NULL) {
        config_hold(node->config);
    }
    return node;
}

void config_node_release(const struct config_node **node)
{
    const struct config *config = *node != NULL ? (*node)->config : NULL;
    *node = NULL;
    config_release(&config);
}

bool config_has_node(const struct config *config, unsigned index)
{
    return index < config->nodes_count && config->nodes[index].name != NULL;
}

unsigned config_count_nodes(const struct config *config)
{
    unsigned count = 0;
    for (unsigned i = 0; i < config->nodes_count; i++) {
        count += config_has_node(config, i);
    }
    return count;
}

unsigned config_count_links(const struct config *config)
{
    unsigned count = 0;
    for (unsigned i = 0; i < config->nodes_count; i++) {
        count += config_has_node(config, i) ? config->nodes[i].apps_count : 0;
    }
    return count;
}

/* --- slots */

struct slot {
    UT_hash_handle hh; /* by name */
    unsigned index;
};

/* Where the nodes go. */
struct placement {
    const char *const *taken;
    unsigned taken_count;
    struct slot *slots; /* one for each name that is taken */
    struct slot *by_name;
    unsigned next_free; /* where the next free one is looked for */
};

static int placement_begin(struct placement *placement)
{
    placement->slots = calloc(placement->taken_count + 1UL, sizeof *placement->slots);
    if (placement->slots == NULL) {
        return ARIZMQ_ENOMEM;
    }
    for (unsigned i = 0; i < placement->taken_count; i++) {
        struct slot *slot = &placement->slots[i];
        slot->index = i;
        if (placement->taken[i] != NULL) {
            HASH_ADD_KEYPTR(hh, placement->by_name, placement->taken[i],
                            strlen(placement->taken[i]), slot);
        }
        if (placement->taken[i] != NULL && slot->hh.tbl == NULL) { /* uthash found no memory */
            return ARIZMQ_ENOMEM;
        }
    }
    return ARIZMQ_OK;
}

static unsigned placement_find(struct placement *placement, const char *name)
{
    const struct slot *slot = NULL;
    HASH_FIND_STR(placement->by_name, name, slot);
    if (slot != NULL) {
        return slot->index;
    }
    while (placement->next_free < placement->taken_count &&
           placement->taken[placement->next_free] != NULL) {
        placement->next_free++;
    }
    return placement->next_free++;
}

int config_place_nodes(struct config *config, const char *const *taken, unsigned taken_count)
{
    struct placement placement = {.taken = taken, .taken_count = taken_count};
    struct config_node *placed = calloc(CONFIG_SLOTS_MAX, sizeof *placed);
    int result = placed != NULL ? placement_begin(&placement) : ARIZMQ_ENOMEM;
    unsigned count = 0;
    for (unsigned i = 0; result == ARIZMQ_OK && i < config->nodes_count; i++) {
        unsigned index = placement_find(&placement, config->nodes[i].name);
        if (index >= CONFIG_SLOTS_MAX) {
            result = ARIZMQ_ETOOLARGE;
            break;
        }
        placed[index] = config->nodes[i];
        count = index >= count ? index + 1 : count;
    }
    HASH_CLEAR(hh, placement.by_name);
    free(placement.slots);
    if (result != ARIZMQ_OK) {
        free(placed);
        return result;
    }
    free(config->nodes);
    /* Shrinking; where even that has no memory the whole stays, which holds as much. */
    struct config_node *fitting = realloc(placed, (count > 0 ? count : 1) * sizeof *placed);
    config->nodes = fitting != NULL ? fitting : placed;
    config->nodes_count = count;
    return ARIZMQ_OK;
}
