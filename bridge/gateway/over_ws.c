/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The queue of each node before its WebSocket, and the requests that wait for their answers.
 * transport.c hands requests in, gateway.c the answers; over_ws_text.c writes and reads the JSON.
 */
#include "gateway/over_ws.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Without memory an entry is not added, and its hh.tbl stays NULL. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

#include "arizmq/error.h"
#include "base/clock.h"
#include "gateway/over_ws_text.h"
#include "ops/metrics.h"

struct over_ws_request {
    struct over_ws *over_ws;
    struct exchange_order order;
    exchange_done *done;
    void *owner;
    uint64_t number; /* 0: not sent yet */
    uint64_t sent_ms;
    struct http_request *http;           /* it goes over HTTP after all */
    struct over_ws_request *prev, *next; /* of its node's queue, or of `sent` */
    UT_hash_handle hh;                   /* of `by_number` */
};

struct over_ws_node {
    const struct config_node *config; /* held; NULL: the slot is free */
    struct over_ws_request *queue;    /* utlist, the oldest first */
    unsigned queued;
    unsigned sent;
};

struct over_ws {
    const struct config *config; /* held */
    struct post *post;
    struct http *http;
    struct over_ws_node *nodes; /* CONFIG_SLOTS_MAX */
    unsigned slots;             /* of these that may be in use */
    uint64_t number;            /* of the last one sent */
    unsigned queued;            /* over all nodes */
    struct over_ws_request *by_number;
    struct over_ws_request *sent;    /* utlist, the one sent longest ago first */
    struct over_ws_request *by_http; /* utlist */
};

int over_ws_create(const struct config *config, struct post *post, struct http *http,
                   struct over_ws **out)
{
    struct over_ws *over_ws = calloc(1, sizeof *over_ws);
    if (over_ws == NULL) {
        return ARIZMQ_ENOMEM;
    }
    over_ws->nodes = calloc(CONFIG_SLOTS_MAX, sizeof *over_ws->nodes);
    if (over_ws->nodes == NULL) {
        free(over_ws);
        return ARIZMQ_ENOMEM;
    }
    over_ws->config = config_hold(config);
    for (unsigned i = 0; i < config->nodes_count; i++) {
        over_ws_set_node(over_ws, i, &config->nodes[i]);
    }
    over_ws->post = post;
    over_ws->http = http;
    *out = over_ws;
    return ARIZMQ_OK;
}

static void free_all(struct over_ws_request *list)
{
    while (list != NULL) {
        struct over_ws_request *next = list->next;
        free(list);
        list = next;
    }
}

void over_ws_destroy(struct over_ws **self)
{
    struct over_ws *over_ws = *self;
    *self = NULL;
    if (over_ws == NULL) {
        return;
    }
    HASH_CLEAR(hh, over_ws->by_number);
    for (unsigned i = 0; i < over_ws->slots; i++) {
        free_all(over_ws->nodes[i].queue);
        config_node_release(&over_ws->nodes[i].config);
    }
    free_all(over_ws->sent);
    free_all(over_ws->by_http);
    free(over_ws->nodes);
    config_release(&over_ws->config);
    free(over_ws);
}

static struct over_ws_node *node_of(const struct over_ws_request *request)
{
    return &request->over_ws->nodes[request->order.node];
}

int over_ws_send(struct over_ws *self, const struct exchange_order *order, exchange_done *done,
                 void *owner, struct over_ws_request **out)
{
    struct over_ws_request *request = calloc(1, sizeof *request);
    if (request == NULL) {
        return ARIZMQ_ENOMEM;
    }
    request->over_ws = self;
    request->order = *order;
    request->done = done;
    request->owner = owner;
    DL_APPEND(node_of(request)->queue, request);
    node_of(request)->queued++;
    self->queued++;
    *out = request;
    return ARIZMQ_OK;
}

static void unqueue(struct over_ws_request *request)
{
    DL_DELETE(node_of(request)->queue, request);
    node_of(request)->queued--;
    request->over_ws->queued--;
}

bool over_ws_withdraw(struct over_ws *self, struct over_ws_request **request)
{
    if ((*request)->http != NULL) {
        if (!http_withdraw(self->http, &(*request)->http)) {
            return false;
        }
        DL_DELETE(self->by_http, *request);
    } else if ((*request)->number != 0) {
        return false;
    } else {
        unqueue(*request);
    }
    free(*request);
    *request = NULL;
    return true;
}

/* --- ends */

static void tell(struct over_ws_request *request, struct exchange_answer *answer)
{
    request->done(request->owner, answer);
    free(request);
}

static void tell_failure(struct over_ws_request *request, enum exchange_outcome outcome,
                         const char *error)
{
    char line[256];
    snprintf(line, sizeof line, "%s: %s", node_of(request)->config->name, error);
    struct exchange_answer answer = {.outcome = outcome, .error = line};
    tell(request, &answer);
}

/* Out of what waits for an answer. */
static void take_off(struct over_ws_request *request)
{
    HASH_DEL(request->over_ws->by_number, request);
    DL_DELETE(request->over_ws->sent, request);
    node_of(request)->sent--;
}

static void on_http_done(void *owner, struct exchange_answer *answer)
{
    struct over_ws_request *request = owner;
    DL_DELETE(request->over_ws->by_http, request);
    tell(request, answer);
}

static void ask_over_http(struct over_ws_request *request)
{
    struct over_ws *over_ws = request->over_ws;
    if (http_send(over_ws->http, &request->order, on_http_done, request, &request->http) !=
        ARIZMQ_OK) {
        tell_failure(request, EXCHANGE_NOT_SENT, "no memory to ask over HTTP");
        return;
    }
    metrics_add(METRIC_OVER_WS_FALLBACKS, 1);
    DL_APPEND(over_ws->by_http, request);
}

static void read_answer(struct over_ws_request *request, const char *text, size_t length)
{
    struct over_ws_text read;
    int result =
        over_ws_text_read(text, length, request->over_ws->config->gateway.max_reply_bytes, &read);
    if (result != ARIZMQ_OK) {
        tell_failure(request, EXCHANGE_REFUSED,
                     result == ARIZMQ_ETOOLARGE
                         ? "the body of its answer is larger than gateway.max_reply_bytes"
                     : result == ARIZMQ_ENOMEM ? "there is no memory for the body of its answer"
                                               : "its RESTResponse cannot be understood");
        return;
    }
    if (read.answer.status_code == 406 && strcmp(request->order.method, "GET") == 0) {
        ask_over_http(request);
    } else {
        tell(request, &read.answer);
    }
    over_ws_text_release(&read);
}

void over_ws_answer(struct over_ws *self, uint64_t number, char *text, size_t length, bool was_sent)
{
    struct over_ws_request *request = NULL;
    HASH_FIND(hh, self->by_number, &number, sizeof number, request);
    if (request == NULL) {
        free(text); /* it was overdue, and was told so */
        return;
    }
    take_off(request);
    if (text != NULL) {
        read_answer(request, text, length);
        free(text);
    } else if (was_sent) {
        tell_failure(request, EXCHANGE_UNKNOWN,
                     "sent, but its WebSocket ended before the answer came");
    } else {
        tell_failure(request, EXCHANGE_NOT_SENT,
                     "nothing was sent: none of its WebSockets takes a request");
    }
}

/* --- sending */

static void send_request(struct over_ws_request *request)
{
    struct over_ws *over_ws = request->over_ws;
    uint64_t number = over_ws->number + 1;
    size_t length = 0;
    char *text = over_ws_text_write(&request->order, number, &length);
    if (text == NULL) {
        tell_failure(request, EXCHANGE_NOT_SENT, "no memory; nothing was sent");
        return;
    }
    if (length > POST_TEXT_MAX) { /* escapes made it longer than over_ws_can_carry() thought */
        free(text);
        ask_over_http(request);
        return;
    }
    request->number = number;
    HASH_ADD(hh, over_ws->by_number, number, sizeof request->number, request);
    if (request->hh.tbl == NULL || post_send(over_ws->post, POST_COMMAND, request->order.node,
                                             number, text, length) != ARIZMQ_OK) {
        if (request->hh.tbl != NULL) {
            HASH_DEL(over_ws->by_number, request);
        }
        free(text);
        tell_failure(request, EXCHANGE_NOT_SENT,
                     "nothing was sent: no room between the threads (gateway.feed_bytes)");
        return;
    }
    free(text);
    over_ws->number = number;
    request->sent_ms = clock_monotonic_ms();
    DL_APPEND(over_ws->sent, request);
    node_of(request)->sent++;
    metrics_add(METRIC_OVER_WS_REQUESTS, 1);
}

static void send_queued(struct over_ws *over_ws, unsigned index)
{
    struct over_ws_node *node = &over_ws->nodes[index];
    while (node->queue != NULL && node->sent < node->config->rest_connections) {
        struct over_ws_request *request = node->queue;
        unqueue(request);
        send_request(request);
    }
}

void over_ws_turn(struct over_ws *self)
{
    uint64_t now_ms = clock_monotonic_ms();
    while (self->sent != NULL &&
           self->sent->sent_ms + self->config->gateway.answer_timeout_ms <= now_ms) {
        struct over_ws_request *request = self->sent;
        take_off(request);
        tell_failure(request, EXCHANGE_UNKNOWN,
                     "sent, but no answer came; does the application's eventFilter let "
                     "RESTResponse through, and is it Asterisk 22.4 or later?");
    }
    for (unsigned i = 0; self->queued > 0 && i < self->slots; i++) {
        send_queued(self, i);
    }
}

int over_ws_wait_ms(const struct over_ws *self)
{
    if (self->sent == NULL) {
        return -1;
    }
    uint64_t now_ms = clock_monotonic_ms();
    uint64_t at_ms = self->sent->sent_ms + self->config->gateway.answer_timeout_ms;
    return at_ms > now_ms ? (int)(at_ms - now_ms) : 0;
}

unsigned over_ws_queued(const struct over_ws *self, unsigned node)
{
    return self->nodes[node].queued;
}

/* --- nodes that come, change and go */

void over_ws_set_node(struct over_ws *self, unsigned slot, const struct config_node *config)
{
    struct over_ws_node *node = &self->nodes[slot];
    config_node_hold(config);
    config_node_release(&node->config);
    node->config = config;
    self->slots = slot >= self->slots ? slot + 1 : self->slots;
}

void over_ws_leave_node(struct over_ws *self, unsigned slot)
{
    while (self->nodes[slot].queue != NULL) {
        struct over_ws_request *request = self->nodes[slot].queue;
        unqueue(request);
        ask_over_http(request);
    }
}

void over_ws_clear_node(struct over_ws *self, unsigned slot)
{
    config_node_release(&self->nodes[slot].config);
}

void over_ws_set_config(struct over_ws *self, const struct config *config)
{
    config_hold(config);
    config_release(&self->config);
    self->config = config;
}
