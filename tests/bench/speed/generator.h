/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The generator: looks enough like Asterisk for arizmqd's links and for the WebSocket clients of
 * other relays, and sends pre-built events to whoever has upgraded.
 */
#ifndef ARIZMQ_BENCH_GENERATOR_H
#define ARIZMQ_BENCH_GENERATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>

enum { PEER_IN_MAX = 16384 };

/* One connection: HTTP until it upgrades. */
struct peer {
    int fd;
    SSL *ssl;          /* NULL without TLS */
    bool is_websocket; /* is among the generator's links */
    size_t length;     /* of what was read and not handled */
    char in[PEER_IN_MAX];
};

struct generator {
    int listener;
    int epoll;
    SSL_CTX *tls; /* NULL without TLS */
    struct block *block;
    struct peer **links;
    size_t links_count;
    size_t links_capacity;
    uint64_t seq; /* of the last event */
};

/* --- peers.c */

/* Accepts, reads and answers whatever has come; waits so long for something, -1 for ever. True when
 * standard input has something, too. */
bool peers_serve(struct generator *self, int timeout_ms);
/* Writes all of it; waits while the peer does not read. */
void peers_write(struct peer *peer, const void *data, size_t length);

/* --- answers.c */

/* Handles the whole requests and frames in peer->in. False: the connection is over. */
bool answers_give(struct generator *self, struct peer *peer);

/* A new link; writes `links N` to stdout. */
void generator_add_link(struct generator *self, struct peer *peer);

#endif
