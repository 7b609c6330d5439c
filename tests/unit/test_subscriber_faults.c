/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A subscriber whose messages cannot be had again, for every reason that there is: it says what is
 * lost, and goes on.
 */
#include <string.h>

#include <zmq.h>

#include "base/clock.h"
#include "subscriber_stage.h"

TestSuite(subscriber_faults, .timeout = 120);

/* Loses `lost` messages under A/ between two that arrive. */
static void lose_between(struct bridge *bridge, unsigned lost)
{
    bridge_publish(bridge, "A/b/c/d/");
    for (unsigned i = 0; i < lost; i++) {
        bridge_lose(bridge, "A/b/c/d/");
    }
    bridge_publish(bridge, "A/b/c/d/");
}

/* The subscriber still follows the stream, and repairs. */
static void expect_sound(struct arizmq_subscriber *subscriber, struct bridge *bridge)
{
    uint64_t seq = bridge->seq;
    bridge->mood = BRIDGE_ANSWERS;
    lose_between(bridge, 2);
    bridge_expect(subscriber, bridge, "A/b/c/d/", seq + 1, false);
    bridge_expect(subscriber, bridge, "A/b/c/d/", seq + 2, true);
    bridge_expect(subscriber, bridge, "A/b/c/d/", seq + 3, true);
    bridge_expect(subscriber, bridge, "A/b/c/d/", seq + 4, false);
    bridge_expect_nothing(subscriber, bridge);
}

static uint64_t total_missing(struct arizmq_subscriber *subscriber)
{
    unsigned count = 0;
    return arizmq_subscriber_totals(subscriber, 0, &count)->missing;
}

Test(subscriber_faults, compacted)
{
    struct bridge *bridge = bridge_create(STAGE_EPOCH);
    struct arizmq_subscriber *subscriber = stage_subscribe(bridge, "A/");
    lose_between(bridge, 5);
    bridge->oldest = 5; /* of 2 to 6 are left 5 and 6 */
    bridge_expect(subscriber, bridge, "A/b/c/d/", 1, false);
    bridge_expect(subscriber, bridge, "A/b/c/d/", 5, true);
    bridge_expect(subscriber, bridge, "A/b/c/d/", 6, true);
    struct arizmq_message loss =
        bridge_expect_loss(subscriber, bridge, ARIZMQ_LOSS_COMPACTED, 3, "A/");
    cr_assert_str_eq(loss.detail, "the bridge keeps nothing before seq 5 any more");
    bridge_expect(subscriber, bridge, "A/b/c/d/", 7, false);
    cr_assert_eq(total_missing(subscriber), 3);
    bridge->oldest = 8;
    lose_between(bridge, 1); /* 8, 9, 10 */
    bridge_expect(subscriber, bridge, "A/b/c/d/", 8, false);
    bridge_expect(subscriber, bridge, "A/b/c/d/", 9, true);
    bridge_expect(subscriber, bridge, "A/b/c/d/", 10, false);
    bridge->oldest = 100; /* nothing at all is kept */
    lose_between(bridge, 1);
    bridge_expect(subscriber, bridge, "A/b/c/d/", 11, false);
    bridge_expect_loss(subscriber, bridge, ARIZMQ_LOSS_COMPACTED, 1, "A/");
    bridge_expect(subscriber, bridge, "A/b/c/d/", 13, false);
    bridge->oldest = 13;
    expect_sound(subscriber, bridge);
    stage_end(&subscriber, &bridge);
}

Test(subscriber_faults, history_with_a_hole)
{
    struct bridge *bridge = bridge_create(STAGE_EPOCH);
    struct arizmq_subscriber *subscriber = stage_subscribe(bridge, "A/");
    bridge_publish(bridge, "A/b/c/d/");
    bridge_lose(bridge, "A/b/c/d/");
    bridge_forget(bridge, "A/b/c/d/");
    bridge_lose(bridge, "A/b/c/d/");
    bridge_publish(bridge, "A/b/c/d/");
    bridge_expect(subscriber, bridge, "A/b/c/d/", 1, false);
    bridge_expect(subscriber, bridge, "A/b/c/d/", 2, true);
    bridge_expect(subscriber, bridge, "A/b/c/d/", 4, true);
    bridge_expect_loss(subscriber, bridge, ARIZMQ_LOSS_NOT_KEPT, 1, "A/");
    bridge_expect(subscriber, bridge, "A/b/c/d/", 5, false);
    bridge->mood = BRIDGE_HAS_NOTHING;
    lose_between(bridge, 4);
    bridge_expect(subscriber, bridge, "A/b/c/d/", 6, false);
    bridge_expect_loss(subscriber, bridge, ARIZMQ_LOSS_NOT_KEPT, 4, "A/");
    bridge_expect(subscriber, bridge, "A/b/c/d/", 11, false);
    expect_sound(subscriber, bridge);
    stage_end(&subscriber, &bridge);
}

Test(subscriber_faults, no_gateway)
{
    const char *const prefixes[] = {"A/", "B/"};
    const struct arizmq_subscriber_options options = {.prefixes = prefixes, .prefixes_count = 2};
    struct bridge *bridge = bridge_create(STAGE_EPOCH);
    const struct arizmq_endpoint endpoint = {.events = bridge->events_endpoint};
    struct arizmq_subscriber *subscriber = stage_subscribe_with(options, endpoint, bridge);
    bridge_heartbeat(bridge);
    lose_between(bridge, 3);
    bridge_lose(bridge, "B/b/c/d/");
    bridge_lose(bridge, "A/b/c/d/");
    bridge_heartbeat(bridge);
    bridge_expect(subscriber, bridge, "A/b/c/d/", 1, false);
    struct arizmq_message loss =
        bridge_expect_loss(subscriber, bridge, ARIZMQ_LOSS_NOT_ASKED, 3, "A/");
    cr_assert_eq(loss.after_seq, 1);
    cr_assert_eq(loss.stamp.seq, 5);
    bridge_expect(subscriber, bridge, "A/b/c/d/", 5, false);
    bridge_expect_loss(subscriber, bridge, ARIZMQ_LOSS_NOT_ASKED, 1, "A/");
    bridge_expect_loss(subscriber, bridge, ARIZMQ_LOSS_NOT_ASKED, 1, "B/");
    bridge_expect_nothing(subscriber, bridge);
    cr_assert_eq(bridge->asked, 0);
    stage_end(&subscriber, &bridge);
}

Test(subscriber_faults, gateway_that_refuses)
{
    struct bridge *bridge = bridge_create(STAGE_EPOCH);
    struct arizmq_subscriber *subscriber = stage_subscribe(bridge, "A/");
    const struct {
        int status;
        const char *error;
        enum arizmq_loss loss;
    } answers[] = {{404, "no_such_resource", ARIZMQ_LOSS_REFUSED},
                   {404, "no_such_view", ARIZMQ_LOSS_REFUSED},
                   {400, "bad_request", ARIZMQ_LOSS_REFUSED},
                   {416, "future", ARIZMQ_LOSS_REFUSED},
                   {409, "epoch_changed", ARIZMQ_LOSS_RESTART}};
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        uint64_t seq = bridge->seq;
        bridge->mood = BRIDGE_REFUSES;
        bridge->status = answers[i].status;
        bridge->error = answers[i].error;
        lose_between(bridge, 2);
        bridge_expect(subscriber, bridge, "A/b/c/d/", seq + 1, false);
        struct arizmq_message loss =
            bridge_expect_loss(subscriber, bridge, answers[i].loss, 2, "A/");
        cr_assert(strstr(loss.detail, answers[i].error), "%s", loss.detail);
        bridge_expect(subscriber, bridge, "A/b/c/d/", seq + 4, false);
        expect_sound(subscriber, bridge);
    }
    stage_end(&subscriber, &bridge);
}

Test(subscriber_faults, gateway_that_talks_rot)
{
    struct bridge *bridge = bridge_create(STAGE_EPOCH);
    struct arizmq_subscriber *subscriber = stage_subscribe(bridge, "A/");
    for (unsigned rot = 0; rot < ROT_KINDS; rot++) {
        uint64_t seq = bridge->seq;
        bridge->mood = BRIDGE_TALKS_ROT;
        bridge->rot = (enum bridge_rot)rot;
        lose_between(bridge, 2);
        bridge_expect(subscriber, bridge, "A/b/c/d/", seq + 1, false);
        bridge_expect_loss(subscriber, bridge, ARIZMQ_LOSS_REFUSED, 2, "A/");
        bridge_expect(subscriber, bridge, "A/b/c/d/", seq + 4, false);
        expect_sound(subscriber, bridge);
    }
    stage_end(&subscriber, &bridge);
}

Test(subscriber_faults, busy_gateway_is_asked_again)
{
    struct bridge *bridge = bridge_create(STAGE_EPOCH);
    struct arizmq_subscriber *subscriber = stage_subscribe(bridge, "A/");
    bridge->mood = BRIDGE_REFUSES;
    bridge->status = 429;
    bridge->error = "overloaded";
    lose_between(bridge, 2);
    bridge_expect(subscriber, bridge, "A/b/c/d/", 1, false);
    uint64_t until_ms = clock_monotonic_ms() + BRIDGE_WAIT_MS;
    while (bridge->asked < 3) {
        struct arizmq_message message;
        cr_assert_lt(clock_monotonic_ms(), until_ms);
        cr_assert_eq(arizmq_subscriber_receive(subscriber, 1, &message), ARIZMQ_ETIMEOUT);
        bridge_serve(bridge);
    }
    bridge->mood = BRIDGE_ANSWERS;
    bridge_expect(subscriber, bridge, "A/b/c/d/", 2, true);
    bridge_expect(subscriber, bridge, "A/b/c/d/", 3, true);
    bridge_expect(subscriber, bridge, "A/b/c/d/", 4, false);
    stage_end(&subscriber, &bridge);
}

/* Loses two messages; how long the subscriber was held up, in ms. */
static uint64_t time_of_loss(struct arizmq_subscriber *subscriber, struct bridge *bridge)
{
    uint64_t seq = bridge->seq;
    lose_between(bridge, 2);
    bridge_expect(subscriber, bridge, "A/b/c/d/", seq + 1, false);
    uint64_t started_ms = clock_monotonic_ms();
    bridge_expect_loss(subscriber, bridge, ARIZMQ_LOSS_NO_ANSWER, 2, "A/");
    bridge_expect(subscriber, bridge, "A/b/c/d/", seq + 4, false);
    return clock_monotonic_ms() - started_ms;
}

/* It holds the stream up for the time given, once; after that for a moment only. */
Test(subscriber_faults, silent_gateway)
{
    const char *prefix = "A/";
    const struct arizmq_subscriber_options options = {
        .prefixes = &prefix, .prefixes_count = 1, .repair_timeout_ms = 2000};
    struct bridge *bridge = bridge_create(STAGE_EPOCH);
    struct arizmq_subscriber *subscriber =
        stage_subscribe_with(options, stage_endpoint(bridge), bridge);
    bridge->mood = BRIDGE_IS_SILENT;
    uint64_t first_ms = time_of_loss(subscriber, bridge);
    uint64_t second_ms = time_of_loss(subscriber, bridge);
    cr_assert_geq(first_ms, 1900);
    cr_assert_geq(second_ms, 200);
    cr_assert_lt(second_ms, 1900);
    expect_sound(subscriber, bridge);
    bridge->mood = BRIDGE_IS_SILENT;
    cr_assert_geq(time_of_loss(subscriber, bridge), 1900);
    stage_end(&subscriber, &bridge);
}

Test(subscriber_faults, dead_gateway_and_its_return)
{
    const char *prefix = "A/";
    const struct arizmq_subscriber_options options = {
        .prefixes = &prefix, .prefixes_count = 1, .repair_timeout_ms = 500};
    struct bridge *bridge = bridge_create(STAGE_EPOCH);
    struct arizmq_subscriber *subscriber =
        stage_subscribe_with(options, stage_endpoint(bridge), bridge);
    expect_sound(subscriber, bridge);
    bridge_close_gateway(bridge);
    time_of_loss(subscriber, bridge);
    time_of_loss(subscriber, bridge);
    bridge_open_gateway(bridge);
    expect_sound(subscriber, bridge);
    stage_end(&subscriber, &bridge);
}

/* The gateway is lost with the question, and back before time is up: it is asked again. */
Test(subscriber_faults, gateway_that_is_lost_in_the_middle)
{
    struct bridge *bridge = bridge_create(STAGE_EPOCH);
    struct arizmq_subscriber *subscriber = stage_subscribe(bridge, "A/");
    bridge->mood = BRIDGE_IS_SILENT;
    lose_between(bridge, 2);
    bridge_expect(subscriber, bridge, "A/b/c/d/", 1, false);
    uint64_t until_ms = clock_monotonic_ms() + BRIDGE_WAIT_MS;
    while (bridge->asked == 0) {
        struct arizmq_message message;
        cr_assert_lt(clock_monotonic_ms(), until_ms);
        cr_assert_eq(arizmq_subscriber_receive(subscriber, 1, &message), ARIZMQ_ETIMEOUT);
        bridge_serve(bridge);
    }
    bridge->mood = BRIDGE_ANSWERS;
    bridge_close_gateway(bridge);
    bridge_open_gateway(bridge);
    bridge_expect(subscriber, bridge, "A/b/c/d/", 2, true);
    bridge_expect(subscriber, bridge, "A/b/c/d/", 3, true);
    bridge_expect(subscriber, bridge, "A/b/c/d/", 4, false);
    stage_end(&subscriber, &bridge);
}

/* More counters than are remembered: what history has of one that was forgotten may have been seen,
 * and is left alone. */
Test(subscriber_faults, counters_forgotten_for_room)
{
    const char *prefix = "A";
    const struct arizmq_subscriber_options options = {
        .prefixes = &prefix, .prefixes_count = 1, .watched_max = 2};
    struct bridge *bridge = bridge_create(STAGE_EPOCH);
    struct arizmq_subscriber *subscriber =
        stage_subscribe_with(options, stage_endpoint(bridge), bridge);
    bridge_publish(bridge, "A1/b/c/d/");
    bridge_publish(bridge, "A2/b/c/d/");
    bridge_publish(bridge, "A3/b/c/d/");
    bridge_lose(bridge, "A3/b/c/d/");
    bridge_publish(bridge, "A3/b/c/d/");
    bridge_expect(subscriber, bridge, "A1/b/c/d/", 1, false);
    bridge_expect(subscriber, bridge, "A2/b/c/d/", 2, false);
    bridge_expect(subscriber, bridge, "A3/b/c/d/", 3, false);
    bridge_expect(subscriber, bridge, "A3/b/c/d/", 4, true);
    bridge_expect(subscriber, bridge, "A3/b/c/d/", 5, false);
    bridge_expect_nothing(subscriber, bridge);
    struct arizmq_subscriber_status status;
    arizmq_subscriber_status(subscriber, 0, &status);
    cr_assert_eq(status.evicted, 1);
    stage_end(&subscriber, &bridge);
}

static struct arizmq_message next_notice(struct arizmq_subscriber *subscriber,
                                         struct bridge *bridge, enum arizmq_notice notice)
{
    struct arizmq_message message = bridge_next(subscriber, bridge, NULL);
    cr_assert_eq(message.kind, ARIZMQ_MESSAGE_NOTICE, "kind %d", message.kind);
    cr_assert_eq(message.notice, notice, "%s", message.detail);
    return message;
}

Test(subscriber_faults, notices)
{
    const char *prefix = "A/b/";
    const struct arizmq_subscriber_options options = {
        .prefixes = &prefix, .prefixes_count = 1, .notices = true};
    struct bridge *bridge = bridge_create(STAGE_EPOCH);
    struct arizmq_subscriber *subscriber =
        stage_subscribe_with(options, stage_endpoint(bridge), bridge);
    next_notice(subscriber, bridge, ARIZMQ_NOTICE_CONNECTED);
    for (unsigned i = 0; i < 2; i++) {
        zmq_send_const(bridge->publisher, "A/b/", 4, ZMQ_SNDMORE);
        zmq_send_const(bridge->publisher, "{}", 2, 0);
    }
    bridge_publish(bridge, "A/b/c/d/");
    next_notice(subscriber, bridge, ARIZMQ_NOTICE_FOREIGN);
    bridge_expect(subscriber, bridge, "A/b/c/d/", 1, false);
    static const uint8_t short_stamp[40] = {0, 0, 0, 0, 0, 0, 3, 232, 0, 0, 0, 0, 0, 0,
                                            0, 9, 0, 0, 0, 0, 0, 0,   0, 1, 0, 0, 0, 0,
                                            0, 0, 0, 9, 0, 0, 0, 0,   0, 0, 0, 9};
    for (unsigned i = 0; i < 2; i++) {
        zmq_send_const(bridge->publisher, "A/b/", 4, ZMQ_SNDMORE);
        zmq_send_const(bridge->publisher, "{}", 2, ZMQ_SNDMORE);
        zmq_send_const(bridge->publisher, short_stamp, sizeof short_stamp, 0);
    }
    struct arizmq_message message = next_notice(subscriber, bridge, ARIZMQ_NOTICE_UNCHECKED);
    cr_assert_str_eq(message.detail, "a stamp does not fit its topic \"A/b/\"");
    bridge_expect(subscriber, bridge, "A/b/", 9, false);
    bridge_expect(subscriber, bridge, "A/b/", 9, false);
    struct arizmq_subscriber_status status;
    arizmq_subscriber_status(subscriber, 0, &status);
    cr_assert_eq(status.foreign, 2);
    cr_assert_eq(status.unchecked, 2);
    cr_assert(status.is_connected);
    zmq_close(bridge->publisher);
    next_notice(subscriber, bridge, ARIZMQ_NOTICE_DISCONNECTED);
    bridge->publisher = zmq_socket(bridge->context, ZMQ_XPUB); /* for bridge_destroy() */
    stage_end(&subscriber, &bridge);
}
