/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The life of a command: read, looked up, routed, sent, answered. Belongs to the command thread.
 */
#ifndef ARIZMQ_GATEWAY_COMMAND_H
#define ARIZMQ_GATEWAY_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "gateway/deadlines.h"
#include "gateway/door.h"
#include "gateway/fleet.h"
#include "gateway/history_desk.h"
#include "gateway/once.h"
#include "gateway/own.h"
#include "gateway/owners.h"
#include "gateway/snapshot_desk.h"
#include "gateway/takeover.h"
#include "gateway/transport.h"
#include "ops/config.h"

struct command;

/* What all commands share. Everything is borrowed but the lists. */
struct commands {
    const struct config *config;
    struct door *door;
    struct fleet *fleet;
    struct owners *owners;
    struct once *once;
    struct transport *transport;
    struct deadlines *deadlines;
    const struct own *own;
    struct takeover *takeover;
    struct history_desk *desk;
    struct snapshot_desk *snapshots;
    /* Takes in what the event thread has told so far. Called when a message was taken off the
     * socket, before it is routed: whoever sent it may have seen an event that is told of there. */
    void (*catch_up)(void *owner);
    void *owner;
    bool is_stopping;      /* new requests are refused */
    uint32_t count;        /* commands in the lists, repetitions that wait among them */
    uint32_t unanswered;   /* of these: whose client waits */
    struct command *first; /* utlist: those being run */
    struct command *by_id; /* uthash: of these, those with a request_id */
    struct command *spare; /* for the next message */
};

/* Takes one message off the socket and does with it what can be done at once. False: none waits. */
bool commands_receive(struct commands *self);

/* The node has gone down: what was not sent to it is refused. */
void commands_node_down(struct commands *self, unsigned node);

/* The stop will not wait any longer: answers whoever waits, and frees everything. The transport
 * must not call back any more. */
void commands_abort(struct commands *self);

#endif
