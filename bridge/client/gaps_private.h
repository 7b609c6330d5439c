/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The gap checker's inside, shared by its three source files: gaps.c (prefixes and messages),
 * gaps_heartbeat.c (heartbeats), gaps_watch.c (the table of counters).
 */
#ifndef ARIZMQ_CLIENT_GAPS_PRIVATE_H
#define ARIZMQ_CLIENT_GAPS_PRIVATE_H

#include "arizmq/gaps.h"

struct gaps_watch; /* one counter: its key, last count and last seq */

struct arizmq_gaps {
    struct arizmq_gaps_totals *prefixes; /* sorted; none is the beginning of another */
    unsigned prefixes_count;
    struct gaps_watch *table;      /* uthash, by key */
    struct gaps_watch *least_used; /* the same watches, as a utlist from least to most recent use */
    size_t watched_max;
    uint64_t epoch;
    bool epoch_is_known;
    /* A counter that is not in the table stands at zero at zero_seq: after a restart every one,
     * after a heartbeat those of first tokens. No longer true once a watch was evicted. */
    bool zero_is_known;
    bool zero_is_known_of_first_tokens;
    uint64_t zero_seq;
    uint64_t restarts;
    uint64_t evicted;
};

/* One reading of a counter: everything up to `reached` must have arrived before it, and after it
 * the counter stands at `count`. They differ by one for a message, not at all for a heartbeat. */
struct gaps_reading {
    const char *key; /* the topic's first tokens */
    size_t key_length;
    unsigned prefix;
    uint64_t reached;
    uint64_t count;
    uint64_t seq;
};

/* The prefix that `topic` begins with, or NULL. */
struct arizmq_gaps_totals *gaps_find_prefix(const struct arizmq_gaps *self, const char *topic,
                                            size_t topic_length);

/* Notes the epoch; forgets all counters if it is another one. Returns whether it is. */
bool gaps_enter_epoch(struct arizmq_gaps *self, uint64_t epoch);

/* Compares the reading with what the table holds, updates the table and the prefix's totals and
 * merges the outcome into *result: the graver verdict, the sum of what is missing, the least
 * after_seq. Returns 0 or ARIZMQ_ENOMEM. */
int gaps_watch_read(struct arizmq_gaps *self, const struct gaps_reading *reading,
                    struct arizmq_gaps_result *result);

bool gaps_watch_holds(const struct arizmq_gaps *self, const char *key, size_t key_length);
void gaps_watch_clear(struct arizmq_gaps *self);

/* arizmq_gaps_check() for a heartbeat. */
int gaps_check_heartbeat(struct arizmq_gaps *self, const char *event, size_t event_length,
                         const struct arizmq_stamp *stamp, struct arizmq_gaps_result *out);

#endif
