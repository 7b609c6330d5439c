/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A state's inside, shared by state.c (what a message does), state_fold.c (what an event does) and
 * state_shelf.c (where objects are kept).
 */
#ifndef ARIZMQ_CLIENT_STATE_PRIVATE_H
#define ARIZMQ_CLIENT_STATE_PRIVATE_H

#include <stdbool.h>

#include <jansson.h>

#include "arizmq/state.h"
#include "event/objects.h"
#include "event/scan.h"

struct shelf_place; /* a kind and id, and who tells of it */

/* An object as one application of one node tells of it over one endpoint. */
struct shelf_entry {
    struct shelf_place *place;
    struct shelf_entry *prev; /* of the place */
    struct shelf_entry *next;
    struct shelf_entry *ended_prev; /* of what has ended, oldest first */
    struct shelf_entry *ended_next;
    unsigned endpoint;
    char *node;
    char *app;
    char *value; /* NULL: it has ended */
    size_t value_length;
    uint64_t epoch;
    uint64_t seq;
    uint64_t ended_ns;
    bool is_over; /* nothing late follows its end; it is kept for older events that are repaired */
};

struct shelf {
    struct shelf_place *places; /* uthash, by kind and id */
    struct shelf_entry *ended;
    size_t max_objects;
    size_t max_bytes;
    size_t entries;
    size_t bytes;
    size_t count[OBJECT_KINDS]; /* that have not ended */
};

/* Who tells of an object. The texts are terminated. */
struct shelf_teller {
    unsigned endpoint;
    const char *node;
    const char *app;
};

/* NULL where it is not held. */
struct shelf_entry *shelf_find(const struct shelf *self, enum object_kind kind, struct span id,
                               const struct shelf_teller *teller);

/* Finds or makes the entry. Returns ARIZMQ_OK, ARIZMQ_ETOOLARGE or ARIZMQ_ENOMEM. */
int shelf_obtain(struct shelf *self, enum object_kind kind, struct span id,
                 const struct shelf_teller *teller, struct shelf_entry **out);

/* Gives it a value; it has not ended then. Returns likewise, and then the entry is gone. */
int shelf_set(struct shelf *self, struct shelf_entry *entry, struct span value);
void shelf_end(struct shelf *self, struct shelf_entry *entry, uint64_t received_ns);

/* A message of the teller with that stamp: of what has ended before, nothing late follows. With
 * `ends_all` all else that is not told of later has ended with it, too. */
void shelf_draw_line(struct shelf *self, const struct shelf_teller *teller,
                     const struct arizmq_stamp *stamp, bool ends_all);
void shelf_remove(struct shelf *self, struct shelf_entry *entry);

/* Whether an entry, NULL for none, knows better than a message of the same run with that stamp. */
bool shelf_is_outdated(const struct shelf_entry *entry, const struct arizmq_stamp *stamp);

/* Forgets what ended before that time. */
void shelf_forget_ended(struct shelf *self, uint64_t before_ns);

/* Removes all that is told of over the endpoint; everything. */
void shelf_clear_endpoint(struct shelf *self, unsigned endpoint);
void shelf_clear(struct shelf *self);

void shelf_write(const struct shelf_entry *entry, struct arizmq_object *out);

/* The newest that has not ended, of any teller that fits; node and app NULL: any. NULL: none. */
const struct shelf_entry *shelf_find_newest(const struct shelf *self, enum object_kind kind,
                                            struct span id, const char *node, const char *app);

/* As arizmq_state_each(); kind OBJECT_KINDS: all. */
int shelf_each(const struct shelf *self, enum object_kind kind,
               int (*visit)(void *argument, const struct arizmq_object *object), void *argument);

/* --- the state */

/* Applications of nodes that hear everything, as the endpoint's snapshot has them. */
struct state_endpoint {
    bool is_complete;
    json_t *links; /* NULL: no snapshot came yet */
};

struct arizmq_state {
    struct shelf shelf;
    unsigned node_token; /* of a topic, from 0 */
    struct state_endpoint *endpoints;
    unsigned endpoints_count;
    char *text; /* the event being read, with the padding that the scan needs */
    size_t text_room;
};

/* NULL without memory. */
struct state_endpoint *fold_obtain_endpoint(struct arizmq_state *self, unsigned endpoint);

/* state_fold.c: takes note of an event. Returns as arizmq_state_apply(). */
int fold_message(struct arizmq_state *self, const struct arizmq_message *message);

#endif
