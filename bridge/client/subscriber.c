/* SPDX-License-Identifier: MPL-2.0 */
/*
 * READ FIRST of the subscriber: subscriber.h's calls. Each endpoint is a listener of its own;
 * arizmq_subscriber_receive() asks one after the other whether it has something, and waits where
 * none has. listener.c goes on from here.
 */
#include "arizmq/subscriber.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>
#include <zmq.h>

#include "arizmq/error.h"
#include "arizmq/gaps.h"
#include "base/clock.h"
#include "client/subscriber_private.h"

enum { MAX_REPLY_BYTES = 256 << 20 };

static bool text_is_utf8(const char *text)
{
    json_t *string = json_string(text);
    bool is_utf8 = string != NULL;
    json_decref(string);
    return is_utf8;
}

static bool options_are_valid(const struct arizmq_subscriber_options *options)
{
    bool has_gateway = false;
    if (options->prefixes_count == 0 || options->endpoints_count == 0) {
        return false;
    }
    for (size_t i = 0; i < options->endpoints_count; i++) {
        has_gateway = has_gateway || options->endpoints[i].gateway != NULL;
        if (options->endpoints[i].events == NULL) {
            return false;
        }
    }
    /* What is asked of the gateway is JSON. */
    bool is_utf8 = options->view == NULL || text_is_utf8(options->view);
    for (size_t i = 0; i < options->prefixes_count; i++) {
        is_utf8 = is_utf8 && text_is_utf8(options->prefixes[i]);
    }
    return is_utf8 || !has_gateway;
}

static const char *copy_text(const char *text, bool *has_memory)
{
    char *copy = text == NULL ? NULL : strdup(text);
    *has_memory = *has_memory && (copy != NULL || text == NULL);
    return copy;
}

static bool copy_lists(struct arizmq_subscriber *self,
                       const struct arizmq_subscriber_options *given)
{
    bool has_memory = true;
    for (size_t i = 0; i < given->prefixes_count; i++) {
        self->prefixes[i] = copy_text(given->prefixes[i], &has_memory);
    }
    for (size_t i = 0; i < given->endpoints_count; i++) {
        self->endpoints[i] = given->endpoints[i];
        self->endpoints[i].events = copy_text(given->endpoints[i].events, &has_memory);
        self->endpoints[i].gateway = copy_text(given->endpoints[i].gateway, &has_memory);
    }
    return has_memory;
}

/* Copies what is pointed to, and fills in what was left out. */
static int copy_options(struct arizmq_subscriber *self,
                        const struct arizmq_subscriber_options *given)
{
    struct arizmq_subscriber_options *options = &self->options;
    bool has_memory = true;
    *options = *given;
    options->view = copy_text(given->view != NULL ? given->view : "events", &has_memory);
    options->heartbeat = copy_text(given->heartbeat, &has_memory);
    self->prefixes = calloc(given->prefixes_count, sizeof *self->prefixes);
    self->endpoints = calloc(given->endpoints_count, sizeof *self->endpoints);
    self->listeners = calloc(given->endpoints_count, sizeof(struct listener *));
    self->items = calloc(given->endpoints_count * LISTENER_ITEMS, sizeof *self->items);
    options->prefixes = self->prefixes;
    options->endpoints = self->endpoints;
    options->rcvhwm = given->rcvhwm > 0 ? given->rcvhwm : ARIZMQ_SUBSCRIBER_RCVHWM;
    options->page_messages =
        given->page_messages > 0 ? given->page_messages : ARIZMQ_SUBSCRIBER_PAGE_MESSAGES;
    options->repair_timeout_ms = given->repair_timeout_ms > 0 ? given->repair_timeout_ms
                                                              : ARIZMQ_SUBSCRIBER_REPAIR_TIMEOUT_MS;
    options->watched_max = given->watched_max > 0 ? given->watched_max : ARIZMQ_GAPS_WATCHED_MAX;
    options->max_reply_bytes =
        given->max_reply_bytes > 0 ? given->max_reply_bytes : MAX_REPLY_BYTES;
    has_memory = has_memory && self->prefixes != NULL && self->endpoints != NULL &&
                 self->listeners != NULL && self->items != NULL && copy_lists(self, given);
    return has_memory ? ARIZMQ_OK : ARIZMQ_ENOMEM;
}

static int open_listeners(struct arizmq_subscriber *self)
{
    if (self->options.context == NULL) {
        self->own_context = zmq_ctx_new();
        self->options.context = self->own_context;
        if (self->own_context == NULL) {
            return ARIZMQ_EIO;
        }
    }
    uint64_t created_us = clock_wall_ns() / 1000U;
    for (size_t i = 0; i < self->options.endpoints_count; i++) {
        int rc = listener_create(&self->options, (unsigned)i, created_us, &self->listeners[i]);
        if (rc != ARIZMQ_OK) {
            return rc;
        }
        self->count++;
    }
    return ARIZMQ_OK;
}

int arizmq_subscriber_create(const struct arizmq_subscriber_options *options,
                             struct arizmq_subscriber **out)
{
    if (!options_are_valid(options)) {
        return ARIZMQ_EINVALID;
    }
    struct arizmq_subscriber *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return ARIZMQ_ENOMEM;
    }
    self->wait.epoll_fd = -1;
    self->wait.timer_fd = -1;
    int rc = copy_options(self, options);
    if (rc == ARIZMQ_OK) {
        rc = open_listeners(self);
    }
    self->options.snapshot = NULL; /* its texts are in the listeners' questions */
    if (rc != ARIZMQ_OK) {
        int error = errno;
        arizmq_subscriber_destroy(&self);
        errno = error;
        return rc;
    }
    *out = self;
    return ARIZMQ_OK;
}

void arizmq_subscriber_destroy(struct arizmq_subscriber **self_p)
{
    struct arizmq_subscriber *self = *self_p;
    if (self == NULL) {
        return;
    }
    subscriber_wait_close(&self->wait);
    for (size_t i = 0; i < self->count; i++) {
        listener_destroy(&self->listeners[i]);
    }
    for (size_t i = 0; self->prefixes != NULL && i < self->options.prefixes_count; i++) {
        free((char *)self->prefixes[i]);
    }
    for (size_t i = 0; self->endpoints != NULL && i < self->options.endpoints_count; i++) {
        free((char *)self->endpoints[i].events);
        free((char *)self->endpoints[i].gateway);
    }
    if (self->own_context != NULL) {
        zmq_ctx_term(self->own_context);
    }
    free(self->prefixes);
    free(self->endpoints);
    free(self->listeners);
    free(self->items);
    free((char *)self->options.view);
    free((char *)self->options.heartbeat);
    free(self);
    *self_p = NULL;
}

/* Asks every endpoint, beginning behind the one that had something the last time, so that a busy
 * one does not hide the others. */
static int ask_listeners(struct arizmq_subscriber *self, uint64_t now_ms,
                         struct arizmq_message *out)
{
    for (size_t i = 0; i < self->count; i++) {
        size_t at = (self->turn + i) % self->count;
        int rc = listener_step(self->listeners[at], now_ms, out);
        if (rc != ARIZMQ_ENOTFOUND) {
            self->turn = at + 1;
            return rc;
        }
    }
    return ARIZMQ_ENOTFOUND;
}

int arizmq_subscriber_receive(struct arizmq_subscriber *self, int timeout_ms,
                              struct arizmq_message *out)
{
    uint64_t started_ms = clock_monotonic_ms();
    uint64_t now_ms = started_ms;
    uint64_t until_ms = timeout_ms < 0 ? UINT64_MAX : started_ms + (uint64_t)timeout_ms;
    for (;;) {
        struct arizmq_message message;
        int rc = ask_listeners(self, now_ms, &message);
        if (rc == ARIZMQ_OK) {
            *out = message;
        }
        if (rc != ARIZMQ_ENOTFOUND) {
            return rc;
        }
        if (now_ms >= until_ms) {
            subscriber_wait_prepare(self);
            return ARIZMQ_ETIMEOUT;
        }
        rc = subscriber_wait(self, now_ms, until_ms);
        if (rc != ARIZMQ_OK) {
            return rc;
        }
        now_ms = clock_monotonic_ms();
    }
}

int arizmq_subscriber_fd(struct arizmq_subscriber *self)
{
    return subscriber_wait_open(self);
}

const struct arizmq_subscriber_totals *arizmq_subscriber_totals(struct arizmq_subscriber *self,
                                                                unsigned endpoint, unsigned *count)
{
    return listener_totals(self->listeners[endpoint], count);
}

void arizmq_subscriber_status(const struct arizmq_subscriber *self, unsigned endpoint,
                              struct arizmq_subscriber_status *out)
{
    listener_status(self->listeners[endpoint], out);
}
