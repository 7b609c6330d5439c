/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Commands over a node's WebSocket (nodes[].rest: websocket; Asterisk 22.4 and later): a
 * RESTRequest for each, sent by the event thread (post.h), answered by a RESTResponse (feed.h).
 * Belongs to the command thread and never waits.
 */
#ifndef ARIZMQ_GATEWAY_OVER_WS_H
#define ARIZMQ_GATEWAY_OVER_WS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/exchange.h"
#include "gateway/http.h"
#include "gateway/post.h"
#include "ops/config.h"

struct over_ws;
struct over_ws_request;

/* All borrowed but `config`, which is held. Returns ARIZMQ_OK or ARIZMQ_ENOMEM. */
int over_ws_create(const struct config *config, struct post *post, struct http *http,
                   struct over_ws **out);

/* Requests under way are dropped; nobody is told. Must come before http_destroy(). */
void over_ws_destroy(struct over_ws **self);

/* Whether a WebSocket can carry it: Asterisk knows five methods there, two content types, bodies
 * that are text, and JSON where they claim to be, and frames of POST_TEXT_MAX bytes. What it cannot
 * goes over HTTP. */
bool over_ws_can_carry(const struct exchange_order *order);

/* Queues a request for its node, of which at most nodes[].rest_connections are under way at a time;
 * Asterisk answers them one after the other. What happens to it:
 * - No link of the node is up, or it cannot be sent: EXCHANGE_NOT_SENT.
 * - The connection ends, or nothing comes within gateway.answer_timeout_ms: EXCHANGE_UNKNOWN.
 * - An answer that cannot be understood, or is over gateway.max_reply_bytes: EXCHANGE_REFUSED.
 * - 406 to a GET, which is how Asterisk says that the answer is binary: asked again over HTTP.
 * Returns ARIZMQ_OK or ARIZMQ_ENOMEM. */
int over_ws_send(struct over_ws *self, const struct exchange_order *order, exchange_done *done,
                 void *owner, struct over_ws_request **out);

/* As http_withdraw(). */
bool over_ws_withdraw(struct over_ws *self, struct over_ws_request **request);

/* What feed_answer() told; takes `text` over. May call `done`. */
void over_ws_answer(struct over_ws *self, uint64_t number, char *text, size_t length,
                    bool was_sent);

/* Sends what is queued, and ends what is overdue. Once for each turn of the loop. */
void over_ws_turn(struct over_ws *self);

/* Milliseconds until over_ws_turn() must be called though nothing happened; -1: none. */
int over_ws_wait_ms(const struct over_ws *self);

/* Requests that are not sent yet. */
unsigned over_ws_queued(const struct over_ws *self, unsigned node);

/* --- nodes that come, change and go */

/* There is a node in that slot, or it goes on with another configuration; `config` is held. */
void over_ws_set_node(struct over_ws *self, unsigned slot, const struct config_node *config);

/* The node is about to lose its WebSockets: what is not sent yet goes over HTTP, which must still
 * know it. What was sent is waited for as before. */
void over_ws_leave_node(struct over_ws *self, unsigned slot);

/* The slot has no node any more; its requests are over. */
void over_ws_clear_node(struct over_ws *self, unsigned slot);

/* Other bounds; `config` is held in place of the one before. */
void over_ws_set_config(struct over_ws *self, const struct config *config);

#endif
