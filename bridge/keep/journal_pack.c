/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Messages to bytes and back. The journal's thread packs what it reads from history and unpacks
 * what it reads from disk. What comes from disk is believed nothing.
 */
#include "keep/journal_pack.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"
#include "event/topic.h"

enum {
    NUMBER_BYTES_MAX = 10,  /* of 64 bits, seven in a byte */
    PACK_MIN_BYTES = 65536, /* more than most batches have */
};

static char *put_number(char *out, uint64_t number)
{
    for (; number > 0x7F; number >>= 7) {
        *out++ = (char)(unsigned char)(0x80 | (number & 0x7F));
    }
    *out++ = (char)number;
    return out;
}

static int reserve(struct journal_pack *pack, size_t more)
{
    if (pack->capacity - pack->length >= more) {
        return ARIZMQ_OK;
    }
    size_t capacity = (pack->length + more) * 2;
    capacity = capacity < PACK_MIN_BYTES ? PACK_MIN_BYTES : capacity;
    char *grown = realloc(pack->bytes, capacity);
    if (grown == NULL) {
        return ARIZMQ_ENOMEM;
    }
    pack->bytes = grown;
    pack->capacity = capacity;
    return ARIZMQ_OK;
}

int journal_pack_add(struct journal_pack *self, unsigned view, struct span topic,
                     const uint64_t *count, unsigned counts)
{
    if (reserve(self, topic.length + (3UL + counts) * NUMBER_BYTES_MAX) != ARIZMQ_OK) {
        return ARIZMQ_ENOMEM;
    }
    char *at = put_number(self->bytes + self->length, view);
    at = put_number(at, topic.length);
    memcpy(at, topic.bytes, topic.length);
    at = put_number(at + topic.length, counts);
    for (unsigned i = 0; i < counts; i++) {
        at = put_number(at, count[i]);
    }
    self->length = (size_t)(at - self->bytes);
    return ARIZMQ_OK;
}

/* False where there is no number of at most `most`. */
static bool take_number(struct span *rest, uint64_t most, uint64_t *out)
{
    uint64_t number = 0;
    for (unsigned i = 0; i < NUMBER_BYTES_MAX && rest->length > 0; i++) {
        uint64_t byte = (unsigned char)*rest->bytes;
        rest->bytes++;
        rest->length--;
        if (i == NUMBER_BYTES_MAX - 1 && byte > 1) {
            return false; /* beyond 64 bits */
        }
        number |= (byte & 0x7F) << (7 * i);
        if (byte <= 0x7F) {
            *out = number;
            return number <= most;
        }
    }
    return false;
}

int journal_pack_take(struct span *rest, struct journal_message *out)
{
    if (rest->length == 0) {
        return ARIZMQ_ENOTFOUND;
    }
    uint64_t view = 0;
    uint64_t length = 0;
    if (!take_number(rest, UINT_MAX, &view) || !take_number(rest, TOPIC_BYTES_MAX, &length) ||
        length > rest->length) {
        return ARIZMQ_EINVALID;
    }
    out->view = (unsigned)view;
    out->topic = (struct span){rest->bytes, (size_t)length};
    rest->bytes += length;
    rest->length -= (size_t)length;
    uint64_t counts = 0;
    if (!take_number(rest, ARIZMQ_STAMP_COUNTS_MAX, &counts)) {
        return ARIZMQ_EINVALID;
    }
    out->counts = (unsigned)counts;
    for (unsigned i = 0; i < out->counts; i++) {
        if (!take_number(rest, UINT64_MAX, &out->count[i])) {
            return ARIZMQ_EINVALID;
        }
    }
    return ARIZMQ_OK;
}
