/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A growing run of bytes, and the frames of a WebSocket server (RFC 6455, section 5.2) in it: what
 * the tests of the frame reader and of the WebSocket connections feed.
 */
#ifndef ARIZMQ_TESTS_FRAMES_H
#define ARIZMQ_TESTS_FRAMES_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    FRAME_FINAL = 0x80,
    FRAME_MASKED = 0x80,
    FRAME_LENGTH_IN_16 = 126,
    FRAME_LENGTH_IN_64 = 127
};

struct bytes {
    uint8_t *data;
    size_t length;
    size_t capacity;
};

static inline void bytes_append(struct bytes *bytes, const void *data, size_t length)
{
    if (bytes->length + length > bytes->capacity) {
        bytes->capacity = (bytes->length + length) * 2;
        bytes->data = realloc(bytes->data, bytes->capacity);
        if (bytes->data == NULL) {
            abort();
        }
    }
    if (length > 0) {
        memcpy(bytes->data + bytes->length, data, length);
    }
    bytes->length += length;
}

static inline void bytes_consume(struct bytes *bytes, size_t length)
{
    bytes->length -= length;
    memmove(bytes->data, bytes->data + length, bytes->length);
}

static inline void bytes_free(struct bytes *bytes)
{
    free(bytes->data);
    *bytes = (struct bytes){0};
}

/* A copy of data[0..length) with a NUL behind it; not strndup(), which may look one byte further.
 */
static inline char *bytes_copy_text(const void *data, size_t length)
{
    char *text = malloc(length + 1);
    if (text == NULL) {
        abort();
    }
    memcpy(text, data, length);
    text[length] = '\0';
    return text;
}

/* Appends a header with `length` written in 7 bits, or after FRAME_LENGTH_IN_16 or _64. */
static inline void frame_append_header(struct bytes *out, unsigned first_byte, unsigned second_byte,
                                       uint64_t length)
{
    uint8_t header[10] = {(uint8_t)first_byte, (uint8_t)second_byte};
    size_t used = 2;
    int bits = (second_byte & 0x7f) == FRAME_LENGTH_IN_16   ? 16
               : (second_byte & 0x7f) == FRAME_LENGTH_IN_64 ? 64
                                                            : 0;
    for (int shift = bits - 8; shift >= 0; shift -= 8) {
        header[used++] = (uint8_t)(length >> shift);
    }
    bytes_append(out, header, used);
}

/* Appends a whole frame as a server sends it, its length in the shortest form. */
static inline void frame_append(struct bytes *out, unsigned first_byte, const void *payload,
                                size_t length)
{
    unsigned second_byte = length < FRAME_LENGTH_IN_16 ? (unsigned)length
                           : length <= UINT16_MAX      ? FRAME_LENGTH_IN_16
                                                       : FRAME_LENGTH_IN_64;
    frame_append_header(out, first_byte, second_byte, length);
    bytes_append(out, payload, length);
}

static inline void frame_append_text(struct bytes *out, unsigned first_byte, const char *text)
{
    frame_append(out, first_byte, text, strlen(text));
}

#endif
