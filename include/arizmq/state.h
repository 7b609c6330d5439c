/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The objects that there are, held by a program: a snapshot, and every event after it folded in.
 *
 *     … options.snapshot = &query; …            (snapshot.h)
 *     struct arizmq_state *state = NULL;
 *     arizmq_state_create(NULL, &state);
 *     for (;;) {
 *         if (arizmq_subscriber_receive(subscriber, -1, &message) == ARIZMQ_OK) {
 *             arizmq_state_apply(state, &message);
 *         }
 *         …
 *         struct arizmq_object channel;
 *         if (arizmq_state_find(state, "channel", "1690.12", NULL, NULL, &channel)) { … }
 *     }
 *
 * The rules are those by which the bridge makes its snapshots, so that after every event the state
 * is what a snapshot taken then would say:
 *
 * - An event that has an object in it (schemas/objects.json says where) sets its value; one that
 *   only names it changes nothing.
 * - One that is the last word on it removes it. StasisEnd is for an application that hears only
 * what concerns it; one with subscribe_all will hear of the channel's destruction.
 * - For 10 seconds after that, an event that does not begin a life comes late and changes nothing;
 *   also where it ended before the snapshot, which has a list of these. After an ArizmqGap of the
 *   node and application nothing comes late.
 * - ArizmqObjectFound sets and begins, ArizmqObjectLost removes.
 * - ArizmqNodeDisconnected with reason `removed` drops all objects of the node and application, and
 *   what has ended there.
 *
 * An object is told of by an application of a node over an endpoint; each has its own. Subscribe to
 * everything in the view events or objects: what is not received is not folded. An event that was
 * repaired and is older than what is known of an object changes nothing.
 *
 * A state belongs to one thread at a time.
 */
#ifndef ARIZMQ_STATE_H
#define ARIZMQ_STATE_H

#include "arizmq/subscriber.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { ARIZMQ_STATE_MAX_OBJECTS = 500000, ARIZMQ_STATE_MAX_BYTES = 1 << 30 };

struct arizmq_state;

/* What is 0 or NULL has the default given. */
struct arizmq_state_options {
    const char *view;   /* of the events: "events" or "objects"; "events" */
    size_t max_objects; /* those that ended within 10 seconds too; ARIZMQ_STATE_MAX_OBJECTS */
    size_t max_bytes;   /* all memory that they take; ARIZMQ_STATE_MAX_BYTES */
};

/* `options` may be NULL. Returns ARIZMQ_OK, ARIZMQ_EINVALID for another view, or ARIZMQ_ENOMEM. The
 * caller frees *out with arizmq_state_destroy(). */
int arizmq_state_create(const struct arizmq_state_options *options, struct arizmq_state **out);
void arizmq_state_destroy(struct arizmq_state **self);

/* Takes note of a message, of whatever kind. Returns ARIZMQ_OK, also where it says nothing of
 * objects; ARIZMQ_ETOOLARGE where an object had to be left out for one of the bounds, ARIZMQ_ENOMEM
 * where it had to for want of memory; ARIZMQ_EPROTOCOL where the end of a snapshot says nothing
 * readable of what has ended: then the endpoint is not complete any more. */
int arizmq_state_apply(struct arizmq_state *self, const struct arizmq_message *message);

/* Whether all objects of the endpoint are held: a snapshot came, and since then nothing was lost or
 * left out. */
bool arizmq_state_is_complete(const struct arizmq_state *self, unsigned endpoint);

/* The object of that kind and id; of several (node or app NULL: any) the one that was told of last.
 * What *out points to is valid until the next arizmq_state_apply(). */
bool arizmq_state_find(const struct arizmq_state *self, const char *kind, const char *id,
                       const char *node, const char *app, struct arizmq_object *out);

/* How many objects there are of that kind, of all kinds where it is NULL. */
size_t arizmq_state_count(const struct arizmq_state *self, const char *kind);

/* Calls `visit` for each of them, in no order, until it returns nonzero; returns what the last call
 * returned, 0 where there was none. The state must not be changed meanwhile. */
int arizmq_state_each(const struct arizmq_state *self, const char *kind,
                      int (*visit)(void *argument, const struct arizmq_object *object),
                      void *argument);

#ifdef __cplusplus
}
#endif

#endif
