/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Open addressing with linear probing. Slots are never freed one by one: a generation leaves as a
 * whole, and its memory is used again for the next.
 */
#include "publish/counter_table.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "ops/metrics.h"

enum { SLOTS_LEAST = 64 };

static const uint64_t no_hash = 0;

/* The slot that has `hash`, or the free one where it would be. There is always a free one. */
static struct counter_slot *find_slot(const struct counter_generation *generation, uint64_t hash)
{
    uint32_t mask = generation->slots_count - 1;
    for (uint32_t at = (uint32_t)(hash >> 32) & mask;; at = (at + 1) & mask) {
        struct counter_slot *slot = &generation->slots[at];
        if (slot->hash == hash || slot->hash == no_hash) {
            return slot;
        }
    }
}

/* Returns false where there is no memory for more slots and half of those there are is used. */
static bool make_room(struct counter_generation *generation)
{
    if (generation->slots != NULL && generation->used < generation->slots_count / 2) {
        return true;
    }
    struct counter_generation larger = {
        .slots_count = generation->slots != NULL ? generation->slots_count * 2 : SLOTS_LEAST};
    larger.slots = calloc(larger.slots_count, sizeof *larger.slots);
    if (larger.slots == NULL) {
        return false;
    }
    for (uint32_t i = 0; generation->slots != NULL && i < generation->slots_count; i++) {
        if (generation->slots[i].count != 0) {
            *find_slot(&larger, generation->slots[i].hash) = generation->slots[i];
            larger.used++;
        }
    }
    larger.held = larger.used;
    free(generation->slots);
    *generation = larger;
    return true;
}

static void change_held(int64_t more)
{
    metrics_set(METRIC_COUNTERS, metrics_get(METRIC_COUNTERS) + (uint64_t)more);
}

/* Forgets what is in it and keeps its memory. */
static void empty(struct counter_generation *generation)
{
    metrics_add(METRIC_COUNTERS_EVICTED, generation->held);
    change_held(-(int64_t)generation->held);
    if (generation->used > 0) {
        memset(generation->slots, 0, generation->slots_count * sizeof *generation->slots);
    }
    generation->used = 0;
    generation->held = 0;
}

/* The younger generation becomes the elder one, whose memory the new one gets. */
static void grow_older(struct counter_table *self)
{
    empty(&self->elder);
    struct counter_generation emptied = self->elder;
    self->elder = self->younger;
    self->younger = emptied;
}

/* Takes the counter with this hash out of the elder generation; 0: it is not there. */
static uint64_t take_from_elder(struct counter_generation *elder, uint64_t hash)
{
    if (elder->held == 0) {
        return 0;
    }
    struct counter_slot *slot = find_slot(elder, hash);
    uint64_t count = slot->count;
    if (count != 0) {
        slot->count = 0;
        elder->held--;
        change_held(-1);
    }
    return count;
}

uint64_t counter_table_count(struct counter_table *self, uint64_t hash, uint32_t max)
{
    hash += hash == no_hash;
    struct counter_generation *younger = &self->younger;
    if (younger->slots != NULL) {
        struct counter_slot *slot = find_slot(younger, hash);
        if (slot->hash == hash) {
            return ++slot->count;
        }
    }
    uint64_t count = take_from_elder(&self->elder, hash) + 1;
    uint32_t half = max > 1 ? max / 2 : 1;
    if (younger->held >= half) {
        grow_older(self);
    }
    if (max == 1) {
        empty(&self->elder);
    }
    if (make_room(younger)) {
        *find_slot(younger, hash) = (struct counter_slot){hash, count};
        younger->used++;
        younger->held++;
        change_held(1);
    }
    return count;
}

void counter_table_trim(struct counter_table *self, uint32_t max)
{
    if (counter_table_held(self) > max) {
        empty(&self->elder);
    }
    if (counter_table_held(self) > max) {
        empty(&self->younger);
    }
}

uint32_t counter_table_held(const struct counter_table *self)
{
    return self->younger.held + self->elder.held;
}

void counter_table_clear(struct counter_table *self)
{
    change_held(-(int64_t)counter_table_held(self));
    free(self->younger.slots);
    free(self->elder.slots);
    *self = (struct counter_table){0};
}
