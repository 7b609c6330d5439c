/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Bridges that take over from one another, two fake Asterisks behind fault proxies, and what a
 * subscriber that is connected to all of them gets: each numbered event is counted, wherever it
 * comes from.
 */
#ifndef ARIZMQ_FLOW_TAKEOVER_STAGE_H
#define ARIZMQ_FLOW_TAKEOVER_STAGE_H

#include <stdbool.h>
#include <stdint.h>

#include <criterion/criterion.h>
#include <jansson.h>

#include "harness/daemon.h"
#include "harness/fake.h"
#include "harness/subscriber.h"

enum {
    RELAY_TIMEOUT_MS = 120000,
    RELAY_NODES = 2,
    RELAY_BRIDGES_MAX = 32,
    RELAY_APPS = 3, /* "ivr" and "queue" of pbx1, "vip" of pbx2 */
    RELAY_NUMBERS_MAX = 4000000,
};

struct relay_bridge {
    struct daemon *daemon;
    struct subscriber *subscriber;
    struct counter_tracker *tracker;
    uint64_t epoch;
    unsigned connected;   /* ArizmqNodeConnected without hand-over */
    unsigned handed_over; /* with */
    unsigned disconnected;
    unsigned gaps;
    char reason[32];   /* of the last ArizmqNodeDisconnected */
    json_t *gap;       /* the last ArizmqGap */
    json_t *stopping;  /* ArizmqStopping, NULL while none came */
    uint64_t last_seq; /* of the last numbered event */
    uint64_t numbers;  /* numbered events of the Asterisks */
    int status;        /* that relay_await_end() has found */
};

struct relay {
    struct fake *asterisk[RELAY_NODES];
    struct fake *proxy[RELAY_NODES];
    struct relay_bridge bridge[RELAY_BRIDGES_MAX];
    unsigned bridges;
    unsigned char *seen[RELAY_APPS]; /* of each number: how often */
    uint64_t numbers;                /* different ones, all applications together */
    uint64_t doubled;
};

/* What a bridge of the relay has beside the usual. */
struct relay_options {
    const char *password[RELAY_NODES]; /* NULL: the right one */
    bool uses_proxy[RELAY_NODES];      /* it connects through the proxy */
    bool lacks_queue;                  /* pbx1 has no application "queue" */
    bool lacks_node[RELAY_NODES];
    const char *gateway;   /* NULL, or more members of `gateway`, each with a comma */
    const char *extra;     /* NULL, or more YAML lines at the top level */
    const char *directory; /* NULL: its own; else for its endpoints */
    const char *wait;      /* --takeover-wait; NULL: 500 */
};

/* The Asterisks do not listen yet. */
void relay_create(struct relay *relay);
/* They do, and so many applications have connected to them, as the subscribers have heard. */
void relay_listen(struct relay *relay, unsigned connected);
/* What still runs is stopped, and must end with 0. */
void relay_destroy(struct relay *relay);

/* Starts a bridge that takes over from `from` (NULL: from none; else gateway endpoints, separated
 * by commas); waits until it has bound its endpoints and the subscriber has joined. */
struct relay_bridge *relay_start(struct relay *relay, const char *from,
                                 const struct relay_options *options);

/* The same for one that will not come so far: returns its exit status; *log is what it logged last
 * as `start_failed`, borrowed until the next call. */
int relay_start_in_vain(struct relay *relay, const char *from, const struct relay_options *options,
                        char log[512]);

/* `events` numbered events a second at each Asterisk; after each replacement every other one of the
 * next few goes to the former connection. */
void relay_flood(struct relay *relay, unsigned events);

/* Ends it. Returns how many were sent; *dropped, if not NULL, is how many nobody was there for. */
uint64_t relay_end_flood(struct relay *relay, uint64_t *dropped);

/* Takes what the subscribers have got. */
void relay_turn(struct relay *relay);

/* Turns until the bridge's process has ended, and its last event has come; returns its status. */
int relay_await_end(struct relay *relay, struct relay_bridge *bridge);

/* Everything that the processes wrote goes to stderr. */
void relay_show(struct relay *relay);

#define RELAY_UNTIL(relay, condition)                                                              \
    do {                                                                                           \
        int64_t relay_deadline = harness_now_ms() + RELAY_TIMEOUT_MS;                              \
        while (!(condition)) {                                                                     \
            relay_turn(relay);                                                                     \
            if (harness_now_ms() > relay_deadline) {                                               \
                relay_show(relay);                                                                 \
                cr_assert_fail("waited in vain for: %s", #condition);                              \
            }                                                                                      \
        }                                                                                          \
    } while (0)

#endif
