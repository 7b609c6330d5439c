/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What the tests of gateway/http.h share: the module under test with its epoll, and a server in the
 * same thread that has several connections and answers by itself unless told otherwise.
 */
#ifndef ARIZMQ_TESTS_HTTP_STAGE_H
#define ARIZMQ_TESTS_HTTP_STAGE_H

#include <criterion/criterion.h>

#include "base/clock.h"
#include "gateway/http.h"
#include "ops/metrics.h"
#include "peer.h"

enum { STAGE_PEERS = 24, STAGE_PATIENCE_MS = 30000, STAGE_BODY_MAX_BYTES = 100000 };

/* One request as it came to the server. */
struct stage_request {
    char *head;
    char *body; /* NUL-terminated */
    size_t length;
};

struct stage {
    struct config config;
    struct config_node node[2]; /* both at the server */
    struct http *http;
    int epoll_fd;
    struct peer peer[STAGE_PEERS]; /* one connection each, all of one listener */
    unsigned accepts;
    unsigned requests; /* that were taken from connections */
    /* Told of each request; NULL: 200 with the request's first line as the body. */
    void (*serve)(struct stage *stage, struct peer *peer, const struct stage_request *request);
    bool is_silent; /* requests are left where they are */
    struct certificates certificates;
};

/* One request of the client and what became of it. */
struct ask {
    struct stage *stage;
    struct exchange_order order;
    struct http_request *request;
    unsigned done;
    enum exchange_outcome outcome;
    int status;
    char reason[256];
    char content_type[128]; /* "" for none */
    char *body;
    size_t length;
    char error[512];
};

void stage_create(struct stage *stage); /* plain */
/* Asks for a client certificate of the authority or not. */
void stage_create_tls(struct stage *stage, bool asks_for_certificate);
void stage_start(struct stage *stage); /* http_create(), after the configuration was changed */
/* The server's: a name of certificates_create(). */
void stage_use_certificate(struct stage *stage, const char *name);
void stage_destroy(struct stage *stage);
void stage_turn(struct stage *stage);
void stage_turn_client(struct stage *stage);    /* without the server */
unsigned stage_open(const struct stage *stage); /* connections */

/* The connection on which a request is; NULL: none. */
struct peer *stage_find_request(struct stage *stage);

/* Takes a whole request; false where it is not all there. Frees with stage_request_release(). */
bool stage_take(struct stage *stage, struct peer *peer, struct stage_request *request);
void stage_request_release(struct stage_request *request);

#define STAGE_UNTIL(stage, condition)                                                              \
    do {                                                                                           \
        uint64_t until_ms = clock_monotonic_ms() + STAGE_PATIENCE_MS;                              \
        while (!(condition)) {                                                                     \
            cr_assert_lt(clock_monotonic_ms(), until_ms, "in vain: %s", #condition);               \
            stage_turn(stage);                                                                     \
        }                                                                                          \
    } while (0)

/* Queues a request to node 0. `body` NULL: none, and then content_type is NULL, too. */
void ask_send(struct ask *ask, struct stage *stage, const char *method, const char *uri,
              const char *content_type, const char *body);
void ask_send_order(struct ask *ask, struct stage *stage, const struct exchange_order *order);
/* Until it is done. */
void ask_await(struct ask *ask);
/* Both. */
void ask_get(struct ask *ask, struct stage *stage, const char *uri);
void ask_release(struct ask *ask);

#define EXPECT_OUTCOME(ask, expected)                                                              \
    cr_expect_eq((ask)->outcome, expected, "outcome %d, status %d: %s", (int)(ask)->outcome,       \
                 (ask)->status, (ask)->error)

#endif
