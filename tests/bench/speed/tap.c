/* SPDX-License-Identifier: MPL-2.0 */
/*
 * From bytes of one connection to counted events. drain.c calls tap_read() whenever something can
 * be read, and tally_print() when all has come or nothing more comes.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "block.h"
#include "drain.h"
#include "sockets.h"
#include "websocket.h"
#include "zmtp.h"

static uint64_t read_digits(const uint8_t *text, unsigned digits)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < digits; i++) {
        value = value * 10 + (uint64_t)(text[i] - '0');
    }
    return value;
}

static void take_event(struct tap *tap, const uint8_t *event, size_t length, uint64_t now_ns,
                       struct tally *tally)
{
    static const char member[] = "\"bench\":\"";
    enum { MEMBER = sizeof member - 1 };
    if (length < MEMBER + BLOCK_TAIL_BYTES ||
        memcmp(event + length - BLOCK_TAIL_BYTES - MEMBER, member, MEMBER) != 0) {
        tally->others++;
        return;
    }
    const uint8_t *tail = event + length - BLOCK_TAIL_BYTES;
    uint64_t seq = read_digits(tail, BLOCK_SEQ_DIGITS);
    tap->is_fed = true;
    tally->disordered += seq <= tap->last_seq;
    tap->last_seq = seq;
    if (seq < tally->first || seq > tally->last) {
        return;
    }
    if (tally->is_timed && tally->received < tally->latencies_max) {
        uint64_t sent_ns = read_digits(tail + BLOCK_SEQ_DIGITS + 1, BLOCK_TIME_DIGITS);
        tally->latencies_ns[tally->received] = now_ns > sent_ns ? now_ns - sent_ns : 0;
    }
    tap->received++;
    tally->first_ns = tally->received++ == 0 ? now_ns : tally->first_ns;
    tally->last_ns = now_ns;
}

/* Returns the length of the message that begins there, 0 while it is not all there. */
static size_t take_message(struct tap *tap, const uint8_t *data, size_t length, uint64_t now_ns,
                           struct tally *tally)
{
    const uint8_t *body[3] = {0};
    size_t body_length[3] = {0};
    size_t size = 0;
    unsigned flags = ZMTP_MORE;
    for (unsigned part = 0; flags & ZMTP_MORE; part++) {
        unsigned kept = part < 2 ? part : 2;
        size_t frame = zmtp_parse(data + size, length - size, &body[kept], &body_length[kept]);
        if (frame == 0) {
            return 0;
        }
        flags = data[size];
        size += frame;
    }
    if (!(flags & ZMTP_COMMAND)) {
        take_event(tap, body[1], body_length[1], now_ns, tally);
    }
    return size;
}

static size_t take_frame(struct tap *tap, const uint8_t *data, size_t length, uint64_t now_ns,
                         struct tally *tally)
{
    const uint8_t *event = NULL;
    size_t event_length = 0;
    size_t size = websocket_parse(data, length, &event, &event_length);
    if (size > 0) {
        take_event(tap, event, event_length, now_ns, tally);
    }
    return size;
}

bool tap_read(struct tap *self, bool is_websocket, struct tally *tally)
{
    ssize_t got =
        recv(self->fd, self->in + self->length, TAP_IN_BYTES - self->length, MSG_DONTWAIT);
    if (got <= 0) {
        return got < 0 && (errno == EAGAIN || errno == EINTR);
    }
    uint64_t now_ns = sockets_now_ns();
    size_t taken = 0;
    self->length += (size_t)got;
    for (size_t size = 1; size > 0; taken += size) {
        size = (is_websocket ? take_frame : take_message)(self, self->in + taken,
                                                          self->length - taken, now_ns, tally);
    }
    self->length -= taken;
    memmove(self->in, self->in + taken, self->length);
    return true;
}

static int compare(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

static double percentile_us(const struct tally *tally, double share)
{
    size_t count = tally->received < tally->latencies_max ? tally->received : tally->latencies_max;
    size_t index = (size_t)((double)count * share);
    return (double)tally->latencies_ns[index < count ? index : count - 1] / 1000;
}

void tally_print(struct tally *self, uint64_t expected, uint64_t tap_least, uint64_t tap_most)
{
    printf("{\"expected\": %" PRIu64 ", \"received\": %" PRIu64 ", \"tap_least\": %" PRIu64
           ", \"tap_most\": %" PRIu64 ", \"disordered\": %" PRIu64 ", \"others\": %" PRIu64
           ", \"first_ns\": %" PRIu64 ", \"last_ns\": %" PRIu64,
           expected, self->received, tap_least, tap_most, self->disordered, self->others,
           self->first_ns, self->last_ns);
    if (self->is_timed && self->received > 0) {
        size_t count = self->received < self->latencies_max ? self->received : self->latencies_max;
        qsort(self->latencies_ns, count, sizeof *self->latencies_ns, compare);
        printf(", \"p50_us\": %.1f, \"p99_us\": %.1f, \"p99.9_us\": %.1f, \"max_us\": %.1f",
               percentile_us(self, 0.5), percentile_us(self, 0.99), percentile_us(self, 0.999),
               percentile_us(self, 1));
    }
    printf("}\n");
}
