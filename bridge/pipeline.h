/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The path of one event, from a link that received it to the PUB sockets. Belongs to the event
 * thread; nothing here waits.
 */
#ifndef ARIZMQ_PIPELINE_H
#define ARIZMQ_PIPELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "event/event.h"
#include "gateway/feed.h"
#include "keep/history.h"
#include "keep/state.h"
#include "ops/config.h"
#include "ops/reload_plan.h"
#include "ops/tally.h"

struct pipeline;
struct pipeline_change;

/* Where an event came from. */
struct pipeline_source {
    const char *node;    /* the configured name; valid as long as the source */
    unsigned node_index; /* of config->nodes */
    struct tally *tally;      /* what became of its messages */
    struct state_link *state; /* the last values of its objects; NULL: none are kept */
    /* Asked about each RESTResponse: true where it answers one of the bridge's own requests, which
     * is then not published. */
    bool (*takes_response)(void *owner, const struct event *event);
    /* Told of each ApplicationReplaced, after it was published. */
    void (*application_replaced)(void *owner, const struct event *event);
    void *owner;
};

/* Binds the views of `config`, which is held; `feed` is borrowed (NULL: there is no gateway, hence
 * nobody who could ask for history, and none is kept). Returns ARIZMQ_OK; else ARIZMQ_E… with one
 * line that names the endpoint and the reason in error[error_size]. */
int pipeline_create(const struct config *config, struct feed *feed, struct pipeline **out,
                    char *error, size_t error_size);

/* Closes the views; what subscribers have not been sent yet gets up to `linger_ms`. */
void pipeline_destroy(struct pipeline **self, int linger_ms);

/* Takes one message of an Asterisk: tells the feed of its objects, numbers it and publishes it in
 * every view; counts it in the source's tally. text[0..length) has SCAN_PADDING readable bytes
 * behind it and is borrowed for the call. `received_ns` is the wall clock when its last byte was
 * read. */
void pipeline_receive(struct pipeline *self, const struct pipeline_source *source, const char *text,
                      size_t length, uint64_t received_ns);

/* Publishes one of the bridge's own events, which own_event_create() began; takes `json` over.
 * `node` is the node it tells of, "-" for none. */
void pipeline_publish_own(struct pipeline *self, const char *node, json_t *json);

/* The same for one that tells of an object of the source: it gets `value`, JSON text, as its last
 * member, and is folded into the state as the source's events are. */
void pipeline_publish_object(struct pipeline *self, const struct pipeline_source *source,
                             json_t *json, const char *member, struct span value);

/* One heartbeat in every view; called every heartbeat_ms. What is too old leaves history. */
void pipeline_beat(struct pipeline *self);

/* Takes in what subscribers asked for; called several times a second. */
void pipeline_read_subscriptions(struct pipeline *self);

/* Binds the views that plan->after has more, and changes nothing yet. Returns ARIZMQ_OK; else
 * ARIZMQ_E… with one line that names the endpoint and the reason in error[error_size]. */
int pipeline_prepare(struct pipeline *self, const struct reload_plan *plan,
                     struct pipeline_change **out, char *error, size_t error_size);
void pipeline_change_destroy(struct pipeline_change **self);

/* Goes on by it, with the next event; *change becomes NULL. Views that are there no more are
 * closed, what their subscribers have not been sent yet gets up to `linger_ms`. */
void pipeline_commit(struct pipeline *self, struct pipeline_change **change,
                     const struct reload_plan *plan, int linger_ms);

/* What was published, which lives as long as the pipeline; NULL where none is kept. */
struct history *pipeline_history(const struct pipeline *self);

/* The last values of all objects, which live as long as the pipeline; NULL where none are kept. */
struct state *pipeline_state(const struct pipeline *self);

uint64_t pipeline_epoch(const struct pipeline *self);

/* The last event's number; 0 before the first. */
uint64_t pipeline_seq(const struct pipeline *self);

#endif
