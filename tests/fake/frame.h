/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A growing run of bytes, and WebSocket frames (RFC 6455, section 5.2) in it.
 */
#ifndef ARIZMQ_FAKE_FRAME_H
#define ARIZMQ_FAKE_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bytes {
    uint8_t *data;
    size_t length;
    size_t capacity;
};

/* Appends; ends the program when there is no memory, as a test peer may. */
void bytes_append(struct bytes *bytes, const void *data, size_t length);
/* Drops the first `length` bytes. */
void bytes_consume(struct bytes *bytes, size_t length);
void bytes_free(struct bytes *bytes);

enum frame_opcode {
    FRAME_CONTINUATION = 0,
    FRAME_TEXT = 1,
    FRAME_BINARY = 2,
    FRAME_CLOSE = 8,
    FRAME_PING = 9,
    FRAME_PONG = 10,
};

enum { FRAME_HEADER_MAX = 10 };

/* Writes the header of an unmasked frame into out[FRAME_HEADER_MAX] and returns its length. */
size_t frame_write_header(uint8_t *out, bool is_final, enum frame_opcode opcode, size_t length);

/* Appends a whole unmasked frame. */
void frame_append(struct bytes *out, bool is_final, enum frame_opcode opcode, const void *payload,
                  size_t length);

struct frame {
    bool is_final;
    unsigned opcode;
    uint8_t *payload; /* inside the parsed bytes, unmasked in place */
    uint64_t length;
    size_t header_length;
};

/* Reads the header of a client's frame, masked or not. Returns true once the header is there;
 * frame->payload is set only when the payload is there too, and is then unmasked. A frame is to be
 * parsed again from the start as long as its payload is NULL, and only once after that. */
bool frame_parse(uint8_t *data, size_t length, struct frame *frame);

#endif
