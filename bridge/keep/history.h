/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What was published, in memory, by seq: for subscribers who missed some of it. The event thread
 * writes; readers in other threads read along without a lock. The writer never waits for a reader,
 * and no reader for the writer: what a reader is about to read is not freed under it, what it is
 * too late for is gone, and it is told so.
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
 * position but the newest is compacted. */
int history_create(const struct config_history *config, uint64_t epoch, struct history **out);

/* No reader may be left. */
void history_destroy(struct history **self);

/* --- the event thread. `self` may be NULL: then nothing happens. */

/* Registers a view and returns its number for history_add(), or -1 where HISTORY_VIEWS_MAX have
 * been. `name` (as in the request, "events") and `endpoint` are copied. */
int history_add_view(struct history *self, const char *name, const char *endpoint);

/* One event: begin, an add for each message that was sent, commit. `payload` holds the event's
 * bytes. From begin on `seq` is no longer in the future, from commit on it can be read. Where there
 * is no memory for it the event is left out, counted, and told as a hole (struct history_event). */
void history_begin(struct history *self, uint64_t seq, uint64_t received_ns, zmq_msg_t *payload);
void history_add(struct history *self, unsigned view, const struct topic *topic,
                 const uint64_t *count, unsigned counts);
void history_commit(struct history *self);

/* Drops what is older than history.max_age_ms; called with every heartbeat. */
void history_expire(struct history *self, uint64_t wall_ns);

/* Other bounds from now on (a reload). */
void history_set_config(struct history *self, const struct config_history *config);

/* --- any thread */

uint64_t history_epoch(const struct history *self);
uint64_t history_oldest(const struct history *self); /* newest + 1 where nothing is held */
uint64_t history_newest(const struct history *self); /* the last one committed; 0: none */
uint64_t history_begun(const struct history *self);  /* newest, or newest + 1 */

/* The number of the first view of that name, or of the one with that endpoint; -1: there is none.
 */
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
    unsigned messages;
};

/* Returns ARIZMQ_OK, ARIZMQ_ETOOLARGE where HISTORY_READERS_MAX are in use, or ARIZMQ_ENOMEM. */
int history_reader_create(struct history *history, struct history_reader **out);
void history_reader_destroy(struct history_reader **self);

/* Goes to the first event with a seq above `after`. Returns ARIZMQ_OK; or ARIZMQ_ENOTFOUND where
 * that is held no longer: then the reader stands nowhere. */
int history_reader_seek(struct history_reader *self, uint64_t after);

/* The event where the reader stands; goes on to the next with the following call. NULL: nothing
 * further is committed yet. */
const struct history_event *history_reader_next(struct history_reader *self);

/* The messages of the event that history_reader_next() gave, i < its `messages`. */
void history_reader_message(const struct history_reader *self, unsigned i,
                            struct history_message *out);

/* Holds nothing back any more, until the next seek. To be called when a reader rests. */
void history_reader_rest(struct history_reader *self);

#endif
