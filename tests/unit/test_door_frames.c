/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Replies of many frames, and clients that go while such a one is handed over. zmq_msg_send() of
 * the bridge goes through __wrap_zmq_msg_send(), so that a client can go at a chosen frame.
 */
#include <criterion/criterion.h>
#include <czmq.h>
#include <poll.h>

#include "arizmq/error.h"
#include "base/clock.h"
#include "gateway/door.h"
#include "ops/metrics.h"

enum { WAIT_MS = 20000, REST_MAX = 3000 };

static struct config_gateway config = {
    .endpoint = (char[]){"tcp://127.0.0.1:*"}, .max_requests = 1000, .max_request_bytes = 1000};

static struct door *door;
static zsock_t *client;
static struct door_message message;
static unsigned frames_sent;
static unsigned go_at; /* the client goes before this frame; 0: it stays */

int __real_zmq_msg_send(zmq_msg_t *frame, void *socket, int flags);
int __wrap_zmq_msg_send(zmq_msg_t *frame, void *socket, int flags);

/* Until libzmq has something to tell the door's thread: that the client has gone. While it sends it
 * looks for that once in a few million ticks of the processor. */
static void let_client_go(void)
{
    zsock_destroy(&client);
    struct pollfd ready = {.fd = door_fd(door), .events = POLLIN};
    cr_assert_eq(poll(&ready, 1, WAIT_MS), 1);
    zclock_sleep(20);
}

int __wrap_zmq_msg_send(zmq_msg_t *frame, void *socket, int flags)
{
    frames_sent++;
    if (frames_sent == go_at) {
        let_client_go();
    }
    return __real_zmq_msg_send(frame, socket, flags);
}

static void set_up(void)
{
    char error[256] = "";
    cr_assert_eq(door_create(&config, &door, error, sizeof error), ARIZMQ_OK, "%s", error);
    client = zsock_new(ZMQ_REQ);
    zsock_set_rcvtimeo(client, WAIT_MS);
    zsock_set_linger(client, 0);
    cr_assert_eq(zsock_connect(client, "%s", door_endpoint(door)), 0);
    zstr_send(client, "x");
    uint64_t end = clock_monotonic_ms() + WAIT_MS;
    while (door_receive(door, &message) != DOOR_REQUEST) {
        cr_assert_lt(clock_monotonic_ms(), end);
        struct pollfd ready = {.fd = door_fd(door), .events = POLLIN};
        if (!door_has_input(door)) {
            poll(&ready, 1, 100);
        }
    }
    while (door_has_input(door)) {
    }
}

static void tear_down(void)
{
    door_message_release(&message);
    zsock_destroy(&client);
    door_destroy(&door, 0);
}

TestSuite(door_frames, .init = set_up, .fini = tear_down);

/* Sends header, body and `count` frames whose bytes are their number. Returns how many of these
 * are empty afterwards. */
static size_t send_frames(size_t count)
{
    static zmq_msg_t frames[REST_MAX];
    struct door_frames rest = {frames, count};
    size_t empty = 0;
    zmq_msg_t body;
    zmq_msg_init(&body);
    for (size_t i = 0; i < count; i++) {
        zmq_msg_init_size(&frames[i], sizeof i + i % 2 * 100);
        memset(zmq_msg_data(&frames[i]), 0, zmq_msg_size(&frames[i]));
        memcpy(zmq_msg_data(&frames[i]), &i, sizeof i);
    }
    door_send(door, &message.path, strdup("{}"), 2, &body, &rest);
    for (size_t i = 0; i < count; i++) {
        empty += zmq_msg_size(&frames[i]) == 0;
        zmq_msg_close(&frames[i]);
    }
    return empty;
}

static void check_frames(size_t count)
{
    cr_assert_eq(send_frames(count), count);
    zmsg_t *reply = zmsg_recv(client);
    cr_assert_not_null(reply, "%s", zmq_strerror(errno));
    cr_assert_eq(zmsg_size(reply), 2 + count);
    cr_assert(zframe_streq(zmsg_first(reply), "{}"));
    cr_assert_eq(zframe_size(zmsg_next(reply)), 0);
    for (size_t i = 0; i < count; i++) {
        zframe_t *frame = zmsg_next(reply);
        size_t number = 0;
        cr_assert_eq(zframe_size(frame), sizeof i + i % 2 * 100);
        memcpy(&number, zframe_data(frame), sizeof number);
        cr_assert_eq(number, i);
    }
    zmsg_destroy(&reply);
    cr_assert_eq(metrics_get(METRIC_GATEWAY_REPLIES), 1);
    cr_assert_eq(metrics_get(METRIC_GATEWAY_UNDELIVERABLE), 0);
}

Test(door_frames, none)
{
    check_frames(0);
}

Test(door_frames, one)
{
    check_frames(1);
}

Test(door_frames, many)
{
    check_frames(REST_MAX);
}

static void check_gone(unsigned at)
{
    go_at = at;
    send_frames(REST_MAX);
    cr_assert_geq(frames_sent, at);
    cr_assert_eq(metrics_get(METRIC_GATEWAY_UNDELIVERABLE), 1, "gone at frame %u", at);
    cr_assert_eq(metrics_get(METRIC_GATEWAY_REPLIES), 0);
}

/* Frame 1 is the routing id, 2 the delimiter, 3 the header, 4 the body. */
Test(door_frames, client_goes_before_the_reply)
{
    check_gone(1);
}

Test(door_frames, client_goes_before_the_header)
{
    check_gone(3);
}

Test(door_frames, client_goes_before_the_body)
{
    check_gone(4);
}

Test(door_frames, client_goes_before_the_first_frame)
{
    check_gone(5);
}

Test(door_frames, client_goes_in_the_middle)
{
    check_gone(4 + REST_MAX / 2);
}
