/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Fault 10: SIGTERM at every bad moment. What Asterisk had written before the close handshake ended
 * is published; then ArizmqStopping and a last heartbeat, which fault_stop() checks; the exit
 * status is 0 within stop_timeout_ms.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"
#include "fault.h"
#include "harness/capture.h"

TestSuite(fault_10, .timeout = 300);

static const char recording[] = CAPTURES_DIR "/calls-1000-app.jsonl";

enum { STOP_TIMEOUT_MS = 3000, QUICK_MS = FAULT_SLACK_MS };

static struct fault *begin(const struct fault_node *node, bool is_open)
{
    struct fault_options options = {.nodes = {*node}, .extra = "stop_timeout_ms: 3000\n"};
    struct fault *fault = fault_start(&options);
    if (is_open) {
        fault_open(fault, fault_peer(fault, 0));
    }
    return fault;
}

struct order {
    unsigned lines;
    unsigned deleted_at; /* number of the line; 0: never */
    unsigned closed_at;
};

static bool note_order(const char *line, const void *argument)
{
    struct order *order = (struct order *)(uintptr_t)argument;
    order->lines++;
    if (strncmp(line, "event rest DELETE applications/ivr/subscription", 47) == 0) {
        order->deleted_at = order->lines;
    } else if (strncmp(line, "event frame", 11) == 0 && strstr(line, " opcode=8 ")) {
        order->closed_at = order->lines;
    }
    return false;
}

/* The device-state unsubscription reached Asterisk before the close frame did. */
static void check_order(struct fault_peer *peer)
{
    struct order order = {0};
    fake_do(peer->asterisk, "stats");
    process_count_lines(peer->asterisk->process, PROCESS_STDOUT, note_order, &order);
    cr_assert_gt(order.deleted_at, 0, "no DELETE");
    cr_assert_gt(order.closed_at, order.deleted_at, "the close frame came before the DELETE");
}

static void run_burst(const char *version, bool subscribe_all)
{
    struct fault_node node = {
        .name = "pbx1", .version = version, .subscribe_all = subscribe_all, .liveness_ms = 30000};
    struct fault *fault = begin(&node, true);
    struct fault_peer *peer = fault_peer(fault, 0);
    struct capture *capture = NULL;
    cr_assert_eq(capture_load(recording, &capture), 0);
    size_t expected = 0;
    fake_do(peer->asterisk, "play %s loop=0 rate=40000", recording);
    for (; expected < 2000; expected++) {
        fault_expect(fault, peer, capture->lines[expected].text, capture->lines[expected].length);
    }
    fault_terminate(fault);
    cr_assert_leq(fault->stop_ms, STOP_TIMEOUT_MS + QUICK_MS);
    const char *stopped = fault_await(fault, peer, "play stopped");
    size_t written = (size_t)fake_number(stopped, "frames");
    cr_assert_geq(written, expected);
    /* The frame that was under way when the close frame came is finished before the echo. */
    for (; expected < written; expected++) {
        const struct capture_line *line = &capture->lines[expected % capture->count];
        fault_expect(fault, peer, line->text, line->length);
    }
    const struct fault_message *next = peer->received;
    if (next && strncmp(next->message.topic, "Arizmq", 6) != 0) {
        const struct capture_line *line = &capture->lines[expected % capture->count];
        fault_expect(fault, peer, line->text, line->length);
    }
    if (subscribe_all) {
        check_order(peer);
    }
    capture_destroy(&capture);
    fault_stop(&fault);
}

Test(fault_10, in_a_burst)
{
    run_burst("22", true);
}

Test(fault_10, in_a_burst_not_subscribed_to_all)
{
    run_burst("22", false);
}

Test(fault_10, in_a_burst_version_16)
{
    run_burst("16", true);
}

/* TCP is up, the handshake's answer does not come. */
Test(fault_10, while_connecting)
{
    struct fault_node node = {.name = "pbx1", .has_proxy = true, .proxy_fault = "stall"};
    struct fault *fault = begin(&node, false);
    struct fault_peer *peer = fault_peer(fault, 0);
    cr_assert_not_null(fake_await_event(peer->proxy, "connected", FAULT_TIMEOUT_MS));
    peer->ends_down = true;
    fault_terminate(fault);
    cr_assert_leq(fault->stop_ms, QUICK_MS);
    fault_stop(&fault);
}

Test(fault_10, in_backoff)
{
    struct fault_node node = {.name = "pbx1",
                              .is_absent = true,
                              .extra = "    replaced_retry_ms: 100\n",
                              .backoff_max_ms = 600000};
    struct fault *fault = begin(&node, false);
    do {
        fault_expect_log(fault, "node_retry", "pbx1/ivr: next try in ");
    } while (fault_metric(fault, METRIC_CONNECTS_FAILED) < 6);
    fault_terminate(fault);
    cr_assert_leq(fault->stop_ms, QUICK_MS);
    fault_stop(&fault);
}

/* A name whose lookup never ends has a thread of its own, which the end does not wait for. */
Test(fault_10, while_resolving)
{
    fault_use_names(NAMES_LIBRARY);
    struct fault_node node = {.name = "pbx1",
                              .is_absent = true,
                              .url = "ws://slow.test:%u/ari",
                              .extra = "    connect_timeout_ms: 600000\n"};
    struct fault *fault = begin(&node, false);
    fault_pass_healthy(fault);
    cr_assert_null(daemon_await_log(fault->daemon, "node_connect_failed", "pbx1/ivr", 0));
    fault_terminate(fault);
    cr_assert_leq(fault->stop_ms, QUICK_MS);
    fault_stop(&fault);
}

static void check_stop_timeout(struct fault *fault)
{
    fault_terminate(fault);
    cr_assert_leq(fault->stop_ms, STOP_TIMEOUT_MS + QUICK_MS, "the stop took %lld ms",
                  (long long)fault->stop_ms);
    fault_expect_log(fault, "node_disconnected", "pbx1/ivr: stopping: ");
}

Test(fault_10, asterisk_does_not_answer_the_close)
{
    struct fault_node node = {.name = "pbx1", .subscribe_all = true, .liveness_ms = 30000};
    struct fault *fault = begin(&node, true);
    struct fault_peer *peer = fault_peer(fault, 0);
    fault_pass(fault, peer);
    fake_do(peer->asterisk, "stall");
    check_stop_timeout(fault);
    fault_expect_log(fault, "stop_timeout",
                     "not all links closed in time (stop_timeout_ms is 3000)");
    fake_do(peer->asterisk, "resume");
    check_order(peer);
    fault_stop(&fault);
}

/* Nothing gets through to Asterisk any more, neither the DELETE nor the close frame. */
Test(fault_10, asterisk_is_unreachable)
{
    struct fault_node node = {
        .name = "pbx1", .subscribe_all = true, .has_proxy = true, .liveness_ms = 30000};
    struct fault *fault = begin(&node, true);
    fault_pass(fault, fault_peer(fault, 0));
    fake_do(fault_peer(fault, 0)->proxy, "black-hole");
    check_stop_timeout(fault);
    fault_stop(&fault);
}

/* The DELETE is given up after a second; the closing handshake then is as always. */
Test(fault_10, the_unsubscription_hangs)
{
    struct fault_node node = {.name = "pbx1", .subscribe_all = true, .liveness_ms = 30000};
    struct fault *fault = begin(&node, true);
    struct fault_peer *peer = fault_peer(fault, 0);
    fault_await(fault, peer, "rest GET applications/ivr via=http status=200");
    fault_pass(fault, peer);
    fake_do(peer->asterisk, "rest-delay 600000");
    check_stop_timeout(fault);
    cr_assert_eq(daemon_count_log(fault->daemon, "stop_timeout"), 0);
    check_order(peer);
    fault_stop(&fault);
}

/* Asterisk goes away by itself while the link is leaving. */
Test(fault_10, lost_while_stopping)
{
    struct fault_node node = {.name = "pbx1", .subscribe_all = true, .liveness_ms = 30000};
    struct fault *fault = begin(&node, true);
    struct fault_peer *peer = fault_peer(fault, 0);
    fault_await(fault, peer, "rest GET applications/ivr via=http status=200");
    fake_do(peer->asterisk, "rest-delay 600000");
    process_signal(fault->daemon->process, SIGTERM);
    fault_await(fault, peer, "rest DELETE applications/ivr/subscription");
    fault_pass(fault, peer); /* events still pass */
    fake_do(peer->asterisk, "rst");
    int status = process_wait(fault->daemon->process, FAULT_TIMEOUT_MS);
    cr_assert_eq(status, 0);
    fault_stop(&fault);
}

/* SIGTERM again and again, and SIGINT, change nothing. */
Test(fault_10, impatient)
{
    struct fault_node node = {.name = "pbx1", .subscribe_all = true, .liveness_ms = 30000};
    struct fault *fault = begin(&node, true);
    struct fault_peer *peer = fault_peer(fault, 0);
    fault_await(fault, peer, "rest GET applications/ivr via=http status=200");
    fake_do(peer->asterisk, "rest-delay 600000");
    process_signal(fault->daemon->process, SIGTERM);
    fault_expect_log(fault, "stopping", "closing 2 node(s), at most 3000 ms");
    process_signal(fault->daemon->process, SIGTERM);
    process_signal(fault->daemon->process, SIGINT);
    fault_await(fault, peer, "rest DELETE applications/ivr/subscription");
    fault_pass(fault, peer);
    fault_terminate(fault);
    cr_assert_eq(daemon_count_log(fault->daemon, "stopping"), 1);
    fault_stop(&fault);
}

/* A subscriber that is stopped does not hold up the end longer than stop_timeout_ms either. */
Test(fault_10, beside_a_stopped_subscriber)
{
    struct fault_node node = {.name = "pbx1", .subscribe_all = true, .liveness_ms = 30000};
    struct fault *fault = begin(&node, true);
    struct fault_peer *peer = fault_peer(fault, 0);
    const char *const argv[] = {
        BUILD_DIR "/arizmq", "sub", "--connect", fault->daemon->events_endpoint, "--topics", NULL};
    struct process *sub = NULL;
    cr_assert_eq(process_start(argv, &sub), 0);
    do {
        fault_pass(fault, peer);
    } while (!process_await_line(sub, PROCESS_STDOUT, process_line_begins_with, "ChannelUserevent/",
                                 50));
    process_signal(sub, SIGSTOP);
    struct capture *capture = NULL;
    cr_assert_eq(capture_load(recording, &capture), 0);
    fake_do(peer->asterisk, "play %s", recording);
    for (size_t i = 0; i < capture->count; i++) {
        fault_expect(fault, peer, capture->lines[i].text, capture->lines[i].length);
    }
    capture_destroy(&capture);
    fake_do(peer->asterisk, "stall"); /* and Asterisk does not answer the close */
    check_stop_timeout(fault);
    process_destroy(&sub);
    fake_do(peer->asterisk, "resume");
    fault_stop(&fault);
}
