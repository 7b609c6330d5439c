/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Fault 04: nothing happens on a healthy link for many times liveness_ms, and no alarm is given.
 * Asterisk 22 answers the REST probe, which is not published; 16 ignores it and answers the ping;
 * a 22 whose event filter swallows RESTResponse is kept by the ping, too.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "fault.h"

TestSuite(fault_04, .timeout = 300);

enum { PERIODS = 4 };

Test(fault_04, no_false_alarm)
{
    struct fault_options options = {
        .nodes = {{.name = "answers", .version = "22"},
                  {.name = "ignores", .version = "16"},
                  {.name = "filters", .version = "22"},
                  {.name = "hears-all", .version = "22", .subscribe_all = true}}};
    struct fault *fault = fault_start(&options);
    fake_do(fault_peer(fault, 2)->asterisk, "rest-answers off");
    for (unsigned i = 0; i < 4; i++) {
        fault_open(fault, fault_peer(fault, i));
        fault_pass(fault, fault_peer(fault, i));
    }
    /* So many probes are so many periods of silence. */
    static const char *const proof[] = {"rest GET asterisk/ping via=ws status=200", "text",
                                        "swallowed", "rest GET asterisk/ping via=ws status=200"};
    for (unsigned i = 0; i < 4; i++) {
        for (unsigned period = 0; period < PERIODS; period++) {
            fault_await(fault, fault_peer(fault, i), proof[i]);
        }
    }
    for (unsigned i = 0; i < 4; i++) {
        struct fault_peer *peer = fault_peer(fault, i);
        long long pings = fake_number(fake_do(peer->asterisk, "stats"), "ping");
        if (i == 1 || i == 2) {
            cr_assert_geq(pings, PERIODS - 1, "%s: %lld pings", peer->node.name, pings);
        } else {
            cr_assert_eq(pings, 0, "%s: %lld pings beside answered requests", peer->node.name,
                         pings);
        }
        cr_assert_eq(fault_count(peer, "closed"), 0);
        fault_pass(fault, peer); /* the very next message: no answer was published */
    }
    fault_expect_metric(fault, METRIC_LIVENESS_FAILURES, 0);
    fault_expect_metric(fault, METRIC_DISCONNECTS, 0);
    cr_assert_geq(fault_metric(fault, METRIC_EVENTS_OWN_RESPONSES), 2 * PERIODS);
    cr_assert_geq(fault_metric(fault, METRIC_CONTROL_FRAMES), 2 * (PERIODS - 1));
    cr_assert_eq(daemon_count_log(fault->daemon, "node_disconnected"), 0);
    fault_stop(&fault);
}

/* RESTResponses that answer somebody else's requests are events like others. */
Test(fault_04, other_answers_are_published)
{
    static const char *const answers[] = {
        "{\"type\":\"RESTResponse\",\"request_id\":\"q1\",\"status_code\":200}",
        "{\"type\":\"RESTResponse\",\"status_code\":204,\"application\":\"ivr\"}",
        "{\"type\":\"RESTResponse\",\"request_id\":\"arizmq-1-1\",\"application\":\"ivr\"}",
        "{\"type\":\"RESTResponse\",\"request_id\":7,\"application\":\"ivr\"}",
    };
    struct fault_options options = {.nodes = {{.name = "pbx1"}}};
    struct fault *fault = fault_start(&options);
    struct fault_peer *peer = fault_peer(fault, 0);
    fault_open(fault, peer);
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        fake_do(peer->asterisk, "send %s", answers[i]);
        fault_expect(fault, peer, answers[i], strlen(answers[i]));
    }
    fault_stop(&fault);
}

/* A ping of the peer's is answered once each, with its payload: the only pongs there ever are. */
Test(fault_04, peer_pings_are_answered)
{
    struct fault_options options = {.nodes = {{.name = "pbx1", .liveness_ms = 60000}}};
    struct fault *fault = fault_start(&options);
    struct fault_peer *peer = fault_peer(fault, 0);
    fault_open(fault, peer);
    for (unsigned length = 0; length <= 125; length += 25) {
        char payload[126] = "";
        memset(payload, 'p', length);
        fake_do(peer->asterisk, "ping %s", payload);
        peer->pings++;
        const char *line = fault_await(fault, peer, "frame");
        cr_assert_eq(fake_number(line, "opcode"), 10, "%s", line);
        cr_assert_eq(fake_number(line, "length"), length, "%s", line);
    }
    fault_pass(fault, peer);
    fault_stop(&fault);
}
