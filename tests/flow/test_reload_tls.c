/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Reloads of nodes whose connections have TLS: it comes, its files change, and a connection is
 * handed over to another one.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fault/certificates.h"
#include "flow/reload_stage.h"

TestSuite(reload_tls, .timeout = 900);

static struct stage stage;

#define END FLOW_NODE_END "publish:\n" STAGE_EVENTS STAGE_REST

static void copy_file(const char *from, const char *to)
{
    char command[256];
    snprintf(command, sizeof command, "cp %s %s.new && mv %s.new %s", from, to, to, to);
    cr_assert_eq(system(command), 0);
}

/* A node with TLS where there was none before; and an authority that changes in its file. */
Test(reload_tls, tls_comes_and_its_files_change)
{
    struct certificates certificates;
    certificates_create(&certificates);
    char ca[128];
    snprintf(ca, sizeof ca, "%s/the_ca.pem", certificates.directory);
    copy_file(certificates.ca, ca);
    stage_open(&stage, 1);
    const char *const options[] = {"--tls-cert", certificates.good, "--tls-key",
                                   certificates.good_key, NULL};
    struct fake *secure = fake_start_asterisk(options);
    cr_assert_not_null(secure);
    stage_start(&stage, STAGE_A "publish:\n" STAGE_EVENTS STAGE_REST, stage.fake[0]->port);
    static const char with_tls[] =
        STAGE_A "  - {name: s, url: \"wss://127.0.0.1:%u/ari\", username: lab, password: secret,"
                " backoff_min_ms: 10, backoff_max_ms: 20, apps: [x], tls: {ca_file: %s}" END;
    stage_reload(&stage, with_tls, stage.fake[0]->port, secure->port, ca);
    stage_await_up(&stage, "s");
    stage_ask_until(&stage, "GET", "asterisk/ping", "s", 200);
    /* An authority that has not signed: the connection stays, no second one is made. */
    copy_file(certificates.other_ca, ca);
    stage_expect_reload(&stage, "node s: tls.ca_file (hand-over)");
    cr_assert_not_null(
        daemon_await_log(stage.daemon, "handover_failed", "certificate", FLOW_TIMEOUT_MS));
    stage_await_up(&stage, "s");
    copy_file(certificates.ca, ca);
    stage_expect_reload(&stage, "node s: tls.ca_file (hand-over)");
    STAGE_UNTIL(&stage, stage.handovers == 1);
    stage_ask_until(&stage, "GET", "asterisk/ping", "s", 200);
    stage_reload(&stage, STAGE_A "publish:\n" STAGE_EVENTS STAGE_REST, stage.fake[0]->port);
    STAGE_UNTIL(&stage, strcmp(stage.removed, "s") == 0);
    unlink(ca);
    certificates_destroy(&certificates);
    stage_close(&stage);
    cr_assert_eq(fake_stop(&secure), 0);
}

/* The only node, for printf: port, password, authority. */
#define SECURE_A                                                                                   \
    "nodes:\n  - {name: a, url: \"wss://127.0.0.1:%u/ari\", username: lab, password: %s,"          \
    " apps: [ivr], subscribe_all: true, backoff_min_ms: 10, backoff_max_ms: 20,"                   \
    " liveness_ms: 60000, tls: {ca_file: %s}}\n"                                                   \
    "publish:\n" STAGE_EVENTS STAGE_REST

Test(reload_tls, a_new_password_loses_nothing)
{
    enum { PASSWORDS = 5 };
    struct certificates certificates;
    certificates_create(&certificates);
    const char *const options[] = {"--tls-cert", certificates.good, "--tls-key",
                                   certificates.good_key, NULL};
    stage_open(&stage, 0);
    stage.fake[0] = fake_start_asterisk(options);
    cr_assert_not_null(stage.fake[0]);
    fake_do(stage.fake[0], "stop-listening");
    stage_start(&stage, SECURE_A, stage.fake[0]->port, "secret", certificates.ca);
    stage_flood(&stage, 3000);
    for (unsigned i = 1; i <= PASSWORDS; i++) {
        char word[16];
        snprintf(word, sizeof word, "word-%u", i);
        fake_do(stage.fake[0], "password %s", word);
        stage_reload(&stage, SECURE_A, stage.fake[0]->port, word, certificates.ca);
        STAGE_UNTIL(&stage, stage.handovers == i);
        cr_assert_eq(stage_ask(&stage, "GET", "asterisk/ping", "a", NULL), 200);
        uint64_t serial = stage.serial;
        STAGE_UNTIL(&stage, stage.serial > serial + 500);
    }
    stage_end_flood(&stage);
    cr_assert_eq(stage.gaps, 0);
    cr_assert_str_eq(stage.reason, "");
    STAGE_UNTIL(&stage, scene_metric(stage.daemon, "arizmq_links_leaving") == 0);
    fake_do(stage.fake[0], "stats");
    cr_assert_eq(fake_count_events(stage.fake[0], "closed "), PASSWORDS);
    cr_assert_eq(fake_count_events(stage.fake[0], "rest DELETE"), 0);
    stage_close(&stage);
    certificates_destroy(&certificates);
}
