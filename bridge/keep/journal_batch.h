/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What one transaction of the journal writes: events in their order, the holes between them, and
 * the views whose messages these are. Belongs to the journal's thread.
 */
#ifndef ARIZMQ_KEEP_JOURNAL_BATCH_H
#define ARIZMQ_KEEP_JOURNAL_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <zmq.h>

#include "keep/journal_pack.h"

/* Why something is not in the journal, or cannot be written to it: X(identifier, word). The words
 * stand in the database and on the wire. */
#define JOURNAL_REASONS(X)                                                                         \
    X(TRIMMED, "trimmed")     /* history let it go before the journal had read it */               \
    X(DISK_FULL, "disk_full") /* ENOSPC, EDQUOT */                                                 \
    X(IO_ERROR, "io_error")                                                                        \
    X(LOCKED, "locked")       /* another process has the database */                               \
    X(CORRUPT, "corrupt")     /* the database is damaged */                                        \
    X(FORMAT, "format")       /* the file is something else */                                     \
    X(TOO_LARGE, "too_large") /* one event that would take more than its share of max_bytes */     \
    X(MEMORY, "memory")

#define JOURNAL_REASON_ENUM(identifier, word) JOURNAL_##identifier,
enum journal_reason { JOURNAL_REASONS(JOURNAL_REASON_ENUM) JOURNAL_REASONS_COUNT };
#undef JOURNAL_REASON_ENUM

const char *journal_reason_word(enum journal_reason reason);

enum {
    JOURNAL_BATCH_EVENTS_MAX = 4096,
    JOURNAL_BATCH_HOLES_MAX = 64,
};

struct journal_event {
    uint64_t seq;
    uint64_t received_ns;
    zmq_msg_t payload;     /* shared with history */
    size_t messages_at;    /* of the batch's pack */
    size_t messages_bytes; /* there */
};

/* Positions first to last, both among them. */
struct journal_hole {
    uint64_t first;
    uint64_t last;
    enum journal_reason reason;
};

struct journal_batch {
    uint64_t max_bytes;
    uint64_t bytes; /* of texts and messages */
    uint64_t last;  /* position up to which it tells; 0: nothing yet */
    unsigned events_count;
    struct journal_event *events; /* JOURNAL_BATCH_EVENTS_MAX */
    unsigned holes_count;
    struct journal_hole holes[JOURNAL_BATCH_HOLES_MAX];
    struct journal_pack pack;
};

/* Returns ARIZMQ_OK or ARIZMQ_ENOMEM. */
int journal_batch_create(uint64_t max_bytes, struct journal_batch **out);
void journal_batch_destroy(struct journal_batch **self);

/* Empties it; what comes next is behind position `last`. */
void journal_batch_clear(struct journal_batch *self, uint64_t last);

/* Whether there is room for another event, whatever its size, and another hole. */
bool journal_batch_has_room(const struct journal_batch *self);

/* Begins the next event; it has no messages yet. Shares `payload`. What lies between `last` and
 * `seq` becomes a hole, for the reason given. Returns ARIZMQ_OK or ARIZMQ_ENOMEM. */
int journal_batch_add(struct journal_batch *self, uint64_t seq, uint64_t received_ns,
                      zmq_msg_t *payload, enum journal_reason before);

/* A message of the event that was added last. Returns ARIZMQ_OK or ARIZMQ_ENOMEM. */
int journal_batch_add_message(struct journal_batch *self, unsigned view, struct span topic,
                              const uint64_t *count, unsigned counts);

/* Takes the event that was added last out again: it becomes a hole. */
void journal_batch_lose(struct journal_batch *self, enum journal_reason reason);

/* Everything from `last` up to position `through` is a hole. Joined to the one before where that
 * has the same reason. */
void journal_batch_add_hole(struct journal_batch *self, uint64_t through,
                            enum journal_reason reason);

#endif
