/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The segments of history: a new one at the end when the last is full, the oldest away when the
 * bounds say so. history.c calls it, in the event thread. A segment that a reader has announced
 * stays until it is let go; it still counts, so that readers cannot make history grow.
 */
#include <stdlib.h>

#include "keep/history_private.h"
#include "ops/metrics.h"

bool history_open_segment(struct history *self, size_t capacity)
{
    struct history_segment *segment = malloc(sizeof *segment + capacity);
    if (segment == NULL) {
        return false;
    }
    struct history_segment *last = atomic_load_explicit(&self->tail, memory_order_relaxed);
    segment->number = last != NULL ? last->number + 1 : 1;
    segment->prev = last;
    segment->capacity = capacity;
    atomic_init(&segment->next, NULL);
    atomic_init(&segment->first_seq, HISTORY_NO_SEQ);
    atomic_init(&segment->committed, 0);
    segment->bytes = sizeof *segment + capacity + HISTORY_MALLOC_BYTES;
    segment->events = 0;
    segment->first_ns = 0;
    segment->last_ns = 0;
    segment->next_dropped = NULL;
    self->bytes += segment->bytes;
    if (last != NULL) {
        atomic_store_explicit(&last->next, segment, memory_order_release);
    } else {
        self->head = segment;
    }
    atomic_store(&self->tail, segment);
    return true;
}

static struct history_segment *next_of(const struct history_segment *segment)
{
    return atomic_load_explicit(&segment->next, memory_order_relaxed);
}

void history_free_segment(struct history_segment *segment)
{
    size_t end = atomic_load_explicit(&segment->committed, memory_order_relaxed);
    for (size_t at = 0; at < end;) {
        struct history_record *record = (struct history_record *)(void *)(segment->records + at);
        at += record->length;
        zmq_msg_close(&record->payload);
    }
    free(segment);
}

static bool is_pinned(const struct history *self, const struct history_segment *segment)
{
    for (unsigned i = 0; i < HISTORY_READERS_MAX; i++) {
        if (atomic_load(&self->pins[i]) == segment) {
            return true;
        }
    }
    return false;
}

/* The seq of the first event that is held. */
static uint64_t find_oldest(const struct history *self)
{
    for (const struct history_segment *segment = self->head; segment != NULL;
         segment = next_of(segment)) {
        uint64_t first = atomic_load_explicit(&segment->first_seq, memory_order_relaxed);
        if (first != HISTORY_NO_SEQ) {
            return first;
        }
    }
    return atomic_load_explicit(&self->newest, memory_order_relaxed) + 1;
}

bool history_drop_head(struct history *self)
{
    struct history_segment *segment = self->head;
    if (next_of(segment) == NULL && !history_open_segment(self, 0)) {
        return false;
    }
    self->head = next_of(segment);
    self->events -= segment->events;
    metrics_add(METRIC_HISTORY_TRIMMED, segment->events);
    /* In this order: a reader that finds a segment gone finds the new `oldest`, too. */
    atomic_store_explicit(&self->oldest, find_oldest(self), memory_order_release);
    atomic_store(&self->head_number, self->head->number);
    if (is_pinned(self, segment)) {
        segment->next_dropped = self->dropped;
        self->dropped = segment;
        self->dropped_bytes += segment->bytes;
    } else {
        self->bytes -= segment->bytes;
        history_free_segment(segment);
    }
    return true;
}

void history_free_dropped(struct history *self)
{
    struct history_segment **link = &self->dropped;
    while (*link != NULL) {
        struct history_segment *segment = *link;
        if (is_pinned(self, segment)) {
            link = &segment->next_dropped;
            continue;
        }
        *link = segment->next_dropped;
        self->dropped_bytes -= segment->bytes;
        self->bytes -= segment->bytes;
        history_free_segment(segment);
    }
}

bool history_can_hold(const struct history *self, size_t bytes)
{
    return self->fixed_bytes + self->dropped_bytes + bytes <= self->max_bytes;
}

bool history_make_room(struct history *self, size_t bytes)
{
    if (self->bytes + bytes <= self->max_bytes) {
        return true;
    }
    history_free_dropped(self);
    if (!history_can_hold(self, bytes)) {
        return false;
    }
    while (self->bytes + bytes > self->max_bytes && self->events > 0) {
        if (!history_drop_head(self)) {
            break;
        }
    }
    return self->bytes + bytes <= self->max_bytes;
}
