/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The third frame of every message, to and from its bytes. The daemon encodes one for each message
 * it publishes; subscribers written in C decode it through libarizmq. It allocates nothing.
 */
#include "arizmq/stamp.h"

#include <endian.h>
#include <string.h>

#include "arizmq/error.h"

enum {
    FIXED_WORDS = 3, /* epoch, seq, received_ns */
    WORD_BYTES = 8,
    BYTES_MIN = (FIXED_WORDS + 1) * WORD_BYTES,
};

static uint8_t *put_word(uint8_t *out, uint64_t word)
{
    uint64_t big = htobe64(word);
    memcpy(out, &big, sizeof big);
    return out + sizeof big;
}

static uint64_t get_word(const uint8_t *bytes, unsigned index)
{
    uint64_t big = 0;
    memcpy(&big, bytes + index * sizeof big, sizeof big);
    return be64toh(big);
}

size_t arizmq_stamp_encode(const struct arizmq_stamp *stamp, uint8_t *out)
{
    uint8_t *end = put_word(out, stamp->epoch);
    end = put_word(end, stamp->seq);
    end = put_word(end, stamp->received_ns);
    for (unsigned i = 0; i < stamp->counts; i++) {
        end = put_word(end, stamp->count[i]);
    }
    return (size_t)(end - out);
}

int arizmq_stamp_decode(const uint8_t *bytes, size_t length, struct arizmq_stamp *out)
{
    if (length % WORD_BYTES != 0 || length < BYTES_MIN || length > ARIZMQ_STAMP_BYTES_MAX) {
        return ARIZMQ_EINVALID;
    }
    out->epoch = get_word(bytes, 0);
    out->seq = get_word(bytes, 1);
    out->received_ns = get_word(bytes, 2);
    out->counts = (unsigned)(length / WORD_BYTES) - FIXED_WORDS;
    for (unsigned i = 0; i < out->counts; i++) {
        out->count[i] = get_word(bytes, FIXED_WORDS + i);
    }
    return ARIZMQ_OK;
}
