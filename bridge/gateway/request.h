/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A client's request, checked: after request_read() every member can be put on the wire to Asterisk
 * without another look. The shape is schemas/request.schema.json.
 */
#ifndef ARIZMQ_GATEWAY_REQUEST_H
#define ARIZMQ_GATEWAY_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "event/scan.h"
#include "gateway/reply.h"
#include "ops/config.h"

struct request {
    /* NULL where they are not known: the request was refused before that could be read. */
    const char *request_id;     /* 1 to REQUEST_ID_MAX bytes; NULL: none given */
    const char *transaction_id; /* NULL: none given */
    const char *uri;            /* path relative to /ari/, percent-encoded as it goes out, no query:
                                   "channels/1690.12/play" */

    const char *method;       /* upper case: A-Z, 1 to 16 bytes */
    const char *query;        /* "media=sound%3Ahello-world&lang=en": of the uri and query_strings
                                 together, percent-encoded; "" where there is none */
    const char *node;         /* NULL: none given */
    const char *app;          /* NULL: none given */
    const char *content_type; /* of the body; NULL where there is no body */
    const char *body;         /* borrowed from the frame, or owned by `header` */
    size_t body_length;
    uint32_t timeout_ms; /* as given, else gateway.timeout_ms; at most gateway.max_timeout_ms */

    /* Private: owners of the above. */
    json_t *header;
    char *texts;
};

enum { REQUEST_ID_MAX = 256, REQUEST_ERROR_SIZE = 512 };

/* Why a request was refused. */
struct request_refusal {
    enum reply_error error;
    char message[REQUEST_ERROR_SIZE]; /* one line: names the bad value and what is allowed; valid
                                         UTF-8 whatever came */
};

/* Reads the frames of a request. `header` and `body` need no padding; `body` is borrowed until
 * request_release(), NULL bytes where there is no such frame. Returns ARIZMQ_OK; or ARIZMQ_EINVALID
 * with `refusal` filled in, and then `out` holds the request_id, transaction_id and uri as far as
 * they could be read, so that the reply can carry them. Either way request_release() frees.
 *
 * REPLY_BAD_REQUEST: a rule of the schema or of the uri is broken. REPLY_TOO_LARGE: the body is
 * over max_body_bytes, or "METHOD /ari/URI?QUERY HTTP/1.1" over max_request_line_bytes; a node
 * whose path is longer than /ari has less room than that. max_request_bytes is the door's business.
 * REPLY_OVERLOADED: there was no memory. */
int request_read(struct span header, struct span body, const struct config_gateway *limits,
                 struct request *out, struct request_refusal *refusal);

void request_release(struct request *request);

/* Safe methods may be repeated without harm (RFC 9110, 9.2.1): GET, HEAD, OPTIONS. */
bool request_is_safe(const struct request *request);

#endif
