/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A client of the gateway against a gateway in a thread that does as the test says: what is sent,
 * what comes back, and every way for no reply to come.
 */
#include <criterion/criterion.h>
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "arizmq/error.h"
#include "arizmq/gateway.h"

enum { REQUESTS_MAX = 8, TICK_MS = 10 };

/* What becomes of one request. */
enum act { ACT_REPLY, ACT_SILENCE, ACT_OTHER_ID, ACT_ONE_FRAME, ACT_NO_JSON, ACT_BIG };

struct server {
    void *context;
    void *socket;
    char endpoint[64];
    pthread_t thread;
    enum act acts[REQUESTS_MAX]; /* ACT_REPLY where nothing else is said */
    unsigned further;            /* frames behind the body */
    atomic_int is_ending;
    unsigned seen;
    char *headers[REQUESTS_MAX];
    char bodies[REQUESTS_MAX][64];
    char paths[REQUESTS_MAX][16];
    int frames[REQUESTS_MAX];
};

static void send_text(void *socket, const char *text, int flags)
{
    zmq_send(socket, text, strlen(text), flags);
}

static void reply(struct server *self, unsigned at)
{
    json_t *request = json_loads(self->headers[at], 0, NULL);
    const char *id = json_string_value(json_object_get(request, "request_id"));
    json_t *header =
        json_pack("{s:s, s:s, s:i, s:s, s:f, s:i}", "type", "RESTResponse", "request_id",
                  self->acts[at] == ACT_OTHER_ID ? "other" : id, "status_code", 201,
                  "reason_phrase", "Created", "elapsed_ms", 3.2, "count", 7);
    char *text = json_dumps(header, JSON_COMPACT);
    send_text(self->socket, self->acts[at] == ACT_NO_JSON ? "rot" : text,
              self->acts[at] == ACT_ONE_FRAME ? 0 : ZMQ_SNDMORE);
    if (self->acts[at] == ACT_BIG) {
        char *big = calloc(1, 100000);
        zmq_send(self->socket, big, 100000, 0);
        free(big);
    } else if (self->acts[at] != ACT_ONE_FRAME) {
        send_text(self->socket, "the body", self->further > 0 ? ZMQ_SNDMORE : 0);
        for (unsigned i = 0; i < self->further; i++) {
            char frame[24];
            snprintf(frame, sizeof frame, "frame %u", i);
            send_text(self->socket, frame, i + 1 < self->further ? ZMQ_SNDMORE : 0);
        }
    }
    free(text);
    json_decref(header);
    json_decref(request);
}

static void serve_one(struct server *self)
{
    char path[16];
    char delimiter[1];
    char header[4096];
    unsigned at = self->seen;
    int path_length = zmq_recv(self->socket, path, sizeof path, 0);
    zmq_recv(self->socket, delimiter, sizeof delimiter, 0);
    int length = zmq_recv(self->socket, header, sizeof header, 0);
    int more = 0;
    size_t size = sizeof more;
    zmq_getsockopt(self->socket, ZMQ_RCVMORE, &more, &size);
    if (more) {
        zmq_recv(self->socket, self->bodies[at], sizeof self->bodies[at], 0);
    }
    memcpy(self->paths[at], path, (size_t)path_length);
    self->headers[at] = strndup(header, (size_t)length);
    self->frames[at] = 1 + more;
    self->seen++;
    if (self->acts[at] != ACT_SILENCE) {
        zmq_send(self->socket, path, (size_t)path_length, ZMQ_SNDMORE);
        zmq_send(self->socket, "", 0, ZMQ_SNDMORE);
        reply(self, at);
    }
}

static void *serve(void *argument)
{
    struct server *self = argument;
    while (!self->is_ending) {
        zmq_pollitem_t item = {.socket = self->socket, .events = ZMQ_POLLIN};
        if (zmq_poll(&item, 1, TICK_MS) == 1 && self->seen < REQUESTS_MAX) {
            serve_one(self);
        }
    }
    return NULL;
}

static struct server *server_start(const enum act *acts, unsigned count)
{
    struct server *self = calloc(1, sizeof *self);
    const int none = 0;
    size_t size = sizeof self->endpoint;
    for (unsigned i = 0; i < count; i++) {
        self->acts[i] = acts[i];
    }
    self->context = zmq_ctx_new();
    self->socket = zmq_socket(self->context, ZMQ_ROUTER);
    zmq_setsockopt(self->socket, ZMQ_LINGER, &none, sizeof none);
    cr_assert_eq(zmq_bind(self->socket, "tcp://127.0.0.1:*"), 0);
    zmq_getsockopt(self->socket, ZMQ_LAST_ENDPOINT, self->endpoint, &size);
    cr_assert_eq(pthread_create(&self->thread, NULL, serve, self), 0);
    return self;
}

/* Ends the thread; what was seen stays. */
static void server_stop(struct server *self)
{
    self->is_ending = 1;
    pthread_join(self->thread, NULL);
    zmq_close(self->socket);
    zmq_ctx_term(self->context);
}

static void server_free(struct server *self)
{
    for (unsigned i = 0; i < self->seen; i++) {
        free(self->headers[i]);
    }
    free(self);
}

static struct arizmq_gateway *connect_to(const char *endpoint,
                                         const struct arizmq_gateway_options *options)
{
    struct arizmq_gateway *gateway = NULL;
    cr_assert_eq(arizmq_gateway_create(endpoint, options, &gateway), ARIZMQ_OK);
    return gateway;
}

TestSuite(gateway_client, .timeout = 60);

Test(gateway_client, request_is_sent_as_it_was_given)
{
    struct server *server = server_start(NULL, 0);
    struct arizmq_gateway *gateway = connect_to(server->endpoint, NULL);
    const char *const query[] = {"media", "sound:a b", "media", "sound:\xc3\xbc", NULL};
    const struct arizmq_request request = {.method = "POST",
                                           .uri = "channels/1/play",
                                           .query = query,
                                           .node = "pbx1",
                                           .app = "ivr",
                                           .members = "{\"transaction_id\":\"t\",\"uri\":\"no\"}",
                                           .body = "{}",
                                           .body_length = 2,
                                           .content_type = "application/json",
                                           .timeout_ms = 1500};
    struct arizmq_reply *answer = NULL;
    cr_assert_eq(arizmq_gateway_request(gateway, &request, &answer), ARIZMQ_OK);
    cr_assert_str_eq(arizmq_gateway_failure(gateway), "");
    cr_assert_eq(strlen(arizmq_gateway_request_id(gateway)), 36);
    arizmq_reply_destroy(&answer);
    server_stop(server);
    json_t *sent = json_loads(server->headers[0], 0, NULL);
    json_t *wanted =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:s, s:[{s:s, s:s}, {s:s, s:s}]}", "method",
                  "POST", "uri", "channels/1/play", "node", "pbx1", "app", "ivr", "transaction_id",
                  "t", "content_type", "application/json", "timeout_ms", 1500, "request_id",
                  arizmq_gateway_request_id(gateway), "query_strings", "name", "media", "value",
                  "sound:a b", "name", "media", "value", "sound:\xc3\xbc");
    cr_assert(json_equal(sent, wanted), "%s", server->headers[0]);
    cr_assert_eq(server->frames[0], 2);
    cr_assert_str_eq(server->bodies[0], "{}");
    json_decref(sent);
    json_decref(wanted);
    arizmq_gateway_destroy(&gateway);
    server_free(server);
}

Test(gateway_client, reply_is_read)
{
    struct server *server = server_start(NULL, 0);
    server->further = 100;
    struct arizmq_gateway *gateway = connect_to(server->endpoint, NULL);
    const struct arizmq_request request = {.method = "GET", .uri = "x"};
    for (unsigned round = 0; round < 3; round++) {
        struct arizmq_reply *answer = NULL;
        size_t length = 0;
        uint64_t number = 0;
        cr_assert_eq(arizmq_gateway_request(gateway, &request, &answer), ARIZMQ_OK);
        cr_assert_eq(arizmq_reply_status(answer), 201);
        cr_assert_str_eq(arizmq_reply_text(answer, "reason_phrase"), "Created");
        cr_assert_null(arizmq_reply_text(answer, "count"));
        cr_assert_null(arizmq_reply_text(answer, "none"));
        cr_assert(arizmq_reply_number(answer, "count", &number));
        cr_assert_eq(number, 7);
        cr_assert_not(arizmq_reply_number(answer, "elapsed_ms", &number));
        const char *body = arizmq_reply_body(answer, &length);
        cr_assert_eq(length, 8);
        cr_assert_arr_eq(body, "the body", 8);
        cr_assert_eq(arizmq_reply_header(answer, &length)[0], '{');
        cr_assert_eq(arizmq_reply_frames(answer), 100);
        const char *frame = arizmq_reply_frame(answer, 99, &length);
        cr_assert_eq(length, 8);
        cr_assert_arr_eq(frame, "frame 99", 8);
        arizmq_reply_destroy(&answer);
        cr_assert_null(answer);
    }
    server_stop(server);
    /* While all goes well the connection stays. */
    cr_assert_arr_eq(server->paths[0], server->paths[2], sizeof server->paths[0]);
    cr_assert_eq(server->frames[0], 1);
    cr_assert_str_neq(server->headers[0], server->headers[1]);
    arizmq_gateway_destroy(&gateway);
    server_free(server);
}

struct told {
    unsigned times;
    unsigned left;
    char last[256];
};

static void on_failure(void *argument, const char *failure, unsigned left)
{
    struct told *told = argument;
    told->times++;
    told->left = left;
    snprintf(told->last, sizeof told->last, "%s", failure);
}

Test(gateway_client, retries_have_one_id_and_a_connection_each)
{
    const enum act acts[] = {ACT_SILENCE, ACT_SILENCE, ACT_REPLY};
    struct server *server = server_start(acts, 3);
    struct told told = {0};
    const struct arizmq_gateway_options options = {.on_failure = on_failure, .argument = &told};
    struct arizmq_gateway *gateway = connect_to(server->endpoint, &options);
    const struct arizmq_request request = {
        .method = "POST", .uri = "x", .timeout_ms = 1, .retries = 5};
    struct arizmq_reply *answer = NULL;
    cr_assert_eq(arizmq_gateway_request(gateway, &request, &answer), ARIZMQ_OK);
    arizmq_reply_destroy(&answer);
    server_stop(server);
    cr_assert_eq(server->seen, 3);
    cr_assert_str_eq(server->headers[0], server->headers[1]);
    cr_assert_str_eq(server->headers[0], server->headers[2]);
    cr_assert_arr_neq(server->paths[0], server->paths[1], sizeof server->paths[0]);
    cr_assert_arr_neq(server->paths[1], server->paths[2], sizeof server->paths[0]);
    cr_assert_eq(told.times, 2);
    cr_assert_eq(told.left, 4);
    cr_assert(strstr(told.last, "no reply from tcp://127.0.0.1:"), "%s", told.last);
    arizmq_gateway_destroy(&gateway);
    server_free(server);
}

Test(gateway_client, given_id_is_kept)
{
    struct server *server = server_start(NULL, 0);
    struct arizmq_gateway *gateway = connect_to(server->endpoint, NULL);
    const struct arizmq_request requests[] = {
        {.method = "GET", .uri = "x", .request_id = "7f3a"},
        {.method = "GET", .uri = "x", .members = "{\"request_id\":\"7f3a\"}"}};
    for (unsigned i = 0; i < 2; i++) {
        struct arizmq_reply *answer = NULL;
        cr_assert_eq(arizmq_gateway_request(gateway, &requests[i], &answer), ARIZMQ_OK);
        cr_assert_str_eq(arizmq_reply_text(answer, "request_id"), "7f3a");
        cr_assert_str_eq(arizmq_gateway_request_id(gateway), "7f3a");
        arizmq_reply_destroy(&answer);
    }
    server_stop(server);
    arizmq_gateway_destroy(&gateway);
    server_free(server);
}

Test(gateway_client, reply_that_is_none)
{
    static const struct {
        enum act act;
        int rc;
        const char *said;
    } cases[] = {{ACT_OTHER_ID, ARIZMQ_EPROTOCOL, "another request_id"},
                 {ACT_ONE_FRAME, ARIZMQ_EPROTOCOL, "no two frames"},
                 {ACT_NO_JSON, ARIZMQ_EPROTOCOL, "no JSON object: \"rot\""},
                 {ACT_BIG, ARIZMQ_ETOOLARGE, "50000 are allowed"},
                 {ACT_REPLY, ARIZMQ_OK, ""}};
    enum { CASES = sizeof cases / sizeof *cases };
    enum act acts[CASES];
    for (unsigned i = 0; i < CASES; i++) {
        acts[i] = cases[i].act;
    }
    struct server *server = server_start(acts, CASES);
    const struct arizmq_gateway_options options = {.max_reply_bytes = 50000};
    struct arizmq_gateway *gateway = connect_to(server->endpoint, &options);
    const struct arizmq_request request = {.method = "GET", .uri = "x", .retries = 3};
    for (unsigned i = 0; i < CASES; i++) {
        struct arizmq_reply *answer = NULL;
        cr_assert_eq(arizmq_gateway_request(gateway, &request, &answer), cases[i].rc, "%u", i);
        cr_assert(strstr(arizmq_gateway_failure(gateway), cases[i].said), "%s",
                  arizmq_gateway_failure(gateway));
        arizmq_reply_destroy(&answer);
    }
    server_stop(server);
    cr_assert_eq(server->seen, CASES); /* none was sent again */
    arizmq_gateway_destroy(&gateway);
    server_free(server);
}

Test(gateway_client, nobody_is_there)
{
    struct server *server = server_start(NULL, 0);
    server_stop(server);
    void *context = zmq_ctx_new();
    const struct arizmq_gateway_options options = {.context = context};
    struct arizmq_gateway *gateway = connect_to(server->endpoint, &options);
    const struct arizmq_request request = {.method = "GET", .uri = "x"};
    struct arizmq_reply *answer = NULL;
    cr_assert_eq(arizmq_gateway_request(gateway, &request, &answer), ARIZMQ_EUNREACHABLE);
    cr_assert(strstr(arizmq_gateway_failure(gateway), "nobody answers at tcp://"));
    arizmq_gateway_destroy(&gateway);
    zmq_ctx_term(context);
    server_free(server);
}

Test(gateway_client, request_that_is_none)
{
    struct arizmq_gateway *gateway = connect_to("tcp://127.0.0.1:1", NULL);
    const char *const odd_query[] = {"name", NULL};
    const struct arizmq_request requests[] = {{.uri = "x"},
                                              {.method = "GET"},
                                              {.method = "GET", .uri = "\xff"},
                                              {.method = "GET", .uri = "x", .members = "[]"},
                                              {.method = "GET", .uri = "x", .members = "{"},
                                              {.method = "GET", .uri = "x", .query = odd_query},
                                              {.method = "GET", .uri = "x", .request_id = "\xff"}};
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        struct arizmq_reply *answer = NULL;
        cr_assert_eq(arizmq_gateway_request(gateway, &requests[i], &answer), ARIZMQ_EINVALID, "%zu",
                     i);
        cr_assert(strstr(arizmq_gateway_failure(gateway), "the request cannot be sent: "));
    }
    arizmq_gateway_destroy(&gateway);
    cr_assert_eq(arizmq_gateway_create("nowhere", NULL, &gateway), ARIZMQ_EINVALID);
    cr_assert_null(gateway);
}
