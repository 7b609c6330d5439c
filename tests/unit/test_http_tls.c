/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Commands over HTTPS: whose certificates are believed, which name they must bear, certificates of
 * our own, files that cannot be used.
 */
#include "http_stage.h"

#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "arizmq/error.h"

static char *file_of(struct stage *stage, const char *name)
{
    return (char *)certificates_path(&stage->certificates, name);
}

static void expect(struct stage *stage, enum exchange_outcome outcome)
{
    struct ask ask;
    ask_send(&ask, stage, "POST", "channels", NULL, NULL);
    ask_await(&ask);
    EXPECT_OUTCOME(&ask, outcome);
    if (outcome == EXCHANGE_ANSWERED) {
        cr_expect_str_eq(ask.body, "POST /ari/channels HTTP/1.1");
    }
    ask_release(&ask);
}

Test(http_tls, believes_the_authority_that_was_given)
{
    struct stage stage;
    stage_create_tls(&stage, false);
    stage_start(&stage);
    for (unsigned i = 0; i < 5; i++) {
        expect(&stage, EXCHANGE_ANSWERED);
    }
    cr_expect_eq(stage.accepts, 1);
    stage_destroy(&stage);
}

Test(http_tls, believes_the_authority_for_an_address)
{
    struct stage stage;
    stage_create_tls(&stage, false);
    stage.node[0].host = (char[]){"127.0.0.1"};
    stage_start(&stage);
    expect(&stage, EXCHANGE_ANSWERED);
    stage_destroy(&stage);
}

Test(http_tls, believes_no_unknown_authority)
{
    struct stage stage;
    stage_create_tls(&stage, false);
    stage.node[0].tls.ca_file = NULL;
    stage_start(&stage);
    expect(&stage, EXCHANGE_NOT_SENT);
    cr_expect_eq(stage.requests, 0);
    stage_destroy(&stage);
}

/* The system's authorities count for nothing where one was given. */
Test(http_tls, believes_only_the_authority_that_was_given)
{
    struct stage stage;
    stage_create_tls(&stage, false);
    setenv("SSL_CERT_FILE", file_of(&stage, "ca.pem"), 1);
    stage.node[0].tls.ca_file = file_of(&stage, "self.pem");
    stage_start(&stage);
    expect(&stage, EXCHANGE_NOT_SENT);
    stage_destroy(&stage);
}

Test(http_tls, believes_no_other_name)
{
    struct stage stage;
    stage_create_tls(&stage, false);
    stage_use_certificate(&stage, "other");
    stage_start(&stage);
    expect(&stage, EXCHANGE_NOT_SENT);
    cr_expect_eq(stage.requests, 0);
    stage_destroy(&stage);
}

Test(http_tls, believes_anything_unverified)
{
    struct stage stage;
    stage_create_tls(&stage, false);
    stage_use_certificate(&stage, "other");
    stage.node[0].tls.ca_file = NULL;
    stage.node[0].tls.verify = false;
    stage_start(&stage);
    expect(&stage, EXCHANGE_ANSWERED);
    stage_destroy(&stage);
}

Test(http_tls, shows_its_certificate)
{
    struct stage stage;
    stage_create_tls(&stage, true);
    stage.node[0].tls.cert_file = file_of(&stage, "client.pem");
    stage.node[0].tls.key_file = file_of(&stage, "client.key");
    stage_start(&stage);
    expect(&stage, EXCHANGE_ANSWERED);
    stage_destroy(&stage);
}

/* TLS 1.3 lets a client write before the server has refused it: the outcome may be unknown. */
Test(http_tls, has_no_certificate_where_one_is_asked_for)
{
    struct stage stage;
    struct ask ask;
    stage_create_tls(&stage, true);
    stage_start(&stage);
    ask_send(&ask, &stage, "POST", "channels", NULL, NULL);
    ask_await(&ask);
    cr_expect_neq(ask.outcome, EXCHANGE_ANSWERED);
    cr_expect_eq(stage.requests, 0);
    ask_release(&ask);
    stage_destroy(&stage);
}

/* The connect timeout covers TLS. */
Test(http_tls, handshake_is_not_over_in_time)
{
    struct stage plain;
    struct ask ask;
    stage_create(&plain);
    plain.is_silent = true;
    plain.node[0].use_tls = true;
    plain.node[0].connect_timeout_ms = 150;
    stage_start(&plain);
    ask_get(&ask, &plain, "x");
    EXPECT_OUTCOME(&ask, EXCHANGE_NOT_SENT);
    cr_expect_eq(plain.accepts, 1);
    ask_release(&ask);
    stage_destroy(&plain);
}

Test(http_tls, refuses_files_that_cannot_be_used)
{
    struct stage stage;
    stage_create_tls(&stage, false);
    const struct config_tls bad[] = {
        {.ca_file = file_of(&stage, "none.pem"), .verify = true},
        {.cert_file = file_of(&stage, "client.key"), .key_file = file_of(&stage, "client.key")},
        {.cert_file = file_of(&stage, "client.pem"), .key_file = file_of(&stage, "server.key")},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char error[256] = "";
        struct http *http = NULL;
        stage.node[0].tls = bad[i];
        cr_expect_eq(http_create(&stage.config, -1, &http, error, sizeof error), ARIZMQ_EINVALID);
        cr_expect_null(http);
        cr_expect_eq(strncmp(error, "pbx1: cannot use /tmp/", 22), 0, "%s", error);
        cr_expect_null(strchr(error, '\n'));
    }
    stage_destroy(&stage);
}
