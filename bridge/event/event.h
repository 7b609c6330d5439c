/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The datum of the event path: the bytes as Asterisk sent them, and what the topics need to know
 * of them. Everything in it but `decoded` is borrowed from the received bytes.
 */
#ifndef ARIZMQ_EVENT_EVENT_H
#define ARIZMQ_EVENT_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "event/objects.h"
#include "event/scan.h"

/* Objects for which one event makes messages in the `objects` view. The most that an Asterisk 22
 * event mentions is 12 (an attended transfer). */
enum { EVENT_OBJECTS_MAX = 16 };

/* Texts with escapes that may have to be decoded: type, application, two for each object and for
 * the one that is compared with them. */
enum { EVENT_DECODED_MAX = 2 + 2 * (EVENT_OBJECTS_MAX + 1) };

/* One object that the event mentions. Its id is part[0], or part[0] '/' part[1] for endpoints. */
struct event_object {
    const char *kind; /* of object_kind_names, or "arizmq" for the bridge's own events */
    struct span part[2];
    unsigned parts;
    bool begins; /* its life begins with the event */
    bool ends;   /* the event is the last word on it */
    /* The JSON text of the object itself, as it stands in the event; length 0 where the event names
     * the id and no more. */
    struct span value;
};

struct event {
    struct span text; /* the bytes, with SCAN_PADDING readable ones behind */
    uint64_t received_ns;
    uint64_t seq; /* 0 until the pipeline numbers it */
    const char *node;
    bool is_own;                     /* one of the bridge's own events */
    const struct object_type *known; /* rules of its type; name NULL for an unknown type */
    struct span type;                /* decoded; "ArizmqUnparsed" where it has none */
    struct span application;         /* decoded; length 0 where it has none */
    unsigned members_dropped;        /* of its outermost object, beyond SCAN_MEMBERS_MAX */
    unsigned object_count;
    unsigned objects_dropped; /* beyond EVENT_OBJECTS_MAX */
    struct event_object objects[EVENT_OBJECTS_MAX];
    unsigned decoded_count;
    json_t *decoded[EVENT_DECODED_MAX]; /* owners of texts that had escapes */
};

extern const char event_type_unparsed[]; /* "ArizmqUnparsed" */

/* Reads the event in text[0..length), which came from `node` at `received_ns`. Never fails: what is
 * no JSON object with a string `type` becomes an event of type ArizmqUnparsed without objects.
 * `text` and `node` are borrowed until event_release(). */
void event_read(struct event *event, const char *text, size_t length, const char *node,
                uint64_t received_ns);

/* Reads `text`, which is an object of that kind by itself, as ARI's lists have it: an event without
 * type, which has this one object and its value. Returns ARIZMQ_OK; or ARIZMQ_EINVALID where it is
 * no JSON object, or has no id. `text` has SCAN_PADDING readable bytes behind it and is borrowed
 * until event_release(), which is to be called in any case. */
int event_read_object_alone(struct event *event, enum object_kind kind, struct span text);

/* Says whether reading found a type. */
bool event_is_parsed(const struct event *event);

void event_release(struct event *event);

#endif
