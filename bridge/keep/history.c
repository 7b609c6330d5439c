/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The writing side of history: the pipeline calls it once before an event is published, once for
 * each of its messages, and once after. It copies topics and counts, shares the payload, and makes
 * room by dropping the oldest segments. Nothing here waits, and but for a segment now and then
 * nothing allocates.
 */
#include "keep/history.h"

#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"
#include "keep/history_private.h"
#include "ops/log.h"
#include "ops/metrics.h"

enum {
    SEGMENT_BYTES_MIN = 1024, /* of records */
    SEGMENT_BYTES_MAX = 65536,
    SEGMENT_SHARE = 256, /* of max_bytes, between these two */
    /* A segment takes no further event when this share of a bound is reached. */
    SPAN_SHARE = 64,
    SPAN_BYTES_MIN = 4096,
    /* Dropped at one time: with all their events they take some milliseconds. */
    DROPPED_AT_ONCE_MAX = 256,
    /* What libzmq keeps beside a payload, and up to which size it keeps it in the zmq_msg_t. */
    PAYLOAD_HEAD_BYTES = 40,
    PAYLOAD_INLINE_MAX = 33,
    /* From here on malloc() takes whole pages. */
    PAGES_FROM_BYTES = 131072,
    PAGE_BYTES = 4096,
};

static size_t round_up(size_t bytes, size_t to)
{
    return (bytes + to - 1) / to * to;
}

/* What a payload takes of the heap. */
static size_t payload_bytes(zmq_msg_t *payload)
{
    size_t size = zmq_msg_size(payload);
    if (size <= PAYLOAD_INLINE_MAX) {
        return 0;
    }
    size_t bytes = round_up(size + PAYLOAD_HEAD_BYTES + HISTORY_MALLOC_BYTES / 2, 16);
    return bytes < PAGES_FROM_BYTES ? bytes : round_up(bytes + HISTORY_MALLOC_BYTES, PAGE_BYTES);
}

/* --- life */

void history_show(const struct history *self)
{
    metrics_set(METRIC_HISTORY_EVENTS, self->events);
    metrics_set(METRIC_HISTORY_BYTES, self->bytes);
    metrics_set(METRIC_HISTORY_OLDEST, history_oldest(self));
}

static void show_bounds(const struct history *self)
{
    metrics_set(METRIC_HISTORY_MAX_BYTES, self->config.max_bytes);
    metrics_set(METRIC_HISTORY_MAX_AGE_MS, self->config.max_age_ms);
}

int history_create(const struct config_history *config, uint64_t epoch, struct history **out)
{
    struct history *history = aligned_alloc(alignof(struct history), sizeof *history);
    if (history == NULL) {
        return ARIZMQ_ENOMEM;
    }
    memset(history, 0, sizeof *history);
    history->epoch = epoch;
    history->config = *config;
    history->max_bytes = config->max_bytes;
    atomic_init(&history->oldest, 1);
    history->bytes = sizeof *history + HISTORY_MALLOC_BYTES;
    if (!history_open_segment(history, 0)) {
        free(history);
        return ARIZMQ_ENOMEM;
    }
    history->fixed_bytes = history->bytes;
    atomic_init(&history->head_number, history->head->number);
    history_show(history);
    show_bounds(history);
    *out = history;
    return ARIZMQ_OK;
}

void history_destroy(struct history **self)
{
    struct history *history = *self;
    *self = NULL;
    if (history == NULL) {
        return;
    }
    history_free_dropped(history);
    while (history->head != NULL) {
        struct history_segment *next = atomic_load(&history->head->next);
        history_free_segment(history->head);
        history->head = next;
    }
    for (unsigned i = 0; i < history_views(history); i++) {
        free(history->views[i].name);
        free(history->views[i].endpoint);
    }
    free(history);
}

void history_set_config(struct history *self, const struct config_history *config)
{
    if (self == NULL) {
        return;
    }
    self->config = *config;
    self->max_bytes = config->max_bytes;
    if (self->max_bytes < self->bytes) {
        self->max_bytes = self->bytes; /* shrink() leads down from here */
    }
    show_bounds(self);
}

/* After max_bytes was lowered: goes down to it without holding up events for long. */
static void shrink(struct history *self, unsigned segments_max)
{
    for (unsigned i = 0; i < segments_max && self->bytes > self->config.max_bytes; i++) {
        if (self->events == 0 || !history_drop_head(self)) {
            break;
        }
    }
    self->max_bytes = self->bytes;
    if (self->max_bytes <= self->config.max_bytes || self->events == 0) {
        self->max_bytes = self->config.max_bytes;
    }
}

/* --- one event */

static size_t segment_capacity(const struct history *self)
{
    uint64_t share = self->config.max_bytes / SEGMENT_SHARE;
    if (share < SEGMENT_BYTES_MIN) {
        return SEGMENT_BYTES_MIN;
    }
    return share > SEGMENT_BYTES_MAX ? SEGMENT_BYTES_MAX : (size_t)(share / 8 * 8);
}

/* Whether an event of `bytes` may come into the segment behind those that are there. Segments are
 * kept small, because the bounds drop whole ones. */
static bool takes_another(const struct history *self, const struct history_segment *segment,
                          size_t bytes, uint64_t received_ns)
{
    size_t used = atomic_load_explicit(&segment->committed, memory_order_relaxed);
    if (segment->capacity - used < sizeof(struct history_record)) {
        return false;
    }
    if (segment->events == 0) {
        return true;
    }
    uint64_t most = self->config.max_bytes / SPAN_SHARE;
    uint64_t span_ns = (uint64_t)self->config.max_age_ms * 1000000U / SPAN_SHARE;
    return segment->bytes + bytes <= (most > SPAN_BYTES_MIN ? most : SPAN_BYTES_MIN) &&
           (received_ns < segment->first_ns || received_ns - segment->first_ns <= span_ns);
}

/* Finds a place for the event's record in the last segment. */
static bool find_place(struct history *self, size_t bytes, uint64_t received_ns)
{
    const struct history_segment *tail = atomic_load_explicit(&self->tail, memory_order_relaxed);
    if (takes_another(self, tail, bytes, received_ns)) {
        if (history_make_room(self, bytes) && tail == atomic_load(&self->tail)) {
            return true;
        }
    }
    size_t capacity = segment_capacity(self);
    size_t more = sizeof(struct history_segment) + capacity + HISTORY_MALLOC_BYTES;
    return history_make_room(self, bytes + more) && history_open_segment(self, capacity);
}

static struct history_record *record_at(struct history_segment *segment)
{
    size_t used = atomic_load_explicit(&segment->committed, memory_order_relaxed);
    return (struct history_record *)(void *)(segment->records + used);
}

void history_begin(struct history *self, uint64_t seq, uint64_t received_ns, zmq_msg_t *payload)
{
    if (self == NULL) {
        return;
    }
    atomic_store_explicit(&self->begun, seq, memory_order_release);
    self->open_seq = seq;
    self->open_ns = received_ns;
    self->open = NULL;
    if (self->max_bytes > self->config.max_bytes) {
        shrink(self, 1);
    }
    if (payload == NULL || self->config.max_bytes == 0) {
        return;
    }
    self->open_bytes = payload_bytes(payload);
    if (!find_place(self, self->open_bytes, received_ns)) {
        return;
    }
    struct history_record *record =
        record_at(atomic_load_explicit(&self->tail, memory_order_relaxed));
    zmq_msg_init(&record->payload);
    if (zmq_msg_copy(&record->payload, payload) != 0) {
        zmq_msg_close(&record->payload);
        return;
    }
    record->seq = seq;
    record->received_ns = received_ns;
    record->length = sizeof *record;
    record->messages = 0;
    self->open = record;
}

/* The event becomes a hole. */
static void give_up(struct history *self)
{
    zmq_msg_close(&self->open->payload);
    self->open = NULL;
}

/* Moves the event's record into a new segment, where it has room for `length` bytes in all, and for
 * as many again. */
static bool move_open(struct history *self, size_t length)
{
    size_t capacity = segment_capacity(self);
    capacity = capacity < 2 * length ? 2 * length : capacity;
    size_t more = sizeof(struct history_segment) + capacity + HISTORY_MALLOC_BYTES;
    history_free_dropped(self);
    if (!history_can_hold(self, self->open_bytes + more) || !history_open_segment(self, capacity)) {
        return false;
    }
    struct history_record *record =
        record_at(atomic_load_explicit(&self->tail, memory_order_relaxed));
    memcpy(record, self->open, self->open->length);
    zmq_msg_init(&record->payload);
    zmq_msg_move(&record->payload, &self->open->payload);
    zmq_msg_close(&self->open->payload);
    self->open = record;
    /* The segment that it was in may go now, too. */
    while (self->bytes + self->open_bytes > self->max_bytes &&
           self->head != atomic_load_explicit(&self->tail, memory_order_relaxed)) {
        history_drop_head(self);
    }
    return self->bytes + self->open_bytes <= self->max_bytes;
}

void history_add(struct history *self, int view, const struct topic *topic, const uint64_t *count,
                 unsigned counts)
{
    if (self == NULL || self->open == NULL || view < 0) {
        return;
    }
    size_t length =
        sizeof(struct history_item) + counts * sizeof *count + round_up(topic->length, 8);
    struct history_segment *tail = atomic_load_explicit(&self->tail, memory_order_relaxed);
    size_t end = (size_t)((unsigned char *)self->open - tail->records) + self->open->length;
    if (end + length > tail->capacity && !move_open(self, self->open->length + length)) {
        give_up(self);
        return;
    }
    unsigned char *at = (unsigned char *)self->open + self->open->length;
    struct history_item item = {.topic_length = (uint16_t)topic->length,
                                .view = (uint8_t)view,
                                .counts = (uint8_t)counts,
                                .length = (uint32_t)length};
    memcpy(at, &item, sizeof item);
    memcpy(at + sizeof item, count, counts * sizeof *count);
    memcpy(at + sizeof item + counts * sizeof *count, topic->bytes, topic->length);
    self->open->length += (uint32_t)length;
    self->open->messages++;
}

static void commit_record(struct history *self)
{
    struct history_segment *tail = atomic_load_explicit(&self->tail, memory_order_relaxed);
    size_t used = atomic_load_explicit(&tail->committed, memory_order_relaxed);
    if (tail->events == 0) {
        tail->first_ns = self->open_ns;
        atomic_store_explicit(&tail->first_seq, self->open_seq, memory_order_release);
    }
    tail->events++;
    tail->last_ns = self->open_ns;
    tail->bytes += self->open_bytes;
    self->bytes += self->open_bytes;
    if (self->events == 0) {
        atomic_store_explicit(&self->oldest, self->open_seq, memory_order_release);
    }
    self->events++;
    atomic_store_explicit(&tail->committed, used + self->open->length, memory_order_release);
    atomic_store_explicit(&self->newest, self->open_seq, memory_order_release);
}

void history_commit(struct history *self)
{
    if (self == NULL) {
        return;
    }
    if (self->open != NULL) {
        commit_record(self);
        self->open = NULL;
    } else {
        metrics_add(METRIC_HISTORY_HOLES, self->config.max_bytes > 0 ? 1 : 0);
        atomic_store_explicit(&self->newest, self->open_seq, memory_order_release);
        if (self->events == 0) {
            atomic_store_explicit(&self->oldest, self->open_seq + 1, memory_order_release);
        }
    }
    history_show(self);
}

void history_expire(struct history *self, uint64_t wall_ns)
{
    if (self == NULL) {
        return;
    }
    history_free_dropped(self);
    if (self->max_bytes > self->config.max_bytes) {
        shrink(self, DROPPED_AT_ONCE_MAX);
    }
    uint64_t age_ns = (uint64_t)self->config.max_age_ms * 1000000U;
    for (unsigned i = 0; i < DROPPED_AT_ONCE_MAX && self->events > 0; i++) {
        bool is_old = self->head->events == 0 || self->head->last_ns + age_ns < wall_ns;
        if (!is_old || !history_drop_head(self)) {
            break;
        }
    }
    history_show(self);
}

/* --- any thread */

uint64_t history_epoch(const struct history *self)
{
    return self->epoch;
}

uint64_t history_oldest(const struct history *self)
{
    return atomic_load_explicit(&self->oldest, memory_order_acquire);
}

uint64_t history_newest(const struct history *self)
{
    return atomic_load_explicit(&self->newest, memory_order_acquire);
}

uint64_t history_begun(const struct history *self)
{
    return atomic_load_explicit(&self->begun, memory_order_acquire);
}
