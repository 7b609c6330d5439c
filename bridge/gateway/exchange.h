/* SPDX-License-Identifier: MPL-2.0 */
/*
 * One request to one Asterisk and what became of it, whichever way it goes (http.h, over_ws.h).
 */
#ifndef ARIZMQ_GATEWAY_EXCHANGE_H
#define ARIZMQ_GATEWAY_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>

#include <zmq.h>

/* All borrowed until the exchange is over. */
struct exchange_order {
    unsigned node;            /* index into config->nodes */
    const char *method;       /* upper case */
    const char *uri;          /* relative to the node's path (/ari), no leading slash */
    const char *query;        /* without the question mark; "" for none */
    const char *content_type; /* NULL where there is no body */
    const char *body;
    size_t body_length;
};

enum exchange_outcome {
    EXCHANGE_ANSWERED,
    EXCHANGE_NOT_SENT, /* no connection could be had: Asterisk has not seen it */
    EXCHANGE_UNKNOWN,  /* it was sent, or may have been, and no whole answer came */
    EXCHANGE_REFUSED,  /* an answer came that breaks a bound or HTTP itself */
};

struct exchange_answer {
    enum exchange_outcome outcome;
    int status_code;           /* where answered */
    const char *reason_phrase; /* borrowed for the call */
    const char *content_type;  /* borrowed for the call; NULL: none given */
    zmq_msg_t *body;           /* where answered; the callee may zmq_msg_move() it out */
    const char *error;         /* one line that begins with the node; where not answered */
};

/* Called once, in the command thread, never from within the call that began the exchange. */
typedef void exchange_done(void *owner, struct exchange_answer *answer);

#endif
