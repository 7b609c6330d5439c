/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A subscriber that meets another run of the bridge, or goes on where its program ended: what of
 * either run comes, and what it says is lost.
 */
#include "base/clock.h"
#include "subscriber_stage.h"

enum { NEXT_EPOCH = 2000 };

TestSuite(subscriber_runs, .timeout = 60);

/* The old run's last message is not received, the new one's first is not either. */
static void change_runs(struct bridge *bridge)
{
    bridge_publish(bridge, "A/b/c/d/");
    bridge_heartbeat(bridge);
    bridge_lose(bridge, "A/b/c/d/");
    bridge_restart(bridge, NEXT_EPOCH);
    bridge_lose(bridge, "A/b/c/d/");
    bridge_publish(bridge, "A/b/c/d/");
}

Test(subscriber_runs, new_run_is_taken_from_its_first_event)
{
    struct bridge *bridge = bridge_create(STAGE_EPOCH);
    struct arizmq_subscriber *subscriber = stage_subscribe(bridge, "A/");
    change_runs(bridge);
    bridge_expect(subscriber, bridge, "A/b/c/d/", 1, false);
    struct arizmq_message loss =
        bridge_expect_loss(subscriber, bridge, ARIZMQ_LOSS_RESTART, 0, NULL);
    cr_assert_eq(loss.stamp.epoch, NEXT_EPOCH);
    bridge_expect(subscriber, bridge, "A/b/c/d/", 1, true);
    bridge_expect(subscriber, bridge, "A/b/c/d/", 2, false);
    bridge_expect_nothing(subscriber, bridge);
    cr_assert_eq(bridge->asked, 2);
    struct arizmq_subscriber_status status;
    arizmq_subscriber_status(subscriber, 0, &status);
    cr_assert_eq(status.restarts, 1);
    cr_assert_eq(status.epoch, NEXT_EPOCH);
    cr_assert_eq(status.seq, 2);
    stage_end(&subscriber, &bridge);
}

Test(subscriber_runs, rest_of_the_old_run_comes_where_it_is_kept)
{
    struct bridge *bridge = bridge_create(STAGE_EPOCH);
    struct arizmq_subscriber *subscriber = stage_subscribe(bridge, "A/");
    bridge->remembers_runs = true;
    change_runs(bridge);
    bridge_expect(subscriber, bridge, "A/b/c/d/", 1, false);
    struct arizmq_message rest = bridge_next(subscriber, bridge, NULL);
    cr_assert_eq(rest.kind, ARIZMQ_MESSAGE_EVENT);
    cr_assert_eq(rest.stamp.epoch, STAGE_EPOCH);
    cr_assert_eq(rest.stamp.seq, 2);
    cr_assert(rest.is_repaired);
    bridge_expect(subscriber, bridge, "A/b/c/d/", 1, true);
    bridge_expect(subscriber, bridge, "A/b/c/d/", 2, false);
    bridge_expect_nothing(subscriber, bridge);
    stage_end(&subscriber, &bridge);
}

/* Several counters, the last messages of each lost, one after a counter's last heartbeat. */
Test(subscriber_runs, rest_of_the_old_run_is_not_doubled)
{
    struct bridge *bridge = bridge_create(STAGE_EPOCH);
    struct arizmq_subscriber *subscriber = stage_subscribe(bridge, "A");
    bridge->remembers_runs = true;
    bridge_publish(bridge, "A1/b/c/d/");
    bridge_publish(bridge, "A2/b/c/d/");
    bridge_heartbeat(bridge);
    bridge_lose(bridge, "A1/b/c/d/");
    bridge_publish(bridge, "A2/b/c/d/");
    bridge_lose(bridge, "A3/b/c/d/");
    bridge_restart(bridge, NEXT_EPOCH);
    bridge_heartbeat(bridge);
    bridge_expect(subscriber, bridge, "A1/b/c/d/", 1, false);
    bridge_expect(subscriber, bridge, "A2/b/c/d/", 2, false);
    bridge_expect(subscriber, bridge, "A2/b/c/d/", 4, false);
    bridge_expect(subscriber, bridge, "A1/b/c/d/", 3, true);
    bridge_expect(subscriber, bridge, "A3/b/c/d/", 5, true);
    bridge_expect_nothing(subscriber, bridge);
    stage_end(&subscriber, &bridge);
}

Test(subscriber_runs, run_that_ended_well_is_no_loss)
{
    struct bridge *bridge = bridge_create(STAGE_EPOCH);
    struct arizmq_subscriber *subscriber = stage_subscribe(bridge, "A/");
    bridge_publish(bridge, "A/b/c/d/");
    bridge_publish(bridge, "ArizmqStopping/-/-/-/");
    bridge_heartbeat(bridge);
    bridge_restart(bridge, NEXT_EPOCH);
    bridge_publish(bridge, "A/b/c/d/");
    bridge_expect(subscriber, bridge, "A/b/c/d/", 1, false);
    bridge_expect(subscriber, bridge, "A/b/c/d/", 1, false);
    bridge_expect_nothing(subscriber, bridge);
    cr_assert_eq(bridge->asked, 0);
    stage_end(&subscriber, &bridge);
}

/* The last heartbeat came, and shows that something before it did not. */
Test(subscriber_runs, run_that_ended_with_a_loss)
{
    const char *prefix = "A/";
    const struct arizmq_subscriber_options options = {.prefixes = &prefix, .prefixes_count = 1};
    struct bridge *bridge = bridge_create(STAGE_EPOCH);
    const struct arizmq_endpoint endpoint = {.events = bridge->events_endpoint};
    struct arizmq_subscriber *subscriber = stage_subscribe_with(options, endpoint, bridge);
    bridge_publish(bridge, "A/b/c/d/");
    bridge_lose(bridge, "A/b/c/d/");
    bridge_publish(bridge, "ArizmqStopping/-/-/-/");
    bridge_heartbeat(bridge);
    bridge_restart(bridge, NEXT_EPOCH);
    bridge_publish(bridge, "A/b/c/d/");
    bridge_expect(subscriber, bridge, "A/b/c/d/", 1, false);
    bridge_expect_loss(subscriber, bridge, ARIZMQ_LOSS_NOT_ASKED, 1, "A/");
    bridge_expect_loss(subscriber, bridge, ARIZMQ_LOSS_RESTART, 0, NULL);
    bridge_expect(subscriber, bridge, "A/b/c/d/", 1, false);
    stage_end(&subscriber, &bridge);
}

/* Heartbeats do not count what is as deep as this. */
Test(subscriber_runs, deep_prefix_does_not_know_that_a_run_ended_well)
{
    struct bridge *bridge = bridge_create(STAGE_EPOCH);
    struct arizmq_subscriber *subscriber = stage_subscribe(bridge, "A/b/");
    bridge_publish(bridge, "A/b/c/d/");
    bridge_publish(bridge, "ArizmqStopping/-/-/-/");
    bridge_heartbeat(bridge);
    bridge_restart(bridge, NEXT_EPOCH);
    bridge_publish(bridge, "A/b/c/d/");
    bridge_expect(subscriber, bridge, "A/b/c/d/", 1, false);
    bridge_expect_loss(subscriber, bridge, ARIZMQ_LOSS_RESTART, 0, NULL);
    bridge_expect(subscriber, bridge, "A/b/c/d/", 1, false);
    stage_end(&subscriber, &bridge);
}

Test(subscriber_runs, from_now_takes_a_run_where_it_is_met)
{
    const char *prefix = "A/";
    const struct arizmq_subscriber_options options = {
        .prefixes = &prefix, .prefixes_count = 1, .from_now = true};
    struct bridge *bridge = bridge_create(STAGE_EPOCH);
    struct arizmq_subscriber *subscriber =
        stage_subscribe_with(options, stage_endpoint(bridge), bridge);
    change_runs(bridge);
    bridge_expect(subscriber, bridge, "A/b/c/d/", 1, false);
    bridge_expect_loss(subscriber, bridge, ARIZMQ_LOSS_RESTART, 0, NULL);
    bridge_expect(subscriber, bridge, "A/b/c/d/", 2, false);
    bridge_lose(bridge, "A/b/c/d/");
    bridge_publish(bridge, "A/b/c/d/");
    bridge_expect(subscriber, bridge, "A/b/c/d/", 3, true);
    bridge_expect(subscriber, bridge, "A/b/c/d/", 4, false);
    stage_end(&subscriber, &bridge);
}

/* As the new bridge of a takeover: it begins after the subscriber, on an endpoint that was named
 * before anybody was there. */
Test(subscriber_runs, run_that_began_later_is_taken_from_its_first_event)
{
    for (unsigned is_heartbeat = 0; is_heartbeat < 2; is_heartbeat++) {
        struct bridge *bridge = bridge_create(clock_wall_ns() / 1000 + 3600000000u);
        struct arizmq_subscriber *subscriber = stage_subscribe(bridge, "A/");
        bridge_lose(bridge, "A/b/c/d/");
        bridge_lose(bridge, "B/b/c/d/");
        if (is_heartbeat) {
            bridge_lose(bridge, "A/b/c/d/");
            bridge_heartbeat(bridge);
        } else {
            bridge_publish(bridge, "A/b/c/d/");
        }
        bridge_expect(subscriber, bridge, "A/b/c/d/", 1, true);
        bridge_expect(subscriber, bridge, "A/b/c/d/", 3, is_heartbeat);
        bridge_expect_nothing(subscriber, bridge);
        stage_end(&subscriber, &bridge);
    }
}

Test(subscriber_runs, two_bridges_of_a_takeover)
{
    const char *prefix = "";
    struct bridge *old = bridge_create(STAGE_EPOCH);
    struct bridge *new = bridge_create(clock_wall_ns() / 1000 + 3600000000u);
    const struct arizmq_endpoint endpoints[] = {stage_endpoint(old), stage_endpoint(new)};
    const struct arizmq_subscriber_options options = {
        .prefixes = &prefix, .prefixes_count = 1, .endpoints = endpoints, .endpoints_count = 2};
    struct arizmq_subscriber *subscriber = NULL;
    cr_assert_eq(arizmq_subscriber_create(&options, &subscriber), ARIZMQ_OK);
    bridge_await(old, "", NULL);
    bridge_await(new, "", NULL);
    bridge_publish(old, "A/b/c/d/");
    bridge_lose(old, "A/b/c/d/");
    bridge_publish(old, "ArizmqStopping/-/-/-/");
    bridge_heartbeat(old);
    bridge_lose(new, "B/b/c/d/");
    bridge_publish(new, "B/b/c/d/");
    uint64_t next[2] = {1, 1};
    while (next[0] <= 3 || next[1] <= 2) {
        struct arizmq_message message = bridge_next(subscriber, old, new, NULL);
        cr_assert_eq(message.kind, ARIZMQ_MESSAGE_EVENT);
        cr_assert_eq(message.stamp.seq, next[message.endpoint]++);
        cr_assert_eq(message.stamp.epoch, (message.endpoint == 0 ? old : new)->epoch);
    }
    bridge_destroy(&new);
    stage_end(&subscriber, &old);
}

static struct arizmq_subscriber *resume(struct bridge *bridge, const char *prefix, uint64_t epoch,
                                        uint64_t seq)
{
    const struct arizmq_subscriber_options options = {.prefixes = &prefix, .prefixes_count = 1};
    struct arizmq_endpoint endpoint = stage_endpoint(bridge);
    endpoint.resume_epoch = epoch;
    endpoint.resume_seq = seq;
    return stage_subscribe_with(options, endpoint, bridge);
}

Test(subscriber_runs, program_goes_on_where_it_ended)
{
    const char *const prefixes[] = {"A", "", "A/b/", "A/b/c"};
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        struct bridge *bridge = bridge_create(STAGE_EPOCH);
        for (unsigned k = 0; k < 5; k++) {
            bridge_lose(bridge, "A/b/c/d/");
        }
        struct arizmq_subscriber *subscriber = resume(bridge, prefixes[i], STAGE_EPOCH, 3);
        bridge_publish(bridge, "A/b/c/d/");
        bridge_expect(subscriber, bridge, "A/b/c/d/", 4, true);
        bridge_expect(subscriber, bridge, "A/b/c/d/", 5, true);
        bridge_expect(subscriber, bridge, "A/b/c/d/", 6, false);
        bridge_lose(bridge, "A/b/c/d/");
        bridge_publish(bridge, "A/b/c/d/");
        bridge_expect(subscriber, bridge, "A/b/c/d/", 7, true);
        bridge_expect(subscriber, bridge, "A/b/c/d/", 8, false);
        bridge_expect_nothing(subscriber, bridge);
        stage_end(&subscriber, &bridge);
    }
}

Test(subscriber_runs, program_goes_on_after_what_is_gone)
{
    struct bridge *bridge = bridge_create(STAGE_EPOCH);
    for (unsigned k = 0; k < 9; k++) {
        bridge_lose(bridge, "A/b/c/d/");
    }
    bridge->oldest = 8;
    struct arizmq_subscriber *subscriber = resume(bridge, "A/", STAGE_EPOCH, 3);
    bridge_heartbeat(bridge);
    bridge_expect(subscriber, bridge, "A/b/c/d/", 8, true);
    bridge_expect(subscriber, bridge, "A/b/c/d/", 9, true);
    bridge_expect_loss(subscriber, bridge, ARIZMQ_LOSS_COMPACTED, 0, NULL);
    bridge_publish(bridge, "A/b/c/d/");
    bridge_expect(subscriber, bridge, "A/b/c/d/", 10, false);
    bridge_expect_nothing(subscriber, bridge);
    stage_end(&subscriber, &bridge);
}

Test(subscriber_runs, program_goes_on_in_another_run)
{
    for (unsigned remembers = 0; remembers < 2; remembers++) {
        struct bridge *bridge = bridge_create(STAGE_EPOCH);
        bridge_lose(bridge, "A/b/c/d/");
        bridge_lose(bridge, "A/b/c/d/");
        bridge_restart(bridge, NEXT_EPOCH);
        bridge->remembers_runs = remembers;
        bridge_lose(bridge, "A/b/c/d/");
        struct arizmq_subscriber *subscriber = resume(bridge, "A/", STAGE_EPOCH, 1);
        bridge_publish(bridge, "A/b/c/d/");
        if (remembers) {
            struct arizmq_message rest = bridge_next(subscriber, bridge, NULL);
            cr_assert_eq(rest.stamp.epoch, STAGE_EPOCH);
            cr_assert_eq(rest.stamp.seq, 2);
        } else {
            bridge_expect_loss(subscriber, bridge, ARIZMQ_LOSS_RESTART, 0, NULL);
        }
        bridge_expect(subscriber, bridge, "A/b/c/d/", 1, true);
        bridge_expect(subscriber, bridge, "A/b/c/d/", 2, false);
        bridge_expect_nothing(subscriber, bridge);
        stage_end(&subscriber, &bridge);
    }
}
