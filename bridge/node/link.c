/* SPDX-License-Identifier: MPL-2.0 */
/*
 * One application of one Asterisk, kept connected: name to address, connect, hand every message to
 * the pipeline, and when the connection is lost say so and begin again, for ever. The parts that
 * watch, subscribe, leave and tell are beside this file. nodes.c creates the links; everything runs
 * in the event thread and nothing waits in it.
 */
#include "node/link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"
#include "base/clock.h"
#include "node/link_private.h"
#include "ops/log.h"
#include "ops/metrics.h"
#include "publish/own_event.h"

enum { JITTER_PERCENT = 20 };

/* --- connecting */

static void on_retry(lws_sorted_usec_list_t *sul)
{
    link_connect(lws_container_of(sul, struct link, timer));
}

void link_retry_later(struct link *self, bool is_refusal)
{
    if (link_cede_holds(self, false)) {
        return;
    }
    lws_sul_cancel(&self->timer);
    if (is_refusal) { /* trying harder will not change the answer */
        self->retry_count = (uint16_t)self->retry.retry_ms_table_count;
    }
    self->retry_delay_ms =
        lws_retry_get_delay_ms(self->environment->context, &self->retry, &self->retry_count, NULL);
    link_set_state(self, LINK_WAITING);
    lws_sul_schedule(self->environment->context, 0, &self->timer, on_retry,
                     (lws_usec_t)self->retry_delay_ms * LWS_US_PER_MS);
    log_info("node_retry", "%s: next try in %u ms", self->label, self->retry_delay_ms);
}

void link_connect(struct link *self)
{
    link_successor_adopt(self);
    self->attempt++;
    if (self->state == LINK_STANDBY) {
        link_tell_down(self, "connecting again; another client had taken the application");
    }
    link_set_state(self, LINK_CONNECTING);
    dial_begin(&self->dial, &self->way, self->node->connect_timeout_ms);
}

static void on_dial_opened(void *owner, struct ws *ws)
{
    struct link *link = owner;
    unsigned attempt = link->attempt;
    bool is_handover = link->is_expected;
    link->attempt = 0;
    link->is_expected = false;
    link_set_up(link, ws, attempt, is_handover);
}

static void on_dial_failed(void *owner, const char *detail, bool is_refusal)
{
    struct link *link = owner;
    log_warning("node_connect_failed", "%s: %s:%u: %s", link->label, link->way.host,
                link->way.target.port, detail);
    link_tell_down(link, detail);
    link_retry_later(link, is_refusal);
}

static const struct dial_handler dial_handler = {on_dial_opened, on_dial_failed, NULL};

/* --- what the WebSocket tells */

static const struct ws_handler link_ws_handler;

void link_set_up(struct link *self, struct ws *ws, unsigned attempt, bool is_handover)
{
    self->ws = ws;
    ws_set_handler(ws, &link_ws_handler, self);
    link_set_state(self, LINK_UP);
    self->up_since_ms = clock_monotonic_ms();
    log_info(is_handover ? "handed_over" : "node_connected", "%s: connected to %s:%u (attempt %u)",
             self->label, self->way.host, self->way.target.port, attempt);
    json_t *json = own_event_create("ArizmqNodeConnected", self->application, self->node_name,
                                    clock_wall_ns());
    json_object_set_new(json, "attempt", json_integer(attempt));
    json_object_set_new(json, "reconnect", json_boolean(self->was_up && !is_handover));
    json_object_set_new(json, "handover", json_boolean(is_handover));
    pipeline_publish_own(self->environment->pipeline, self->node_name, json);
    self->was_up = true;
    self->is_replaced = false;
    self->is_taken_by_own = false;
    state_set_hears_all(self->source.state, self->way.hears_all);
    link_watch_start(self);
    link_subscribe_start(self);
}

void link_take_message(struct link *self, const struct pipeline_source *source, const char *text,
                       size_t length, uint64_t received_ns)
{
    pipeline_receive(self->environment->pipeline, source, text, length, received_ns);
}

static void on_message(void *owner, const char *text, size_t length, uint64_t received_ns)
{
    struct link *link = owner;
    link_take_message(link, &link->source, text, length, received_ns);
}

void link_take_refused(struct link *self, enum ws_refusal why, uint64_t length)
{
    static const struct {
        const char *limit;
        enum metric metric;
        enum tally_entry entry;
    } refusals[] = {
        [WS_REFUSED_SIZE] = {"max_event_bytes", METRIC_EVENTS_REFUSED_SIZE, TALLY_REFUSED_SIZE},
        [WS_REFUSED_UTF8] = {"utf8", METRIC_EVENTS_REFUSED_UTF8, TALLY_REFUSED_UTF8},
        [WS_REFUSED_MEMORY] = {"memory", METRIC_EVENTS_REFUSED_MEMORY, TALLY_REFUSED_MEMORY},
    };
    tally_add(self->source.tally, TALLY_RECEIVED);
    tally_add(self->source.tally, refusals[why].entry);
    metrics_add(refusals[why].metric, 1);
    log_warning("event_refused", "%s: an event of %llu bytes was discarded: %s", self->label,
                (unsigned long long)length, refusals[why].limit);
    json_t *json =
        own_event_create("ArizmqRefused", self->application, self->node_name, clock_wall_ns());
    json_object_set_new(json, "limit", json_string(refusals[why].limit));
    json_object_set_new(json, "allowed",
                        why == WS_REFUSED_SIZE
                            ? json_integer((json_int_t)self->way.target.max_message_bytes)
                            : json_null());
    json_object_set_new(json, "size", json_integer((json_int_t)length));
    pipeline_publish_own(self->environment->pipeline, self->node_name, json);
    state_doubt(self->source.state);
}

static void on_refused(void *owner, enum ws_refusal why, uint64_t length)
{
    link_take_refused(owner, why, length);
}

static void on_heard(void *owner, uint64_t received_ns)
{
    link_watch_heard(owner, received_ns);
}

void link_mark_incomplete(struct link *self)
{
    if (self->complete_until_ns == 0) {
        self->complete_until_ns = self->heard_wall_ns;
    }
}

static void on_ended(void *owner, const struct ws_ended *how)
{
    static const enum link_reason reasons[] = {
        [WS_END_UNREACHABLE] = LINK_CONNECTION_LOST,   [WS_END_REFUSED] = LINK_CONNECTION_LOST,
        [WS_END_LOST] = LINK_CONNECTION_LOST,          [WS_END_CLOSED] = LINK_CLOSED_BY_PEER,
        [WS_END_PROTOCOL_ERROR] = LINK_PROTOCOL_ERROR, [WS_END_NOT_UTF8] = LINK_INVALID_UTF8,
    };
    struct link *link = owner;
    link->ws = NULL;
    if (how->end == WS_END_PROTOCOL_ERROR) {
        metrics_add(METRIC_PROTOCOL_ERRORS, 1);
    }
    switch (link->state) {
    case LINK_CLOSING:
        link_close_ended(link);
        break;
    case LINK_UP:
        link_close_lost(link, reasons[how->end], how->detail);
        break;
    default:
        log_error("node_state", "%s: the connection ended in state %d", link->label,
                  (int)link->state);
        break;
    }
}

static const struct ws_handler link_ws_handler = {
    .message = on_message, .refused = on_refused, .heard = on_heard, .ended = on_ended};

/* --- what the pipeline asks */

bool link_response_id(const struct event *event, struct span *out)
{
    struct scan scan;
    if (scan_object(event->text.bytes, event->text.length, &scan) != ARIZMQ_OK) {
        return false;
    }
    const struct span *value = scan_find(&scan, "request_id", 10);
    if (value == NULL || value->length < 2 || value->bytes[0] != '"') {
        return false;
    }
    /* No escape can stand in an id of ours, so the text between the quotes is it. */
    *out = (struct span){value->bytes + 1, value->length - 2};
    return true;
}

static bool on_response(void *owner, const struct event *event)
{
    struct link *link = owner;
    struct span request_id;
    return link_response_id(event, &request_id) &&
           (link_watch_takes_response(link, &request_id) ||
            link_command_takes_response(link, &link->commands, &request_id, event));
}

bool link_is_of_application(const struct link *self, const struct event *event)
{
    return event->application.length == strlen(self->application) &&
           memcmp(event->application.bytes, self->application, event->application.length) == 0;
}

static void on_application_replaced(void *owner, const struct event *event)
{
    struct link *link = owner;
    if (link_is_of_application(link, event) && !link_cede_takes_replaced(link) &&
        !link_successor_takes_replaced(link)) {
        link_close_replaced(link);
    }
}

/* --- life */

/* Pauses double from backoff_min_ms up to backoff_max_ms. */
void link_prepare_retry(struct link *self)
{
    uint64_t delay_ms = self->node->backoff_min_ms;
    unsigned count = 0;
    while (count < LINK_RETRY_STEPS_MAX - 1 && delay_ms < self->node->backoff_max_ms) {
        self->retry_table[count++] = (uint32_t)delay_ms;
        delay_ms *= 2;
    }
    self->retry_table[count++] = self->node->backoff_max_ms;
    self->retry = (lws_retry_bo_t){.retry_ms_table = self->retry_table,
                                   .retry_ms_table_count = (uint16_t)count,
                                   .conceal_count = LWS_RETRY_CONCEAL_ALWAYS,
                                   .jitter_percent = JITTER_PERCENT};
}

/* Of its own, because the configuration may be another one later. */
static int write_names(struct link *link, const char *node, const char *application)
{
    link->node_name = strdup(node);
    link->application = strdup(application);
    if (asprintf(&link->label, "%s/%s", node, application) < 0) {
        link->label = NULL;
    }
    bool is_whole = link->node_name != NULL && link->application != NULL && link->label != NULL;
    return is_whole ? ARIZMQ_OK : ARIZMQ_ENOMEM;
}

static void link_free(struct link *link)
{
    link_way_release(&link->way);
    free(link->node_name);
    free(link->application);
    free(link->label);
    free(link);
}

int link_create(const struct link_environment *environment, const struct config_node *node,
                unsigned node_index, unsigned application_index, struct tls_host *tls,
                struct link **out)
{
    struct link *link = calloc(1, sizeof *link);
    if (link == NULL) {
        return ARIZMQ_ENOMEM;
    }
    link->environment = environment;
    link->node = node;
    link->node_index = node_index;
    link->application_index = application_index;
    link->told = FEED_LINK_DOWN;
    if (write_names(link, node->name, node->apps[application_index]) != ARIZMQ_OK) {
        link_free(link);
        return ARIZMQ_ENOMEM;
    }
    dial_init(&link->dial, environment, &dial_handler, link, link->label);
    if (link_way_create(environment, node, link->application, tls, &link->way) != ARIZMQ_OK) {
        link_destroy(&link);
        return ARIZMQ_ENOMEM;
    }
    link_prepare_retry(link);
    link->source = (struct pipeline_source){
        .node = link->node_name,
        .node_index = node_index,
        .tally = tally_open(link->node_name, link->application),
        .takes_response = on_response,
        .application_replaced = on_application_replaced,
        .owner = link,
    };
    struct state *state = pipeline_state(environment->pipeline);
    if (state != NULL) {
        link->source.state =
            state_open(state, link->node_name, link->application, link->way.hears_all);
    }
    link->reconcile = reconcile_create(link);
    if (link->reconcile == NULL || link->source.tally == NULL ||
        (state != NULL && link->source.state == NULL)) {
        link_destroy(&link);
        return ARIZMQ_ENOMEM;
    }
    *out = link;
    return ARIZMQ_OK;
}

void link_destroy(struct link **self)
{
    struct link *link = *self;
    *self = NULL;
    if (link == NULL) {
        return;
    }
    lws_sul_cancel(&link->timer);
    link_quiet(link);
    link_drop_commands(link, &link->commands);
    dial_cancel(&link->dial);
    ws_abandon(&link->ws);
    link_successor_destroy(link);
    link_leaving_abort(link);
    reconcile_destroy(&link->reconcile);
    state_close(&link->source.state);
    link_free(link);
}

void link_start(struct link *self)
{
    link_connect(self);
}

void link_end(struct link *self, enum link_reason reason, const char *detail)
{
    link_leaving_hurry(self);
    switch (self->state) {
    case LINK_UP:
        self->is_stopping = true;
        link_close(self, reason, detail);
        break;
    case LINK_CLOSING:
        self->is_stopping = true; /* on its way already, for a reason of its own */
        break;
    case LINK_STOPPED:
        break;
    default:
        lws_sul_cancel(&self->timer);
        dial_cancel(&self->dial);
        rest_cancel(&self->rest);
        link_tell_end(self, reason, detail);
        link_set_state(self, LINK_STOPPED);
        break;
    }
}

void link_stop(struct link *self)
{
    link_end(self, LINK_STOPPING, "the bridge is stopping");
}

bool link_is_stopped(const struct link *self)
{
    return self->state == LINK_STOPPED && self->leaving == NULL;
}
