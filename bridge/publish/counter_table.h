/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Counters by the hash of their prefix, bounded, and laid out so that a message that needs one
 * costs one or two cache lines, however many there are.
 *
 * There are two generations of at most half the bound each. A counter that is used is in the
 * younger one. When that is full it becomes the elder, and what was in the elder and has not been
 * used since leaves. So a counter stays as long as fewer than half the bound of others were used
 * after it.
 *
 * Prefixes are known by 64 bits alone. Two that share them share a counter: their subscribers then
 * see jumps, as they would for a loss, and never miss one.
 */
#ifndef ARIZMQ_PUBLISH_COUNTER_TABLE_H
#define ARIZMQ_PUBLISH_COUNTER_TABLE_H

#include <stdint.h>

struct counter_slot {
    uint64_t hash;
    uint64_t count; /* 0: the slot is free, or its counter has gone to the younger generation */
};

struct counter_generation {
    struct counter_slot *slots; /* NULL: none yet */
    uint32_t slots_count;       /* a power of two, at least twice `used` */
    uint32_t used;              /* slots with a hash */
    uint32_t held;              /* slots with a count */
};

/* All zeroes at first. */
struct counter_table {
    struct counter_generation younger;
    struct counter_generation elder;
};

/* Counts one for the prefix with this hash, at most `max` (1 or more) being held, and returns its
 * count: 1 where it is new, and where there is no memory to remember it. */
uint64_t counter_table_count(struct counter_table *self, uint64_t hash, uint32_t max);

/* Lets go of the elder generation, or of all where that is not enough, if more than `max` are held.
 */
void counter_table_trim(struct counter_table *self, uint32_t max);

uint32_t counter_table_held(const struct counter_table *self);

/* Empty again; counts as no eviction. */
void counter_table_clear(struct counter_table *self);

#endif
