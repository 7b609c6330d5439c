/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The stamp: the third frame of every message that arizmqd publishes.
 *
 * Layout: big-endian unsigned 64-bit integers, in this order
 *
 *     epoch, seq, received_ns, count[0], count[1], … count[L]
 *
 * where L is the number of tokens in the view's topic template (4 for `events` and `objects`), so
 * the frame has 8 * (4 + L) bytes.
 */
#ifndef ARIZMQ_STAMP_H
#define ARIZMQ_STAMP_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A topic template has at most this many tokens. */
#define ARIZMQ_STAMP_TOKENS_MAX 8
#define ARIZMQ_STAMP_COUNTS_MAX (ARIZMQ_STAMP_TOKENS_MAX + 1)
#define ARIZMQ_STAMP_BYTES_MAX  ((size_t)(3 + ARIZMQ_STAMP_COUNTS_MAX) * 8)

struct arizmq_stamp {
    uint64_t epoch;       /* one run of the bridge: microseconds since 1970 at its start */
    uint64_t seq;         /* position of the event in that run, from 1 */
    uint64_t received_ns; /* nanoseconds since 1970 when the event's last byte was read */
    unsigned counts;      /* how many of count[] are used: tokens of the template + 1 */
    uint64_t
        count[ARIZMQ_STAMP_COUNTS_MAX]; /* count[k]: messages with this topic's first k tokens */
};

/* Writes `stamp` as the wire has it into `out`, which has room for ARIZMQ_STAMP_BYTES_MAX bytes.
 * Returns the number of bytes written. */
size_t arizmq_stamp_encode(const struct arizmq_stamp *stamp, uint8_t *out);

/* Reads the stamp in bytes[0..length). Returns 0, or ARIZMQ_EINVALID if the length is not that of
 * a stamp. */
int arizmq_stamp_decode(const uint8_t *bytes, size_t length, struct arizmq_stamp *out);

#ifdef __cplusplus
}
#endif

#endif
