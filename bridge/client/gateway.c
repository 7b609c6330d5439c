/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A request and its repetitions: gateway.h's calls. The header is made once, so that every attempt
 * has the same request_id; dealer.c does one attempt, this file waits for it and decides whether
 * there is another.
 */
#include "arizmq/gateway.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "arizmq/error.h"
#include "base/clock.h"
#include "client/dealer.h"
#include "client/request_header.h"

enum { MAX_REPLY_BYTES = 256 << 20 };

struct arizmq_gateway {
    struct arizmq_gateway_options options;
    void *own_context; /* NULL: the context is the program's */
    struct dealer *dealer;
    json_t *header; /* of the last request */
    char failure[512];
};

int arizmq_gateway_create(const char *endpoint, const struct arizmq_gateway_options *options,
                          struct arizmq_gateway **out)
{
    struct arizmq_gateway *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return ARIZMQ_ENOMEM;
    }
    if (options != NULL) {
        self->options = *options;
    }
    if (self->options.context == NULL) {
        self->own_context = zmq_ctx_new();
        self->options.context = self->own_context;
    }
    size_t max_reply_bytes =
        self->options.max_reply_bytes != 0 ? self->options.max_reply_bytes : MAX_REPLY_BYTES;
    int rc = self->options.context == NULL
                 ? ARIZMQ_EIO
                 : dealer_create(self->options.context, endpoint, max_reply_bytes, &self->dealer);
    if (rc != ARIZMQ_OK) {
        int error = zmq_errno();
        arizmq_gateway_destroy(&self);
        errno = error;
        return rc;
    }
    *out = self;
    return ARIZMQ_OK;
}

void arizmq_gateway_destroy(struct arizmq_gateway **self_p)
{
    struct arizmq_gateway *self = *self_p;
    if (self != NULL) {
        dealer_destroy(&self->dealer);
        if (self->own_context != NULL) {
            zmq_ctx_term(self->own_context);
        }
        json_decref(self->header);
        free(self);
        *self_p = NULL;
    }
}

static int wait_for_reply(struct dealer *dealer, struct arizmq_reply **out)
{
    for (;;) {
        uint64_t now_ms = clock_monotonic_ms();
        int rc = dealer_step(dealer, now_ms, out);
        if (rc != ARIZMQ_ENOTFOUND) {
            return rc;
        }
        zmq_pollitem_t items[DEALER_ITEMS];
        dealer_poll_items(dealer, items);
        if (zmq_poll(items, DEALER_ITEMS, (long)(dealer_deadline_ms(dealer) - now_ms)) < 0 &&
            zmq_errno() != EINTR) {
            dealer_give_up(dealer);
            return ARIZMQ_EIO;
        }
    }
}

static int attempt(struct arizmq_gateway *self, const struct arizmq_request *request,
                   struct arizmq_reply **out)
{
    uint32_t timeout_ms =
        request->timeout_ms != 0 ? request->timeout_ms : ARIZMQ_GATEWAY_TIMEOUT_MS;
    int rc = dealer_ask(self->dealer, self->header, request->body, request->body_length,
                        ARIZMQ_GATEWAY_CONNECT_MS, timeout_ms + ARIZMQ_GATEWAY_GRACE_MS);
    if (rc == ARIZMQ_OK) {
        rc = wait_for_reply(self->dealer, out);
    }
    const char *why = dealer_failure(self->dealer);
    snprintf(self->failure, sizeof self->failure, "%s",
             rc == ARIZMQ_EIO && *why == '\0' ? zmq_strerror(zmq_errno()) : why);
    return rc;
}

/* What another attempt may mend. */
static bool may_pass(int rc)
{
    return rc == ARIZMQ_EUNREACHABLE || rc == ARIZMQ_ECLOSED || rc == ARIZMQ_ETIMEOUT;
}

int arizmq_gateway_request(struct arizmq_gateway *self, const struct arizmq_request *request,
                           struct arizmq_reply **out)
{
    const char *why = "no memory";
    json_decref(self->header);
    self->header = NULL;
    self->failure[0] = '\0';
    int rc = request_header_make(request, &self->header, &why);
    if (rc != ARIZMQ_OK) {
        snprintf(self->failure, sizeof self->failure, "the request cannot be sent: %s", why);
        return rc;
    }
    for (unsigned left = request->retries;; left--) {
        rc = attempt(self, request, out);
        if (may_pass(rc) && self->options.on_failure != NULL) {
            self->options.on_failure(self->options.argument, self->failure, left);
        }
        if (!may_pass(rc) || left == 0) {
            return rc;
        }
    }
}

const char *arizmq_gateway_failure(const struct arizmq_gateway *self)
{
    return self->failure;
}

const char *arizmq_gateway_request_id(const struct arizmq_gateway *self)
{
    const char *id = json_string_value(json_object_get(self->header, "request_id"));
    return id != NULL ? id : "";
}
