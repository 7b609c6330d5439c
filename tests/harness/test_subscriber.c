/* SPDX-License-Identifier: MPL-2.0 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "arizmq/error.h"
#include "harness/process.h"
#include "harness/subscriber.h"

/* A bound XPUB and what a test needs to publish by hand. */
struct publisher {
    void *context;
    void *socket;
    char endpoint[64];
};

static void publisher_open(struct publisher *publisher)
{
    size_t size = sizeof publisher->endpoint;
    publisher->context = zmq_ctx_new();
    publisher->socket = zmq_socket(publisher->context, ZMQ_XPUB);
    cr_assert_eq(zmq_bind(publisher->socket, "tcp://127.0.0.1:*"), 0);
    cr_assert_eq(zmq_getsockopt(publisher->socket, ZMQ_LAST_ENDPOINT, publisher->endpoint, &size),
                 0);
}

static void publisher_await_subscription(struct publisher *publisher)
{
    char subscription[64];
    zmq_pollitem_t item = {.socket = publisher->socket, .events = ZMQ_POLLIN};
    cr_assert_eq(zmq_poll(&item, 1, HARNESS_TIMEOUT_MS), 1);
    cr_assert_gt(zmq_recv(publisher->socket, subscription, sizeof subscription, 0), 0);
}

static void publisher_send(struct publisher *publisher, const char *topic, const char *event,
                           const struct arizmq_stamp *stamp)
{
    uint8_t bytes[ARIZMQ_STAMP_BYTES_MAX];
    zmq_send(publisher->socket, topic, strlen(topic), ZMQ_SNDMORE);
    zmq_send(publisher->socket, event, strlen(event), ZMQ_SNDMORE);
    zmq_send(publisher->socket, bytes, arizmq_stamp_encode(stamp, bytes), 0);
}

static void publisher_close(struct publisher *publisher)
{
    zmq_close(publisher->socket);
    zmq_ctx_term(publisher->context);
}

static struct subscriber_message message_of(const char *topic, uint64_t count0, uint64_t count1)
{
    return (struct subscriber_message){
        .topic = (char *)(uintptr_t)topic,
        .stamp = {.epoch = 1, .seq = count0, .counts = 3, .count = {count0, count1, 0}}};
}

Test(subscriber, receives_three_frames_with_the_stamp_taken_apart, .timeout = 60)
{
    struct publisher publisher;
    publisher_open(&publisher);
    struct subscriber *subscriber = subscriber_create(publisher.endpoint, "StasisStart/");
    cr_assert_not_null(subscriber);
    publisher_await_subscription(&publisher);
    struct arizmq_stamp stamp = {
        .epoch = 7, .seq = 42, .received_ns = 9, .counts = 5, .count = {4, 3, 2, 1, 1}};
    publisher_send(&publisher, "StasisEnd/ivr/", "{\"other\":1}", &stamp);
    publisher_send(&publisher, "StasisStart/ivr/", "{\"x\":1}", &stamp);
    struct subscriber_message message;
    cr_assert_eq(subscriber_receive(subscriber, HARNESS_TIMEOUT_MS, &message), ARIZMQ_OK);
    cr_assert_str_eq(message.topic, "StasisStart/ivr/");
    cr_assert_str_eq(message.event, "{\"x\":1}");
    cr_assert_eq(message.event_length, 7);
    cr_assert_eq(message.stamp.seq, 42);
    cr_assert_eq(message.stamp.counts, 5);
    cr_assert_eq(message.stamp.count[1], 3);
    subscriber_message_clear(&message);
    cr_assert_eq(subscriber_receive(subscriber, 20, &message), ARIZMQ_ENOTFOUND);
    zmq_send(publisher.socket, "StasisStart/bare/", 17, 0);
    cr_assert_eq(subscriber_receive(subscriber, HARNESS_TIMEOUT_MS, &message), ARIZMQ_EINVALID);
    subscriber_destroy(&subscriber);
    publisher_close(&publisher);
}

Test(subscriber, collects_past_heartbeats, .timeout = 60)
{
    struct publisher publisher;
    publisher_open(&publisher);
    struct subscriber *subscriber = subscriber_create(publisher.endpoint, "");
    publisher_await_subscription(&publisher);
    struct arizmq_stamp stamp = {.epoch = 7, .seq = 1, .counts = 1};
    publisher_send(&publisher, "ArizmqHeartbeat/-/-/-/", "{}", &stamp);
    cr_assert_eq(subscriber_join(subscriber, HARNESS_TIMEOUT_MS), ARIZMQ_OK);
    publisher_send(&publisher, "A/", "{}", &stamp);
    publisher_send(&publisher, "arizmq/-/ArizmqHeartbeat/-/", "{}", &stamp);
    publisher_send(&publisher, "B/", "{}", &stamp);
    struct subscriber_message messages[3];
    cr_assert_eq(subscriber_collect(subscriber, 2, HARNESS_TIMEOUT_MS, messages), 2);
    cr_assert_str_eq(messages[0].topic, "A/");
    cr_assert_str_eq(messages[1].topic, "B/");
    subscriber_message_clear(&messages[0]);
    subscriber_message_clear(&messages[1]);
    cr_assert_eq(subscriber_collect(subscriber, 1, 20, messages), 0);
    subscriber_destroy(&subscriber);
    publisher_close(&publisher);
}

Test(counter_tracker, accepts_counters_without_holes)
{
    struct counter_tracker *tracker = counter_tracker_create(1);
    struct subscriber_message messages[] = {message_of("A/x/", 5, 1), message_of("B/x/", 6, 9),
                                            message_of("A/y/", 7, 2), message_of("B/x/", 9, 10)};
    for (size_t i = 0; i < sizeof messages / sizeof *messages; i++) {
        cr_assert(counter_tracker_add(tracker, &messages[i]), "message %zu", i);
    }
    cr_assert_eq(counter_tracker_jumps(tracker), 0);
    cr_assert_str_eq(counter_tracker_first_jump(tracker), "");
    counter_tracker_destroy(&tracker);
}

Test(counter_tracker, sees_a_hole_a_repetition_and_a_step_back)
{
    struct counter_tracker *tracker = counter_tracker_create(0);
    struct subscriber_message messages[] = {message_of("A/", 5, 0), message_of("A/", 7, 0),
                                            message_of("A/", 7, 0), message_of("A/", 6, 0),
                                            message_of("A/", 7, 0)};
    static const bool expected[] = {true, false, false, false, true};
    for (size_t i = 0; i < sizeof messages / sizeof *messages; i++) {
        cr_assert_eq(counter_tracker_add(tracker, &messages[i]), expected[i], "message %zu", i);
    }
    cr_assert_eq(counter_tracker_jumps(tracker), 3);
    cr_assert_str_eq(counter_tracker_first_jump(tracker), "count[0] of \"\": 7 after 5");
    counter_tracker_destroy(&tracker);
}

Test(counter_tracker, takes_a_heartbeat_as_a_repetition)
{
    struct counter_tracker *tracker = counter_tracker_create(0);
    struct subscriber_message messages[] = {
        message_of("A/", 5, 0), message_of("ArizmqHeartbeat/-/", 5, 0), message_of("A/", 6, 0),
        message_of("ArizmqHeartbeat/-/", 7, 0)};
    static const bool expected[] = {true, true, true, false};
    for (size_t i = 0; i < sizeof messages / sizeof *messages; i++) {
        cr_assert_eq(counter_tracker_add(tracker, &messages[i]), expected[i], "message %zu", i);
    }
    counter_tracker_destroy(&tracker);
}

Test(counter_tracker, starts_anew_with_another_epoch)
{
    struct counter_tracker *tracker = counter_tracker_create(0);
    struct subscriber_message message = message_of("A/", 5, 0);
    cr_assert(counter_tracker_add(tracker, &message));
    message = message_of("A/", 1, 0);
    message.stamp.epoch = 2;
    cr_assert(counter_tracker_add(tracker, &message));
    counter_tracker_destroy(&tracker);
}
