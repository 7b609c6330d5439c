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
#include "ops/config.h"
#include "ops/tally.h"

struct pipeline;

/* Where an event came from. */
struct pipeline_source {
    const char *node;    /* the configured name; valid as long as the source */
    unsigned node_index; /* of config->nodes */
    struct tally *tally; /* what became of its messages */
    /* Asked about each RESTResponse: true where it answers one of the bridge's own requests, which
     * is then not published. */
    bool (*takes_response)(void *owner, const struct event *event);
    /* Told of each ApplicationReplaced, after it was published. */
    void (*application_replaced)(void *owner, const struct event *event);
    void *owner;
};

/* Binds the views of `config`, which is borrowed for the pipeline's life, as is `feed` (NULL: there
 * is no gateway, hence nobody who could ask for history, and where there is no journal either none
 * is kept). Returns ARIZMQ_OK; else ARIZMQ_E… with one line that names the endpoint and the reason
 * in error[error_size]. */
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

/* One heartbeat in every view; called every heartbeat_ms. What is too old leaves history. */
void pipeline_beat(struct pipeline *self);

/* Takes in what subscribers asked for; called several times a second. */
void pipeline_read_subscriptions(struct pipeline *self);

/* What was published, which lives as long as the pipeline; NULL where none is kept. */
struct history *pipeline_history(const struct pipeline *self);

/* Somebody may still read it, whom nobody can wait for: it is not freed with the pipeline. */
void pipeline_leave_history(struct pipeline *self);

uint64_t pipeline_epoch(const struct pipeline *self);

/* The last event's number; 0 before the first. */
uint64_t pipeline_seq(const struct pipeline *self);

#endif
