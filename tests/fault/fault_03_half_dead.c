/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Fault 03: Asterisk has cut a message in the middle and left the TCP connection open, as it does
 * in half of the cases after a slow reader. A ping would then block its thread for good, so none
 * may be sent: over ws:// the unfinished frame itself is the sign; over wss://, where the library
 * shows no part of a frame, the text probe makes Asterisk close.
 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "certificates.h"
#include "fault.h"

TestSuite(fault_03, .timeout = 300);

static void run(const char *version, const char *cut, bool is_tls, bool subscribe_all)
{
    struct certificates certificates;
    certificates_create(&certificates);
    char ca[160];
    snprintf(ca, sizeof ca, "    tls: {ca_file: %s}\n", certificates.ca);
    const char *const tls[] = {"--tls-cert", certificates.good, "--tls-key", certificates.good_key,
                               NULL};
    struct fault_options options = {.nodes = {{.name = "pbx1",
                                               .version = version,
                                               .subscribe_all = subscribe_all,
                                               .url = is_tls ? "wss://127.0.0.1:%u/ari" : NULL,
                                               .extra = is_tls ? ca : NULL,
                                               .fake_options = is_tls ? tls : NULL}}};
    struct fault *fault = fault_start(&options);
    struct fault_peer *peer = fault_peer(fault, 0);
    fault_open(fault, peer);
    fault_pass(fault, peer);

    long long pings = fake_number(fake_do(peer->asterisk, "stats"), "ping");
    int64_t begin = harness_now_ms();
    fake_do(peer->asterisk, "cut %s", cut);
    fault_expect_own(fault, peer, "ArizmqNodeDisconnected", "reason",
                     is_tls ? "connection_lost" : "frame_stalled");
    int64_t took = harness_now_ms() - begin;
    fault_expect_log(fault, "node_disconnected",
                     is_tls ? "pbx1/ivr: connection_lost: "
                            : "pbx1/ivr: frame_stalled: a frame began and its rest did not come");
    cr_assert_leq(took, FAULT_LIVENESS_MS + FAULT_SLACK_MS, "it took %lld ms", (long long)took);
    fault_expect_metric(fault, METRIC_FRAMES_STALLED, is_tls ? 0 : 1);
    fault_expect_metric(fault, METRIC_LIVENESS_FAILURES, 0);

    /* The fake's side has ended, too: its thread was not blocked. */
    fault_await(fault, peer, "closed");
    fault_expect_reconnect(fault, peer, "reconnect");
    cr_assert_eq(fake_number(fake_do(peer->asterisk, "stats"), "ping"), pings,
                 "a ping was sent after the cut");
    cr_assert_eq(fault_count(peer, "stuck"), 0);
    fault_pass(fault, peer);
    fault_pass_healthy(fault);
    fault_stop(&fault);
    certificates_destroy(&certificates);
}

Test(fault_03, version_22)
{
    run("22", "200", false, false);
}

Test(fault_03, version_16)
{
    run("16", "200", false, false);
}

Test(fault_03, subscribed_to_all)
{
    run("22", "200", false, true);
}

Test(fault_03, nothing_but_the_header_came)
{
    run("22", "0", false, false);
}

Test(fault_03, over_several_reads)
{
    run("22", "300000", false, false);
}

Test(fault_03, tls_version_22)
{
    run("22", "200", true, false);
}

Test(fault_03, tls_version_16)
{
    run("16", "200", true, false);
}
