/* SPDX-License-Identifier: MPL-2.0 */
/*
 * One connection to a gateway: a request leaves, its reply comes back, nobody waits in here. One
 * request is under way at a time. A connection over which a reply failed to come is given up, so
 * that a late one cannot be taken for the next.
 */
#ifndef ARIZMQ_CLIENT_DEALER_H
#define ARIZMQ_CLIENT_DEALER_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>
#include <zmq.h>

#include "arizmq/gateway.h"

struct dealer;

enum { DEALER_ITEMS = 2 };

/* The endpoint is copied; the context must outlive it. Returns ARIZMQ_OK, ARIZMQ_EINVALID if the
 * endpoint is none, ARIZMQ_EIO or ARIZMQ_ENOMEM. */
int dealer_create(void *context, const char *endpoint, size_t max_reply_bytes, struct dealer **out);
void dealer_destroy(struct dealer **self);

/* Sends a request; none may be under way. The header is kept, the body only read. `patience_ms`
 * counts from when the other side is known to speak ZeroMQ. Returns ARIZMQ_OK, ARIZMQ_EIO or
 * ARIZMQ_ENOMEM. */
int dealer_ask(struct dealer *self, json_t *header, const void *body, size_t body_length,
               uint32_t connect_ms, uint32_t patience_ms);

bool dealer_is_busy(const struct dealer *self); /* a request is under way */

/* What to poll until dealer_step() says something, and until when at the latest. The sockets stay
 * the same from dealer_ask() on. */
void dealer_poll_items(const struct dealer *self, zmq_pollitem_t items[DEALER_ITEMS]);
uint64_t dealer_deadline_ms(const struct dealer *self);

/* Reads what has come. Returns ARIZMQ_ENOTFOUND where neither a reply nor a failure is there yet;
 * ARIZMQ_OK with a reply that the caller frees; or what arizmq_gateway_request() names, and then
 * dealer_failure() has a sentence. */
int dealer_step(struct dealer *self, uint64_t now_ms, struct arizmq_reply **out);

/* Gives up the request under way, if there is one, and its connection. */
void dealer_give_up(struct dealer *self);

const char *dealer_failure(const struct dealer *self);

#endif
