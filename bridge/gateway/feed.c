/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What the event thread knows goes to the command thread as records in a queue; an eventfd says
 * when to look. pipeline.c and the links call the one side, gateway.c the other. The usual event,
 * whose objects were told a moment ago, costs the event thread a hash and a comparison for each
 * object: no lock, no system call, no record.
 */
#include "gateway/feed.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <utlist.h>

#include "arizmq/error.h"
#include "base/hash.h"
#include "base/queue.h"
#include "ops/log.h"
#include "ops/metrics.h"

enum {
    TOLD_SETS = 1024,                  /* a power of two */
    TOLD_WAYS = 8,                     /* of 8 bytes: a cache line in all */
    KINDS_TOLD = OBJECT_RECORDING + 1, /* the first ones: channel, bridge, playback, recording */
};

static const uint64_t second_ns = 1000000000U;

/* An odd number without pattern (2^64 over the golden ratio): spreads small numbers. */
static const uint64_t spread = 0x9e3779b97f4a7c15U;

enum record_what { RECORD_OBJECT, RECORD_LINK, RECORD_ANSWER, RECORD_THING };

/* Begins each record. The id of an object follows at once. */
struct record {
    uint8_t what;  /* enum record_what */
    uint8_t which; /* enum object_kind, feed_link or feed_thing */
    bool is_so;    /* an object has ended; the request of an answer was sent */
    uint32_t node;
};

/* The detail follows, with its NUL. */
struct link_record {
    struct record record;
    uint32_t application;
};

struct answer_record {
    struct record record;
    uint64_t number;
    char *text;
    size_t length;
};

struct thing_record {
    struct record record;
    uint64_t number;
    void *thing;
    feed_discard *discard;
};

/* A record that found no room. */
struct held {
    struct held *next;
    struct held *prev;
    size_t length;
    char bytes[];
};

struct feed {
    struct queue *queue;
    size_t room;
    int fd;
    /* An eventfd write is under way or has not been read yet, so that another is not needed. */
    _Atomic bool is_woken;
    _Atomic uint64_t *events; /* of each node; written by the event thread */

    /* Event thread only. What was told within this second: the hash of an object chooses a set, its
     * mark in there is the hash mixed with the second, so that a new second makes all marks stale
     * at once. The latest marks stand first; the last one leaves. 0: none. */
    uint64_t told[TOLD_SETS][TOLD_WAYS];
    struct held *held; /* all but objects, in their order; those in the queue come before */
};

int feed_create(const struct config *config, struct feed **out)
{
    struct feed *feed = calloc(1, sizeof *feed);
    if (feed == NULL) {
        return ARIZMQ_ENOMEM;
    }
    feed->room = config->gateway.feed_bytes;
    feed->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    int result = feed->fd >= 0 ? queue_create(feed->room, &feed->queue) : ARIZMQ_EIO;
    if (result == ARIZMQ_OK) {
        feed->events = calloc(CONFIG_SLOTS_MAX, sizeof *feed->events);
        result = feed->events != NULL ? ARIZMQ_OK : ARIZMQ_ENOMEM;
    }
    if (result != ARIZMQ_OK) {
        feed_destroy(&feed);
        return result;
    }
    *out = feed;
    return ARIZMQ_OK;
}

/* Frees what a record that nobody will take has brought along. */
static void free_cargo(const void *bytes)
{
    const struct record *record = bytes;
    if (record->what == RECORD_ANSWER) {
        free(((const struct answer_record *)bytes)->text);
    } else if (record->what == RECORD_THING) {
        const struct thing_record *handed = bytes;
        if (handed->thing != NULL) {
            handed->discard(handed->thing);
        }
    }
}

void feed_destroy(struct feed **self)
{
    struct feed *feed = *self;
    *self = NULL;
    if (feed == NULL) {
        return;
    }
    const void *bytes = NULL;
    size_t length = 0;
    while (feed->queue != NULL && (bytes = queue_front(feed->queue, &length)) != NULL) {
        free_cargo(bytes);
        queue_pop(feed->queue);
    }
    struct held *held = NULL;
    struct held *next = NULL;
    DL_FOREACH_SAFE(feed->held, held, next)
    {
        free_cargo(held->bytes);
        free(held);
    }
    queue_destroy(&feed->queue);
    if (feed->fd >= 0) {
        close(feed->fd);
    }
    free(feed->events);
    free(feed);
}

/* --- Event thread */

static void wake(struct feed *feed)
{
    static const uint64_t one = 1;
    if (!atomic_exchange_explicit(&feed->is_woken, true, memory_order_acq_rel) &&
        write(feed->fd, &one, sizeof one) != (ssize_t)sizeof one) {
        log_error("feed_wake", "the command thread cannot be woken: %s", strerror(errno));
    }
}

void feed_flush(struct feed *self)
{
    if (self == NULL || self->held == NULL) {
        return;
    }
    struct held *held = NULL;
    struct held *next = NULL;
    DL_FOREACH_SAFE(self->held, held, next)
    {
        struct queue_part part = {held->bytes, held->length};
        if (queue_push(self->queue, &part, 1, 0) != ARIZMQ_OK) {
            break;
        }
        DL_DELETE(self->held, held);
        free(held);
    }
    wake(self);
}

/* Keeps a record until there is room. */
static int hold(struct feed *feed, const struct queue_part *parts, unsigned count)
{
    size_t length = 0;
    for (unsigned i = 0; i < count; i++) {
        length += parts[i].length;
    }
    struct held *held = malloc(sizeof *held + length);
    if (held == NULL) {
        return ARIZMQ_ENOMEM;
    }
    held->length = 0;
    for (unsigned i = 0; i < count; i++) {
        memcpy(held->bytes + held->length, parts[i].bytes, parts[i].length);
        held->length += parts[i].length;
    }
    DL_APPEND(feed->held, held);
    return ARIZMQ_OK;
}

/* Sends a record that must not be lost. Without room and memory it is, and that is counted. */
static int send_surely(struct feed *feed, const struct queue_part *parts, unsigned count)
{
    feed_flush(feed);
    int result = ARIZMQ_OK;
    if (feed->held != NULL || queue_push(feed->queue, parts, count, 0) != ARIZMQ_OK) {
        result = hold(feed, parts, count);
    }
    if (result != ARIZMQ_OK) {
        metrics_add(METRIC_FEED_DROPPED, 1);
        log_error("feed_lost", "no memory to tell the command thread what it has to know");
    }
    wake(feed);
    return result;
}

/* Returns where `mark` stands in its set, NULL where it does not. */
static uint64_t *find_mark(uint64_t *set, uint64_t mark)
{
    for (unsigned i = 0; i < TOLD_WAYS; i++) {
        if (set[i] == mark) {
            return &set[i];
        }
    }
    return NULL;
}

static void add_mark(uint64_t *set, uint64_t mark)
{
    memmove(set + 1, set, (TOLD_WAYS - 1) * sizeof *set);
    set[0] = mark;
}

static bool send_object(struct feed *feed, const struct record *record, struct span id)
{
    struct queue_part parts[] = {{record, sizeof *record}, {id.bytes, id.length}};
    if (queue_push(feed->queue, parts, 2, feed->room / 4) != ARIZMQ_OK) {
        metrics_add(METRIC_FEED_DROPPED, 1);
        return false;
    }
    if (queue_used(feed->queue) >= feed->room / 2) {
        wake(feed);
    }
    return true;
}

static void tell_object(struct feed *feed, unsigned node, const struct event_object *object,
                        uint64_t second)
{
    unsigned kind = objects_kind(object->kind);
    if (kind >= KINDS_TOLD) {
        return; /* every node may have the same endpoints and devices */
    }
    struct span id = object->part[0];
    uint64_t hash = hash_fnv1a(hash_fnv1a_start, id.bytes, id.length) ^
                    (((uint64_t)node * OBJECT_KINDS + kind) * spread);
    uint64_t *set = feed->told[(hash ^ hash >> 32) % TOLD_SETS];
    uint64_t mark = (hash ^ second * spread) | 1; /* never 0 */
    uint64_t *found = find_mark(set, mark);
    if (found != NULL && !object->ends) {
        return;
    }
    struct record record = {.what = RECORD_OBJECT,
                            .which = (uint8_t)kind,
                            .is_so = object->ends,
                            .node = (uint32_t)node};
    bool is_told = send_object(feed, &record, id);
    if (found != NULL) {
        *found = 0; /* the next sign of life is told */
    } else if (is_told && !object->ends) {
        add_mark(set, mark);
    }
}

void feed_event(struct feed *self, unsigned node, const struct event *event)
{
    if (self == NULL || event->is_own) {
        return;
    }
    uint64_t events = atomic_load_explicit(&self->events[node], memory_order_relaxed);
    atomic_store_explicit(&self->events[node], events + 1, memory_order_relaxed);
    feed_flush(self);
    uint64_t second = event->received_ns / second_ns;
    for (unsigned i = 0; i < event->object_count; i++) {
        tell_object(self, node, &event->objects[i], second);
    }
}

void feed_link_state(struct feed *self, unsigned node, unsigned application, enum feed_link state,
                     const char *detail)
{
    if (self == NULL) {
        return;
    }
    struct link_record link = {
        .record = {.what = RECORD_LINK, .which = (uint8_t)state, .node = (uint32_t)node},
        .application = (uint32_t)application,
    };
    const char *text = detail != NULL ? detail : "";
    struct queue_part parts[] = {
        {&link, sizeof link}, {text, strnlen(text, FEED_DETAIL_MAX)}, {"", 1}};
    send_surely(self, parts, 3);
}

void feed_answer(struct feed *self, uint64_t number, char *text, size_t length, bool was_sent)
{
    struct answer_record answer = {
        .record = {.what = RECORD_ANSWER, .is_so = was_sent},
        .number = number,
        .text = text,
        .length = length,
    };
    struct queue_part part = {&answer, sizeof answer};
    if (self == NULL || send_surely(self, &part, 1) != ARIZMQ_OK) {
        free(text);
    }
}

int feed_hand(struct feed *self, enum feed_thing what, uint64_t number, void *thing,
              feed_discard *discard)
{
    struct thing_record handed = {
        .record = {.what = RECORD_THING, .which = (uint8_t)what},
        .number = number,
        .thing = thing,
        .discard = discard,
    };
    struct queue_part part = {&handed, sizeof handed};
    int result = self != NULL ? send_surely(self, &part, 1) : ARIZMQ_OK;
    if (self == NULL || result != ARIZMQ_OK) {
        free_cargo(&handed);
    }
    return result;
}

/* --- Command thread */

int feed_fd(const struct feed *self)
{
    return self->fd;
}

/* Makes the eventfd wait for the next wake. Must come before the queue is read: what is pushed
 * after that wakes again. Where the flag is up and the eventfd not written yet, it will be. */
static void reset(struct feed *feed)
{
    uint64_t count = 0;
    if (atomic_load_explicit(&feed->is_woken, memory_order_relaxed) &&
        read(feed->fd, &count, sizeof count) == (ssize_t)sizeof count) {
        atomic_exchange_explicit(&feed->is_woken, false, memory_order_acq_rel);
    }
}

static void deliver(const void *bytes, size_t length, const struct feed_handler *handler,
                    void *owner)
{
    const struct record *record = bytes;
    switch ((enum record_what)record->what) {
    case RECORD_OBJECT:
        handler->object(owner, record->node, (enum object_kind)record->which,
                        (const char *)(record + 1), length - sizeof *record, record->is_so);
        break;
    case RECORD_LINK: {
        const struct link_record *link = bytes;
        handler->link(owner, record->node, link->application, (enum feed_link)record->which,
                      (const char *)(link + 1));
        break;
    }
    case RECORD_ANSWER: {
        const struct answer_record *answer = bytes;
        handler->answer(owner, answer->number, answer->text, answer->length, record->is_so);
        break;
    }
    case RECORD_THING: {
        const struct thing_record *handed = bytes;
        handler->thing(owner, (enum feed_thing)record->which, handed->number, handed->thing);
        break;
    }
    }
}

void feed_take(struct feed *self, const struct feed_handler *handler, void *owner)
{
    reset(self);
    const void *bytes = NULL;
    size_t length = 0;
    while ((bytes = queue_front(self->queue, &length)) != NULL) {
        deliver(bytes, length, handler, owner);
        queue_pop(self->queue);
    }
}

uint64_t feed_events(const struct feed *self, unsigned node)
{
    return atomic_load_explicit(&self->events[node], memory_order_relaxed);
}
