/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Host names to addresses without waiting: the system's resolver works in a thread of its own for
 * each question, the answer comes back in the event thread.
 */
#ifndef ARIZMQ_NODE_RESOLVE_H
#define ARIZMQ_NODE_RESOLVE_H

#include <libwebsockets.h>
#include <netinet/in.h>

enum { RESOLVE_ADDRESSES_MAX = 8 };

/* Numeric addresses, in the order in which the system would try them. */
struct resolve_answer {
    unsigned count; /* 0: the name has none; error says why */
    char address[RESOLVE_ADDRESSES_MAX][INET6_ADDRSTRLEN];
    const char *error; /* static text, NULL where count > 0 */
};

typedef void resolve_done(void *owner, const struct resolve_answer *answer);

struct resolver;
struct resolve_question;

/* `context` is woken when an answer has come. NULL if there is no memory. */
struct resolver *resolver_create(struct lws_context *context);

/* Questions under way are left to end by themselves; nobody is told. */
void resolver_destroy(struct resolver **self);

/* Asks for `host`. `done` is called once, from resolver_deliver(), unless the question is
 * cancelled. Returns ARIZMQ_OK, or ARIZMQ_ENOMEM if no thread can be had. */
int resolver_ask(struct resolver *self, const char *host, resolve_done *done, void *owner,
                 struct resolve_question **out);

/* `done` will not be called. *question becomes NULL; NULL is fine. */
void resolver_cancel(struct resolver *self, struct resolve_question **question);

/* Calls `done` for every answer that has come. Called in the event thread when libwebsockets tells
 * of LWS_CALLBACK_EVENT_WAIT_CANCELLED. */
void resolver_deliver(struct resolver *self);

#endif
