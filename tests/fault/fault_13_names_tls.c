/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Fault 13: the node's name cannot be resolved, or has several addresses of which the first is
 * dead; the certificate of a wss:// node is not to be trusted. The log says which it is, and the
 * bridge keeps trying.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "certificates.h"
#include "fault.h"
#include "harness/fake.h"

TestSuite(fault_13, .timeout = 300);

Test(fault_13, name_is_unknown)
{
    fault_use_names(NAMES_LIBRARY);
    struct fault_options options = {
        .nodes = {{.name = "pbx1", .is_absent = true, .url = "ws://unknown.test:%u/ari"}}};
    struct fault *fault = fault_start(&options);
    for (int i = 0; i < 4; i++) {
        fault_expect_log(fault, "node_connect_failed", "Name or service not known");
        fault_expect_log(fault, "node_retry", "pbx1/ivr: next try in ");
    }
    cr_assert_geq(fault_metric(fault, METRIC_CONNECTS_FAILED), 4);
    fault_pass_healthy(fault);
    fault_stop(&fault);
}

/* The fake listens on 127.0.0.1 only, and both.test is ::1 first. */
Test(fault_13, first_address_refuses)
{
    fault_use_names(NAMES_LIBRARY);
    struct fault_options options = {.nodes = {{.name = "pbx1", .url = "ws://both.test:%u/ari"}},
                                    .extra = "log: {level: debug}\n"};
    struct fault *fault = fault_start(&options);
    struct fault_peer *peer = fault_peer(fault, 0);
    fault_open(fault, peer);
    fault_expect_log(fault, "node_address_failed", "pbx1/ivr: ::1: ");
    fault_pass(fault, peer);
    fake_do(peer->asterisk, "drop-all");
    fault_expect_own(fault, peer, "ArizmqNodeDisconnected", "reason", "connection_lost");
    fault_expect_reconnect(fault, peer, "reconnect");
    fault_pass(fault, peer);
    fault_pass_healthy(fault);
    fault_stop(&fault);
}

/* A socket that takes connections on 127.0.0.2 and never says a word. */
static int listen_silently(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK + 1)}};
    cr_assert_eq(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(listen(fd, 16), 0);
    return fd;
}

/* The first address has its share of connect_timeout_ms, not all of it. */
Test(fault_13, first_address_is_silent)
{
    fault_use_names(NAMES_LIBRARY);
    struct fake *asterisk = fake_start_asterisk(NULL);
    int silent = listen_silently(asterisk->port);
    char url[64];
    snprintf(url, sizeof url, "ws://silent.test:%u/ari", asterisk->port);
    struct daemon_options options = {.nodes = {{.name = "pbx1",
                                                .port = asterisk->port,
                                                .apps = "ivr",
                                                .url = url,
                                                .extra = "    connect_timeout_ms: 2000\n"}},
                                     .extra = "log: {level: debug}\n"};
    struct daemon *daemon = daemon_start(&options);
    cr_assert_not_null(daemon);
    cr_assert_not_null(
        daemon_await_log(daemon, "node_address_failed", "127.0.0.2", HARNESS_TIMEOUT_MS));
    cr_assert_not_null(daemon_await_log(daemon, "node_connected", "attempt 1", HARNESS_TIMEOUT_MS));
    cr_assert_eq(daemon_stop(&daemon, HARNESS_TIMEOUT_MS), 0);
    close(silent);
    fake_stop(&asterisk);
}

static void run_tls(const char *certificate, const char *key, const char *ca, const char *more,
                    const char *log)
{
    char extra[256];
    snprintf(extra, sizeof extra, "    tls: {ca_file: %s%s}\n", ca, more);
    const char *const tls[] = {"--tls-cert", certificate, "--tls-key", key, NULL};
    struct fault_options options = {.nodes = {{.name = "pbx1",
                                               .url = "wss://127.0.0.1:%u/ari",
                                               .extra = extra,
                                               .fake_options = tls}}};
    struct fault *fault = fault_start(&options);
    struct fault_peer *peer = fault_peer(fault, 0);
    if (log) {
        fault_listen(peer);
        for (int i = 0; i < 3; i++) {
            fault_expect_log(fault, "node_connect_failed", log);
        }
        cr_assert_geq(fault_metric(fault, METRIC_CONNECTS_FAILED), 3);
        fault_expect_metric(fault, METRIC_CONNECTS, 1);
        cr_assert_eq(fault_count(peer, "connected"), 0);
        peer->ends_down = true;
    } else {
        fault_open(fault, peer);
        fault_pass(fault, peer);
        fake_do(peer->asterisk, "big 300000");
        cr_assert_eq(fault_next(fault, peer)->event_length, 300000);
        fault_pass(fault, peer);
    }
    fault_pass_healthy(fault);
    fault_stop(&fault);
}

static struct certificates certificates;

static void setup(void)
{
    certificates_create(&certificates);
}

static void teardown(void)
{
    certificates_destroy(&certificates);
}

Test(fault_13, tls_good, .init = setup, .fini = teardown)
{
    run_tls(certificates.good, certificates.good_key, certificates.ca, "", NULL);
}

Test(fault_13, tls_other_authority, .init = setup, .fini = teardown)
{
    run_tls(certificates.good, certificates.good_key, certificates.other_ca, "",
            "the server's certificate is not accepted: unable to get local issuer certificate");
}

Test(fault_13, tls_wrong_name, .init = setup, .fini = teardown)
{
    run_tls(certificates.wrong_name, certificates.wrong_name_key, certificates.ca, "",
            "the server's certificate is not accepted: IP address mismatch");
}

Test(fault_13, tls_expired, .init = setup, .fini = teardown)
{
    run_tls(certificates.expired, certificates.expired_key, certificates.ca, "",
            "the server's certificate is not accepted: certificate has expired");
}

Test(fault_13, tls_not_verified, .init = setup, .fini = teardown)
{
    run_tls(certificates.expired, certificates.expired_key, certificates.other_ca,
            ", verify: false", NULL);
}

/* wss:// to a port where nobody speaks TLS. */
Test(fault_13, tls_to_a_plain_port, .init = setup, .fini = teardown)
{
    char extra[256];
    snprintf(extra, sizeof extra, "    tls: {ca_file: %s}\n", certificates.ca);
    struct fault_options options = {
        .nodes = {{.name = "pbx1", .url = "wss://127.0.0.1:%u/ari", .extra = extra}}};
    struct fault *fault = fault_start(&options);
    struct fault_peer *peer = fault_peer(fault, 0);
    fault_listen(peer);
    for (int i = 0; i < 3; i++) {
        fault_expect_log(fault, "node_connect_failed", "pbx1/ivr: 127.0.0.1:");
    }
    fault_pass_healthy(fault);
    fault_expect_metric(fault, METRIC_CONNECTS, 1);
    peer->ends_down = true;
    fault_stop(&fault);
}

/* ws:// to a port that speaks TLS. */
Test(fault_13, plain_to_a_tls_port, .init = setup, .fini = teardown)
{
    const char *const tls[] = {"--tls-cert", certificates.good, "--tls-key", certificates.good_key,
                               NULL};
    struct fault_options options = {.nodes = {{.name = "pbx1", .fake_options = tls}}};
    struct fault *fault = fault_start(&options);
    struct fault_peer *peer = fault_peer(fault, 0);
    fault_listen(peer);
    for (int i = 0; i < 3; i++) {
        fault_expect_log(fault, "node_connect_failed", "pbx1/ivr: 127.0.0.1:");
    }
    fault_pass_healthy(fault);
    fault_expect_metric(fault, METRIC_CONNECTS, 1);
    peer->ends_down = true;
    fault_stop(&fault);
}
