/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Commands over HTTP as they go wrong: a connection that ends at every point of an exchange, what
 * is sent again and what is not, bounds, servers that stall, servers that are not there.
 */
#include "http_stage.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- send(2) that fails, for the moment between curl's look at a kept connection and its use */

static unsigned sends_to_fail;

ssize_t send(int fd, const void *bytes, size_t length, int flags)
{
    static ssize_t (*next)(int, const void *, size_t, int);
    if (next == NULL) {
        *(void **)&next = dlsym(RTLD_NEXT, "send");
    }
    if (sends_to_fail > 0 && length > 4 && memcmp(bytes, "HTTP", 4) != 0) {
        sends_to_fail--;
        errno = ECONNRESET;
        return -1;
    }
    return next(fd, bytes, length, flags);
}

/* --- Connections that end */

enum point { UNREAD, AFTER_REQUEST, IN_STATUS_LINE, IN_HEAD, IN_BODY };

static const char *const point_text[] = {
    [UNREAD] = "",
    [AFTER_REQUEST] = "",
    [IN_STATUS_LINE] = "HTTP/1.1 20",
    [IN_HEAD] = "HTTP/1.1 200 OK\r\nContent-Le",
    [IN_BODY] = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{\"a",
};

static struct {
    enum point point;
    bool resets;
    unsigned left; /* requests that meet it */
} fault;

static void end_connection(struct peer *peer)
{
    peer->in.length = 0;
    if (fault.resets) {
        peer_reset(peer);
    } else {
        peer_close(peer);
    }
}

static void serve_fault(struct stage *stage, struct peer *peer, const struct stage_request *request)
{
    (void)stage;
    (void)request;
    if (fault.left == 0) {
        peer_send_text(peer, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
        return;
    }
    fault.left--;
    peer_send_text(peer, point_text[fault.point]);
    peer_turn(peer); /* so that it is on its way */
    end_connection(peer);
}

/* Closes a connection on which a request lies that nobody has read: the kernel sends RST. */
static void end_unread(struct stage *stage)
{
    uint64_t until_ms = clock_monotonic_ms() + STAGE_PATIENCE_MS;
    while (http_sent(stage->http, 0) == 0) {
        cr_assert_lt(clock_monotonic_ms(), until_ms);
        stage_turn_client(stage);
        for (unsigned i = 0; i < STAGE_PEERS && stage_open(stage) == 0; i++) {
            peer_turn(&stage->peer[i]); /* accepts; nothing was sent before that */
        }
    }
    for (unsigned i = 0; i < STAGE_PEERS; i++) {
        if (stage->peer[i].fd >= 0) {
            end_connection(&stage->peer[i]);
        }
    }
    fault.left = 0;
}

struct ending {
    const char *method;
    bool is_reused;
    enum point point;
    enum exchange_outcome outcome;
    unsigned requests; /* that reach the server's program for it */
};

static const struct ending endings[] = {
    /* Nobody has seen anything, but the kernel took it: the outcome is unknown but for GET. */
    {"GET", true, UNREAD, EXCHANGE_ANSWERED, 1},
    {"POST", true, UNREAD, EXCHANGE_UNKNOWN, 0},
    {"GET", true, AFTER_REQUEST, EXCHANGE_ANSWERED, 2},
    {"HEAD", true, AFTER_REQUEST, EXCHANGE_ANSWERED, 2},
    {"OPTIONS", true, AFTER_REQUEST, EXCHANGE_ANSWERED, 2},
    {"POST", true, AFTER_REQUEST, EXCHANGE_UNKNOWN, 1},
    {"PUT", true, AFTER_REQUEST, EXCHANGE_UNKNOWN, 1},
    {"DELETE", true, AFTER_REQUEST, EXCHANGE_UNKNOWN, 1},
    {"BREW", true, AFTER_REQUEST, EXCHANGE_UNKNOWN, 1},
    {"POST", true, IN_STATUS_LINE, EXCHANGE_UNKNOWN, 1},
    {"DELETE", true, IN_STATUS_LINE, EXCHANGE_UNKNOWN, 1},
    {"GET", true, IN_HEAD, EXCHANGE_UNKNOWN, 1},
    {"POST", true, IN_HEAD, EXCHANGE_UNKNOWN, 1},
    {"GET", true, IN_BODY, EXCHANGE_UNKNOWN, 1},
    {"POST", true, IN_BODY, EXCHANGE_UNKNOWN, 1},
    /* On a new connection curl repeats nothing, and so do we. */
    {"GET", false, AFTER_REQUEST, EXCHANGE_UNKNOWN, 1},
    {"POST", false, AFTER_REQUEST, EXCHANGE_UNKNOWN, 1},
    {"GET", false, IN_STATUS_LINE, EXCHANGE_UNKNOWN, 1},
    {"POST", false, IN_STATUS_LINE, EXCHANGE_UNKNOWN, 1},
    {"POST", false, IN_HEAD, EXCHANGE_UNKNOWN, 1},
    {"GET", false, IN_BODY, EXCHANGE_UNKNOWN, 1},
    {"POST", false, IN_BODY, EXCHANGE_UNKNOWN, 1},
};

static void expect_ending(const struct ending *one, bool resets)
{
    struct stage stage;
    struct ask ask;
    char shown[128];
    snprintf(shown, sizeof shown, "%s, %s connection, %s at point %d", one->method,
             one->is_reused ? "kept" : "new", resets ? "RST" : "FIN", (int)one->point);
    fault.left = 0;
    stage_create(&stage);
    stage.serve = serve_fault;
    stage_start(&stage);
    if (one->is_reused) {
        ask_get(&ask, &stage, "first");
        ask_release(&ask);
    }
    unsigned before = stage.requests;
    uint64_t retries = metrics_get(METRIC_HTTP_RETRIES);
    fault.point = one->point;
    fault.resets = resets;
    fault.left = 1;
    ask_send(&ask, &stage, one->method, "x", NULL, NULL);
    if (one->point == UNREAD) {
        end_unread(&stage);
    }
    ask_await(&ask);
    cr_expect_eq(ask.outcome, one->outcome, "%s: %d %s", shown, (int)ask.outcome, ask.error);
    cr_expect_eq(stage.requests - before, one->requests, "%s: %u requests", shown,
                 stage.requests - before);
    bool is_repeated = one->outcome == EXCHANGE_ANSWERED;
    cr_expect_eq(metrics_get(METRIC_HTTP_RETRIES) - retries, is_repeated, "%s", shown);
    cr_expect_eq(strncmp(ask.error, "pbx1: ", 6) == 0, !is_repeated, "%s", ask.error);
    ask_release(&ask);
    ask_get(&ask, &stage, "next"); /* the node is as good as before */
    EXPECT_OUTCOME(&ask, EXCHANGE_ANSWERED);
    ask_release(&ask);
    stage_destroy(&stage);
}

Test(http_faults, connection_ends_with_fin, .timeout = 100)
{
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        expect_ending(&endings[i], false);
    }
}

/* What the server had said before may be lost with a RST, so only what cannot depend on that. */
Test(http_faults, connection_ends_with_rst, .timeout = 100)
{
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        const struct ending *one = &endings[i];
        if (one->point == AFTER_REQUEST || one->point == UNREAD ||
            strcmp(one->method, "POST") == 0) {
            expect_ending(one, true);
        }
    }
}

Test(http_faults, safe_request_is_sent_twice_at_most)
{
    struct stage stage;
    struct ask ask;
    stage_create(&stage);
    stage.serve = serve_fault;
    stage_start(&stage);
    ask_get(&ask, &stage, "first");
    ask_release(&ask);
    fault.point = AFTER_REQUEST;
    fault.left = 100;
    ask_get(&ask, &stage, "x");
    EXPECT_OUTCOME(&ask, EXCHANGE_UNKNOWN);
    cr_expect_eq(stage.requests, 3);
    ask_release(&ask);
    cr_expect_eq(metrics_get(METRIC_HTTP_FAILURES), 1);
    stage_destroy(&stage);
}

/* Four kept connections that all end when they are used: the repetition goes to a new one. */
Test(http_faults, repetition_goes_to_a_new_connection)
{
    struct ask asks[4];
    struct stage stage;
    stage_create(&stage);
    stage.serve = serve_fault;
    stage.is_silent = true;
    stage_start(&stage);
    for (unsigned i = 0; i < 4; i++) {
        ask_send(&asks[i], &stage, "GET", "x", NULL, NULL);
    }
    STAGE_UNTIL(&stage, http_sent(stage.http, 0) == 4);
    stage.is_silent = false;
    for (unsigned i = 0; i < 4; i++) {
        ask_await(&asks[i]);
        ask_release(&asks[i]);
    }
    struct ask ask;
    fault.point = AFTER_REQUEST;
    fault.left = 1;
    ask_get(&ask, &stage, "x");
    EXPECT_OUTCOME(&ask, EXCHANGE_ANSWERED);
    cr_expect_eq(stage.accepts, 5);
    ask_release(&ask);
    stage_destroy(&stage);
}

/* Not a byte of it was written: it goes to a new connection, whatever its method. */
Test(http_faults, request_that_could_not_be_written_is_sent)
{
    struct stage stage;
    struct ask ask;
    stage_create(&stage);
    stage_start(&stage);
    ask_get(&ask, &stage, "first");
    ask_release(&ask);
    sends_to_fail = 1;
    ask_send(&ask, &stage, "POST", "x", NULL, NULL);
    ask_await(&ask);
    cr_expect_eq(sends_to_fail, 0);
    EXPECT_OUTCOME(&ask, EXCHANGE_ANSWERED);
    ask_release(&ask);
    cr_expect_eq(stage.requests, 2);
    cr_expect_eq(stage.accepts, 2);
    cr_expect_eq(metrics_get(METRIC_HTTP_RETRIES), 0);
    cr_expect_eq(metrics_get(METRIC_HTTP_REQUESTS), 2);
    stage_destroy(&stage);
}

Test(http_faults, request_that_cannot_be_written_was_not_sent)
{
    struct stage stage;
    struct ask ask;
    stage_create(&stage);
    stage_start(&stage);
    sends_to_fail = 100;
    ask_send(&ask, &stage, "POST", "x", NULL, NULL);
    ask_await(&ask);
    sends_to_fail = 0;
    EXPECT_OUTCOME(&ask, EXCHANGE_NOT_SENT);
    ask_release(&ask);
    cr_expect_eq(stage.requests, 0);
    cr_expect_eq(http_sent(stage.http, 0), 0);
    stage_destroy(&stage);
}

/* --- Bounds */

static struct bytes long_answer;

static void serve_long(struct stage *stage, struct peer *peer, const struct stage_request *request)
{
    (void)stage;
    (void)request;
    peer_send(peer, long_answer.data, long_answer.length);
}

enum { BIG_BYTES = 20000000 };

static void make_big(bool has_length)
{
    char *body = malloc(BIG_BYTES);
    cr_assert_not_null(body);
    for (size_t i = 0; i < BIG_BYTES; i++) {
        body[i] = (char)(i * 31 >> 3);
    }
    char head[128] = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
    if (has_length) {
        snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", BIG_BYTES);
    }
    bytes_append(&long_answer, head, strlen(head));
    bytes_append(&long_answer, body, BIG_BYTES);
    free(body);
}

Test(http_faults, big_body_below_the_bound, .timeout = 100)
{
    struct stage stage;
    struct ask ask;
    stage_create(&stage);
    stage.config.gateway.max_reply_bytes = BIG_BYTES;
    stage.serve = serve_long;
    stage_start(&stage);
    make_big(true);
    ask_get(&ask, &stage, "x");
    EXPECT_OUTCOME(&ask, EXCHANGE_ANSWERED);
    cr_assert_eq(ask.length, BIG_BYTES);
    cr_expect_eq(memcmp(ask.body, long_answer.data + long_answer.length - BIG_BYTES, BIG_BYTES), 0);
    ask_release(&ask);
    bytes_free(&long_answer);
    stage_destroy(&stage);
}

static void expect_refused(struct stage *stage, const char *why)
{
    struct ask ask;
    stage->serve = serve_long;
    stage_start(stage);
    ask_get(&ask, stage, "x");
    EXPECT_OUTCOME(&ask, EXCHANGE_REFUSED);
    cr_expect_not_null(strstr(ask.error, why), "%s", ask.error);
    cr_expect_eq(strncmp(ask.error, "pbx1: ", 6), 0);
    ask_release(&ask);
    cr_expect_eq(metrics_get(METRIC_HTTP_FAILURES), 1);
    STAGE_UNTIL(stage, stage_open(stage) == 0); /* the connection is closed */
    stage_destroy(stage);
    bytes_free(&long_answer);
}

Test(http_faults, body_over_the_bound_by_its_length)
{
    struct stage stage;
    stage_create(&stage);
    stage.config.gateway.max_reply_bytes = BIG_BYTES - 1;
    make_big(true);
    expect_refused(&stage, "gateway.max_reply_bytes");
}

Test(http_faults, body_over_the_bound_as_it_comes, .timeout = 100)
{
    struct stage stage;
    stage_create(&stage);
    stage.config.gateway.max_reply_bytes = BIG_BYTES - 1;
    make_big(false);
    expect_refused(&stage, "gateway.max_reply_bytes");
}

static void repeat_text(const char *text, size_t bytes)
{
    while (long_answer.length < bytes) {
        bytes_append(&long_answer, text, strlen(text));
    }
}

static const char ok_line[] = "HTTP/1.1 200 OK\r\n";

Test(http_faults, head_of_endless_lines)
{
    struct stage stage;
    stage_create(&stage);
    bytes_append(&long_answer, ok_line, strlen(ok_line));
    repeat_text("X-Flood: 0123456789\r\n", 1000000);
    expect_refused(&stage, "256 KiB");
}

Test(http_faults, head_of_one_endless_line)
{
    struct stage stage;
    stage_create(&stage);
    bytes_append(&long_answer, ok_line, strlen(ok_line));
    repeat_text("x", 1000000);
    expect_refused(&stage, "cannot be passed on");
}

Test(http_faults, interim_answers_without_end)
{
    struct stage stage;
    stage_create(&stage);
    repeat_text("HTTP/1.1 100 Continue\r\n\r\n", 1000000);
    expect_refused(&stage, "256 KiB");
}

Test(http_faults, answer_that_is_no_http)
{
    struct stage stage;
    stage_create(&stage);
    repeat_text("220 mail.example ESMTP\r\n", 100);
    expect_refused(&stage, "cannot be passed on");
}

/* --- Time */

static void serve_part(struct stage *stage, struct peer *peer, const struct stage_request *request)
{
    (void)stage;
    if (strstr(request->head, "/ari/slow ") != NULL) {
        peer_send_text(peer, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
    } else if (strstr(request->head, "/ari/never ") == NULL) {
        peer_send_text(peer, "HTTP/1.1 204 No Content\r\n\r\n");
    }
}

Test(http_faults, answer_that_does_not_come_in_time)
{
    static const char *const uris[] = {"slow", "never"};
    enum { TIMEOUT_MS = 120 };
    struct stage stage;
    stage_create(&stage);
    stage.config.gateway.answer_timeout_ms = TIMEOUT_MS;
    stage.serve = serve_part;
    stage_start(&stage);
    for (unsigned i = 0; i < 2; i++) {
        struct ask ask;
        struct ask next;
        uint64_t since_ms = clock_monotonic_ms();
        ask_get(&ask, &stage, uris[i]);
        cr_expect_geq(clock_monotonic_ms() - since_ms, TIMEOUT_MS);
        EXPECT_OUTCOME(&ask, EXCHANGE_UNKNOWN);
        cr_expect_not_null(strstr(ask.error, "120 ms"), "%s", ask.error);
        ask_get(&next, &stage, "x");
        EXPECT_OUTCOME(&next, EXCHANGE_ANSWERED);
        STAGE_UNTIL(&stage, stage_open(&stage) == 1);
        ask_release(&ask);
        ask_release(&next);
    }
    cr_expect_eq(stage.accepts, 3, "%u", stage.accepts);
    stage_destroy(&stage);
}

Test(http_faults, nobody_listens)
{
    struct stage stage;
    struct ask ask;
    stage_create(&stage);
    peer_stop_listening(&stage.peer[0]);
    for (unsigned i = 1; i < STAGE_PEERS; i++) {
        stage.peer[i].listener = -1;
    }
    stage_start(&stage);
    ask_get(&ask, &stage, "x");
    EXPECT_OUTCOME(&ask, EXCHANGE_NOT_SENT);
    cr_expect_eq(strncmp(ask.error, "pbx1: nothing was sent: ", 24), 0, "%s", ask.error);
    ask_release(&ask);
    cr_expect_eq(metrics_get(METRIC_HTTP_REQUESTS), 0);
    cr_expect_eq(metrics_get(METRIC_HTTP_CONNECTS), 0);
    cr_expect_eq(metrics_get(METRIC_HTTP_FAILURES), 1);
    stage_destroy(&stage);
}

/* A listener that accepts nobody, and whose queue is full. */
struct full {
    int listener;
    int client[8];
    uint16_t port;
};

static void full_create(struct full *full)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    full->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(full->listener, (struct sockaddr *)&address, length), 0);
    cr_assert_eq(listen(full->listener, 0), 0);
    cr_assert_eq(getsockname(full->listener, (struct sockaddr *)&address, &length), 0);
    full->port = ntohs(address.sin_port);
    for (unsigned i = 0; i < 8; i++) {
        full->client[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        connect(full->client[i], (struct sockaddr *)&address, length);
    }
}

static void full_destroy(struct full *full)
{
    for (unsigned i = 0; i < 8; i++) {
        close(full->client[i]);
    }
    close(full->listener);
}

Test(http_faults, connection_is_not_had_in_time)
{
    enum { TIMEOUT_MS = 200 };
    struct stage stage;
    struct full full;
    struct ask ask;
    full_create(&full);
    stage_create(&stage);
    stage.node[0].port = full.port;
    stage.node[0].connect_timeout_ms = TIMEOUT_MS;
    stage_start(&stage);
    uint64_t since_ms = clock_monotonic_ms();
    ask_get(&ask, &stage, "x");
    cr_expect_geq(clock_monotonic_ms() - since_ms, TIMEOUT_MS);
    EXPECT_OUTCOME(&ask, EXCHANGE_NOT_SENT);
    ask_release(&ask);
    stage_destroy(&stage);
    full_destroy(&full);
}

Test(http_faults, takes_back_what_is_connecting)
{
    struct stage stage;
    struct full full;
    struct ask ask;
    full_create(&full);
    stage_create(&stage);
    stage.node[0].port = full.port;
    stage_start(&stage);
    ask_send(&ask, &stage, "POST", "x", NULL, NULL);
    for (unsigned i = 0; i < 10; i++) {
        stage_turn(&stage);
    }
    cr_expect_eq(http_queued(stage.http, 0), 1);
    cr_expect_eq(http_sent(stage.http, 0), 0);
    cr_expect(http_withdraw(stage.http, &ask.request));
    cr_expect_null(ask.request);
    cr_expect_eq(http_queued(stage.http, 0), 0);
    for (unsigned i = 0; i < 10; i++) {
        stage_turn(&stage);
    }
    cr_expect_eq(ask.done, 0);
    stage_destroy(&stage);
    full_destroy(&full);
}

/* A node that stalls takes nothing from another. */
Test(http_faults, stalled_node_holds_up_no_other)
{
    enum { ASKS = 1000 };
    static struct ask stalled[ASKS];
    struct stage stage;
    struct full full;
    full_create(&full);
    stage_create(&stage);
    stage.node[0].port = full.port;
    stage_start(&stage);
    for (unsigned i = 0; i < ASKS; i++) {
        ask_send(&stalled[i], &stage, "POST", "x", NULL, NULL);
    }
    for (unsigned i = 0; i < 100; i++) {
        struct ask ask;
        ask_send_order(
            &ask, &stage,
            &(struct exchange_order){.node = 1, .method = "GET", .uri = "x", .query = ""});
        ask_await(&ask);
        EXPECT_OUTCOME(&ask, EXCHANGE_ANSWERED);
        ask_release(&ask);
    }
    cr_expect_eq(http_queued(stage.http, 0), ASKS);
    stage_destroy(&stage);
    full_destroy(&full);
}

/* A connection that Asterisk closed while it was idle is not used, for whatever method. */
Test(http_faults, closed_idle_connection_is_not_used)
{
    struct stage stage;
    struct ask ask;
    stage_create(&stage);
    stage_start(&stage);
    for (unsigned i = 0; i < 3; i++) {
        ask_send(&ask, &stage, "POST", "x", NULL, NULL);
        ask_await(&ask);
        EXPECT_OUTCOME(&ask, EXCHANGE_ANSWERED);
        ask_release(&ask);
        for (unsigned j = 0; j < STAGE_PEERS; j++) {
            if (stage.peer[j].fd >= 0) {
                peer_close(&stage.peer[j]);
            }
        }
        for (unsigned j = 0; j < 5; j++) {
            stage_turn(&stage);
        }
        cr_expect_neq(http_wait_ms(stage.http), 0, "the loop spins");
    }
    cr_expect_eq(stage.accepts, 3);
    cr_expect_eq(stage.requests, 3);
    stage_destroy(&stage);
}
