/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Commands over HTTP: a queue for each node, from which requests are put on libcurl's handles as
 * these become free. The gateway's loop calls http_ready() for sockets and http_turn() once a turn,
 * and only from there is anybody told of an outcome. Nothing here waits: names are resolved in
 * curl's own threads.
 */
#include "gateway/http.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include <utlist.h>

#include "arizmq/error.h"
#include "base/clock.h"
#include "gateway/http_private.h"

int http_create(const struct config *config, int epoll_fd, struct http **out, char *error,
                size_t error_size)
{
    struct http *http = calloc(1, sizeof *http);
    if (http == NULL) {
        return ARIZMQ_ENOMEM;
    }
    http->config = config_hold(config);
    http->epoll_fd = epoll_fd;
    http->nodes = calloc(CONFIG_SLOTS_MAX, sizeof(struct http_node *));
    int result = http->nodes != NULL ? ARIZMQ_OK : ARIZMQ_ENOMEM;
    for (unsigned i = 0; result == ARIZMQ_OK && i < config->nodes_count; i++) {
        struct http_node *node = NULL;
        result = http_node_create(http, &config->nodes[i], &node, error, error_size);
        if (result == ARIZMQ_OK) {
            http_set_node(http, i, node);
        }
    }
    if (result != ARIZMQ_OK) {
        http_destroy(&http);
        return result;
    }
    *out = http;
    return ARIZMQ_OK;
}

void http_destroy(struct http **self)
{
    struct http *http = *self;
    if (http == NULL) {
        return;
    }
    for (unsigned i = 0; i < http->slots; i++) {
        http_node_destroy(&http->nodes[i]);
    }
    while (http->replaced != NULL) {
        struct http_node *node = http->replaced;
        DL_DELETE(http->replaced, node);
        http_node_destroy(&node);
    }
    free(http->nodes);
    free(http->sockets);
    config_release(&http->config);
    free(http);
    *self = NULL;
}

int http_send(struct http *self, const struct exchange_order *order, exchange_done *done,
              void *owner, struct http_request **out)
{
    assert(order->node < self->slots && self->nodes[order->node] != NULL);
    struct http_request *request = calloc(1, sizeof *request);
    if (request == NULL) {
        return ARIZMQ_ENOMEM;
    }
    request->order = *order;
    request->done = done;
    request->owner = owner;
    request->node = self->nodes[order->node];
    DL_APPEND(request->node->queue, request);
    request->node->queued++;
    *out = request;
    return ARIZMQ_OK;
}

void http_unqueue(struct http_request *request)
{
    DL_DELETE(request->node->queue, request);
    request->node->queued--;
}

bool http_withdraw(struct http *self, struct http_request **request)
{
    (void)self;
    if ((*request)->sends > 0) {
        return false;
    }
    if ((*request)->handle != NULL) {
        http_request_detach(*request); /* it was connecting */
    } else {
        http_unqueue(*request);
    }
    http_request_free(*request);
    *request = NULL;
    return true;
}

void http_node_act(struct http_node *node, curl_socket_t fd, int events)
{
    int running = 0;
    curl_multi_socket_action(node->multi, fd, events, &running);
    if (running < (int)node->under_way) {
        node->has_finished = true;
    }
}

static bool is_timer_due(const struct http_node *node, uint64_t now_ms)
{
    return node->has_timer && node->timer_ms <= now_ms;
}

static void run_timer(struct http_node *node, uint64_t now_ms)
{
    if (is_timer_due(node, now_ms)) {
        node->has_timer = false; /* curl sets it again, where it wants to */
        http_node_act(node, CURL_SOCKET_TIMEOUT, 0);
    }
}

/* Ends what was sent answer_timeout_ms ago, and its connection with it. */
static void end_late(struct http_node *node, uint64_t now_ms)
{
    uint32_t timeout_ms = node->http->config->gateway.answer_timeout_ms;
    while (node->sent != NULL && node->sent->sent_ms + timeout_ms <= now_ms) {
        char why[64];
        snprintf(why, sizeof why, "%u ms have passed", timeout_ms);
        http_request_fail(node->sent, EXCHANGE_UNKNOWN, why);
    }
}

static void end_finished(struct http_node *node)
{
    node->has_finished = false;
    int left = 0;
    CURLMsg *message = NULL;
    while ((message = curl_multi_info_read(node->multi, &left)) != NULL) {
        if (message->msg == CURLMSG_DONE) {
            struct http_handle *handle = NULL;
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &handle);
            http_request_end(handle->request, message->data.result);
        }
    }
}

static void start(struct http_request *request, struct http_handle *handle)
{
    struct http_node *node = request->node;
    request->handle = handle;
    handle->request = request;
    node->under_way++;
    if (http_request_prepare(handle, request) != ARIZMQ_OK ||
        curl_multi_add_handle(node->multi, handle->easy) != CURLM_OK) {
        http_request_fail(request, EXCHANGE_NOT_SENT, "there is no memory for it");
    }
}

/* What is under way and not on the wire is connecting. */
static bool may_start(const struct http_node *node)
{
    bool has_idle = node->connections > node->under_way;
    bool may_connect = node->under_way - node->on_wire < HTTP_CONNECTING_MAX;
    return node->queue != NULL && node->under_way < node->config->rest_connections &&
           (has_idle || may_connect);
}

static void start_queued(struct http_node *node)
{
    while (may_start(node)) {
        struct http_request *request = node->queue;
        bool is_out_of_memory = false;
        struct http_handle *handle = http_node_take_handle(node, &is_out_of_memory);
        assert(handle != NULL || is_out_of_memory); /* there is one for each connection */
        http_unqueue(request);
        if (handle == NULL) {
            http_request_fail(request, EXCHANGE_NOT_SENT, "there is no memory for it");
            continue;
        }
        start(request, handle);
    }
}

static void turn_node(struct http_node *node, uint64_t now_ms)
{
    run_timer(node, now_ms);
    end_finished(node);
    end_late(node, now_ms);
    do { /* what was started is sent in the same turn, unless it has to connect */
        start_queued(node);
        run_timer(node, now_ms);
    } while (may_start(node));
}

void http_turn(struct http *self)
{
    uint64_t now_ms = clock_monotonic_ms();
    for (unsigned i = 0; i < self->slots; i++) {
        if (self->nodes[i] != NULL) {
            turn_node(self->nodes[i], now_ms);
        }
    }
    struct http_node *node = NULL;
    struct http_node *next = NULL;
    DL_FOREACH_SAFE(self->replaced, node, next)
    {
        turn_node(node, now_ms);
        if (node->under_way == 0) {
            DL_DELETE(self->replaced, node);
            http_node_destroy(&node);
        }
    }
}

/* Both in milliseconds; -1 is never. */
static int sooner(int one, uint64_t at_ms, uint64_t now_ms)
{
    uint64_t wait_ms = at_ms > now_ms ? at_ms - now_ms : 0;
    return one < 0 || wait_ms < (uint64_t)one ? (int)(wait_ms < INT32_MAX ? wait_ms : INT32_MAX)
                                              : one;
}

static int wait_for(const struct http_node *node, int wait_ms, uint64_t now_ms)
{
    if (may_start(node) || node->has_finished) {
        return 0;
    }
    if (node->has_timer) {
        wait_ms = sooner(wait_ms, node->timer_ms, now_ms);
    }
    if (node->sent != NULL) {
        uint32_t timeout_ms = node->http->config->gateway.answer_timeout_ms;
        wait_ms = sooner(wait_ms, node->sent->sent_ms + timeout_ms, now_ms);
    }
    return wait_ms;
}

int http_wait_ms(const struct http *self)
{
    uint64_t now_ms = clock_monotonic_ms();
    int wait_ms = -1;
    for (unsigned i = 0; i < self->slots && wait_ms != 0; i++) {
        if (self->nodes[i] != NULL) {
            wait_ms = wait_for(self->nodes[i], wait_ms, now_ms);
        }
    }
    const struct http_node *node = NULL;
    DL_FOREACH(self->replaced, node)
    {
        wait_ms = wait_for(node, wait_ms, now_ms);
    }
    return wait_ms;
}

unsigned http_queued(const struct http *self, unsigned node)
{
    const struct http_node *asked = node < self->slots ? self->nodes[node] : NULL;
    return asked != NULL ? asked->queued + asked->under_way - asked->on_wire : 0;
}

unsigned http_sent(const struct http *self, unsigned node)
{
    const struct http_node *asked = node < self->slots ? self->nodes[node] : NULL;
    return asked != NULL ? asked->on_wire : 0;
}
