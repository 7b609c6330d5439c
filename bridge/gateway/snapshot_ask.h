/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What GET arizmq/snapshot asks for.
 */
#ifndef ARIZMQ_GATEWAY_SNAPSHOT_ASK_H
#define ARIZMQ_GATEWAY_SNAPSHOT_ASK_H

#include "gateway/query.h"
#include "gateway/request.h"
#include "ops/config.h"

struct snapshot_ask {
    unsigned kinds;          /* bit 1 << enum object_kind; all where none are given */
    const char *node;        /* NULL: of every node */
    const char *application; /* NULL: of every application */

    struct query texts; /* private: owner of the above */
};

/* Reads request.query. Each of kinds, node and app may be given once, and nothing else. Returns
 * ARIZMQ_OK, and snapshot_ask_release() frees; or ARIZMQ_EINVALID with `refusal` filled in:
 * REPLY_BAD_REQUEST, whose message names the member; REPLY_NO_SUCH_NODE where no such node or no
 * such application of it is configured; or REPLY_OVERLOADED where there is no memory. */
int snapshot_ask_read(const char *text, const struct config *config, struct snapshot_ask *out,
                      struct request_refusal *refusal);

void snapshot_ask_release(struct snapshot_ask *self);

#endif
