/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Fault 15: one node is absent, one does not answer, one is half-dead again and again, one floods;
 * the healthy node beside them is not held up and loses nothing.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "fault.h"

TestSuite(fault_15, .timeout = 300);

static const char recording[] = CAPTURES_DIR "/calls-1000-app.jsonl";

enum { EVENTS = 300 };

/* Takes the healthy node's next event from a socket of its own, to which nothing else comes. */
static void pass_private(struct fault *fault, struct fault_peer *peer,
                         struct subscriber *subscriber, struct counter_tracker *tracker,
                         int64_t *longest)
{
    char event[FAULT_EVENT_SIZE];
    struct subscriber_message message;
    fault_event(peer, event);
    int64_t begin = harness_now_ms();
    fake_do(peer->asterisk, "send %s", event);
    if (subscriber_receive(subscriber, FAULT_TIMEOUT_MS, &message)) {
        fault_fail(fault, "an event of the healthy node did not come");
    }
    int64_t took = harness_now_ms() - begin;
    *longest = took > *longest ? took : *longest;
    cr_assert_str_eq(message.event, event);
    cr_assert(counter_tracker_add(tracker, &message), "%s", counter_tracker_first_jump(tracker));
    subscriber_message_clear(&message);
}

Test(fault_15, healthy_among_sick)
{
    struct fault_options options = {
        .nodes = {{.name = "absent", .is_absent = true},
                  {.name = "mute", .has_proxy = true, .proxy_fault = "stall"},
                  {.name = "dying", .liveness_ms = 1000},
                  {.name = "flooding", .app = "ivr", .liveness_ms = 60000}},
        .sndhwm = 1000};
    struct fault *fault = fault_start(&options);
    struct fault_peer *well = fault_peer(fault, 4);
    struct fault_peer *dying = fault_peer(fault, 2);
    struct fault_peer *flooding = fault_peer(fault, 3);
    fault_open(fault, dying);
    fault_open(fault, flooding);
    struct subscriber *subscriber =
        subscriber_create(fault->daemon->events_endpoint, "ChannelUserevent/vip/healthy/");
    struct counter_tracker *tracker = counter_tracker_create(3);
    subscriber_subscribe(subscriber, "ArizmqHeartbeat/");
    cr_assert_eq(subscriber_join(subscriber, FAULT_TIMEOUT_MS), 0);
    subscriber_unsubscribe(subscriber, "ArizmqHeartbeat/");
    /* The flood is more than one subscriber may keep up with; the one to everything steps aside. */
    fault->is_filtered = true;
    subscriber_unsubscribe(fault->subscriber, "");
    subscriber_subscribe(fault->subscriber, "Arizmq");
    fake_do(flooding->asterisk, "play %s loop=0", recording);
    fake_do(dying->asterisk, "cut 100");
    int64_t longest = 0;
    for (int i = 0; i < EVENTS; i++) {
        pass_private(fault, well, subscriber, tracker, &longest);
    }
    cr_assert_leq(longest, FAULT_SLACK_MS, "an event took %lld ms", (long long)longest);
    cr_assert_eq(fault_count(well, "closed"), 0);
    cr_assert_gt(fault_metric(fault, METRIC_EVENTS), EVENTS * 10);
    fault_expect_log(fault, "node_disconnected", "dying/ivr: frame_stalled: ");
    fault_expect_log(fault, "node_connect_failed", "absent/ivr: ");
    cr_assert_eq(daemon_count_log(fault->daemon, "node_disconnected"), 1);
    fake_do(flooding->asterisk, "stop-play");
    subscriber_destroy(&subscriber);
    counter_tracker_destroy(&tracker);
    fault_expect_own(fault, dying, "ArizmqNodeDisconnected", "reason", "frame_stalled");
    fault_expect_reconnect(fault, dying, "reconnect");
    fault_peer(fault, 1)->ends_down = true;
    fault_stop(&fault);
}
