/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A listener's inside, shared by listener.c (the phases), listener_socket.c (what arrives) and
 * listener_judge.c (what a message shows to be missing).
 */
#ifndef ARIZMQ_CLIENT_LISTENER_PRIVATE_H
#define ARIZMQ_CLIENT_LISTENER_PRIVATE_H

#include <stdbool.h>

#include "client/dealer.h"
#include "client/gaps_private.h"
#include "client/join.h"
#include "client/listener.h"
#include "client/message.h"
#include "client/repair.h"

/* What a listener is doing. `pending` is the message that came last. */
enum listener_phase {
    LISTENER_AWAITING,   /* the heartbeat before a snapshot; other messages are passed over */
    LISTENER_JOINING,    /* a snapshot is asked for and handed out */
    LISTENER_RECEIVING,  /* nothing is pending */
    LISTENER_JUDGING,    /* does it show that something is missing? */
    LISTENER_ENDING_RUN, /* it is of another run: the rest of the run before is being repaired */
    LISTENER_REPAIRING,  /* what it shows to be missing is being repaired */
    LISTENER_TELLING,    /* of losses */
    LISTENER_DELIVERING, /* it is next to be handed out */
};

enum { LISTENER_DETAIL_SIZE = 512 };

/* Why something is lost. */
struct listener_loss {
    bool is_due;
    enum arizmq_loss loss;
    char detail[LISTENER_DETAIL_SIZE];
};

struct listener {
    const struct arizmq_subscriber_options *options;
    const struct arizmq_endpoint *endpoint;
    unsigned index;
    uint64_t created_us;
    void *socket;
    void *monitor;
    struct dealer *dealer; /* NULL: no gateway */
    struct repair *repair; /* NULL likewise */
    struct join *join;     /* NULL: no snapshot is wanted */
    struct arizmq_gaps *gaps;
    enum listener_phase phase;
    enum listener_phase after_telling;

    zmq_msg_t frames[MESSAGE_FRAMES];
    struct message pending;
    bool bridge_was_met;     /* a message was judged */
    bool is_resuming;        /* what came after the program's last end is not here yet */
    bool run_is_asked_for;   /* the rest of the run before the pending message's */
    bool wants_join;         /* something is lost: another snapshot, after the pending message */
    uint64_t joined_seq;     /* events up to it are in the snapshot */
    uint64_t lost_after_seq; /* what was last seen to be missing has a greater seq */

    struct listener_loss unknown; /* how many are lost is not known */
    struct listener_loss counted; /* why those are that the checker has counted */
    unsigned telling;             /* the prefix that is next to be told of */
    uint64_t *told;               /* for each prefix: missing messages that were told of */
    uint64_t *repaired;           /* for each prefix */
    struct arizmq_subscriber_totals *totals;

    bool heartbeats_cover_all; /* no prefix is deeper than what they count */
    bool is_stopping;          /* the bridge said that its run ends… */
    bool has_ended;            /* …and a heartbeat after that showed nothing to be missing */
    bool is_connected;
    bool was_connected;
    bool told_connected;
    bool foreign_is_told;
    bool unchecked_is_told;
    uint64_t foreign;
    uint64_t unchecked;
    unsigned foreign_frames; /* of the first such message */
    char notice[256];
    uint64_t epoch; /* of the last message */
    uint64_t seq;
};

/* --- listener_socket.c */

/* Subscribes, then connects, so that the bridge hears of all prefixes at once. */
int listener_open_socket(struct listener *self);
void listener_close_socket(struct listener *self);

/* Takes a message off the socket into `pending`. Returns ARIZMQ_OK; ARIZMQ_ENOTFOUND where none
 * waits; ARIZMQ_EPROTOCOL where it was none of a bridge's. */
int listener_receive(struct listener *self);
void listener_read_monitor(struct listener *self);

/* Whether the message is the bridge's last word on its run. */
bool listener_is_stopping(const struct listener *self, const struct message *message);

/* --- listener_judge.c */

/* Lets the checker look at the pending message and decides on the next phase. Returns ARIZMQ_OK or
 * ARIZMQ_ENOMEM. */
int listener_judge(struct listener *self, uint64_t now_ms);

/* A repair is over, or there was none to be had: what is still missing is lost. The next phase is
 * to tell of that. Returns likewise. */
void listener_end_run(struct listener *self);
int listener_end_repair(struct listener *self);

/* Writes the next loss to be told of; false where there is none. */
bool listener_next_loss(struct listener *self, struct arizmq_message *out);

#endif
