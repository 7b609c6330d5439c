/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What every fault case stands on: arizmqd with one or more nodes, each a fake Asterisk, if wanted
 * behind a fault proxy; a subscriber to everything; and, unless a case says otherwise, one more
 * node called "healthy" that no fault may touch.
 *
 * fault_stop() checks what holds in every case: no counter has jumped, every message was asked for
 * by the case, the healthy node was never disturbed, no pong was sent unasked, no password stands
 * in the log, ArizmqStopping and a last heartbeat came, the exit status is 0.
 */
#ifndef ARIZMQ_FAULT_FAULT_H
#define ARIZMQ_FAULT_FAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "harness/daemon.h"
#include "harness/fake.h"
#include "harness/subscriber.h"
#include "ops/metrics.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { FAULT_LIVENESS_MS = 2000, FAULT_SLACK_MS = 4000, FAULT_IS_SANITIZED = 1 };
#else
enum { FAULT_LIVENESS_MS = 1000, FAULT_SLACK_MS = 1500, FAULT_IS_SANITIZED = 0 };
#endif

enum { FAULT_TIMEOUT_MS = 60000, FAULT_NODES_MAX = 8, FAULT_EVENT_SIZE = 512 };

struct fault_node {
    const char *name;    /* NULL: the list's end */
    const char *version; /* NULL: 22 */
    bool has_proxy;
    const char *proxy_fault; /* what the proxy does from the start; NULL: refuse */
    bool is_absent;          /* no fake at all: nobody listens on the port */
    bool subscribe_all;
    const char *app;                 /* NULL: ivr */
    const char *password;            /* NULL: that of the fake */
    const char *url;                 /* NULL: ws://127.0.0.1:PORT/ari; a %u in it is the port */
    int liveness_ms;                 /* 0: FAULT_LIVENESS_MS */
    int backoff_max_ms;              /* 0: 200 */
    const char *extra;               /* NULL, or more YAML lines, each indented by four blanks */
    const char *const *fake_options; /* NULL, or more options of fake_asterisk */
};

struct fault_options {
    struct fault_node nodes[FAULT_NODES_MAX];
    const char *extra; /* NULL, or more YAML lines at the top level */
    int sndhwm;        /* 0: never reached */
    bool is_alone;     /* no healthy node */
};

struct fault_message {
    struct subscriber_message message;
    struct fault_message *next;
};

struct fault_peer {
    struct fault_node node;
    uint16_t port; /* the daemon connects to it */
    struct fake *asterisk;
    struct fake *proxy;
    struct fault_message *received; /* not looked at yet, oldest first */
    unsigned events;                /* made by fault_event() so far */
    unsigned pings;                 /* that the case let the fake send */
    bool ends_down;                 /* not connected when the daemon is stopped */
};

struct fault {
    struct daemon *daemon;
    struct subscriber *subscriber;
    struct counter_tracker *trackers[2];
    struct fault_peer peers[FAULT_NODES_MAX + 1]; /* the healthy one is the last */
    unsigned peers_count;
    struct fault_message *of_no_node; /* ArizmqStopping */
    struct subscriber_message heartbeat;
    json_t *own;      /* what fault_expect_own() found last */
    bool is_filtered; /* the subscriber has left out something: no counters are watched */
    int64_t stop_ms;  /* how long the stop took */
};

/* Starts everything; the subscriber has joined and the healthy node is connected, the others are
 * refused until fault_open(). */
struct fault *fault_start(const struct fault_options *options);

/* Stops everything, with the checks above, and frees. */
void fault_stop(struct fault **self);

/* Sends SIGTERM and waits for the daemon's end with status 0; fault_stop() goes on from there. */
void fault_terminate(struct fault *fault);

struct fault_peer *fault_peer(struct fault *fault, unsigned index);

/* Lets the daemon connect, and waits until it has: NodeConnected is the next message. */
void fault_open(struct fault *fault, struct fault_peer *peer);
/* The same without waiting: listens again, and a proxy behaves again. */
void fault_listen(struct fault_peer *peer);

/* Another event, different from all before; a JSON text. */
void fault_event(struct fault_peer *peer, char out[FAULT_EVENT_SIZE]);

/* The next message of the node, heartbeats aside; fails the test when none comes. Borrowed until
 * the next call of any function here. */
const struct subscriber_message *fault_next(struct fault *fault, struct fault_peer *peer);

/* The same; NULL when none comes in the time. */
const struct subscriber_message *fault_poll(struct fault *fault, struct fault_peer *peer,
                                            int timeout_ms);

/* The next message of the node is this text byte for byte. */
void fault_expect(struct fault *fault, struct fault_peer *peer, const char *text, size_t length);

/* Lets the fake send an event, which must be the next message. */
void fault_pass(struct fault *fault, struct fault_peer *peer);
/* The same for the healthy node. */
void fault_pass_healthy(struct fault *fault);

/* The next message of the node is the bridge's own event of that type; a member given by name must
 * be that text. Returns its JSON, borrowed until the next call. */
json_t *fault_expect_own(struct fault *fault, struct fault_peer *peer, const char *type,
                         const char *member, const char *value);

/* NodeConnected as a reconnect, and the gap that follows it. */
void fault_expect_reconnect(struct fault *fault, struct fault_peer *peer, const char *gap_reason);

/* Waits for a line of the daemon's log that no call has taken yet. */
const char *fault_expect_log(struct fault *fault, const char *event, const char *text);

/* The value in the daemon's own metrics now. */
uint64_t fault_metric(struct fault *fault, enum metric metric);
void fault_expect_metric(struct fault *fault, enum metric metric, uint64_t value);

/* Waits for an event line of the fake. */
const char *fault_await(struct fault *fault, struct fault_peer *peer, const char *prefix);
size_t fault_count(struct fault_peer *peer, const char *prefix);

/* Gives the daemon names that answer as fault_names does, see names.c. Call before fault_start().
 */
void fault_use_names(const char *library);

/* Everything the processes wrote goes to stderr, and the test fails. */
void fault_fail(struct fault *fault, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));

/* Now, as timestamps in the bridge's own events are written; such texts compare as times do. */
void fault_write_time(char out[64]);

#endif
