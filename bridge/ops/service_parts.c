/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What the running daemon is put together from, in the order in which each finds what it needs; and
 * what becomes of it when the configuration has been read again, or another bridge takes over.
 */
#include <stdio.h>

#include <czmq.h>

#include "arizmq/error.h"
#include "gateway/post.h"
#include "ops/log.h"
#include "ops/metrics.h"
#include "ops/service_private.h"

/* The configured bounds stand among the metrics, beside what they bound. */
static void show_bounds(const struct config *config)
{
    metrics_set(METRIC_COUNTERS_MAX, config->limits.max_counters);
    metrics_set(METRIC_EVENT_BYTES_MAX, config->limits.max_event_bytes);
    metrics_set(METRIC_RECEIVE_BUFFER_BYTES, config->limits.receive_buffer_bytes);
    metrics_set(METRIC_HEARTBEAT_FIRST_TOKENS_MAX, config->limits.heartbeat_first_tokens);
    metrics_set(METRIC_COALESCE_MS, config->limits.coalesce_ms);
    metrics_set(METRIC_STOP_TIMEOUT_MS, config->stop_timeout_ms);
}

/* --- takeover */

static void on_ceded(void *owner)
{
    service_begin_stop(owner, "another bridge has taken over");
}

/* The gateway's thread, and its two ways to the event thread. */
static int create_gateway(struct service *service, char *error, size_t error_size)
{
    snprintf(error, error_size, "no memory for the gateway (gateway.feed_bytes is %u)",
             service->config->gateway.feed_bytes);
    int result = post_create(service->config, service->context, &service->post);
    if (result != ARIZMQ_OK) {
        return result;
    }
    post_set_reader(service->post, POST_COMMAND, nodes_send_command, service->nodes);
    struct cede_parts parts = {.context = service->context,
                               .nodes = service->nodes,
                               .pipeline = service->pipeline,
                               .feed = service->feed,
                               .is_over = on_ceded,
                               .owner = service};
    result = cede_create(&parts, service->config, &service->cede);
    if (result != ARIZMQ_OK) {
        return result;
    }
    post_set_reader(service->post, POST_TAKEOVER, cede_read_letter, service->cede);
    service->walker = snapshot_walker_create(service->context, service->pipeline, service->feed);
    if (service->walker == NULL) {
        return ARIZMQ_ENOMEM;
    }
    post_set_reader(service->post, POST_SNAPSHOT, snapshot_walker_read, service->walker);
    return gateway_create(service->config, service->feed, service->post,
                          pipeline_history(service->pipeline), journal_source(service->journal),
                          &service->gateway, error, error_size);
}

/* A bridge that takes over may name the journal of the one that it replaces, which holds it until
 * its end; history keeps what comes until then. */
static int create_journal(struct service *service, char *error, size_t error_size)
{
    enum journal_lock lock = service->assume != NULL ? JOURNAL_MAY_WAIT : JOURNAL_MUST_LOCK;
    int result = journal_create(&service->config->journal, pipeline_history(service->pipeline),
                                lock, &service->journal, error, error_size);
    if (result == ARIZMQ_OK) {
        result = journal_start(service->journal);
        if (result != ARIZMQ_OK) {
            snprintf(error, error_size, "cannot start the journal's thread");
        }
    }
    return result == ARIZMQ_EIO ? ARIZMQ_EINVALID : result; /* no clash of endpoints */
}

static int start_gateway(struct service *service, char *error, size_t error_size)
{
    post_set_reader(service->post, POST_CONFIG_TAKEN, reload_read_taken, service->reload);
    post_set_reader(service->post, POST_NODE_CLEAR, reload_read_clear, service->reload);
    int result = gateway_start(service->gateway);
    if (result != ARIZMQ_OK) {
        snprintf(error, error_size, "cannot start the gateway's thread");
    }
    return result;
}

/* --- reload */

static const char *why_no_reload(void *owner)
{
    const struct service *service = owner;
    if (service->stop_by_ms != 0) {
        return "the bridge is stopping";
    }
    if (service->cede != NULL && cede_is_under_way(service->cede)) {
        return "another bridge is taking over";
    }
    return assume_is_under_way(service->assume) ? "this bridge is taking over" : NULL;
}

static void on_reloaded(void *owner, const struct config *config)
{
    struct service *service = owner;
    bool beats_otherwise = config->heartbeat_ms != service->config->heartbeat_ms;
    config_release(&service->config);
    service->config = config_hold(config);
    if (beats_otherwise) {
        service_beat_again(service);
    }
    if (service->cede != NULL) {
        cede_set_config(service->cede, config);
    }
    if (service->journal != NULL) {
        journal_set_config(service->journal, &config->journal);
    }
    show_bounds(config);
}

static int create_reload(struct service *service)
{
    struct reload_parts parts = {.context = service->context,
                                 .source = service->source,
                                 .pipeline = service->pipeline,
                                 .nodes = service->nodes,
                                 .gateway = service->gateway,
                                 .why_not = why_no_reload,
                                 .applied = on_reloaded,
                                 .owner = service};
    return reload_create(&parts, service->config, &service->reload);
}

/* --- all of it */

int service_create_parts(struct service *self, char *error, size_t error_size)
{
    zsys_handler_set(NULL); /* or CZMQ would take SIGTERM and SIGINT for itself */
    zsys_set_io_threads((size_t)self->config->io_threads);
    show_bounds(self->config);
    bool has_gateway = self->config->gateway.enabled;
    int result = ARIZMQ_OK;
    if (self->options->takeover != NULL) {
        result =
            assume_create(self->config, self->options->takeover, &self->assume, error, error_size);
        if (result != ARIZMQ_OK) {
            return result;
        }
    }
    if (has_gateway && (result = feed_create(self->config, &self->feed)) != ARIZMQ_OK) {
        snprintf(error, error_size, "no memory for the gateway (gateway.feed_bytes is %u)",
                 self->config->gateway.feed_bytes);
        return result;
    }
    result = pipeline_create(self->config, self->feed, &self->pipeline, error, error_size);
    if (result == ARIZMQ_OK && self->config->journal.path != NULL) {
        result = create_journal(self, error, error_size);
    }
    if (result == ARIZMQ_OK) {
        result = nodes_create(self->context, self->vhost, self->config, self->pipeline, self->feed,
                              &self->nodes, error, error_size);
    }
    if (result == ARIZMQ_OK && has_gateway) {
        result = create_gateway(self, error, error_size);
    }
    if (result == ARIZMQ_OK) {
        result = create_reload(self);
    }
    return result == ARIZMQ_OK && has_gateway ? start_gateway(self, error, error_size) : result;
}
