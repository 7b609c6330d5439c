/* SPDX-License-Identifier: MPL-2.0 */
/*
 * As much of a WebSocket client (RFC 6455) as the floor and the drain need: a connection to the
 * generator, and whole text frames out of what was read. Nothing is sent but the handshake.
 */
#ifndef ARIZMQ_BENCH_WEBSOCKET_H
#define ARIZMQ_BENCH_WEBSOCKET_H

#include <stddef.h>
#include <stdint.h>

/* Connects to 127.0.0.1:port and upgrades. Returns the socket; ends the program when that fails. */
int websocket_connect(uint16_t port);

/* The payload of the unfragmented, unmasked frame that begins at data[0..length): sets *payload and
 * *payload_length, and returns the length of the frame, or 0 while it is not all there. */
static inline size_t websocket_parse(const uint8_t *data, size_t length, const uint8_t **payload,
                                     size_t *payload_length)
{
    if (length < 2) {
        return 0;
    }
    size_t header = 2;
    size_t size = data[1];
    if (size == 126) {
        header = 4;
        size = length < header ? SIZE_MAX - header : (size_t)data[2] << 8 | data[3];
    }
    if (length < header + size) {
        return 0;
    }
    *payload = data + header;
    *payload_length = size;
    return header + size;
}

#endif
