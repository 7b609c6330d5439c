/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The query of a request, name by name, decoded as Asterisk decodes it: a plus sign is a space.
 */
#ifndef ARIZMQ_GATEWAY_QUERY_H
#define ARIZMQ_GATEWAY_QUERY_H

#include <stdbool.h>

#include "event/scan.h"

struct query {
    char *texts; /* private */
    const char *at;
    char *free;
};

/* Decodes `raw` into `out`, which has room for as many bytes and may be where `raw` is. A percent
 * sign that begins no escape stands for itself. Returns the length. */
size_t query_decode(struct span raw, char *out);

/* Begins with `text`, borrowed until query_release(): request.query. Returns ARIZMQ_OK or
 * ARIZMQ_ENOMEM. */
int query_begin(const char *text, struct query *out);

/* The next name and value, empty where there is no equals sign; false: there is none. Both are
 * followed by a NUL byte (and may have others in them), and live until query_release(). */
bool query_next(struct query *query, struct span *name, struct span *value);

void query_release(struct query *query);

#endif
