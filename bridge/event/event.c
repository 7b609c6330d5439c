/* SPDX-License-Identifier: MPL-2.0 */
/*
 * From an event's bytes to its type, application and objects. The pipeline calls it once for each
 * event, before anything is numbered or published. Nothing is allocated unless a type, an
 * application or an id is written with escapes; then Jansson decodes that one string.
 */
#include "event/event.h"

#include <string.h>

#include "arizmq/error.h"

const char event_type_unparsed[] = "ArizmqUnparsed";

/* The text of a JSON string value. Strings that Jansson cannot decode (a lone surrogate) stand for
 * themselves, escapes and all. Returns false where the value is no string. */
static bool event_string(struct event *event, const struct span *value, struct span *out)
{
    if (value == NULL || value->length < 2 || value->bytes[0] != '"') {
        return false;
    }
    struct span inside = {value->bytes + 1, value->length - 2};
    if (memchr(inside.bytes, '\\', inside.length) != NULL &&
        event->decoded_count < EVENT_DECODED_MAX) {
        json_t *text =
            json_loadb(value->bytes, value->length, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        if (text != NULL) {
            event->decoded[event->decoded_count++] = text;
            inside = (struct span){json_string_value(text), json_string_length(text)};
        }
    }
    *out = inside;
    return true;
}

/* The value at the end of a rule's path; false where the event does not have it. *holder becomes
 * the object of which it is a member, where that is not the event. Ids come first in ARI's objects,
 * so hardly more is read of these than that. */
static bool event_follow(const struct scan *outermost, const struct object_rule *rule,
                         struct span *holder, struct span *value)
{
    const struct span *member = scan_find(outermost, rule->path[0].name, rule->path[0].length);
    if (member == NULL) {
        return false;
    }
    *value = *member;
    for (unsigned i = 1; i < rule->depth; i++) {
        *holder = *value;
        if (scan_member(holder->bytes, holder->length, rule->path[i].name, rule->path[i].length,
                        value) != ARIZMQ_OK) {
            return false;
        }
    }
    return true;
}

/* "channel:1690.12" names kind and id. */
static bool event_read_uri(struct span uri, struct event_object *out)
{
    const char *colon = memchr(uri.bytes, ':', uri.length);
    if (colon == NULL) {
        return false;
    }
    size_t scheme = (size_t)(colon - uri.bytes);
    for (unsigned kind = 0; kind < OBJECT_KINDS; kind++) {
        const char *name = object_kind_names[kind];
        if (strlen(name) == scheme && memcmp(name, uri.bytes, scheme) == 0) {
            out->kind = name;
            out->part[0] = (struct span){colon + 1, uri.length - scheme - 1};
            return out->part[0].length > 0;
        }
    }
    return false;
}

static bool event_read_endpoint(struct event *event, struct span value, struct event_object *out)
{
    struct span technology;
    struct span resource;
    out->parts = 2;
    out->value = value;
    return scan_member(value.bytes, value.length, "technology", 10, &technology) == ARIZMQ_OK &&
           event_string(event, &technology, &out->part[0]) &&
           scan_member(value.bytes, value.length, "resource", 8, &resource) == ARIZMQ_OK &&
           event_string(event, &resource, &out->part[1]);
}

static bool event_read_object(struct event *event, const struct scan *outermost,
                              const struct object_rule *rule, struct event_object *out)
{
    struct span holder = {"", 0};
    struct span value;
    if (!event_follow(outermost, rule, &holder, &value)) {
        return false;
    }
    if (rule->form != OBJECT_FORM_URI) {
        out->kind = object_kind_names[rule->kind];
    }
    out->parts = 1;
    out->begins = rule->begins;
    out->ends = rule->ends;
    out->value = rule->is_whole ? holder : (struct span){"", 0};
    switch ((enum object_form)rule->form) {
    case OBJECT_FORM_STRING:
        return event_string(event, &value, &out->part[0]) && out->part[0].length > 0;
    case OBJECT_FORM_URI: {
        struct span uri;
        return event_string(event, &value, &uri) && event_read_uri(uri, out);
    }
    case OBJECT_FORM_ENDPOINT:
        return event_read_endpoint(event, value, out);
    }
    return false;
}

static bool spans_are_equal(struct span a, struct span b)
{
    return a.length == b.length && memcmp(a.bytes, b.bytes, a.length) == 0;
}

/* Whether another rule has found the same object; that one gets its value if it has none. */
static bool event_has_object(struct event *event, const struct event_object *object)
{
    for (unsigned i = 0; i < event->object_count; i++) {
        struct event_object *other = &event->objects[i];
        if (other->kind == object->kind && other->parts == object->parts &&
            spans_are_equal(other->part[0], object->part[0]) &&
            (object->parts == 1 || spans_are_equal(other->part[1], object->part[1]))) {
            other->value = other->value.length > 0 ? other->value : object->value;
            return true;
        }
    }
    return false;
}

static void event_forget_decoded(struct event *event, unsigned keep)
{
    while (event->decoded_count > keep) {
        json_decref(event->decoded[--event->decoded_count]);
    }
}

static void event_read_objects(struct event *event, const struct scan *outermost)
{
    for (unsigned i = 0; i < event->known->rules_count; i++) {
        struct event_object object;
        unsigned decoded = event->decoded_count;
        if (!event_read_object(event, outermost, &event->known->rules[i], &object) ||
            event_has_object(event, &object)) {
            event_forget_decoded(event, decoded);
            continue;
        }
        if (event->object_count == EVENT_OBJECTS_MAX) {
            event->objects_dropped++;
            event_forget_decoded(event, decoded);
            continue;
        }
        event->objects[event->object_count++] = object;
    }
}

/* What it is before anything is found in it. */
static void event_begin(struct event *event, struct span text, const char *node,
                        uint64_t received_ns)
{
    event->text = text;
    event->received_ns = received_ns;
    event->seq = 0;
    event->node = node;
    event->is_own = false;
    event->known = objects_find_type("", 0);
    event->type = (struct span){event_type_unparsed, sizeof event_type_unparsed - 1};
    event->application = (struct span){"", 0};
    event->members_dropped = 0;
    event->object_count = 0;
    event->objects_dropped = 0;
    event->decoded_count = 0;
}

int event_read_object_alone(struct event *event, enum object_kind kind, struct span text)
{
    bool has_name = kind == OBJECT_RECORDING || kind == OBJECT_DEVICE;
    struct event_object object = {.kind = object_kind_names[kind], .parts = 1, .value = text};
    event_begin(event, text, "", 0);
    bool is_fine = false;
    if (kind == OBJECT_ENDPOINT) {
        is_fine = event_read_endpoint(event, text, &object);
    } else {
        struct scan scan;
        is_fine =
            scan_object(text.bytes, text.length, &scan) == ARIZMQ_OK &&
            event_string(event, has_name ? scan_find(&scan, "name", 4) : scan_find(&scan, "id", 2),
                         &object.part[0]) &&
            object.part[0].length > 0;
    }
    event->objects[0] = object;
    event->object_count = is_fine ? 1 : 0;
    return is_fine ? ARIZMQ_OK : ARIZMQ_EINVALID;
}

void event_read(struct event *event, const char *text, size_t length, const char *node,
                uint64_t received_ns)
{
    event_begin(event, (struct span){text, length}, node, received_ns);
    struct scan outermost;
    if (scan_object(text, length, &outermost) != ARIZMQ_OK ||
        !event_string(event, scan_find(&outermost, "type", 4), &event->type)) {
        return;
    }
    event->members_dropped = outermost.dropped;
    event->known = objects_find_type(event->type.bytes, event->type.length);
    event_string(event, scan_find(&outermost, "application", 11), &event->application);
    event_read_objects(event, &outermost);
}

bool event_is_parsed(const struct event *event)
{
    return event->type.bytes != event_type_unparsed;
}

void event_release(struct event *event)
{
    event_forget_decoded(event, 0);
}
