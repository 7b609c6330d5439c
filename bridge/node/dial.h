/* SPDX-License-Identifier: MPL-2.0 */
/*
 * One attempt to connect: name to addresses, one address after the other, handshake. Whoever dials
 * decides what becomes of the connection and when to try again. Belongs to the event thread and
 * never waits in it.
 */
#ifndef ARIZMQ_NODE_DIAL_H
#define ARIZMQ_NODE_DIAL_H

#include <stdbool.h>
#include <stdint.h>

#include <libwebsockets.h>

#include "node/link_way.h"
#include "node/resolve.h"
#include "node/ws.h"

struct dial_handler {
    /* Connected. `ws` belongs to the callee, which gives it a handler of its own (ws_set_handler())
     * before it returns. */
    void (*opened)(void *owner, struct ws *ws);
    /* The attempt has failed. `detail` says why, for people; borrowed for the call. `is_refusal`:
     * Asterisk has answered, and trying harder will not change what. */
    void (*failed)(void *owner, const char *detail, bool is_refusal);
    /* An address was asked for the application and given up before it answered, so that Asterisk
     * may have moved the application to a connection that is gone. May be NULL. */
    void (*unsure)(void *owner);
};

/* A member of whoever dials. */
struct dial {
    const struct link_environment *environment;
    const struct dial_handler *handler;
    void *owner;
    const char *label; /* for the log */
    bool is_under_way;
    bool may_have_taken; /* unsure() was called in this attempt */

    /* Private */
    struct link_way *way;
    lws_sorted_usec_list_t timer;
    struct resolve_question *question;
    struct resolve_answer addresses;
    unsigned address_next;  /* of addresses, to be tried next */
    uint64_t connect_by_ms; /* monotonic: the end of this attempt */
    struct ws *ws;
};

/* All borrowed for the dial's life. */
void dial_init(struct dial *self, const struct link_environment *environment,
               const struct dial_handler *handler, void *owner, const char *label);

/* Begins an attempt on `way`, which is borrowed until it is over; at most `timeout_ms` for all of
 * it. None may be under way. */
void dial_begin(struct dial *self, struct link_way *way, uint32_t timeout_ms);

/* Asterisk has been asked for the application and has not answered yet. */
bool dial_has_asked(const struct dial *self);

/* Ends the attempt, if one is under way; nobody is told. */
void dial_cancel(struct dial *self);

/* Another bound than that of the way, for the connection that is being made. */
void dial_set_max_message_bytes(struct dial *self, uint64_t bytes);

#endif
