/* SPDX-License-Identifier: MPL-2.0 */
/*
 * RESTRequest and RESTResponse, as Asterisk speaks them over a WebSocket.
 */
#ifndef ARIZMQ_GATEWAY_OVER_WS_TEXT_H
#define ARIZMQ_GATEWAY_OVER_WS_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "gateway/exchange.h"

/* Writes the RESTRequest of command `number`, whose body must be UTF-8. malloc()ed; NULL without
 * memory. */
char *over_ws_text_write(const struct exchange_order *order, uint64_t number, size_t *length);

/* A RESTResponse that was read. */
struct over_ws_text {
    struct exchange_answer answer; /* EXCHANGE_ANSWERED; its texts and body belong to this */
    zmq_msg_t body;
    json_t *json;
};

/* Reads a RESTResponse, whose body is the bytes of the string message_body. Returns ARIZMQ_OK, and
 * over_ws_text_release() frees; ARIZMQ_ETOOLARGE where the body has more than `max_bytes`;
 * ARIZMQ_ENOMEM; or ARIZMQ_EINVALID. */
int over_ws_text_read(const char *text, size_t length, uint64_t max_bytes,
                      struct over_ws_text *out);

void over_ws_text_release(struct over_ws_text *text);

#endif
