/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What a subscriber should get for an event, worked out a second time: with Jansson instead of the
 * bridge's scanner, from schemas/objects.json as it lies in the source, by the wire's rules alone.
 */
#ifndef ARIZMQ_FLOW_EXPECT_H
#define ARIZMQ_FLOW_EXPECT_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

enum { EXPECT_OBJECTS_MAX = 16 };

struct expect_object {
    const char *kind;
    char *id;
};

struct expect_event {
    json_t *json; /* NULL where the text is no JSON */
    const char *type;
    const char *application; /* "" where it has none */
    const char *node;        /* of the bridge's own events; else NULL */
    bool is_own;             /* the bridge's own event: its type begins with Arizmq */
    size_t count;
    struct expect_object objects[EXPECT_OBJECTS_MAX];
};

/* Reads an event; expect_event_clear() frees what it holds. */
void expect_event_read(const char *text, size_t length, struct expect_event *out);
void expect_event_clear(struct expect_event *event);

/* The topic by `template` of the event from `node`, told of `object` (NULL: of none). Malloc'd.
 * No token is cut: that is for the caller to know. */
char *expect_topic(const char *template, const struct expect_event *event, const char *node,
                   const struct expect_object *object);

/* How a text stands in a topic's token. Malloc'd. */
char *expect_token(const char *text);

/* How many messages an event makes in a view, and of which object the one at `index` tells (NULL:
 * of none). */
size_t expect_messages(const struct expect_event *event, bool is_objects_view);
const struct expect_object *expect_object_at(const struct expect_event *event, size_t index);

#endif
