/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The last value of every object that each link's events told of: the fold of what was published,
 * and of nothing else. So whoever folds the published events by the same rules comes to the same
 * values:
 *
 *     snapshot at seq S = fold of all published events up to S
 *
 * - An event that has the object itself (struct event_object.value) sets it; one that only mentions
 *   it changes nothing.
 * - One that is the last word on it removes it. StasisEnd is for a link that hears only what
 *   concerns its application; one that hears everything will hear of the channel's destruction.
 * - What is received about it within 10 seconds of that, and does not begin a life, comes late and
 *   changes nothing. An ArizmqGap lies between: what came before it can be followed by nothing
 *   late, since that went the way of all that was missed.
 * - ArizmqObjectFound sets and begins, ArizmqObjectLost removes.
 * - ArizmqNodeDisconnected with reason `removed` drops all objects of the link, and what has ended.
 *
 * Belongs to the event thread; nothing here waits. config.state bounds all of it.
 */
#ifndef ARIZMQ_KEEP_STATE_H
#define ARIZMQ_KEEP_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "event/event.h"
#include "ops/config.h"

struct state;
struct state_link;

/* An id that stands in two parts is put together in so many bytes. */
enum { STATE_JOINED_MAX = 1024 };

/* The whole id of an object; `joined` is room for one that stands in two parts. Empty where that
 * does not suffice. */
struct span state_id(const struct event_object *object, char joined[STATE_JOINED_MAX]);

/* Returns ARIZMQ_OK or ARIZMQ_ENOMEM. `config` is copied. */
int state_create(const struct config_state *config, struct state **out);

/* What links have open is freed too. NULL is fine. */
void state_destroy(struct state **self);

/* Other bounds from now on (a reload). What is held already stays. */
void state_set_config(struct state *self, const struct config_state *config);

/* Objects held, of all links. */
uint32_t state_objects(const struct state *self);

/* Memory that they take, with all it costs. */
uint64_t state_bytes(const struct state *self);

/* --- a link: one application of one node. All but state_open() take NULL as well: then nothing
 * happens, and nothing is held. */

/* Opens the table of that node and application, which is new where nobody has it open; the names
 * are copied. NULL without memory. */
struct state_link *state_open(struct state *self, const char *node, const char *application,
                              bool hears_all);

/* The last one to close it forgets what it holds, of which nobody is told: where subscribers are to
 * know it, state_leave() comes first. *link becomes NULL. */
void state_close(struct state_link **link);

/* Whether others have the table open too: the application is in the configuration again. */
bool state_is_shared(const struct state_link *link);

/* Whether the link has objects, or such as have ended and are remembered. */
bool state_holds_any(const struct state_link *link);

/* Folds an event of the link, which has its number. */
void state_fold(struct state_link *link, const struct event *event);

/* An event of the link was discarded unread: it is not complete until it is compared again. */
void state_doubt(struct state_link *link);

/* An ArizmqGap of the link is published now. */
void state_gap(struct state_link *link);

/* An ArizmqNodeDisconnected of the link with reason `removed` is published now: all of it is
 * forgotten. What events tell of afterwards is held as ever. */
void state_leave(struct state_link *link);

/* What the snapshot says of the link, beside the objects. */
void state_set_hears_all(struct state_link *link, bool hears_all);
void state_set_up(struct state_link *link, bool is_up);

/* Whether the link is up, was compared with what Asterisk has since, and nothing was left out for
 * want of room since then: its objects are all there are. */
bool state_is_complete(const struct state_link *link);

/* The text of one object, borrowed until the next event; false where it is not held. */
bool state_find(const struct state_link *link, enum object_kind kind, struct span id,
                struct span *out);

#endif
