/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A bridge that follows a script: a view whose messages can be lost on purpose, and a gateway that
 * answers GET arizmq/history and GET arizmq/snapshot, or misbehaves as told. It has no thread: the
 * test calls bridge_serve(), or lets bridge_next() and its like do so while they wait.
 */
#ifndef ARIZMQ_UNIT_BRIDGE_DOUBLE_H
#define ARIZMQ_UNIT_BRIDGE_DOUBLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arizmq/stamp.h"
#include "arizmq/subscriber.h"

enum {
    BRIDGE_SUBSCRIPTIONS_MAX = 64,
    BRIDGE_KEYS_MAX = 512,
    BRIDGE_TEXT_MAX = 128,
    BRIDGE_WAIT_MS = 20000
};

/* What the gateway does with the next requests. */
enum bridge_mood {
    BRIDGE_ANSWERS,
    BRIDGE_IS_SILENT,   /* takes requests and never replies */
    BRIDGE_REFUSES,     /* `status` and `error` */
    BRIDGE_TALKS_ROT,   /* 200 with frames that are no history: `rot` says which */
    BRIDGE_HAS_NOTHING, /* history is there, and has none of the messages */
};

/* Ways for a reply to be wrong. */
enum bridge_rot {
    ROT_NO_MEMBERS, /* a header without last, more, count */
    ROT_COUNT,      /* a count that is not that of the frames */
    ROT_FRAMES,     /* a number of frames that is no multiple of 3 */
    ROT_STAMP,      /* a stamp that is too short */
    ROT_EPOCH,      /* messages of another run */
    ROT_NOWHERE,    /* more, but no step on */
    ROT_BACK,       /* a last that is before what was asked for */
    ROT_NOT_JSON,
    ROT_KINDS,
};

struct bridge_message {
    uint64_t epoch;
    uint64_t seq;
    char topic[BRIDGE_TEXT_MAX];
    char event[BRIDGE_TEXT_MAX];
    uint8_t stamp[ARIZMQ_STAMP_BYTES_MAX];
    size_t stamp_length;
};

/* What a request asked for. */
struct bridge_question {
    char uri[64];
    char view[64];
    char prefix[BRIDGE_TEXT_MAX];
    uint64_t after;
    uint64_t until; /* UINT64_MAX: not given */
    uint64_t epoch;
    uint64_t limit;
};

struct bridge {
    void *context;
    void *publisher;
    void *gateway;
    char events_endpoint[64];
    char gateway_endpoint[64];
    uint64_t epoch;
    uint64_t seq;
    struct {
        char key[BRIDGE_TEXT_MAX];
        uint64_t count;
    } counters[BRIDGE_KEYS_MAX];
    unsigned counters_used;
    char subscriptions[BRIDGE_SUBSCRIPTIONS_MAX][BRIDGE_TEXT_MAX];
    unsigned subscriptions_count;
    struct bridge_message *kept;
    size_t kept_count;
    size_t kept_room;

    enum bridge_mood mood;
    enum bridge_rot rot;
    int status;
    const char *error;
    uint64_t oldest;      /* history has nothing before it; 1: all */
    uint64_t hidden_seq;  /* history does not have this event yet; 0: it has all */
    bool remembers_runs;  /* history of runs before can be had, as with a journal */
    unsigned page_max;    /* messages of a page; 0: as asked for */
    bool doubles;         /* every message of a page comes twice */
    const char *snapshot; /* body; NULL: 404 */
    int snapshot_status;

    unsigned asked; /* requests so far */
    struct bridge_question last;
};

/* A bridge whose run is `epoch`; endpoints are ports of its own. Fails the test. */
struct bridge *bridge_create(uint64_t epoch);
void bridge_destroy(struct bridge **self);

/* Another process, on the same endpoints. */
void bridge_restart(struct bridge *self, uint64_t epoch);
/* The gateway goes away, and comes back. */
void bridge_close_gateway(struct bridge *self);
void bridge_open_gateway(struct bridge *self);

/* Waits until somebody has subscribed to each of these; a NULL ends the list. */
void bridge_await(struct bridge *self, ...) __attribute__((sentinel));

/* An event that reaches everybody; that nobody gets, but history has; that history has not either.
 * Its text is {"type":"T","n":SEQ}, or `text`. */
void bridge_publish(struct bridge *self, const char *topic);
void bridge_publish_text(struct bridge *self, const char *topic, const char *text);
void bridge_lose(struct bridge *self, const char *topic);
void bridge_lose_text(struct bridge *self, const char *topic, const char *text);
void bridge_forget(struct bridge *self, const char *topic);
/* Another message of the last event, as in the view objects. */
void bridge_publish_again(struct bridge *self, const char *topic);
void bridge_lose_again(struct bridge *self, const char *topic);
/* The counters of these first tokens start at 1 again, as where the bridge forgot them. */
void bridge_drop_counter(struct bridge *self, const char *tokens);

void bridge_heartbeat(struct bridge *self);

/* Answers what has come. */
void bridge_serve(struct bridge *self);

/* The next message; the bridges are served meanwhile, up to a NULL. Fails the test where none
 * comes.
 */
struct arizmq_message bridge_next(struct arizmq_subscriber *subscriber, ...)
    __attribute__((sentinel));

/* That nothing comes any more, for a moment. Fails the test. */
void bridge_expect_nothing(struct arizmq_subscriber *subscriber, struct bridge *bridge);

/* The next message, which must be that event. Fails the test. */
void bridge_expect(struct arizmq_subscriber *subscriber, struct bridge *bridge, const char *topic,
                   uint64_t seq, bool is_repaired);
/* The next message, which must be a loss. Fails the test. */
struct arizmq_message bridge_expect_loss(struct arizmq_subscriber *subscriber,
                                         struct bridge *bridge, enum arizmq_loss loss,
                                         uint64_t missing, const char *prefix);

#endif
