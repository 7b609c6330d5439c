/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Chooses the way of each exchange by what its node's configuration says. command.c and census.c
 * call it; it keeps nothing of its own.
 */
#include "gateway/transport.h"

#include "ops/metrics.h"

int transport_send(struct transport *self, const struct exchange_order *order, exchange_done *done,
                   void *owner, struct exchange *out)
{
    *out = (struct exchange){0};
    if (config_has_node(self->config, order->node) &&
        self->config->nodes[order->node].rest == CONFIG_REST_WEBSOCKET) {
        if (over_ws_can_carry(order)) {
            return over_ws_send(self->over_ws, order, done, owner, &out->over_ws);
        }
        metrics_add(METRIC_OVER_WS_FALLBACKS, 1);
    }
    return http_send(self->http, order, done, owner, &out->http);
}

bool transport_withdraw(struct transport *self, struct exchange *exchange)
{
    return exchange->over_ws != NULL ? over_ws_withdraw(self->over_ws, &exchange->over_ws)
                                     : http_withdraw(self->http, &exchange->http);
}

unsigned transport_queued(const struct transport *self, unsigned node)
{
    return http_queued(self->http, node) + over_ws_queued(self->over_ws, node);
}
