/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The fold: what an event does to the objects that it tells of. pipeline.c calls state_fold() for
 * every event that gets a number, before it is published. What events are to be told of an object
 * stands in schemas/objects.json.
 */
#include "keep/state.h"

#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"
#include "base/clock.h"
#include "keep/state_private.h"
#include "ops/metrics.h"

int state_create(const struct config_state *config, struct state **out)
{
    struct state *state = calloc(1, sizeof *state);
    if (state == NULL) {
        return ARIZMQ_ENOMEM;
    }
    state->seed = clock_wall_ns() ^ (uint64_t)(uintptr_t)state;
    state_set_config(state, config);
    *out = state;
    return ARIZMQ_OK;
}

void state_destroy(struct state **self)
{
    struct state *state = *self;
    *self = NULL;
    if (state == NULL) {
        return;
    }
    state_walk_abort(state);
    while (state->links != NULL) {
        struct state_link *link = state->links;
        link->users = 1;
        state_close(&link);
    }
    free(state);
}

void state_set_config(struct state *self, const struct config_state *config)
{
    self->config = *config;
    metrics_set(METRIC_STATE_MAX_OBJECTS, config->max_objects);
    metrics_set(METRIC_STATE_MAX_BYTES, config->max_bytes);
    metrics_set(METRIC_STATE_RECONCILE_PER_S, config->reconcile_per_s);
}

uint32_t state_objects(const struct state *self)
{
    return self->objects;
}

uint64_t state_bytes(const struct state *self)
{
    return self->bytes;
}

struct span state_id(const struct event_object *object, char joined[STATE_JOINED_MAX])
{
    if (object->parts == 1) {
        return object->part[0];
    }
    size_t first = object->part[0].length;
    size_t second = object->part[1].length;
    if (first > STATE_JOINED_MAX || second > STATE_JOINED_MAX ||
        first + 1 + second > STATE_JOINED_MAX) {
        return (struct span){"", 0};
    }
    memcpy(joined, object->part[0].bytes, first);
    joined[first] = '/';
    memcpy(joined + first + 1, object->part[1].bytes, second);
    return (struct span){joined, first + 1 + second};
}

static bool is_type(const struct event *event, const char *type)
{
    return event->type.length == strlen(type) &&
           memcmp(event->type.bytes, type, event->type.length) == 0;
}

/* The object table does not know the bridge's own events. */
static bool begins(const struct event *event, const struct event_object *object)
{
    return object->begins || (event->known->name == NULL && is_type(event, "ArizmqObjectFound"));
}

static bool ends(const struct state_link *link, const struct event *event,
                 const struct event_object *object)
{
    if (event->known->name == NULL) {
        return is_type(event, "ArizmqObjectLost") && object->value.length > 0;
    }
    return object->ends && !(link->hears_all && is_type(event, "StasisEnd"));
}

static void fold_object(struct state_link *link, const struct event *event,
                        const struct event_object *object)
{
    bool is_end = ends(link, event, object);
    if (!is_end && object->value.length == 0) {
        return; /* no more than a mention */
    }
    char joined[STATE_JOINED_MAX];
    struct span id = state_id(object, joined);
    enum object_kind kind = objects_kind(object->kind);
    if (id.length == 0 || kind == OBJECT_KINDS) {
        state_leave_out(link);
        return;
    }
    struct state_entry *entry = state_entry_find(link, kind, id);
    if (entry == NULL) {
        entry = state_entry_add(link, kind, id);
    } else if (!is_end && state_is_late(entry, event->received_ns) && !begins(event, object)) {
        return;
    }
    if (entry == NULL) {
        return; /* no room, which was counted */
    }
    if (is_end) {
        state_entry_end(entry, event->seq, event->received_ns);
    } else {
        state_entry_set(entry, object->value, event->seq);
    }
}

void state_fold(struct state_link *link, const struct event *event)
{
    if (link == NULL || event->object_count == 0) {
        return;
    }
    state_forget_ended(link->state, event->received_ns);
    for (unsigned i = 0; i < event->object_count; i++) {
        fold_object(link, event, &event->objects[i]);
    }
}

bool state_find(const struct state_link *link, enum object_kind kind, struct span id,
                struct span *out)
{
    const struct state_entry *entry = link != NULL ? state_entry_find(link, kind, id) : NULL;
    if (entry == NULL || entry->value == NULL) {
        return false;
    }
    *out = value_text(entry->value);
    return true;
}

bool state_is_shared(const struct state_link *link)
{
    return link != NULL && link->users > 1;
}

bool state_holds_any(const struct state_link *link)
{
    for (unsigned kind = 0; link != NULL && kind < OBJECT_KINDS; kind++) {
        if (link->by_id[kind] != NULL) {
            return true;
        }
    }
    return false;
}
