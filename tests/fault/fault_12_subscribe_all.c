/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Fault 12: the application exists already, so Asterisk silently ignores subscribeAll=true; or it
 * does not even answer the question whether it did. The bridge subscribes over REST, says from when
 * to when events may be missing, and asks until it is answered.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "fault.h"

TestSuite(fault_12, .timeout = 300);

/* 16 has no REST over its WebSocket, so that only requests over HTTP are held up. */
static struct fault *begin(const char *version)
{
    struct fault_options options = {.nodes = {{.name = "pbx1",
                                               .version = version,
                                               .subscribe_all = true,
                                               .extra = "    connect_timeout_ms: 500\n"}}};
    struct fault *fault = fault_start(&options);
    fake_do(fault_peer(fault, 0)->asterisk, "precreate ivr");
    return fault;
}

static void expect_mended(struct fault *fault, struct fault_peer *peer, const char *gap_reason)
{
    json_t *own = fault_expect_own(fault, peer, "ArizmqGap", "reason", gap_reason);
    cr_assert_leq(strcmp(json_string_value(json_object_get(own, "from")),
                         json_string_value(json_object_get(own, "to"))),
                  0);
    fault_expect_log(fault, "subscribe_all_mended",
                     "pbx1/ivr: Asterisk had ignored subscribeAll; subscribed over REST");
    fault_expect_log(fault, "gap", "pbx1/ivr: events between ");
    fault_await(fault, peer, "rest POST applications/ivr/subscription via=http status=200");
}

static void finish(struct fault *fault, struct fault_peer *peer, uint64_t rest_failures)
{
    fault_pass(fault, peer);
    fault_pass_healthy(fault);
    fault_expect_metric(fault, METRIC_SUBSCRIBE_ALL_MENDED, 1);
    fault_expect_metric(fault, METRIC_GAPS, 1);
    cr_assert_geq(fault_metric(fault, METRIC_REST_FAILURES), rest_failures);
    fault_expect_metric(fault, METRIC_DISCONNECTS, 0);
    fault_stop(&fault);
}

Test(fault_12, ignored)
{
    struct fault *fault = begin("22");
    struct fault_peer *peer = fault_peer(fault, 0);
    fault_open(fault, peer);
    expect_mended(fault, peer, "subscribe_all");
    cr_assert_eq(daemon_count_log(fault->daemon, "subscribe_all_unsure"), 0);
    finish(fault, peer, 0);
}

/* Nothing to mend: neither a POST nor a gap. */
Test(fault_12, not_ignored)
{
    struct fault_options options = {.nodes = {{.name = "pbx1", .subscribe_all = true}}};
    struct fault *fault = fault_start(&options);
    struct fault_peer *peer = fault_peer(fault, 0);
    fault_open(fault, peer);
    fault_await(fault, peer, "rest GET applications/ivr via=http status=200");
    fault_pass(fault, peer);
    fault_expect_metric(fault, METRIC_SUBSCRIBE_ALL_MENDED, 0);
    fault_expect_metric(fault, METRIC_GAPS, 0);
    cr_assert_eq(fault_count(peer, "rest POST"), 0);
    fault_stop(&fault);
}

Test(fault_12, reading_is_answered_500)
{
    struct fault *fault = begin("22");
    struct fault_peer *peer = fault_peer(fault, 0);
    fake_do(peer->asterisk, "rest-status applications 500");
    fault_open(fault, peer);
    for (int i = 0; i < 3; i++) {
        fault_expect_log(fault, "subscribe_all_unsure",
                         "pbx1/ivr: reading the application's subscriptions: Asterisk answered "
                         "500; events may be missing; trying again in ");
    }
    fault_pass(fault, peer); /* the stream goes on as it is */
    fault_pass_healthy(fault);
    cr_assert_leq(fault_count(peer, "rest GET applications/ivr"), 4);
    fake_do(peer->asterisk, "rest-status applications 0");
    expect_mended(fault, peer, "subscribe_all");
    finish(fault, peer, 3);
}

Test(fault_12, reading_is_not_answered)
{
    struct fault *fault = begin("16");
    struct fault_peer *peer = fault_peer(fault, 0);
    fake_do(peer->asterisk, "rest-delay 600000");
    fault_open(fault, peer);
    for (int i = 0; i < 2; i++) {
        fault_expect_log(fault, "subscribe_all_unsure",
                         "pbx1/ivr: reading the application's subscriptions: no answer in time; "
                         "events may be missing; trying again in ");
    }
    fault_pass(fault, peer);
    fake_do(peer->asterisk, "rest-delay 0");
    expect_mended(fault, peer, "subscribe_all");
    finish(fault, peer, 2);
}

/* It is read, and then the subscription itself is refused. */
Test(fault_12, subscribing_is_refused)
{
    struct fault *fault = begin("22");
    struct fault_peer *peer = fault_peer(fault, 0);
    fake_do(peer->asterisk, "rest-status applications/ivr/subscription 422");
    fault_open(fault, peer);
    for (int i = 0; i < 2; i++) {
        fault_expect_log(fault, "subscribe_all_unsure",
                         "pbx1/ivr: subscribing to everything: Asterisk answered 422; ");
    }
    fault_pass(fault, peer);
    fake_do(peer->asterisk, "rest-status applications/ivr/subscription 0");
    expect_mended(fault, peer, "subscribe_all");
    finish(fault, peer, 2);
}

/* After a loss, with the application kept alive meanwhile by a channel in it. */
Test(fault_12, ignored_after_a_reconnect)
{
    struct fault_options options = {.nodes = {{.name = "pbx1", .subscribe_all = true}}};
    struct fault *fault = fault_start(&options);
    struct fault_peer *peer = fault_peer(fault, 0);
    fault_open(fault, peer);
    fault_await(fault, peer, "rest GET applications/ivr via=http status=200");
    fault_pass(fault, peer);
    fake_do(peer->asterisk, "stop-listening");
    fake_do(peer->asterisk, "fin");
    fault_expect_own(fault, peer, "ArizmqNodeDisconnected", "reason", "connection_lost");
    fault_await(fault, peer, "closed");
    fake_do(peer->asterisk, "precreate ivr");
    fake_do(peer->asterisk, "listen");
    fault_expect_reconnect(fault, peer, "reconnect");
    fault_expect_own(fault, peer, "ArizmqGap", "reason", "subscribe_all");
    fault_expect_log(fault, "subscribe_all_mended", "pbx1/ivr: ");
    fault_pass(fault, peer);
    fault_expect_metric(fault, METRIC_SUBSCRIBE_ALL_MENDED, 1);
    fault_stop(&fault);
}

/* The gap of a lost connection is told even while nobody can say what the application hears. */
Test(fault_12, the_gap_does_not_wait_for_the_check)
{
    struct fault_options options = {.nodes = {{.name = "pbx1", .subscribe_all = true}}};
    struct fault *fault = fault_start(&options);
    struct fault_peer *peer = fault_peer(fault, 0);
    fault_open(fault, peer);
    fault_await(fault, peer, "rest GET applications/ivr via=http status=200");
    fault_pass(fault, peer);
    fake_do(peer->asterisk, "rest-status applications 403");
    fake_do(peer->asterisk, "fin");
    fault_expect_own(fault, peer, "ArizmqNodeDisconnected", "reason", "connection_lost");
    fault_await(fault, peer, "closed");
    fault_expect_reconnect(fault, peer, "reconnect");
    fault_expect_log(fault, "subscribe_all_unsure", "Asterisk answered 403");
    fault_pass(fault, peer);
    fault_expect_metric(fault, METRIC_GAPS, 1);
    fault_stop(&fault);
}
