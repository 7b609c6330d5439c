/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What was published, in memory, by seq: for subscribers who missed some of it. The event thread
 * writes; readers in other threads read along without a lock. The writer never waits for a reader,
 * and no reader for the writer: what a reader is reading is not freed under it, what it is too late
 * for is gone, and it is told so.
 *
 * An event's bytes are not copied: history holds another reference to the zmq_msg_t that the views
 * send. Topics and counts are kept beside it, so that the frames can be given again as they were.
 * config.history bounds all of it. Heartbeats are not kept.
 */
#ifndef ARIZMQ_KEEP_HISTORY_H
#define ARIZMQ_KEEP_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <zmq.h>

#include "event/topic.h"
#include "ops/config.h"

struct history;
struct history_reader;

/* Readers at a time; views in one run, those that a reload has taken away among them. */
enum { HISTORY_READERS_MAX = 4, HISTORY_VIEWS_MAX = 256 };

/* `config` is copied. Returns ARIZMQ_OK or ARIZMQ_ENOMEM. With max_bytes 0 nothing is kept: every
 * position but the newest is gone. The bound holds for all that history allocates; where it is too
 * small for anything, nothing is kept either. */
int history_create(const struct config_history *config, uint64_t epoch, struct history **out);

/* No reader may be left. */
void history_destroy(struct history **self);

/* --- the event thread. `self` may be NULL: then nothing happens, and no view has a number. */

/* Registers a view and returns its number for history_add(), or -1 where HISTORY_VIEWS_MAX have
 * been, or there is no memory. `name` (as in the request, "events") and `endpoint` are copied. A
 * view of the same name and endpoint as one that has ended gets its number again. */
int history_add_view(struct history *self, const char *name, const char *endpoint);

/* The view publishes no longer (a reload); what it has published can still be asked for. */
void history_end_view(struct history *self, int view);

/* One event: begin, an add for each message, commit. `payload` holds the event's bytes; NULL: there
 * was no memory for them. From begin on `seq` is no longer in the future, from commit on it can be
 * read. An event that there is no memory or no room for is left out, counted, and read as a hole
 * (struct history_event). history_add() does nothing where `view` is negative. */
void history_begin(struct history *self, uint64_t seq, uint64_t received_ns, zmq_msg_t *payload);
void history_add(struct history *self, int view, const struct topic *topic, const uint64_t *count,
                 unsigned counts);
void history_commit(struct history *self);

/* Drops what is older than history.max_age_ms, in whole segments: a segment spans a 64th of that at
 * the most. Called with every heartbeat. */
void history_expire(struct history *self, uint64_t wall_ns);

/* Other bounds from now on (a reload). A lower max_bytes is reached step by step, with each event
 * and each heartbeat, so that no event waits for it. */
void history_set_config(struct history *self, const struct config_history *config);

/* --- any thread */

uint64_t history_epoch(const struct history *self);
uint64_t history_oldest(const struct history *self); /* newest + 1 where nothing is held */
uint64_t history_newest(const struct history *self); /* the last one committed; 0: none */
uint64_t history_begun(const struct history *self);  /* newest, or newest + 1 */

/* Views are numbered from 0 up to this. */
unsigned history_views(const struct history *self);

/* The number of the first view of that name, or of the one with that endpoint; one that still
 * publishes is preferred. -1: there is none. */
int history_find_view(const struct history *self, const char *name_or_endpoint);
const char *history_view_name(const struct history *self, unsigned view);
const char *history_view_endpoint(const struct history *self, unsigned view);

/* --- a reader; each belongs to one thread */

struct history_message {
    unsigned view;
    struct span topic;
    const uint64_t *count;
    unsigned counts;
};

/* Borrowed until the reader's next call. */
struct history_event {
    uint64_t seq;
    uint64_t received_ns;
    zmq_msg_t *payload; /* for zmq_msg_copy() and reading only; NULL: a hole */
    unsigned messages;  /* 0 for a hole */
};

/* Returns ARIZMQ_OK, ARIZMQ_ETOOLARGE where HISTORY_READERS_MAX are in use, or ARIZMQ_ENOMEM. */
int history_reader_create(struct history *history, struct history_reader **out);
void history_reader_destroy(struct history_reader **self);

/* Goes to the first event with a seq above `after`, which may be yet to come. Returns ARIZMQ_OK; or
 * ARIZMQ_ENOTFOUND where that is held no longer: then the reader stands nowhere. */
int history_reader_seek(struct history_reader *self, uint64_t after);

/* Gives the event where the reader stands, NULL where nothing further is committed yet; the
 * following call goes on to the next. Each seq is given once, in order, holes too. Returns
 * ARIZMQ_OK; or ARIZMQ_ENOTFOUND where what comes next has been dropped meanwhile, because the
 * reader was too slow: then it stands nowhere, and *out is not written. Only the segment of the
 * last event given is held for it, so that a slow reader does not keep all the rest in memory. */
int history_reader_next(struct history_reader *self, const struct history_event **out);

/* The messages of the event that history_reader_next() gave, i < its `messages`. Quick where `i`
 * is asked for in ascending order. */
void history_reader_message(struct history_reader *self, unsigned i, struct history_message *out);

/* Holds nothing any more, until the next seek. To be called when a reader rests. */
void history_reader_rest(struct history_reader *self);

#endif
