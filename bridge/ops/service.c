/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The running daemon: puts libwebsockets' loop, the pipeline and the nodes together, beats once a
 * second, has the configuration read again on SIGHUP, and on SIGTERM takes them apart again in the
 * order that loses nothing: links first, while their last events are still published, then
 * ArizmqStopping, then a last heartbeat. main.c calls it. Everything here runs in the event thread;
 * the gateway has a thread of its own.
 */
#include "ops/service.h"

#include <errno.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <czmq.h>

#include "arizmq/error.h"
#include "base/clock.h"
#include "ops/file_limit.h"
#include "ops/log.h"
#include "ops/metrics.h"
#include "ops/service_private.h"
#include "publish/own_event.h"

enum {
    ERROR_SIZE = 512,
    SUBSCRIPTIONS_EVERY_MS = 100,
    STOP_POLL_MS = 5,
};

static void again_in(struct service *service, lws_sorted_usec_list_t *sul, sul_cb_t callback,
                     uint32_t wait_ms)
{
    lws_sul_schedule(service->context, 0, sul, callback, (lws_usec_t)wait_ms * LWS_US_PER_MS);
}

static void on_beat(lws_sorted_usec_list_t *sul)
{
    struct service *service = lws_container_of(sul, struct service, beat);
    if (service->is_done) {
        return; /* the last one has been sent */
    }
    service_beat_again(service);
    pipeline_beat(service->pipeline);
    journal_watch(service->journal);
}

void service_beat_again(struct service *self)
{
    again_in(self, &self->beat, on_beat, self->config->heartbeat_ms);
}

static void on_subscriptions(lws_sorted_usec_list_t *sul)
{
    struct service *service = lws_container_of(sul, struct service, subscriptions);
    again_in(service, sul, on_subscriptions, SUBSCRIPTIONS_EVERY_MS);
    pipeline_read_subscriptions(service->pipeline);
}

/* Commands under way may still need the links, and their events are still published: the links are
 * left only when the gateway has ended. */
static bool gateway_has_ended(struct service *service)
{
    return service->gateway == NULL || gateway_is_stopped(service->gateway);
}

/* Nothing is published any more. Subscribers and the journal have what the stop has left of its
 * time, at least a quarter of it. */
static void begin_drain(struct service *service)
{
    uint64_t now_ms = clock_monotonic_ms();
    uint64_t least_ms = now_ms + service->config->stop_timeout_ms / 4;
    service->drain_by_ms = service->stop_by_ms > least_ms ? service->stop_by_ms : least_ms;
    if (service->journal != NULL) {
        journal_stop(service->journal, (uint32_t)(service->drain_by_ms - now_ms));
    }
}

static void on_stopping(lws_sorted_usec_list_t *sul)
{
    struct service *service = lws_container_of(sul, struct service, stopping);
    if (!service->links_are_stopping && gateway_has_ended(service)) {
        service->links_are_stopping = true;
        nodes_stop(service->nodes);
    }
    /* The last quarter belongs to the subscribers, who are still to get what is under way. */
    bool is_late =
        clock_monotonic_ms() + service->config->stop_timeout_ms / 4 >= service->stop_by_ms;
    if (!nodes_are_stopped(service->nodes) && !is_late) {
        again_in(service, sul, on_stopping, STOP_POLL_MS);
        return;
    }
    if (!nodes_are_stopped(service->nodes)) {
        log_warning("stop_timeout", "not all links closed in time (stop_timeout_ms is %u); leaving",
                    service->config->stop_timeout_ms);
        nodes_abort(service->nodes);
    }
    json_t *json = own_event_create("ArizmqStopping", "-", "-", clock_wall_ns());
    json_object_set_new(json, "epoch", json_integer((json_int_t)pipeline_epoch(service->pipeline)));
    json_object_set_new(json, "seq", json_integer((json_int_t)pipeline_seq(service->pipeline)));
    const json_t *successor = service->cede != NULL ? cede_successor(service->cede) : NULL;
    json_object_set_new(json, "successor",
                        successor != NULL ? json_deep_copy(successor) : json_null());
    pipeline_publish_own(service->pipeline, "-", json);
    pipeline_beat(service->pipeline);
    begin_drain(service);
    service->is_done = true;
    lws_cancel_service(service->context);
}

void service_begin_stop(struct service *self, const char *why)
{
    if (self->stop_by_ms != 0) {
        return;
    }
    if (self->cede != NULL) {
        cede_stop(self->cede);
    }
    self->stop_by_ms = clock_monotonic_ms() + self->config->stop_timeout_ms;
    if (self->gateway != NULL) {
        gateway_stop(self->gateway, self->config->stop_timeout_ms / 4);
    }
    /* Said only now: whoever has read it finds new commands refused. */
    log_info("stopping", "%s: closing %u node(s), at most %u ms", why,
             config_count_nodes(self->config), self->config->stop_timeout_ms);
    again_in(self, &self->stopping, on_stopping, STOP_POLL_MS);
}

static void on_not_assumed(void *owner)
{
    struct service *service = owner;
    service->has_failed = true;
    service_begin_stop(service, "the takeover has failed");
}

static int service_start(struct service *service)
{
    char error[ERROR_SIZE] = "no memory for the event loop";
    file_limit_raise();
    int result = file_limit_check(service->config, error, sizeof error);
    if (result == ARIZMQ_OK) {
        result = service_create_context(service);
    }
    if (result == ARIZMQ_OK) {
        result = service_adopt_signals(service);
        if (result != ARIZMQ_OK) {
            snprintf(error, sizeof error, "cannot take over the signals: %s", strerror(errno));
        }
    }
    if (result == ARIZMQ_OK) {
        result = service_create_parts(service, error, sizeof error);
    }
    if (result != ARIZMQ_OK) {
        bool is_clash = result == ARIZMQ_EIO && service->assume != NULL;
        log_error("start_failed", "%s%s", error,
                  is_clash ? "; a bridge that takes over needs endpoints of its own" : "");
        return result;
    }
    service_beat_again(service);
    again_in(service, &service->subscriptions, on_subscriptions, SUBSCRIPTIONS_EVERY_MS);
    if (service->assume != NULL) {
        struct assume_parts parts = {.context = service->context,
                                     .config = service->config,
                                     .nodes = service->nodes,
                                     .epoch = pipeline_epoch(service->pipeline),
                                     .has_failed = on_not_assumed,
                                     .owner = service};
        assume_begin(service->assume, &parts, service->options->takeover_wait_ms);
    } else {
        nodes_start(service->nodes);
    }
    malloc_trim(0); /* what reading the configuration took */
    return ARIZMQ_OK;
}

/* After a turn that brought little: what comes meanwhile is read in one go by the next. One that
 * brought more has not read all there is, and a rest would hold it up. */
static void rest_after_events(struct service *service)
{
    enum { LITTLE_BYTES = 16384 };
    uint64_t bytes = metrics_get(METRIC_EVENT_BYTES);
    uint64_t brought = bytes - service->bytes_seen;
    service->bytes_seen = bytes;
    uint32_t coalesce_ms = service->config->limits.coalesce_ms;
    if (coalesce_ms > 0 && brought > 0 && brought < LITTLE_BYTES) {
        struct timespec rest = {.tv_nsec = (long)coalesce_ms * 1000000};
        nanosleep(&rest, NULL); /* nothing wakes it: signals are blocked */
    }
}

static int linger_ms(const struct service *service)
{
    uint64_t now = clock_monotonic_ms();
    if (service->drain_by_ms == 0) { /* it has not ended in good order */
        return (int)(service->config->stop_timeout_ms / 4);
    }
    return service->drain_by_ms > now ? (int)(service->drain_by_ms - now) : 0;
}

int service_run(const struct config *config, const struct config_source *source,
                const struct options *options)
{
    struct service service = {
        .config = config_hold(config), .source = source, .options = options, .signals = -1};
    int result = service_start(&service);
    while (result == ARIZMQ_OK && !service.is_done) {
        if (lws_service(service.context, 0) < 0) {
            log_error("loop_failed", "libwebsockets' loop has ended");
            result = ARIZMQ_EIO;
        }
        rest_after_events(&service);
    }
    gateway_destroy(&service.gateway);
    assume_destroy(&service.assume);
    cede_destroy(&service.cede);
    snapshot_walker_destroy(&service.walker);
    reload_destroy(&service.reload);
    nodes_destroy(&service.nodes);
    feed_destroy(&service.feed);
    post_destroy(&service.post);
    lws_sul_cancel(&service.beat);
    lws_sul_cancel(&service.subscriptions);
    lws_sul_cancel(&service.stopping);
    if (service.context != NULL) {
        lws_context_destroy(service.context);
    }
    bool is_stuck = journal_destroy(&service.journal) != ARIZMQ_OK;
    if (is_stuck) {
        pipeline_leave_history(service.pipeline);
    }
    uint64_t seq = service.pipeline != NULL ? pipeline_seq(service.pipeline) : 0;
    pipeline_destroy(&service.pipeline, linger_ms(&service));
    zsys_shutdown();
    config_release(&service.config);
    if (result == ARIZMQ_OK) {
        log_info("stopped", "last seq %llu", (unsigned long long)seq);
    }
    if (is_stuck) {
        _exit(result == ARIZMQ_OK && !service.has_failed ? EXIT_SUCCESS : EXIT_FAILURE);
    }
    return result == ARIZMQ_OK && !service.has_failed ? EXIT_SUCCESS : EXIT_FAILURE;
}
