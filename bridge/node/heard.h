/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What an application hears of, as GET applications/{name} says: its subscriptions.
 */
#ifndef ARIZMQ_NODE_HEARD_H
#define ARIZMQ_NODE_HEARD_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "event/event.h"

/* Of the kinds that can be subscribed to: channel, bridge, endpoint, device. */
struct heard {
    bool all[OBJECT_KINDS];    /* every object of the kind */
    json_t *ids[OBJECT_KINDS]; /* else these: an object whose keys they are */
};

/* Reads the answer's body. Returns ARIZMQ_OK, and heard_release() frees; or ARIZMQ_EINVALID where
 * it is no application. */
int heard_read(const char *body, size_t length, struct heard *out);

/* An empty one is fine. */
void heard_release(struct heard *self);

/* Whether it hears of everything. */
bool heard_everything(const struct heard *self);

/* Whether it hears of that object. Of a playback and a recording it does if it hears of the channel
 * or bridge that the object, whose JSON text is its value, names as its target. */
bool heard_object(const struct heard *self, const struct event_object *object);

#endif
