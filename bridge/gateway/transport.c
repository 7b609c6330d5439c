/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Chooses the way of each exchange by what its node's configuration says. command.c and census.c
 * call it; it keeps nothing of its own.
 */
#include "gateway/transport.h"

#include "arizmq/error.h"

int transport_send(struct transport *self, const struct exchange_order *order, exchange_done *done,
                   void *owner, struct exchange *out)
{
    *out = (struct exchange){0};
    return http_send(self->http, order, done, owner, &out->http);
}

bool transport_withdraw(struct transport *self, struct exchange *exchange)
{
    return http_withdraw(self->http, &exchange->http);
}
