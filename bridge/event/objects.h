/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Which objects an event of each type mentions, and where their ids stand in its JSON. The rules
 * are data: schemas/objects.json, from which the C table is generated at build time.
 */
#ifndef ARIZMQ_EVENT_OBJECTS_H
#define ARIZMQ_EVENT_OBJECTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The kinds of object, in the order of object_kind_names. */
enum object_kind {
    OBJECT_CHANNEL,
    OBJECT_BRIDGE,
    OBJECT_PLAYBACK,
    OBJECT_RECORDING,
    OBJECT_ENDPOINT,
    OBJECT_DEVICE,
    OBJECT_KINDS,
};

/* "channel", "bridge", …: the {kind} of a topic. */
extern const char *const object_kind_names[OBJECT_KINDS];

/* The kind of one of these names, which is told by its address; OBJECT_KINDS for any other text. */
static inline enum object_kind objects_kind(const char *name)
{
    unsigned kind = 0;
    while (kind < OBJECT_KINDS && name != object_kind_names[kind]) {
        kind++;
    }
    return (enum object_kind)kind;
}

/* How the id is made of what stands at the end of the path. */
enum object_form {
    OBJECT_FORM_STRING,   /* the string is the id */
    OBJECT_FORM_ENDPOINT, /* an object: its technology, '/', its resource */
    OBJECT_FORM_URI, /* a string KIND:ID, such as a playback's target_uri; names the kind too */
};

enum { OBJECT_PATH_MAX = 3 };

struct object_member {
    const char *name;
    uint8_t length;
};

struct object_rule {
    uint8_t kind;  /* enum object_kind; unused where form is OBJECT_FORM_URI */
    uint8_t form;  /* enum object_form */
    bool begins;   /* the object's life begins with the event */
    bool ends;     /* the event is the last word on the object */
    bool is_whole; /* the object itself stands there: what holds the path's last member, or, where
                      form is OBJECT_FORM_ENDPOINT, what stands at its end */
    uint8_t depth; /* members used of path, 1 to OBJECT_PATH_MAX */
    struct object_member path[OBJECT_PATH_MAX]; /* from the event's top level inwards */
};

struct object_type {
    const char *name; /* NULL for the rules of types that the table does not name */
    uint8_t name_length;
    uint8_t rules_count;
    const struct object_rule *rules; /* in the order of the topics; the first one found is {id} */
};

/* The rules for an event type. Never NULL: a type that the table does not name gets the rules
 * under "*", which have name NULL. */
const struct object_type *objects_find_type(const char *name, size_t length);

/* All named types, sorted by name. */
const struct object_type *objects_all(size_t *count);

#endif
