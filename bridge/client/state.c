/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What each message of a subscriber does to the state: a snapshot begins, its objects are set, and
 * what has ended before it is remembered; events are folded in by state_fold.c.
 */
#include "arizmq/state.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "arizmq/error.h"
#include "client/state_private.h"

int arizmq_state_create(const struct arizmq_state_options *options, struct arizmq_state **out)
{
    static const struct arizmq_state_options defaults = {0};
    options = options != NULL ? options : &defaults;
    bool is_objects = options->view != NULL && strcmp(options->view, "objects") == 0;
    if (options->view != NULL && !is_objects && strcmp(options->view, "events") != 0) {
        return ARIZMQ_EINVALID;
    }
    struct arizmq_state *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return ARIZMQ_ENOMEM;
    }
    self->node_token = is_objects ? 3 : 2;
    self->shelf.max_objects =
        options->max_objects != 0 ? options->max_objects : ARIZMQ_STATE_MAX_OBJECTS;
    self->shelf.max_bytes = options->max_bytes != 0 ? options->max_bytes : ARIZMQ_STATE_MAX_BYTES;
    *out = self;
    return ARIZMQ_OK;
}

void arizmq_state_destroy(struct arizmq_state **self_p)
{
    struct arizmq_state *self = *self_p;
    if (self == NULL) {
        return;
    }
    shelf_clear(&self->shelf);
    for (unsigned i = 0; i < self->endpoints_count; i++) {
        json_decref(self->endpoints[i].links);
    }
    free(self->endpoints);
    free(self->text);
    free(self);
    *self_p = NULL;
}

struct state_endpoint *fold_obtain_endpoint(struct arizmq_state *self, unsigned endpoint)
{
    if (endpoint >= self->endpoints_count) {
        struct state_endpoint *longer =
            realloc(self->endpoints, (endpoint + 1) * sizeof *self->endpoints);
        if (longer == NULL) {
            return NULL;
        }
        memset(longer + self->endpoints_count, 0,
               (endpoint + 1 - self->endpoints_count) * sizeof *longer);
        self->endpoints = longer;
        self->endpoints_count = endpoint + 1;
    }
    return &self->endpoints[endpoint];
}

/* --- snapshots */

static int begin_snapshot(struct arizmq_state *self, const struct arizmq_message *message)
{
    struct state_endpoint *endpoint = fold_obtain_endpoint(self, message->endpoint);
    if (endpoint == NULL) {
        return ARIZMQ_ENOMEM;
    }
    shelf_clear_endpoint(&self->shelf, message->endpoint);
    json_decref(endpoint->links);
    endpoint->links = json_loadb(message->event, message->event_length, 0, NULL);
    endpoint->is_complete = endpoint->links != NULL;
    return ARIZMQ_OK;
}

static enum object_kind kind_named(const char *name)
{
    unsigned kind = 0;
    while (kind < OBJECT_KINDS && strcmp(object_kind_names[kind], name) != 0) {
        kind++;
    }
    return (enum object_kind)kind;
}

static int set_object(struct arizmq_state *self, const struct arizmq_object *object)
{
    enum object_kind kind = kind_named(object->kind);
    const struct shelf_teller teller = {object->endpoint, object->node, object->app};
    struct shelf_entry *entry = NULL;
    if (kind == OBJECT_KINDS) {
        return ARIZMQ_OK;
    }
    int rc = shelf_obtain(&self->shelf, kind, (struct span){object->id, strlen(object->id)},
                          &teller, &entry);
    if (rc != ARIZMQ_OK) {
        return rc;
    }
    entry->epoch = object->epoch;
    entry->seq = object->seq;
    return shelf_set(&self->shelf, entry, (struct span){object->value, object->value_length});
}

static const char *member_text(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL ? text : "";
}

/* Of one that this library does not know the kind of, nothing is held either. */
static int set_ended(struct arizmq_state *self, const json_t *item,
                     const struct arizmq_message *message)
{
    const char *id = member_text(item, "id");
    enum object_kind kind = kind_named(member_text(item, "kind"));
    const struct shelf_teller teller = {message->endpoint, member_text(item, "node"),
                                        member_text(item, "app")};
    struct shelf_entry *entry = NULL;
    if (kind == OBJECT_KINDS) {
        return ARIZMQ_OK;
    }
    int rc = shelf_obtain(&self->shelf, kind, (struct span){id, strlen(id)}, &teller, &entry);
    if (rc == ARIZMQ_OK) {
        entry->epoch = message->stamp.epoch;
        entry->seq = message->stamp.seq;
        shelf_end(&self->shelf, entry,
                  (uint64_t)json_integer_value(json_object_get(item, "received_ns")));
    }
    return rc;
}

/* What has ended a short time before the snapshot, as its list `ended` has it. */
static int end_snapshot(struct arizmq_state *self, const struct arizmq_message *message)
{
    if (message->event_length == 0) {
        return ARIZMQ_OK;
    }
    json_error_t error;
    json_t *ended = json_loadb(message->event, message->event_length, 0, &error);
    if (ended == NULL) {
        return json_error_code(&error) == json_error_out_of_memory ? ARIZMQ_ENOMEM
                                                                   : ARIZMQ_EPROTOCOL;
    }
    int rc = ARIZMQ_OK;
    size_t i = 0;
    json_t *item = NULL;
    json_array_foreach(ended, i, item)
    {
        int result = set_ended(self, item, message);
        rc = result != ARIZMQ_OK ? result : rc;
    }
    json_decref(ended);
    return rc;
}

/* --- all of them */

static void mark_incomplete(struct arizmq_state *self, unsigned endpoint)
{
    if (endpoint < self->endpoints_count) {
        self->endpoints[endpoint].is_complete = false;
    }
}

int arizmq_state_apply(struct arizmq_state *self, const struct arizmq_message *message)
{
    int rc = ARIZMQ_OK;
    switch (message->kind) {
    case ARIZMQ_MESSAGE_EVENT:
        rc = fold_message(self, message);
        break;
    case ARIZMQ_MESSAGE_SNAPSHOT_BEGIN:
        rc = begin_snapshot(self, message);
        break;
    case ARIZMQ_MESSAGE_OBJECT:
        rc = set_object(self, &message->object);
        break;
    case ARIZMQ_MESSAGE_SNAPSHOT_END:
        rc = end_snapshot(self, message);
        break;
    case ARIZMQ_MESSAGE_LOSS:
        mark_incomplete(self, message->endpoint);
        break;
    default:
        break;
    }
    if (rc != ARIZMQ_OK) {
        mark_incomplete(self, message->endpoint);
    }
    return rc;
}

bool arizmq_state_is_complete(const struct arizmq_state *self, unsigned endpoint)
{
    return endpoint < self->endpoints_count && self->endpoints[endpoint].is_complete;
}

bool arizmq_state_find(const struct arizmq_state *self, const char *kind, const char *id,
                       const char *node, const char *app, struct arizmq_object *out)
{
    enum object_kind number = kind_named(kind);
    const struct shelf_entry *entry =
        number == OBJECT_KINDS
            ? NULL
            : shelf_find_newest(&self->shelf, number, (struct span){id, strlen(id)}, node, app);
    if (entry == NULL) {
        return false;
    }
    shelf_write(entry, out);
    return true;
}

size_t arizmq_state_count(const struct arizmq_state *self, const char *kind)
{
    size_t count = 0;
    for (unsigned i = 0; i < OBJECT_KINDS; i++) {
        bool is_meant = kind == NULL || strcmp(object_kind_names[i], kind) == 0;
        count += is_meant ? self->shelf.count[i] : 0;
    }
    return count;
}

int arizmq_state_each(const struct arizmq_state *self, const char *kind,
                      int (*visit)(void *argument, const struct arizmq_object *object),
                      void *argument)
{
    enum object_kind number = kind == NULL ? OBJECT_KINDS : kind_named(kind);
    if (kind != NULL && number == OBJECT_KINDS) {
        return 0;
    }
    return shelf_each(&self->shelf, number, visit, argument);
}
