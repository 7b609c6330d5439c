/* SPDX-License-Identifier: MPL-2.0 */
/*
 * One WebSocket connection to an Asterisk: bytes in, whole messages out.
 *
 * Two transports stand behind this interface. ws:// uses libwebsockets' RAW role with the frame
 * reader of ws_reader.c, because its WebSocket role parses payload with a call for each byte;
 * wss:// uses that WebSocket role, because its RAW role cannot start TLS in 4.1.6.
 *
 * Belongs to the event thread. No call of the handler is made from within ws_open(), and the
 * handler must not call ws_abandon() from within its own calls.
 */
#ifndef ARIZMQ_NODE_WS_H
#define ARIZMQ_NODE_WS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libwebsockets.h>

#include "node/target.h"
#include "node/ws_reader.h"

struct ws;

enum ws_end {
    WS_END_UNREACHABLE, /* no connection, TLS failed, or no answer to the handshake */
    WS_END_REFUSED,     /* an HTTP answer other than 101; code is its status */
    WS_END_LOST,        /* the connection ended without a close frame */
    WS_END_CLOSED,      /* the peer sent a close frame, by itself or in answer; code is its code */
    WS_END_PROTOCOL_ERROR, /* the peer broke RFC 6455 */
    WS_END_NOT_UTF8,       /* a text message was not UTF-8 */
};

struct ws_ended {
    enum ws_end end;
    int code;
    char detail[256]; /* for the log: what was said or seen; printable */
};

struct ws_handler {
    void (*opened)(void *owner);
    /* text[0..length) has SCAN_PADDING readable bytes behind it; borrowed for the call.
     * `received_ns` is the wall clock when its last byte was read. */
    void (*message)(void *owner, const char *text, size_t length, uint64_t received_ns);
    void (*refused)(void *owner, enum ws_refusal why, uint64_t length);
    /* Bytes came, of whatever frame: the peer is alive. `received_ns` is the wall clock then. */
    void (*heard)(void *owner, uint64_t received_ns);
    /* The last call. The ws is gone when it returns. */
    void (*ended)(void *owner, const struct ws_ended *how);
};

/* Begins to connect to `path` (with its query). What `target` and `path` point to is borrowed until
 * the connection has ended. Returns ARIZMQ_OK and a ws that lives until `ended` is called or
 * ws_abandon(); or ARIZMQ_ENOMEM. Failures to connect come through `ended`. */
int ws_open(const struct target *target, const char *path, const struct ws_handler *handler,
            void *owner, struct ws **out);

/* What comes from now on goes to another handler. */
void ws_set_handler(struct ws *self, const struct ws_handler *handler, void *owner);

/* Queues a text frame. Returns ARIZMQ_OK, ARIZMQ_ECLOSED before it is open or after a close, or
 * ARIZMQ_ETOOLARGE if too many frames wait already. */
int ws_send_text(struct ws *self, const char *text, size_t length);

/* Queues a ping; the pong arrives as heard(). Errors as ws_send_text(). */
int ws_ping(struct ws *self);

/* Begins the closing handshake; messages that are still on their way are delivered, then ended().
 */
void ws_close(struct ws *self, enum ws_close_code code);

/* Ends the connection at once, with a close frame if one can be sent without waiting. The handler
 * is not called again. *self becomes NULL. */
void ws_abandon(struct ws **self);

/* The request of the handshake was sent, or is just being sent. */
bool ws_has_asked(const struct ws *self);

/* Another bound than the target's, for the message that is coming in and all that follow. */
void ws_set_max_message_bytes(struct ws *self, uint64_t bytes);

/* Whether the connection stands between two messages, as far as the transport can know. */
bool ws_is_between_messages(const struct ws *self);

/* The libwebsockets protocols of both transports, for the context's list. */
extern const struct lws_protocols ws_raw_protocol;
extern const struct lws_protocols ws_role_protocol;

#endif
