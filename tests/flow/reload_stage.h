/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The real daemon with up to four fake Asterisks, whose configuration the test changes under it; a
 * subscriber that gets everything and knows the number of every event of application `ivr` at the
 * first of them; and a client of the gateway.
 */
#ifndef ARIZMQ_FLOW_RELOAD_STAGE_H
#define ARIZMQ_FLOW_RELOAD_STAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "flow/ask.h"
#include "flow/scene.h"

enum { STAGE_FAKES = 4, STAGE_NUMBERS_MAX = 4000000 };

struct stage {
    struct daemon *daemon;
    struct fake *fake[STAGE_FAKES];
    struct subscriber *subscriber; /* to all of view `events` */
    struct stream *stream;
    struct asker *asker;
    unsigned asked;

    /* What the subscriber has got. */
    unsigned char *seen;   /* of each numbered event of `ivr`, how often it came */
    uint64_t serial;       /* the largest number */
    uint64_t numbers;      /* different ones */
    uint64_t doubled;      /* that came again */
    uint64_t unordered;    /* that came after a larger one */
    unsigned disturbances; /* ArizmqGap and ArizmqNodeDisconnected of node a */
    unsigned handovers;    /* ArizmqNodeConnected of any node, with hand-over */
    unsigned connects;     /* ArizmqNodeConnected of any node, without */
    char removed[64];      /* node of the last ArizmqNodeDisconnected with reason `removed` */
    char reason[32];       /* of the last ArizmqNodeDisconnected of any node */
    unsigned gaps;         /* of any node */
};

/* One node of `nodes:`, for printf: name, port; what follows in the flow mapping, such as
 * "apps: [x]", and FLOW_NODE_END close it. */
#define STAGE_NODE                                                                                 \
    "  - {name: %s, url: \"ws://127.0.0.1:%u/ari\", username: lab, backoff_min_ms: 10,"            \
    " backoff_max_ms: 20, liveness_ms: 60000, "
/* Node a, for printf: the port. It is never changed. */
#define STAGE_A                                                                                    \
    "nodes:\n  - {name: a, url: \"ws://127.0.0.1:%u/ari\", username: lab, password: secret,"       \
    " apps: [ivr], subscribe_all: true, backoff_min_ms: 10, backoff_max_ms: 20,"                   \
    " liveness_ms: 60000}\n"
#define STAGE_EVENTS "  - {view: events, endpoint: \"ipc://DIR/events\", sndhwm: 10000000}\n"
#define STAGE_REST   "gateway: {endpoint: \"ipc://DIR/gateway\"}\nheartbeat_ms: 50\n"

/* Starts so many fakes, and the daemon with this configuration, in which DIR stands for its
 * directory; the subscriber has joined and node a is up. */
void stage_open(struct stage *stage, unsigned fakes);
void stage_start(struct stage *stage, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* SIGTERM; status 0. Ends all. */
void stage_close(struct stage *stage);

/* Puts another text in the place of the file, as a whole. */
void stage_write(struct stage *stage, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void stage_hang_up(struct stage *stage);

/* stage_write(), SIGHUP, and the line about it, which is borrowed. */
const char *stage_reload(struct stage *stage, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* SIGHUP with the file as it is; its line is to contain `text`. */
void stage_expect_reload(struct stage *stage, const char *text);
void stage_expect_refusal(struct stage *stage, const char *text);

/* Numbered events of `ivr` at the first fake, so many a second. */
void stage_flood(struct stage *stage, unsigned rate);
/* Ends it; every number has come, and once. Where a connection was handed over, what was late on
 * the old one may come after what is new on the other. */
void stage_end_flood(struct stage *stage);

/* Takes in what the subscriber has got; waits at most `timeout_ms` for the first message. */
void stage_listen(struct stage *stage, int timeout_ms);
/* Listens until `condition` holds; fails the test where it never does. */
#define STAGE_UNTIL(stage, condition)                                                              \
    do {                                                                                           \
        int64_t stage_by_ms = harness_now_ms() + FLOW_TIMEOUT_MS;                                  \
        while (!(condition)) {                                                                     \
            stage_listen(stage, 20);                                                               \
            if (harness_now_ms() > stage_by_ms) {                                                  \
                process_dump((stage)->daemon->process);                                            \
                cr_assert_fail("never: %s", #condition);                                           \
            }                                                                                      \
        }                                                                                          \
    } while (0)

/* A request to `node` (NULL: none is named) and its reply: the status code; its error word, "" for
 * none, in error[32], which may be NULL. */
int stage_ask(struct stage *stage, const char *method, const char *uri, const char *node,
              char error[32]);

/* Asks until the status code is that; fails the test where it never is. */
void stage_ask_until(struct stage *stage, const char *method, const char *uri, const char *node,
                     int status);

/* Listens until the node is up with all its applications. */
void stage_await_up(struct stage *stage, const char *node);

/* A member of GET arizmq/info's `reloads`. */
long long stage_reloads(struct stage *stage, const char *member);

#endif
