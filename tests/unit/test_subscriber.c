/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A subscriber and a bridge that loses messages on purpose: what comes, in which order, and what is
 * asked for to make it so.
 */
#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "arizmq/gaps.h"
#include "base/clock.h"
#include "subscriber_stage.h"

TestSuite(subscriber, .timeout = 60);

Test(subscriber, hands_out_what_comes_and_asks_for_nothing)
{
    struct bridge *bridge = bridge_create(STAGE_EPOCH);
    struct arizmq_subscriber *subscriber = stage_subscribe(bridge, "A/");
    for (uint64_t seq = 1; seq <= 10; seq++) {
        bridge_publish(bridge, seq % 2 == 0 ? "A/b/c/d/" : "B/b/c/d/");
        bridge_heartbeat(bridge);
    }
    for (uint64_t seq = 2; seq <= 10; seq += 2) {
        bridge_expect(subscriber, bridge, "A/b/c/d/", seq, false);
    }
    bridge_expect_nothing(subscriber, bridge);
    cr_assert_eq(bridge->asked, 0);
    stage_end(&subscriber, &bridge);
}

Test(subscriber, asks_for_exactly_what_is_missing)
{
    struct bridge *bridge = bridge_create(STAGE_EPOCH);
    struct arizmq_subscriber *subscriber = stage_subscribe(bridge, "A/");
    bridge_publish(bridge, "A/b/c/d/");
    bridge_lose(bridge, "A/b/c/d/");
    bridge_lose(bridge, "B/b/c/d/");
    bridge_lose(bridge, "A/b/c/e/");
    bridge_publish(bridge, "A/b/c/d/");
    bridge_publish(bridge, "A/b/c/d/");
    bridge_expect(subscriber, bridge, "A/b/c/d/", 1, false);
    bridge_expect(subscriber, bridge, "A/b/c/d/", 2, true);
    bridge_expect(subscriber, bridge, "A/b/c/e/", 4, true);
    bridge_expect(subscriber, bridge, "A/b/c/d/", 5, false);
    bridge_expect(subscriber, bridge, "A/b/c/d/", 6, false);
    bridge_expect_nothing(subscriber, bridge);
    cr_assert_eq(bridge->asked, 1);
    cr_assert_str_eq(bridge->last.uri, "arizmq/history");
    cr_assert_str_eq(bridge->last.view, "events");
    cr_assert_str_eq(bridge->last.prefix, "A/");
    cr_assert_eq(bridge->last.after, 1);
    cr_assert_eq(bridge->last.until, 4);
    cr_assert_eq(bridge->last.epoch, STAGE_EPOCH);
    unsigned count = 0;
    const struct arizmq_subscriber_totals *totals = arizmq_subscriber_totals(subscriber, 0, &count);
    cr_assert_eq(count, 1);
    cr_assert_eq(totals->received, 5);
    cr_assert_eq(totals->repaired, 2);
    cr_assert_eq(totals->missing, 0);
    stage_end(&subscriber, &bridge);
}

Test(subscriber, message_is_byte_for_byte_what_was_published)
{
    const char *text = "{\"type\":\"A\",\"n\":1.50e2,\"s\":\"\\u00e9\xc3\xa9\"}";
    struct bridge *bridge = bridge_create(STAGE_EPOCH);
    struct arizmq_subscriber *subscriber = stage_subscribe(bridge, "");
    bridge_publish_text(bridge, "A/b/c/d/", text);
    bridge_lose_text(bridge, "A/b/c/d/", text);
    bridge_publish_text(bridge, "A/b/c/d/", text);
    for (uint64_t seq = 1; seq <= 3; seq++) {
        struct arizmq_message message = bridge_next(subscriber, bridge, NULL);
        cr_assert_eq(message.event_length, strlen(text));
        cr_assert_arr_eq(message.event, text, message.event_length);
        cr_assert_eq(message.stamp.seq, seq);
        cr_assert_eq(message.stamp.received_ns, 1000 + seq);
        cr_assert_eq(message.stamp.counts, 5);
        cr_assert_eq(message.stamp.count[4], seq);
        cr_assert_eq(message.endpoint, 0);
    }
    stage_end(&subscriber, &bridge);
}

Test(subscriber, heartbeat_shows_what_nothing_followed)
{
    struct bridge *bridge = bridge_create(STAGE_EPOCH);
    struct arizmq_subscriber *subscriber = stage_subscribe(bridge, "Channel");
    bridge_publish(bridge, "ChannelHold/b/c/d/");
    bridge_heartbeat(bridge);
    bridge_lose(bridge, "ChannelHold/b/c/d/");
    bridge_lose(bridge, "ChannelNew/b/c/d/");
    bridge_lose(bridge, "Other/b/c/d/");
    bridge_heartbeat(bridge);
    bridge_heartbeat(bridge);
    bridge_expect(subscriber, bridge, "ChannelHold/b/c/d/", 1, false);
    bridge_expect(subscriber, bridge, "ChannelHold/b/c/d/", 2, true);
    bridge_expect(subscriber, bridge, "ChannelNew/b/c/d/", 3, true);
    bridge_expect_nothing(subscriber, bridge);
    cr_assert_eq(bridge->asked, 1);
    cr_assert_eq(bridge->last.after, 1);
    cr_assert_eq(bridge->last.until, 4);
    stage_end(&subscriber, &bridge);
}

Test(subscriber, pages_follow_each_other)
{
    struct bridge *bridge = bridge_create(STAGE_EPOCH);
    struct arizmq_subscriber *subscriber = stage_subscribe(bridge, "A/");
    bridge->page_max = 7;
    bridge_publish(bridge, "A/b/c/d/");
    for (unsigned i = 0; i < 50; i++) {
        bridge_lose(bridge, "A/b/c/d/");
    }
    bridge_publish(bridge, "A/b/c/d/");
    bridge_expect(subscriber, bridge, "A/b/c/d/", 1, false);
    for (uint64_t seq = 2; seq <= 51; seq++) {
        bridge_expect(subscriber, bridge, "A/b/c/d/", seq, true);
    }
    bridge_expect(subscriber, bridge, "A/b/c/d/", 52, false);
    cr_assert_eq(bridge->asked, 8);
    stage_end(&subscriber, &bridge);
}

Test(subscriber, what_went_missing_together_comes_in_order)
{
    const char *const prefixes[] = {"Start/", "End/", "Held/"};
    const struct arizmq_subscriber_options options = {
        .prefixes = prefixes, .prefixes_count = 3, .page_messages = 6};
    struct bridge *bridge = bridge_create(STAGE_EPOCH);
    struct arizmq_subscriber *subscriber =
        stage_subscribe_with(options, stage_endpoint(bridge), bridge);
    bridge_publish(bridge, "Start/b/c/1/");
    bridge_publish(bridge, "End/b/c/1/");
    bridge_heartbeat(bridge);
    for (unsigned i = 0; i < 10; i++) {
        bridge_lose(bridge, "Start/b/c/2/");
        bridge_lose(bridge, "Noise/b/c/2/");
        bridge_lose(bridge, "End/b/c/2/");
    }
    bridge_publish(bridge, "End/b/c/3/");
    bridge_publish(bridge, "Start/b/c/3/");
    bridge_expect(subscriber, bridge, "Start/b/c/1/", 1, false);
    bridge_expect(subscriber, bridge, "End/b/c/1/", 2, false);
    for (uint64_t seq = 3; seq <= 32; seq++) {
        if (seq % 3 != 1) {
            bridge_expect(subscriber, bridge, seq % 3 == 0 ? "Start/b/c/2/" : "End/b/c/2/", seq,
                          true);
        }
    }
    bridge_expect(subscriber, bridge, "End/b/c/3/", 33, false);
    bridge_expect(subscriber, bridge, "Start/b/c/3/", 34, false);
    bridge_expect_nothing(subscriber, bridge);
    stage_end(&subscriber, &bridge);
}

Test(subscriber, of_many_prefixes_only_those_are_asked_about_that_miss_something)
{
    enum { PREFIXES = 40 };
    char texts[PREFIXES][16];
    const char *prefixes[PREFIXES];
    for (unsigned i = 0; i < PREFIXES; i++) {
        snprintf(texts[i], sizeof texts[i], "T%u/", i);
        prefixes[i] = texts[i];
    }
    const struct arizmq_subscriber_options options = {.prefixes = prefixes,
                                                      .prefixes_count = PREFIXES};
    struct bridge *bridge = bridge_create(STAGE_EPOCH);
    struct arizmq_subscriber *subscriber =
        stage_subscribe_with(options, stage_endpoint(bridge), bridge);
    bridge_publish(bridge, "T3/b/c/1/");
    bridge_publish(bridge, "T4/b/c/1/");
    bridge_heartbeat(bridge);
    bridge_lose(bridge, "T4/b/c/1/");
    bridge_lose(bridge, "T3/b/c/1/");
    bridge_heartbeat(bridge);
    bridge_expect(subscriber, bridge, "T3/b/c/1/", 1, false);
    bridge_expect(subscriber, bridge, "T4/b/c/1/", 2, false);
    bridge_expect(subscriber, bridge, "T4/b/c/1/", 3, true);
    bridge_expect(subscriber, bridge, "T3/b/c/1/", 4, true);
    cr_assert_eq(bridge->asked, 2);
    stage_end(&subscriber, &bridge);
}

Test(subscriber, what_arrived_meanwhile_is_not_doubled)
{
    struct bridge *bridge = bridge_create(STAGE_EPOCH);
    struct arizmq_subscriber *subscriber = stage_subscribe(bridge, "");
    bridge->doubles = true;
    bridge_publish(bridge, "A/b/c/d/");
    bridge_lose(bridge, "A/b/c/d/");
    bridge_publish(bridge, "B/b/c/d/");
    bridge_expect(subscriber, bridge, "A/b/c/d/", 1, false);
    struct arizmq_message message;
    cr_assert_eq(arizmq_subscriber_receive(subscriber, 20, &message), ARIZMQ_ETIMEOUT);
    struct arizmq_subscriber_status status;
    arizmq_subscriber_status(subscriber, 0, &status);
    cr_assert(status.is_repairing);
    /* The question is on its way; what comes now is in history, too, and beyond what was asked. */
    for (unsigned i = 0; i < 5; i++) {
        bridge_publish(bridge, "C/b/c/d/");
    }
    bridge_expect(subscriber, bridge, "A/b/c/d/", 2, true);
    bridge_expect(subscriber, bridge, "B/b/c/d/", 3, false);
    for (uint64_t seq = 4; seq <= 8; seq++) {
        bridge_expect(subscriber, bridge, "C/b/c/d/", seq, false);
    }
    bridge_expect_nothing(subscriber, bridge);
    stage_end(&subscriber, &bridge);
}

Test(subscriber, loss_while_another_is_repaired_is_repaired_in_turn)
{
    struct bridge *bridge = bridge_create(STAGE_EPOCH);
    struct arizmq_subscriber *subscriber = stage_subscribe(bridge, "A/");
    bridge_publish(bridge, "A/b/c/d/");
    for (unsigned i = 0; i < 20; i++) {
        bridge_lose(bridge, "A/b/c/d/");
        bridge_publish(bridge, "A/b/c/d/");
    }
    bridge_expect(subscriber, bridge, "A/b/c/d/", 1, false);
    for (uint64_t seq = 2; seq <= 41; seq++) {
        bridge_expect(subscriber, bridge, "A/b/c/d/", seq, seq % 2 == 0);
    }
    bridge_expect_nothing(subscriber, bridge);
    stage_end(&subscriber, &bridge);
}

Test(subscriber, counter_that_the_bridge_forgot_is_asked_about)
{
    struct bridge *bridge = bridge_create(STAGE_EPOCH);
    struct arizmq_subscriber *subscriber = stage_subscribe(bridge, "A/b/");
    for (unsigned i = 0; i < 5; i++) {
        bridge_publish(bridge, "A/b/c/d/");
    }
    bridge_lose(bridge, "A/b/c/d/"); /* of the old count */
    bridge_drop_counter(bridge, "A/b/");
    bridge_lose(bridge, "A/b/c/d/"); /* of the new one */
    bridge_publish(bridge, "A/b/c/d/");
    for (uint64_t seq = 1; seq <= 5; seq++) {
        bridge_expect(subscriber, bridge, "A/b/c/d/", seq, false);
    }
    bridge_expect(subscriber, bridge, "A/b/c/d/", 6, true);
    bridge_expect(subscriber, bridge, "A/b/c/d/", 7, true);
    bridge_expect(subscriber, bridge, "A/b/c/d/", 8, false);
    bridge_expect_nothing(subscriber, bridge);
    stage_end(&subscriber, &bridge);
}

/* In the view objects one event gives several messages with the same seq. */
Test(subscriber, part_of_an_event_can_be_missing)
{
    const char *prefix = "channel/";
    const struct arizmq_subscriber_options options = {
        .prefixes = &prefix, .prefixes_count = 1, .view = "objects"};
    struct bridge *bridge = bridge_create(STAGE_EPOCH);
    struct arizmq_subscriber *subscriber =
        stage_subscribe_with(options, stage_endpoint(bridge), bridge);
    bridge_publish(bridge, "channel/1/Dial/n/");
    bridge_lose_again(bridge, "channel/2/Dial/n/");
    bridge_publish_again(bridge, "channel/3/Dial/n/");
    bridge_publish(bridge, "channel/1/Hold/n/");
    bridge_lose(bridge, "channel/1/Dial/n/");
    bridge_publish_again(bridge, "channel/2/Dial/n/");
    bridge_expect(subscriber, bridge, "channel/1/Dial/n/", 1, false);
    bridge_expect(subscriber, bridge, "channel/2/Dial/n/", 1, true);
    bridge_expect(subscriber, bridge, "channel/3/Dial/n/", 1, false);
    bridge_expect(subscriber, bridge, "channel/1/Hold/n/", 2, false);
    bridge_expect(subscriber, bridge, "channel/1/Dial/n/", 3, true);
    bridge_expect(subscriber, bridge, "channel/2/Dial/n/", 3, false);
    bridge_expect_nothing(subscriber, bridge);
    cr_assert_str_eq(bridge->last.view, "objects");
    stage_end(&subscriber, &bridge);
}

Test(subscriber, waits_for_what_history_does_not_have_yet)
{
    struct bridge *bridge = bridge_create(STAGE_EPOCH);
    struct arizmq_subscriber *subscriber = stage_subscribe(bridge, "A/");
    bridge_publish(bridge, "A/b/c/d/");
    bridge_heartbeat(bridge);
    bridge_expect(subscriber, bridge, "A/b/c/d/", 1, false);
    bridge_lose(bridge, "A/b/c/d/");
    bridge_lose(bridge, "A/b/c/d/");
    bridge_heartbeat(bridge);
    bridge->hidden_seq = 3;
    bridge_expect(subscriber, bridge, "A/b/c/d/", 2, true);
    uint64_t until_ms = clock_monotonic_ms() + BRIDGE_WAIT_MS;
    while (bridge->asked < 4 && clock_monotonic_ms() < until_ms) {
        struct arizmq_message message;
        cr_assert_eq(arizmq_subscriber_receive(subscriber, 1, &message), ARIZMQ_ETIMEOUT);
        bridge_serve(bridge);
    }
    bridge->hidden_seq = 0;
    bridge_expect(subscriber, bridge, "A/b/c/d/", 3, true);
    bridge_expect_nothing(subscriber, bridge);
    stage_end(&subscriber, &bridge);
}

Test(subscriber, overlapping_prefixes_give_each_message_once)
{
    const char *const prefixes[] = {"A/b/", "A", "A/", ""};
    const struct arizmq_subscriber_options options = {.prefixes = prefixes, .prefixes_count = 4};
    struct bridge *bridge = bridge_create(STAGE_EPOCH);
    struct arizmq_subscriber *subscriber =
        stage_subscribe_with(options, stage_endpoint(bridge), bridge);
    bridge_publish(bridge, "A/b/c/d/");
    bridge_lose(bridge, "A/b/c/d/");
    bridge_publish(bridge, "B/b/c/d/");
    bridge_expect(subscriber, bridge, "A/b/c/d/", 1, false);
    bridge_expect(subscriber, bridge, "A/b/c/d/", 2, true);
    bridge_expect(subscriber, bridge, "B/b/c/d/", 3, false);
    cr_assert_eq(bridge->asked, 1);
    cr_assert_str_eq(bridge->last.prefix, "");
    stage_end(&subscriber, &bridge);
}

Test(subscriber, heartbeats_are_handed_out_on_request)
{
    const char *prefix = "";
    const struct arizmq_subscriber_options options = {
        .prefixes = &prefix, .prefixes_count = 1, .heartbeats = true};
    struct bridge *bridge = bridge_create(STAGE_EPOCH);
    struct arizmq_subscriber *subscriber =
        stage_subscribe_with(options, stage_endpoint(bridge), bridge);
    bridge_publish(bridge, "A/b/c/d/");
    bridge_lose(bridge, "A/b/c/d/");
    bridge_heartbeat(bridge);
    bridge_expect(subscriber, bridge, "A/b/c/d/", 1, false);
    bridge_expect(subscriber, bridge, "A/b/c/d/", 2, true);
    struct arizmq_message message = bridge_next(subscriber, bridge, NULL);
    cr_assert_eq(message.kind, ARIZMQ_MESSAGE_HEARTBEAT);
    cr_assert_eq(message.stamp.seq, 2);
    stage_end(&subscriber, &bridge);
}

static unsigned drain(struct arizmq_subscriber *subscriber)
{
    struct arizmq_message message;
    unsigned count = 0;
    while (arizmq_subscriber_receive(subscriber, 0, &message) == ARIZMQ_OK) {
        count += message.kind == ARIZMQ_MESSAGE_EVENT;
    }
    return count;
}

/* Two bridges and all that a repair does, seen through nothing but poll() on one descriptor. */
Test(subscriber, descriptor_tells_of_everything)
{
    const char *prefix = "";
    struct bridge *bridges[2] = {bridge_create(STAGE_EPOCH), bridge_create(STAGE_EPOCH + 1)};
    struct arizmq_endpoint endpoints[2];
    for (unsigned i = 0; i < 2; i++) {
        endpoints[i] = (struct arizmq_endpoint){.events = bridges[i]->events_endpoint,
                                                .gateway = bridges[i]->gateway_endpoint};
    }
    const struct arizmq_subscriber_options options = {
        .prefixes = &prefix, .prefixes_count = 1, .endpoints = endpoints, .endpoints_count = 2};
    struct arizmq_subscriber *subscriber = NULL;
    cr_assert_eq(arizmq_subscriber_create(&options, &subscriber), ARIZMQ_OK);
    struct pollfd item = {.fd = arizmq_subscriber_fd(subscriber), .events = POLLIN};
    cr_assert_geq(item.fd, 0);
    unsigned count = drain(subscriber);
    for (unsigned i = 0; i < 2; i++) {
        bridge_await(bridges[i], "", NULL);
        for (unsigned k = 0; k < 100; k++) {
            bridge_publish(bridges[i], "A/b/c/d/");
            bridge_lose(bridges[i], "A/b/c/d/");
            bridge_publish(bridges[i], "A/b/c/d/");
        }
        bridge_lose(bridges[i], "A/b/c/d/");
        bridge_heartbeat(bridges[i]);
    }
    uint64_t until_ms = clock_monotonic_ms() + BRIDGE_WAIT_MS;
    while (count < 602) {
        cr_assert_lt(clock_monotonic_ms(), until_ms, "%u of 602", count);
        /* Should the descriptor say nothing though there is something, this hangs. */
        if (poll(&item, 1, 5) == 1) {
            count += drain(subscriber);
        }
        bridge_serve(bridges[0]);
        bridge_serve(bridges[1]);
    }
    cr_assert_eq(count, 602);
    arizmq_subscriber_destroy(&subscriber);
    bridge_destroy(&bridges[0]);
    bridge_destroy(&bridges[1]);
}

Test(subscriber, refuses_what_cannot_be)
{
    const char *prefix = "A/";
    const char *no_utf8 = "A\xff";
    char too_long[ARIZMQ_TOPIC_BYTES_MAX + 2];
    memset(too_long, 'a', sizeof too_long - 1);
    too_long[sizeof too_long - 1] = '\0';
    const char *long_prefix = too_long;
    struct arizmq_endpoint endpoint = {.events = "tcp://127.0.0.1:1",
                                       .gateway = "tcp://127.0.0.1:2"};
    struct arizmq_subscriber *subscriber = NULL;
    struct arizmq_subscriber_options options = {.endpoints = &endpoint, .endpoints_count = 1};
    cr_assert_eq(arizmq_subscriber_create(&options, &subscriber), ARIZMQ_EINVALID);
    options.prefixes = &no_utf8;
    options.prefixes_count = 1;
    cr_assert_eq(arizmq_subscriber_create(&options, &subscriber), ARIZMQ_EINVALID);
    options.prefixes = &long_prefix;
    cr_assert_eq(arizmq_subscriber_create(&options, &subscriber), ARIZMQ_ETOOLARGE);
    options.prefixes = &prefix;
    options.endpoints_count = 0;
    cr_assert_eq(arizmq_subscriber_create(&options, &subscriber), ARIZMQ_EINVALID);
    options.endpoints_count = 1;
    endpoint.events = "nowhere";
    cr_assert_eq(arizmq_subscriber_create(&options, &subscriber), ARIZMQ_EINVALID);
    endpoint.events = "tcp://127.0.0.1:1";
    endpoint.gateway = "nowhere";
    cr_assert_eq(arizmq_subscriber_create(&options, &subscriber), ARIZMQ_EINVALID);
    cr_assert_null(subscriber);
}
