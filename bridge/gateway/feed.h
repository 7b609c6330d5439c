/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What the event thread tells the command thread: which node has which object, which links are up,
 * and what Asterisk answered over a WebSocket. The event thread never waits here and takes no lock.
 *
 * The order that everything rests on: the event thread feeds an event before it publishes it, and
 * the command thread takes the feed before it routes a request. So whoever has seen an event can
 * name its objects in a command at once.
 */
#ifndef ARIZMQ_GATEWAY_FEED_H
#define ARIZMQ_GATEWAY_FEED_H

#include <stddef.h>
#include <stdint.h>

#include "event/event.h"
#include "event/objects.h"
#include "ops/config.h"

struct feed;

/* State of one link (one application of one node), as a client of the gateway needs to know it. */
enum feed_link {
    FEED_LINK_DOWN,    /* not connected; being tried again */
    FEED_LINK_UP,      /* events come */
    FEED_LINK_STANDBY, /* connected to no avail: another client has the application */
};

enum { FEED_DETAIL_MAX = 255 };

/* What is handed over by pointer. */
enum feed_thing {
    FEED_CONFIG,   /* a struct gateway_change (gateway/gateway.h); never NULL */
    FEED_SNAPSHOT, /* a struct snapshot (keep/snapshot.h); NULL: there was no memory for it */
    FEED_TAKEOVER, /* a struct takeover_report (gateway/takeover.h); NULL: the same */
};

typedef void feed_discard(void *thing);

/* Creates both ends. Room: config->gateway.feed_bytes. Returns ARIZMQ_OK, ARIZMQ_EINVALID
 * where that is less than a queue can have, ARIZMQ_EIO or ARIZMQ_ENOMEM. `config` is borrowed. */
int feed_create(const struct config *config, struct feed **out);

/* Both threads must be done with it; answers not taken are freed. */
void feed_destroy(struct feed **self);

/* --- Event thread. `node` and `application` are indexes into config->nodes and its apps. `self`
 * may be NULL, where there is no gateway: then nothing happens. */

/* Tells of the channels, bridges, playbacks and recordings that `event` mentions, and which of them
 * have ended with it. What was told to be alive is told again only in another second of
 * event->received_ns. Where there is no room it is dropped and counted (METRIC_FEED_DROPPED); the
 * last quarter of the room is kept for all others. */
void feed_event(struct feed *self, unsigned node, const struct event *event);

/* Tells of a new state. `detail` says why, for people, at most FEED_DETAIL_MAX bytes of it; NULL:
 * nothing to say. Nothing but objects is ever dropped for want of room: what does not fit is held
 * back and goes, in its order, with the next call to any of these functions. */
void feed_link_state(struct feed *self, unsigned node, unsigned application, enum feed_link state,
                     const char *detail);

/* Hands over the whole text of a RESTResponse to request `number`; or NULL where none will come,
 * because the connection ended or the request could not be sent. `text` was malloc()ed, has
 * SCAN_PADDING readable bytes behind its `length`, and belongs to the feed from now on. `was_sent`
 * says whether Asterisk may have seen the request. */
void feed_answer(struct feed *self, uint64_t number, char *text, size_t length, bool was_sent);

/* Hands over `thing` (NULL: there is none), in answer to letter `number` (gateway/post.h). It
 * belongs to the feed from now on and, once delivered, to the handler. Where it will never be
 * delivered, because there is no memory to hold it back or the feed is destroyed first, the feed
 * calls `discard` for one that is not NULL. What was written to it before is seen by the handler.
 * Returns ARIZMQ_OK; or ARIZMQ_ENOMEM where it is discarded at once. */
int feed_hand(struct feed *self, enum feed_thing what, uint64_t number, void *thing,
              feed_discard *discard);

/* Hands over what was held back for want of room; to be called now and then, because nothing else
 * need happen after it was. */
void feed_flush(struct feed *self);

/* --- Command thread */

struct feed_handler {
    /* An object is alive on a node, or has ended there. `id` is borrowed, not terminated. */
    void (*object)(void *owner, unsigned node, enum object_kind kind, const char *id, size_t length,
                   bool has_ended);
    /* `detail` is "" where there is nothing to say. */
    void (*link)(void *owner, unsigned node, unsigned application, enum feed_link state,
                 const char *detail);
    /* `text` belongs to the handler, which free()s it; NULL: see feed_answer(). */
    void (*answer)(void *owner, uint64_t number, char *text, size_t length, bool was_sent);
    /* `thing` belongs to the handler; NULL: see feed_hand(). */
    void (*thing)(void *owner, enum feed_thing what, uint64_t number, void *thing);
};

/* Readable (an eventfd) when the command thread should look: a link changed, an answer or a thing
 * came, or the feed fills up. Objects alone do not wake it. feed_take() resets it. */
int feed_fd(const struct feed *self);

/* Calls `handler` for everything told so far. */
void feed_take(struct feed *self, const struct feed_handler *handler, void *owner);

/* Any thread: how many events `node` has sent in this run. */
uint64_t feed_events(const struct feed *self, unsigned node);

#endif
