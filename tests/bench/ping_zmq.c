/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Through ZeroMQ: to the gateway, to zurl, or to bench_echo, which shows what of the time is
 * ZeroMQ's own. One in flight: a REQ socket. More: one DEALER. Each request is printed anew, and
 * its answer is found again by the number that it carries.
 */
#include "ping.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zmq.h>

enum { TEXT_SIZE = 1024 };

/* How a peer is spoken to. */
struct dialect {
    int (*print)(const struct ping_load *load, uint32_t sent, uint32_t slot, char text[TEXT_SIZE]);
    const char *good;    /* stands in the first frame of every good answer */
    const char *number;  /* behind it stands the slot */
    int needs_delimiter; /* of a DEALER, too */
};

struct talk {
    struct ping_load *load;
    const struct dialect *dialect;
    void *socket;
    uint32_t sent;
    uint64_t sent_ns[PING_IN_FLIGHT_MAX]; /* by slot */
};

static int print_gateway(const struct ping_load *load, uint32_t sent, uint32_t slot,
                         char text[TEXT_SIZE])
{
    if (!load->has_request_ids) {
        return snprintf(
            text, TEXT_SIZE,
            "{\"method\":\"GET\",\"uri\":\"asterisk/ping\",\"transaction_id\":\"%" PRIu32 "\"}",
            slot);
    }
    return snprintf(text, TEXT_SIZE,
                    "{\"method\":\"GET\",\"uri\":\"asterisk/ping\",\"transaction_id\":\"%" PRIu32
                    "\",\"request_id\":\"bench-%d-%" PRIu64 "-%" PRIu32 "\"}",
                    slot, (int)getpid(), load->begun_ns, sent);
}

static int print_zurl(const struct ping_load *load, uint32_t sent, uint32_t slot,
                      char text[TEXT_SIZE])
{
    (void)sent;
    return snprintf(text, TEXT_SIZE,
                    "J{\"id\":\"%" PRIu32 "\",\"method\":\"GET\",\"uri\":\"%s\","
                    "\"headers\":[[\"Authorization\",\"%s\"]]}",
                    slot, load->url, load->authorization);
}

/* What the gateway would reply, since that is what comes back. */
static int print_echo(const struct ping_load *load, uint32_t sent, uint32_t slot,
                      char text[TEXT_SIZE])
{
    (void)load;
    (void)sent;
    return snprintf(text, TEXT_SIZE,
                    "{\"type\":\"RESTResponse\",\"transaction_id\":\"%" PRIu32
                    "\",\"status_code\":200,\"reason_phrase\":\"OK\",\"content_type\":"
                    "\"application/json\",\"uri\":\"asterisk/ping\",\"node\":\"pbx1\",\"source\":"
                    "\"asterisk\",\"elapsed_ms\":0.123}",
                    slot);
}

static void send_one(struct talk *talk, uint32_t slot)
{
    char text[TEXT_SIZE];
    talk->sent_ns[slot] = ping_now_ns();
    int length = talk->dialect->print(talk->load, talk->sent, slot, text);
    if (length < 0 || length >= TEXT_SIZE) {
        ping_die("the request is too long");
    }
    int is_dealer = talk->load->in_flight > 1;
    if ((is_dealer && talk->dialect->needs_delimiter &&
         zmq_send(talk->socket, "", 0, ZMQ_SNDMORE) < 0) ||
        zmq_send(talk->socket, text, (size_t)length, 0) < 0) {
        ping_die("a request was not sent: %s", zmq_strerror(errno));
    }
    talk->sent++;
}

/* The slot that an answer's first frame names. */
static uint32_t read_slot(const struct talk *talk, zmq_msg_t *frame)
{
    const char *text = zmq_msg_data(frame);
    size_t length = zmq_msg_size(frame);
    const char *number = talk->dialect->number;
    const char *at = memmem(text, length, number, strlen(number));
    if (at == NULL || !ping_contains(text, length, talk->dialect->good)) {
        ping_die("a wrong answer: %.*s", (int)length, text);
    }
    uint32_t slot = 0;
    for (at += strlen(number); at < text + length && *at >= '0' && *at <= '9'; at++) {
        slot = slot * 10 + (uint32_t)(*at - '0');
    }
    if (slot >= talk->load->in_flight) {
        ping_die("an answer to nothing: %.*s", (int)length, text);
    }
    return slot;
}

/* Waits for one answer and checks it. Returns its slot. */
static uint32_t receive_one(struct talk *talk)
{
    uint32_t slot = PING_IN_FLIGHT_MAX;
    int has_pong = 0;
    int more = 1;
    while (more) {
        zmq_msg_t frame;
        zmq_msg_init(&frame);
        if (zmq_msg_recv(&frame, talk->socket, 0) < 0) {
            ping_die("no answer: %s", zmq_strerror(errno));
        }
        if (zmq_msg_size(&frame) > 0 && slot == PING_IN_FLIGHT_MAX) {
            slot = read_slot(talk, &frame);
        }
        has_pong |= ping_contains(zmq_msg_data(&frame), zmq_msg_size(&frame), "pong");
        more = zmq_msg_more(&frame);
        zmq_msg_close(&frame);
    }
    if (slot == PING_IN_FLIGHT_MAX || !has_pong) {
        ping_die("an answer without a pong");
    }
    return slot;
}

static void talk_to(struct ping_load *load, const struct dialect *dialect)
{
    struct talk talk = {.load = load, .dialect = dialect};
    void *context = zmq_ctx_new();
    talk.socket = zmq_socket(context, load->in_flight > 1 ? ZMQ_DEALER : ZMQ_REQ);
    int timeout_ms = 10000;
    int linger_ms = 0;
    if (talk.socket == NULL ||
        zmq_setsockopt(talk.socket, ZMQ_RCVTIMEO, &timeout_ms, sizeof timeout_ms) != 0 ||
        zmq_setsockopt(talk.socket, ZMQ_LINGER, &linger_ms, sizeof linger_ms) != 0 ||
        zmq_connect(talk.socket, load->target) != 0) {
        ping_die("%s: %s", load->target, zmq_strerror(errno));
    }
    for (uint32_t slot = 0; slot < load->in_flight; slot++) {
        send_one(&talk, slot);
    }
    while (ping_left(load, load->answered) > 0) {
        uint32_t slot = receive_one(&talk);
        ping_answered(load, talk.sent_ns[slot]);
        if (ping_left(load, talk.sent) > 0) {
            send_one(&talk, slot);
        }
    }
    zmq_close(talk.socket);
    zmq_ctx_term(context);
}

void ping_gateway(struct ping_load *load)
{
    static const struct dialect dialect = {
        .print = print_gateway, .good = "\"status_code\":200,", .number = "\"transaction_id\":\""};
    talk_to(load, &dialect);
}

void ping_zurl(struct ping_load *load)
{
    static const struct dialect dialect = {
        .print = print_zurl, .good = "\"code\":200", .number = "\"id\":\"", .needs_delimiter = 1};
    talk_to(load, &dialect);
}

void ping_echo(struct ping_load *load)
{
    static const struct dialect dialect = {
        .print = print_echo, .good = "\"status_code\":200,", .number = "\"transaction_id\":\""};
    talk_to(load, &dialect);
}
