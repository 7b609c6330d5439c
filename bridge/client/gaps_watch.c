/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The table of counters that a gap checker remembers: key (a topic's first tokens) to last count.
 * gaps.c calls it once for each message, gaps_heartbeat.c once for each counter that a heartbeat
 * names. Here alone is decided what a jump means. It never grows beyond watched_max.
 */
#define HASH_NONFATAL_OOM 1
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#include "arizmq/error.h"
#include "client/gaps_private.h"

struct gaps_watch {
    UT_hash_handle hh;
    struct gaps_watch *prev;
    struct gaps_watch *next;
    uint64_t count;
    uint64_t seq;      /* everything up to here is accounted for */
    uint64_t position; /* the same, as count[0] */
    size_t key_length;
    char key[];
};

static struct gaps_watch *watch_find(const struct arizmq_gaps *self, const char *key, size_t length)
{
    struct gaps_watch *watch = NULL;
    HASH_FIND(hh, self->table, key, length, watch);
    return watch;
}

static void watch_remove(struct arizmq_gaps *self, struct gaps_watch *watch)
{
    HASH_DEL(self->table, watch); /* NOLINT(clang-analyzer-core.NullDereference): it is in there */
    DL_DELETE(self->least_used, watch);
    free(watch);
}

static void watch_evict_least_used(struct arizmq_gaps *self)
{
    watch_remove(self, self->least_used);
    self->evicted++;
    self->zero_is_known = false;
    self->zero_is_known_of_first_tokens = false;
}

static struct gaps_watch *watch_add(struct arizmq_gaps *self, const char *key, size_t length)
{
    struct gaps_watch *watch = malloc(sizeof *watch + length);
    if (watch == NULL) {
        return NULL;
    }
    if (HASH_COUNT(self->table) >= self->watched_max) {
        watch_evict_least_used(self);
    }
    *watch = (struct gaps_watch){.key_length = length};
    memcpy(watch->key, key, length);
    HASH_ADD_KEYPTR(hh, self->table, watch->key, length, watch);
    if (watch->hh.tbl == NULL) {
        free(watch);
        return NULL;
    }
    DL_APPEND(self->least_used, watch);
    return watch;
}

/* What a reading says about a counter that was last known as `last`. */
static enum arizmq_gaps_verdict judge(const struct gaps_reading *reading,
                                      const struct gaps_watch *last, uint64_t *missing)
{
    *missing = 0;
    /* A heartbeat repeats the position of the message before it. */
    bool is_message = reading->reached != reading->count;
    if (reading->position < last->position || (is_message && reading->position == last->position)) {
        return ARIZMQ_GAPS_REPEATED;
    }
    if (reading->reached == last->count) {
        return ARIZMQ_GAPS_OK;
    }
    if (reading->reached > last->count) {
        *missing = reading->reached - last->count;
        return ARIZMQ_GAPS_GAP;
    }
    *missing = reading->reached;
    return ARIZMQ_GAPS_STARTED_ANEW;
}

/* Whether nothing is known of the counter: it is not in the table, and such need not be zero. */
static bool watch_is_unheard_of(const struct arizmq_gaps *self, const struct gaps_reading *reading)
{
    bool is_zero = self->zero_is_known || (self->prefixes[reading->prefix].depth == 1 &&
                                           self->zero_is_known_of_first_tokens);
    return !is_zero && watch_find(self, reading->key, reading->key_length) == NULL;
}

/* The counter in the table, or a new one, which stands at zero where that is known. */
static struct gaps_watch *watch_obtain(struct arizmq_gaps *self, const struct gaps_reading *reading)
{
    struct gaps_watch *watch = watch_find(self, reading->key, reading->key_length);
    if (watch == NULL) {
        uint64_t zero_seq = self->zero_seq;
        watch = watch_add(self, reading->key, reading->key_length);
        if (watch != NULL) {
            watch->seq = zero_seq;
        }
    }
    return watch;
}

static void result_merge(struct arizmq_gaps_result *result, enum arizmq_gaps_verdict verdict,
                         uint64_t missing, uint64_t after_seq, unsigned prefix)
{
    if (missing > 0 && (result->missing == 0 || after_seq < result->after_seq)) {
        result->after_seq = after_seq;
    }
    if (missing > 0 && result->missing == 0) {
        result->prefix = prefix;
    }
    result->missing += missing;
    if (verdict > result->verdict) {
        result->verdict = verdict;
    }
}

int gaps_watch_read(struct arizmq_gaps *self, const struct gaps_reading *reading,
                    struct gaps_pass *pass)
{
    bool is_message = reading->reached != reading->count;
    /* Asked before a new watch can evict another one. */
    bool is_first = watch_is_unheard_of(self, reading);
    if (is_first && pass->ignores_first) {
        result_merge(&pass->result, ARIZMQ_GAPS_FIRST, 0, 0, reading->prefix);
        return ARIZMQ_OK;
    }
    struct gaps_watch *watch = watch_obtain(self, reading);
    if (watch == NULL) {
        return ARIZMQ_ENOMEM;
    }
    uint64_t missing = 0;
    uint64_t after_seq = watch->seq;
    enum arizmq_gaps_verdict verdict =
        is_first ? ARIZMQ_GAPS_FIRST : judge(reading, watch, &missing);
    bool is_held = missing > 0 && pass->tell != NULL;
    if (is_held) {
        pass->tell(pass->argument, reading->prefix, after_seq, missing);
    } else if (verdict != ARIZMQ_GAPS_REPEATED) {
        struct arizmq_gaps_totals *totals = &self->prefixes[reading->prefix];
        watch->count = reading->count;
        watch->seq = reading->seq;
        watch->position = reading->position;
        totals->received += is_message;
        totals->missing += missing;
        totals->started_anew += verdict == ARIZMQ_GAPS_STARTED_ANEW;
    }
    if (is_message) {
        DL_DELETE(self->least_used, watch);
        DL_APPEND(self->least_used, watch);
    }
    result_merge(&pass->result, verdict, missing, after_seq, reading->prefix);
    return ARIZMQ_OK;
}

bool gaps_watch_seq(const struct arizmq_gaps *self, const char *key, size_t key_length,
                    uint64_t *seq)
{
    const struct gaps_watch *watch = watch_find(self, key, key_length);
    if (watch != NULL) {
        *seq = watch->seq;
    }
    return watch != NULL;
}

bool gaps_watch_holds(const struct arizmq_gaps *self, const char *key, size_t key_length)
{
    return watch_find(self, key, key_length) != NULL;
}

void gaps_watch_clear(struct arizmq_gaps *self)
{
    while (self->least_used != NULL) {
        watch_remove(self, self->least_used);
    }
}

size_t arizmq_gaps_watched(const struct arizmq_gaps *self)
{
    return HASH_COUNT(self->table);
}
