/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Fault 02: the TCP connection is half-open: nothing arrives any more and nobody says so. It is
 * noticed within liveness_ms, though kernels would keep such a connection for hours.
 */
#include <criterion/criterion.h>

#include "fault.h"

TestSuite(fault_02, .timeout = 300);

/* Leaving an application that hears everything takes a REST request first, which goes nowhere
 * here and is given up after a second. */
enum { UNSUBSCRIBE_TIMEOUT_MS = 1000 };

static void run(const char *version, bool subscribe_all)
{
    struct fault_options options = {.nodes = {{.name = "pbx1",
                                               .version = version,
                                               .has_proxy = true,
                                               .subscribe_all = subscribe_all}}};
    struct fault *fault = fault_start(&options);
    struct fault_peer *peer = fault_peer(fault, 0);
    fault_open(fault, peer);
    fault_pass(fault, peer);

    int64_t begin = harness_now_ms();
    fake_do(peer->proxy, "black-hole");
    char lost[FAULT_EVENT_SIZE];
    fault_event(peer, lost);
    fake_do(peer->asterisk, "send %s", lost);
    fault_expect_own(fault, peer, "ArizmqNodeDisconnected", "reason", "liveness");
    int64_t took = harness_now_ms() - begin;
    int64_t allowed =
        FAULT_LIVENESS_MS + FAULT_SLACK_MS + (subscribe_all ? UNSUBSCRIBE_TIMEOUT_MS : 0);
    cr_assert_leq(took, allowed, "it took %lld ms", (long long)took);
    /* The last thing heard may be a little older than the fault. */
    cr_assert_geq(took, FAULT_LIVENESS_MS - 500, "after only %lld ms", (long long)took);
    fault_expect_log(fault, "node_disconnected",
                     "pbx1/ivr: liveness: nothing was heard, request and ping were not answered");
    fault_expect_metric(fault, METRIC_LIVENESS_FAILURES, 1);
    fault_expect_metric(fault, METRIC_FRAMES_STALLED, 0);
    fault_pass_healthy(fault);

    fake_do(peer->proxy, "clear");
    fake_do(peer->proxy, "reset");
    fault_expect_reconnect(fault, peer, "reconnect");
    fault_await(fault, peer, "connected"); /* `send` means the newest connection */
    fault_pass(fault, peer);
    fault_pass_healthy(fault);
    fault_expect_metric(fault, METRIC_DISCONNECTS, 1);
    fault_expect_metric(fault, METRIC_GAPS, 1);
    fault_stop(&fault);
}

Test(fault_02, version_22)
{
    run("22", false);
}

Test(fault_02, version_16)
{
    run("16", false);
}

Test(fault_02, version_22_subscribed_to_all)
{
    run("22", true);
}

/* Only one direction is dead: what Asterisk sends arrives, so the link is of use and stays. */
Test(fault_02, only_our_direction_is_dead)
{
    struct fault_options options = {.nodes = {{.name = "pbx1", .has_proxy = true}}};
    struct fault *fault = fault_start(&options);
    struct fault_peer *peer = fault_peer(fault, 0);
    fault_open(fault, peer);
    fake_do(peer->proxy, "black-hole up");
    int64_t begin = harness_now_ms();
    while (harness_now_ms() - begin < 2 * FAULT_LIVENESS_MS) {
        fault_pass(fault, peer);
    }
    fault_expect_metric(fault, METRIC_LIVENESS_FAILURES, 0);
    fault_expect_metric(fault, METRIC_DISCONNECTS, 0);
    /* Then Asterisk falls silent, too, and what is asked of it does not arrive. */
    fault_expect_own(fault, peer, "ArizmqNodeDisconnected", "reason", "liveness");
    fault_expect_log(fault, "node_disconnected", "pbx1/ivr: liveness: ");
    fault_expect_metric(fault, METRIC_LIVENESS_FAILURES, 1);
    fake_do(peer->proxy, "clear");
    fault_expect_reconnect(fault, peer, "reconnect");
    fault_pass(fault, peer);
    fault_stop(&fault);
}
