/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Objects by id, one table for each kind, and for each object the nodes that have it. Events,
 * replies and chosen ids pass through here, and every command asks once for each id that it names;
 * so every step costs the same however many objects there are. What concerns all that a node has is
 * in owners_node.c. Nothing here talks to a node or waits.
 */
#include "gateway/owners.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"
#include "gateway/owners_private.h"
#include "ops/metrics.h"

int owners_create(uint32_t max_objects, uint32_t max_ended, unsigned nodes_count,
                  struct owners **out)
{
    assert(max_objects > 0 && max_ended > 0);
    struct owners *owners = calloc(1, sizeof *owners);
    struct place *places = calloc((size_t)nodes_count * OWNED_KINDS, sizeof *places);
    if (owners == NULL || places == NULL) {
        free(owners);
        free(places);
        return ARIZMQ_ENOMEM;
    }
    owners->places = places;
    owners->max = max_objects;
    owners->max_ended = max_ended;
    owners->nodes_count = nodes_count;
    metrics_set(METRIC_OWNERS_MAX, max_objects);
    metrics_set(METRIC_OWNERS, 0);
    *out = owners;
    return ARIZMQ_OK;
}

struct place *owners_place(struct owners *self, unsigned node, unsigned kind)
{
    assert(node < self->nodes_count && kind < OWNED_KINDS);
    return &self->places[node * OWNED_KINDS + kind];
}

static void owner_begin_life(struct owners *self, struct owner *owner)
{
    struct place *place = owners_place(self, owner->node, owner->object->kind);
    owner->generation = place->generation;
    if (!owner->is_live) {
        owner->is_live = true;
        owner->has_ended = false;
        DL_APPEND(place->live, owner);
        place->count++;
    }
}

void owners_end_life(struct owners *self, struct owner *owner)
{
    if (owner->is_live) {
        struct place *place = owners_place(self, owner->node, owner->object->kind);
        DL_DELETE(place->live, owner);
        place->count--;
    }
    owner->is_live = false;
    owner->has_ended = true;
}

/* Whether the id leads there: the object lives there or is about to. */
static bool owner_is_current(const struct owner *owner)
{
    return !owner->has_ended || owner->claims > 0;
}

static struct owner *owner_find(const struct object *object, unsigned node)
{
    struct owner *owner = NULL;
    LL_SEARCH_SCALAR2(object->owners, owner, node, node, sibling);
    return owner;
}

void owners_remove(struct owners *self, struct owner *owner)
{
    struct object *object = owner->object;
    owners_end_life(self, owner);
    LL_DELETE2(object->owners, owner, sibling);
    if (owner == &object->first) {
        object->first_is_used = false;
    } else {
        free(owner);
    }
}

/* Drops the nodes where the object has ended: it lives somewhere else by now. */
static void owner_remove_ended(struct owners *self, struct object *object)
{
    struct owner *owner = NULL;
    struct owner *next = NULL;
    LL_FOREACH_SAFE2(object->owners, owner, next, sibling)
    {
        if (!owner_is_current(owner)) {
            owners_remove(self, owner);
        }
    }
}

/* A node more for the object: neither alive nor ended there. NULL: no room or no memory. */
static struct owner *owner_add(struct owners *self, struct object *object, unsigned node)
{
    unsigned count = 0;
    const struct owner *other = NULL;
    LL_COUNT2(object->owners, other, count, sibling);
    if (count >= OWNERS_OF_ONE_MAX) {
        owner_remove_ended(self, object);
        LL_COUNT2(object->owners, other, count, sibling);
    }
    if (count >= OWNERS_OF_ONE_MAX) {
        return NULL;
    }
    struct owner *owner = &object->first;
    if (object->first_is_used) {
        owner = malloc(sizeof *owner);
        if (owner == NULL) {
            return NULL;
        }
    }
    *owner = (struct owner){.object = object, .node = node};
    object->first_is_used = true;
    LL_APPEND2(object->owners, owner, sibling);
    return owner;
}

static struct object *object_find(const struct owners *self, unsigned kind, const char *id,
                                  size_t length)
{
    assert(kind < OWNED_KINDS);
    struct object *object = NULL;
    if (length <= UINT_MAX) {
        HASH_FIND(hh, self->by_id[kind], id, (unsigned)length, object);
    }
    return object;
}

static struct object **object_list(struct owners *self, const struct object *object)
{
    return object->is_current ? &self->current : &self->ended;
}

bool owners_has_current(const struct object *object)
{
    const struct owner *owner = object->owners;
    while (owner != NULL && !owner_is_current(owner)) {
        owner = owner->sibling;
    }
    return owner != NULL;
}

/* Puts the object, which has just been heard of, in front of the list where it belongs. */
void owners_link(struct owners *self, struct object *object)
{
    object->is_current = owners_has_current(object);
    struct object **list = object_list(self, object);
    DL_PREPEND(*list, object);
    self->ended_count += !object->is_current;
}

void owners_unlink(struct owners *self, struct object *object)
{
    struct object **list = object_list(self, object);
    DL_DELETE(*list, object);
    self->ended_count -= !object->is_current;
}

void owners_remove_object(struct owners *self, struct object *object)
{
    while (object->owners != NULL) {
        owners_remove(self, object->owners);
    }
    owners_unlink(self, object);
    HASH_DEL(self->by_id[object->kind], object);
    free(object);
    self->count--;
    metrics_set(METRIC_OWNERS, self->count);
}

void owners_refresh(struct owners *self, struct object *object)
{
    owners_unlink(self, object);
    owners_link(self, object);
    if (self->ended_count > self->max_ended) {
        owners_remove_object(self, self->ended->prev);
    }
}

struct object *owners_oldest(const struct owners *self)
{
    return self->ended != NULL ? self->ended->prev : self->current->prev;
}

/* Remembers a new object, as yet without a node. NULL: no memory. */
static struct object *object_add(struct owners *self, unsigned kind, const char *id, size_t length)
{
    if (length > UINT_MAX) {
        return NULL;
    }
    if (self->count >= self->max) {
        metrics_add(METRIC_OWNERS_EVICTED, self->ended == NULL);
        owners_remove_object(self, owners_oldest(self));
    }
    struct object *object = malloc(sizeof *object + length);
    if (object == NULL) {
        return NULL;
    }
    object->owners = NULL;
    object->first_is_used = false;
    object->kind = (uint8_t)kind;
    memcpy(object->id, id, length);
    HASH_ADD_KEYPTR(hh, self->by_id[kind], object->id, (unsigned)length, object);
    if (object->hh.tbl == NULL) { /* uthash found no memory */
        free(object);
        return NULL;
    }
    owners_link(self, object);
    self->count++;
    metrics_set(METRIC_OWNERS, self->count);
    return object;
}

/* The node's part in the object; made where there is none. NULL: it is not to be remembered, or it
 * cannot, and was counted. */
static struct owner *owner_get(struct owners *self, unsigned node, unsigned kind, const char *id,
                               size_t length)
{
    if (owners_place(self, node, kind)->is_away) {
        return NULL;
    }
    struct object *object = object_find(self, kind, id, length);
    if (object == NULL) {
        object = object_add(self, kind, id, length);
    }
    struct owner *owner = object == NULL ? NULL : owner_find(object, node);
    if (object != NULL && owner == NULL) {
        owner = owner_add(self, object, node);
    }
    if (owner == NULL) {
        metrics_add(METRIC_OWNERS_FORGOTTEN, 1);
    }
    return owner;
}

void owners_destroy(struct owners **self)
{
    if (*self == NULL) {
        return;
    }
    while ((*self)->count > 0) {
        owners_remove_object(*self, owners_oldest(*self));
    }
    free((*self)->places);
    free(*self);
    *self = NULL;
}

void owners_find(const struct owners *self, enum object_kind kind, const char *id, size_t length,
                 struct owners_found *out)
{
    out->count = 0;
    out->has_ended = false;
    const struct object *object = object_find(self, kind, id, length);
    if (object == NULL) {
        return;
    }
    out->has_ended = !object->is_current;
    const struct owner *owner = NULL;
    LL_FOREACH2(object->owners, owner, sibling)
    {
        if (owner_is_current(owner) == object->is_current) {
            out->node[out->count++] = owner->node;
        }
    }
}

void owners_learn(struct owners *self, unsigned node, enum object_kind kind, const char *id,
                  size_t length)
{
    struct owner *owner = owner_get(self, node, kind, id, length);
    if (owner == NULL) {
        return;
    }
    bool is_new = !owner->is_live;
    owner_begin_life(self, owner);
    if (is_new) {
        owner_remove_ended(self, owner->object);
    }
    owners_refresh(self, owner->object);
}

void owners_end(struct owners *self, unsigned node, enum object_kind kind, const char *id,
                size_t length)
{
    struct owner *owner = owner_get(self, node, kind, id, length);
    if (owner == NULL) {
        return;
    }
    owners_end_life(self, owner);
    owners_refresh(self, owner->object);
}

void owners_claim(struct owners *self, unsigned node, enum object_kind kind, const char *id,
                  size_t length)
{
    struct owner *owner = owner_get(self, node, kind, id, length);
    if (owner == NULL) {
        return;
    }
    owner->claims++;
    owners_refresh(self, owner->object);
}

void owners_release(struct owners *self, unsigned node, enum object_kind kind, const char *id,
                    size_t length, bool failed)
{
    struct object *object = object_find(self, kind, id, length);
    struct owner *owner = object == NULL ? NULL : owner_find(object, node);
    if (owner == NULL || owner->claims == 0) {
        return; /* its room was needed meanwhile, or there never was any: counted then */
    }
    owner->claims--;
    if (failed && owner->claims == 0 && !owner->is_live && !owner->has_ended) {
        owners_remove(self, owner);
    }
    if (object->owners == NULL) {
        owners_remove_object(self, object);
    } else {
        owners_refresh(self, object);
    }
}

uint32_t owners_count(const struct owners *self)
{
    return self->count;
}
