/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A client of the gateway: sends a request to Asterisk, or to the bridge itself, and waits for its
 * reply.
 *
 *     struct arizmq_gateway *gateway = NULL;
 *     arizmq_gateway_create("tcp://127.0.0.1:5558", NULL, &gateway);
 *     const char *const query[] = {"media", "sound:hello-world", NULL};
 *     struct arizmq_request request = {
 *         .method = "POST", .uri = "channels/call-7/play", .query = query, .retries = 2};
 *     struct arizmq_reply *reply = NULL;
 *     if (arizmq_gateway_request(gateway, &request, &reply) != ARIZMQ_OK) {
 *         fprintf(stderr, "%s\n", arizmq_gateway_failure(gateway));
 *     } else {
 *         printf("%d\n", arizmq_reply_status(reply));
 *     }
 *     arizmq_reply_destroy(&reply);
 *     arizmq_gateway_destroy(&gateway);
 *
 * Where no reply comes, the same frames are sent again over a new connection, `retries` times: the
 * bridge runs a request_id once, however often it comes, and answers with the reply that there was.
 * It remembers an id for gateway.once_window_ms of its configuration, 5 minutes.
 *
 * A gateway has one request under way at a time and belongs to one thread at a time. Several
 * threads, or requests side by side, take a gateway each; they may share a ZeroMQ context.
 */
#ifndef ARIZMQ_GATEWAY_H
#define ARIZMQ_GATEWAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ARIZMQ_GATEWAY_ENDPOINT "tcp://127.0.0.1:5558" /* where a bridge has it by default */

enum {
    ARIZMQ_GATEWAY_TIMEOUT_MS = 5000, /* how long the bridge may take, by default */
    ARIZMQ_GATEWAY_CONNECT_MS = 3000, /* within which somebody must answer at the endpoint */
    ARIZMQ_GATEWAY_GRACE_MS = 1000, /* how much longer than the bridge the client waits, so that the
                                       bridge is the first to say that time is up */
};

struct arizmq_gateway;
struct arizmq_reply;

/* All members may be left zero. */
struct arizmq_gateway_options {
    void *context;          /* a ZeroMQ context, which outlives the gateway; NULL: one of its own */
    size_t max_reply_bytes; /* of all frames together; 0: 256 MiB. A larger reply is refused. */
    /* Told of every attempt that brought no reply: why, and how many attempts are left. */
    void (*on_failure)(void *argument, const char *failure, unsigned left);
    void *argument;
};

/* What is sent. Everything is borrowed; strings are UTF-8; what is NULL or 0 is left out. */
struct arizmq_request {
    const char *method;       /* "GET", "POST"… */
    const char *uri;          /* "channels/1690.12/play", relative to /ari/ */
    const char *const *query; /* name, value, name, value… NULL; escaped by the bridge */
    const char *node;         /* the Asterisk that is to get it */
    const char *app;          /* the application that it is made for */
    const char *members;      /* a JSON object: further members of the header, such as
                                 {"transaction_id":"7"}; those above and below win */
    const void *body;         /* sent as it is; NULL: no body */
    size_t body_length;       /* bytes */
    const char *content_type; /* of the body; NULL: the bridge takes it for application/json */
    const char *request_id;   /* NULL: a new UUID */
    uint32_t timeout_ms;      /* how long the bridge may take; 0: ARIZMQ_GATEWAY_TIMEOUT_MS */
    unsigned retries;         /* further attempts */
};

/* Connects, in the background: whether somebody is there shows with a request. `options` may be
 * NULL. Returns ARIZMQ_OK; ARIZMQ_EINVALID if the endpoint is none, ARIZMQ_EIO (with zmq_errno())
 * or ARIZMQ_ENOMEM. The caller frees *out with arizmq_gateway_destroy(). */
int arizmq_gateway_create(const char *endpoint, const struct arizmq_gateway_options *options,
                          struct arizmq_gateway **out);
void arizmq_gateway_destroy(struct arizmq_gateway **self);

/* Sends and waits: each attempt ARIZMQ_GATEWAY_CONNECT_MS for somebody to answer at the endpoint
 * and then timeout_ms + ARIZMQ_GATEWAY_GRACE_MS for the reply. Signals do not end the waiting.
 *
 * Returns ARIZMQ_OK and a reply of whatever status, which the caller frees with
 * arizmq_reply_destroy(). Otherwise arizmq_gateway_failure() has a sentence about it:
 *   ARIZMQ_EINVALID      the request is none: no method, no uri, text that is no UTF-8, members
 *                        that are no JSON object; nothing was sent
 *   ARIZMQ_EUNREACHABLE  nobody who speaks ZeroMQ is at the endpoint; nothing was sent
 *   ARIZMQ_ECLOSED       the connection was lost before the reply came
 *   ARIZMQ_ETIMEOUT      no reply came in time
 *   ARIZMQ_EPROTOCOL     what came is no reply to it
 *   ARIZMQ_ETOOLARGE     the reply has more than max_reply_bytes
 *   ARIZMQ_EIO, ARIZMQ_ENOMEM
 * After ECLOSED, ETIMEOUT, EPROTOCOL and ETOOLARGE it may have been carried out or not: the same
 * request with the same request_id (arizmq_gateway_request_id()) finds out, and does not do it
 * twice. */
int arizmq_gateway_request(struct arizmq_gateway *self, const struct arizmq_request *request,
                           struct arizmq_reply **out);

/* What the last request failed with, one sentence in English without a full stop; "" where it did
 * not. Valid until the next request. */
const char *arizmq_gateway_failure(const struct arizmq_gateway *self);

/* The request_id of the last request; "" before the first. Valid until the next request. */
const char *arizmq_gateway_request_id(const struct arizmq_gateway *self);

/* --- a reply; pointers into it are valid until arizmq_reply_destroy() */

void arizmq_reply_destroy(struct arizmq_reply **self);

int arizmq_reply_status(const struct arizmq_reply *self); /* 100 to 599 */

/* The header as it came: the text of a JSON object, not terminated. */
const char *arizmq_reply_header(const struct arizmq_reply *self, size_t *length);

/* A member of the header; NULL or false where it has none of that name and type. Numbers in it are
 * never negative. */
const char *arizmq_reply_text(const struct arizmq_reply *self, const char *name);
bool arizmq_reply_number(const struct arizmq_reply *self, const char *name, uint64_t *out);

/* The body as it came, not terminated; length 0 where there is none. */
const void *arizmq_reply_body(const struct arizmq_reply *self, size_t *length);

/* Frames behind the body (GET arizmq/history has some), from 0. */
size_t arizmq_reply_frames(const struct arizmq_reply *self);
const void *arizmq_reply_frame(const struct arizmq_reply *self, size_t i, size_t *length);

#ifdef __cplusplus
}
#endif

#endif
