/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What the parts of the state share: state.c (the fold), state_link.c (tables and entries),
 * state_walk.c (snapshots while it changes) and state_compare.c (against what Asterisk lists).
 */
#ifndef ARIZMQ_KEEP_STATE_PRIVATE_H
#define ARIZMQ_KEEP_STATE_PRIVATE_H

/* A failed allocation must not end the process: the entry is not added, its hh.tbl stays NULL. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "keep/snapshot.h"
#include "keep/state.h"
#include "keep/state_compare.h"
#include "keep/state_walk.h"
#include "keep/value.h"

/* Which list an entry stands in. */
enum state_place {
    STATE_NOWHERE,
    STATE_AMONG_ENDED,     /* of the state, the one that ended first comes first */
    STATE_AMONG_DEVICES,   /* of the state, the one told of longest ago comes first */
    STATE_AMONG_DIFFERING, /* of its link */
};

/* One id that something is known of. It is an object of the state while it has a value; else it
 * has ended, or is one that Asterisk lists and no event has told of. */
struct state_entry {
    UT_hash_handle hh;
    struct state_link *link;
    struct value *value;
    uint64_t seq;      /* of the last event that told of it, or ended it */
    uint64_t ended_ns; /* when that was received, where it has ended */
    struct state_entry *prev, *next;

    struct value *found; /* state_compare.c: what Asterisk has instead of `value` */
    uint32_t round;      /* the last comparison in which Asterisk said that it has or lacks it */
    bool is_missing;     /* it said that it lacks it */

    uint8_t kind;
    uint8_t place; /* enum state_place */
    uint32_t walk; /* state_walk.c: the last one that has dealt with it, or it is newer */
    char id[];
};

/* The walks through the entries of a table go from the latest one back, so that they never meet
 * those that are added meanwhile. */
struct state_cursor {
    unsigned kind;
    struct state_entry *entry; /* to be met next; NULL: the kind is done */
};

struct state_link {
    struct state *state;
    struct state_link *prev, *next;
    char *node;
    char *application;
    unsigned users;
    bool hears_all;
    bool is_up;
    bool is_compared;  /* since it is up */
    bool has_left_out; /* for want of room, since the comparison began */
    struct state_entry *by_id[OBJECT_KINDS];

    /* state_walk.c */
    unsigned walk_number; /* in the snapshot */
    bool is_walked;       /* chosen for it */

    /* state_compare.c */
    bool is_reading; /* lists: what has ended is remembered, since they may still have it */
    bool is_telling; /* everything was read */
    uint32_t round;
    uint64_t since;                /* what an event has told of after that is not compared */
    bool is_read[OBJECT_KINDS];    /* the list of that kind was read whole: what it lacks is gone */
    struct state_entry *differing; /* utlist: with `found` */
    struct state_cursor cursor;
};

struct state {
    struct config_state config;
    uint64_t seed;            /* so that nobody can choose ids that collide */
    struct state_link *links; /* utlist */
    uint32_t entries;
    uint32_t objects; /* of these: with a value */
    uint64_t bytes;
    struct state_entry *ended;   /* utlist */
    struct state_entry *devices; /* utlist */
    unsigned reading;            /* links that are */

    /* state_walk.c */
    uint32_t walk;                /* the current one, or the last */
    struct snapshot *snapshot;    /* in the making; NULL: none */
    unsigned walk_kinds;          /* bit for each enum object_kind */
    struct state_link *walk_link; /* where the walk is; NULL: at the end */
    struct state_cursor walk_cursor;
};

/* --- state_link.c */

struct state_entry *state_entry_find(const struct state_link *link, enum object_kind kind,
                                     struct span id);

/* Adds one without a value, which must not be there yet. NULL where there is no room, which is
 * counted. */
struct state_entry *state_entry_add(struct state_link *link, enum object_kind kind, struct span id);

/* Makes `text` its value. Where there is no room, which is counted, it is removed: rather none than
 * one that is out of date. */
void state_entry_set(struct state_entry *entry, struct span text, uint64_t seq);

/* Takes its value away; that it has ended is remembered for a while. */
void state_entry_end(struct state_entry *entry, uint64_t seq, uint64_t received_ns);

void state_entry_remove(struct state_entry *entry);

/* Out of its list; what Asterisk has of it is of no interest any more. */
void state_entry_unplace(struct state_entry *entry);

/* Into the list where it belongs when nothing is to be told of it; removed where it has no value.
 */
void state_entry_settle(struct state_entry *entry);

/* Keeps what Asterisk has, which becomes the entry's, until it is told. It stands nowhere yet. */
void state_entry_differ(struct state_entry *entry, struct value *found);

/* NULL where there is no room or no memory, which is counted. */
struct value *state_make_value(struct state_link *link, struct span text);

/* Forgets what has ended so long ago that no late event of it need be feared. */
void state_forget_ended(struct state *self, uint64_t received_ns);

/* Whether an event received then, which does not begin a life, comes late. */
bool state_is_late(const struct state_entry *entry, uint64_t received_ns);

/* Counts `size` bytes more, where there is room for them or room can be made; else
 * state_leave_out(). */
bool state_take_room(struct state_link *link, size_t size);
void state_give_room(struct state *self, size_t size);

/* Something found no room or no memory: counted, and the link is not complete. */
void state_leave_out(struct state_link *link);

/* The first entry that a walk through a kind meets, and the one after `entry`. */
struct state_entry *state_last_entry(const struct state_link *link, unsigned kind);
struct state_entry *state_entry_before(const struct state_entry *entry);

/* --- state_walk.c */

/* `entry` is about to change: the walk takes what it is now. */
void state_walk_pass(struct state_entry *entry);

/* `entry` and `link` are about to go. */
void state_walk_leave_entry(struct state *self, const struct state_entry *entry);
void state_walk_leave_link(struct state *self, const struct state_link *link);

#endif
