/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The bridge's own requests to ARI over HTTP: a few for each connect, each on a connection of its
 * own. Belongs to the event thread and never waits in it.
 */
#ifndef ARIZMQ_NODE_REST_H
#define ARIZMQ_NODE_REST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libwebsockets.h>

#include "node/target.h"

struct rest_request;

struct rest_answer {
    int status;       /* HTTP status; 0: no whole answer came, error says why */
    const char *body; /* NUL-terminated, borrowed for the call */
    size_t length;
    const char *error;
};

typedef void rest_done(void *owner, const struct rest_answer *answer);

/* Sends `method` for `path` (which begins with /ari or wherever the node has it, and may carry a
 * query) without a body to the node of `target`. `done` is called once, from the loop, within
 * `timeout_ms`. Returns ARIZMQ_OK or ARIZMQ_ENOMEM. */
int rest_send(const struct target *target, const char *method, const char *path,
              uint32_t timeout_ms, rest_done *done, void *owner, struct rest_request **out);

/* A piece of the body of an answer with status 200; borrowed for the call, in which the request
 * must not be cancelled. False: no more is wanted, and the request fails. */
typedef bool rest_data(void *owner, const char *bytes, size_t length);

/* The same for a GET whose body, however large, goes to `data` piece by piece as it comes; `done`
 * then gets an empty one. Bodies of other statuses come with `done`. A body without a
 * Content-Length, chunked ones too, may have been cut off by the end of the connection and counts
 * as whole: whoever reads it has to see whether it is. */
int rest_read(const struct target *target, const char *path, uint32_t timeout_ms, rest_data *data,
              rest_done *done, void *owner, struct rest_request **out);

/* `done` will not be called. *request becomes NULL; NULL is fine. Must not be called from within
 * that `done`. */
void rest_cancel(struct rest_request **request);

extern const struct lws_protocols rest_protocol;

#endif
