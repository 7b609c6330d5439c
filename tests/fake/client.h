/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The plain client that the tests of the peers use: one socket, blocking with a deadline, frames
 * as they are. Anything unexpected fails the test.
 */
#ifndef ARIZMQ_FAKE_CLIENT_H
#define ARIZMQ_FAKE_CLIENT_H

#include <openssl/ssl.h>

#include "frame.h"

struct client {
    int fd;
    SSL *ssl; /* NULL without TLS */
    SSL_CTX *tls;
    struct bytes in; /* what was read; up to `used` it is done with */
    size_t used;
};

struct client_response {
    char *head;        /* status line and headers, without the empty line */
    char *status_line; /* inside head, ended there */
    char *headers;     /* inside head, after the status line */
    char *body;
    size_t body_length;
};

/* Connects to 127.0.0.1. */
struct client *client_connect(uint16_t port);
/* The same with TLS; `certificate` and `key` may be NULL, the server's is not checked. */
struct client *client_connect_tls(uint16_t port, const char *certificate, const char *key);
void client_destroy(struct client **self);

void client_send(struct client *client, const void *data, size_t length);
/* Sends a request as it stands and reads its response; a HEAD's body too, as Asterisk sends one. */
void client_request(struct client *client, const char *request, struct client_response *out);
void client_response_free(struct client_response *response);
/* The value of a header, malloc'd; NULL if there is none. Names as Asterisk spells them. */
char *client_response_header(const struct client_response *response, const char *name);

/* Upgrades with "Basic lab:secret" and fails the test if that is refused. */
void client_upgrade(struct client *client, const char *target);
/* client_connect() and client_upgrade(). */
struct client *client_open(uint16_t port, const char *target);

/* Sends one masked frame. */
void client_send_frame(struct client *client, bool is_final, unsigned opcode, const void *payload,
                       size_t length);
void client_send_text(struct client *client, const char *text);
/* The next frame. The payload is borrowed until the next call. False at the connection's end. */
bool client_read_frame(struct client *client, struct frame *frame);
/* Reads one frame that must be a whole text; a copy, malloc'd and NUL-terminated. */
char *client_read_text(struct client *client);
/* Reads exactly `length` bytes as they are; NULL when the end comes first. Borrowed like a frame.
 */
const uint8_t *client_read_bytes(struct client *client, size_t length);
/* Is the end (FIN or RST) the next thing that comes? */
bool client_is_at_end(struct client *client);
/* Does nothing come for so long? */
bool client_is_silent(struct client *client, int for_ms);

#endif
