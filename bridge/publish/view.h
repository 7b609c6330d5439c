/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A view: one XPUB socket with one topic template. Three frames go out for each message: the topic,
 * the event byte for byte, the stamp.
 */
#ifndef ARIZMQ_PUBLISH_VIEW_H
#define ARIZMQ_PUBLISH_VIEW_H

#include <stdint.h>
#include <zmq.h>

#include "event/event.h"
#include "keep/history.h"
#include "ops/config.h"
#include "publish/counters.h"

struct view;

/* Binds the socket of `config`, which is borrowed for the view's life, as is `history` (NULL: there
 * is none), where the view gets a number. Returns ARIZMQ_OK; ARIZMQ_EINVALID if the topic template
 * is none; ARIZMQ_EIO if the endpoint cannot be bound (errno tells why); ARIZMQ_ENOMEM. */
int view_create(const struct config_publish *config, const struct config_limits *limits,
                uint64_t epoch, struct history *history, struct view **out);

/* Closes the socket; what subscribers have not been sent yet gets up to `linger_ms`. */
void view_destroy(struct view **self, int linger_ms);

/* The same view goes on with another max_counters; `config` is borrowed in place of the one before,
 * from which it differs in nothing else. */
void view_set_config(struct view *self, const struct config_publish *config,
                     const struct config_limits *limits);

/* What is to be done now and then: counters beyond a smaller bound leave. */
void view_tidy(struct view *self);

/* "events" or "objects". */
const char *view_name(const struct view *self);

/* The address that was bound; tells the port where the configuration left it to the system. */
const char *view_endpoint(const struct view *self);

/* Publishes `event` as this view does: one message, or one for each object; each is put into
 * history, where the pipeline has begun the event, before it is sent. `payload` holds the event's
 * bytes; libzmq shares them between messages, nothing is copied. Where
 * `payload` is NULL (there was no memory for it) the messages are counted and not sent, so that the
 * next ones show every subscriber that something is missing. Never waits: what a slow
 * subscriber has no room for, libzmq drops for that subscriber alone, and the stamps show it. As
 * long as nobody has subscribed to anything, messages are counted, put into history and not sent.
 */
void view_publish(struct view *self, const struct event *event, zmq_msg_t *payload);

/* Publishes `event`, a heartbeat, without counting it: its stamp repeats `seq` and count[0]. It is
 * sent in any case, and then view_read_subscriptions() is called, so that a subscriber who has got
 * one gets what follows. */
void view_publish_heartbeat(struct view *self, const struct event *event, uint64_t seq);

/* The view's counters, for the heartbeat that lists them. */
const struct counters *view_counters(const struct view *self);

/* Takes in what subscribers have asked for since the last call, and counts it. Must be called now
 * and then, or libzmq keeps it, and the first subscriber of a view waits for its messages. */
void view_read_subscriptions(struct view *self);

#endif
