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

static void connect_failed(struct link *link, const char *detail, bool is_refusal)
{
    metrics_add(METRIC_CONNECTS_FAILED, 1);
    log_warning("node_connect_failed", "%s: %s:%u: %s", link->label, link->node->host,
                link->node->port, detail);
    link_tell_down(link, detail);
    link_retry_later(link, is_refusal);
}

static const struct ws_handler link_ws_handler;

static void on_connect_timeout(lws_sorted_usec_list_t *sul);

static void time_out_in(struct link *link, uint64_t wait_ms)
{
    lws_sul_schedule(link->environment->context, 0, &link->timer, on_connect_timeout,
                     (lws_usec_t)(wait_ms * LWS_US_PER_MS));
}

/* Tries the next of the addresses. Each has its share of the time that is left, so that one that
 * does not answer cannot use up that of the others. */
static void connect_next(struct link *link)
{
    uint64_t now_ms = clock_monotonic_ms();
    uint64_t left_ms = link->connect_by_ms > now_ms ? link->connect_by_ms - now_ms : 1;
    time_out_in(link, left_ms / (link->addresses.count - link->address_next) + 1);
    link_set_state(link, LINK_CONNECTING);
    link->target.address = link->addresses.address[link->address_next++];
    if (ws_open(&link->target, link->events_path, &link_ws_handler, link, &link->ws) != ARIZMQ_OK) {
        connect_failed(link, "no memory", false);
    }
}

static void address_failed(struct link *link, const char *detail)
{
    if (link->address_next < link->addresses.count) {
        log_debug("node_address_failed", "%s: %s: %s", link->label, link->target.address, detail);
        connect_next(link);
    } else {
        connect_failed(link, detail, false);
    }
}

static void on_resolved(void *owner, const struct resolve_answer *answer)
{
    struct link *link = owner;
    link->question = NULL;
    if (link->state != LINK_RESOLVING) {
        return; /* it came too late for its attempt; the next one asks again */
    }
    if (answer->count == 0) {
        connect_failed(link, answer->error, false);
        return;
    }
    link->addresses = *answer;
    link->address_next = 0;
    connect_next(link);
}

static void on_connect_timeout(lws_sorted_usec_list_t *sul)
{
    struct link *link = lws_container_of(sul, struct link, timer);
    static const char detail[] = "no connection within connect_timeout_ms";
    if (link->state == LINK_RESOLVING) {
        connect_failed(link, detail, false); /* the question goes on; see link_connect() */
    } else {
        ws_abandon(&link->ws);
        address_failed(link, detail);
    }
}

void link_connect(struct link *self)
{
    self->attempt++;
    if (self->state == LINK_STANDBY) {
        link_tell_down(self, "connecting again; another client had taken the application");
    }
    self->connect_by_ms = clock_monotonic_ms() + self->node->connect_timeout_ms;
    link_set_state(self, LINK_RESOLVING);
    time_out_in(self, self->node->connect_timeout_ms);
    /* A question that outlasted its attempt is still good, and there is never more than one. */
    if (self->question == NULL && resolver_ask(self->environment->resolver, self->node->host,
                                               on_resolved, self, &self->question) != ARIZMQ_OK) {
        connect_failed(self, "no thread to resolve the name in", false);
    }
}

/* --- what the WebSocket tells */

static void on_opened(void *owner)
{
    struct link *link = owner;
    lws_sul_cancel(&link->timer);
    link_set_state(link, LINK_UP);
    link->up_since_ms = clock_monotonic_ms();
    metrics_add(METRIC_CONNECTS, 1);
    log_info("node_connected", "%s: connected to %s:%u (attempt %u)", link->label, link->node->host,
             link->node->port, link->attempt);
    json_t *json = own_event_create("ArizmqNodeConnected", link->application, link->node->name,
                                    clock_wall_ns());
    json_object_set_new(json, "attempt", json_integer(link->attempt));
    json_object_set_new(json, "reconnect", json_boolean(link->was_up));
    pipeline_publish_own(link->environment->pipeline, link->node->name, json);
    link->attempt = 0;
    link->was_up = true;
    link->is_replaced = false;
    link_watch_start(link);
    link_subscribe_start(link);
}

static void on_message(void *owner, const char *text, size_t length, uint64_t received_ns)
{
    struct link *link = owner;
    pipeline_receive(link->environment->pipeline, &link->source, text, length, received_ns);
}

static void on_refused(void *owner, enum ws_refusal why, uint64_t length)
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
    struct link *link = owner;
    tally_add(link->source.tally, TALLY_RECEIVED);
    tally_add(link->source.tally, refusals[why].entry);
    metrics_add(refusals[why].metric, 1);
    log_warning("event_refused", "%s: an event of %llu bytes was discarded: %s", link->label,
                (unsigned long long)length, refusals[why].limit);
    json_t *json =
        own_event_create("ArizmqRefused", link->application, link->node->name, clock_wall_ns());
    json_object_set_new(json, "limit", json_string(refusals[why].limit));
    json_object_set_new(json, "allowed",
                        why == WS_REFUSED_SIZE
                            ? json_integer((json_int_t)link->target.max_message_bytes)
                            : json_null());
    json_object_set_new(json, "size", json_integer((json_int_t)length));
    pipeline_publish_own(link->environment->pipeline, link->node->name, json);
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

static void connect_ended(struct link *link, const struct ws_ended *how)
{
    if (how->end != WS_END_REFUSED) {
        address_failed(link, how->detail);
        return;
    }
    metrics_add(METRIC_CONNECTS_REFUSED, 1);
    const char *advice = "";
    if (how->code == 401) {
        advice = ": check username and password of this node";
    } else if (how->code == 403) {
        advice = ": this user may not do that; check ari.conf";
    } else if (how->code == 404) {
        advice = ": check the url's path and that res_ari is loaded";
    }
    char detail[sizeof how->detail + 80];
    snprintf(detail, sizeof detail, "Asterisk answered %s%s", how->detail, advice);
    /* Trying harder will not change a 401 or 403; a 404 or 500 may be an Asterisk that still
     * starts. */
    connect_failed(link, detail, how->code == 401 || how->code == 403);
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
    case LINK_CONNECTING:
        connect_ended(link, how);
        break;
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

static const struct ws_handler link_ws_handler = {on_opened, on_message, on_refused, on_heard,
                                                  on_ended};

/* --- what the pipeline asks */

static bool on_response(void *owner, const struct event *event)
{
    struct link *link = owner;
    struct scan scan;
    if (scan_object(event->text.bytes, event->text.length, &scan) != ARIZMQ_OK) {
        return false;
    }
    const struct span *value = scan_find(&scan, "request_id", 10);
    if (value == NULL || value->length < 2 || value->bytes[0] != '"') {
        return false;
    }
    /* No escape can stand in an id of ours, so the text between the quotes is it. */
    struct span request_id = {value->bytes + 1, value->length - 2};
    return link_watch_takes_response(link, &request_id) ||
           link_command_takes_response(link, &request_id, event);
}

static void on_application_replaced(void *owner, const struct event *event)
{
    struct link *link = owner;
    if (event->application.length == strlen(link->application) &&
        memcmp(event->application.bytes, link->application, event->application.length) == 0) {
        link_close_replaced(link);
    }
}

/* --- life */

/* Pauses double from backoff_min_ms up to backoff_max_ms. */
static void prepare_retry(struct link *link)
{
    uint64_t delay_ms = link->node->backoff_min_ms;
    unsigned count = 0;
    while (count < LINK_RETRY_STEPS_MAX - 1 && delay_ms < link->node->backoff_max_ms) {
        link->retry_table[count++] = (uint32_t)delay_ms;
        delay_ms *= 2;
    }
    link->retry_table[count++] = link->node->backoff_max_ms;
    link->retry = (lws_retry_bo_t){.retry_ms_table = link->retry_table,
                                   .retry_ms_table_count = (uint16_t)count,
                                   .conceal_count = LWS_RETRY_CONCEAL_ALWAYS,
                                   .jitter_percent = JITTER_PERCENT};
}

static char *print_authorization(const struct config_node *node)
{
    size_t size = 16 + (strlen(node->username) + strlen(node->password) + 1) * 2;
    char *value = malloc(size);
    if (value != NULL &&
        lws_http_basic_auth_gen(node->username, node->password, value, size) != 0) {
        free(value);
        value = NULL;
    }
    return value;
}

static int prepare_paths(struct link *link)
{
    char name[512];
    lws_urlencode(name, link->application, sizeof name);
    if (asprintf(&link->label, "%s/%s", link->node->name, link->application) < 0 ||
        asprintf(&link->application_path, "%s/applications/%s", link->node->path, name) < 0 ||
        asprintf(&link->subscribe_path,
                 "%s/subscription?eventSource=channel:,bridge:,endpoint:,deviceState:",
                 link->application_path) < 0 ||
        asprintf(&link->unsubscribe_path,
                 "%s/subscription?eventSource=deviceState:", link->application_path) < 0 ||
        asprintf(&link->events_path, "%s/events?app=%s%s", link->node->path, name,
                 link->hears_all ? "&subscribeAll=true" : "") < 0) {
        return ARIZMQ_ENOMEM;
    }
    link->authorization = print_authorization(link->node);
    return link->authorization != NULL ? ARIZMQ_OK : ARIZMQ_ENOMEM;
}

int link_create(const struct link_environment *environment, unsigned node_index,
                unsigned application_index, struct lws_vhost *vhost, struct link **out)
{
    const struct config_node *node = &environment->config->nodes[node_index];
    struct link *link = calloc(1, sizeof *link);
    if (link == NULL) {
        return ARIZMQ_ENOMEM;
    }
    link->environment = environment;
    link->node = node;
    link->application = node->apps[application_index];
    link->node_index = node_index;
    link->application_index = application_index;
    link->told = FEED_LINK_DOWN;
    link->hears_all =
        node->subscribe_all && strcmp(node->subscribe_all_app, link->application) == 0;
    if (prepare_paths(link) != ARIZMQ_OK) {
        link_destroy(&link);
        return ARIZMQ_ENOMEM;
    }
    prepare_retry(link);
    link->target = (struct target){
        .context = environment->context,
        .vhost = vhost,
        .host = node->host,
        .port = node->port,
        .use_tls = node->use_tls,
        .verify = node->tls.verify,
        .authorization = link->authorization,
        .max_message_bytes = environment->config->limits.max_event_bytes,
    };
    link->source = (struct pipeline_source){
        .node = node->name,
        .node_index = node_index,
        .tally = tally_open(node->name, link->application),
        .takes_response = on_response,
        .application_replaced = on_application_replaced,
        .owner = link,
    };
    if (link->source.tally == NULL) {
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
    link_drop_commands(link);
    if (link->question != NULL) {
        resolver_cancel(link->environment->resolver, &link->question);
    }
    ws_abandon(&link->ws);
    free(link->label);
    free(link->events_path);
    free(link->application_path);
    free(link->subscribe_path);
    free(link->unsubscribe_path);
    free(link->authorization);
    free(link);
}

void link_start(struct link *self)
{
    link_connect(self);
}

void link_stop(struct link *self)
{
    switch (self->state) {
    case LINK_UP:
        link_close(self, LINK_STOPPING, "the bridge is stopping");
        break;
    case LINK_CLOSING:
        self->is_stopping = true; /* on its way already, for a reason of its own */
        break;
    case LINK_STOPPED:
        break;
    default:
        lws_sul_cancel(&self->timer);
        resolver_cancel(self->environment->resolver, &self->question);
        rest_cancel(&self->rest);
        ws_abandon(&self->ws);
        link_tell_end(self, LINK_STOPPING, "the bridge is stopping");
        link_set_state(self, LINK_STOPPED);
        break;
    }
}

bool link_is_stopped(const struct link *self)
{
    return self->state == LINK_STOPPED;
}
