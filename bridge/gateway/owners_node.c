/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What a node has as a whole: the census that follows a reconnect, the end of a node that was
 * removed from the configuration; and bounds that have changed. gateway.c and census.c call it.
 * Unlike owners.c, what is here walks lists.
 */
#include <assert.h>

#include "gateway/owners_private.h"
#include "ops/metrics.h"

void owners_begin_census(struct owners *self, unsigned node, enum object_kind kind)
{
    struct place *place = owners_place(self, node, kind);
    place->generation++;
    place->in_census = true;
}

void owners_end_census(struct owners *self, unsigned node, enum object_kind kind)
{
    struct place *place = owners_place(self, node, kind);
    if (!place->in_census) {
        return; /* nothing was asked, so nothing is known to be missing */
    }
    place->in_census = false;
    struct owner *owner = NULL;
    struct owner *next = NULL;
    DL_FOREACH_SAFE(place->live, owner, next)
    {
        if (owner->generation != place->generation) {
            owners_end_life(self, owner);
            owners_refresh(self, owner->object);
        }
    }
}

unsigned owners_calls(const struct owners *self, unsigned node)
{
    assert(node < self->nodes_count);
    return self->places[node * OWNED_KINDS + OBJECT_CHANNEL].count;
}

/* The node's part in the objects of one list. */
static void forget_in(struct owners *self, struct object *list, unsigned node)
{
    struct object *object = NULL;
    struct object *next = NULL;
    DL_FOREACH_SAFE(list, object, next)
    {
        struct owner *owner = NULL;
        LL_SEARCH_SCALAR2(object->owners, owner, node, node, sibling);
        if (owner == NULL) {
            continue;
        }
        owners_remove(self, owner);
        if (object->owners == NULL) {
            owners_remove_object(self, object);
        } else if (object->is_current && !owners_has_current(object)) {
            owners_unlink(self, object);
            owners_link(self, object);
        }
    }
}

void owners_forget_node(struct owners *self, unsigned node)
{
    forget_in(self, self->current, node);
    forget_in(self, self->ended, node);
    for (unsigned kind = 0; kind < OWNED_KINDS; kind++) {
        struct place *place = owners_place(self, node, kind);
        assert(place->live == NULL);
        place->in_census = false;
        place->is_away = true;
    }
}

void owners_admit_node(struct owners *self, unsigned node)
{
    for (unsigned kind = 0; kind < OWNED_KINDS; kind++) {
        owners_place(self, node, kind)->is_away = false;
    }
}

void owners_set_bounds(struct owners *self, uint32_t max_objects, uint32_t max_ended)
{
    assert(max_objects > 0 && max_ended > 0);
    self->max = max_objects;
    self->max_ended = max_ended;
    metrics_set(METRIC_OWNERS_MAX, max_objects);
}

void owners_trim(struct owners *self, uint32_t most)
{
    for (; most > 0 && self->ended_count > self->max_ended; most--) {
        owners_remove_object(self, self->ended->prev);
    }
    for (; most > 0 && self->count > self->max; most--) {
        metrics_add(METRIC_OWNERS_EVICTED, self->ended == NULL);
        owners_remove_object(self, owners_oldest(self));
    }
}
