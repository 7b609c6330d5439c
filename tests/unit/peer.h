/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A server that does what a test tells it to: one connection on 127.0.0.1, plain or TLS, all of
 * whose bytes are the test's own. It lives in the test's thread and is turned with the loop.
 */
#ifndef ARIZMQ_TESTS_PEER_H
#define ARIZMQ_TESTS_PEER_H

#include <stdbool.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include "frames.h"

/* PEM files; cert_file NULL: no TLS. client_ca_file: clients must show a certificate of it. */
struct peer_tls {
    const char *cert_file;
    const char *key_file;
    const char *client_ca_file;
};

struct peer {
    int listener;
    uint16_t port;
    int fd; /* -1: nobody has connected, or the connection is closed */
    SSL_CTX *context;
    SSL *ssl;
    bool is_up; /* connected, and TLS done */
    bool was_up;
    bool is_eof;    /* the client has closed, or reset */
    bool is_closed; /* peer_close() or peer_reset() was called */
    struct bytes in;
    struct bytes out;
};

void peer_create(struct peer *peer, const struct peer_tls *tls);
void peer_destroy(struct peer *peer);

/* From now on nobody can connect. */
void peer_stop_listening(struct peer *peer);

/* Accepts, reads and writes whatever can be done without waiting. */
void peer_turn(struct peer *peer);

/* Queues bytes; peer_turn() writes them. */
void peer_send(struct peer *peer, const void *bytes, size_t length);
void peer_send_text(struct peer *peer, const char *text);

/* Closes with FIN, or with RST; what is still queued is dropped. The next client is accepted. */
void peer_close(struct peer *peer);
void peer_reset(struct peer *peer);

/* Whether the head of an HTTP request has come. */
bool peer_has_head(const struct peer *peer);

/* Takes it out of what has come; NUL-terminated, for the caller to free. */
char *peer_take_head(struct peer *peer);

/* The value of a header in such a head, for the caller to free; NULL where there is none. */
char *peer_header(const char *head, const char *name);

/* Sends the 101 that belongs to the request in `head`. */
void peer_accept_websocket(struct peer *peer, const char *head);

struct peer_frame {
    bool is_final;
    unsigned opcode;
    uint8_t mask[4];
    size_t length;
    uint8_t payload[131072]; /* unmasked */
};

/* Takes the next frame, which must be masked as a client's has to be, once it is there. */
bool peer_take_frame(struct peer *peer, struct peer_frame *frame);

/* --- certificates.c */

/* A directory with ca.pem and, all with keys NAME.key, certificates server.pem (localhost and
 * 127.0.0.1) and other.pem (other.example) and client.pem of it, and self.pem (localhost), which
 * is of nobody. */
enum { CERTIFICATES_PATHS = 8 };

struct certificates {
    char directory[64];
    char *path[CERTIFICATES_PATHS]; /* owned; what certificates_path() returned last */
    unsigned next;
};

void certificates_create(struct certificates *certificates);
void certificates_destroy(struct certificates *certificates);
/* Valid until it was called CERTIFICATES_PATHS times more. */
const char *certificates_path(struct certificates *certificates, const char *file);

#endif
