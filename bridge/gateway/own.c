/* SPDX-License-Identifier: MPL-2.0 */
/*
 * GET arizmq/info and GET arizmq/nodes: JSON made from the configuration and the fleet.
 * command_own.c asks here before it asks any Asterisk. Passwords are in none of it.
 */
#include "gateway/own.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "arizmq/error.h"
#include "base/clock.h"
#include "gateway/body.h"
#include "ops/metrics.h"
#include "ops/tally.h"

static json_t *timestamp(uint64_t wall_ns)
{
    char text[CLOCK_TIMESTAMP_SIZE];
    clock_format_timestamp(wall_ns, text);
    return json_string(text);
}

static json_t *number(uint64_t value)
{
    return json_integer((json_int_t)value);
}

/* --- arizmq/info */

static json_t *print_views(const struct config *config)
{
    json_t *views = json_array();
    for (unsigned i = 0; i < config->publish_count; i++) {
        const struct config_publish *publish = &config->publish[i];
        json_array_append_new(
            views,
            json_pack("{s:s, s:s, s:s, s:i}", "view", config_view_name(publish->view), "endpoint",
                      publish->endpoint, "topic",
                      publish->topic != NULL ? publish->topic : config_view_topic(publish->view),
                      "sndhwm", (int)publish->sndhwm));
    }
    return views;
}

static json_t *print_history(const struct own *self)
{
    json_t *object = json_object();
    json_object_set_new(object, "oldest", number(history_oldest(self->history)));
    json_object_set_new(object, "newest", number(history_newest(self->history)));
    json_object_set_new(object, "events", number(metrics_get(METRIC_HISTORY_EVENTS)));
    json_object_set_new(object, "bytes", number(metrics_get(METRIC_HISTORY_BYTES)));
    json_object_set_new(object, "max_bytes", number(metrics_get(METRIC_HISTORY_MAX_BYTES)));
    json_object_set_new(object, "max_age_ms", number(metrics_get(METRIC_HISTORY_MAX_AGE_MS)));
    return object;
}

static json_t *print_run(const struct journal_extent *run, uint64_t current)
{
    bool is_current = run->epoch == current;
    json_t *object = json_object();
    json_object_set_new(object, "epoch", number(run->epoch));
    json_object_set_new(object, "oldest", number(run->oldest));
    json_object_set_new(object, "newest",
                        number(is_current ? metrics_get(METRIC_JOURNAL_STORED_SEQ) : run->newest));
    json_object_set_new(object, "complete", json_boolean(!is_current && run->has_ended));
    return object;
}

static json_t *print_journal(const struct own *self)
{
    const struct journal_status *status = journal_source_status(self->journal);
    bool is_good = status == NULL || status->error[0] == '\0';
    json_t *epochs = json_array();
    for (unsigned i = 0; status != NULL && i < status->runs_count; i++) {
        json_array_append_new(epochs, print_run(&status->runs[i], history_epoch(self->history)));
    }
    json_t *object = json_object();
    json_object_set_new(object, "stored_seq", number(metrics_get(METRIC_JOURNAL_STORED_SEQ)));
    json_object_set_new(object, "state", json_string(is_good ? "writing" : "failing"));
    json_object_set_new(object, "last_error", is_good ? json_null() : json_string(status->error));
    json_object_set_new(object, "bytes", number(metrics_get(METRIC_JOURNAL_BYTES)));
    json_object_set_new(object, "epochs", epochs);
    return object;
}

static json_t *print_limits(const struct config *config)
{
    const struct config_gateway *gateway = &config->gateway;
    const struct {
        const char *key;
        uint64_t value;
    } limits[] = {
        {"limits.max_event_bytes", config->limits.max_event_bytes},
        {"limits.max_counters", config->limits.max_counters},
        {"limits.heartbeat_first_tokens", config->limits.heartbeat_first_tokens},
        {"limits.coalesce_ms", config->limits.coalesce_ms},
        {"limits.receive_buffer_bytes", config->limits.receive_buffer_bytes},
        {"gateway.timeout_ms", gateway->timeout_ms},
        {"gateway.max_timeout_ms", gateway->max_timeout_ms},
        {"gateway.answer_timeout_ms", gateway->answer_timeout_ms},
        {"gateway.max_requests", gateway->max_requests},
        {"gateway.max_requests_per_node", gateway->max_requests_per_node},
        {"gateway.max_request_bytes", gateway->max_request_bytes},
        {"gateway.max_body_bytes", gateway->max_body_bytes},
        {"gateway.max_request_line_bytes", gateway->max_request_line_bytes},
        {"gateway.max_reply_bytes", gateway->max_reply_bytes},
        {"gateway.max_objects", gateway->max_objects},
        {"gateway.feed_bytes", gateway->feed_bytes},
        {"gateway.once_window_ms", gateway->once_window_ms},
        {"gateway.once_max_requests", gateway->once_max_requests},
        {"gateway.once_max_bytes", gateway->once_max_bytes},
        {"gateway.takeover_timeout_ms", gateway->takeover_timeout_ms},
        {"history.max_bytes", config->history.max_bytes},
        {"history.max_age_ms", config->history.max_age_ms},
        {"history.max_page_messages", config->history.max_page_messages},
        {"history.max_page_bytes", config->history.max_page_bytes},
        {"history.max_unread_bytes", config->history.max_unread_bytes},
        {"journal.max_bytes", config->journal.max_bytes},
        {"journal.max_age_ms", config->journal.max_age_ms},
        {"journal.commit_ms", config->journal.commit_ms},
    };
    json_t *object = json_object();
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        json_object_set_new(object, limits[i].key, number(limits[i].value));
    }
    return object;
}

static json_t *print_reloads(void)
{
    uint64_t last_s = metrics_get(METRIC_LAST_RELOAD);
    json_t *reloads = json_object();
    json_object_set_new(reloads, "count", number(metrics_get(METRIC_RELOADS)));
    json_object_set_new(reloads, "refused", number(metrics_get(METRIC_RELOADS_REFUSED)));
    json_object_set_new(reloads, "last",
                        last_s > 0 ? timestamp(last_s * 1000000000U) : json_null());
    return reloads;
}

static json_t *print_info(const struct own *self)
{
    json_t *info = json_object();
    json_object_set_new(info, "version", json_string(ARIZMQ_VERSION));
    json_object_set_new(info, "epoch", number(history_epoch(self->history)));
    json_object_set_new(info, "seq", number(metrics_get(METRIC_SEQ)));
    json_object_set_new(info, "views", print_views(self->config));
    json_object_set_new(info, "gateway",
                        json_pack("{s:s}", "endpoint", self->config->gateway.endpoint));
    json_object_set_new(info, "history", print_history(self));
    json_object_set_new(info, "reloads", print_reloads());
    json_object_set_new(info, "journal", self->journal != NULL ? print_journal(self) : json_null());
    json_object_set_new(info, "limits", print_limits(self->config));
    return info;
}

/* --- arizmq/nodes */

static json_t *text_or_null(const char *text)
{
    return text != NULL && text[0] != '\0' ? json_string(text) : json_null();
}

/* What became of the messages of one application: the one side of the identity and the other. */
static json_t *print_events(const char *node, const char *application)
{
    struct tally_sums sums = {0};
    const struct tally *tally = tally_find(node, application);
    if (tally != NULL) {
        tally_read(tally, &sums);
    }
    json_t *refused = json_object();
    json_object_set_new(refused, "size", number(sums.value[TALLY_REFUSED_SIZE]));
    json_object_set_new(refused, "utf8", number(sums.value[TALLY_REFUSED_UTF8]));
    json_object_set_new(refused, "memory", number(sums.value[TALLY_REFUSED_MEMORY]));
    json_t *events = json_object();
    json_object_set_new(events, "received", number(sums.value[TALLY_RECEIVED]));
    json_object_set_new(events, "published", number(sums.value[TALLY_PUBLISHED]));
    json_object_set_new(events, "responses", number(sums.value[TALLY_RESPONSES]));
    json_object_set_new(events, "refused", refused);
    return events;
}

static json_t *print_app(const char *node, const char *name, const struct fleet_app *app)
{
    static const char *const states[] = {
        [FEED_LINK_DOWN] = "down", [FEED_LINK_UP] = "up", [FEED_LINK_STANDBY] = "standby"};
    json_t *object = json_object();
    json_object_set_new(object, "name", json_string(name));
    json_object_set_new(object, "state", json_string(states[app->state]));
    json_object_set_new(object, "since", timestamp(app->since_ns));
    json_object_set_new(object, "last_error", text_or_null(app->last_error));
    json_object_set_new(object, "events", print_events(node, name));
    return object;
}

/* What the application that was last in trouble says of it. */
static const char *last_error(const struct fleet_node *node)
{
    const struct fleet_app *last = NULL;
    for (unsigned i = 0; i < node->config->apps_count; i++) {
        const struct fleet_app *app = &node->apps[i];
        if (app->last_error[0] != '\0' && (last == NULL || app->since_ns > last->since_ns)) {
            last = app;
        }
    }
    return last != NULL ? last->last_error : NULL;
}

static json_t *print_node(const struct own *self, unsigned i)
{
    const struct fleet_node *node = &self->fleet->nodes[i];
    json_t *apps = json_array();
    for (unsigned k = 0; k < node->config->apps_count; k++) {
        json_array_append_new(apps,
                              print_app(node->config->name, node->config->apps[k], &node->apps[k]));
    }
    json_t *object = json_object();
    json_object_set_new(object, "name", json_string(node->config->name));
    json_object_set_new(object, "url", json_string(node->config->url));
    json_object_set_new(object, "state", json_string(fleet_is_up(self->fleet, i) ? "up" : "down"));
    json_object_set_new(object, "since", timestamp(node->since_ns));
    json_object_set_new(object, "version", text_or_null(node->version));
    json_object_set_new(object, "apps", apps);
    json_object_set_new(object, "calls", number(owners_calls(self->owners, i)));
    json_object_set_new(object, "events_per_s", json_real(node->events_per_s));
    json_object_set_new(object, "commands_per_s", json_real(node->commands_per_s));
    json_object_set_new(object, "commands", number(node->commands));
    json_object_set_new(object, "failures", number(node->failures));
    json_object_set_new(object, "under_way", number(node->under_way));
    json_object_set_new(object, "queued", number(transport_queued(self->transport, i)));
    json_object_set_new(object, "last_error", text_or_null(last_error(node)));
    return object;
}

static json_t *print_nodes(const struct own *self)
{
    json_t *nodes = json_array();
    for (unsigned i = 0; i < self->fleet->slots; i++) {
        if (fleet_has_node(self->fleet, i)) {
            json_array_append_new(nodes, print_node(self, i));
        }
    }
    return json_pack("{s:o}", "nodes", nodes);
}

/* --- which of them */

static const struct {
    const char *uri;
    json_t *(*print)(const struct own *self);
    enum own_result result;
} resources[] = {
    {"arizmq/info", print_info, OWN_ANSWERED},
    {"arizmq/nodes", print_nodes, OWN_ANSWERED},
    {"arizmq/history", NULL, OWN_HISTORY},
    {"arizmq/snapshot", NULL, OWN_SNAPSHOT},
};

bool own_is_meant(const struct request *request)
{
    static const char prefix[] = "arizmq";
    size_t length = sizeof prefix - 1;
    return strncmp(request->uri, prefix, length) == 0 &&
           (request->uri[length] == '/' || request->uri[length] == '\0');
}

static void refuse(enum reply_error error, const char *message, struct reply *reply,
                   zmq_msg_t *body)
{
    reply->status_code = reply_error_status(error);
    reply->reason_phrase = reply_error_reason(error);
    reply->error = reply_error_word(error);
    body_from_error(message, body);
}

enum own_result own_answer(const struct own *self, const struct request *request,
                           struct reply *reply, zmq_msg_t *body)
{
    *reply = (struct reply){.source = "bridge", .content_type = "application/json"};
    for (size_t i = 0; i < sizeof resources / sizeof *resources; i++) {
        if (strcmp(request->uri, resources[i].uri) != 0) {
            continue;
        }
        if (strcmp(request->method, "GET") != 0) {
            refuse(REPLY_BAD_METHOD, "this resource of the bridge knows GET only", reply, body);
            return OWN_ANSWERED;
        }
        if (resources[i].print == NULL) {
            return resources[i].result;
        }
        json_t *json = resources[i].print(self);
        char *text = json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(6));
        json_decref(json);
        if (text == NULL || body_from_text(text, strlen(text), body) != ARIZMQ_OK) {
            refuse(REPLY_OVERLOADED, "no memory", reply, body);
            return OWN_ANSWERED;
        }
        reply->status_code = 200;
        reply->reason_phrase = "OK";
        return OWN_ANSWERED;
    }
    refuse(REPLY_NO_SUCH_RESOURCE,
           "the bridge's own resources are arizmq/info, arizmq/nodes, arizmq/history, "
           "arizmq/snapshot and arizmq/takeover",
           reply, body);
    return OWN_ANSWERED;
}
