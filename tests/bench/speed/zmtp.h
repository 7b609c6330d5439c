/* SPDX-License-Identifier: MPL-2.0 */
/*
 * As much of ZMTP 3.0 (https://rfc.zeromq.org/spec/23/) as a PUB and a SUB need between them: the
 * greeting with the NULL mechanism, READY, subscriptions, and frames.
 */
#ifndef ARIZMQ_BENCH_ZMTP_H
#define ARIZMQ_BENCH_ZMTP_H

#include <stddef.h>
#include <stdint.h>

enum { ZMTP_MORE = 1, ZMTP_LONG = 2, ZMTP_COMMAND = 4, ZMTP_HEADER_MAX = 9 };

/* Greeting and READY on a blocking socket, as "PUB" or "SUB"; ends the program when that fails. */
void zmtp_shake_hands(int fd, const char *socket_type);
/* Subscribes to what begins so. */
void zmtp_subscribe(int fd, const char *prefix);

/* Writes the header of a frame to out[ZMTP_HEADER_MAX] and returns its length. */
static inline size_t zmtp_write_header(uint8_t *out, unsigned flags, size_t length)
{
    if (length < 256) {
        out[0] = (uint8_t)flags;
        out[1] = (uint8_t)length;
        return 2;
    }
    out[0] = (uint8_t)(flags | ZMTP_LONG);
    for (unsigned i = 0; i < 8; i++) {
        out[1 + i] = (uint8_t)((uint64_t)length >> (56 - 8 * i));
    }
    return ZMTP_HEADER_MAX;
}

/* The frame that begins at data[0..length): sets *body and *body_length (its flags are data[0]) and
 * returns its whole length, or 0 while it is not all there. */
static inline size_t zmtp_parse(const uint8_t *data, size_t length, const uint8_t **body,
                                size_t *body_length)
{
    if (length < 2) {
        return 0;
    }
    size_t header = 2;
    uint64_t size = data[1];
    if (data[0] & ZMTP_LONG) {
        if (length < ZMTP_HEADER_MAX) {
            return 0;
        }
        header = ZMTP_HEADER_MAX;
        size = 0;
        for (unsigned i = 0; i < 8; i++) {
            size = size << 8 | data[1 + i];
        }
    }
    if (size > length - header) {
        return 0;
    }
    *body = data + header;
    *body_length = (size_t)size;
    return header + (size_t)size;
}

#endif
