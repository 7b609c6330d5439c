/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What the pipeline puts into history is what subscribers receive, and in time. zmq_msg_send() and
 * zmq_msg_init_size() of the bridge go through wrappers here, so that the moment of sending can be
 * looked at, and memory can run out.
 */
#include <criterion/criterion.h>
#include <czmq.h>
#include <string.h>

#include "arizmq/error.h"
#include "base/clock.h"
#include "ops/metrics.h"
#include "pipeline.h"
#include "publish/own_event.h"
#include "subscriber.h"

static bool is_memory_gone;
static uint64_t wall_ns = 1795444501160000123;
static struct feed *feed;
static struct pipeline *pipeline;
static zsock_t *sockets[2];
static unsigned sent;

int __real_zmq_msg_send(zmq_msg_t *message, void *socket, int flags);
int __wrap_zmq_msg_send(zmq_msg_t *message, void *socket, int flags);
int __real_zmq_msg_init_size(zmq_msg_t *message, size_t size);
int __wrap_zmq_msg_init_size(zmq_msg_t *message, size_t size);

/* Whoever has a message of an event asks for what follows it; that is not the future. */
int __wrap_zmq_msg_send(zmq_msg_t *message, void *socket, int flags)
{
    sent++;
    if (pipeline_history(pipeline) != NULL) {
        cr_assert_eq(history_begun(pipeline_history(pipeline)), pipeline_seq(pipeline));
    }
    return __real_zmq_msg_send(message, socket, flags);
}

int __wrap_zmq_msg_init_size(zmq_msg_t *message, size_t size)
{
    return is_memory_gone ? -1 : __real_zmq_msg_init_size(message, size);
}

static uint64_t chosen_wall(void)
{
    return wall_ns;
}

static struct config_publish publish[2] = {
    {.view = CONFIG_VIEW_EVENTS, .endpoint = "inproc://events", .sndhwm = 1000},
    {.view = CONFIG_VIEW_OBJECTS, .endpoint = "inproc://objects", .sndhwm = 1000}};
static struct config config = {
    .publish = publish,
    .publish_count = 2,
    .nodes_count = 1,
    .gateway = {.feed_bytes = 4096},
    .history = {.max_bytes = 1 << 20, .max_age_ms = 60000},
    .limits = {.max_event_bytes = 1 << 20, .max_counters = 1000, .heartbeat_first_tokens = 10},
};

static void set_up(void)
{
    char error[256] = "";
    clock_set_wall_source(chosen_wall);
    cr_assert_eq(feed_create(&config, &feed), ARIZMQ_OK);
    cr_assert_eq(pipeline_create(&config, feed, &pipeline, error, sizeof error), ARIZMQ_OK, "%s",
                 error);
    for (unsigned i = 0; i < 2; i++) {
        sockets[i] = subscriber_connect(publish[i].endpoint, "");
    }
    while (metrics_get(METRIC_SUBSCRIPTIONS) < 2) {
        pipeline_read_subscriptions(pipeline);
    }
}

static void tear_down(void)
{
    for (unsigned i = 0; i < 2; i++) {
        zsock_destroy(&sockets[i]);
    }
    pipeline_destroy(&pipeline, 0);
    feed_destroy(&feed);
}

TestSuite(pipeline_history, .init = set_up, .fini = tear_down);

static bool takes_nothing(void *owner, const struct event *event)
{
    (void)owner;
    (void)event;
    return false;
}

static void receive(const char *text)
{
    static char padded[4096];
    struct pipeline_source source = {
        .node = "pbx1", .takes_response = takes_nothing, .tally = tally_open("pbx1", "ivr")};
    size_t length = strlen(text);
    cr_assert_lt(length + SCAN_PADDING, sizeof padded);
    memcpy(padded, text, length);
    pipeline_receive(pipeline, &source, padded, length, wall_ns);
}

static const char dial[] = "{\"type\":\"Dial\",\"peer\":{\"id\":\"2\"},\"caller\":{\"id\":\"1.2\"},"
                           "\"application\":\"ivr\"}";
static const char short_text[] = "no JSON";

static struct history_reader *read_from(uint64_t after)
{
    struct history_reader *reader = NULL;
    cr_assert_eq(history_reader_create(pipeline_history(pipeline), &reader), ARIZMQ_OK);
    cr_assert_eq(history_reader_seek(reader, after), ARIZMQ_OK);
    return reader;
}

static const struct history_event *next_event(struct history_reader *reader)
{
    const struct history_event *event = NULL;
    cr_assert_eq(history_reader_next(reader, &event), ARIZMQ_OK);
    return event;
}

/* The i-th message of the event is what the subscriber of that view receives next. */
static void expect_same(struct history_reader *reader, const struct history_event *event,
                        unsigned i, unsigned view)
{
    struct history_message message;
    history_reader_message(reader, i, &message);
    cr_assert_eq(message.view, view);
    const struct received *received = subscriber_receive(sockets[view]);
    cr_assert_eq(message.topic.length, strlen(received->topic));
    cr_assert_eq(memcmp(message.topic.bytes, received->topic, message.topic.length), 0);
    cr_assert_eq(zmq_msg_size(event->payload), received->length);
    cr_assert_eq(memcmp(zmq_msg_data(event->payload), received->event, received->length), 0);
    cr_assert_eq(event->seq, received->stamp.seq);
    cr_assert_eq(event->received_ns, received->stamp.received_ns);
    cr_assert_eq(message.counts, received->stamp.counts);
    cr_assert_eq(memcmp(message.count, received->stamp.count, message.counts * sizeof(uint64_t)),
                 0);
}

Test(pipeline_history, holds_what_subscribers_received)
{
    for (unsigned i = 0; i < 3; i++) {
        receive(dial);
        receive(short_text);
        pipeline_publish_own(pipeline, "pbx1", own_event_create("ArizmqGap", "ivr", "pbx1", 1));
        wall_ns += 1000;
    }
    cr_assert_eq(history_epoch(pipeline_history(pipeline)), pipeline_epoch(pipeline));
    struct history_reader *reader = read_from(0);
    for (uint64_t seq = 1; seq <= 9; seq++) {
        const struct history_event *event = next_event(reader);
        cr_assert_eq(event->seq, seq);
        static const unsigned messages[] = {2, 3, 1};
        cr_assert_eq(event->messages, messages[seq % 3]);
        expect_same(reader, event, 0, 0);
        for (unsigned i = 1; i < event->messages; i++) {
            expect_same(reader, event, i, 1);
        }
    }
    cr_assert_null(next_event(reader));
    cr_assert_eq(sent, (2 + 3 + 1) * 3 * 3);
    history_reader_destroy(&reader);
}

Test(pipeline_history, heartbeats_are_not_kept_and_old_events_leave_with_them)
{
    receive(dial);
    pipeline_beat(pipeline);
    receive(dial);
    cr_assert_eq(metrics_get(METRIC_HISTORY_EVENTS), 2);
    wall_ns += 60000000001;
    pipeline_beat(pipeline);
    cr_assert_eq(metrics_get(METRIC_HISTORY_EVENTS), 0);
    cr_assert_eq(history_oldest(pipeline_history(pipeline)), 3);
}

Test(pipeline_history, what_could_not_be_sent_is_a_hole)
{
    receive(dial);
    is_memory_gone = true;
    receive(dial); /* and its ArizmqRefused */
    is_memory_gone = false;
    receive(dial);
    struct history_reader *reader = read_from(1);
    cr_assert_null(next_event(reader)->payload);
    cr_assert_null(next_event(reader)->payload);
    const struct history_event *event = next_event(reader);
    cr_assert_eq(event->seq, 4);
    cr_assert_eq(event->messages, 3);
    cr_assert_eq(metrics_get(METRIC_HISTORY_HOLES), 2);
    history_reader_destroy(&reader);
}

Test(pipeline_history, there_is_none_without_a_gateway)
{
    char error[256] = "";
    /* The pipeline holds them until tear_down(), which comes when this function is over. */
    static struct config_publish other = {
        .view = CONFIG_VIEW_EVENTS, .endpoint = "inproc://other", .sndhwm = 1000};
    static struct config alone;
    alone = config;
    alone.publish = &other;
    alone.publish_count = 1;
    tear_down();
    cr_assert_eq(pipeline_create(&alone, NULL, &pipeline, error, sizeof error), ARIZMQ_OK);
    cr_assert_null(pipeline_history(pipeline));
    sockets[0] = subscriber_connect(other.endpoint, "");
    while (metrics_get(METRIC_SUBSCRIPTIONS) < 3) {
        pipeline_read_subscriptions(pipeline);
    }
    pipeline_beat(pipeline);
    cr_assert_eq(metrics_get(METRIC_HEARTBEATS), 1);
}
