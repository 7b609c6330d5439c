/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Commands over HTTP whose connection ends, at every point of an exchange: what is sent again and
 * what is not, what is known and what is not.
 */
#include "http_stage.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

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
