/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The way to each node: HTTP, or the WebSocket of one of its links where nodes[].rest says so.
 * Belongs to the command thread.
 */
#ifndef ARIZMQ_GATEWAY_TRANSPORT_H
#define ARIZMQ_GATEWAY_TRANSPORT_H

#include <stdbool.h>

#include "gateway/exchange.h"
#include "gateway/http.h"
#include "gateway/over_ws.h"
#include "ops/config.h"

struct transport {
    const struct config *config;
    struct http *http;
    struct over_ws *over_ws;
};

/* One exchange under way; a member of what it belongs to. All zero: none. */
struct exchange {
    struct http_request *http;
    struct over_ws_request *over_ws;
};

/* Begins an exchange; see http_send(). Returns ARIZMQ_OK or ARIZMQ_ENOMEM. */
int transport_send(struct transport *self, const struct exchange_order *order, exchange_done *done,
                   void *owner, struct exchange *out);

/* Takes it back if nothing was sent yet; see http_withdraw(). */
bool transport_withdraw(struct transport *self, struct exchange *exchange);

/* Requests for `node` that are not sent yet. */
unsigned transport_queued(const struct transport *self, unsigned node);

#endif
