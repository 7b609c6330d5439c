/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A thousand subscribers that join while events flow: each gets the stream without a hole from its
 * join on, and one that was there before loses nothing by it.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <zmq.h>

#include "arizmq/error.h"
#include "arizmq/gaps.h"
#include "arizmq/stamp.h"
#include "flow/scene.h"

enum {
    SUBSCRIBERS = 1000,
    FILES = 4096,  /* two for each subscriber, and some */
    RATE = 20,     /* events in a second: 20,000 deliveries */
    EACH_GETS = 10 /* that many numbered messages at least */
};

struct joiner {
    void *socket;
    uint64_t count; /* last count[0], 0 before the first */
    uint64_t numbered;
    uint64_t heartbeats;
};

static void raise_file_limit(void)
{
    struct rlimit limit;
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_max < FILES) {
        cr_skip_test("only %llu files may be open here", (unsigned long long)limit.rlim_max);
    }
    limit.rlim_cur = FILES;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void joiner_open(struct joiner *joiner, void *context, const char *endpoint, int number)
{
    int none = 0;
    char prefix[32];
    snprintf(prefix, sizeof prefix, "Number%d/", number);
    joiner->socket = zmq_socket(context, ZMQ_SUB);
    cr_assert_not_null(joiner->socket, "socket %d: %s", number, zmq_strerror(zmq_errno()));
    zmq_setsockopt(joiner->socket, ZMQ_LINGER, &none, sizeof none);
    zmq_setsockopt(joiner->socket, ZMQ_RCVHWM, &none, sizeof none);
    cr_assert_eq(zmq_setsockopt(joiner->socket, ZMQ_SUBSCRIBE, "", 0), 0);
    /* One of its own, for the bridge is told of each prefix only once. */
    cr_assert_eq(zmq_setsockopt(joiner->socket, ZMQ_SUBSCRIBE, prefix, strlen(prefix)), 0);
    cr_assert_eq(zmq_connect(joiner->socket, endpoint), 0);
}

/* Takes what has come. Returns whether it has all it should get. */
static bool joiner_read(struct joiner *joiner, int number)
{
    char topic[512];
    char event[65536];
    uint8_t bytes[ARIZMQ_STAMP_BYTES_MAX];
    while (zmq_recv(joiner->socket, topic, sizeof topic, ZMQ_DONTWAIT) >= 0) {
        struct arizmq_stamp stamp;
        cr_assert_geq(zmq_recv(joiner->socket, event, sizeof event, 0), 0);
        int length = zmq_recv(joiner->socket, bytes, sizeof bytes, 0);
        cr_assert_eq(arizmq_stamp_decode(bytes, (size_t)length, &stamp), ARIZMQ_OK);
        bool is_heartbeat = arizmq_gaps_is_heartbeat(&stamp);
        uint64_t expected = joiner->count + !is_heartbeat;
        cr_assert(joiner->count == 0 || stamp.count[0] == expected,
                  "subscriber %d: count %llu after %llu", number,
                  (unsigned long long)stamp.count[0], (unsigned long long)joiner->count);
        joiner->count = stamp.count[0];
        joiner->numbered += !is_heartbeat;
        joiner->heartbeats += is_heartbeat;
    }
    return joiner->numbered >= EACH_GETS && joiner->heartbeats >= 1;
}

/* The one that was there first takes every message, too, and none is missing. */
static void early_read(struct subscriber *early, struct stream *stream)
{
    struct subscriber_message message;
    while (subscriber_receive(early, 0, &message) == ARIZMQ_OK) {
        stream_check(stream, &message);
        subscriber_message_clear(&message);
    }
}

static void joiners_follow(struct joiner *joiners, struct subscriber *early, struct stream *stream)
{
    int64_t deadline = harness_now_ms() + 2 * FLOW_TIMEOUT_MS;
    for (int done = 0; done < SUBSCRIBERS;) {
        done = 0;
        for (int i = 0; i < SUBSCRIBERS; i++) {
            done += joiner_read(&joiners[i], i);
        }
        early_read(early, stream);
        cr_assert_lt(harness_now_ms(), deadline, "%d of %d subscribers got all", done, SUBSCRIBERS);
    }
}

TestSuite(join, .timeout = 900);

Test(join, a_thousand_at_once_lose_nothing)
{
    raise_file_limit();
    struct fake *fake = scene_start_deaf_fake();
    struct daemon *daemon =
        scene_start_daemon("nodes:\n" FLOW_NODE FLOW_NODE_END FLOW_PUBLISH "heartbeat_ms: 1000\n",
                           "pbx1", fake->port, "replay");
    struct stream *stream = stream_create("events", FLOW_EVENTS_TOPIC);
    struct subscriber *early = scene_subscribe_and_join(daemon->events_endpoint);
    scene_let_connect(fake, 1);
    fake_do(fake, "play %s/calls-1000-app.jsonl rate=%d loop=0 app=replay", CAPTURES_DIR, RATE);
    struct joiner *joiners = calloc(SUBSCRIBERS, sizeof *joiners);
    void *context = zmq_ctx_new();
    zmq_ctx_set(context, ZMQ_MAX_SOCKETS, FILES);
    for (int i = 0; i < SUBSCRIBERS; i++) {
        joiner_open(&joiners[i], context, daemon->events_endpoint, i);
    }
    joiners_follow(joiners, early, stream);
    /* "" of them all, and one of each. */
    scene_await_metric(daemon, "arizmq_subscriptions_total", SUBSCRIBERS + 1);
    cr_assert_eq(scene_metric(daemon, "arizmq_subscriptions_total"), SUBSCRIBERS + 1);
    cr_assert_eq(scene_metric(daemon, "arizmq_unsubscriptions_total"), 0);
    cr_assert_eq(scene_metric(daemon, "arizmq_subscriber_messages_ignored_total"), 0);
    for (int i = 0; i < SUBSCRIBERS; i++) {
        zmq_close(joiners[i].socket);
    }
    zmq_ctx_term(context);
    free(joiners);
    scene_await_metric(daemon, "arizmq_unsubscriptions_total", SUBSCRIBERS);
    fake_do(fake, "stop-play");
    const char *end = fake_await_event(fake, "play stopped", FLOW_TIMEOUT_MS);
    uint64_t played = (uint64_t)fake_number(end, "frames");
    while (stream_seq(stream) < played + 1) {
        struct subscriber_message message;
        scene_receive(early, &message);
        stream_check(stream, &message);
        subscriber_message_clear(&message);
    }
    cr_assert_eq(stream_seq(stream), played + 1);
    scene_stop_daemon(&daemon);
    subscriber_destroy(&early);
    stream_destroy(&stream);
    fake_stop(&fake);
}
