/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Fault 05: Asterisk answers the handshake with something other than 101. The log names the status
 * and says what to look at; attempts go on without haste; and once the answer is 101 the link is
 * up without anybody's help.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "fault.h"

TestSuite(fault_05, .timeout = 300);

enum { BACKOFF_MIN_MS = 20, BACKOFF_MAX_MS = 300, ATTEMPTS = 4 };

static struct fault *begin(const char *password)
{
    struct fault_options options = {
        .nodes = {{.name = "pbx1", .password = password, .backoff_max_ms = BACKOFF_MAX_MS}}};
    return fault_start(&options);
}

/* The next attempts come no faster than the pauses between them allow. */
static void check_pace(struct fault *fault, struct fault_peer *peer, const char *refused,
                       bool is_final)
{
    fault_await(fault, peer, refused);
    int64_t first = harness_now_ms();
    int64_t least = 0;
    for (int i = 1; i < ATTEMPTS; i++) {
        fault_await(fault, peer, refused);
        least += is_final ? BACKOFF_MAX_MS : (BACKOFF_MIN_MS << (i - 1));
    }
    int64_t took = harness_now_ms() - first;
    /* The first was perhaps looked at late. */
    cr_assert_geq(took, least - BACKOFF_MAX_MS / 2, "%d attempts within %lld ms", ATTEMPTS,
                  (long long)took);
}

static void run(const char *status, bool is_final, const char *log)
{
    struct fault *fault = begin(NULL);
    struct fault_peer *peer = fault_peer(fault, 0);
    char refused[64];
    snprintf(refused, sizeof refused, "refused status=%ld app=ivr", strtol(status, NULL, 10));
    fake_do(peer->asterisk, "status %s", status);
    fake_do(peer->asterisk, "listen");
    check_pace(fault, peer, refused, is_final);
    fault_expect_log(fault, "node_connect_failed", log);
    cr_assert_geq(fault_metric(fault, METRIC_CONNECTS_REFUSED), ATTEMPTS - 1);
    cr_assert_geq(fault_metric(fault, METRIC_CONNECTS_FAILED), ATTEMPTS - 1);
    fault_expect_metric(fault, METRIC_CONNECTS, 1);
    fault_pass_healthy(fault);

    fake_do(peer->asterisk, "status 101");
    json_t *own = fault_expect_own(fault, peer, "ArizmqNodeConnected", NULL, NULL);
    cr_assert(json_is_false(json_object_get(own, "reconnect")));
    cr_assert_gt(json_integer_value(json_object_get(own, "attempt")), ATTEMPTS);
    fault_pass(fault, peer);
    fault_stop(&fault);
}

Test(fault_05, status_401)
{
    run("401", true,
        "Asterisk answered 401 Unauthorized: Unauthorized: check username and password of this "
        "node");
}

Test(fault_05, status_403)
{
    run("403", true,
        "Asterisk answered 403 Forbidden: Forbidden: this user may not do that; check ari.conf");
}

Test(fault_05, status_404)
{
    run("404", false,
        "Asterisk answered 404 Not Found: Not Found: check the url's path and that res_ari is "
        "loaded");
}

Test(fault_05, status_500)
{
    run("500", false, "Asterisk answered 500 Internal Server Error: Internal Server Error");
}

Test(fault_05, status_503_as_html)
{
    run("503 html", false,
        "Asterisk answered 503 Service Unavailable, as an HTML page: not ARI's own answer");
}

Test(fault_05, status_404_as_html)
{
    run("404 html", false,
        "Asterisk answered 404 Not Found, as an HTML page: not ARI's own answer: check the url's "
        "path and that res_ari is loaded");
}

Test(fault_05, status_200)
{
    run("200 html", false, "Asterisk answered 200 OK, as an HTML page: not ARI's own answer");
}

/* The real thing: the fake checks the password. Neither it nor the header made of it is logged. */
Test(fault_05, wrong_password)
{
    static const char wrong[] = "wrong-pw-91xZ";
    static const char wrong_encoded[] = "bGFiOndyb25nLXB3LTkxeFo=";
    struct fault *fault = begin(wrong);
    struct fault_peer *peer = fault_peer(fault, 0);
    fake_do(peer->asterisk, "listen");
    check_pace(fault, peer, "refused status=401 app=ivr", true);
    fault_expect_log(fault, "node_connect_failed",
                     "Asterisk answered 401 Unauthorized: Authentication required: check username "
                     "and password of this node");
    fault_pass_healthy(fault);
    peer->ends_down = true;
    fault_terminate(fault);
    cr_assert_eq(
        process_count_lines(fault->daemon->process, PROCESS_STDERR, process_line_contains, wrong),
        0);
    cr_assert_eq(process_count_lines(fault->daemon->process, PROCESS_STDERR, process_line_contains,
                                     wrong_encoded),
                 0);
    fault_stop(&fault);
}

/* A reconnect that is refused for a while: the gap lasts until the connection is really back. */
Test(fault_05, refused_after_a_loss)
{
    struct fault *fault = begin(NULL);
    struct fault_peer *peer = fault_peer(fault, 0);
    fault_open(fault, peer);
    fault_pass(fault, peer);
    fake_do(peer->asterisk, "status 503");
    fake_do(peer->asterisk, "drop-all");
    fault_expect_own(fault, peer, "ArizmqNodeDisconnected", "reason", "connection_lost");
    fault_await(fault, peer, "refused status=503");
    fault_await(fault, peer, "refused status=503");
    fault_pass_healthy(fault);
    fake_do(peer->asterisk, "status 101");
    fault_expect_reconnect(fault, peer, "reconnect");
    fault_pass(fault, peer);
    fault_stop(&fault);
}
