/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Fault 11: the network cuts, slices and delays wherever it likes. Nothing depends on where a read
 * ends; and a connection that breaks at any byte of handshake or frames is told and made anew.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "fault.h"

TestSuite(fault_11, .timeout = 300);

static struct fault *begin(const char *proxy_fault, const char *extra)
{
    struct fault_options options = {.nodes = {{.name = "pbx1",
                                               .has_proxy = true,
                                               .proxy_fault = proxy_fault,
                                               .liveness_ms = 30000,
                                               .extra = extra}}};
    return fault_start(&options);
}

/* Nothing gets through before the faults are set and the subscriber is there. */
static struct fault *begin_with(const char *fault_command)
{
    struct fault *fault = begin(NULL, NULL);
    struct fault_peer *peer = fault_peer(fault, 0);
    fake_do(peer->asterisk, "stop-listening");
    fake_do(peer->proxy, "clear");
    fake_do(peer->proxy, "%s", fault_command);
    fake_do(peer->asterisk, "listen");
    return fault;
}

static void run_flow(const char *fault_command, unsigned events)
{
    struct fault *fault = begin_with(fault_command);
    struct fault_peer *peer = fault_peer(fault, 0);
    fault_expect_own(fault, peer, "ArizmqNodeConnected", NULL, NULL);
    for (unsigned i = 0; i < events; i++) {
        fault_pass(fault, peer);
    }
    fake_do(peer->asterisk, "big 100000");
    cr_assert_eq(fault_next(fault, peer)->event_length, 100000);
    fault_pass(fault, peer);
    fault_pass_healthy(fault);
    fault_expect_metric(fault, METRIC_DISCONNECTS, 0);
    fault_stop(&fault);
}

Test(fault_11, one_byte_at_a_time)
{
    run_flow("slice 1", 20);
}

Test(fault_11, three_bytes_at_a_time)
{
    run_flow("slice down 3", 20);
}

Test(fault_11, late)
{
    run_flow("delay 40", 10);
}

struct stream {
    bool is_up;
    bool was_up;
    unsigned connects;
    unsigned disconnects;
};

/* Follows the bridge's own events: up and down take turns, a gap is told only while up and only
 * after the first time. True for an event of Asterisk's. */
static bool follow(struct fault *fault, struct stream *stream,
                   const struct subscriber_message *message)
{
    if (strncmp(message->topic, "ArizmqNodeConnected/", 20) == 0) {
        const char *expected = stream->was_up ? "\"reconnect\":true" : "\"reconnect\":false";
        if (stream->is_up || !strstr(message->event, expected)) {
            fault_fail(fault, "unexpected: %.200s", message->event);
        }
        stream->is_up = stream->was_up = true;
        stream->connects++;
    } else if (strncmp(message->topic, "ArizmqNodeDisconnected/", 23) == 0) {
        if (!stream->is_up || !strstr(message->event, "\"reason\":\"connection_lost\"")) {
            fault_fail(fault, "unexpected: %.200s", message->event);
        }
        stream->is_up = false;
        stream->disconnects++;
    } else if (strncmp(message->topic, "ArizmqGap/", 10) == 0) {
        if (!stream->is_up || stream->connects < 2) {
            fault_fail(fault, "unexpected: %.200s", message->event);
        }
    } else if (strncmp(message->topic, "ChannelUserevent/", 17) == 0) {
        return true;
    } else {
        fault_fail(fault, "unexpected: %.200s", message->event);
    }
    return false;
}

/* Sends events until one arrives; those before it went into connections that broke. */
static void settle(struct fault *fault, struct fault_peer *peer, struct stream *stream)
{
    char event[FAULT_EVENT_SIZE];
    for (int64_t deadline = harness_now_ms() + FAULT_TIMEOUT_MS; harness_now_ms() < deadline;) {
        fault_event(peer, event);
        const char *answer = fake_command(peer->asterisk, "send %s", event);
        int wait_ms = answer && strncmp(answer, "ok", 2) == 0 ? 300 : 5;
        for (const struct subscriber_message *message;
             (message = fault_poll(fault, peer, wait_ms)) != NULL;) {
            if (follow(fault, stream, message) && strcmp(message->event, event) == 0) {
                return;
            }
        }
    }
    fault_fail(fault, "the link does not come back");
}

/* Beyond the handshake's answer, which has about 130 bytes, up to the middle of events. */
static const unsigned places[] = {0,   1,   2,   9,   12,  40,  90,  126, 127, 128, 129, 130,
                                  131, 132, 133, 134, 135, 140, 200, 350, 400, 700, 1500};

static bool line_is_truncated(const char *line, const void *argument)
{
    (void)argument;
    return strncmp(line, "event closed ", 13) == 0 && strstr(line, "why=truncated");
}

/* Lets events flow until the proxy has cut a connection. */
static void send_until_cut(struct fault *fault, struct fault_peer *peer)
{
    char event[FAULT_EVENT_SIZE];
    int64_t deadline = harness_now_ms() + FAULT_TIMEOUT_MS;
    while (!process_await_line(peer->proxy->process, PROCESS_STDOUT, line_is_truncated, NULL, 5)) {
        fault_event(peer, event);
        fake_command(peer->asterisk, "send %s", event);
        if (harness_now_ms() > deadline) {
            fault_fail(fault, "the proxy has nothing to cut");
        }
    }
}

Test(fault_11, ends_after_any_byte)
{
    struct fault *fault = begin(NULL, NULL);
    struct fault_peer *peer = fault_peer(fault, 0);
    struct stream stream = {0};
    fault_listen(peer);
    settle(fault, peer, &stream);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        fake_do(peer->proxy, "truncate down %u", places[i]);
        fake_do(peer->proxy, "reset");
        send_until_cut(fault, peer);
        fake_do(peer->proxy, "clear");
        while (
            process_await_line(peer->proxy->process, PROCESS_STDOUT, line_is_truncated, NULL, 0)) {
        }
        settle(fault, peer, &stream);
    }
    fault_pass_healthy(fault);
    cr_assert_geq(stream.disconnects, sizeof places / sizeof *places);
    fault_expect_metric(fault, METRIC_DISCONNECTS, stream.disconnects);
    fault_expect_metric(fault, METRIC_CONNECTS, stream.connects + 1); /* and the healthy one */
    fault_expect_metric(fault, METRIC_PROTOCOL_ERRORS, 0);
    fault_expect_log(fault, "node_disconnected", "pbx1/ivr: connection_lost: ");
    fault_expect_log(fault, "node_connect_failed", "pbx1/ivr: 127.0.0.1:");
    fault_stop(&fault);
}

/* Waits until the newest connection has got so many bytes and the rest is held back. */
static void send_until_held(struct fault *fault, struct fault_peer *peer, long long wanted)
{
    char event[FAULT_EVENT_SIZE];
    int64_t deadline = harness_now_ms() + FAULT_TIMEOUT_MS;
    for (;;) {
        const char *stats = fake_do(peer->proxy, "stats");
        if (fake_number(stats, "connections") > 0 && fake_number(stats, "down_bytes") >= wanted) {
            return;
        }
        fault_event(peer, event);
        fake_command(peer->asterisk, "send %s", event);
        fault_poll(fault, fault_peer(fault, 1), 5); /* nothing comes: a pause */
        if (harness_now_ms() > deadline) {
            fault_fail(fault, "the connection does not get %lld bytes: %s", wanted, stats);
        }
    }
}

Test(fault_11, reset_after_any_byte)
{
    struct fault *fault = begin(NULL, NULL);
    struct fault_peer *peer = fault_peer(fault, 0);
    struct stream stream = {0};
    fault_listen(peer);
    settle(fault, peer, &stream);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        fake_do(peer->proxy, "truncate-hold down %u", places[i]);
        fake_do(peer->proxy, "reset");
        long long before = fake_number(fake_do(peer->proxy, "stats"), "down_bytes");
        send_until_held(fault, peer, before + places[i]);
        fake_do(peer->proxy, "reset");
        fake_do(peer->proxy, "clear");
        fake_do(peer->proxy, "reset"); /* one that was made meanwhile may have lost bytes */
        settle(fault, peer, &stream);
    }
    fault_pass_healthy(fault);
    cr_assert_geq(stream.disconnects, sizeof places / sizeof *places);
    fault_expect_metric(fault, METRIC_DISCONNECTS, stream.disconnects);
    fault_expect_metric(fault, METRIC_PROTOCOL_ERRORS, 0);
    fault_stop(&fault);
}

/* The handshake's answer comes byte by byte, with pauses between. */
Test(fault_11, handshake_trickles_in)
{
    struct fault *fault = begin_with("slice 1");
    struct fault_peer *peer = fault_peer(fault, 0);
    int64_t deadline = harness_now_ms() + FAULT_TIMEOUT_MS;
    while (!fault_poll(fault, peer, 1)) {
        fake_do(peer->proxy, "stall down");
        fault_poll(fault, fault_peer(fault, 1), 2); /* nothing comes: a pause */
        fake_do(peer->proxy, "resume down");
        if (harness_now_ms() > deadline) {
            fault_fail(fault, "no handshake");
        }
    }
    fault_pass(fault, peer);
    fault_expect_metric(fault, METRIC_CONNECTS, 2);
    fault_expect_metric(fault, METRIC_DISCONNECTS, 0);
    fault_stop(&fault);
}

static unsigned open_files(struct fault *fault)
{
    char path[64];
    unsigned count = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)process_pid(fault->daemon->process));
    DIR *directory = opendir(path);
    cr_assert_not_null(directory);
    while (readdir(directory)) {
        count++;
    }
    closedir(directory);
    return count;
}

static void run_connect_timeout(const char *proxy_fault)
{
    struct fault *fault = begin(proxy_fault, "    connect_timeout_ms: 200\n");
    struct fault_peer *peer = fault_peer(fault, 0);
    fault_expect_log(fault, "node_connect_failed", "no connection within connect_timeout_ms");
    unsigned files = open_files(fault);
    for (int i = 0; i < 5; i++) {
        fault_expect_log(fault, "node_connect_failed", "no connection within connect_timeout_ms");
    }
    cr_assert_leq(open_files(fault), files + 2, "attempts leave files open");
    cr_assert_geq(fault_metric(fault, METRIC_CONNECTS_FAILED), 6);
    fault_expect_metric(fault, METRIC_CONNECTS, 1);
    fault_pass_healthy(fault);
    fake_do(peer->proxy, "clear");
    fake_do(peer->proxy, "reset");
    struct stream stream = {0};
    settle(fault, peer, &stream);
    fault_stop(&fault);
}

Test(fault_11, handshake_is_never_answered)
{
    run_connect_timeout("stall");
}

Test(fault_11, handshake_is_half_answered)
{
    run_connect_timeout("truncate-hold down 60");
}
