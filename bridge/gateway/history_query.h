/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What GET arizmq/history asks for.
 */
#ifndef ARIZMQ_GATEWAY_HISTORY_QUERY_H
#define ARIZMQ_GATEWAY_HISTORY_QUERY_H

#include "gateway/query.h"
#include "gateway/request.h"
#include "ops/config.h"

struct history_query {
    const char *view;    /* a name or an endpoint; "events" where none is given */
    struct span prefix;  /* of topics, any bytes */
    uint64_t after;      /* the messages wanted have a greater seq; 0 where not given */
    uint64_t until;      /* and none greater than this; UINT64_MAX where not given */
    uint64_t epoch;      /* 0 where not given: of this run */
    uint64_t limit;      /* messages in one reply: as asked, at most history.max_page_messages */
    uint64_t page_bytes; /* of events in it: history.max_page_bytes */

    struct query texts; /* private: owner of the above */
};

/* Reads request.query. Each of view, prefix, after, until, epoch and limit may be given once, and
 * nothing else. Returns ARIZMQ_OK, and history_query_release() frees; or ARIZMQ_EINVALID with
 * `refusal` filled in: REPLY_BAD_REQUEST, whose message names the member, or REPLY_OVERLOADED where
 * there is no memory. */
int history_query_read(const char *text, const struct config_history *bounds,
                       struct history_query *out, struct request_refusal *refusal);

void history_query_release(struct history_query *query);

#endif
