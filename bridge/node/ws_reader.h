/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Reads the frames that a WebSocket server sends (RFC 6455, section 5): bytes in, whole messages
 * and control frames out. Knows nothing of sockets.
 */
#ifndef ARIZMQ_NODE_WS_READER_H
#define ARIZMQ_NODE_WS_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/ws_message.h"

enum ws_opcode {
    WS_CONTINUATION = 0x0,
    WS_TEXT = 0x1,
    WS_BINARY = 0x2,
    WS_CLOSE = 0x8,
    WS_PING = 0x9,
    WS_PONG = 0xA,
};

enum ws_close_code {
    WS_CODE_NORMAL = 1000,
    WS_CODE_PROTOCOL_ERROR = 1002,
    WS_CODE_NO_STATUS = 1005, /* never on the wire: the peer gave no code */
    WS_CODE_ABNORMAL = 1006,  /* never on the wire: the connection ended without a close frame */
    WS_CODE_NOT_UTF8 = 1007,
};

enum { WS_CONTROL_BYTES_MAX = 125 };

/* What the reader calls. None of these may destroy the reader. */
struct ws_reader_handler {
    /* text[0..length) has SCAN_PADDING readable bytes behind it; borrowed for the call. */
    void (*message)(void *owner, const char *text, size_t length);
    /* A message of `length` bytes was discarded. */
    void (*refused)(void *owner, enum ws_refusal why, uint64_t length);
    /* A ping, pong or close frame; payload borrowed for the call. */
    void (*control)(void *owner, enum ws_opcode opcode, const uint8_t *payload, size_t length);
};

struct ws_reader {
    const struct ws_reader_handler *handler;
    void *owner;
    struct ws_message message;
    bool in_message; /* between a message's first frame and its last */
    bool in_payload; /* a header was read and `left` bytes of payload are missing */
    bool is_final;
    bool has_closed; /* a close frame was read: what follows it does not count */
    enum ws_opcode opcode;
    uint64_t left;
    uint8_t header[10];
    size_t header_length;
    uint8_t control[WS_CONTROL_BYTES_MAX];
    size_t control_length;
};

void ws_reader_init(struct ws_reader *self, const struct ws_reader_handler *handler, void *owner,
                    uint64_t max_message_bytes);
void ws_reader_deinit(struct ws_reader *self);

/* Takes the next bytes of the connection, in pieces of any size. Returns 0, or the close code with
 * which the connection must be failed; *error then says why, and nothing more may be fed. */
int ws_reader_feed(struct ws_reader *self, const uint8_t *bytes, size_t length, const char **error);

/* Whether the connection stands between two messages. Where it does not, and no bytes come, the
 * peer has been cut off in the middle. */
bool ws_reader_is_between_messages(const struct ws_reader *self);

#endif
