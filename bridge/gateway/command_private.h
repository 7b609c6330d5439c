/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What command.c (taking commands on), command_end.c (answering them) and command_own.c (the
 * bridge's own resources) share.
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

/* Told that nobody waits for a held command any more. */
typedef void command_drop(void *owner, struct command *command);

struct command {
    struct commands *commands;
    struct door_message message; /* the way back; request.body is borrowed from its frame */
    struct request request;
    struct mentions mentions;
    uint64_t received_ns; /* monotonic */
    struct deadline deadline;
    uint64_t letter;  /* number of the letter to the event thread (takeover.h) that it waits for */
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
    command_drop *drop; /* of those that command_hold() holds; NULL for all others */
    void *drop_owner;
    struct command *original;    /* this one waits for that one's reply */
    struct command *waiters;     /* utlist: those that wait for this one's */
    struct command *prev, *next; /* of commands->first, or of original->waiters */
    UT_hash_handle hh;           /* of commands->by_id */
};

enum { COMMAND_MESSAGE_SIZE = 640 };

/* Answers the client, unless it has been answered. `rest`: further frames, NULL for none. */
void command_reply(struct command *command, const struct reply *reply, zmq_msg_t *body,
                   const struct door_frames *rest);

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
void command_reply_at_once(struct command *command, const struct reply *reply, zmq_msg_t *body,
                           const struct door_frames *rest);

/* Counts an error of the bridge's own that a request is answered with before it is run. */
void command_count_refusal(enum reply_error error);

/* command_reply_at_once() with overloaded: there are gateway.max_requests already. */
void command_refuse_overloaded(struct command *command);

/* A request for one of the bridge's own resources: answers it now or later. */
void command_ask_own(struct command *command);

/* Into the lists, until command_answer_own(). `drop` is called with `owner` where the client waits
 * no longer: its time is over, or the bridge stops. */
void command_hold(struct command *command, command_drop *drop, void *owner);

/* The answer of one of the bridge's own resources, for a command that is held or in no list yet;
 * frees it. */
void command_answer_own(struct command *command, const struct reply *reply, zmq_msg_t *body,
                        const struct door_frames *rest);

/* Tells `drop` of a held command and answers it with an error; frees it. */
void command_drop_own(struct command *command, enum reply_error error, const char *message);

/* exchange_done of every ask. */
void command_ask_done(void *owner, struct exchange_answer *answer);

/* deadline.passed of commands that run, and of those that wait. */
void command_deadline_passed(struct deadline *deadline);

/* Out of every list; frees. */
void command_free(struct command *command);

#endif
