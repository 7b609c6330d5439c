/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Events, folded into a state by the rules of state.h. They are read with the code that reads them
 * in the bridge (event/event.c), so that both find the same objects in them.
 */
#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"
#include "client/state_private.h"
#include "event/event.h"

enum { NAME_SIZE = 1024 };

/* Asterisk sends nothing about an object so long after the last word on it. */
static const uint64_t late_within_ns = 10000000000U;

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

static bool is_late(const struct shelf_entry *entry, const struct arizmq_stamp *stamp)
{
    return entry != NULL && entry->value == NULL && entry->ended_ns != 0 && !entry->is_over &&
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
    if (shelf_is_outdated(entry, stamp) ||
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

static bool is_removed(const struct event *event)
{
    if (!is_type(event, "ArizmqNodeDisconnected")) {
        return false;
    }
    json_t *json = json_loadb(event->text.bytes, event->text.length, 0, NULL);
    bool is_so = text_is(json, "reason", "removed");
    json_decref(json);
    return is_so;
}

/* What the teller's own loss, or its end, means for what is known by it. */
static void draw_line(struct arizmq_state *self, const struct event *event,
                      const struct shelf_teller *teller, const struct arizmq_stamp *stamp)
{
    bool ends_all = is_removed(event);
    if (ends_all || is_type(event, "ArizmqGap")) {
        shelf_draw_line(&self->shelf, teller, stamp, ends_all);
    }
}

int fold_message(struct arizmq_state *self, const struct arizmq_message *message)
{
    char node[NAME_SIZE];
    char app[NAME_SIZE];
    struct event event;
    int rc = take_text(self, message);
    if (rc == ARIZMQ_OK && fold_obtain_endpoint(self, message->endpoint) == NULL) {
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
        draw_line(self, &event, &teller, stamp);
        for (unsigned i = 0; i < event.object_count; i++) {
            int result = fold_object(self, &event, &event.objects[i], &teller, stamp);
            rc = result != ARIZMQ_OK ? result : rc;
        }
    }
    event_release(&event);
    return rc;
}
