/* SPDX-License-Identifier: MPL-2.0 */
/*
 *     bench_floor WEBSOCKET_PORT
 *
 * The least that a relay from WebSocket to ZeroMQ costs, without libwebsockets and libzmq: takes
 * the events off the WebSocket, puts each as three ZMTP frames (topic, event, stamp) into a buffer
 * and writes what one read has brought with one write to each subscriber. It does not look into the
 * events, filters nothing and keeps nothing; topic and stamp have the size that arizmqd's have. A
 * slow subscriber holds it up. Writes `port N`, on which subscribers connect.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "sockets.h"
#include "websocket.h"
#include "zmtp.h"

enum {
    SUBSCRIBERS_MAX = 64,
    IN_BYTES = 64 * 1024, /* as arizmqd reads; the caches take more badly */
    STAMP_BYTES = 64,
    MESSAGE_MORE = 3 * ZMTP_HEADER_MAX + 64 + STAMP_BYTES, /* than the event */
};

static const char topic[] = "ChannelStateChange/bench/pbx1/bench.10000017/";

struct relay {
    int websocket;
    int listener;
    int subscribers[SUBSCRIBERS_MAX];
    unsigned subscribers_count;
    uint64_t seq;
    size_t in_length;
    uint8_t in[IN_BYTES];
    /* An event is at least as long as what a message has more. */
    uint8_t out[2 * IN_BYTES + MESSAGE_MORE];
};

static size_t put_frame(uint8_t *out, unsigned flags, const void *data, size_t length)
{
    size_t header = zmtp_write_header(out, flags, length);
    memcpy(out + header, data, length);
    return header + length;
}

static size_t put_message(uint8_t *out, const uint8_t *event, size_t length, uint64_t seq)
{
    uint64_t stamp[STAMP_BYTES / sizeof(uint64_t)] = {0};
    stamp[1] = seq;
    size_t size = put_frame(out, ZMTP_MORE, topic, sizeof topic - 1);
    size += put_frame(out + size, ZMTP_MORE, event, length);
    return size + put_frame(out + size, 0, stamp, sizeof stamp);
}

/* Puts the whole events of `in` into `out`; returns the length there. */
static size_t reframe(struct relay *self)
{
    const uint8_t *event = NULL;
    size_t event_length = 0;
    size_t taken = 0;
    size_t out = 0;
    for (size_t size; (size = websocket_parse(self->in + taken, self->in_length - taken, &event,
                                              &event_length)) > 0;) {
        taken += size;
        if (event_length >= MESSAGE_MORE) {
            out += put_message(self->out + out, event, event_length, ++self->seq);
        } else {
            errno = 0;
            sockets_fail("an event that is smaller than those of the generator");
        }
    }
    self->in_length -= taken;
    memmove(self->in, self->in + taken, self->in_length);
    return out;
}

/* False at the end of the WebSocket. */
static bool relay_events(struct relay *self)
{
    ssize_t got = recv(self->websocket, self->in + self->in_length, IN_BYTES - self->in_length, 0);
    if (got <= 0) {
        return false;
    }
    self->in_length += (size_t)got;
    size_t length = reframe(self);
    for (unsigned i = 0; i < self->subscribers_count; i++) {
        sockets_write(self->subscribers[i], self->out, length);
    }
    return true;
}

static void accept_subscriber(struct relay *self)
{
    int fd = accept(self->listener, NULL, NULL);
    int on = 1;
    if (fd < 0 || self->subscribers_count == SUBSCRIBERS_MAX ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) {
        sockets_fail("accept");
    }
    zmtp_shake_hands(fd, "PUB");
    self->subscribers[self->subscribers_count++] = fd;
}

/* Those that have gone; subscriptions are not looked at. */
static void read_subscribers(struct relay *self)
{
    for (unsigned i = 0; i < self->subscribers_count; i++) {
        uint8_t ignored[1024];
        if (recv(self->subscribers[i], ignored, sizeof ignored, MSG_DONTWAIT) == 0) {
            shutdown(self->subscribers[i], SHUT_RDWR);
            self->subscribers[i--] = self->subscribers[--self->subscribers_count];
        }
    }
}

int main(int argc, char **argv)
{
    struct relay *self = calloc(1, sizeof *self);
    if (argc != 2 || self == NULL) {
        sockets_fail("bench_floor WEBSOCKET_PORT");
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    self->websocket = websocket_connect((uint16_t)strtoul(argv[1], NULL, 10));
    self->listener = sockets_listen();
    struct pollfd pollers[2] = {{.fd = self->websocket, .events = POLLIN},
                                {.fd = self->listener, .events = POLLIN}};
    for (bool is_open = true; is_open;) {
        poll(pollers, 2, -1);
        if (pollers[1].revents != 0) {
            read_subscribers(self);
            accept_subscriber(self);
        }
        if (pollers[0].revents != 0) {
            is_open = relay_events(self);
        }
    }
    free(self);
    return 0;
}
