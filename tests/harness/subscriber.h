/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A subscriber as a test has it: a plain SUB socket, messages with their stamp taken apart, and a
 * tracker of the stamp's counters that says whether anything is missing.
 */
#ifndef ARIZMQ_HARNESS_SUBSCRIBER_H
#define ARIZMQ_HARNESS_SUBSCRIBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arizmq/stamp.h"

struct subscriber_message {
    char *topic; /* NUL-terminated */
    char *event; /* NUL-terminated after event_length bytes */
    size_t event_length;
    struct arizmq_stamp stamp;
};

struct subscriber;

/* Connects to `endpoint` and subscribes to `prefix`; an empty prefix is everything. The receive
 * high-water mark is unlimited: what is missing was lost before. NULL when that fails. */
struct subscriber *subscriber_create(const char *endpoint, const char *prefix);
void subscriber_destroy(struct subscriber **self);
/* Returns 0 or ARIZMQ_EIO. */
int subscriber_subscribe(struct subscriber *subscriber, const char *prefix);
int subscriber_unsubscribe(struct subscriber *subscriber, const char *prefix);

/* The next message, which subscriber_message_clear() frees. Returns 0, ARIZMQ_ENOTFOUND when the
 * time is over, or ARIZMQ_EINVALID for one that has not three frames or no stamp. */
int subscriber_receive(struct subscriber *subscriber, int timeout_ms,
                       struct subscriber_message *out);
void subscriber_message_clear(struct subscriber_message *message);

/* A heartbeat of the bridge, in whichever view? */
bool subscriber_message_is_heartbeat(const struct subscriber_message *message);

/* Waits until the bridge has this subscription: for the first message of any kind, heartbeats
 * included, which it discards. Subscribe to everything or to the heartbeats too. Returns 0 or what
 * subscriber_receive() returned. */
int subscriber_join(struct subscriber *subscriber, int timeout_ms);

/* Receives up to `wanted` messages that are no heartbeats into out[wanted], within the time
 * altogether. Returns how many; clear each of them. */
size_t subscriber_collect(struct subscriber *subscriber, size_t wanted, int timeout_ms,
                          struct subscriber_message *out);

/* Watches count[depth] of each topic with other first `depth` tokens: 0 for a subscriber to
 * everything, 1 for one to a whole first token, and so on. */
struct counter_tracker;

struct counter_tracker *counter_tracker_create(unsigned depth);
void counter_tracker_destroy(struct counter_tracker **self);
/* False when the message's counter is not the last one plus one (a heartbeat's count[0]: not the
 * last one). The first message of a topic, and of a new epoch, is always taken. */
bool counter_tracker_add(struct counter_tracker *tracker, const struct subscriber_message *message);
size_t counter_tracker_jumps(const struct counter_tracker *tracker);
/* What the first jump was: topic, last and new value; "" while there was none. Borrowed. */
const char *counter_tracker_first_jump(const struct counter_tracker *tracker);

#endif
