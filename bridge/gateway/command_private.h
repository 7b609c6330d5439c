/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What command.c (taking commands on) and command_end.c (answering them) share.
 */
#ifndef ARIZMQ_GATEWAY_COMMAND_PRIVATE_H
#define ARIZMQ_GATEWAY_COMMAND_PRIVATE_H

/* Without memory an entry is not added, and its hh.tbl stays NULL. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "gateway/command.h"
#include "gateway/mentions.h"
#include "gateway/request.h"

/* The command put to one node. */
struct command_ask {
    struct command *command;
    unsigned node;
    bool is_over;
    struct exchange exchange;
};

struct command {
    struct commands *commands;
    struct door_message message; /* the way back; request.body is borrowed from its frame */
    struct request request;
    struct mentions mentions;
    uint64_t received_ns; /* monotonic */
    struct deadline deadline;
    uint64_t letter;  /* to the event thread, whose answer it waits for */
    bool is_answered; /* the client has its reply */
    bool is_settled;  /* so have all that repeated it, and the reply is remembered */
    bool is_of_all;   /* put to every node that is up */
    bool has_claims;  /* ids chosen by the client are claimed on asks[0].node */
    unsigned asks_count;
    unsigned asks_left; /* not over */
    struct command_ask *asks;
    /* Of an is_of_all: why it may still be on a node that did not say so. */
    enum reply_error doubt;
    unsigned doubt_node;
    bool has_doubt;
    struct command *original;    /* this one waits for that one's reply */
    struct command *waiters;     /* utlist: those that wait for this one's */
    struct command *prev, *next; /* of commands->first, or of original->waiters */
    UT_hash_handle hh;           /* of commands->by_id */
};

enum { COMMAND_MESSAGE_SIZE = 640 };

/* Answers the client, unless it has been answered. */
void command_reply(struct command *command, const struct reply *reply, zmq_msg_t *body);

/* The end, if that has not been already: answers the client and whoever waits for the same,
 * remembers the reply where `is_kept` and the command has a request_id (else forgets that id).
 * Frees the command once nothing of it is under way. */
void command_finish(struct command *command, const struct reply *reply, zmq_msg_t *body,
                    bool is_kept);

/* command_finish() with one of the bridge's own errors. `node`: the node that it is about, or NULL.
 */
void command_refuse(struct command *command, enum reply_error error, const char *node, bool is_kept,
                    const char *format, ...) __attribute__((format(printf, 5, 6)));

/* The reply to a command that is not in any list yet, and frees it. */
void command_reply_at_once(struct command *command, const struct reply *reply, zmq_msg_t *body);

/* exchange_done of every ask. */
void command_ask_done(void *owner, struct exchange_answer *answer);

/* deadline.passed of commands that run, and of those that wait. */
void command_deadline_passed(struct deadline *deadline);

/* Out of every list; frees. */
void command_free(struct command *command);

#endif
