/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What owners.c (one object at a time) and owners_node.c (one node at a time) share; nobody else
 * includes this but their tests.
 */
#ifndef ARIZMQ_GATEWAY_OWNERS_PRIVATE_H
#define ARIZMQ_GATEWAY_OWNERS_PRIVATE_H

/* A failed allocation must not end the process. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

#include "gateway/owners.h"

/* Endpoints and devices, the kinds behind these, have no owner. */
enum { OWNED_KINDS = OBJECT_RECORDING + 1 };

struct object;

/* One node that has, had or is about to have an object. */
struct owner {
    struct object *object;
    struct owner *sibling;     /* learned next of the same object */
    struct owner *prev, *next; /* while it is live: the others of its place */
    uint32_t generation;       /* of the census in which it was last seen alive */
    uint32_t claims;
    unsigned node;
    bool is_live;
    bool has_ended; /* and was not learned again since */
};

struct object {
    UT_hash_handle hh;
    struct object *prev; /* towards the one seen later */
    struct object *next; /* towards the one seen longer ago */
    struct owner *owners;
    struct owner first; /* room for one of them, since most have only one */
    bool first_is_used;
    bool is_current; /* stands in `current`, else in `ended` */
    uint8_t kind;
    char id[];
};

/* What one node has of one kind. */
struct place {
    struct owner *live;
    unsigned count; /* of these */
    uint32_t generation;
    bool in_census;
    bool is_away; /* the node was removed: nothing is remembered of it */
};

struct owners {
    uint32_t max;
    uint32_t max_ended;
    uint32_t count;
    uint32_t ended_count;
    unsigned nodes_count;
    struct object *by_id[OWNED_KINDS];
    struct object *current; /* utlist: current->prev is the one seen longest ago */
    struct object *ended;
    struct place *places; /* OWNED_KINDS for each node */
};

/* What the node has of the kind. */
struct place *owners_place(struct owners *self, unsigned node, unsigned kind);

/* The object has ended there; one that had already stays so. */
void owners_end_life(struct owners *self, struct owner *owner);

/* The node has nothing to do with its object any more. */
void owners_remove(struct owners *self, struct owner *owner);

/* Forgets the object, with all its owners. */
void owners_remove_object(struct owners *self, struct object *object);

/* Whether the object lives on any node, or is about to. */
bool owners_has_current(const struct object *object);

/* Puts the object in front of the list where it belongs, or takes it out of where it is. */
void owners_link(struct owners *self, struct object *object);
void owners_unlink(struct owners *self, struct object *object);

/* Puts the object in front of the list where it belongs now; one that ended longest ago may leave
 * for it. */
void owners_refresh(struct owners *self, struct object *object);

/* The object that can best be spared; there must be one. */
struct object *owners_oldest(const struct owners *self);

#endif
