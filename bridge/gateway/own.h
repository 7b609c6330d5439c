/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The bridge's own resources, under arizmq/: answered here, from what the command thread knows.
 */
#ifndef ARIZMQ_GATEWAY_OWN_H
#define ARIZMQ_GATEWAY_OWN_H

#include <stdbool.h>
#include <stdint.h>

#include <zmq.h>

#include "gateway/fleet.h"
#include "gateway/owners.h"
#include "gateway/reply.h"
#include "gateway/request.h"
#include "gateway/transport.h"
#include "keep/history.h"
#include "ops/config.h"

/* All borrowed. */
struct own {
    const struct config *config;
    const struct fleet *fleet;
    const struct owners *owners;
    const struct transport *transport;
    const struct history *history;
};

/* Whether the request is for one of them. */
bool own_is_meant(const struct request *request);

enum own_result {
    OWN_ANSWERED,
    OWN_HISTORY,  /* GET arizmq/history: to be answered at the history desk */
    OWN_SNAPSHOT, /* GET arizmq/snapshot: to be answered at the snapshot desk */
};

/* Answers it, unless it is for one of the desks: fills `reply` but for elapsed_ns, and initialises
 * *body. Shapes: schemas/arizmq-info.schema.json, schemas/arizmq-nodes.schema.json. */
enum own_result own_answer(const struct own *self, const struct request *request,
                           struct reply *reply, zmq_msg_t *body);

#endif
