/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The drain: takes events from a relay as fast as they come, and knows which are missing.
 */
#ifndef ARIZMQ_BENCH_DRAIN_H
#define ARIZMQ_BENCH_DRAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One subscriber, or the WebSocket. */
struct tap {
    int fd;
    bool is_fed;       /* had an event since the start */
    uint64_t received; /* of the events that are counted */
    uint64_t last_seq;
    size_t length; /* of what was read and not parsed */
    uint8_t *in;   /* TAP_IN_BYTES */
};

enum { TAP_IN_BYTES = 256 * 1024 };

/* What is counted: the events `first` to `last`. */
struct tally {
    uint64_t first;
    uint64_t last;
    bool is_timed; /* the events carry the time at which they were sent */
    uint64_t received;
    uint64_t disordered; /* not above the one before it at the same tap */
    uint64_t others;     /* messages that are no event of the generator, as heartbeats */
    uint64_t first_ns;   /* when the first one came, and the last one */
    uint64_t last_ns;
    uint64_t *latencies_ns; /* of each, as received; room for latencies_max */
    size_t latencies_max;
};

/* Reads once, and takes what is whole. Returns false when the peer has closed. `is_websocket`: the
 * bytes are WebSocket frames, otherwise ZMTP messages whose second frame is the event. */
bool tap_read(struct tap *self, bool is_websocket, struct tally *tally);

/* One line of JSON on stdout: what has come of `expected` events. Sorts the latencies. */
void tally_print(struct tally *self, uint64_t expected, uint64_t tap_least, uint64_t tap_most);

#endif
