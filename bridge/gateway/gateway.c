/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The command thread's loop: what the event thread feeds, what waits at the door, what the nodes
 * answer, what is overdue. service.c creates, starts and stops it. A turn never waits for anything
 * but the next turn; the order of its steps is what makes an object known before a request names it
 * (feed.h).
 */
#include "gateway/gateway.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "arizmq/error.h"
#include "base/clock.h"
#include "gateway/census.h"
#include "gateway/command.h"
#include "ops/log.h"
#include "ops/metrics.h"

enum {
    TURN_EVENTS_MAX = 128,  /* of epoll, in one turn */
    TURN_REQUESTS_MAX = 64, /* taken off the socket before the nodes are served again */
    MEASURE_EVERY_MS = 1000,
    ENDED_SHARE = 8, /* of the objects remembered, one in so many may have ended */
    LINGER_MS = 500, /* for replies on their way when the thread ends */
};

struct gateway {
    const struct config *config;
    struct feed *feed;
    struct post *post;
    int epoll_fd;
    int stop_fd; /* eventfd */
    int door_fd;
    _Atomic bool is_stopping;
    _Atomic bool is_stopped;
    _Atomic uint64_t stop_by_ms;
    bool is_started;
    pthread_t thread;
    uint64_t measured_ms;
    struct door *door;
    struct fleet *fleet;
    struct owners *owners;
    struct once *once;
    struct deadlines *deadlines;
    struct transport transport;
    struct census *census;
    struct own own;
    struct commands commands;
};

/* --- what the event thread tells */

static void on_object(void *owner, unsigned node, enum object_kind kind, const char *id,
                      size_t length, bool has_ended)
{
    struct gateway *gateway = owner;
    if (has_ended) {
        owners_end(gateway->owners, node, kind, id, length);
    } else {
        owners_learn(gateway->owners, node, kind, id, length);
    }
}

static void on_link(void *owner, unsigned node, unsigned application, enum feed_link state,
                    const char *detail)
{
    struct gateway *gateway = owner;
    bool was_up = fleet_is_up(gateway->fleet, node);
    if (fleet_set_link(gateway->fleet, node, application, state, detail)) {
        census_begin(gateway->census, node);
    } else if (was_up && !fleet_is_up(gateway->fleet, node)) {
        commands_node_down(&gateway->commands, node);
    }
}

static void on_answer(void *owner, uint64_t number, char *text, size_t length, bool was_sent)
{
    struct gateway *gateway = owner;
    over_ws_answer(gateway->transport.over_ws, number, text, length, was_sent);
}

static const struct feed_handler feed_handler = {on_object, on_link, on_answer};

/* Whether a stop was asked for. */
static void notice_stop(struct gateway *gateway)
{
    if (gateway->commands.is_stopping || !atomic_load(&gateway->is_stopping)) {
        return;
    }
    gateway->commands.is_stopping = true;
    uint64_t count = 0; /* the loop has woken up: stop_fd has done its work */
    if (read(gateway->stop_fd, &count, sizeof count) < 0 && errno != EAGAIN) {
        log_error("gateway", "cannot read an eventfd: %s", strerror(errno));
    }
}

static void catch_up(void *owner)
{
    struct gateway *gateway = owner;
    feed_take(gateway->feed, &feed_handler, gateway);
    notice_stop(gateway);
}

/* --- the loop */

static void measure(struct gateway *gateway, uint64_t now_ms)
{
    if (now_ms - gateway->measured_ms < MEASURE_EVERY_MS) {
        return;
    }
    fleet_measure(gateway->fleet, gateway->feed, now_ms - gateway->measured_ms);
    once_expire(gateway->once, now_ms);
    gateway->measured_ms = now_ms;
    metrics_set(METRIC_OWNERS, owners_count(gateway->owners));
    metrics_set(METRIC_ONCE_REQUESTS, once_count(gateway->once));
    metrics_set(METRIC_ONCE_BYTES, once_bytes(gateway->once));
    metrics_set(METRIC_GATEWAY_UNDER_WAY, gateway->commands.unanswered);
}

static int earlier(int a_ms, int b_ms)
{
    return a_ms < 0 || (b_ms >= 0 && b_ms < a_ms) ? b_ms : a_ms;
}

/* Milliseconds until the next turn is due, if nothing happens before. */
static int wait_ms(struct gateway *gateway)
{
    int wait = earlier(http_wait_ms(gateway->transport.http),
                       deadlines_wait_ms(gateway->deadlines, clock_monotonic_ms()));
    if (gateway->transport.over_ws != NULL) {
        wait = earlier(wait, over_ws_wait_ms(gateway->transport.over_ws));
    }
    return earlier(wait, MEASURE_EVERY_MS);
}

static void turn(struct gateway *gateway)
{
    struct epoll_event events[TURN_EVENTS_MAX];
    /* What was sent in the turn before may have taken the door's signal away. */
    bool has_requests = !door_is_drained(gateway->door) && door_has_input(gateway->door);
    int count =
        epoll_wait(gateway->epoll_fd, events, TURN_EVENTS_MAX, has_requests ? 0 : wait_ms(gateway));
    for (int i = 0; i < count; i++) {
        int fd = events[i].data.fd;
        if (fd == gateway->door_fd) {
            has_requests = true;
        } else if (fd != feed_fd(gateway->feed) && fd != gateway->stop_fd) {
            http_ready(gateway->transport.http, fd, events[i].events);
        }
    }
    catch_up(gateway);
    for (unsigned i = 0; has_requests && i < TURN_REQUESTS_MAX; i++) {
        has_requests = commands_receive(&gateway->commands);
    }
    if (gateway->transport.over_ws != NULL) {
        over_ws_turn(gateway->transport.over_ws);
    }
    http_turn(gateway->transport.http);
    uint64_t now_ms = clock_monotonic_ms();
    deadlines_turn(gateway->deadlines, now_ms);
    measure(gateway, now_ms);
}

/* Whether a stop was asked for, and nobody waits any more, or too long. */
static bool is_over(struct gateway *gateway)
{
    if (!gateway->commands.is_stopping) {
        return false;
    }
    return (gateway->commands.unanswered == 0 && !door_has_input(gateway->door)) ||
           clock_monotonic_ms() >= atomic_load(&gateway->stop_by_ms);
}

static void *run(void *argument)
{
    struct gateway *gateway = argument;
    pthread_setname_np(pthread_self(), "commands");
    while (!is_over(gateway)) {
        turn(gateway);
    }
    commands_abort(&gateway->commands);
    door_destroy(&gateway->door, LINGER_MS);
    atomic_store(&gateway->is_stopped, true);
    return NULL;
}

/* --- life */

static int watch(struct gateway *gateway, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    return epoll_ctl(gateway->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0 ? ARIZMQ_OK : ARIZMQ_EIO;
}

static int create_parts(struct gateway *gateway, char *error, size_t error_size)
{
    const struct config *config = gateway->config;
    int result = fleet_create(config, &gateway->fleet);
    if (result == ARIZMQ_OK) {
        uint32_t max_objects = config->gateway.max_objects;
        result = owners_create(max_objects, max_objects / ENDED_SHARE + 1, config->nodes_count,
                               &gateway->owners);
    }
    if (result == ARIZMQ_OK) {
        result = once_create(&config->gateway, &gateway->once);
    }
    if (result == ARIZMQ_OK) {
        result = deadlines_create(clock_monotonic_ms(), &gateway->deadlines);
    }
    if (result == ARIZMQ_OK) {
        result =
            http_create(config, gateway->epoll_fd, &gateway->transport.http, error, error_size);
    }
    if (result == ARIZMQ_OK && gateway->post != NULL) {
        result = over_ws_create(config, gateway->post, gateway->transport.http,
                                &gateway->transport.over_ws);
    }
    if (result == ARIZMQ_OK) {
        result =
            census_create(gateway->fleet, gateway->owners, &gateway->transport, &gateway->census);
    }
    return result != ARIZMQ_OK ? result
                               : door_create(&config->gateway, &gateway->door, error, error_size);
}

static int create_loop(struct gateway *gateway, char *error, size_t error_size)
{
    gateway->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    gateway->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (gateway->epoll_fd < 0 || gateway->stop_fd < 0) {
        snprintf(error, error_size, "the gateway's loop: %s", strerror(errno));
        return ARIZMQ_EIO;
    }
    return ARIZMQ_OK;
}

/* The configured bounds stand among the metrics, beside what they bound. */
static void show_bounds(const struct config_gateway *config)
{
    metrics_set(METRIC_GATEWAY_MAX_REQUESTS, config->max_requests);
    metrics_set(METRIC_GATEWAY_MAX_REQUESTS_PER_NODE, config->max_requests_per_node);
    metrics_set(METRIC_GATEWAY_MAX_REQUEST_BYTES, config->max_request_bytes);
    metrics_set(METRIC_GATEWAY_MAX_BODY_BYTES, config->max_body_bytes);
    metrics_set(METRIC_GATEWAY_MAX_REPLY_BYTES, config->max_reply_bytes);
    metrics_set(METRIC_GATEWAY_ANSWER_TIMEOUT_MS, config->answer_timeout_ms);
    metrics_set(METRIC_OWNERS_MAX, config->max_objects);
    metrics_set(METRIC_FEED_MAX_BYTES, config->feed_bytes);
    metrics_set(METRIC_ONCE_MAX_REQUESTS, config->once_max_requests);
    metrics_set(METRIC_ONCE_MAX_BYTES, config->once_max_bytes);
    metrics_set(METRIC_ONCE_WINDOW_MS, config->once_window_ms);
}

static void connect_parts(struct gateway *gateway, uint64_t epoch)
{
    gateway->transport.config = gateway->config;
    gateway->own = (struct own){.config = gateway->config,
                                .fleet = gateway->fleet,
                                .owners = gateway->owners,
                                .transport = &gateway->transport,
                                .epoch = epoch};
    gateway->commands = (struct commands){.config = gateway->config,
                                          .door = gateway->door,
                                          .fleet = gateway->fleet,
                                          .owners = gateway->owners,
                                          .once = gateway->once,
                                          .transport = &gateway->transport,
                                          .deadlines = gateway->deadlines,
                                          .own = &gateway->own,
                                          .catch_up = catch_up,
                                          .owner = gateway};
    gateway->door_fd = door_fd(gateway->door);
    gateway->measured_ms = clock_monotonic_ms();
    show_bounds(&gateway->config->gateway);
}

int gateway_create(const struct config *config, struct feed *feed, struct post *post,
                   uint64_t epoch, struct gateway **out, char *error, size_t error_size)
{
    snprintf(error, error_size, "no memory for the gateway");
    struct gateway *gateway = calloc(1, sizeof *gateway);
    if (gateway == NULL) {
        return ARIZMQ_ENOMEM;
    }
    gateway->config = config;
    gateway->feed = feed;
    gateway->post = post;
    gateway->epoll_fd = -1;
    gateway->stop_fd = -1;
    int result = create_loop(gateway, error, error_size);
    if (result == ARIZMQ_OK) {
        result = create_parts(gateway, error, error_size);
    }
    if (result == ARIZMQ_OK && (watch(gateway, gateway->stop_fd) != ARIZMQ_OK ||
                                watch(gateway, feed_fd(feed)) != ARIZMQ_OK ||
                                watch(gateway, door_fd(gateway->door)) != ARIZMQ_OK)) {
        snprintf(error, error_size, "the gateway's loop: %s", strerror(errno));
        result = ARIZMQ_EIO;
    }
    if (result != ARIZMQ_OK) {
        gateway_destroy(&gateway);
        return result;
    }
    connect_parts(gateway, epoch);
    log_info("gateway_bound", "commands are taken on %s", door_endpoint(gateway->door));
    *out = gateway;
    return ARIZMQ_OK;
}

int gateway_start(struct gateway *self)
{
    if (pthread_create(&self->thread, NULL, run, self) != 0) {
        return ARIZMQ_EIO;
    }
    self->is_started = true;
    return ARIZMQ_OK;
}

void gateway_stop(struct gateway *self, uint32_t drain_ms)
{
    atomic_store(&self->stop_by_ms, clock_monotonic_ms() + drain_ms);
    atomic_store(&self->is_stopping, true);
    uint64_t one = 1;
    if (write(self->stop_fd, &one, sizeof one) < 0) {
        log_error("gateway", "cannot write to an eventfd: %s", strerror(errno));
    }
}

bool gateway_is_stopped(const struct gateway *self)
{
    return !self->is_started || atomic_load(&self->is_stopped);
}

void gateway_destroy(struct gateway **self)
{
    struct gateway *gateway = *self;
    *self = NULL;
    if (gateway == NULL) {
        return;
    }
    if (gateway->is_started) {
        gateway_stop(gateway, 0);
        pthread_join(gateway->thread, NULL);
    }
    door_destroy(&gateway->door, 0);
    over_ws_destroy(&gateway->transport.over_ws);
    http_destroy(&gateway->transport.http);
    census_destroy(&gateway->census);
    deadlines_destroy(&gateway->deadlines);
    once_destroy(&gateway->once);
    owners_destroy(&gateway->owners);
    fleet_destroy(&gateway->fleet);
    if (gateway->stop_fd >= 0) {
        close(gateway->stop_fd);
    }
    if (gateway->epoll_fd >= 0) {
        close(gateway->epoll_fd);
    }
    free(gateway);
}
