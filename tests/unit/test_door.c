/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The ROUTER socket against real REQ and DEALER sockets over TCP, with and without proxies between.
 */
#include <criterion/criterion.h>
#include <czmq.h>
#include <poll.h>

#include "arizmq/error.h"
#include "base/clock.h"
#include "gateway/door.h"
#include "ops/metrics.h"

enum { WAIT_MS = 10000 };

static struct config_gateway config = {
    .endpoint = (char[]){"tcp://127.0.0.1:*"}, .max_requests = 1000, .max_request_bytes = 1000};

static struct door *make_door(void)
{
    struct door *door = NULL;
    char error[256] = "";
    cr_assert_eq(door_create(&config, &door, error, sizeof error), ARIZMQ_OK, "%s", error);
    return door;
}

static zsock_t *make_client(const struct door *door, int type)
{
    zsock_t *client = zsock_new(type);
    zsock_set_rcvtimeo(client, WAIT_MS);
    zsock_set_sndtimeo(client, WAIT_MS);
    zsock_set_linger(client, WAIT_MS);
    cr_assert_eq(zsock_connect(client, "%s", door_endpoint(door)), 0);
    return client;
}

static enum door_verdict await(struct door *door, struct door_message *message)
{
    uint64_t end = clock_monotonic_ms() + WAIT_MS;
    while (clock_monotonic_ms() < end) {
        enum door_verdict verdict = door_receive(door, message);
        if (verdict != DOOR_NOTHING) {
            return verdict;
        }
        struct pollfd poll_fd = {.fd = door_fd(door), .events = POLLIN};
        if (!door_has_input(door)) {
            poll(&poll_fd, 1, 100);
        }
    }
    cr_assert_fail("nothing came");
    return DOOR_NOTHING;
}

static void answer(struct door *door, struct door_path *path, const char *header, const char *body)
{
    zmq_msg_t frame;
    zmq_msg_init_size(&frame, strlen(body));
    memcpy(zmq_msg_data(&frame), body, strlen(body));
    door_send(door, path, strdup(header), strlen(header), &frame, NULL);
    cr_assert_eq(zmq_msg_size(&frame), strlen(body), "the body is the caller's still");
    zmq_msg_close(&frame);
}

static bool frame_is(zmq_msg_t *frame, const char *text)
{
    return zmq_msg_size(frame) == strlen(text) &&
           memcmp(zmq_msg_data(frame), text, strlen(text)) == 0;
}

/* Receives header and body, nothing before and nothing behind. */
static void expect_reply(zsock_t *client, const char *header, const char *body)
{
    zmsg_t *reply = zmsg_recv(client);
    cr_assert_not_null(reply, "no reply: %s", zmq_strerror(errno));
    cr_assert_eq(zmsg_size(reply), 2);
    cr_assert(zframe_streq(zmsg_first(reply), header));
    cr_assert(zframe_streq(zmsg_next(reply), body));
    zmsg_destroy(&reply);
}

/* One request and its reply. */
static void serve(struct door *door, zsock_t *client)
{
    struct door_message message;
    cr_assert_eq(zstr_send(client, "ping"), 0);
    cr_assert_eq(await(door, &message), DOOR_REQUEST);
    cr_assert(frame_is(&message.header, "ping"));
    answer(door, &message.path, "{}", "pong");
    door_message_release(&message);
    expect_reply(client, "{}", "pong");
}

Test(door, answers_req)
{
    struct door *door = make_door();
    zsock_t *client = make_client(door, ZMQ_REQ);
    struct door_message message;
    cr_assert_eq(door_receive(door, &message), DOOR_NOTHING);
    cr_assert_not(door_has_input(door));
    zstr_sendx(client, "header", "body", NULL);
    cr_assert_eq(await(door, &message), DOOR_REQUEST);
    cr_assert_eq(message.path.hops, 1);
    cr_assert(message.path.has_delimiter);
    cr_assert(message.has_body);
    cr_assert_eq(message.frames, 2);
    cr_assert_eq(message.bytes, 10);
    cr_assert(frame_is(&message.header, "header"));
    cr_assert(frame_is(&message.body, "body"));
    answer(door, &message.path, "{}", "");
    cr_assert_eq(message.path.hops, 0);
    door_message_release(&message);
    expect_reply(client, "{}", "");
    serve(door, client);
    cr_assert_eq(metrics_get(METRIC_GATEWAY_REQUESTS), 2);
    cr_assert_eq(metrics_get(METRIC_GATEWAY_BYTES), 14);
    cr_assert_eq(metrics_get(METRIC_GATEWAY_REPLIES), 2);
    cr_assert_eq(metrics_get(METRIC_GATEWAY_UNDELIVERABLE), 0);
    cr_assert_eq(metrics_get(METRIC_GATEWAY_NO_PATH), 0);
    zsock_destroy(&client);
    door_destroy(&door, 0);
    cr_assert_null(door);
    door_destroy(&door, 0);
}

/* Frames of `sizes`, ended by -1, through a DEALER. */
struct shape {
    int sizes[6];
    enum door_verdict verdict;
    bool has_delimiter;
    unsigned frames;
    bool has_body;
    size_t header_size;
    size_t body_size;
};

static void send_shape(zsock_t *client, const int *sizes)
{
    static const char bytes[1200];
    for (int i = 0; sizes[i] >= 0; i++) {
        int flags = sizes[i + 1] >= 0 ? ZMQ_SNDMORE : 0;
        cr_assert_geq(zmq_send(zsock_resolve(client), bytes, (size_t)sizes[i], flags), 0);
    }
}

static void expect_dealt(zsock_t *client, bool has_delimiter)
{
    if (has_delimiter) {
        zframe_t *delimiter = zframe_recv(client);
        cr_assert_not_null(delimiter);
        cr_assert_eq(zframe_size(delimiter), 0);
        zframe_destroy(&delimiter);
    }
    expect_reply(client, "{}", "b");
}

Test(door, answers_dealer_whatever_its_frames)
{
    static const struct shape shapes[] = {
        {{5, -1}, DOOR_REQUEST, false, 1, false, 5, 0},
        {{5, 3, -1}, DOOR_REQUEST, false, 2, true, 5, 3},
        {{5, 0, -1}, DOOR_REQUEST, false, 2, true, 5, 0},
        {{0, 5, -1}, DOOR_REQUEST, true, 1, false, 5, 0},
        {{0, 5, 3, -1}, DOOR_REQUEST, true, 2, true, 5, 3},
        {{0, 5, 0, -1}, DOOR_REQUEST, true, 2, true, 5, 0},
        {{0, 0, -1}, DOOR_REQUEST, true, 1, false, 0, 0},
        {{0, 0, 3, -1}, DOOR_REQUEST, true, 2, true, 0, 3},
        {{0, -1}, DOOR_MALFORMED, false, 1, false, 0, 0},
        {{5, 3, 1, -1}, DOOR_MALFORMED, false, 3, true, 0, 0},
        {{0, 5, 3, 1, -1}, DOOR_MALFORMED, true, 3, true, 0, 0},
        {{0, 0, 0, 0, -1}, DOOR_MALFORMED, true, 3, true, 0, 0},
        {{600, 400, -1}, DOOR_REQUEST, false, 2, true, 600, 400},
        {{600, 401, -1}, DOOR_TOO_LARGE, false, 2, true, 600, 0},
        {{1001, -1}, DOOR_TOO_LARGE, false, 1, false, 0, 0},
        {{0, 1000, 1, -1}, DOOR_TOO_LARGE, true, 2, true, 1000, 0},
    };
    struct door *door = make_door();
    zsock_t *client = make_client(door, ZMQ_DEALER);
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        const struct shape *shape = &shapes[i];
        struct door_message message;
        send_shape(client, shape->sizes);
        cr_assert_eq(await(door, &message), shape->verdict, "shape %zu", i);
        cr_assert_eq(message.path.hops, 1);
        cr_assert_eq(message.path.has_delimiter, shape->has_delimiter, "shape %zu", i);
        cr_assert_eq(message.frames, shape->frames, "shape %zu", i);
        cr_assert_eq(message.has_body, shape->has_body, "shape %zu", i);
        cr_assert_eq(zmq_msg_size(&message.header), shape->header_size, "shape %zu", i);
        cr_assert_eq(zmq_msg_size(&message.body), shape->body_size, "shape %zu", i);
        answer(door, &message.path, "{}", "b");
        door_message_release(&message);
        expect_dealt(client, shape->has_delimiter);
    }
    zsock_destroy(&client);
    door_destroy(&door, 0);
}

static void check_many(bool begins_empty)
{
    struct door *door = make_door();
    zsock_t *client = make_client(door, ZMQ_DEALER);
    struct door_message message;
    for (int i = 0; i < 1000; i++) {
        size_t size = i == 0 && begins_empty ? 0 : 700;
        char bytes[700] = "";
        zmq_send(zsock_resolve(client), bytes, size, i < 999 ? ZMQ_SNDMORE : 0);
    }
    unsigned frames = begins_empty ? 999 : 1000;
    cr_assert_eq(await(door, &message), DOOR_MALFORMED);
    cr_assert_eq(message.frames, frames);
    cr_assert_eq(message.bytes, (size_t)frames * 700);
    answer(door, &message.path, "{}", "b");
    door_message_release(&message);
    expect_dealt(client, begins_empty);
    cr_assert_eq(metrics_get(METRIC_GATEWAY_REQUESTS), 1);
    cr_assert_not(door_has_input(door), "all of it was taken");
    zsock_destroy(&client);
    door_destroy(&door, 0);
}

Test(door, answers_a_thousand_frames)
{
    check_many(false);
}

Test(door, answers_a_thousand_frames_behind_a_delimiter)
{
    check_many(true);
}

/* What libzmq itself refuses: nobody can answer, and the next client is served. */
Test(door, cuts_off_a_frame_far_too_large)
{
    struct door *door = make_door();
    zsock_t *client = make_client(door, ZMQ_DEALER);
    zsock_t *other = make_client(door, ZMQ_REQ);
    static char bytes[16001];
    struct door_message message;
    zmq_socket_monitor(zsock_resolve(client), "inproc://watch", ZMQ_EVENT_DISCONNECTED);
    zsock_t *watch = zsock_new_pair(">inproc://watch");
    zsock_set_rcvtimeo(watch, WAIT_MS);
    zmq_send(zsock_resolve(client), bytes, 16000, 0);
    cr_assert_eq(await(door, &message), DOOR_TOO_LARGE);
    cr_assert_eq(message.bytes, 16000);
    door_message_release(&message);
    zmq_send(zsock_resolve(client), bytes, 16001, 0);
    zmsg_t *event = zmsg_recv(watch);
    cr_assert_not_null(event, "still connected");
    zmsg_destroy(&event);
    serve(door, other);
    cr_assert_eq(metrics_get(METRIC_GATEWAY_REQUESTS), 2);
    zsock_destroy(&watch);
    zsock_destroy(&client);
    zsock_destroy(&other);
    door_destroy(&door, 0);
}

/* A chain of proxies before the door, the client at its end. */
static zsock_t *connect_through(const struct door *door, zactor_t **proxies, unsigned count)
{
    char next[256];
    snprintf(next, sizeof next, ">%s", door_endpoint(door));
    for (unsigned i = 0; i < count; i++) {
        char here[64];
        snprintf(here, sizeof here, "@inproc://hop%u", i);
        proxies[i] = zactor_new(zproxy, NULL);
        zstr_sendx(proxies[i], "FRONTEND", "ROUTER", here, NULL);
        zsock_wait(proxies[i]);
        zstr_sendx(proxies[i], "BACKEND", "DEALER", next, NULL);
        zsock_wait(proxies[i]);
        snprintf(next, sizeof next, ">inproc://hop%u", i);
    }
    zsock_t *client = zsock_new_req(next);
    zsock_set_rcvtimeo(client, WAIT_MS);
    return client;
}

static void check_proxies(unsigned count)
{
    struct door *door = make_door();
    zactor_t *proxies[DOOR_HOPS_MAX] = {NULL};
    zsock_t *client = connect_through(door, proxies, count);
    struct door_message message;
    struct door_path path;
    zstr_sendx(client, "header", "body", NULL);
    cr_assert_eq(await(door, &message), DOOR_REQUEST);
    cr_assert_eq(message.path.hops, count + 1);
    cr_assert(message.path.has_delimiter);
    cr_assert(frame_is(&message.header, "header"));
    cr_assert(frame_is(&message.body, "body"));
    door_path_move(&path, &message.path);
    cr_assert_eq(message.path.hops, 0);
    door_message_release(&message);
    answer(door, &path, "{}", "b");
    expect_reply(client, "{}", "b");
    serve(door, client);
    zsock_destroy(&client);
    for (unsigned i = 0; i < count; i++) {
        zactor_destroy(&proxies[i]);
    }
    door_destroy(&door, 0);
}

Test(door, answers_through_a_proxy)
{
    check_proxies(1);
}

Test(door, answers_through_as_many_proxies_as_it_may)
{
    check_proxies(DOOR_HOPS_MAX - 1);
}

Test(door, does_not_take_a_longer_way_for_a_request)
{
    struct door *door = make_door();
    zactor_t *proxies[DOOR_HOPS_MAX] = {NULL};
    zsock_t *client = connect_through(door, proxies, DOOR_HOPS_MAX);
    zsock_t *other = make_client(door, ZMQ_REQ);
    struct door_message message;
    zstr_send(client, "header");
    cr_assert_eq(await(door, &message), DOOR_MALFORMED);
    cr_assert_eq(message.frames, DOOR_HOPS_MAX + 2);
    cr_assert_eq(message.path.hops, 1);
    answer(door, &message.path, "{}", "b"); /* the nearest proxy drops it */
    door_message_release(&message);
    serve(door, other);
    zsock_destroy(&client);
    zsock_destroy(&other);
    for (unsigned i = 0; i < DOOR_HOPS_MAX; i++) {
        zactor_destroy(&proxies[i]);
    }
    door_destroy(&door, 0);
}

static void copy_path(struct door_path *to, struct door_path *from)
{
    to->hops = from->hops;
    to->has_delimiter = from->has_delimiter;
    for (unsigned i = 0; i < from->hops; i++) {
        zmq_msg_init(&to->hop[i]);
        zmq_msg_copy(&to->hop[i], &from->hop[i]);
    }
}

/* Sends replies until one could not be delivered; returns how many that took. */
static unsigned send_until_refused(struct door *door, struct door_path *path, size_t size)
{
    uint64_t end = clock_monotonic_ms() + WAIT_MS;
    unsigned count = 0;
    zmq_msg_t body;
    zmq_msg_init_size(&body, size);
    memset(zmq_msg_data(&body), 'x', size);
    while (metrics_get(METRIC_GATEWAY_UNDELIVERABLE) == 0 && clock_monotonic_ms() < end) {
        struct door_path once;
        copy_path(&once, path);
        door_send(door, &once, strdup("{}"), 2, &body, NULL);
        cr_assert_eq(once.hops, 0);
        count++;
    }
    zmq_msg_close(&body);
    cr_assert_eq(metrics_get(METRIC_GATEWAY_UNDELIVERABLE), 1);
    cr_assert_eq(metrics_get(METRIC_GATEWAY_REPLIES), count - 1);
    return count;
}

Test(door, counts_the_reply_to_a_client_that_is_gone)
{
    struct door *door = make_door();
    zsock_t *client = make_client(door, ZMQ_REQ);
    zsock_t *other = make_client(door, ZMQ_REQ);
    struct door_message message;
    zstr_send(client, "x");
    cr_assert_eq(await(door, &message), DOOR_REQUEST);
    zsock_set_linger(client, 0);
    zsock_destroy(&client);
    send_until_refused(door, &message.path, 0);
    door_message_release(&message);
    serve(door, other);
    zsock_destroy(&other);
    door_destroy(&door, 0);
}

Test(door, counts_the_replies_to_a_client_that_does_not_read)
{
    config.max_requests = 10;
    struct door *door = make_door();
    zsock_t *client = zsock_new(ZMQ_DEALER);
    zsock_set_rcvhwm(client, 1);
    zsock_connect(client, "%s", door_endpoint(door));
    zsock_t *other = make_client(door, ZMQ_REQ);
    struct door_message message;
    zstr_send(client, "x");
    cr_assert_eq(await(door, &message), DOOR_REQUEST);
    cr_assert_gt(send_until_refused(door, &message.path, 100000), 10);
    door_message_release(&message);
    serve(door, other);
    zsock_destroy(&client);
    zsock_destroy(&other);
    door_destroy(&door, 0);
}

/* libzmq counts a message as waiting until long after it went out: the mark may not be so low that
 * a client that reads loses replies. */
Test(door, has_room_for_the_replies_to_a_client_that_reads)
{
    enum { REPLIES = 1001 };
    config.max_requests = 1;
    struct door *door = make_door();
    zsock_t *client = zsock_new(ZMQ_DEALER);
    zsock_set_rcvhwm(client, 0);
    zsock_set_rcvtimeo(client, WAIT_MS);
    zsock_connect(client, "%s", door_endpoint(door));
    zstr_send(client, "x");
    struct door_message message;
    cr_assert_eq(await(door, &message), DOOR_REQUEST);
    for (unsigned i = 0; i < REPLIES; i++) {
        struct door_path once;
        copy_path(&once, &message.path);
        answer(door, &once, "{}", "pong");
    }
    cr_assert_eq(metrics_get(METRIC_GATEWAY_UNDELIVERABLE), 0);
    for (unsigned i = 0; i < REPLIES; i++) {
        expect_reply(client, "{}", "pong");
    }
    door_message_release(&message);
    zsock_destroy(&client);
    door_destroy(&door, 0);
}

/* A client that comes back under the routing id that it has chosen gets what was asked before. */
Test(door, hands_a_routing_id_over)
{
    struct door *door = make_door();
    zsock_t *clients[2];
    struct door_message messages[2];
    for (int i = 0; i < 2; i++) {
        clients[i] = zsock_new(ZMQ_DEALER);
        zsock_set_identity(clients[i], "worker-7");
        zsock_set_rcvtimeo(clients[i], WAIT_MS);
        zsock_connect(clients[i], "%s", door_endpoint(door));
        zstr_send(clients[i], "x");
        cr_assert_eq(await(door, &messages[i]), DOOR_REQUEST);
        cr_assert(frame_is(&messages[i].path.hop[0], "worker-7"));
    }
    for (int i = 0; i < 2; i++) {
        answer(door, &messages[i].path, "{}", i == 0 ? "first" : "second");
        door_message_release(&messages[i]);
        expect_reply(clients[1], "{}", i == 0 ? "first" : "second");
    }
    cr_assert_eq(metrics_get(METRIC_GATEWAY_UNDELIVERABLE), 0);
    zsock_destroy(&clients[0]);
    zsock_destroy(&clients[1]);
    door_destroy(&door, 0);
}

Test(door, sends_what_is_under_way_before_it_closes)
{
    struct door *door = make_door();
    zsock_t *client = make_client(door, ZMQ_REQ);
    struct door_message message;
    zstr_send(client, "x");
    cr_assert_eq(await(door, &message), DOOR_REQUEST);
    answer(door, &message.path, "{}", "b");
    door_message_release(&message);
    door_destroy(&door, WAIT_MS);
    expect_reply(client, "{}", "b");
    zsock_destroy(&client);
}

Test(door, says_why_it_cannot_be_opened)
{
    struct door *door = make_door();
    struct door *second = NULL;
    char error[256] = "";
    char endpoint[256];
    struct config_gateway other = config;
    snprintf(endpoint, sizeof endpoint, "%s", door_endpoint(door));
    other.endpoint = endpoint;
    cr_assert_eq(door_create(&other, &second, error, sizeof error), ARIZMQ_EIO);
    cr_assert_null(second);
    cr_assert_not_null(strstr(error, endpoint), "%s", error);
    cr_assert_not_null(strstr(error, "in use"), "%s", error);
    snprintf(endpoint, sizeof endpoint, "nonsense");
    cr_assert_eq(door_create(&other, &second, error, sizeof error), ARIZMQ_EIO);
    cr_assert_not_null(strstr(error, "nonsense"), "%s", error);
    door_destroy(&door, 0);
}

/* What libzmq does only without memory, or at the end of its context. */
static int fail_receive_after = -1;
static bool fail_init;

int __real_zmq_msg_recv(zmq_msg_t *message, void *socket, int flags);
int __wrap_zmq_msg_recv(zmq_msg_t *message, void *socket, int flags);
int __wrap_zmq_msg_recv(zmq_msg_t *message, void *socket, int flags)
{
    if (fail_receive_after == 0) {
        errno = EAGAIN;
        return -1;
    }
    fail_receive_after -= fail_receive_after > 0;
    return __real_zmq_msg_recv(message, socket, flags);
}

int __real_zmq_msg_init_data(zmq_msg_t *message, void *data, size_t size, zmq_free_fn *free_data,
                             void *hint);
int __wrap_zmq_msg_init_data(zmq_msg_t *message, void *data, size_t size, zmq_free_fn *free_data,
                             void *hint);
int __wrap_zmq_msg_init_data(zmq_msg_t *message, void *data, size_t size, zmq_free_fn *free_data,
                             void *hint)
{
    if (fail_init) {
        errno = ENOMEM;
        return -1;
    }
    return __real_zmq_msg_init_data(message, data, size, free_data, hint);
}

static void check_broken(int received)
{
    struct door *door = make_door();
    zsock_t *client = make_client(door, ZMQ_DEALER);
    struct door_message message;
    uint64_t lost = metrics_get(METRIC_GATEWAY_NO_PATH);
    send_shape(client, (int[]){0, 5, 3, -1});
    while (!door_has_input(door)) {
        poll(&(struct pollfd){.fd = door_fd(door), .events = POLLIN}, 1, 100);
    }
    fail_receive_after = received;
    cr_assert_eq(door_receive(door, &message), DOOR_NO_PATH, "after %d", received);
    cr_assert_eq(metrics_get(METRIC_GATEWAY_NO_PATH), lost + 1);
    fail_receive_after = -1;
    zsock_destroy(&client);
    door_destroy(&door, 0);
}

Test(door, counts_a_message_that_ends_in_the_middle)
{
    for (int received = 1; received < 4; received++) {
        check_broken(received);
    }
}

Test(door, counts_a_reply_without_memory)
{
    struct door *door = make_door();
    zsock_t *client = make_client(door, ZMQ_REQ);
    struct door_message message;
    zstr_send(client, "x");
    cr_assert_eq(await(door, &message), DOOR_REQUEST);
    fail_init = true;
    answer(door, &message.path, "{}", "b");
    fail_init = false;
    door_message_release(&message);
    cr_assert_eq(metrics_get(METRIC_GATEWAY_UNDELIVERABLE), 1);
    cr_assert_eq(metrics_get(METRIC_GATEWAY_REPLIES), 0);
    zsock_destroy(&client);
    door_destroy(&door, 0);
}
