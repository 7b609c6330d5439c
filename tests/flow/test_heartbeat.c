/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Heartbeats: in every view, at their pace, telling exactly what was counted and counting nothing
 * themselves; and the one thing they are there for, loss that no later message would show.
 */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "arizmq/error.h"
#include "arizmq/gaps.h"
#include "flow/scene.h"

enum { HEARTBEAT_MS = 50, HEARTBEATS = 10 };

TestSuite(heartbeat, .timeout = 900);

/* Receives until `stream` has `wanted` more heartbeats, which stream_check() judges. */
static void beat_for(struct subscriber *subscriber, struct stream *stream, uint64_t wanted)
{
    uint64_t end = stream_heartbeats(stream) + wanted;
    uint64_t first_ns = 0;
    while (stream_heartbeats(stream) < end) {
        struct subscriber_message message;
        scene_receive(subscriber, &message);
        stream_check(stream, &message);
        uint64_t now_ns = message.stamp.received_ns;
        first_ns = first_ns ? first_ns : now_ns;
        if (stream_heartbeats(stream) == end) {
            /* A timer is never early; the wall clock may be slewed a little against it. */
            cr_assert_gt(now_ns - first_ns, (wanted - 2) * HEARTBEAT_MS * 900000U);
        }
        subscriber_message_clear(&message);
    }
}

Test(heartbeat, comes_in_every_view_and_tells_what_was_counted)
{
    static const char *const topics[] = {FLOW_EVENTS_TOPIC, FLOW_OBJECTS_TOPIC, "{type}/"};
    static const char *const views[] = {"events", "objects", "events"};
    struct fake *fake = scene_start_deaf_fake();
    struct daemon *daemon = scene_start_daemon(
        "nodes:\n" FLOW_NODE FLOW_NODE_END FLOW_VIEWS
        "  - {view: events, endpoint: \"ipc://DIR/types\", topic: \"{type}/\", sndhwm: 1000000}\n"
        "state: {enabled: false}\nheartbeat_ms: %d\n",
        "pbx1", fake->port, "replay", HEARTBEAT_MS);
    char types_endpoint[96];
    snprintf(types_endpoint, sizeof types_endpoint, "ipc://%s/types", daemon->directory);
    const char *const endpoints[] = {daemon->events_endpoint, daemon->objects_endpoint,
                                     types_endpoint};
    struct stream *streams[3];
    struct subscriber *subscribers[3];
    for (int i = 0; i < 3; i++) {
        streams[i] = stream_create(views[i], topics[i]);
        subscribers[i] = scene_subscribe_and_join(endpoints[i]);
        beat_for(subscribers[i], streams[i], HEARTBEATS);
        cr_assert_eq(stream_total(streams[i]), 0, "something came before the first connect");
    }
    scene_let_connect(fake, 1);
    fake_do(fake, "play %s/calls-1000-app.jsonl rate=20000 app=replay", CAPTURES_DIR);
    cr_assert_not_null(fake_await_event(fake, "play done", FLOW_TIMEOUT_MS));
    for (int i = 0; i < 3; i++) {
        while (stream_seq(streams[i]) < 15001) {
            beat_for(subscribers[i], streams[i], 3);
        }
        beat_for(subscribers[i], streams[i], HEARTBEATS);
        cr_assert_eq(stream_seq(streams[i]), 15001);
    }
    cr_assert_gt(scene_metric(daemon, "arizmq_heartbeats_total"), 6 * HEARTBEATS);
    scene_stop_daemon(&daemon);
    for (int i = 0; i < 3; i++) {
        subscriber_destroy(&subscribers[i]);
        stream_destroy(&streams[i]);
    }
    fake_stop(&fake);
}

Test(heartbeat, says_when_it_does_not_list_every_first_token)
{
    struct fake *fake = scene_start_deaf_fake();
    struct daemon *daemon =
        scene_start_daemon("nodes:\n" FLOW_NODE FLOW_NODE_END FLOW_PUBLISH "heartbeat_ms: 50\n"
                           "limits: {heartbeat_first_tokens: 3}\n",
                           "pbx1", fake->port, "replay");
    struct subscriber *subscriber = scene_subscribe_and_join(daemon->events_endpoint);
    scene_let_connect(fake, 1);
    fake_do(fake, "play %s/outbound.jsonl app=replay", CAPTURES_DIR);
    for (bool is_told = false; !is_told;) {
        struct subscriber_message message;
        scene_receive(subscriber, &message);
        if (subscriber_message_is_heartbeat(&message)) {
            json_t *json = json_loadb(message.event, message.event_length, 0, NULL);
            size_t listed = json_object_size(json_object_get(json, "counts"));
            cr_assert_leq(listed, 3);
            bool is_complete = json_is_true(json_object_get(json, "counts_complete"));
            cr_assert(is_complete || listed == 3);
            is_told = !is_complete;
            json_decref(json);
        }
        subscriber_message_clear(&message);
    }
    scene_stop_daemon(&daemon);
    subscriber_destroy(&subscriber);
    fake_stop(&fake);
}

/* A subscriber that takes next to nothing until it reads. */
struct stalled {
    void *context;
    void *socket;
};

static void stalled_open(struct stalled *stalled, const char *endpoint)
{
    int one = 1;
    int none = 0;
    int bytes = 4096;
    stalled->context = zmq_ctx_new();
    stalled->socket = zmq_socket(stalled->context, ZMQ_SUB);
    cr_assert_eq(zmq_setsockopt(stalled->socket, ZMQ_RCVHWM, &one, sizeof one), 0);
    cr_assert_eq(zmq_setsockopt(stalled->socket, ZMQ_RCVBUF, &bytes, sizeof bytes), 0);
    cr_assert_eq(zmq_setsockopt(stalled->socket, ZMQ_LINGER, &none, sizeof none), 0);
    cr_assert_eq(zmq_setsockopt(stalled->socket, ZMQ_SUBSCRIBE, "", 0), 0);
    cr_assert_eq(zmq_connect(stalled->socket, endpoint), 0);
}

/* One message, judged by the gap checker. Returns whether it was a heartbeat. */
static bool stalled_receive(struct stalled *stalled, struct arizmq_gaps *gaps,
                            struct arizmq_stamp *stamp)
{
    zmq_pollitem_t item = {.socket = stalled->socket, .events = ZMQ_POLLIN};
    cr_assert_eq(zmq_poll(&item, 1, FLOW_TIMEOUT_MS), 1, "no message came");
    zmq_msg_t frames[3];
    for (int i = 0; i < 3; i++) {
        zmq_msg_init(&frames[i]);
        cr_assert_geq(zmq_msg_recv(&frames[i], stalled->socket, 0), 0);
    }
    cr_assert_eq(arizmq_stamp_decode(zmq_msg_data(&frames[2]), zmq_msg_size(&frames[2]), stamp),
                 ARIZMQ_OK);
    struct arizmq_gaps_result result;
    cr_assert_eq(arizmq_gaps_check(gaps, zmq_msg_data(&frames[0]), zmq_msg_size(&frames[0]),
                                   zmq_msg_data(&frames[1]), zmq_msg_size(&frames[1]), stamp,
                                   &result),
                 ARIZMQ_OK);
    for (int i = 0; i < 3; i++) {
        zmq_msg_close(&frames[i]);
    }
    return result.is_heartbeat;
}

Test(heartbeat, shows_loss_at_the_tail)
{
    enum { LOOPS = 4, EVENTS = LOOPS * 15000 };
    struct fake *fake = scene_start_deaf_fake();
    struct daemon *daemon = scene_start_daemon(
        "nodes:\n" FLOW_NODE FLOW_NODE_END
        "publish:\n  - {view: events, endpoint: \"ipc://DIR/events\", sndhwm: 10}\n"
        "state: {enabled: false}\nheartbeat_ms: 50\n",
        "pbx1", fake->port, "replay");
    struct stalled stalled;
    struct arizmq_gaps *gaps = NULL;
    struct arizmq_stamp stamp;
    static const char *const everything[] = {""};
    cr_assert_eq(arizmq_gaps_create(everything, 1, 1000, &gaps), ARIZMQ_OK);
    stalled_open(&stalled, daemon->events_endpoint);
    cr_assert(stalled_receive(&stalled, gaps, &stamp)); /* has joined: a base line */
    scene_let_connect(fake, 1);
    fake_do(fake, "play %s/calls-1000-app.jsonl loop=%d app=replay", CAPTURES_DIR, LOOPS);
    cr_assert_not_null(fake_await_event(fake, "play done", FLOW_TIMEOUT_MS));
    scene_await_metric(daemon, "arizmq_events_total", EVENTS);
    /* The last event was published to a subscriber whose queues were full. Nothing follows it. */
    uint64_t last = 0;
    for (bool is_end = false; !is_end;) {
        bool is_heartbeat = stalled_receive(&stalled, gaps, &stamp);
        is_end = is_heartbeat && stamp.seq == EVENTS + 1;
        last = is_heartbeat ? last : stamp.count[0];
    }
    unsigned count = 0;
    const struct arizmq_gaps_totals *totals = arizmq_gaps_totals(gaps, &count);
    cr_assert_lt(last, EVENTS + 1, "nothing was lost at the tail");
    cr_assert_eq(stamp.count[0], EVENTS + 1);
    cr_assert_eq(totals->received + totals->missing, EVENTS + 1);
    cr_assert_geq(totals->missing, EVENTS + 1 - last);
    arizmq_gaps_destroy(&gaps);
    zmq_close(stalled.socket);
    zmq_ctx_term(stalled.context);
    scene_stop_daemon(&daemon);
    fake_stop(&fake);
}
