/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A subscriber that joins exactly: the snapshot first, then what comes after it; again where
 * something is lost; and bodies that are no snapshot.
 */
#include <stdio.h>
#include <string.h>

#include "arizmq/snapshot.h"
#include "base/clock.h"
#include "subscriber_stage.h"

TestSuite(subscriber_join, .timeout = 60);

static struct arizmq_subscriber *join(struct bridge *bridge, const char *prefix, bool notices)
{
    const struct arizmq_snapshot_query query = {.kinds = "channels,bridges", .node = "pbx1"};
    const struct arizmq_subscriber_options options = {.prefixes = &prefix,
                                                      .prefixes_count = 1,
                                                      .snapshot = &query,
                                                      .repair_timeout_ms = 2000,
                                                      .notices = notices};
    return stage_subscribe_with(options, stage_endpoint(bridge), bridge);
}

#define ENDED                                                                                      \
    "[{\"node\":\"pbx1\",\"app\":\"ivr\",\"kind\":\"channel\",\"id\":\"0.9\",\"received_ns\":7}]"

/* The body of a snapshot at that seq, of one channel with that state. */
static const char *body_at(uint64_t epoch, uint64_t seq, const char *state)
{
    static char body[512];
    snprintf(body, sizeof body,
             "{\"epoch\":%llu,\"seq\":%llu,\"links\":[{\"node\":\"pbx1\",\"app\":\"ivr\"}],"
             "\"channels\":[{\"node\":\"pbx1\",\"app\":\"ivr\",\"value\":{\"id\":\"1.1\","
             "\"state\":\"%s\"}}],\"ended\":" ENDED "}",
             (unsigned long long)epoch, (unsigned long long)seq, state);
    return body;
}

static struct arizmq_message next(struct arizmq_subscriber *subscriber, struct bridge *bridge,
                                  enum arizmq_message_kind kind)
{
    struct arizmq_message message = bridge_next(subscriber, bridge, NULL);
    cr_assert_eq(message.kind, kind, "kind %d instead of %d, seq %llu: %s", message.kind, kind,
                 (unsigned long long)message.stamp.seq,
                 message.detail != NULL ? message.detail : "");
    return message;
}

/* The whole snapshot, of one channel. */
static void expect_snapshot(struct arizmq_subscriber *subscriber, struct bridge *bridge,
                            uint64_t seq, const char *value)
{
    struct arizmq_message message = next(subscriber, bridge, ARIZMQ_MESSAGE_SNAPSHOT_BEGIN);
    cr_assert_eq(message.stamp.epoch, bridge->epoch);
    cr_assert_eq(message.stamp.seq, seq);
    cr_assert_eq(message.event_length, strlen("[{\"node\":\"pbx1\",\"app\":\"ivr\"}]"));
    cr_assert_arr_eq(message.event, "[{\"node\":\"pbx1\",\"app\":\"ivr\"}]", message.event_length);
    message = next(subscriber, bridge, ARIZMQ_MESSAGE_OBJECT);
    cr_assert_str_eq(message.object.kind, "channel");
    cr_assert_str_eq(message.object.id, "1.1");
    cr_assert_str_eq(message.object.node, "pbx1");
    cr_assert_str_eq(message.object.app, "ivr");
    cr_assert_eq(message.object.value_length, strlen(value));
    cr_assert_arr_eq(message.object.value, value, message.object.value_length);
    cr_assert_eq(message.object.seq, seq);
    cr_assert_eq(message.object.epoch, bridge->epoch);
    message = next(subscriber, bridge, ARIZMQ_MESSAGE_SNAPSHOT_END);
    cr_assert_eq(message.stamp.seq, seq);
    cr_assert_eq(message.event_length, strlen(ENDED));
    cr_assert_arr_eq(message.event, ENDED, message.event_length);
}

Test(subscriber_join, objects_then_the_events_above_them)
{
    struct bridge *bridge = bridge_create(STAGE_EPOCH);
    struct arizmq_subscriber *subscriber = join(bridge, "", false);
    bridge_publish(bridge, "A/b/c/d/"); /* before the heartbeat: passed over */
    bridge_expect_nothing(subscriber, bridge);
    cr_assert_eq(bridge->asked, 0);
    bridge_heartbeat(bridge);
    for (unsigned i = 0; i < 4; i++) {
        bridge_publish(bridge, "A/b/c/d/"); /* 2 to 5 */
    }
    bridge->snapshot = body_at(STAGE_EPOCH, 3, "Up");
    expect_snapshot(subscriber, bridge, 3, "{\"id\":\"1.1\",\"state\":\"Up\"}");
    bridge_expect(subscriber, bridge, "A/b/c/d/", 4, false);
    bridge_expect(subscriber, bridge, "A/b/c/d/", 5, false);
    bridge_expect_nothing(subscriber, bridge);
    cr_assert_eq(bridge->asked, 1);
    cr_assert_str_eq(bridge->last.uri, "arizmq/snapshot");
    stage_end(&subscriber, &bridge);
}

Test(subscriber_join, run_that_began_later_is_joined_all_the_same)
{
    struct bridge *bridge = bridge_create(clock_wall_ns() / 1000 + 3600000000u);
    struct arizmq_subscriber *subscriber = join(bridge, "", false);
    bridge_publish(bridge, "A/b/c/d/");
    bridge_heartbeat(bridge);
    bridge_publish(bridge, "A/b/c/d/");
    bridge->snapshot = body_at(bridge->epoch, 1, "Up");
    expect_snapshot(subscriber, bridge, 1, "{\"id\":\"1.1\",\"state\":\"Up\"}");
    bridge_expect(subscriber, bridge, "A/b/c/d/", 2, false);
    bridge_expect_nothing(subscriber, bridge);
    cr_assert_eq(bridge->asked, 1);
    stage_end(&subscriber, &bridge);
}

Test(subscriber_join, loss_around_the_snapshot_is_repaired_above_it_only)
{
    struct bridge *bridge = bridge_create(STAGE_EPOCH);
    struct arizmq_subscriber *subscriber = join(bridge, "", false);
    bridge_publish(bridge, "A/b/c/d/");
    bridge_heartbeat(bridge);
    bridge_lose(bridge, "A/b/c/d/");
    bridge_lose(bridge, "A/b/c/d/");
    bridge_lose(bridge, "A/b/c/d/");
    bridge_publish(bridge, "A/b/c/d/");
    bridge->snapshot = body_at(STAGE_EPOCH, 2, "Up");
    expect_snapshot(subscriber, bridge, 2, "{\"id\":\"1.1\",\"state\":\"Up\"}");
    bridge_expect(subscriber, bridge, "A/b/c/d/", 3, true);
    bridge_expect(subscriber, bridge, "A/b/c/d/", 4, true);
    bridge_expect(subscriber, bridge, "A/b/c/d/", 5, false);
    bridge_expect_nothing(subscriber, bridge);
    stage_end(&subscriber, &bridge);
}

Test(subscriber_join, after_a_loss_it_joins_again)
{
    struct bridge *bridge = bridge_create(STAGE_EPOCH);
    struct arizmq_subscriber *subscriber = join(bridge, "", false);
    bridge_heartbeat(bridge);
    bridge->snapshot = body_at(STAGE_EPOCH, 0, "Ring");
    expect_snapshot(subscriber, bridge, 0, "{\"id\":\"1.1\",\"state\":\"Ring\"}");
    bridge_publish(bridge, "A/b/c/d/");
    bridge_forget(bridge, "A/b/c/d/");
    bridge_publish(bridge, "A/b/c/d/");
    bridge_publish(bridge, "A/b/c/d/");
    bridge_publish(bridge, "A/b/c/d/");
    bridge->snapshot = body_at(STAGE_EPOCH, 4, "Up");
    bridge_expect(subscriber, bridge, "A/b/c/d/", 1, false);
    bridge_expect_loss(subscriber, bridge, ARIZMQ_LOSS_NOT_KEPT, 1, "");
    bridge_expect(subscriber, bridge, "A/b/c/d/", 3, false);
    expect_snapshot(subscriber, bridge, 4, "{\"id\":\"1.1\",\"state\":\"Up\"}");
    bridge_expect(subscriber, bridge, "A/b/c/d/", 5, false);
    bridge_expect_nothing(subscriber, bridge);
    stage_end(&subscriber, &bridge);
}

Test(subscriber_join, another_run_is_joined_again)
{
    for (unsigned ends_well = 0; ends_well < 2; ends_well++) {
        struct bridge *bridge = bridge_create(STAGE_EPOCH);
        struct arizmq_subscriber *subscriber = join(bridge, "", false);
        bridge_heartbeat(bridge);
        bridge->snapshot = body_at(STAGE_EPOCH, 0, "Ring");
        expect_snapshot(subscriber, bridge, 0, "{\"id\":\"1.1\",\"state\":\"Ring\"}");
        bridge_publish(bridge, "A/b/c/d/");
        bridge_expect(subscriber, bridge, "A/b/c/d/", 1, false);
        if (ends_well) {
            bridge_publish(bridge, "ArizmqStopping/-/-/-/");
            bridge_heartbeat(bridge);
            bridge_expect(subscriber, bridge, "ArizmqStopping/-/-/-/", 2, false);
        }
        bridge_restart(bridge, STAGE_EPOCH + 1);
        bridge_publish(bridge, "A/b/c/d/");
        if (!ends_well) {
            bridge_expect_loss(subscriber, bridge, ARIZMQ_LOSS_RESTART, 0, NULL);
        }
        bridge_expect_nothing(subscriber, bridge);
        bridge_heartbeat(bridge);
        bridge->snapshot = body_at(STAGE_EPOCH + 1, 1, "Up");
        expect_snapshot(subscriber, bridge, 1, "{\"id\":\"1.1\",\"state\":\"Up\"}");
        bridge_publish(bridge, "A/b/c/d/");
        bridge_expect(subscriber, bridge, "A/b/c/d/", 2, false);
        stage_end(&subscriber, &bridge);
    }
}

static void expect_no_snapshot(struct arizmq_subscriber *subscriber, struct bridge *bridge,
                               const char *why)
{
    bridge_heartbeat(bridge);
    struct arizmq_message message = next(subscriber, bridge, ARIZMQ_MESSAGE_NOTICE);
    cr_assert_eq(message.notice, ARIZMQ_NOTICE_NO_SNAPSHOT);
    cr_assert(strstr(message.detail, why), "%s", message.detail);
}

Test(subscriber_join, is_tried_again_until_there_is_a_snapshot)
{
    struct bridge *bridge = bridge_create(STAGE_EPOCH);
    struct arizmq_subscriber *subscriber = join(bridge, "", true);
    cr_assert_eq(next(subscriber, bridge, ARIZMQ_MESSAGE_NOTICE).notice, ARIZMQ_NOTICE_CONNECTED);
    bridge->mood = BRIDGE_REFUSES;
    bridge->status = 404;
    bridge->error = "no_such_resource";
    expect_no_snapshot(subscriber, bridge, "no_such_resource");
    bridge->mood = BRIDGE_ANSWERS;
    bridge->snapshot = "[]";
    expect_no_snapshot(subscriber, bridge, "no snapshot");
    bridge->snapshot = body_at(STAGE_EPOCH + 1, 0, "Up");
    expect_no_snapshot(subscriber, bridge, "another run");
    bridge_close_gateway(bridge);
    expect_no_snapshot(subscriber, bridge, bridge->gateway_endpoint);
    bridge_open_gateway(bridge);
    bridge->snapshot = body_at(STAGE_EPOCH, 0, "Up");
    bridge_heartbeat(bridge);
    expect_snapshot(subscriber, bridge, 0, "{\"id\":\"1.1\",\"state\":\"Up\"}");
    bridge_publish(bridge, "A/b/c/d/");
    bridge_expect(subscriber, bridge, "A/b/c/d/", 1, false);
    stage_end(&subscriber, &bridge);
}

Test(subscriber_join, needs_a_gateway)
{
    const char *prefix = "";
    const struct arizmq_snapshot_query query = {0};
    const struct arizmq_endpoint endpoint = {.events = "tcp://127.0.0.1:1"};
    const struct arizmq_subscriber_options options = {.prefixes = &prefix,
                                                      .prefixes_count = 1,
                                                      .endpoints = &endpoint,
                                                      .endpoints_count = 1,
                                                      .snapshot = &query};
    struct arizmq_subscriber *subscriber = NULL;
    cr_assert_eq(arizmq_subscriber_create(&options, &subscriber), ARIZMQ_EINVALID);
}
