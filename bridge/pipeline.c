/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Read this first: the path of one event, as a list of calls. A link (node/link.c) hands over the
 * bytes of one WebSocket message; event_read() finds type, application and objects in them; the
 * command thread is told of the objects (gateway/feed.c); the event gets the next number; the last
 * values of its objects are kept (keep/state.c); every view writes its topic, counts, stamps, puts
 * the message into history (keep/history.c) and sends it. The bytes that leave are the bytes that
 * came. Nothing here waits, for anybody.
 */
#include "pipeline_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zmq.h>

#include "arizmq/error.h"
#include "base/clock.h"
#include "ops/log.h"
#include "ops/metrics.h"
#include "publish/heartbeat.h"
#include "publish/own_event.h"

/* Says why view_create() refused publish[i]. */
static void pipeline_explain(const struct config_publish *publish, unsigned i, int result,
                             char *error, size_t error_size)
{
    switch (result) {
    case ARIZMQ_EINVALID:
        snprintf(error, error_size, "publish[%u]: \"%s\" is no topic template", i, publish->topic);
        break;
    case ARIZMQ_EIO:
        snprintf(error, error_size, "publish[%u]: cannot bind %s: %s", i, publish->endpoint,
                 zmq_strerror(errno));
        break;
    default:
        snprintf(error, error_size, "publish[%u]: no memory for the view on %s", i,
                 publish->endpoint);
        break;
    }
}

int pipeline_create_view(struct pipeline *self, const struct config *config, unsigned i,
                         struct view **out, char *error, size_t error_size)
{
    int result = view_create(&config->publish[i], &config->limits, self->epoch, self->history, out);
    if (result != ARIZMQ_OK) {
        pipeline_explain(&config->publish[i], i, result, error, error_size);
        return result;
    }
    log_info("view_bound", "view %s publishes on %s", view_name(*out), view_endpoint(*out));
    return ARIZMQ_OK;
}

int pipeline_create(const struct config *config, struct feed *feed, struct pipeline **out,
                    char *error, size_t error_size)
{
    struct pipeline *pipeline = calloc(1, sizeof *pipeline);
    snprintf(error, error_size, "no memory for the pipeline");
    if (pipeline == NULL) {
        return ARIZMQ_ENOMEM;
    }
    pipeline->config = config_hold(config);
    pipeline->feed = feed;
    pipeline->epoch = clock_wall_ns() / 1000U;
    pipeline->rest_response = objects_find_type("RESTResponse", 12);
    pipeline->application_replaced = objects_find_type("ApplicationReplaced", 19);
    int result = ARIZMQ_OK;
    if (feed != NULL) {
        result = history_create(&config->history, pipeline->epoch, &pipeline->history);
    }
    if (result == ARIZMQ_OK && config->state.enabled) {
        result = state_create(&config->state, &pipeline->state);
    }
    for (unsigned i = 0; result == ARIZMQ_OK && i < config->publish_count; i++) {
        result = pipeline_create_view(pipeline, config, i, &pipeline->views[i], error, error_size);
        pipeline->views_count += result == ARIZMQ_OK;
    }
    if (result != ARIZMQ_OK) {
        pipeline_destroy(&pipeline, 0);
        return result;
    }
    *out = pipeline;
    return ARIZMQ_OK;
}

void pipeline_destroy(struct pipeline **self, int linger_ms)
{
    if (*self == NULL) {
        return;
    }
    for (unsigned i = 0; i < (*self)->views_count; i++) {
        view_destroy(&(*self)->views[i], linger_ms);
    }
    history_destroy(&(*self)->history);
    state_destroy(&(*self)->state);
    config_release(&(*self)->config);
    free(*self);
    *self = NULL;
}

static void pipeline_count(const struct event *event)
{
    if (!event_is_parsed(event)) {
        metrics_add(METRIC_EVENTS_UNPARSED, 1);
    } else if (event->known->name == NULL && !event->is_own) {
        metrics_add(METRIC_EVENTS_UNKNOWN, 1);
    }
    if (event->members_dropped > 0) {
        metrics_add(METRIC_EVENTS_MEMBERS_DROPPED, event->members_dropped);
    }
    if (event->objects_dropped > 0) {
        metrics_add(METRIC_OBJECTS_DROPPED, event->objects_dropped);
    }
}

/* What is published where no memory could be had for something else, with the padding for the scan.
 */
static const char refused_text[256 + SCAN_PADDING] =
    "{\"type\":\"ArizmqRefused\",\"application\":\"-\",\"timestamp\":\"1970-01-01T00:00:00.000+"
    "0000\","
    "\"node\":\"-\",\"limit\":\"memory\",\"allowed\":null,\"size\":0}";

/* Numbers the event, folds it into the state of `link` (NULL: of none) and gives it to every view.
 * The bytes are copied once, here, because the
 * receive buffer is about to be used again; the views share that copy. Returns false where there
 * was no memory for it: then it was counted and not sent. */
static bool pipeline_publish(struct pipeline *pipeline, struct state_link *link,
                             struct event *event)
{
    zmq_msg_t copy;
    zmq_msg_t *payload = NULL;
    if (zmq_msg_init_size(&copy, event->text.length) == 0) {
        payload = &copy;
        memcpy(zmq_msg_data(payload), event->text.bytes, event->text.length);
    } else {
        log_error("event_refused", "%s: no memory for an event of %zu bytes; counted, not sent",
                  event->node, event->text.length);
    }
    event->seq = ++pipeline->seq;
    state_fold(link, event);
    /* Before the first message leaves: whoever receives it may ask for what follows it. */
    history_begin(pipeline->history, event->seq, event->received_ns, payload);
    metrics_set(METRIC_SEQ, event->seq);
    pipeline_count(event);
    for (unsigned i = 0; i < pipeline->views_count; i++) {
        view_publish(pipeline->views[i], event, payload);
    }
    history_commit(pipeline->history);
    if (payload != NULL) {
        zmq_msg_close(payload);
    }
    return payload != NULL;
}

/* `link`: whose object it tells of; NULL: of none, whatever it mentions. */
static void publish_own_text(struct pipeline *pipeline, const char *node, struct state_link *link,
                             const char *text, size_t length)
{
    struct event event;
    event_read(&event, text, length, node, clock_wall_ns());
    event.is_own = true;
    event.object_count = link != NULL ? event.object_count : 0;
    pipeline_publish(pipeline, link, &event);
    event_release(&event);
}

/* Tells of an event that there was no memory for. If there is none for this either, the counters
 * alone tell. */
static void publish_refused(struct pipeline *pipeline, const char *node)
{
    metrics_add(METRIC_EVENTS_REFUSED_MEMORY, 1);
    publish_own_text(pipeline, node, NULL, refused_text, strlen(refused_text));
}

void pipeline_receive(struct pipeline *self, const struct pipeline_source *source, const char *text,
                      size_t length, uint64_t received_ns)
{
    tally_add(source->tally, TALLY_RECEIVED);
    metrics_add(METRIC_EVENTS, 1);
    metrics_add(METRIC_EVENT_BYTES, length);
    struct event event;
    event_read(&event, text, length, source->node, received_ns);
    if (event.known == self->rest_response && source->takes_response(source->owner, &event)) {
        tally_add(source->tally, TALLY_RESPONSES);
        metrics_add(METRIC_EVENTS_OWN_RESPONSES, 1);
    } else {
        /* Before it is published: whoever sees it may name its objects in a command at once. */
        feed_event(self->feed, source->node_index, &event);
        if (pipeline_publish(self, source->state, &event)) {
            tally_add(source->tally, TALLY_PUBLISHED);
        } else {
            tally_add(source->tally, TALLY_REFUSED_MEMORY);
            publish_refused(self, source->node);
        }
        if (event.known == self->application_replaced) {
            source->application_replaced(source->owner, &event);
        }
    }
    event_release(&event);
}

void pipeline_publish_own(struct pipeline *self, const char *node, json_t *json)
{
    size_t length = 0;
    char *text = own_event_print(json, &length);
    if (text == NULL) {
        publish_refused(self, node);
        return;
    }
    publish_own_text(self, node, NULL, text, length);
    free(text);
}

void pipeline_publish_object(struct pipeline *self, const struct pipeline_source *source,
                             json_t *json, const char *member, struct span value)
{
    size_t length = 0;
    char *text = own_event_print_with(json, member, value, &length);
    if (text == NULL) {
        publish_refused(self, source->node);
        return;
    }
    publish_own_text(self, source->node, source->state, text, length);
    free(text);
}

void pipeline_beat(struct pipeline *self)
{
    for (unsigned i = 0; i < self->views_count; i++) {
        heartbeat_publish(self->views[i], self->epoch, self->seq,
                          self->config->limits.heartbeat_first_tokens);
        view_tidy(self->views[i]);
    }
    history_expire(self->history, clock_wall_ns());
    feed_flush(self->feed);
}

void pipeline_read_subscriptions(struct pipeline *self)
{
    for (unsigned i = 0; i < self->views_count; i++) {
        view_read_subscriptions(self->views[i]);
    }
}

struct history *pipeline_history(const struct pipeline *self)
{
    return self->history;
}

struct state *pipeline_state(const struct pipeline *self)
{
    return self->state;
}

uint64_t pipeline_epoch(const struct pipeline *self)
{
    return self->epoch;
}

uint64_t pipeline_seq(const struct pipeline *self)
{
    return self->seq;
}
