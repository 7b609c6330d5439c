/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What ws.c shares with the two transports, ws_raw.c and ws_role.c.
 */
#ifndef ARIZMQ_NODE_WS_PRIVATE_H
#define ARIZMQ_NODE_WS_PRIVATE_H

#include "node/ws.h"

enum {
    /* A probe, a ping, a pong and a close; and as many commands as a node may have under way
     * (nodes[].rest_connections is at most 90). */
    WS_FRAMES_WAITING_MAX = 8 + 90,
    WS_HANDSHAKE_BYTES_MAX = 16384,
};

/* A frame that waits for the socket to be writable. */
struct ws_frame {
    struct ws_frame *prev, *next; /* utlist */
    enum ws_opcode opcode;
    size_t length;
    unsigned char buffer[]; /* LWS_PRE bytes, room for a frame header, then the payload */
};

enum { WS_FRAME_PAYLOAD_AT = LWS_PRE + 14 };

struct ws_transport {
    /* Fills in what is particular to it. */
    void (*prepare)(struct ws *ws, struct lws_client_connect_info *info);
    /* Writes one frame; returns 0, or negative where the connection has failed. */
    int (*write)(struct ws *ws, struct ws_frame *frame);
};

struct ws {
    const struct ws_transport *transport;
    struct target target;
    const char *path;
    const struct ws_handler *handler;
    void *owner;
    struct lws *wsi;
    lws_sorted_usec_list_t end_later; /* to report a failure of ws_open() itself from the loop */
    bool is_opening;                  /* within ws_open() */
    bool has_asked;                   /* the handshake has begun */
    bool is_open;                     /* it is done */
    bool is_closing;                  /* a close frame was sent or is about to be */
    bool has_ended;
    struct ws_ended how;
    uint64_t received_ns;
    unsigned waiting_count;
    struct ws_frame *waiting; /* the oldest first */
    /* RAW transport */
    struct ws_reader reader;
    char key[32]; /* Sec-WebSocket-Key */
    char *handshake;
    size_t handshake_length;
    /* WebSocket role */
    struct ws_message message;
    bool in_message;
};

extern const struct ws_transport ws_raw_transport;
extern const struct ws_transport ws_role_transport;

/* The connection was made and the handshake succeeded. */
void ws_set_open(struct ws *self);

/* Sets how the connection ended, unless that is known already. The rest of `detail` after the first
 * unprintable byte is cut off. */
void ws_set_ended(struct ws *self, enum ws_end end, int code, const char *detail);

/* libwebsockets has closed the connection, or is about to: tells the owner and frees. */
void ws_finish(struct ws *self);

/* Queues a frame with any opcode. Errors as ws_send_text(). */
int ws_queue(struct ws *self, enum ws_opcode opcode, const void *payload, size_t length);

/* Writes the next waiting frame; returns 0, or -1 where libwebsockets is to close the connection.
 */
int ws_write_next(struct ws *self);

#endif
