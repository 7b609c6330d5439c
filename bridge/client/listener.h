/* SPDX-License-Identifier: MPL-2.0 */
/*
 * One endpoint of a subscriber: its SUB socket, its gap checker, the gateway that repairs, the
 * snapshot it joins with. Each bridge counts for itself, so each endpoint has all that of its own.
 */
#ifndef ARIZMQ_CLIENT_LISTENER_H
#define ARIZMQ_CLIENT_LISTENER_H

#include <stdint.h>

#include <zmq.h>

#include "arizmq/snapshot.h"
#include "arizmq/subscriber.h"

struct listener;

enum { LISTENER_ITEMS = 4 };

/* `options` has no defaults left to fill in; it and its texts must outlive the listener, the
 * endpoint too. `created_us` is the time of day when the subscription began. Returns what
 * arizmq_subscriber_create() does. */
int listener_create(const struct arizmq_subscriber_options *options, unsigned index,
                    uint64_t created_us, struct listener **out);
void listener_destroy(struct listener **self);

/* Returns ARIZMQ_OK with a message, valid until the next call; ARIZMQ_ENOTFOUND where there is none
 * until one of the sockets has something or listener_deadline_ms() has come; ARIZMQ_ENOMEM or
 * ARIZMQ_EIO, and then to be called again. */
int listener_step(struct listener *self, uint64_t now_ms, struct arizmq_message *out);

/* What to poll after ARIZMQ_ENOTFOUND; returns how many. Sockets that are not among them are to be
 * left alone. */
unsigned listener_poll_items(const struct listener *self, zmq_pollitem_t items[LISTENER_ITEMS]);
uint64_t listener_deadline_ms(const struct listener *self); /* UINT64_MAX: none */

const struct arizmq_subscriber_totals *listener_totals(struct listener *self, unsigned *count);
void listener_status(const struct listener *self, struct arizmq_subscriber_status *out);

#endif
