/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A subscriber that misses nothing it can have: where the counters of the stamps show that messages
 * were lost on the way, it asks the bridge's history for them and hands them out in their place.
 *
 *     const char *const prefixes[] = {"StasisStart/", "ArizmqGap/"};
 *     const struct arizmq_endpoint bridge = {.events = "tcp://127.0.0.1:5555",
 *                                            .gateway = "tcp://127.0.0.1:5558"};
 *     const struct arizmq_subscriber_options options = {
 *         .prefixes = prefixes, .prefixes_count = 2, .endpoints = &bridge, .endpoints_count = 1};
 *     struct arizmq_subscriber *subscriber = NULL;
 *     arizmq_subscriber_create(&options, &subscriber);
 *     for (;;) {
 *         struct arizmq_message message;
 *         if (arizmq_subscriber_receive(subscriber, -1, &message) != ARIZMQ_OK) {
 *             continue; // a signal came
 *         }
 *         if (message.kind == ARIZMQ_MESSAGE_EVENT) {
 *             printf("%.*s\n", (int)message.event_length, message.event);
 *         } else if (message.kind == ARIZMQ_MESSAGE_LOSS) {
 *             fprintf(stderr, "%llu lost: %s\n", (unsigned long long)message.missing,
 *                     message.detail);
 *         }
 *     }
 *
 * What comes, for each endpoint on its own:
 *
 * - Every message under the prefixes once, in the order of its counters: with one prefix that ends
 *   at a slash, or with the empty one, in the order of seq. With several prefixes a loss shows when
 *   the next message of one of them comes, and then what is missing under all of them comes in the
 *   order of seq; a message of another prefix may have been handed out before.
 * - In place of what cannot be had any more, a LOSS that says how many, under which prefix, why.
 * - When the bridge was started anew (another epoch): the rest of the old run, if the bridge has it
 *   on disk, else a LOSS of reason RESTART; then the new run from its first event.
 * - A run that began after the subscriber was created is taken from its first event too, on
 *   whichever endpoint: so with the endpoints of the old and the new bridge of a takeover, nothing
 *   of either is missing. The times of day here and there are compared for that.
 *
 * Heartbeats show loss after which nothing came, for prefixes that end in the first token or at its
 * slash, within a second. They are subscribed to as well.
 *
 * All this is about the way from the bridge to the subscriber. What was lost between Asterisk and
 * the bridge is told by the bridge's own events: name "ArizmqGap/" and "ArizmqRefused/" (in the
 * view objects "arizmq/-/ArizmqGap/" …) among the prefixes.
 *
 * While something is being repaired nothing else is handed out and the socket is not read: at most
 * `rcvhwm` messages wait in it, then the bridge keeps `sndhwm`, and what it drops after that is
 * repaired in turn.
 *
 * A subscriber belongs to one thread at a time.
 */
#ifndef ARIZMQ_SUBSCRIBER_H
#define ARIZMQ_SUBSCRIBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arizmq/stamp.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    ARIZMQ_SUBSCRIBER_RCVHWM = 10000,
    ARIZMQ_SUBSCRIBER_PAGE_MESSAGES = 1000,
    ARIZMQ_SUBSCRIBER_REPAIR_TIMEOUT_MS = 5000,
};

struct arizmq_subscriber;
struct arizmq_snapshot_query; /* snapshot.h */

/* One bridge, or one of its views. */
struct arizmq_endpoint {
    const char *events;  /* where it publishes: tcp://HOST:PORT, ipc://PATH */
    const char *gateway; /* its gateway; NULL: nothing is repaired from here */
    uint64_t
        resume_epoch; /* where this program ended the last time, as the stamps had it: what came */
    uint64_t resume_seq; /* after that comes first; both 0: begin with what comes next */
};

/* What is 0 or NULL has the default given. */
struct arizmq_subscriber_options {
    const char *const *prefixes; /* of topics; UTF-8. At least one; "" is everything */
    size_t prefixes_count;
    const struct arizmq_endpoint *endpoints; /* at least one */
    size_t endpoints_count;
    const char *view;      /* name of the view, or the endpoint that the bridge binds for it, where
                              it has several of one name; "events" */
    const char *heartbeat; /* its heartbeats' topic, or the beginning of it that ends with
                              "ArizmqHeartbeat/"; those of the views events and objects */
    void *context;         /* a ZeroMQ context, which outlives the subscriber; one of its own */
    bool heartbeats;       /* hand out heartbeats */
    bool notices;          /* hand out notices */
    bool from_now;         /* take new runs of the bridge from where they are met, not from their
                              first event */
    /* Join exactly: first all objects that there are, then the events above them (snapshot.h);
     * NULL: do not. Needs a gateway at each endpoint. */
    const struct arizmq_snapshot_query *snapshot;
    int rcvhwm;                 /* messages that wait in the socket; ARIZMQ_SUBSCRIBER_RCVHWM */
    uint32_t page_messages;     /* messages asked for at a time; ARIZMQ_SUBSCRIBER_PAGE_MESSAGES */
    uint32_t repair_timeout_ms; /* how long a repair waits for an answer before what is missing is
                                   given up; ARIZMQ_SUBSCRIBER_REPAIR_TIMEOUT_MS. A gateway that
                                   did not answer the last time gets a quarter of a second. */
    size_t watched_max;         /* counters remembered (gaps.h); ARIZMQ_GAPS_WATCHED_MAX */
    size_t max_reply_bytes;     /* of a page or snapshot (gateway.h); 256 MiB */
};

enum arizmq_message_kind {
    ARIZMQ_MESSAGE_EVENT,          /* topic, event, stamp, is_repaired */
    ARIZMQ_MESSAGE_LOSS,           /* loss, missing, prefix, after_seq, detail; stamp.epoch and
                                      stamp.seq of the message before which they are missing */
    ARIZMQ_MESSAGE_HEARTBEAT,      /* topic, event, stamp */
    ARIZMQ_MESSAGE_NOTICE,         /* notice, detail */
    ARIZMQ_MESSAGE_SNAPSHOT_BEGIN, /* event: a JSON list of the links; stamp.epoch, stamp.seq. What
                                      was known of this endpoint's objects is to be forgotten. */
    ARIZMQ_MESSAGE_OBJECT,         /* object; stamp.epoch, stamp.seq of the snapshot */
    ARIZMQ_MESSAGE_SNAPSHOT_END,   /* event: a JSON list of what ended a short time before, or
                                      empty; stamp.epoch, stamp.seq. From here on events follow,
                                      with a seq above the snapshot's */
};

/* Why messages are lost. */
enum arizmq_loss {
    ARIZMQ_LOSS_NOT_ASKED, /* no gateway was given */
    ARIZMQ_LOSS_COMPACTED, /* the bridge had them, and keeps them no longer */
    ARIZMQ_LOSS_NOT_KEPT,  /* the history that was asked has no such messages */
    ARIZMQ_LOSS_NO_ANSWER, /* the gateway did not answer in time */
    ARIZMQ_LOSS_REFUSED,   /* the gateway refused, or answered with what is no history */
    ARIZMQ_LOSS_RESTART,   /* another run of the bridge: what was lost at the end of the one before
                              cannot be told */
};

enum arizmq_notice {
    ARIZMQ_NOTICE_CONNECTED,    /* a bridge answers at the endpoint */
    ARIZMQ_NOTICE_DISCONNECTED, /* the connection is lost; it is being made again */
    ARIZMQ_NOTICE_FOREIGN,      /* a message came that is none of a bridge's; told once */
    ARIZMQ_NOTICE_UNCHECKED,    /* a stamp does not fit its topic: such messages are handed out but
                                   not checked; told once */
    ARIZMQ_NOTICE_NO_SNAPSHOT,  /* the snapshot could not be had; it is being tried again */
};

/* An object of a snapshot, or of a struct arizmq_state (state.h). Strings are terminated. */
struct arizmq_object {
    const char *kind;  /* channel, bridge, playback, recording, endpoint, device */
    const char *id;    /* as in topics of the view objects, not encoded: "1690.12", "PJSIP/alice" */
    const char *node;  /* the Asterisk that told of it */
    const char *app;   /* and the application there */
    const char *value; /* the object's JSON text as Asterisk sent it, value_length bytes */
    size_t value_length;
    uint64_t epoch; /* the event that told of it, or the snapshot */
    uint64_t seq;
    unsigned endpoint;
};

/* What is handed out. Members that are not named at its kind are zero. All that is pointed to is
 * the subscriber's and valid until the next call of arizmq_subscriber_receive(). */
struct arizmq_message {
    enum arizmq_message_kind kind;
    unsigned endpoint; /* index into options.endpoints */
    const char *topic; /* not terminated, as the event */
    size_t topic_length;
    const char *event;
    size_t event_length;
    struct arizmq_stamp stamp;
    bool is_repaired; /* it comes from history */
    enum arizmq_loss loss;
    uint64_t missing;   /* how many messages; 0: not known */
    const char *prefix; /* under which; NULL: under any */
    uint64_t after_seq; /* they have a greater seq, or perhaps this one; 0: not known */
    enum arizmq_notice notice;
    const char *detail; /* a sentence in English without a full stop */
    struct arizmq_object object;
};

/* What was seen under one prefix of one endpoint. Heartbeats are not counted. */
struct arizmq_subscriber_totals {
    const char *prefix;
    unsigned depth;    /* tokens, begun ones too; up to 1 heartbeats cover it */
    uint64_t received; /* messages, repaired ones among them */
    uint64_t repaired;
    uint64_t missing;      /* known to be lost for good */
    uint64_t started_anew; /* how often a counter ran from 1 again within an epoch */
};

/* How an endpoint is doing. */
struct arizmq_subscriber_status {
    bool is_connected;
    bool was_connected;
    bool is_repairing; /* something is being asked of the gateway */
    uint64_t epoch;    /* of the last message; 0: none came */
    uint64_t seq;
    uint64_t restarts;  /* changes of the epoch */
    uint64_t evicted;   /* counters forgotten for room (gaps.h) */
    uint64_t foreign;   /* messages that were none of a bridge's */
    uint64_t unchecked; /* messages whose stamp did not fit their topic */
};

/* Subscribes and connects, in the background. Everything in `options` is copied, but the context.
 * Returns ARIZMQ_OK; ARIZMQ_EINVALID if there is no prefix, no endpoint, one that is none, a prefix
 * that is no UTF-8 where there is a gateway, or a snapshot without one; ARIZMQ_ETOOLARGE if a
 * prefix matches no topic; ARIZMQ_EIO (with zmq_errno()) or ARIZMQ_ENOMEM. The caller frees *out
 * with arizmq_subscriber_destroy(). */
int arizmq_subscriber_create(const struct arizmq_subscriber_options *options,
                             struct arizmq_subscriber **out);
void arizmq_subscriber_destroy(struct arizmq_subscriber **self);

/* The next message of any endpoint; waits for it up to timeout_ms, -1: for ever, 0: not at all.
 * Returns ARIZMQ_OK; ARIZMQ_ETIMEOUT if none came in time or a signal was caught meanwhile;
 * ARIZMQ_ENOMEM or ARIZMQ_EIO: then nothing is lost, and the call may be repeated. */
int arizmq_subscriber_receive(struct arizmq_subscriber *self, int timeout_ms,
                              struct arizmq_message *out);

/* A file descriptor for poll() and the like, readable when arizmq_subscriber_receive() may have
 * something to do, timers of its own among it. As with ZMQ_FD it only says so: when it is readable
 * (and once before the first wait), call arizmq_subscriber_receive() with timeout 0 until it
 * returns ARIZMQ_ETIMEOUT; then wait again. The subscriber's; do not read or close it. Returns a
 * negative number, ARIZMQ_EIO with errno, if it cannot be had. */
int arizmq_subscriber_fd(struct arizmq_subscriber *self);

/* Of an endpoint: the prefixes, sorted by their bytes, without those that a wider one covers. Valid
 * until the next call with this subscriber. */
const struct arizmq_subscriber_totals *arizmq_subscriber_totals(struct arizmq_subscriber *self,
                                                                unsigned endpoint, unsigned *count);
void arizmq_subscriber_status(const struct arizmq_subscriber *self, unsigned endpoint,
                              struct arizmq_subscriber_status *out);

#ifdef __cplusplus
}
#endif

#endif
