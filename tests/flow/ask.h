/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A client of the gateway: one request after the other over a DEALER socket, and replies of any
 * number of frames.
 */
#ifndef ARIZMQ_FLOW_ASK_H
#define ARIZMQ_FLOW_ASK_H

#include <jansson.h>
#include <stddef.h>
#include <zmq.h>

struct asker;

/* Connects; fails the test where that is not possible. */
struct asker *asker_create(const char *endpoint);
void asker_destroy(struct asker **self);

struct answer {
    json_t *header;
    zmq_msg_t *frame; /* behind the header; the first is the body */
    size_t frames;
};

/* GET `uri`, which may have a query, and its reply, which answer_clear() frees. Fails the test
 * where none comes. */
void asker_get(struct asker *self, struct answer *out, const char *uri, ...)
    __attribute__((format(printf, 3, 4)));
/* The same with query_strings, which is taken over. */
void asker_get_with(struct asker *self, const char *uri, json_t *query_strings, struct answer *out);

/* Sends a request without waiting for its reply; `node` NULL: none is named. Replies come in the
 * order in which the requests end. */
void asker_send(struct asker *self, const char *method, const char *uri, const char *node,
                const char *request_id);
/* The next reply, which is to the request of that id (NULL: to any). Fails the test where it is
 * another or none comes. */
void asker_receive(struct asker *self, const char *request_id, struct answer *out);

void answer_clear(struct answer *answer);

/* A member of the header; -1 where it is not there. */
long long answer_number(const struct answer *answer, const char *name);
const char *answer_error(const struct answer *answer); /* "" where it is none */

#endif
