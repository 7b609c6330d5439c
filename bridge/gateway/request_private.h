/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What the files request*.c share; for nobody else.
 */
#ifndef ARIZMQ_GATEWAY_REQUEST_PRIVATE_H
#define ARIZMQ_GATEWAY_REQUEST_PRIVATE_H

#include "gateway/request.h"

/* A request being read. Reading goes on after a refusal, so that the reply can carry what is good;
 * the first refusal is the one that is told. */
struct request_reader {
    struct request *request;
    const struct config_gateway *limits;
    struct request_refusal *refusal;
    bool is_refused;
};

void request_refuse(struct request_reader *reader, enum reply_error error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Parses the header frame into request->header. Returns whether it is a JSON object; else it was
 * refused. */
bool request_header_parse(struct request_reader *reader, struct span header);

/* "a number", "null": the type of a value, for messages. */
const char *request_type_name(const json_t *value);

/* Text in the making. It is written twice: without `bytes`, for its length, and then into them. */
struct request_text {
    char *bytes;
    size_t length;
};

void request_text_put(struct request_text *text, const char *bytes, size_t length);

/* Puts bytes[0..length) in; what is neither unreserved (RFC 3986, 2.3) nor in `kept` is
 * percent-encoded. */
void request_text_encode(struct request_text *text, const char *bytes, size_t length,
                         const char *kept);

/* The two parts of a request's uri, as the client wrote them. */
struct request_uri {
    struct span path;
    struct span query; /* behind the question mark; empty where there is none */
};

/* Checks `text` and takes it apart. Returns whether it is good; else it was refused. */
bool request_uri_read(struct request_reader *reader, const char *text, size_t length,
                      struct request_uri *out);

/* Put them in as they go out, what may not stand in a URL percent-encoded. */
void request_uri_put_path(struct request_text *text, const struct request_uri *uri);
void request_uri_put_query(struct request_text *text, const struct request_uri *uri);

/* Puts the member query_strings in, which may be NULL, behind what is in `text` already. Returns
 * false where it was refused. */
bool request_query_put(struct request_reader *reader, struct request_text *text,
                       const json_t *query_strings);

#endif
