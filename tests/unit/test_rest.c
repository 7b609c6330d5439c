/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The bridge's own HTTP requests: what is sent, every kind of answer, none at all, and a request
 * that nobody waits for any more.
 */
#include "arizmq/error.h"
#include "loop.h"
#include "node/rest.h"
#include "ops/metrics.h"
#include "peer.h"

enum { MAX_BYTES = 300000, PATIENT_MS = 20000 };

struct exchange {
    struct loop loop;
    struct peer peer;
    struct target target;
    struct certificates certificates;
    struct rest_request *request;
    unsigned files;
    unsigned done;
    int status;
    char *body; /* owned */
    size_t length;
    char error[256]; /* empty where NULL was said */
};

static void exchange_create(struct exchange *exchange, bool use_tls)
{
    static const struct lws_protocols *const protocols[] = {&rest_protocol, NULL};
    struct loop_tls client = {0};
    struct peer_tls server = {0};
    *exchange = (struct exchange){0};
    if (use_tls) {
        struct certificates *certificates = &exchange->certificates;
        certificates_create(certificates);
        client.ca_file = certificates_path(certificates, "ca.pem");
        server.cert_file = certificates_path(certificates, "server.pem");
        server.key_file = certificates_path(certificates, "server.key");
    }
    loop_create(&exchange->loop, protocols, use_tls ? &client : NULL);
    peer_create(&exchange->peer, &server);
    exchange->target = (struct target){.context = exchange->loop.context,
                                       .vhost = exchange->loop.vhost,
                                       .address = "127.0.0.1",
                                       .host = "localhost",
                                       .port = exchange->peer.port,
                                       .use_tls = use_tls,
                                       .verify = true,
                                       .authorization = "Basic bGFiOnNlY3JldA==",
                                       .max_message_bytes = MAX_BYTES};
    exchange->files = loop_count("fd");
}

static void exchange_destroy(struct exchange *exchange)
{
    unsigned done = exchange->done;
    peer_close(&exchange->peer);
    LOOP_UNTIL(&exchange->loop, (void)0, loop_count("fd") <= exchange->files);
    cr_expect_eq(exchange->done, done, "told twice");
    loop_destroy(&exchange->loop);
    peer_destroy(&exchange->peer);
    if (exchange->certificates.directory[0] != '\0') {
        certificates_destroy(&exchange->certificates);
    }
    free(exchange->body);
}

static void on_done(void *owner, const struct rest_answer *answer)
{
    struct exchange *exchange = owner;
    exchange->done++;
    exchange->request = NULL;
    exchange->status = answer->status;
    cr_expect_eq(answer->body[answer->length], '\0');
    free(exchange->body);
    exchange->body = strndup(answer->body, answer->length);
    exchange->length = answer->length;
    snprintf(exchange->error, sizeof exchange->error, "%s",
             answer->error != NULL ? answer->error : "");
}

static void send_request(struct exchange *exchange, const char *method, const char *path,
                         uint32_t timeout_ms)
{
    exchange->done = 0;
    cr_assert_eq(rest_send(&exchange->target, method, path, timeout_ms, on_done, exchange,
                           &exchange->request),
                 ARIZMQ_OK);
    cr_assert_not_null(exchange->request);
    cr_assert_eq(exchange->done, 0, "told from within rest_send()");
}

#define EXCHANGE_UNTIL(exchange, condition)                                                        \
    LOOP_UNTIL(&(exchange)->loop, peer_turn(&(exchange)->peer), condition)

/* Waits for the request's head, for the caller to free. */
static char *await_request(struct exchange *exchange)
{
    EXCHANGE_UNTIL(exchange, peer_has_head(&exchange->peer) || exchange->done > 0);
    cr_assert_eq(exchange->done, 0, "%s", exchange->error);
    return peer_take_head(&exchange->peer);
}

/* A whole exchange; leaves the peer ready for the next one. */
static void ask(struct exchange *exchange, const char *method, const char *path, const char *answer)
{
    send_request(exchange, method, path, PATIENT_MS);
    free(await_request(exchange));
    peer_send_text(&exchange->peer, answer);
    EXCHANGE_UNTIL(exchange, exchange->done > 0);
    cr_expect_eq(exchange->done, 1);
    EXCHANGE_UNTIL(exchange, exchange->peer.is_eof);
    peer_close(&exchange->peer);
    exchange->peer.in.length = 0;
}

static void expect_head(const char *head, const char *first_line, const char *content_length)
{
    cr_expect_eq(strncmp(head, first_line, strlen(first_line)), 0, "%s", head);
    char *authorization = peer_header(head, "Authorization");
    cr_assert_not_null(authorization, "%s", head);
    cr_expect_str_eq(authorization, "Basic bGFiOnNlY3JldA==");
    char *host = peer_header(head, "Host");
    cr_assert_not_null(host);
    cr_expect_eq(strncmp(host, "localhost:", 10), 0, "%s", host);
    char *length = peer_header(head, "Content-Length");
    cr_expect_eq(length == NULL, content_length == NULL, "%s", head);
    if (length != NULL && content_length != NULL) {
        cr_expect_str_eq(length, content_length);
    }
    free(authorization);
    free(host);
    free(length);
}

static void methods_over(bool use_tls)
{
    static const struct {
        const char *method;
        const char *first_line;
        const char *content_length;
        const char *answer;
        int status;
        const char *body;
    } cases[] = {
        {"GET", "GET /ari/applications/ivr?x=a%20b HTTP/1.1\r\n", NULL,
         "HTTP/1.1 200 OK\r\nContent-type: application/json\r\nContent-Length: 14\r\n\r\n"
         "{\"name\":\"ivr\"}",
         200, "{\"name\":\"ivr\"}"},
        {"POST", "POST /ari/applications/ivr?x=a%20b HTTP/1.1\r\n", "0",
         "HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}", 201, "{}"},
        {"PUT", "PUT /ari/applications/ivr?x=a%20b HTTP/1.1\r\n", "0",
         "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", 200, "[]"},
        {"DELETE", "DELETE /ari/applications/ivr?x=a%20b HTTP/1.1\r\n", NULL,
         "HTTP/1.1 204 No Content\r\n\r\n", 204, ""},
        {"DELETE", "DELETE /ari/applications/ivr?x=a%20b HTTP/1.1\r\n", NULL,
         "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, ""},
    };
    struct exchange exchange;
    exchange_create(&exchange, use_tls);
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        send_request(&exchange, cases[i].method, "/ari/applications/ivr?x=a%20b", PATIENT_MS);
        char *head = await_request(&exchange);
        expect_head(head, cases[i].first_line, cases[i].content_length);
        free(head);
        peer_send_text(&exchange.peer, cases[i].answer);
        EXCHANGE_UNTIL(&exchange, exchange.done > 0);
        cr_expect_eq(exchange.status, cases[i].status, "%s: %d %s", cases[i].method,
                     exchange.status, exchange.error);
        cr_expect_str_eq(exchange.body, cases[i].body);
        cr_expect_str_eq(exchange.error, "");
        EXCHANGE_UNTIL(&exchange, exchange.peer.is_eof);
        peer_close(&exchange.peer);
    }
    exchange_destroy(&exchange);
}

Test(rest, methods)
{
    methods_over(false);
}

Test(rest, methods_over_tls)
{
    methods_over(true);
}

Test(rest, errors_are_answers_and_are_counted)
{
    struct exchange exchange;
    exchange_create(&exchange, false);
    uint64_t requests = metrics_get(METRIC_REST_REQUESTS);
    uint64_t failures = metrics_get(METRIC_REST_FAILURES);
    ask(&exchange, "GET", "/ari/applications/none",
        "HTTP/1.1 404 Not Found\r\nContent-Length: 35\r\n\r\n{\"message\":\"Application not "
        "found\"}");
    cr_expect_eq(exchange.status, 404);
    cr_expect_str_eq(exchange.body, "{\"message\":\"Application not found\"}");
    ask(&exchange, "GET", "/ari/x",
        "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n");
    cr_expect_eq(exchange.status, 500);
    ask(&exchange, "GET", "/ari/x", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    cr_expect_eq(metrics_get(METRIC_REST_REQUESTS) - requests, 3);
    cr_expect_eq(metrics_get(METRIC_REST_FAILURES) - failures, 2);
    exchange_destroy(&exchange);
}

Test(rest, bodies_in_other_forms)
{
    struct exchange exchange;
    exchange_create(&exchange, false);
    ask(&exchange, "GET", "/ari/x",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n "
        "world\r\n0\r\n\r\n");
    cr_expect_eq(exchange.status, 200);
    cr_expect_str_eq(exchange.body, "hello world");
    /* The body ends with the connection. */
    send_request(&exchange, "GET", "/ari/x", PATIENT_MS);
    free(await_request(&exchange));
    peer_send_text(&exchange.peer, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end");
    peer_turn(&exchange.peer);
    for (unsigned i = 0; i < 5; i++) {
        loop_turn(&exchange.loop);
    }
    peer_close(&exchange.peer);
    EXCHANGE_UNTIL(&exchange, exchange.done > 0);
    cr_expect_eq(exchange.status, 200);
    cr_expect_str_eq(exchange.body, "until the end");
    exchange_destroy(&exchange);
}

/* An answer with a body of `length` bytes; returns once it is told. */
static void ask_for_body(struct exchange *exchange, size_t length)
{
    char head[128];
    char *body = malloc(length);
    cr_assert_not_null(body);
    memset(body, 'b', length);
    snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", length);
    send_request(exchange, "GET", "/ari/sounds", PATIENT_MS);
    free(await_request(exchange));
    peer_send_text(&exchange->peer, head);
    peer_send(&exchange->peer, body, length);
    EXCHANGE_UNTIL(exchange, exchange->done > 0);
    cr_expect_eq(exchange->done, 1);
    peer_close(&exchange->peer);
    free(body);
}

static void large_bodies_over(bool use_tls)
{
    struct exchange exchange;
    exchange_create(&exchange, use_tls);
    static const size_t lengths[] = {1, 2047, 2048, 2049, 65536, MAX_BYTES};
    for (unsigned i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        ask_for_body(&exchange, lengths[i]);
        cr_expect_eq(exchange.status, 200, "%zu: %s", lengths[i], exchange.error);
        cr_expect_eq(exchange.length, lengths[i], "%zu", exchange.length);
        cr_expect_eq(strspn(exchange.body, "b"), lengths[i]);
    }
    exchange_destroy(&exchange);
}

Test(rest, large_bodies)
{
    large_bodies_over(false);
}

Test(rest, large_bodies_over_tls)
{
    large_bodies_over(true);
}

Test(rest, a_body_beyond_the_bound_is_no_answer)
{
    struct exchange exchange;
    exchange_create(&exchange, false);
    uint64_t failures = metrics_get(METRIC_REST_FAILURES);
    ask_for_body(&exchange, MAX_BYTES + 1);
    cr_expect_eq(exchange.status, 0);
    cr_expect_eq(exchange.length, 0);
    cr_expect_str_eq(exchange.error, "the answer's body is larger than limits.max_event_bytes");
    cr_expect_eq(metrics_get(METRIC_REST_FAILURES) - failures, 1);
    exchange_destroy(&exchange);
}

Test(rest, an_answer_that_is_cut_off_is_no_answer)
{
    static const char *const answers[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"half\":",
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Le",
    };
    struct exchange exchange;
    exchange_create(&exchange, false);
    for (unsigned i = 0; i < 3; i++) {
        send_request(&exchange, "GET", "/ari/x", PATIENT_MS);
        free(await_request(&exchange));
        peer_send_text(&exchange.peer, answers[i]);
        peer_turn(&exchange.peer);
        for (unsigned turn = 0; turn < 5; turn++) {
            loop_turn(&exchange.loop);
        }
        cr_expect_eq(exchange.done, 0, "%u", i);
        peer_close(&exchange.peer);
        EXCHANGE_UNTIL(&exchange, exchange.done > 0);
        cr_expect_eq(exchange.status, 0, "%u: %d", i, exchange.status);
        cr_expect_gt(strlen(exchange.error), 0, "%u", i);
        cr_expect_eq(exchange.length, 0);
    }
    exchange_destroy(&exchange);
}

Test(rest, connection_refused)
{
    struct exchange exchange;
    exchange_create(&exchange, false);
    peer_stop_listening(&exchange.peer);
    exchange.files--;
    send_request(&exchange, "GET", "/ari/x", PATIENT_MS);
    EXCHANGE_UNTIL(&exchange, exchange.done > 0);
    cr_expect_eq(exchange.status, 0);
    cr_expect_gt(strlen(exchange.error), 0);
    /* And where connect(2) fails at once. */
    exchange.target.address = "255.255.255.255";
    send_request(&exchange, "GET", "/ari/x", PATIENT_MS);
    EXCHANGE_UNTIL(&exchange, exchange.done > 0);
    cr_expect_eq(exchange.status, 0);
    cr_expect_gt(strlen(exchange.error), 0);
    exchange_destroy(&exchange);
}

Test(rest, no_answer_in_time)
{
    struct exchange exchange;
    exchange_create(&exchange, false);
    uint64_t since_ms = clock_monotonic_ms();
    send_request(&exchange, "GET", "/ari/x", 200);
    free(await_request(&exchange));
    EXCHANGE_UNTIL(&exchange, exchange.done > 0);
    cr_expect_geq(clock_monotonic_ms() - since_ms, 190);
    cr_expect_eq(exchange.status, 0);
    cr_expect_str_eq(exchange.error, "no answer in time");
    EXCHANGE_UNTIL(&exchange, exchange.peer.is_eof);
    peer_close(&exchange.peer);
    /* Half an answer is none, either. */
    send_request(&exchange, "GET", "/ari/x", 200);
    free(await_request(&exchange));
    peer_send_text(&exchange.peer, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
    EXCHANGE_UNTIL(&exchange, exchange.done > 0);
    cr_expect_eq(exchange.status, 0);
    cr_expect_str_eq(exchange.error, "no answer in time");
    EXCHANGE_UNTIL(&exchange, exchange.peer.is_eof);
    exchange_destroy(&exchange);
}

Test(rest, closed_without_an_answer)
{
    struct exchange exchange;
    exchange_create(&exchange, false);
    send_request(&exchange, "GET", "/ari/x", PATIENT_MS);
    free(await_request(&exchange));
    peer_reset(&exchange.peer);
    EXCHANGE_UNTIL(&exchange, exchange.done > 0);
    cr_expect_eq(exchange.status, 0);
    cr_expect_gt(strlen(exchange.error), 0);
    exchange_destroy(&exchange);
}

static void cancel_at_every_stage(bool use_tls)
{
    struct exchange exchange;
    exchange_create(&exchange, use_tls);
    for (unsigned turns = 0; turns < 16; turns++) {
        send_request(&exchange, "GET", "/ari/x", PATIENT_MS);
        for (unsigned i = 0; i < turns; i++) {
            loop_turn(&exchange.loop);
            peer_turn(&exchange.peer);
            if (peer_has_head(&exchange.peer)) { /* an answer that never ends */
                free(peer_take_head(&exchange.peer));
                peer_send_text(&exchange.peer,
                               "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nbody");
            } else if (exchange.peer.is_up) {
                peer_send_text(&exchange.peer, "more");
            }
        }
        rest_cancel(&exchange.request);
        cr_expect_null(exchange.request);
        rest_cancel(&exchange.request); /* NULL is fine */
        if (turns > 0) {
            peer_send_text(&exchange.peer, "and more");
            peer_turn(&exchange.peer);
        }
        loop_turn(&exchange.loop);
        loop_turn(&exchange.loop);
        peer_turn(&exchange.peer);
        peer_close(&exchange.peer);
        exchange.peer.in.length = 0;
        cr_expect_eq(exchange.done, 0, "after %u turns", turns);
    }
    exchange_destroy(&exchange);
}

Test(rest, cancelled_at_every_stage)
{
    cancel_at_every_stage(false);
}

Test(rest, cancelled_at_every_stage_over_tls)
{
    cancel_at_every_stage(true);
}

static void cancel_on_wake(void *owner)
{
    struct exchange *exchange = owner;
    rest_cancel(&exchange->request);
}

/* Cancels from another callback, in a turn of the loop that has something for it, too. */
static void cancel_in_the_same_turn(struct exchange *exchange)
{
    exchange->loop.wake = cancel_on_wake;
    exchange->loop.owner = exchange;
    lws_cancel_service(exchange->loop.context);
    EXCHANGE_UNTIL(exchange, exchange->request == NULL && exchange->peer.is_eof);
    exchange->loop.wake = NULL;
    cr_expect_eq(exchange->done, 0);
    peer_close(&exchange->peer);
}

Test(rest, cancelled_in_the_turn_that_brings_something)
{
    struct exchange exchange;
    exchange_create(&exchange, false);
    send_request(&exchange, "GET", "/ari/x", PATIENT_MS);
    while (exchange.peer.fd < 0) { /* connected as far as the kernel is concerned */
        peer_turn(&exchange.peer);
    }
    cancel_in_the_same_turn(&exchange);
    cr_expect_eq(exchange.peer.in.length, 0, "the request was sent");
    static const char *const answers[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n{",
        "HTTP/1.1 200 O",
    };
    for (unsigned i = 0; i < 3; i++) {
        send_request(&exchange, "GET", "/ari/x", PATIENT_MS);
        free(await_request(&exchange));
        peer_send_text(&exchange.peer, answers[i]);
        peer_turn(&exchange.peer);
        cancel_in_the_same_turn(&exchange);
    }
    exchange_destroy(&exchange);
}

Test(rest, certificate_of_another_host)
{
    struct exchange exchange;
    exchange_create(&exchange, true);
    static const char *const strangers[] = {"other.example", "::1", "127.0.0.2"};
    for (unsigned i = 0; i < 3; i++) {
        exchange.target.host = strangers[i];
        send_request(&exchange, "GET", "/ari/x", PATIENT_MS);
        EXCHANGE_UNTIL(&exchange, exchange.done > 0);
        cr_expect_eq(exchange.status, 0, "%s", strangers[i]);
        cr_expect_gt(strlen(exchange.error), 0, "%s", strangers[i]);
        cr_expect_eq(exchange.peer.in.length, 0, "%s: the password was sent", strangers[i]);
        peer_close(&exchange.peer);
    }
    exchange_destroy(&exchange);
}

/* --- bodies that are read piece by piece */

struct reading {
    struct exchange exchange; /* first: on_done() takes it for its owner */
    char bytes[MAX_BYTES + 100];
    size_t length;
    unsigned pieces;
    size_t enough; /* no more is wanted from so many bytes on; 0: all is */
};

static bool on_piece(void *owner, const char *bytes, size_t length)
{
    struct reading *reading = owner;
    cr_assert_eq(reading->exchange.done, 0, "a piece after the end");
    cr_assert_leq(reading->length + length, sizeof reading->bytes);
    memcpy(reading->bytes + reading->length, bytes, length);
    reading->length += length;
    reading->pieces++;
    return reading->enough == 0 || reading->length < reading->enough;
}

static void begin_reading(struct reading *reading, uint32_t timeout_ms)
{
    reading->exchange.done = 0;
    reading->length = 0;
    reading->pieces = 0;
    cr_assert_eq(rest_read(&reading->exchange.target, "/ari/channels", timeout_ms, on_piece,
                           on_done, reading, &reading->exchange.request),
                 ARIZMQ_OK);
    char *head = await_request(&reading->exchange);
    expect_head(head, "GET /ari/channels HTTP/1.1\r\n", NULL);
    free(head);
}

static void read_all(struct reading *reading, const char *answer)
{
    begin_reading(reading, PATIENT_MS);
    peer_send_text(&reading->exchange.peer, answer);
    EXCHANGE_UNTIL(&reading->exchange, reading->exchange.done > 0);
    cr_expect_eq(reading->exchange.done, 1);
    EXCHANGE_UNTIL(&reading->exchange, reading->exchange.peer.is_eof);
    peer_close(&reading->exchange.peer);
}

Test(rest, reads_piece_by_piece)
{
    static struct reading reading;
    exchange_create(&reading.exchange, false);
    reading.exchange.target.max_message_bytes = 1000; /* not a bound of such bodies */
    begin_reading(&reading, PATIENT_MS);
    char head[100];
    snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", MAX_BYTES);
    peer_send_text(&reading.exchange.peer, head);
    for (unsigned sent = 0; sent < MAX_BYTES; sent += 1000) {
        char bytes[1000];
        memset(bytes, 'a' + (int)(sent / 1000 % 26), sizeof bytes);
        peer_send(&reading.exchange.peer, bytes, sizeof bytes);
        if (sent == 2000) { /* what has come is told before the rest comes */
            EXCHANGE_UNTIL(&reading.exchange, reading.length == 3000);
            cr_expect_eq(reading.exchange.done, 0);
        }
    }
    EXCHANGE_UNTIL(&reading.exchange, reading.exchange.done > 0);
    cr_expect_eq(reading.exchange.status, 200, "%s", reading.exchange.error);
    cr_expect_eq(reading.exchange.length, 0);
    cr_expect_eq(reading.length, MAX_BYTES);
    cr_expect_gt(reading.pieces, 1);
    for (size_t i = 0; i < reading.length; i++) {
        cr_assert_eq(reading.bytes[i], 'a' + (int)(i / 1000 % 26), "%zu", i);
    }
    exchange_destroy(&reading.exchange);
}

Test(rest, reads_bodies_in_other_forms)
{
    static struct reading reading;
    exchange_create(&reading.exchange, false);
    read_all(&reading, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n[\r\n2\r\n{}\r\n"
                       "1\r\n]\r\n0\r\n\r\n");
    cr_expect_eq(reading.exchange.status, 200, "%s", reading.exchange.error);
    cr_expect_eq(reading.length, 4);
    cr_expect_eq(strncmp(reading.bytes, "[{}]", 4), 0);
    read_all(&reading, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    cr_expect_eq(reading.exchange.status, 200, "%s", reading.exchange.error);
    cr_expect_eq(reading.pieces, 0);
    /* What is no list comes with the answer. */
    read_all(&reading, "HTTP/1.1 404 Not Found\r\nContent-Length: 23\r\n\r\n"
                       "{\"message\":\"Not found\"}");
    cr_expect_eq(reading.exchange.status, 404);
    cr_expect_str_eq(reading.exchange.body, "{\"message\":\"Not found\"}");
    cr_expect_eq(reading.pieces, 0);
    exchange_destroy(&reading.exchange);
}

Test(rest, reads_no_more_than_is_wanted)
{
    static struct reading reading;
    exchange_create(&reading.exchange, false);
    static const size_t lengths[] = {1, 4, 5};
    uint64_t failures = metrics_get(METRIC_REST_FAILURES);
    for (unsigned i = 0; i < 3; i++) {
        reading.enough = lengths[i];
        read_all(&reading, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
        cr_expect_eq(reading.exchange.status, 0);
        cr_expect_str_eq(reading.exchange.error, "the answer's body was refused");
        cr_expect_eq(reading.pieces, 1);
    }
    cr_expect_eq(metrics_get(METRIC_REST_FAILURES) - failures, 3);
    exchange_destroy(&reading.exchange);
}

Test(rest, reading_that_is_cut_off)
{
    static struct reading reading;
    exchange_create(&reading.exchange, false);
    for (unsigned i = 0; i < 3; i++) {
        begin_reading(&reading, i == 2 ? 300 : PATIENT_MS);
        peer_send_text(&reading.exchange.peer,
                       i == 0
                           ? "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[{}"
                           : "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n[{}\r\n");
        EXCHANGE_UNTIL(&reading.exchange, reading.length == 3 || reading.exchange.done > 0);
        if (i < 2) {
            cr_expect_eq(reading.exchange.done, 0, "%s", reading.exchange.error);
            peer_close(&reading.exchange.peer);
        }
        EXCHANGE_UNTIL(&reading.exchange, reading.exchange.done > 0);
        /* libwebsockets takes the end of the connection for that of a chunked body. */
        cr_expect_eq(reading.exchange.status, i == 1 ? 200 : 0, "%u: %d", i,
                     reading.exchange.status);
        cr_expect_eq(reading.length, 3);
        peer_close(&reading.exchange.peer);
    }
    /* Nobody waits for the rest. */
    begin_reading(&reading, PATIENT_MS);
    peer_send_text(&reading.exchange.peer, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[{}");
    EXCHANGE_UNTIL(&reading.exchange, reading.length == 3);
    peer_send_text(&reading.exchange.peer, ",{}");
    peer_turn(&reading.exchange.peer);
    rest_cancel(&reading.exchange.request);
    EXCHANGE_UNTIL(&reading.exchange, reading.exchange.peer.is_eof);
    cr_expect_eq(reading.length, 3);
    cr_expect_eq(reading.exchange.done, 0);
    exchange_destroy(&reading.exchange);
}
