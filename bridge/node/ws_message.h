/* SPDX-License-Identifier: MPL-2.0 */
/*
 * One WebSocket message in the making: its fragments are put together in bounded memory, its text
 * is checked to be UTF-8 (RFC 6455, section 8.1).
 */
#ifndef ARIZMQ_NODE_WS_MESSAGE_H
#define ARIZMQ_NODE_WS_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Why a message was discarded instead of delivered. */
enum ws_refusal {
    WS_REFUSED_NOT,
    WS_REFUSED_SIZE, /* larger than the bound */
    WS_REFUSED_UTF8, /* a text message that is no UTF-8; the connection must be closed with 1007 */
    WS_REFUSED_MEMORY, /* no memory to put it together */
};

struct ws_message {
    uint64_t max_bytes;
    bool is_text;
    enum ws_refusal refusal; /* set as soon as it is known; what follows is then only counted */
    uint64_t total;          /* bytes of the message so far, kept or not */
    char *bytes;             /* owned; SCAN_PADDING readable bytes behind `length` */
    size_t length;
    size_t capacity;
};

void ws_message_init(struct ws_message *self, uint64_t max_bytes);
void ws_message_deinit(struct ws_message *self);

/* Starts a new message; what was left of the last one is forgotten. */
void ws_message_begin(struct ws_message *self, bool is_text);

/* Adds bytes[0..length). Beyond the bound, or without memory, the message becomes a refused one:
 * its memory is given back and the rest of it is only counted. */
void ws_message_append(struct ws_message *self, const char *bytes, size_t length);

/* Ends the message. WS_REFUSED_NOT: self->bytes[0..length) is to be delivered, and stays valid
 * until the next call. */
enum ws_refusal ws_message_end(struct ws_message *self);

/* Whether text[0..length) is UTF-8. */
bool ws_text_is_utf8(const char *text, size_t length);

#endif
