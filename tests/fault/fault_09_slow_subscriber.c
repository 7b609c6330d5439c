/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Fault 09: a subscriber that does not read, one that is stopped altogether, and one that does its
 * work, side by side. The last gets everything, Asterisk is never slowed, and the slow one can
 * tell from the counters what it has lost.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "arizmq/error.h"
#include "fault.h"
#include "harness/capture.h"

TestSuite(fault_09, .timeout = 300);

static const char recording[] = CAPTURES_DIR "/calls-1000-app.jsonl";

struct slow {
    void *context;
    void *socket;
    uint64_t last;     /* count[0] of its last message */
    uint64_t received; /* numbered messages */
    uint64_t lost;     /* by count[0] */
};

/* Takes one message; false when none came in the time. */
static bool slow_receive(struct slow *slow, int timeout_ms)
{
    zmq_pollitem_t item = {.socket = slow->socket, .events = ZMQ_POLLIN};
    if (zmq_poll(&item, 1, timeout_ms) <= 0) {
        return false;
    }
    char topic[64];
    uint8_t bytes[ARIZMQ_STAMP_BYTES_MAX];
    struct arizmq_stamp stamp;
    int topic_length = zmq_recv(slow->socket, topic, sizeof topic, 0);
    cr_assert_gt(topic_length, 0);
    zmq_recv(slow->socket, NULL, 0, 0);
    int length = zmq_recv(slow->socket, bytes, sizeof bytes, 0);
    cr_assert_gt(length, 0);
    cr_assert_eq(arizmq_stamp_decode(bytes, (size_t)length, &stamp), ARIZMQ_OK);
    bool is_heartbeat = strncmp(topic, "ArizmqHeartbeat/", 16) == 0;
    uint64_t expected = slow->last + !is_heartbeat;
    cr_assert_geq(stamp.count[0], expected, "a counter went back");
    slow->lost += slow->last ? stamp.count[0] - expected : 0;
    slow->received += !is_heartbeat;
    slow->last = stamp.count[0];
    return true;
}

static void slow_create(struct slow *slow, const char *endpoint)
{
    int few = 10;
    int small = 4096;
    int no_linger = 0;
    *slow = (struct slow){.context = zmq_ctx_new()};
    slow->socket = zmq_socket(slow->context, ZMQ_SUB);
    zmq_setsockopt(slow->socket, ZMQ_RCVHWM, &few, sizeof few);
    zmq_setsockopt(slow->socket, ZMQ_RCVBUF, &small, sizeof small);
    zmq_setsockopt(slow->socket, ZMQ_LINGER, &no_linger, sizeof no_linger);
    zmq_setsockopt(slow->socket, ZMQ_SUBSCRIBE, "", 0);
    cr_assert_eq(zmq_connect(slow->socket, endpoint), 0);
    cr_assert(slow_receive(slow, FAULT_TIMEOUT_MS), "the slow subscriber does not get in");
}

/* `arizmq sub` as somebody runs it, once it has received an event. */
static struct process *sub_create(struct fault *fault, struct fault_peer *peer)
{
    const char *const argv[] = {BUILD_DIR "/arizmq",
                                "sub",
                                "--connect",
                                fault->daemon->events_endpoint,
                                "--topics",
                                "--check-gaps",
                                "--rcvhwm",
                                "10",
                                NULL};
    struct process *process = NULL;
    cr_assert_eq(process_start(argv, &process), 0);
    do {
        fault_pass(fault, peer);
    } while (!process_await_line(process, PROCESS_STDOUT, process_line_begins_with,
                                 "ChannelUserevent/", 50));
    return process;
}

Test(fault_09, slow_beside_fast)
{
    enum { SNDHWM = 1000, RATE = 8000 };
    struct fault_options options = {.nodes = {{.name = "pbx1", .liveness_ms = 30000}},
                                    .sndhwm = SNDHWM};
    struct fault *fault = fault_start(&options);
    struct fault_peer *peer = fault_peer(fault, 0);
    fault_open(fault, peer);
    fault_pass(fault, peer);
    struct slow slow;
    slow_create(&slow, fault->daemon->events_endpoint);
    struct process *sub = sub_create(fault, peer);
    process_signal(sub, SIGSTOP);
    struct capture *capture = NULL;
    cr_assert_eq(capture_load(recording, &capture), 0);

    fake_do(peer->asterisk, "play %s rate=%d", recording, RATE);
    for (size_t i = 0; i < capture->count; i++) {
        fault_expect(fault, peer, capture->lines[i].text, capture->lines[i].length);
    }
    const char *done = fault_await(fault, peer, "play done");
    cr_assert_eq(fake_number(done, "frames"), (long long)capture->count, "%s", done);
    process_signal(sub, SIGCONT);
    uint64_t ideal_us = capture->count * 1000000 / RATE;
    cr_assert_leq((uint64_t)fake_number(done, "elapsed_us"), ideal_us * 2 + 1000000,
                  "Asterisk was slowed: %s", done);
    fault_pass_healthy(fault);

    /* The slow one wakes up: it reads what was kept for it, and then sees how much was not. */
    uint64_t seq = fault->heartbeat.stamp.count[0];
    while (slow.last < seq) {
        cr_assert(slow_receive(&slow, FAULT_TIMEOUT_MS), "nothing came for the slow one");
    }
    cr_assert_gt(slow.lost, capture->count / 2, "it lost %llu of %zu",
                 (unsigned long long)slow.lost, capture->count);
    cr_assert_gt(slow.received, 0);
    cr_assert_lt(slow.received, capture->count / 2);
    /* From now on it keeps up, and loses nothing more. */
    uint64_t lost = slow.lost;
    for (int i = 0; i < 20; i++) {
        fault_pass(fault, peer);
        uint64_t received = slow.received;
        while (slow.received == received) {
            cr_assert(slow_receive(&slow, FAULT_TIMEOUT_MS));
        }
    }
    cr_assert_eq(slow.lost, lost);
    fault_expect_metric(fault, METRIC_MESSAGES_FAILED, 0);
    fault_expect_metric(fault, METRIC_DISCONNECTS, 0);
    /* The stopped one reports its loss on its standard error, and in its exit status. */
    process_signal(sub, SIGTERM);
    cr_assert_eq(process_wait(sub, FAULT_TIMEOUT_MS), 3, "arizmq sub saw no loss");
    process_destroy(&sub);
    zmq_close(slow.socket);
    zmq_ctx_term(slow.context);
    capture_destroy(&capture);
    fault_stop(&fault);
}
