/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The counters of a view: those of first tokens by name, since heartbeats list them, in order of
 * use; all deeper ones by hash (counter_table.h). The view calls it once for every message, on the
 * event path: one look-up for each token, and no allocation but for a prefix that is new.
 */
#include "publish/counters.h"

#include <stdlib.h>
#include <string.h>

/* The topic's prefixes are hashed here, word by word and each from the one before, not by uthash
 * from the start; and a failed allocation must not end the process. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

#include "base/clock.h"
#include "ops/metrics.h"
#include "publish/counter_table.h"

struct counter {
    UT_hash_handle hh;
    struct counter *prev; /* towards the one used later */
    struct counter *next; /* towards the one used longer ago */
    uint64_t count;
    size_t length;
    char prefix[];
};

struct table {
    struct counter *by_prefix;
    struct counter *latest; /* utlist: latest->prev is the one used longest ago */
    uint32_t size;
};

struct counters {
    unsigned tokens;
    uint32_t max;
    uint64_t seed; /* so that nobody can choose ids that collide */
    uint64_t total;
    struct table first;
    struct counter_table deeper[TOPIC_TOKENS_MAX - 1];
};

struct counters *counters_create(unsigned tokens, uint32_t max)
{
    struct counters *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return NULL;
    }
    self->tokens = tokens;
    self->max = max;
    self->seed = clock_wall_ns() ^ (uint64_t)(uintptr_t)self;
    return self;
}

void counters_destroy(struct counters **self)
{
    if (*self == NULL) {
        return;
    }
    struct table *first = &(*self)->first;
    HASH_CLEAR(hh, first->by_prefix);
    metrics_set(METRIC_COUNTERS, metrics_get(METRIC_COUNTERS) - first->size);
    struct counter *counter = NULL;
    struct counter *next = NULL;
    DL_FOREACH_SAFE(first->latest, counter, next)
    {
        free(counter);
    }
    for (unsigned depth = 1; depth < (*self)->tokens; depth++) {
        counter_table_clear(&(*self)->deeper[depth - 1]);
    }
    free(*self);
    *self = NULL;
}

/* Continues `hash` over bytes[begin..end); may read up to 7 bytes behind, which TOPIC_PADDING
 * allows. */
static uint64_t hash_on(uint64_t hash, const char *bytes, size_t begin, size_t end)
{
    for (size_t at = begin; at < end; at += 8) {
        uint64_t word = 0;
        memcpy(&word, bytes + at, sizeof word);
        if (end - at < 8) {
            word &= ((uint64_t)1 << ((end - at) * 8)) - 1;
        }
        hash = (hash ^ word) * 0x9E3779B97F4A7C15U;
        hash ^= hash >> 32;
    }
    return hash;
}

/* In hash_on() each bit reaches only higher ones; after one more multiplication the upper half
 * depends on all. */
static uint64_t hash_end(uint64_t hash)
{
    return hash * 0x9E3779B97F4A7C15U;
}

static void table_drop_oldest(struct table *table)
{
    struct counter *oldest = table->latest->prev;
    HASH_DEL(table->by_prefix, oldest);
    DL_DELETE(table->latest, oldest);
    table->size--;
    free(oldest);
    metrics_add(METRIC_COUNTERS_EVICTED, 1);
    metrics_set(METRIC_COUNTERS, metrics_get(METRIC_COUNTERS) - 1);
}

static struct counter *table_add(struct table *table, uint32_t max, const char *prefix,
                                 size_t length, unsigned hash)
{
    if (table->size >= max) {
        table_drop_oldest(table);
    }
    struct counter *counter = malloc(sizeof *counter + length);
    if (counter == NULL) {
        return NULL;
    }
    counter->count = 0;
    counter->length = length;
    memcpy(counter->prefix, prefix, length);
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, table->by_prefix, counter->prefix, length, hash, counter);
    if (counter->hh.tbl == NULL) { /* uthash found no memory */
        free(counter);
        return NULL;
    }
    DL_PREPEND(table->latest, counter);
    table->size++;
    metrics_add(METRIC_COUNTERS, 1);
    return counter;
}

static struct counter *table_use(struct table *table, uint32_t max, const char *prefix,
                                 size_t length, unsigned hash)
{
    struct counter *counter = NULL;
    HASH_FIND_BYHASHVALUE(hh, table->by_prefix, prefix, length, hash, counter);
    if (counter == NULL) {
        return table_add(table, max, prefix, length, hash);
    }
    if (counter != table->latest) {
        DL_DELETE(table->latest, counter);
        DL_PREPEND(table->latest, counter);
    }
    return counter;
}

void counters_count(struct counters *self, const struct topic *topic, uint64_t *count)
{
    count[0] = ++self->total;
    uint64_t hash = hash_on(self->seed, topic->bytes, 0, topic->end[0]);
    struct counter *first = table_use(&self->first, self->max, topic->bytes, topic->end[0],
                                      (unsigned)(hash_end(hash) >> 32));
    count[1] = first != NULL ? ++first->count : 1;
    for (unsigned depth = 1; depth < self->tokens; depth++) {
        hash = hash_on(hash, topic->bytes, topic->end[depth - 1], topic->end[depth]);
        count[depth + 1] = counter_table_count(&self->deeper[depth - 1], hash_end(hash), self->max);
    }
}

uint64_t counters_hash(uint64_t seed, const struct topic *topic, unsigned depth)
{
    uint64_t hash = seed;
    for (unsigned i = 0; i <= depth; i++) {
        hash = hash_on(hash, topic->bytes, i > 0 ? topic->end[i - 1] : 0, topic->end[i]);
    }
    return hash_end(hash);
}

void counters_set_max(struct counters *self, uint32_t max)
{
    self->max = max;
}

void counters_trim(struct counters *self, uint32_t most)
{
    for (; most > 0 && self->first.size > self->max; most--) {
        table_drop_oldest(&self->first);
    }
    for (unsigned depth = 1; depth < self->tokens; depth++) {
        counter_table_trim(&self->deeper[depth - 1], self->max);
    }
}

uint64_t counters_total(const struct counters *self)
{
    return self->total;
}

int counters_each_first(const struct counters *self,
                        int (*visit)(void *arg, const char *token, size_t length, uint64_t count),
                        void *arg)
{
    const struct counter *counter = NULL;
    int stop = 0;
    DL_FOREACH(self->first.latest, counter)
    {
        stop = visit(arg, counter->prefix, counter->length, counter->count);
        if (stop != 0) {
            break;
        }
    }
    return stop;
}
