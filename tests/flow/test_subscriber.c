/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The library against the running daemon: a subscriber that joins in the middle of everything and
 * often does not read for a while, so that its sockets cannot hold what comes, ends with the state
 * that the daemon's own snapshot has.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "arizmq/error.h"
#include "arizmq/snapshot.h"
#include "arizmq/state.h"
#include "flow/scene.h"

enum { RATE = 3000, SLEEPS = 4, SLEEP_MS = 400, AWAKE_MS = 600, RCVHWM = 20 };

struct follower {
    struct arizmq_subscriber *subscriber;
    struct arizmq_state *state;
    uint64_t seq;      /* of the last event or snapshot */
    uint64_t beat_seq; /* of the last heartbeat */
    uint64_t repaired;
    uint64_t snapshots; /* that ended */
    char notice[256];   /* the last one */
};

static void follower_open(struct follower *self, const struct daemon *daemon)
{
    static const struct arizmq_snapshot_query everything = {0};
    const char *prefix = "";
    const struct arizmq_endpoint endpoint = {.events = daemon->events_endpoint,
                                             .gateway = daemon->gateway_endpoint};
    const struct arizmq_subscriber_options options = {.prefixes = &prefix,
                                                      .prefixes_count = 1,
                                                      .endpoints = &endpoint,
                                                      .endpoints_count = 1,
                                                      .heartbeats = true,
                                                      .notices = true,
                                                      .snapshot = &everything,
                                                      .rcvhwm = RCVHWM};
    *self = (struct follower){0};
    cr_assert_eq(arizmq_subscriber_create(&options, &self->subscriber), ARIZMQ_OK);
    cr_assert_eq(arizmq_state_create(NULL, &self->state), ARIZMQ_OK);
}

static void follower_close(struct follower *self)
{
    arizmq_state_destroy(&self->state);
    arizmq_subscriber_destroy(&self->subscriber);
}

/* Takes one message if one comes in time. */
static void follower_take(struct follower *self, int timeout_ms)
{
    struct arizmq_message message;
    if (arizmq_subscriber_receive(self->subscriber, timeout_ms, &message) != ARIZMQ_OK) {
        return;
    }
    cr_assert_neq(message.kind, ARIZMQ_MESSAGE_LOSS, "%llu lost: %s",
                  (unsigned long long)message.missing, message.detail);
    cr_assert_eq(arizmq_state_apply(self->state, &message), ARIZMQ_OK);
    switch (message.kind) {
    case ARIZMQ_MESSAGE_EVENT:
        cr_assert_eq(message.stamp.seq, self->seq + 1);
        self->seq = message.stamp.seq;
        self->repaired += message.is_repaired;
        break;
    case ARIZMQ_MESSAGE_HEARTBEAT:
        self->beat_seq = message.stamp.seq;
        break;
    case ARIZMQ_MESSAGE_NOTICE:
        snprintf(self->notice, sizeof self->notice, "%s", message.detail);
        break;
    case ARIZMQ_MESSAGE_SNAPSHOT_END:
        self->seq = message.stamp.seq;
        self->snapshots++;
        break;
    default:
        break;
    }
}

static void follow_for(struct follower *self, int ms)
{
    int64_t until_ms = harness_now_ms() + ms;
    while (harness_now_ms() < until_ms) {
        follower_take(self, 10);
    }
}

static void await_snapshot(struct follower *self)
{
    int64_t until_ms = harness_now_ms() + FLOW_TIMEOUT_MS;
    while (self->snapshots == 0) {
        cr_assert_lt(harness_now_ms(), until_ms, "no snapshot: %s", self->notice);
        follower_take(self, 100);
    }
}

/* Until a heartbeat says that everything up to `seq` is here. */
static void await_seq(struct follower *self, uint64_t seq)
{
    int64_t until_ms = harness_now_ms() + FLOW_TIMEOUT_MS;
    while (self->seq < seq || self->beat_seq < seq) {
        cr_assert_lt(harness_now_ms(), until_ms, "seq %llu of %llu", (unsigned long long)self->seq,
                     (unsigned long long)seq);
        follower_take(self, 100);
    }
}

static int expect_in(void *argument, const struct arizmq_object *object)
{
    const struct arizmq_state *other = argument;
    struct arizmq_object found;
    cr_assert(arizmq_state_find(other, object->kind, object->id, object->node, object->app, &found),
              "%s %s is missing", object->kind, object->id);
    cr_assert_eq(found.value_length, object->value_length);
    cr_assert_str_eq(found.value, object->value);
    return 0;
}

static void expect_same(struct follower *self, struct follower *other)
{
    cr_assert_eq(self->seq, other->seq);
    cr_assert_eq(arizmq_state_count(self->state, NULL), arizmq_state_count(other->state, NULL));
    arizmq_state_each(self->state, NULL, expect_in, other->state);
    cr_assert(arizmq_state_is_complete(self->state, 0));
}

TestSuite(subscriber, .timeout = 600);

Test(subscriber, state_is_the_daemons_own)
{
    struct fake *fake = scene_start_deaf_fake();
    struct daemon *daemon = scene_start_daemon(
        "nodes:\n" FLOW_NODE FLOW_NODE_END
        "publish:\n  - {view: events, endpoint: \"ipc://DIR/events\", sndhwm: 20}\n"
        "gateway: {endpoint: \"ipc://DIR/gateway\"}\nheartbeat_ms: 100\n"
        "history: {max_bytes: 536870912}\n",
        "pbx1", fake->port, "ivr");
    scene_let_connect(fake, 1);
    fake_do(fake, "play %s/calls-1000-app.jsonl rate=%d loop=0 app=ivr", CAPTURES_DIR, RATE);
    struct follower follower;
    follower_open(&follower, daemon);
    await_snapshot(&follower);
    for (unsigned i = 0; i < SLEEPS; i++) {
        follow_for(&follower, AWAKE_MS);
        const struct timespec sleep = {.tv_nsec = SLEEP_MS * 1000000L};
        nanosleep(&sleep, NULL);
    }
    fake_do(fake, "stop-play"); /* in the middle of calls, which are what is compared */
    const char *end = fake_await_event(fake, "play stopped", FLOW_TIMEOUT_MS);
    cr_assert_not_null(end);
    /* ArizmqNodeConnected is an event, too. */
    uint64_t played = (uint64_t)fake_number(end, "frames");
    scene_await_metric(daemon, "arizmq_seq", played + 1);
    await_seq(&follower, scene_metric(daemon, "arizmq_seq"));
    struct follower fresh;
    follower_open(&fresh, daemon);
    await_snapshot(&fresh);
    await_seq(&follower, fresh.seq);
    expect_same(&follower, &fresh);
    cr_assert_gt(follower.repaired, 0);
    cr_assert_eq(follower.snapshots, 1);
    cr_assert_gt(arizmq_state_count(follower.state, NULL), 0);
    follower_close(&fresh);
    follower_close(&follower);
    scene_stop_daemon(&daemon);
    fake_stop(&fake);
}
