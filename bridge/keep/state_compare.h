/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What a link's state holds against what Asterisk has, after a time in which events may have been
 * missed. node/reconcile.c reads the lists and tells the differences; here they are found. What an
 * event has told of since the comparison began is left alone: the event is newer.
 *
 * Channels, bridges and endpoints come as lists, and what a list lacks is gone. Playbacks,
 * recordings and devices have no list: each one held is asked for.
 *
 * Belongs to the event thread. `link` may be NULL for all but state_compare_listed(): then there is
 * nothing to compare.
 */
#ifndef ARIZMQ_KEEP_STATE_COMPARE_H
#define ARIZMQ_KEEP_STATE_COMPARE_H

#include <stdbool.h>
#include <stdint.h>

#include "event/event.h"
#include "keep/state.h"
#include "keep/value.h"

enum state_difference_kind {
    STATE_NEW,     /* Asterisk has an object that is not held */
    STATE_CHANGED, /* it has other values */
    STATE_LOST,    /* it has it no longer */
};

struct state_difference {
    enum state_difference_kind what;
    enum object_kind kind;
    char *id; /* malloc()ed, not terminated */
    size_t id_length;
    struct value *value; /* what Asterisk has; of a lost one the last that was known */
};

void state_difference_release(struct state_difference *self);

/* A comparison begins, before the first list is asked for; `seq` is that of the last event. One
 * that is under way is given up. */
void state_compare_begin(struct state_link *link, uint64_t seq);

/* Asterisk has this object, by a list or as the answer to a question (event_read_object_alone()).
 * Where there is no memory or no room for what differs, it is counted and the link will not be
 * complete. */
void state_compare_listed(struct state_link *link, const struct event_object *object);

/* A list was read to its end: what it did not have is gone. */
void state_compare_is_read(struct state_link *link, enum object_kind kind);

/* All lists were read. */
void state_compare_lists_end(struct state_link *link);

/* The next object that has to be asked for, of the kinds without a list. False: there is no more.
 * *id is borrowed until the next event. */
bool state_compare_ask(struct state_link *link, enum object_kind *kind, struct span *id);

/* It was asked for, and Asterisk does not have it. */
void state_compare_missing(struct state_link *link, enum object_kind kind, struct span id);

enum state_compare_found {
    STATE_COMPARE_DIFFERS, /* *out is written; the caller releases it */
    STATE_COMPARE_ON,      /* call again, in another turn of the loop */
    STATE_COMPARE_DONE,
};

/* The next difference, once everything was read. The caller publishes it, and the fold of that
 * settles it. Walks over `entries` at the most. */
enum state_compare_found state_compare_next(struct state_link *link, unsigned entries,
                                            struct state_difference *out);

/* The comparison is over, or given up. `is_whole`: everything was read and told. */
void state_compare_end(struct state_link *link, bool is_whole);

#endif
