/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The opening handshake of a WebSocket client (RFC 6455, section 4.1), for the RAW transport.
 */
#ifndef ARIZMQ_NODE_WS_HANDSHAKE_H
#define ARIZMQ_NODE_WS_HANDSHAKE_H

#include <stddef.h>

struct ws_answer {
    int status;       /* of the HTTP status line */
    char reason[160]; /* its reason phrase; or what is wrong with a 101 that must not be accepted */
    size_t head;      /* bytes of the answer's head, the empty line included */
    size_t body;      /* Content-Length, 0 where there is none */
    int is_accepted;  /* 101, and everything RFC 6455 asks for is there */
};

/* Writes the request for `path` into out[size]. `key` is the Sec-WebSocket-Key. Returns its length,
 * or 0 where there is not enough room. */
size_t ws_handshake_write(const char *path, const char *host, unsigned port, const char *key,
                          const char *authorization, char *out, size_t size);

/* Reads the answer at bytes[0..length). Returns 1 and fills in *out once its head is whole, 0 while
 * it is not, ARIZMQ_EINVALID where this is no HTTP. */
int ws_handshake_read(const char *bytes, size_t length, const char *key, struct ws_answer *out);

#endif
