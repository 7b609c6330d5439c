/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Fault 01: Asterisk restarts. The connection goes, nobody listens for a while, then somebody does
 * again. The bridge tries for ever with growing pauses, comes back, and tells from when to when
 * events may be missing.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fault.h"

TestSuite(fault_01, .timeout = 300);

enum { BACKOFF_MIN_MS = 20, BACKOFF_MAX_MS = 200, ATTEMPTS = 12 };

/* The pauses in the log double from the least to the most and stay there. */
static void check_pauses(struct fault *fault)
{
    unsigned expected = BACKOFF_MIN_MS;
    for (int i = 0; i < ATTEMPTS; i++) {
        const char *line = fault_expect_log(fault, "node_retry", "pbx1/ivr: next try in ");
        unsigned pause = (unsigned)strtoul(strstr(line, "next try in ") + 12, NULL, 10);
        if (pause < expected || pause > expected + expected / 5 + 1) {
            fault_fail(fault, "pause %d is %u ms, not %u and at most a fifth more", i, pause,
                       expected);
        }
        expected = expected * 2 < BACKOFF_MAX_MS ? expected * 2 : BACKOFF_MAX_MS;
    }
}

static void check_gap(struct fault *fault, struct fault_peer *peer, const char *heard_after,
                      const char *lost_before, const char *back_after)
{
    json_t *own = fault_expect_own(fault, peer, "ArizmqNodeConnected", NULL, NULL);
    cr_assert(json_is_true(json_object_get(own, "reconnect")));
    cr_assert_geq(json_integer_value(json_object_get(own, "attempt")), ATTEMPTS);
    own = fault_expect_own(fault, peer, "ArizmqGap", "reason", "reconnect");
    const char *from = json_string_value(json_object_get(own, "from"));
    const char *to = json_string_value(json_object_get(own, "to"));
    cr_assert(strcmp(heard_after, from) <= 0 && strcmp(from, lost_before) <= 0,
              "from %s is not between %s and %s", from, heard_after, lost_before);
    cr_assert_geq(strcmp(to, back_after), 0, "to %s is before %s", to, back_after);
    fault_expect_log(fault, "gap", from);
}

static void begin(struct fault **fault, struct fault_peer **peer, char heard_after[64])
{
    static const struct fault_options options = {.nodes = {{.name = "pbx1"}}};
    *fault = fault_start(&options);
    *peer = fault_peer(*fault, 0);
    /* What the first attempts wrote, while nobody listened, is not looked at later. */
    fault_open(*fault, *peer);
    while (daemon_await_log((*fault)->daemon, "node_retry", NULL, 0)) {
    }
    while (daemon_await_log((*fault)->daemon, "node_connect_failed", NULL, 0)) {
    }
    /* A connection that lasts longer than the pause before it begins the pauses anew. */
    int64_t opened = harness_now_ms();
    do {
        fault_pass(*fault, *peer);
    } while (harness_now_ms() - opened <= 2 * BACKOFF_MAX_MS);
    fault_write_time(heard_after);
    fault_pass(*fault, *peer);
}

Test(fault_01, process_dies_and_comes_back)
{
    struct fault *fault;
    struct fault_peer *peer;
    char heard_after[64];
    char lost_before[64];
    char back_after[64];
    begin(&fault, &peer, heard_after);

    process_destroy(&peer->asterisk->process); /* SIGKILL */
    free(peer->asterisk);
    peer->asterisk = NULL;
    fault_expect_own(fault, peer, "ArizmqNodeDisconnected", "reason", "connection_lost");
    fault_write_time(lost_before);
    fault_expect_log(fault, "node_disconnected", "pbx1/ivr: connection_lost: ");
    check_pauses(fault);
    fault_expect_log(fault, "node_connect_failed", "pbx1/ivr: 127.0.0.1:");
    fault_pass_healthy(fault);
    cr_assert_geq(fault_metric(fault, METRIC_CONNECTS_FAILED), ATTEMPTS - 1);
    fault_expect_metric(fault, METRIC_LINKS_UP, 1);

    char port[8];
    snprintf(port, sizeof port, "%u", peer->port);
    const char *const options[] = {"--port", port, "--password", "pw-7Hq2-never-logged", NULL};
    fault_write_time(back_after);
    peer->asterisk = fake_start_asterisk(options);
    cr_assert_not_null(peer->asterisk);
    check_gap(fault, peer, heard_after, lost_before, back_after);
    fault_pass(fault, peer);
    fault_pass_healthy(fault);
    fault_expect_metric(fault, METRIC_DISCONNECTS, 1);
    fault_expect_metric(fault, METRIC_CONNECTS, 3);
    fault_expect_metric(fault, METRIC_GAPS, 1);
    fault_expect_metric(fault, METRIC_LINKS_UP, 2);
    fault_stop(&fault);
}

static void go_away_and_come_back(const char *how, const char *reason, const char *detail)
{
    struct fault *fault;
    struct fault_peer *peer;
    char heard_after[64];
    char lost_before[64];
    char back_after[64];
    begin(&fault, &peer, heard_after);
    fake_do(peer->asterisk, "stop-listening");
    fake_do(peer->asterisk, "%s", how);
    json_t *own = fault_expect_own(fault, peer, "ArizmqNodeDisconnected", "reason", reason);
    cr_assert_str_eq(json_string_value(json_object_get(own, "detail")), detail);
    fault_write_time(lost_before);
    fault_expect_log(fault, "node_disconnected", reason);
    check_pauses(fault);
    fault_pass_healthy(fault);
    fault_write_time(back_after);
    fake_do(peer->asterisk, "listen");
    check_gap(fault, peer, heard_after, lost_before, back_after);
    fault_pass(fault, peer);
    fault_expect_metric(fault, METRIC_DISCONNECTS, 1);
    fault_expect_metric(fault, METRIC_GAPS, 1);
    fault_stop(&fault);
}

Test(fault_01, leaves_with_a_close_frame)
{
    go_away_and_come_back("close 1001 shutting down", "closed_by_peer",
                          "close frame 1001 shutting down");
}

Test(fault_01, leaves_with_a_fin)
{
    go_away_and_come_back("fin", "connection_lost", "the connection was lost");
}

Test(fault_01, leaves_with_a_reset)
{
    go_away_and_come_back("rst", "connection_lost", "the connection was lost");
}
