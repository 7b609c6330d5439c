/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Commands over HTTP/1.1 with libcurl: for each node a few connections that are kept alive, and a
 * queue before them. Belongs to the command thread and never waits.
 */
#ifndef ARIZMQ_GATEWAY_HTTP_H
#define ARIZMQ_GATEWAY_HTTP_H

#include <stdbool.h>
#include <stdint.h>

#include "gateway/exchange.h"
#include "ops/config.h"

struct http;
struct http_node;
struct http_request;

/* Sockets are put into and taken out of `epoll_fd` with their descriptor as data.fd. `config` is
 * held. Returns ARIZMQ_OK or ARIZMQ_ENOMEM; ARIZMQ_EINVALID with one line in error[error_size]
 * where a node's TLS files cannot be used. */
int http_create(const struct config *config, int epoll_fd, struct http **out, char *error,
                size_t error_size);

/* Requests under way are dropped; nobody is told. */
void http_destroy(struct http **self);

/* Queues a request for its node, of which at most nodes[].rest_connections are under way at a time,
 * each on a connection of its own. What happens to it:
 * - A connection is used again if it was idle for less than Asterisk's 15 s (RFC 9112, 9.3).
 * - A used connection that ends without a byte of an answer: a safe method is sent again, once;
 *   with any other the outcome is unknown.
 * - No connection within nodes[].connect_timeout_ms: EXCHANGE_NOT_SENT.
 * - No whole answer within gateway.answer_timeout_ms after sending: EXCHANGE_UNKNOWN, and the
 *   connection is closed.
 * - A body over gateway.max_reply_bytes, or a head over 256 KiB: EXCHANGE_REFUSED.
 * Returns ARIZMQ_OK or ARIZMQ_ENOMEM. */
int http_send(struct http *self, const struct exchange_order *order, exchange_done *done,
              void *owner, struct http_request **out);

/* Takes a request back of which nothing was sent yet: true, `done` will not be called, *request is
 * NULL. False where it has begun: then `done` will be called. */
bool http_withdraw(struct http *self, struct http_request **request);

/* Events came for a socket that epoll names by data.fd. */
void http_ready(struct http *self, int fd, uint32_t epoll_events);

/* Starts what is queued, and calls `done` for what is over. Once for each turn of the loop. */
void http_turn(struct http *self);

/* Milliseconds until http_turn() must be called though nothing happened; -1: none. */
int http_wait_ms(const struct http *self);

/* --- nodes that come, change and go */

/* What a node needs, to be handed to http_set_node(); any thread may make it. Returns ARIZMQ_OK; or
 * ARIZMQ_ENOMEM or ARIZMQ_EINVALID with one line in error[error_size]. */
int http_node_create(struct http *http, const struct config_node *config, struct http_node **out,
                     char *error, size_t error_size);

/* Requests under way are dropped; nobody is told. NULL is fine. */
void http_node_destroy(struct http_node **self);

/* From now on requests for the slot go over `node`, which is taken over. What has been sent over
 * the one that was there before ends there, and its connections with it; what was not, goes over
 * the new one. */
void http_set_node(struct http *self, unsigned slot, struct http_node *node);

/* The node in that slot goes on with other times and numbers: all but what says where it is and how
 * to be let in. */
void http_change_node(struct http *self, unsigned slot, const struct config_node *config);

/* The slot has no node any more; its requests are over. */
void http_clear_node(struct http *self, unsigned slot);

/* Other bounds; `config` is held in place of the one before. */
void http_set_config(struct http *self, const struct config *config);

/* --- for arizmq/nodes and metrics; 0 where the slot has no node */

unsigned http_queued(const struct http *self, unsigned node);
unsigned http_sent(const struct http *self, unsigned node); /* requests on the wire now */

#endif
