/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A subscriber within the test, as any ZeroMQ binding would write one.
 */
#ifndef ARIZMQ_TESTS_SUBSCRIBER_H
#define ARIZMQ_TESTS_SUBSCRIBER_H

#include <criterion/criterion.h>
#include <czmq.h>

#include "arizmq/error.h"
#include "arizmq/stamp.h"

/* A message received: topic as a string, event and stamp. */
struct received {
    char topic[1024];
    size_t length;
    char event[65536];
    struct arizmq_stamp stamp;
};

/* Connects to `endpoint` and subscribes to `prefix`. The publisher knows of it once it has read
 * the subscription. */
static inline zsock_t *subscriber_connect(const char *endpoint, const char *prefix)
{
    zsock_t *socket = zsock_new(ZMQ_SUB);
    cr_assert_not_null(socket);
    zsock_set_rcvtimeo(socket, 20000);
    zsock_set_linger(socket, 0);
    zsock_set_subscribe(socket, prefix);
    cr_assert_eq(zsock_connect(socket, "%s", endpoint), 0, "%s", endpoint);
    return socket;
}

/* Waits for the next message, which must have three frames. */
static inline const struct received *subscriber_receive(zsock_t *socket)
{
    static struct received received;
    zmsg_t *message = zmsg_recv(socket);
    cr_assert_not_null(message, "no message came");
    cr_assert_eq(zmsg_size(message), 3, "%zu frames", zmsg_size(message));
    zframe_t *topic = zmsg_first(message);
    cr_assert_lt(zframe_size(topic), sizeof received.topic);
    memcpy(received.topic, zframe_data(topic), zframe_size(topic));
    received.topic[zframe_size(topic)] = '\0';
    zframe_t *event = zmsg_next(message);
    received.length = zframe_size(event);
    cr_assert_lt(received.length, sizeof received.event);
    memcpy(received.event, zframe_data(event), received.length);
    received.event[received.length] = '\0';
    zframe_t *stamp = zmsg_next(message);
    cr_assert_eq(arizmq_stamp_decode(zframe_data(stamp), zframe_size(stamp), &received.stamp),
                 ARIZMQ_OK);
    zmsg_destroy(&message);
    return &received;
}

/* The next message has this topic, this seq, and the counts given (ended by 0). */
static inline const struct received *subscriber_expect(zsock_t *socket, const char *topic,
                                                       uint64_t seq, const uint64_t *count)
{
    const struct received *received = subscriber_receive(socket);
    cr_assert_str_eq(received->topic, topic);
    cr_assert_eq(received->stamp.seq, seq, "%s: seq %" PRIu64, topic, received->stamp.seq);
    unsigned counts = 0;
    for (; count[counts] != 0; counts++) {
        cr_assert_eq(received->stamp.count[counts], count[counts], "%s: count[%u] is %" PRIu64,
                     topic, counts, received->stamp.count[counts]);
    }
    cr_assert_eq(received->stamp.counts, counts, "%s", topic);
    return received;
}

#define EXPECT(socket, topic, seq, ...)                                                            \
    subscriber_expect(socket, topic, seq, (const uint64_t[]){__VA_ARGS__, 0})

#endif
