/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Commands over HTTP to servers that say too much, nonsense, or nothing in time, and to those that
 * are not there.
 */
#include "http_stage.h"

#include <dirent.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

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

Test(http_bounds, big_body_below_the_bound, .timeout = 100)
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

Test(http_bounds, body_over_the_bound_by_its_length)
{
    struct stage stage;
    stage_create(&stage);
    stage.config.gateway.max_reply_bytes = BIG_BYTES - 1;
    make_big(true);
    expect_refused(&stage, "gateway.max_reply_bytes");
}

Test(http_bounds, body_over_the_bound_as_it_comes, .timeout = 100)
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

Test(http_bounds, head_of_endless_lines)
{
    struct stage stage;
    stage_create(&stage);
    bytes_append(&long_answer, ok_line, strlen(ok_line));
    repeat_text("X-Flood: 0123456789\r\n", 1000000);
    expect_refused(&stage, "256 KiB");
}

Test(http_bounds, head_of_one_endless_line)
{
    struct stage stage;
    stage_create(&stage);
    bytes_append(&long_answer, ok_line, strlen(ok_line));
    repeat_text("x", 1000000);
    expect_refused(&stage, "cannot be passed on");
}

Test(http_bounds, interim_answers_without_end)
{
    struct stage stage;
    stage_create(&stage);
    repeat_text("HTTP/1.1 100 Continue\r\n\r\n", 1000000);
    expect_refused(&stage, "256 KiB");
}

Test(http_bounds, answer_that_is_no_http)
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

Test(http_bounds, answer_that_does_not_come_in_time)
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

Test(http_bounds, nobody_listens)
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

Test(http_bounds, connection_is_not_had_in_time)
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

static unsigned count_descriptors(void)
{
    unsigned count = 0;
    DIR *directory = opendir("/proc/self/fd");
    cr_assert_not_null(directory);
    while (readdir(directory) != NULL) {
        count++;
    }
    closedir(directory);
    return count;
}

/* More than Asterisk queues would lose a second. */
Test(http_bounds, few_connections_are_made_at_a_time)
{
    enum { ASKS = 10, AT_A_TIME = 4 };
    static struct ask asks[ASKS];
    struct stage stage;
    struct full full;
    full_create(&full);
    stage_create(&stage);
    stage.node[0].port = full.port;
    stage.node[0].rest_connections = ASKS;
    stage.node[0].connect_timeout_ms = 300;
    stage_start(&stage);
    unsigned before = count_descriptors();
    for (unsigned i = 0; i < ASKS; i++) {
        ask_send(&asks[i], &stage, "POST", "x", NULL, NULL);
    }
    stage_turn(&stage);
    stage_turn(&stage);
    cr_expect_eq(count_descriptors() - before, AT_A_TIME, "%u", count_descriptors() - before);
    for (unsigned i = 0; i < ASKS; i++) { /* all get their turn */
        ask_await(&asks[i]);
        EXPECT_OUTCOME(&asks[i], EXCHANGE_NOT_SENT);
        ask_release(&asks[i]);
    }
    stage_destroy(&stage);
    full_destroy(&full);
}

Test(http_bounds, takes_back_what_is_connecting)
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
Test(http_bounds, stalled_node_holds_up_no_other)
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
