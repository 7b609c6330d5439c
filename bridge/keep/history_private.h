/* SPDX-License-Identifier: MPL-2.0 */
/*
 * How history lies in memory; for history.c (one event after the other), history_segment.c (room),
 * history_view.c and history_reader.c only.
 *
 * Records of events lie one behind the other in segments, which form a list. The event thread
 * writes at its end and drops whole segments from its beginning. A reader announces the segment
 * that it is about to read (history.pins), and then looks whether that has been dropped; whoever
 * drops one does it the other way round: drops it, then looks at what is announced. So one of the
 * two sees the other, and a segment is freed only when nobody reads it. Both are sequentially
 * consistent; all else is acquire and release.
 */
#ifndef ARIZMQ_KEEP_HISTORY_PRIVATE_H
#define ARIZMQ_KEEP_HISTORY_PRIVATE_H

#include <stdalign.h>
#include <stdatomic.h>

#include "keep/history.h"

#define HISTORY_NO_SEQ UINT64_MAX

enum {
    /* What malloc() takes beside what is asked for, as glibc does it. */
    HISTORY_MALLOC_BYTES = 16,
    HISTORY_CACHE_LINE_BYTES = 64,
};

/* One event: this, and an item for each message. */
struct history_record {
    uint64_t seq;
    uint64_t received_ns;
    uint32_t length; /* with all items */
    uint32_t messages;
    zmq_msg_t payload;
};

/* One message: this, `counts` numbers, the topic, and padding up to a multiple of 8. */
struct history_item {
    uint16_t topic_length;
    uint8_t view;
    uint8_t counts;
    uint32_t length; /* with all that */
};

struct history_segment {
    /* Written before it gets into the list. */
    uint64_t number; /* 1, 2, 3 … along the list */
    struct history_segment *prev;
    size_t capacity;

    /* Written by the event thread while others read. */
    _Atomic(struct history_segment *) next; /* set once: then no more records come in here */
    _Atomic uint64_t first_seq;             /* of the first event; HISTORY_NO_SEQ: none yet */
    _Atomic size_t committed;               /* bytes of records that can be read */

    /* The event thread's own. */
    size_t bytes; /* what it costs: itself and its events' */
    uint64_t events;
    uint64_t first_ns;
    uint64_t last_ns;
    struct history_segment *next_dropped;

    alignas(8) unsigned char records[];
};

struct history_view {
    char *name;
    char *endpoint;
    _Atomic bool has_ended;
};

struct history {
    uint64_t epoch;

    /* The event thread's own. */
    struct config_history config;
    uint64_t max_bytes; /* config.max_bytes, or still more after that was lowered */
    struct history_segment *head;
    struct history_segment *dropped; /* still being read */
    size_t dropped_bytes;
    size_t bytes;       /* all that is allocated */
    size_t fixed_bytes; /* of these: what is there while nothing is kept */
    uint64_t events;
    /* The event between begin and commit. */
    uint64_t open_seq;
    uint64_t open_ns;
    size_t open_bytes;           /* of its payload */
    struct history_record *open; /* behind tail->committed; NULL: it is a hole, or there is none */

    /* Read by others. */
    alignas(HISTORY_CACHE_LINE_BYTES) _Atomic(struct history_segment *) tail;
    _Atomic uint64_t head_number;
    _Atomic uint64_t oldest;
    _Atomic uint64_t newest;
    _Atomic uint64_t begun;
    _Atomic unsigned views_count;
    struct history_view views[HISTORY_VIEWS_MAX];

    /* Written by readers. */
    alignas(HISTORY_CACHE_LINE_BYTES) _Atomic bool is_taken[HISTORY_READERS_MAX];
    _Atomic(struct history_segment *) pins[HISTORY_READERS_MAX];
};

/* Puts an empty segment with room for `capacity` bytes at the end of the list. Returns false
 * without memory. Does not ask whether there is room for it. */
bool history_open_segment(struct history *self, size_t capacity);

/* Whether `bytes` more would fit if everything that can be dropped was dropped. */
bool history_can_hold(const struct history *self, size_t bytes);

/* Drops from the old end until there is room for `bytes` more. Returns whether there is. An event
 * that is open must not lie in a segment yet. */
bool history_make_room(struct history *self, size_t bytes);

/* Drops the first segment, and where it is the only one, puts an empty one in its place. Returns
 * false if there is no memory for that. */
bool history_drop_head(struct history *self);

/* Frees what was dropped and is read no longer. */
void history_free_dropped(struct history *self);

/* Brings what metrics tell up to date. */
void history_show(const struct history *self);

/* Releases the events of a segment, and it. */
void history_free_segment(struct history_segment *segment);

#endif
