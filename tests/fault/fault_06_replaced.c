/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Fault 06: another client takes the application. Whatever on_replaced says, the bridge leaves it
 * to that client: no tug of war, and the other client's subscriptions are not touched.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "fault.h"

TestSuite(fault_06, .timeout = 300);

static const char unsubscription[] = "rest DELETE";

static struct fault *begin(const char *policy, bool has_proxy)
{
    static char extra[128];
    snprintf(extra, sizeof extra, "    on_replaced: %s\n    replaced_retry_ms: 200\n", policy);
    struct fault_options options = {
        .nodes = {{.name = "pbx1", .subscribe_all = true, .has_proxy = has_proxy, .extra = extra}}};
    struct fault *fault = fault_start(&options);
    struct fault_peer *peer = fault_peer(fault, 0);
    fault_open(fault, peer);
    fault_await(fault, peer, "rest GET applications/ivr via=http status=200");
    fault_pass(fault, peer);
    return fault;
}

/* The application goes to somebody; ApplicationReplaced is published like any event. */
static void replace(struct fault *fault, struct fault_peer *peer)
{
    fake_do(peer->asterisk, "replace ivr");
    const struct subscriber_message *message = fault_next(fault, peer);
    cr_assert_eq(strncmp(message->topic, "ApplicationReplaced/ivr/pbx1/-/", 31), 0, "%s",
                 message->topic);
}

static void expect_standby(struct fault *fault, struct fault_peer *peer, const char *log)
{
    fault_expect_own(fault, peer, "ArizmqNodeDisconnected", "reason", "replaced");
    fault_expect_log(fault, "node_disconnected", "pbx1/ivr: replaced: ");
    fault_expect_log(fault, "standby", log);
    cr_assert_eq(daemon_count_log(fault->daemon, "standby"), 1);
    fault_expect_metric(fault, METRIC_REPLACED, 1);
    fault_expect_metric(fault, METRIC_DISCONNECTS, 1);
    cr_assert_eq(fault_count(peer, unsubscription), 0);
    fault_pass_healthy(fault);
}

Test(fault_06, standby)
{
    struct fault *fault = begin("standby", false);
    struct fault_peer *peer = fault_peer(fault, 0);
    replace(fault, peer);
    /* What still arrives on the old connection is published. */
    fault_pass(fault, peer);
    expect_standby(fault, peer, "staying away until restarted (on_replaced: standby)");
    fault_expect_metric(fault, METRIC_LINKS_STANDBY, 1);
    /* It stays away though the application is free: not even asked. */
    fake_do(peer->asterisk, "remove ivr");
    size_t asked = fault_count(peer, "rest GET applications/");
    for (int i = 0; i < 100; i++) {
        fault_pass_healthy(fault);
    }
    cr_assert_eq(fault_count(peer, "rest GET applications/"), asked);
    cr_assert_eq(fault_count(peer, "connected"), 1);
    peer->ends_down = true;
    fault_terminate(fault);
    cr_assert_eq(fault_count(peer, unsubscription), 0);
    fault_stop(&fault);
}

Test(fault_06, when_free)
{
    struct fault *fault = begin("when_free", false);
    struct fault_peer *peer = fault_peer(fault, 0);
    replace(fault, peer);
    expect_standby(fault, peer, "asking every 200 ms whether it is free (on_replaced: when_free)");
    for (int i = 0; i < 4; i++) {
        fault_await(fault, peer, "rest GET applications/ivr via=http status=200");
    }
    cr_assert_eq(fault_count(peer, "connected"), 1);
    cr_assert_eq(fault_count(peer, unsubscription), 0);
    fault_expect_metric(fault, METRIC_LINKS_STANDBY, 1);
    fake_do(peer->asterisk, "remove ivr");
    fault_expect_reconnect(fault, peer, "reconnect");
    fault_expect_log(fault, "application_free", "pbx1/ivr: the other client is gone; connecting");
    fault_expect_metric(fault, METRIC_LINKS_STANDBY, 0);
    fault_pass(fault, peer);
    fault_stop(&fault);
}

Test(fault_06, when_free_asks_on_though_asterisk_is_away)
{
    struct fault *fault = begin("when_free", false);
    struct fault_peer *peer = fault_peer(fault, 0);
    replace(fault, peer);
    expect_standby(fault, peer, "asking every 200 ms");
    fake_do(peer->asterisk, "stop-listening");
    uint64_t before = fault_metric(fault, METRIC_REST_FAILURES);
    while (fault_metric(fault, METRIC_REST_FAILURES) < before + 2) {
        fault_pass_healthy(fault);
    }
    fake_do(peer->asterisk, "remove ivr");
    fake_do(peer->asterisk, "listen");
    fault_expect_reconnect(fault, peer, "reconnect");
    fault_pass(fault, peer);
    fault_stop(&fault);
}

Test(fault_06, reconnect)
{
    struct fault *fault = begin("reconnect", false);
    struct fault_peer *peer = fault_peer(fault, 0);
    replace(fault, peer);
    expect_standby(fault, peer, "taking it back in 200 ms (on_replaced: reconnect)");
    /* subscribeAll is ignored for an application that exists, but here it has all it needs. */
    fault_expect_reconnect(fault, peer, "reconnect");
    cr_assert_eq(fault_count(peer, "connected"), 2);
    fault_pass(fault, peer);
    fault_stop(&fault);
}

/* During the linger the connection ends by itself, in each way that there is. */
static void end_in_linger(const char *how)
{
    struct fault *fault = begin("standby", false);
    struct fault_peer *peer = fault_peer(fault, 0);
    replace(fault, peer);
    fake_do(peer->asterisk, "%s", how);
    expect_standby(fault, peer, "staying away until restarted");
    fault_expect_metric(fault, METRIC_LINKS_STANDBY, 1);
    peer->ends_down = true;
    fault_stop(&fault);
}

Test(fault_06, closed_in_the_linger)
{
    end_in_linger("close 1000");
}

Test(fault_06, lost_in_the_linger)
{
    end_in_linger("fin");
}

Test(fault_06, reset_in_the_linger)
{
    end_in_linger("rst");
}

Test(fault_06, half_dead_in_the_linger)
{
    end_in_linger("cut 200");
}

Test(fault_06, protocol_error_in_the_linger)
{
    end_in_linger("send-hex c1 00");
}

/* Asterisk does not even take the closing handshake. */
Test(fault_06, dead_in_the_linger)
{
    struct fault *fault = begin("standby", true);
    struct fault_peer *peer = fault_peer(fault, 0);
    replace(fault, peer);
    fake_do(peer->proxy, "black-hole");
    expect_standby(fault, peer, "staying away until restarted");
    peer->ends_down = true;
    fault_stop(&fault);
}

/* SIGTERM in the linger and in each kind of standby. */
Test(fault_06, stopped_in_the_linger)
{
    struct fault *fault = begin("standby", false);
    struct fault_peer *peer = fault_peer(fault, 0);
    replace(fault, peer);
    fault_terminate(fault);
    cr_assert_eq(fault_count(peer, unsubscription), 0);
    fault_stop(&fault);
}

Test(fault_06, stopped_in_standby_while_asking)
{
    struct fault *fault = begin("when_free", false);
    struct fault_peer *peer = fault_peer(fault, 0);
    replace(fault, peer);
    expect_standby(fault, peer, "asking every 200 ms");
    fake_do(peer->asterisk, "rest-delay 600000");
    fault_await(fault, peer, "rest GET applications/ivr");
    fault_await(fault, peer, "rest GET applications/ivr"); /* no answer to one of them */
    peer->ends_down = true;
    fault_terminate(fault);
    cr_assert_leq(fault->stop_ms, FAULT_SLACK_MS);
    cr_assert_eq(fault_count(peer, unsubscription), 0);
    fault_stop(&fault);
}

/* Two bridges want the same application: the later one keeps it, the earlier one waits. */
Test(fault_06, two_bridges)
{
    struct fault *fault = begin("when_free", false);
    struct fault_peer *peer = fault_peer(fault, 0);
    static const char config[] =
        "nodes:\n  - name: pbx1\n    url: ws://127.0.0.1:%u/ari\n    username: lab\n"
        "    password: pw-7Hq2-never-logged\n    apps: [ivr]\n    subscribe_all: true\n"
        "    on_replaced: when_free\n    replaced_retry_ms: 200\n"
        "publish:\n  - {view: events, endpoint: \"ipc://DIR/events\"}\nheartbeat_ms: 50\n";
    char text[sizeof config + 16];
    snprintf(text, sizeof text, config, peer->port);
    struct daemon_options options = {.config = text};
    struct daemon *other = daemon_start(&options);
    cr_assert_not_null(other);
    fault_await(fault, peer, "connected");
    const struct subscriber_message *message = fault_next(fault, peer);
    cr_assert_eq(strncmp(message->topic, "ApplicationReplaced/", 20), 0, "%s", message->topic);
    expect_standby(fault, peer, "asking every 200 ms");
    for (int i = 0; i < 5; i++) {
        fault_await(fault, peer, "rest GET applications/ivr via=http status=200");
    }
    cr_assert_eq(fault_count(peer, "connected"), 2);
    cr_assert_eq(daemon_count_log(other, "standby"), 0);
    /* When the other one leaves, this one is back. */
    cr_assert_eq(daemon_stop(&other, FAULT_TIMEOUT_MS), 0);
    fault_expect_reconnect(fault, peer, "reconnect");
    cr_assert_eq(fault_count(peer, "connected"), 3);
    fault_pass(fault, peer);
    fault_stop(&fault);
}
