/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The header of a reply, and the errors that are the bridge's own. The shape is
 * schemas/reply.schema.json.
 */
#ifndef ARIZMQ_GATEWAY_REPLY_H
#define ARIZMQ_GATEWAY_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* X(identifier, status code, word, reason phrase) */
#define REPLY_ERRORS(X)                                                                            \
    X(BAD_REQUEST, 400, "bad_request", "Bad Request")                                              \
    X(DENIED, 403, "denied", "Denied")                                                             \
    X(NO_SUCH_NODE, 404, "no_such_node", "No Such Node")                                           \
    X(NO_SUCH_OBJECT, 404, "no_such_object", "No Such Object")                                     \
    X(NO_SUCH_RESOURCE, 404, "no_such_resource", "No Such Resource")                               \
    X(NO_SUCH_VIEW, 404, "no_such_view", "No Such View")                                           \
    X(BAD_METHOD, 405, "bad_method", "Method Not Allowed")                                         \
    X(CONFLICT, 409, "conflict", "Conflict")                                                       \
    X(EPOCH_CHANGED, 409, "epoch_changed", "Epoch Changed")                                        \
    X(COMPACTED, 410, "compacted", "Compacted")                                                    \
    X(TOO_LARGE, 413, "too_large", "Content Too Large")                                            \
    X(FUTURE, 416, "future", "Future")                                                             \
    X(OVERLOADED, 429, "overloaded", "Too Many Requests") /* nothing was sent */                   \
    X(NODE_ERROR, 502, "node_error", "Node Error")        /* its answer cannot be passed on */     \
    X(NODE_DOWN, 503, "node_down", "Node Down")           /* nothing was sent */                   \
    X(STOPPING, 503, "stopping", "Bridge Stopping")       /* nothing was sent */                   \
    X(OUTCOME_UNKNOWN, 504, "outcome_unknown", "Outcome Unknown") /* sent, and no answer came */

#define REPLY_ENUM(identifier, status, word, reason) REPLY_##identifier,
enum reply_error { REPLY_ERRORS(REPLY_ENUM) REPLY_ERRORS_COUNT };
#undef REPLY_ENUM

struct request;

/* Where in history a reply to GET arizmq/history stands. */
struct reply_position {
    uint64_t epoch;
    uint64_t oldest; /* the first seq that can be had, newest + 1 where none can */
    uint64_t newest; /* the last one */

    bool is_page;   /* the rest is told, too */
    uint64_t first; /* seq of the first message in the reply; 0: there is none */
    uint64_t last;  /* up to here all was looked at; to be given as `after` the next time */
    uint64_t count; /* messages in the reply */
    bool more;      /* what was asked for does not end at `last` */
};

/* What a reply says beside what it repeats of the request. */
struct reply {
    const char *source;        /* "asterisk" or "bridge" */
    int status_code;           /* 100 to 599 */
    const char *reason_phrase; /* "" where Asterisk gave none */
    const char *content_type;  /* NULL: there is no body, or nobody said what it is */
    const char *node;          /* NULL: no one node */
    const char *error;         /* word of the bridge's own errors, NULL for none */
    uint64_t elapsed_ns;       /* since the request was received; elapsed_ms has 3 decimals */
    const struct reply_position *position; /* NULL: none */
};

int reply_error_status(enum reply_error error);
const char *reply_error_word(enum reply_error error);
const char *reply_error_reason(enum reply_error error);

/* Writes the header frame for `request`, which may be what request_read() left of a refused one, or
 * NULL. `type` comes first, as with Asterisk. Returns malloc()ed text and its length, or NULL
 * without memory. */
char *reply_print(const struct reply *reply, const struct request *request, size_t *length);

/* Writes the body of one of the bridge's own errors, as ARI's errors are: {"message":"…"}.
 * `message` is valid UTF-8. malloc()ed; NULL without memory. */
char *reply_print_error(const char *message, size_t *length);

#endif
