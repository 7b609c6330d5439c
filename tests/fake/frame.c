/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Frames on their way out are built here, frames from a client are taken apart. Called by
 * session.c, play.c and the console. It never touches a socket and judges nothing: what a wrong
 * frame leads to is the session's affair.
 */
#include "frame.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void bytes_append(struct bytes *bytes, const void *data, size_t length)
{
    if (length == 0) {
        return;
    }
    if (bytes->length + length > bytes->capacity) {
        size_t capacity = bytes->capacity ? bytes->capacity : 1024;
        while (capacity < bytes->length + length) {
            capacity *= 2;
        }
        uint8_t *grown = realloc(bytes->data, capacity);
        if (!grown) {
            fprintf(stderr, "no memory for %zu bytes\n", capacity);
            exit(EXIT_FAILURE);
        }
        bytes->data = grown;
        bytes->capacity = capacity;
    }
    memcpy(bytes->data + bytes->length, data, length);
    bytes->length += length;
}

void bytes_consume(struct bytes *bytes, size_t length)
{
    if (length < bytes->length) {
        memmove(bytes->data, bytes->data + length, bytes->length - length);
    }
    bytes->length -= length;
}

void bytes_free(struct bytes *bytes)
{
    free(bytes->data);
    *bytes = (struct bytes){0};
}

size_t frame_write_header(uint8_t *out, bool is_final, enum frame_opcode opcode, size_t length)
{
    out[0] = (uint8_t)((is_final ? 0x80U : 0U) | (unsigned)opcode);
    if (length < 126) {
        out[1] = (uint8_t)length;
        return 2;
    }
    if (length <= UINT16_MAX) {
        uint16_t big_endian = htobe16((uint16_t)length);
        out[1] = 126;
        memcpy(out + 2, &big_endian, sizeof big_endian);
        return 4;
    }
    uint64_t big_endian = htobe64(length);
    out[1] = 127;
    memcpy(out + 2, &big_endian, sizeof big_endian);
    return 10;
}

void frame_append(struct bytes *out, bool is_final, enum frame_opcode opcode, const void *payload,
                  size_t length)
{
    uint8_t header[FRAME_HEADER_MAX];
    bytes_append(out, header, frame_write_header(header, is_final, opcode, length));
    bytes_append(out, payload, length);
}

bool frame_parse(uint8_t *data, size_t length, struct frame *frame)
{
    if (length < 2) {
        return false;
    }
    size_t header = 2;
    uint64_t payload_length = data[1] & 0x7fU;
    bool is_masked = data[1] & 0x80U;
    size_t extended = payload_length == 126 ? 2 : payload_length == 127 ? 8 : 0;
    size_t mask_length = is_masked ? 4 : 0;
    if (length < header + extended + mask_length) {
        return false;
    }
    if (extended) {
        payload_length = 0;
        for (size_t i = 0; i < extended; i++) {
            payload_length = payload_length << 8 | data[header + i];
        }
    }
    header += extended + mask_length;
    *frame = (struct frame){.is_final = data[0] & 0x80U,
                            .opcode = data[0] & 0x0fU,
                            .length = payload_length,
                            .header_length = header};
    if (length - header < payload_length) {
        return true;
    }
    frame->payload = data + header;
    if (is_masked) {
        const uint8_t *mask = data + header - 4;
        for (uint64_t i = 0; i < payload_length; i++) {
            frame->payload[i] ^= mask[i % 4];
        }
    }
    return true;
}
