/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A ring of bytes with one writing and one reading thread. Each side owns one running total of
 * bytes; the difference is what is in use. A record lies in one piece: where it does not fit before
 * the end of the ring, the rest there is skipped. Called by gateway/feed.c from both its threads;
 * nothing here waits or allocates after queue_create().
 */
#include "base/queue.h"

#include <assert.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"

enum {
    CAPACITY_MIN = 1024,
    CACHE_LINE_BYTES = 64,
};

/* In front of each record; as long as the alignment, so that the record behind it is aligned. */
struct head {
    alignas(max_align_t) size_t length; /* of the record; SKIP: go on at the beginning */
};

#define SKIP SIZE_MAX

/* The threads' members lie in cache lines of their own, so that they do not slow each other. */
struct queue {
    char *ring;
    size_t capacity; /* a multiple of sizeof(struct head) */

    alignas(CACHE_LINE_BYTES) _Atomic uint64_t written; /* bytes in all, skipped ones among them */
    uint64_t taken_seen; /* what the writing thread last saw of `taken` */
    size_t write_at;

    alignas(CACHE_LINE_BYTES) _Atomic uint64_t taken; /* bytes in all */
    uint64_t written_seen; /* what the reading thread last saw of `written` */
    size_t read_at;
};

static size_t round_up(size_t length)
{
    return (length + sizeof(struct head) - 1) / sizeof(struct head) * sizeof(struct head);
}

int queue_create(size_t capacity, struct queue **out)
{
    if (capacity < CAPACITY_MIN || capacity > SIZE_MAX / 2) {
        return ARIZMQ_EINVALID;
    }
    struct queue *queue = aligned_alloc(alignof(struct queue), sizeof *queue);
    if (queue == NULL) {
        return ARIZMQ_ENOMEM;
    }
    memset(queue, 0, sizeof *queue);
    queue->capacity = round_up(capacity);
    queue->ring = malloc(queue->capacity);
    if (queue->ring == NULL) {
        free(queue);
        return ARIZMQ_ENOMEM;
    }
    *out = queue;
    return ARIZMQ_OK;
}

void queue_destroy(struct queue **self)
{
    if (*self != NULL) {
        free((*self)->ring);
        free(*self);
        *self = NULL;
    }
}

/* Whether `wanted` bytes are free, as far as the writing thread knows; it asks the other side only
 * where that does not suffice. */
static bool has_room(struct queue *queue, uint64_t written, size_t wanted)
{
    if (queue->capacity - (size_t)(written - queue->taken_seen) >= wanted) {
        return true;
    }
    queue->taken_seen = atomic_load_explicit(&queue->taken, memory_order_acquire);
    return queue->capacity - (size_t)(written - queue->taken_seen) >= wanted;
}

int queue_push(struct queue *self, const struct queue_part *parts, unsigned count, size_t reserve)
{
    size_t length = 0;
    for (unsigned i = 0; i < count; i++) {
        if (parts[i].length > self->capacity - length) {
            return ARIZMQ_ETOOLARGE;
        }
        length += parts[i].length;
    }
    size_t needed = sizeof(struct head) + round_up(length);
    if (needed > self->capacity / 2 || reserve > self->capacity) {
        return ARIZMQ_ETOOLARGE;
    }
    size_t left = self->capacity - self->write_at;
    size_t skipped = left < needed ? left : 0;
    uint64_t written = atomic_load_explicit(&self->written, memory_order_relaxed);
    if (!has_room(self, written, skipped + needed + reserve)) {
        return ARIZMQ_ETOOLARGE;
    }
    if (skipped > 0) {
        *(struct head *)(void *)(self->ring + self->write_at) = (struct head){.length = SKIP};
        self->write_at = 0;
    }
    char *at = self->ring + self->write_at;
    *(struct head *)(void *)at = (struct head){.length = length};
    at += sizeof(struct head);
    for (unsigned i = 0; i < count; i++) {
        if (parts[i].length > 0) {
            memcpy(at, parts[i].bytes, parts[i].length);
            at += parts[i].length;
        }
    }
    self->write_at = (self->write_at + needed) % self->capacity;
    atomic_store_explicit(&self->written, written + skipped + needed, memory_order_release);
    return ARIZMQ_OK;
}

size_t queue_used(const struct queue *self)
{
    uint64_t written = atomic_load_explicit(&self->written, memory_order_relaxed);
    return (size_t)(written - atomic_load_explicit(&self->taken, memory_order_acquire));
}

static const struct head *head_at(const struct queue *queue)
{
    return (const struct head *)(const void *)(queue->ring + queue->read_at);
}

const void *queue_front(struct queue *self, size_t *length)
{
    uint64_t taken = atomic_load_explicit(&self->taken, memory_order_relaxed);
    if (self->written_seen == taken) {
        self->written_seen = atomic_load_explicit(&self->written, memory_order_acquire);
        if (self->written_seen == taken) {
            return NULL;
        }
    }
    if (head_at(self)->length == SKIP) { /* never the last: it comes with the record behind it */
        size_t skipped = self->capacity - self->read_at;
        self->read_at = 0;
        atomic_store_explicit(&self->taken, taken + skipped, memory_order_release);
    }
    *length = head_at(self)->length;
    return self->ring + self->read_at + sizeof(struct head);
}

void queue_pop(struct queue *self)
{
    uint64_t taken = atomic_load_explicit(&self->taken, memory_order_relaxed);
    assert(self->written_seen != taken);
    size_t used = sizeof(struct head) + round_up(head_at(self)->length);
    self->read_at = (self->read_at + used) % self->capacity;
    atomic_store_explicit(&self->taken, taken + used, memory_order_release);
}
