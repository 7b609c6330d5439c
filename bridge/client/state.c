/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What each message of a subscriber does to the state: a snapshot begins and its objects are set,
 * events are folded in by the rules of state.h. They are read with the code that reads them in the
 * bridge (event/event.c), so that both find the same objects in them.
 */
#include "arizmq/state.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "arizmq/error.h"
#include "client/state_private.h"
#include "event/event.h"

enum { NAME_SIZE = 1024 };

/* Asterisk sends nothing about an object so long after the last word on it. */
static const uint64_t late_within_ns = 10000000000U;

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

/* NULL without memory. */
static struct state_endpoint *obtain_endpoint(struct arizmq_state *self, unsigned endpoint)
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

static bool text_is(const json_t *object, const char *name, const char *text)
{
    const char *value = json_string_value(json_object_get(object, name));
    return value != NULL && strcmp(value, text) == 0;
}

static bool hears_all(const struct state_endpoint *endpoint, const struct shelf_teller *teller)
{
    size_t i = 0;
    json_t *link = NULL;
    json_array_foreach(endpoint->links, i, link)
    {
        if (text_is(link, "node", teller->node) && text_is(link, "app", teller->app)) {
            return json_is_true(json_object_get(link, "subscribe_all"));
        }
    }
    return false;
}

/* --- snapshots */

static int begin_snapshot(struct arizmq_state *self, const struct arizmq_message *message)
{
    struct state_endpoint *endpoint = obtain_endpoint(self, message->endpoint);
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

/* --- events */

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Writes a token of the topic without its percent-encoding. Returns false where there is none. */
static bool topic_token(const struct arizmq_message *message, unsigned token, char *out,
                        size_t size)
{
    const char *at = message->topic;
    const char *end = at + message->topic_length;
    for (; token > 0 && at < end; at++) {
        token -= *at == '/';
    }
    size_t used = 0;
    for (; at < end && *at != '/' && used + 1 < size; at++) {
        int high = *at == '%' && end - at > 2 ? hex_digit(at[1]) : -1;
        int low = high >= 0 ? hex_digit(at[2]) : -1;
        out[used++] = low >= 0 ? (char)(high * 16 + low) : *at;
        at += low >= 0 ? 2 : 0;
    }
    out[used] = '\0';
    return used > 0 && at < end && *at == '/';
}

/* Copies the event with room behind it. */
static int take_text(struct arizmq_state *self, const struct arizmq_message *message)
{
    size_t size = message->event_length + SCAN_PADDING;
    if (size > self->text_room) {
        char *text = realloc(self->text, size);
        if (text == NULL) {
            return ARIZMQ_ENOMEM;
        }
        self->text = text;
        self->text_room = size;
    }
    memcpy(self->text, message->event, message->event_length);
    memset(self->text + message->event_length, 0, SCAN_PADDING);
    return ARIZMQ_OK;
}

static bool is_type(const struct event *event, const char *type)
{
    return event->type.length == strlen(type) &&
           memcmp(event->type.bytes, type, event->type.length) == 0;
}

static bool event_begins(const struct event *event, const struct event_object *object)
{
    return object->begins || is_type(event, "ArizmqObjectFound");
}

static bool event_ends(const struct event *event, const struct event_object *object,
                       bool teller_hears_all)
{
    if (is_type(event, "ArizmqObjectLost")) {
        return object->value.length > 0;
    }
    return object->ends && !(teller_hears_all && is_type(event, "StasisEnd"));
}

/* Whether an entry knows better than this message of the same run. */
static bool is_outdated(const struct shelf_entry *entry, const struct arizmq_stamp *stamp)
{
    return entry != NULL && entry->epoch == stamp->epoch && entry->seq > stamp->seq;
}

static bool is_late(const struct shelf_entry *entry, const struct arizmq_stamp *stamp)
{
    return entry != NULL && entry->value == NULL && entry->ended_ns != 0 &&
           (stamp->received_ns < entry->ended_ns ||
            stamp->received_ns - entry->ended_ns < late_within_ns);
}

/* The id as one text; `joined` has room for one in two parts. Length 0 where it is too long. */
static struct span whole_id(const struct event_object *object, char *joined, size_t size)
{
    if (object->parts == 1) {
        return object->part[0];
    }
    const struct span *part = object->part;
    if (part[0].length >= size || part[1].length >= size - part[0].length - 1) {
        return (struct span){"", 0};
    }
    memcpy(joined, part[0].bytes, part[0].length);
    joined[part[0].length] = '/';
    memcpy(joined + part[0].length + 1, part[1].bytes, part[1].length);
    return (struct span){joined, part[0].length + 1 + part[1].length};
}

static int fold_object(struct arizmq_state *self, const struct event *event,
                       const struct event_object *object, const struct shelf_teller *teller,
                       const struct arizmq_stamp *stamp)
{
    bool ends = event_ends(event, object, hears_all(&self->endpoints[teller->endpoint], teller));
    enum object_kind kind = objects_kind(object->kind);
    if ((!ends && object->value.length == 0) || kind == OBJECT_KINDS) {
        return ARIZMQ_OK; /* no more than a mention */
    }
    char joined[1024];
    struct span id = whole_id(object, joined, sizeof joined);
    if (id.length == 0 || id.length >= sizeof joined) {
        return ARIZMQ_ETOOLARGE;
    }
    struct shelf_entry *entry = shelf_find(&self->shelf, kind, id, teller);
    if (is_outdated(entry, stamp) ||
        (!ends && is_late(entry, stamp) && !event_begins(event, object))) {
        return ARIZMQ_OK;
    }
    int rc = shelf_obtain(&self->shelf, kind, id, teller, &entry);
    if (rc != ARIZMQ_OK) {
        return rc;
    }
    entry->epoch = stamp->epoch;
    entry->seq = stamp->seq;
    if (ends) {
        shelf_end(&self->shelf, entry, stamp->received_ns);
        return ARIZMQ_OK;
    }
    return shelf_set(&self->shelf, entry, object->value);
}

static int fold_event(struct arizmq_state *self, const struct arizmq_message *message)
{
    char node[NAME_SIZE];
    char app[NAME_SIZE];
    struct event event;
    int rc = take_text(self, message);
    if (rc == ARIZMQ_OK && obtain_endpoint(self, message->endpoint) == NULL) {
        rc = ARIZMQ_ENOMEM;
    }
    if (rc != ARIZMQ_OK || !topic_token(message, self->node_token, node, sizeof node)) {
        return rc;
    }
    const struct arizmq_stamp *stamp = &message->stamp;
    if (stamp->received_ns > late_within_ns) {
        shelf_forget_ended(&self->shelf, stamp->received_ns - late_within_ns);
    }
    event_read(&event, self->text, message->event_length, node, stamp->received_ns);
    const struct shelf_teller teller = {message->endpoint, node, app};
    if (event.application.length < sizeof app) {
        memcpy(app, event.application.bytes, event.application.length);
        app[event.application.length] = '\0';
        for (unsigned i = 0; i < event.object_count; i++) {
            int result = fold_object(self, &event, &event.objects[i], &teller, stamp);
            rc = result != ARIZMQ_OK ? result : rc;
        }
    }
    event_release(&event);
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
        rc = fold_event(self, message);
        break;
    case ARIZMQ_MESSAGE_SNAPSHOT_BEGIN:
        rc = begin_snapshot(self, message);
        break;
    case ARIZMQ_MESSAGE_OBJECT:
        rc = set_object(self, &message->object);
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
