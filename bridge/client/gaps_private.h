/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The gap checker's inside, shared by its three source files: gaps.c (prefixes and messages),
 * gaps_heartbeat.c (heartbeats), gaps_watch.c (the table of counters).
 */
#ifndef ARIZMQ_CLIENT_GAPS_PRIVATE_H
#define ARIZMQ_CLIENT_GAPS_PRIVATE_H

#include "arizmq/gaps.h"

/* Messages under prefix `prefix` (of arizmq_gaps_totals()) are missing: all of them have a seq
 * above `after_seq` (views other than events: this one or above). */
typedef void gaps_missing_fn(void *argument, unsigned prefix, uint64_t after_seq, uint64_t missing);

struct gaps_watch; /* one counter: its key, last count and last seq */

struct arizmq_gaps {
    struct arizmq_gaps_totals *prefixes; /* sorted; none is the beginning of another */
    unsigned prefixes_count;
    struct gaps_watch *table;      /* uthash, by key */
    struct gaps_watch *least_used; /* the same watches, as a utlist from least to most recent use */
    size_t watched_max;
    uint64_t epoch;
    bool epoch_is_known;
    bool an_epoch_was_met; /* at any time: `epoch` is the last one */
    /* A counter that is not in the table stands at zero at zero_seq: after a restart every one,
     * after a heartbeat those of first tokens. No longer true once a watch was evicted. */
    bool zero_is_known;
    bool zero_is_known_of_first_tokens;
    uint64_t zero_seq;
    uint64_t first_seq;     /* where this epoch was met; 0: it was there from its start */
    uint64_t heartbeat_seq; /* of the last heartbeat that was taken note of as a whole */
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
    uint64_t position; /* count[0]: of a message in its view, and of no other message in it */
};

/* How one message is taken, and what came of it. */
struct gaps_pass {
    /* Told of each counter of which messages are missing; NULL: nobody. Then that counter, and what
     * a new epoch changes, stay as they were, so that what is missing can be looked for first. */
    gaps_missing_fn *tell;
    void *argument;
    bool ignores_first; /* a FIRST is not taken note of */
    struct arizmq_gaps_result result;
};

/* The prefix that `topic` begins with, or NULL. */
struct arizmq_gaps_totals *gaps_find_prefix(const struct arizmq_gaps *self, const char *topic,
                                            size_t topic_length);

/* Notes the epoch; forgets all counters if it is another one. Returns whether the message's
 * counters are to be read: not where the pass only tries, and the epoch is another one. */
bool gaps_meet_epoch(struct arizmq_gaps *self, const struct arizmq_stamp *stamp,
                     struct gaps_pass *pass);

/* Compares the reading with what the table holds, updates the table and the prefix's totals and
 * merges the outcome into the pass's result: the graver verdict, the sum of what is missing, the
 * least after_seq. Returns 0 or ARIZMQ_ENOMEM. */
int gaps_watch_read(struct arizmq_gaps *self, const struct gaps_reading *reading,
                    struct gaps_pass *pass);

/* The seq up to which a counter is known; false where it is not in the table. */
bool gaps_watch_seq(const struct arizmq_gaps *self, const char *key, size_t key_length,
                    uint64_t *seq);
bool gaps_watch_holds(const struct arizmq_gaps *self, const char *key, size_t key_length);
void gaps_watch_clear(struct arizmq_gaps *self);

/* A message of which everything is known but what it says about those before it. */
struct gaps_message {
    const char *topic;
    size_t topic_length;
    const char *event;
    size_t event_length;
    const struct arizmq_stamp *stamp;
};

/* arizmq_gaps_check(); with pass->tell it only tries (see struct gaps_pass), and of a message of
 * another epoch it says nothing but that. */
int gaps_take(struct arizmq_gaps *self, const struct gaps_message *message, struct gaps_pass *pass);

/* gaps_take() for a heartbeat. */
int gaps_take_heartbeat(struct arizmq_gaps *self, const struct gaps_message *message,
                        struct gaps_pass *pass);

/* Notes that everything of this epoch was subscribed to from its start, before the first message
 * is taken note of. */
void gaps_begin_epoch(struct arizmq_gaps *self, uint64_t epoch);

/* Notes that of this epoch everything up to that seq is known, before the first message is taken
 * note of. */
void gaps_resume_epoch(struct arizmq_gaps *self, uint64_t epoch, uint64_t seq);

/* Forgets all counters and the epoch: the next message is the first again. */
void gaps_forget_epoch(struct arizmq_gaps *self);

/* Writes the seq up to which nothing is missing under the prefix, as far as a look at one counter
 * or at the last heartbeat tells; false where neither does. */
bool gaps_known_up_to(const struct arizmq_gaps *self, unsigned prefix, uint64_t *seq);
bool gaps_epoch(const struct arizmq_gaps *self, uint64_t *epoch); /* false: none is known yet */

#endif
