/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The running daemon: puts libwebsockets' loop, the pipeline and the nodes together, beats once a
 * second, and on SIGTERM takes them apart again in the order that loses nothing: links first, while
 * their last events are still published, then ArizmqStopping, then a last heartbeat. main.c calls
 * it. Everything here runs in the event thread; the gateway has a thread of its own.
 */
#include "ops/service.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <czmq.h>
#include <libwebsockets.h>

#include "arizmq/error.h"
#include "base/clock.h"
#include "gateway/feed.h"
#include "gateway/gateway.h"
#include "node/nodes.h"
#include "ops/log.h"
#include "ops/metrics.h"
#include "pipeline.h"
#include "publish/own_event.h"

enum {
    ERROR_SIZE = 512,
    SUBSCRIPTIONS_EVERY_MS = 100,
    STOP_POLL_MS = 5,
    FILES_WANTED = 65536, /* each subscriber and each link is one */
    FILES_NEEDED = 32,    /* without any link; libzmq aborts where it gets none */
    FILES_PER_LINK = 2,   /* its WebSocket and a request */
    FILES_OF_GATEWAY = 8, /* its socket, its loop */
    FILES_PER_NODE = 2,   /* of the gateway: libcurl's own, and a connection; more are opened where
                             more may be */
};

struct service {
    const struct config *config;
    struct lws_context *context;
    struct lws_vhost *vhost;
    struct feed *feed;       /* NULL: there is no gateway */
    struct post *post;       /* NULL: no command goes over a WebSocket */
    struct gateway *gateway; /* NULL: there is none */
    struct pipeline *pipeline;
    struct nodes *nodes;
    int signals; /* a signalfd; libwebsockets closes it once it has adopted it */
    lws_sorted_usec_list_t beat;
    lws_sorted_usec_list_t subscriptions;
    lws_sorted_usec_list_t stopping;
    uint64_t stop_by_ms; /* 0: not stopping */
    bool links_are_stopping;
    bool is_done;
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
    pipeline_publish_own(service->pipeline, "-", json);
    pipeline_beat(service->pipeline);
    service->is_done = true;
    lws_cancel_service(service->context);
}

static void begin_stop(struct service *service, const char *signal_name)
{
    if (service->stop_by_ms != 0) {
        return;
    }
    service->stop_by_ms = clock_monotonic_ms() + service->config->stop_timeout_ms;
    if (service->gateway != NULL) {
        gateway_stop(service->gateway, service->config->stop_timeout_ms / 4);
    }
    /* Said only now: whoever has read it finds new commands refused. */
    log_info("stopping", "%s: closing %u node(s), at most %u ms", signal_name,
             service->config->nodes_count, service->config->stop_timeout_ms);
    again_in(service, &service->stopping, on_stopping, STOP_POLL_MS);
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
        } else {
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
    } else if (reason == LWS_CALLBACK_EVENT_WAIT_CANCELLED && service->nodes != NULL) {
        nodes_wake(service->nodes, service->post);
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

static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= FILES_WANTED) {
        return;
    }
    limit.rlim_cur = limit.rlim_max < FILES_WANTED ? limit.rlim_max : FILES_WANTED;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
        log_warning("file_limit", "cannot raise the number of open files to %llu: %s",
                    (unsigned long long)limit.rlim_cur, strerror(errno));
    }
}

static int check_file_limit(const struct config *config, char *error, size_t error_size)
{
    bool has_gateway = config->gateway.enabled;
    unsigned needed = FILES_NEEDED + (has_gateway ? FILES_OF_GATEWAY : 0);
    for (unsigned i = 0; i < config->nodes_count; i++) {
        needed += config->nodes[i].apps_count * FILES_PER_LINK;
        needed += has_gateway ? FILES_PER_NODE : 0;
    }
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < needed) {
        snprintf(error, error_size,
                 "only %llu files may be open (ulimit -n); this configuration needs %u and one for "
                 "each subscriber",
                 (unsigned long long)limit.rlim_cur, needed);
        return ARIZMQ_EIO;
    }
    return ARIZMQ_OK;
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

/* Signals arrive as bytes in the loop, like everything else. */
static int adopt_signals(struct service *service)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGUSR1);
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

static bool uses_post(const struct config *config)
{
    for (unsigned i = 0; i < config->nodes_count; i++) {
        if (config->nodes[i].rest == CONFIG_REST_WEBSOCKET) {
            return true;
        }
    }
    return false;
}

/* libzmq's threads inherit the blocked signals, so this comes after adopt_signals(). */
static int create_parts(struct service *service, char *error, size_t error_size)
{
    zsys_handler_set(NULL); /* or CZMQ would take SIGTERM and SIGINT for itself */
    zsys_set_io_threads((size_t)service->config->io_threads);
    show_bounds(service->config);
    bool has_gateway = service->config->gateway.enabled;
    int result = ARIZMQ_OK;
    if (has_gateway && (result = feed_create(service->config, &service->feed)) != ARIZMQ_OK) {
        snprintf(error, error_size, "no memory for the gateway (gateway.feed_bytes is %u)",
                 service->config->gateway.feed_bytes);
        return result;
    }
    result = pipeline_create(service->config, service->feed, &service->pipeline, error, error_size);
    if (result == ARIZMQ_OK) {
        result = nodes_create(service->context, service->vhost, service->config, service->pipeline,
                              service->feed, &service->nodes, error, error_size);
    }
    if (result == ARIZMQ_OK && has_gateway && uses_post(service->config)) {
        result = post_create(service->config, service->context, &service->post);
        snprintf(error, error_size, "no memory for commands over WebSockets");
    }
    if (result == ARIZMQ_OK && has_gateway) {
        result =
            gateway_create(service->config, service->feed, service->post,
                           pipeline_epoch(service->pipeline), &service->gateway, error, error_size);
    }
    if (result == ARIZMQ_OK && has_gateway) {
        result = gateway_start(service->gateway);
        if (result != ARIZMQ_OK) {
            snprintf(error, error_size, "cannot start the gateway's thread");
        }
    }
    return result;
}

static int service_start(struct service *service)
{
    char error[ERROR_SIZE] = "no memory for the event loop";
    raise_file_limit();
    int result = check_file_limit(service->config, error, sizeof error);
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
        log_error("start_failed", "%s", error);
        return result;
    }
    again_in(service, &service->beat, on_beat, service->config->heartbeat_ms);
    again_in(service, &service->subscriptions, on_subscriptions, SUBSCRIPTIONS_EVERY_MS);
    nodes_start(service->nodes);
    malloc_trim(0); /* what reading the configuration took */
    return ARIZMQ_OK;
}

/* What a stop has left of its time for the subscribers, at least that quarter. */
static int linger_ms(const struct service *service)
{
    uint32_t all_ms = service->config->stop_timeout_ms;
    uint64_t now = clock_monotonic_ms();
    uint64_t left_ms = service->stop_by_ms > now ? service->stop_by_ms - now : 0;
    return (int)(left_ms > all_ms / 4 ? left_ms : all_ms / 4);
}

int service_run(const struct config *config)
{
    struct service service = {.config = config, .signals = -1};
    int result = service_start(&service);
    while (result == ARIZMQ_OK && !service.is_done) {
        if (lws_service(service.context, 0) < 0) {
            log_error("loop_failed", "libwebsockets' loop has ended");
            result = ARIZMQ_EIO;
        }
    }
    gateway_destroy(&service.gateway);
    nodes_destroy(&service.nodes);
    feed_destroy(&service.feed);
    post_destroy(&service.post);
    lws_sul_cancel(&service.beat);
    lws_sul_cancel(&service.subscriptions);
    lws_sul_cancel(&service.stopping);
    if (service.context != NULL) {
        lws_context_destroy(service.context);
    }
    uint64_t seq = service.pipeline != NULL ? pipeline_seq(service.pipeline) : 0;
    pipeline_destroy(&service.pipeline, linger_ms(&service));
    zsys_shutdown();
    if (result == ARIZMQ_OK) {
        log_info("stopped", "last seq %llu", (unsigned long long)seq);
    }
    return result == ARIZMQ_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
