/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Follows the counters in stamps as the wire's rules have them, and remembers where they jumped.
 * Called by tests with every message that they receive.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "subscriber.h"

struct counter {
    char *key; /* the topic's first tokens, with their slashes */
    uint64_t last;
    UT_hash_handle hh;
};

struct counter_tracker {
    unsigned depth;
    uint64_t epoch;
    struct counter *counters;
    size_t jumps;
    char first_jump[1024];
};

struct counter_tracker *counter_tracker_create(unsigned depth)
{
    struct counter_tracker *tracker = calloc(1, sizeof *tracker);
    if (tracker) {
        tracker->depth = depth;
    }
    return tracker;
}

static void counters_forget(struct counter_tracker *tracker)
{
    struct counter *counter;
    struct counter *next;
    HASH_ITER(hh, tracker->counters, counter, next)
    {
        HASH_DEL(tracker->counters, counter);
        free(counter->key);
        free(counter);
    }
}

void counter_tracker_destroy(struct counter_tracker **self)
{
    if (*self) {
        counters_forget(*self);
        free(*self);
        *self = NULL;
    }
}

static size_t prefix_length(const char *topic, unsigned tokens)
{
    const char *at = topic;
    for (; tokens > 0 && *at; tokens--) {
        const char *slash = strchr(at, '/');
        at = slash ? slash + 1 : at + strlen(at);
    }
    return (size_t)(at - topic);
}

static bool counter_check(struct counter_tracker *tracker, const struct counter *counter,
                          uint64_t value, uint64_t expected)
{
    if (value == expected) {
        return true;
    }
    if (tracker->jumps++ == 0) {
        snprintf(tracker->first_jump, sizeof tracker->first_jump,
                 "count[%u] of \"%s\": %llu after %llu", tracker->depth, counter->key,
                 (unsigned long long)value, (unsigned long long)counter->last);
    }
    return false;
}

bool counter_tracker_add(struct counter_tracker *tracker, const struct subscriber_message *message)
{
    if (message->stamp.epoch != tracker->epoch) {
        counters_forget(tracker);
        tracker->epoch = message->stamp.epoch;
    }
    bool is_heartbeat = subscriber_message_is_heartbeat(message);
    if (tracker->depth >= message->stamp.counts || (is_heartbeat && tracker->depth > 0)) {
        return true;
    }
    uint64_t value = message->stamp.count[tracker->depth];
    size_t length = prefix_length(message->topic, tracker->depth);
    struct counter *counter = NULL;
    HASH_FIND(hh, tracker->counters, message->topic, length, counter);
    bool is_fine = true;
    if (counter) {
        is_fine = counter_check(tracker, counter, value, counter->last + !is_heartbeat);
    } else {
        counter = calloc(1, sizeof *counter);
        if (!counter) {
            abort();
        }
        counter->key = strndup(message->topic, length);
        HASH_ADD_KEYPTR(hh, tracker->counters, counter->key, length, counter);
    }
    counter->last = value;
    return is_fine;
}

size_t counter_tracker_jumps(const struct counter_tracker *tracker)
{
    return tracker->jumps;
}

const char *counter_tracker_first_jump(const struct counter_tracker *tracker)
{
    return tracker->first_jump;
}
