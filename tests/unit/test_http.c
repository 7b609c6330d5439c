/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Commands over HTTP as they go well: what is sent for each method, what is made of an answer,
 * connections kept and their number, the queue before them, and taking a request back.
 */
#include "http_stage.h"

#include <stdio.h>

#include "arizmq/error.h"

/* The last request that the server got. */
static struct stage_request last;
static const char *answer_text;

static void serve_text(struct stage *stage, struct peer *peer, const struct stage_request *request)
{
    (void)stage;
    stage_request_release(&last);
    last.head = strdup(request->head);
    last.body = bytes_copy_text(request->body, request->length);
    last.length = request->length;
    peer_send_text(peer, answer_text);
}

static void start_text(struct stage *stage, const char *text)
{
    answer_text = text;
    stage_create(stage);
    stage->serve = serve_text;
    stage_start(stage);
}

static void end_text(struct stage *stage)
{
    stage_destroy(stage);
    stage_request_release(&last);
    last = (struct stage_request){0};
}

static void expect_header(const char *name, const char *value)
{
    char *found = peer_header(last.head, name);
    if (value == NULL) {
        cr_expect_null(found, "%s in %s", name, last.head);
    } else {
        cr_assert_not_null(found, "no %s in %s", name, last.head);
        cr_expect_str_eq(found, value);
    }
    free(found);
}

static void expect_line(const char *line)
{
    cr_expect_eq(strncmp(last.head, line, strlen(line)), 0, "%s", last.head);
}

static const char ok_text[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
static const char no_content_text[] = "HTTP/1.1 204 No Content\r\n\r\n";
static const char head_text[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";

struct method_case {
    const char *method;
    const char *content_type;
    const char *body;
    const char *answer;
    const char *length; /* Content-Length as it came; NULL: none */
};

static const struct method_case method_cases[] = {
    {"GET", NULL, NULL, ok_text, NULL},
    {"GET", "application/json", "{\"a\":1}", ok_text, "7"},
    {"POST", NULL, NULL, ok_text, "0"},
    {"POST", "application/json", "{\"a\":1}", ok_text, "7"},
    {"PUT", NULL, NULL, no_content_text, "0"},
    {"PUT", "application/json; charset=utf-8", "[]", no_content_text, "2"},
    {"PATCH", NULL, NULL, ok_text, "0"},
    {"DELETE", NULL, NULL, no_content_text, NULL},
    {"DELETE", "text/plain", "x", no_content_text, "1"},
    {"OPTIONS", NULL, NULL, no_content_text, NULL},
    {"HEAD", NULL, NULL, head_text, NULL},
    {"BREW", NULL, NULL, ok_text, NULL},
    {"BREW", "message/coffeepot", "start", ok_text, "5"},
    {"GET", NULL, NULL, ok_text, NULL},
};

/* All on one connection, so that nothing of a request is left for the next. */
Test(http, sends_each_method_with_and_without_a_body)
{
    struct stage stage;
    start_text(&stage, NULL);
    for (size_t i = 0; i < sizeof method_cases / sizeof *method_cases; i++) {
        const struct method_case *one = &method_cases[i];
        struct ask ask;
        char line[128];
        answer_text = one->answer;
        ask_send(&ask, &stage, one->method, "channels/1690.12/play", one->content_type, one->body);
        ask_await(&ask);
        EXPECT_OUTCOME(&ask, EXCHANGE_ANSWERED);
        snprintf(line, sizeof line, "%s /ari/channels/1690.12/play HTTP/1.1\r\n", one->method);
        expect_line(line);
        expect_header("Content-Length", one->length);
        expect_header("Content-Type", one->content_type);
        expect_header("Authorization", "Basic bGFiOnNlY3JldA==");
        expect_header("Expect", NULL);
        expect_header("Accept-Encoding", NULL);
        cr_expect_str_eq(last.body, one->body != NULL ? one->body : "");
        cr_expect_eq(ask.status, one->answer == no_content_text ? 204 : 200);
        cr_expect_eq(ask.length, one->answer == ok_text ? 2U : 0U, "%s", one->method);
        ask_release(&ask);
    }
    cr_expect_eq(stage.accepts, 1);
    end_text(&stage);
}

Test(http, sends_the_target_byte_for_byte)
{
    struct stage stage;
    start_text(&stage, ok_text);
    char host[64];
    snprintf(host, sizeof host, "127.0.0.1:%u", stage.node[0].port);
    struct ask ask;
    ask_send_order(&ask, &stage,
                   &(struct exchange_order){.method = "GET",
                                            .uri = "channels/../a%2Fb/./%C3%A4//",
                                            .query = "media=sound%3Ax&y=a+b&z=%zz"});
    ask_await(&ask);
    expect_line("GET /ari/channels/../a%2Fb/./%C3%A4//?media=sound%3Ax&y=a+b&z=%zz HTTP/1.1\r\n");
    expect_header("Host", host);
    ask_release(&ask);
    end_text(&stage);
}

struct answer_case {
    const char *text;
    int status;
    const char *reason;
    const char *content_type;
    const char *body;
};

static const struct answer_case answer_cases[] = {
    {"HTTP/1.1 404 Variable Not Found\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
     "\r\n{}",
     404, "Variable Not Found", "application/json", "{}"},
    {"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: "
     "0\r\n\r\n",
     200, "OK", "application/json; charset=utf-8", ""},
    {"HTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx", 200, "", "", "x"},
    {"HTTP/1.1 200 \r\nContent-Length: 1\r\n\r\nx", 200, "", "", "x"},
    {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
     "HTTP/1.1 201 Created\r\nContent-Length: 3\r\n\r\nabc",
     201, "Created", "", "abc"},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\n"
     "Trailer: x\r\n\r\n",
     200, "OK", "", "abcdefg"},
    {"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/x\r\nContent-Length: 0\r\n\r\n", 302,
     "Found", "", ""},
    {"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 1\r\n\r\n"
     "?",
     401, "Unauthorized", "", "?"},
    {"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b!", 200, "OK",
     "", "\x1f\x8b!"},
    {"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n", 500,
     "Internal Server Error", "", ""},
    {"HTTP/1.1 204 No Content\r\n\r\n", 204, "No Content", "", ""},
};

Test(http, passes_answers_on_as_they_are)
{
    struct stage stage;
    start_text(&stage, NULL);
    for (size_t i = 0; i < sizeof answer_cases / sizeof *answer_cases; i++) {
        const struct answer_case *one = &answer_cases[i];
        struct ask ask;
        answer_text = one->text;
        ask_get(&ask, &stage, "x");
        EXPECT_OUTCOME(&ask, EXCHANGE_ANSWERED);
        cr_expect_eq(ask.status, one->status, "%s", one->text);
        cr_expect_str_eq(ask.reason, one->reason);
        cr_expect_str_eq(ask.content_type, one->content_type);
        cr_assert_not_null(ask.body, "%s", one->text);
        cr_expect_str_eq(ask.body, one->body);
        ask_release(&ask);
    }
    cr_expect_eq(stage.accepts, 1, "%u connections", stage.accepts);
    end_text(&stage);
}

Test(http, keeps_a_connection_and_counts)
{
    struct stage stage;
    stage_create(&stage);
    stage_start(&stage);
    for (unsigned i = 0; i < 50; i++) {
        struct ask ask;
        ask_get(&ask, &stage, "asterisk/ping");
        EXPECT_OUTCOME(&ask, EXCHANGE_ANSWERED);
        cr_expect_str_eq(ask.body, "GET /ari/asterisk/ping HTTP/1.1");
        ask_release(&ask);
    }
    cr_expect_eq(stage.accepts, 1);
    cr_expect_eq(metrics_get(METRIC_HTTP_REQUESTS), 50);
    cr_expect_eq(metrics_get(METRIC_HTTP_CONNECTS), 1);
    cr_expect_eq(metrics_get(METRIC_HTTP_RETRIES), 0);
    cr_expect_eq(metrics_get(METRIC_HTTP_FAILURES), 0);
    stage_destroy(&stage);
}

static void serve_echo(struct stage *stage, struct peer *peer, const struct stage_request *request)
{
    (void)stage;
    char head[128];
    snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", request->length);
    peer_send_text(peer, head);
    peer_send(peer, request->body, request->length);
}

Test(http, carries_all_bytes_both_ways)
{
    enum { BYTES = 40960 };
    static char body[BYTES];
    for (size_t i = 0; i < BYTES; i++) {
        body[i] = (char)(i * 7);
    }
    struct stage stage;
    stage_create(&stage);
    stage.serve = serve_echo;
    stage_start(&stage);
    struct ask ask;
    ask_send_order(&ask, &stage,
                   &(struct exchange_order){.method = "POST",
                                            .uri = "x",
                                            .query = "",
                                            .content_type = "application/octet-stream",
                                            .body = body,
                                            .body_length = BYTES});
    ask_await(&ask);
    EXPECT_OUTCOME(&ask, EXCHANGE_ANSWERED);
    cr_assert_eq(ask.length, BYTES);
    cr_expect_eq(memcmp(ask.body, body, BYTES), 0);
    ask_release(&ask);
    stage_destroy(&stage);
}

/* Until `count` requests have come to the server, which is silent. */
static void await_requests(struct stage *stage, unsigned count)
{
    unsigned have = 0;
    uint64_t until_ms = clock_monotonic_ms() + STAGE_PATIENCE_MS;
    while (have < count) {
        cr_assert_lt(clock_monotonic_ms(), until_ms, "%u requests came", have);
        stage_turn(stage);
        have = 0;
        for (unsigned i = 0; i < STAGE_PEERS; i++) {
            have += peer_has_head(&stage->peer[i]);
        }
    }
    cr_assert_eq(have, count);
}

Test(http, has_no_more_connections_than_allowed_and_queues_the_rest)
{
    enum { ASKS = 12 };
    static struct ask asks[ASKS];
    struct stage stage;
    stage_create(&stage);
    stage.is_silent = true;
    stage_start(&stage);
    for (unsigned i = 0; i < ASKS; i++) {
        ask_send(&asks[i], &stage, "POST", "x", NULL, NULL);
    }
    cr_expect_eq(http_queued(stage.http, 0), ASKS);
    await_requests(&stage, 4);
    for (unsigned i = 0; i < 20; i++) {
        stage_turn(&stage);
    }
    cr_expect_eq(stage.accepts, 4);
    cr_expect_eq(http_queued(stage.http, 0), ASKS - 4);
    cr_expect_eq(http_sent(stage.http, 0), 4);
    cr_expect_eq(http_sent(stage.http, 1), 0);
    stage.is_silent = false;
    for (unsigned i = 0; i < ASKS; i++) {
        STAGE_UNTIL(&stage, asks[i].done > 0);
        EXPECT_OUTCOME(&asks[i], EXCHANGE_ANSWERED);
        ask_release(&asks[i]);
    }
    cr_expect_eq(stage.accepts, 4);
    cr_expect_eq(http_queued(stage.http, 0), 0);
    cr_expect_eq(http_sent(stage.http, 0), 0);
    stage_destroy(&stage);
}

Test(http, counts_the_connections_of_each_node_though_both_have_one_address)
{
    enum { ASKS = 8 };
    static struct ask asks[2 * ASKS];
    struct stage stage;
    stage_create(&stage);
    stage.node[1].rest_connections = 2;
    stage.is_silent = true;
    stage_start(&stage);
    for (unsigned i = 0; i < 2 * ASKS; i++) {
        ask_send_order(
            &asks[i], &stage,
            &(struct exchange_order){.node = i % 2, .method = "GET", .uri = "x", .query = ""});
    }
    await_requests(&stage, 6);
    cr_expect_eq(http_sent(stage.http, 0), 4);
    cr_expect_eq(http_sent(stage.http, 1), 2);
    stage.is_silent = false;
    for (unsigned i = 0; i < 2 * ASKS; i++) {
        STAGE_UNTIL(&stage, asks[i].done > 0);
        ask_release(&asks[i]);
    }
    cr_expect_eq(stage.accepts, 6);
    stage_destroy(&stage);
}

Test(http, answers_a_thousand_over_four_connections_each_once)
{
    enum { ASKS = 1000 };
    static struct ask asks[ASKS];
    static char uri[ASKS][16];
    struct stage stage;
    stage_create(&stage);
    stage_start(&stage);
    for (unsigned i = 0; i < ASKS; i++) {
        snprintf(uri[i], sizeof uri[i], "n/%u", i);
        ask_send(&asks[i], &stage, "POST", uri[i], NULL, NULL);
    }
    for (unsigned i = 0; i < ASKS; i++) {
        char expected[64];
        STAGE_UNTIL(&stage, asks[i].done > 0);
        snprintf(expected, sizeof expected, "POST /ari/n/%u HTTP/1.1", i);
        cr_assert_not_null(asks[i].body, "%s", asks[i].error);
        cr_expect_str_eq(asks[i].body, expected);
    }
    for (unsigned i = 0; i < ASKS; i++) {
        ask_release(&asks[i]);
    }
    cr_expect_eq(stage.requests, ASKS);
    cr_expect_eq(stage.accepts, 4);
    stage_destroy(&stage);
}

Test(http, takes_back_what_was_not_sent)
{
    struct ask asks[6];
    struct stage stage;
    stage_create(&stage);
    stage.is_silent = true;
    stage_start(&stage);
    for (unsigned i = 0; i < 6; i++) {
        ask_send(&asks[i], &stage, "POST", "x", NULL, NULL);
    }
    await_requests(&stage, 4);
    struct http_request *sent = asks[0].request;
    cr_expect(!http_withdraw(stage.http, &asks[0].request), "it was sent");
    cr_expect_eq(asks[0].request, sent);
    cr_expect(http_withdraw(stage.http, &asks[4].request));
    cr_expect_null(asks[4].request);
    cr_expect_eq(http_queued(stage.http, 0), 1);
    stage.is_silent = false;
    STAGE_UNTIL(&stage, asks[5].done > 0);
    for (unsigned i = 0; i < 4; i++) {
        STAGE_UNTIL(&stage, asks[i].done > 0);
        ask_release(&asks[i]);
    }
    ask_release(&asks[5]);
    cr_expect_eq(asks[4].done, 0);
    cr_expect_eq(stage.requests, 5);
    stage_destroy(&stage);
}

Test(http, is_destroyed_with_requests_in_every_state)
{
    struct ask asks[6];
    struct stage stage;
    stage_create(&stage);
    stage.is_silent = true;
    stage_start(&stage);
    for (unsigned i = 0; i < 6; i++) {
        ask_send(&asks[i], &stage, "POST", "x", NULL, NULL);
    }
    await_requests(&stage, 4);
    stage_destroy(&stage);
    for (unsigned i = 0; i < 6; i++) {
        cr_expect_eq(asks[i].done, 0);
    }
}

/* What a shell has set must not lead commands elsewhere. */
Test(http, heeds_no_environment)
{
    setenv("http_proxy", "http://127.0.0.1:1/", 1);
    setenv("all_proxy", "http://127.0.0.1:1/", 1);
    setenv("ALL_PROXY", "socks5://127.0.0.1:1/", 1);
    setenv("HOME", "/nonexistent", 1);
    setenv("CURL_HOME", "/nonexistent", 1);
    struct stage stage;
    start_text(&stage, ok_text);
    struct ask ask;
    ask_get(&ask, &stage, "x");
    EXPECT_OUTCOME(&ask, EXCHANGE_ANSWERED);
    expect_line("GET /ari/x HTTP/1.1\r\n");
    expect_header("Authorization", "Basic bGFiOnNlY3JldA==");
    ask_release(&ask);
    end_text(&stage);
}
