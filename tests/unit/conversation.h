/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A WebSocket under test, the peer that it speaks to, and a record of what its handler was told.
 */
#ifndef ARIZMQ_TESTS_CONVERSATION_H
#define ARIZMQ_TESTS_CONVERSATION_H

#include "loop.h"
#include "node/ws.h"
#include "peer.h"

enum { CONVERSATION_MAX_BYTES = 300000, CONVERSATION_MESSAGES_MAX = 64 };

struct record {
    unsigned opened;
    unsigned heard;
    unsigned refused;
    enum ws_refusal refusal;
    uint64_t refused_length;
    unsigned messages;
    char *text[CONVERSATION_MESSAGES_MAX]; /* owned */
    size_t length[CONVERSATION_MESSAGES_MAX];
    uint64_t received_ns[CONVERSATION_MESSAGES_MAX];
    unsigned ended;
    struct ws_ended how;
};

struct conversation {
    struct loop loop;
    struct certificates certificates;
    bool use_tls;
    struct peer peer;
    struct target target;
    struct ws *ws;
    struct record record;
    unsigned files; /* open before ws_open() */
};

/* With TLS: the peer is server.pem, of the CA that the client trusts. */
void conversation_create(struct conversation *talk, bool use_tls);

/* The same with other files. */
void conversation_create_tls(struct conversation *talk, const struct peer_tls *peer_tls,
                             const struct loop_tls *client_tls);

/* Checks that nothing was told after the end, and that no file was left open. */
void conversation_destroy(struct conversation *talk);

/* ws_open() for /ari/events?app=ivr */
void conversation_open(struct conversation *talk);

/* The same, up to opened(). */
void conversation_open_up(struct conversation *talk);

/* Turns loop and peer. */
#define TALK_UNTIL(talk, condition) LOOP_UNTIL(&(talk)->loop, peer_turn(&(talk)->peer), condition)

/* Until the connection is closed on both sides. */
void conversation_end(struct conversation *talk, enum ws_end end, int code);

/* Sends a server's frame. */
void conversation_send(struct conversation *talk, unsigned first_byte, const void *payload,
                       size_t length);

/* Waits for the client's next frame; the answer is valid until the next call. */
const struct peer_frame *conversation_frame(struct conversation *talk, unsigned opcode);

#endif
