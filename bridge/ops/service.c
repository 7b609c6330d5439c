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
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <czmq.h>
#include <libwebsockets.h>

#include "arizmq/error.h"
#include "base/clock.h"
#include "gateway/feed.h"
#include "gateway/gateway.h"
#include "gateway/snapshot_walker.h"
#include "keep/journal.h"
#include "node/nodes.h"
#include "ops/assume.h"
#include "ops/cede.h"
#include "ops/file_limit.h"
#include "ops/log.h"
#include "ops/metrics.h"
#include "ops/reload.h"
#include "pipeline.h"
#include "publish/own_event.h"

enum {
    ERROR_SIZE = 512,
    SUBSCRIPTIONS_EVERY_MS = 100,
    STOP_POLL_MS = 5,
};

struct service {
    const struct config *config; /* held */
    const struct config_source *source;
    const struct options *options;
    struct lws_context *context;
    struct lws_vhost *vhost;
    struct feed *feed;              /* NULL: there is no gateway */
    struct post *post;              /* likewise */
    struct snapshot_walker *walker; /* likewise */
    struct gateway *gateway;        /* NULL: there is none */
    struct cede *cede;              /* likewise */
    struct assume *assume;          /* NULL: this bridge does not take over from another */
    struct pipeline *pipeline;
    struct journal *journal; /* NULL: there is none */
    struct nodes *nodes;
    struct reload *reload;
    int signals; /* a signalfd; libwebsockets closes it once it has adopted it */
    lws_sorted_usec_list_t beat;
    lws_sorted_usec_list_t subscriptions;
    lws_sorted_usec_list_t stopping;
    uint64_t stop_by_ms;  /* 0: not stopping */
    uint64_t drain_by_ms; /* for what was published to reach subscribers and disk */
    bool links_are_stopping;
    bool is_done;
    bool has_failed; /* the exit status says so */
};

static void again_in(struct service *service, lws_sorted_usec_list_t *sul, sul_cb_t callback,
                     uint32_t wait_ms)
{
    lws_sul_schedule(service->context, 0, sul, callback, (lws_usec_t)wait_ms * LWS_US_PER_MS);
}

static void on_beat(lws_sorted_usec_list_t *sul)
{
    struct service *service = lws_container_of(sul, struct service, beat);
    again_in(service, sul, on_beat, service->config->heartbeat_ms);
    pipeline_beat(service->pipeline);
    journal_watch(service->journal);
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

static void begin_stop(struct service *service, const char *why)
{
    if (service->stop_by_ms != 0) {
        return;
    }
    if (service->cede != NULL) {
        cede_stop(service->cede);
    }
    service->stop_by_ms = clock_monotonic_ms() + service->config->stop_timeout_ms;
    if (service->gateway != NULL) {
        gateway_stop(service->gateway, service->config->stop_timeout_ms / 4);
    }
    /* Said only now: whoever has read it finds new commands refused. */
    log_info("stopping", "%s: closing %u node(s), at most %u ms", why,
             config_count_nodes(service->config), service->config->stop_timeout_ms);
    again_in(service, &service->stopping, on_stopping, STOP_POLL_MS);
}

static void on_ceded(void *owner)
{
    begin_stop(owner, "another bridge has taken over");
}

static void on_not_assumed(void *owner)
{
    struct service *service = owner;
    service->has_failed = true;
    begin_stop(service, "the takeover has failed");
}

static void write_metrics(void)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (out == NULL) {
        log_error("metrics", "no memory to write the metrics");
        return;
    }
    metrics_write(out);
    fclose(out);
    log_write_text(text, length);
    free(text);
}

static void read_signal(struct service *service)
{
    struct signalfd_siginfo info;
    while (read(service->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGUSR1) {
            write_metrics();
        } else if (info.ssi_signo == SIGHUP) {
            reload_begin(service->reload);
        } else if (!assume_give_up(service->assume)) {
            begin_stop(service, strsignal((int)info.ssi_signo));
        }
    }
}

static int service_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                            size_t length)
{
    (void)user;
    (void)in;
    (void)length;
    struct service *service = lws_context_user(lws_get_context(wsi));
    if (reason == LWS_CALLBACK_RAW_RX_FILE) {
        read_signal(service);
    } else if (reason == LWS_CALLBACK_EVENT_WAIT_CANCELLED && service->reload != NULL) {
        nodes_wake(service->nodes);
        post_take(service->post);
        reload_wake(service->reload);
    }
    return 0;
}

static const struct lws_protocols service_protocol = {.name = "arizmq-service",
                                                      .callback = service_callback};

static void on_lws_log(int level, const char *line)
{
    int length = (int)strcspn(line, "\n");
    if (level == LLL_ERR) {
        log_warning("libwebsockets", "%.*s", length, line);
    } else {
        log_debug("libwebsockets", "%.*s", length, line);
    }
}

/* Starting OpenSSL costs 4 MB of memory, which a bridge without wss:// can do without. */
static bool uses_tls(const struct config *config)
{
    for (unsigned i = 0; i < config->nodes_count; i++) {
        if (config->nodes[i].use_tls) {
            return true;
        }
    }
    return false;
}

static int create_context(struct service *service)
{
    lws_set_log_level(LLL_ERR | LLL_WARN, on_lws_log);
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN,
        .options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS |
                   (uses_tls(service->config) ? LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT : 0),
        .pt_serv_buf_size = service->config->limits.receive_buffer_bytes,
        .user = service,
    };
    service->context = lws_create_context(&info);
    if (service->context == NULL) {
        return ARIZMQ_ENOMEM;
    }
    enum { PROTOCOLS_MAX = 8 };
    const struct lws_protocols *protocols[PROTOCOLS_MAX] = {&service_protocol};
    for (unsigned i = 0; nodes_protocols[i] != NULL; i++) {
        protocols[i + 1] = nodes_protocols[i];
    }
    info.pprotocols = protocols;
    info.vhost_name = "arizmqd";
    service->vhost = lws_create_vhost(service->context, &info);
    return service->vhost != NULL ? ARIZMQ_OK : ARIZMQ_ENOMEM;
}

void service_hold_reload(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
}

/* Signals arrive as bytes in the loop, like everything else. */
static int adopt_signals(struct service *service)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGHUP);
    signal(SIGPIPE, SIG_IGN);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0) {
        return ARIZMQ_EIO;
    }
    service->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (service->signals < 0) {
        return ARIZMQ_EIO;
    }
    lws_sock_file_fd_type descriptor = {.filefd = service->signals};
    struct lws *wsi = lws_adopt_descriptor_vhost(service->vhost, LWS_ADOPT_RAW_FILE_DESC,
                                                 descriptor, service_protocol.name, NULL);
    return wsi != NULL ? ARIZMQ_OK : ARIZMQ_EIO;
}

/* The configured bounds stand among the metrics, beside what they bound. */
static void show_bounds(const struct config *config)
{
    metrics_set(METRIC_COUNTERS_MAX, config->limits.max_counters);
    metrics_set(METRIC_EVENT_BYTES_MAX, config->limits.max_event_bytes);
    metrics_set(METRIC_RECEIVE_BUFFER_BYTES, config->limits.receive_buffer_bytes);
    metrics_set(METRIC_HEARTBEAT_FIRST_TOKENS_MAX, config->limits.heartbeat_first_tokens);
    metrics_set(METRIC_STOP_TIMEOUT_MS, config->stop_timeout_ms);
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
    if (config->heartbeat_ms != service->config->heartbeat_ms) {
        again_in(service, &service->beat, on_beat, config->heartbeat_ms);
    }
    config_release(&service->config);
    service->config = config_hold(config);
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

/* --- start and end */

/* libzmq's threads inherit the blocked signals, so this comes after adopt_signals(). */
static int create_parts(struct service *service, char *error, size_t error_size)
{
    zsys_handler_set(NULL); /* or CZMQ would take SIGTERM and SIGINT for itself */
    zsys_set_io_threads((size_t)service->config->io_threads);
    show_bounds(service->config);
    bool has_gateway = service->config->gateway.enabled;
    int result = ARIZMQ_OK;
    if (service->options->takeover != NULL) {
        result = assume_create(service->config, service->options->takeover, &service->assume, error,
                               error_size);
        if (result != ARIZMQ_OK) {
            return result;
        }
    }
    if (has_gateway && (result = feed_create(service->config, &service->feed)) != ARIZMQ_OK) {
        snprintf(error, error_size, "no memory for the gateway (gateway.feed_bytes is %u)",
                 service->config->gateway.feed_bytes);
        return result;
    }
    result = pipeline_create(service->config, service->feed, &service->pipeline, error, error_size);
    if (result == ARIZMQ_OK && service->config->journal.path != NULL) {
        result = create_journal(service, error, error_size);
    }
    if (result == ARIZMQ_OK) {
        result = nodes_create(service->context, service->vhost, service->config, service->pipeline,
                              service->feed, &service->nodes, error, error_size);
    }
    if (result == ARIZMQ_OK && has_gateway) {
        result = create_gateway(service, error, error_size);
    }
    if (result == ARIZMQ_OK) {
        result = create_reload(service);
    }
    return result == ARIZMQ_OK && has_gateway ? start_gateway(service, error, error_size) : result;
}

static int service_start(struct service *service)
{
    char error[ERROR_SIZE] = "no memory for the event loop";
    file_limit_raise();
    int result = file_limit_check(service->config, error, sizeof error);
    if (result == ARIZMQ_OK) {
        result = create_context(service);
    }
    if (result == ARIZMQ_OK) {
        result = adopt_signals(service);
        if (result != ARIZMQ_OK) {
            snprintf(error, sizeof error, "cannot take over the signals: %s", strerror(errno));
        }
    }
    if (result == ARIZMQ_OK) {
        result = create_parts(service, error, sizeof error);
    }
    if (result != ARIZMQ_OK) {
        bool is_clash = result == ARIZMQ_EIO && service->assume != NULL;
        log_error("start_failed", "%s%s", error,
                  is_clash ? "; a bridge that takes over needs endpoints of its own" : "");
        return result;
    }
    again_in(service, &service->beat, on_beat, service->config->heartbeat_ms);
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
