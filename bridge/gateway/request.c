/* SPDX-License-Identifier: MPL-2.0 */
/*
 * From the frames of a request to a struct whose members can go out as they are. The gateway calls
 * request_read() for each request that the door lets in. It knows nothing of nodes or ARI's
 * resources: request_uri.c and request_query.c write the URL, route.c decides where it goes.
 */
#include "gateway/request.h"

#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"
#include "gateway/quote.h"
#include "gateway/request_private.h"

enum {
    METHOD_MAX = 16,
    CONTENT_TYPE_MAX = 128,
    /* "/ari/" before the path, two spaces and "HTTP/1.1" */
    LINE_OVERHEAD_BYTES = 5 + 2 + 8,
};

/* Members whose text lies in request->texts, as far as it is known before that is allocated. */
struct request_parts {
    struct request_uri uri;
    bool has_uri;
    size_t path_length; /* encoded */
    size_t query_length;
    const json_t *query_strings;
    bool has_raw_body; /* message_body is an object or array: its own bytes are the body */
};

/* A member that is a string; NULL where it is not there, or was refused. */
static const char *read_string(struct request_reader *reader, const char *name, size_t *length)
{
    const json_t *value = json_object_get(reader->request->header, name);
    if (value == NULL) {
        return NULL;
    }
    if (!json_is_string(value)) {
        request_refuse(reader, REPLY_BAD_REQUEST, "%s is %s: write a string, or leave it out", name,
                       request_type_name(value));
        return NULL;
    }
    *length = json_string_length(value);
    return json_string_value(value);
}

/* A member that is repeated in replies or names something: short, and without control bytes. */
static const char *read_word(struct request_reader *reader, const char *name)
{
    size_t length = 0;
    const char *text = read_string(reader, name, &length);
    if (text == NULL) {
        return NULL;
    }
    if (length == 0 || length > REQUEST_ID_MAX) {
        request_refuse(reader, REPLY_BAD_REQUEST, "%s has %zu bytes: allowed are 1 to %d", name,
                       length, REQUEST_ID_MAX);
        return NULL;
    }
    if (quote_has_control(text, length)) {
        char quoted[QUOTE_SIZE];
        request_refuse(reader, REPLY_BAD_REQUEST, "%s %s has a control byte: none is allowed", name,
                       quote_text(text, length, quoted));
        return NULL;
    }
    return text;
}

static void read_uri(struct request_reader *reader, struct request_parts *parts)
{
    size_t length = 0;
    const char *text = read_string(reader, "uri", &length);
    if (text == NULL) {
        request_refuse(reader, REPLY_BAD_REQUEST,
                       "uri is missing: write a path relative to /ari/, such as channels");
        return;
    }
    parts->has_uri = request_uri_read(reader, text, length, &parts->uri);
}

static void read_method(struct request_reader *reader)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    size_t length = 0;
    const char *text = read_string(reader, "method", &length);
    if (text == NULL) {
        request_refuse(reader, REPLY_BAD_REQUEST,
                       "method is missing: write GET, POST, PUT or DELETE");
        return;
    }
    if (length == 0 || length > METHOD_MAX || strspn(text, letters) != length) {
        char quoted[QUOTE_SIZE];
        request_refuse(reader, REPLY_BAD_REQUEST,
                       "method %s: allowed are 1 to %d upper case letters, write GET, POST, PUT or "
                       "DELETE",
                       quote_text(text, length, quoted), METHOD_MAX);
        return;
    }
    reader->request->method = text;
}

static void read_timeout(struct request_reader *reader)
{
    const json_t *value = json_object_get(reader->request->header, "timeout_ms");
    uint32_t most = reader->limits->max_timeout_ms;
    reader->request->timeout_ms = reader->limits->timeout_ms;
    if (value == NULL) {
        return;
    }
    double number = json_number_value(value); /* 5000.0 is an integer to JSON Schema */
    if (!json_is_number(value)) {
        request_refuse(reader, REPLY_BAD_REQUEST,
                       "timeout_ms is %s: write a whole number of milliseconds, 1 to %u",
                       request_type_name(value), most);
    } else if (number < 1 || number > most || (double)(uint32_t)number != number) {
        request_refuse(reader, REPLY_BAD_REQUEST,
                       "timeout_ms %.16g: allowed are whole numbers, 1 to %u "
                       "(gateway.max_timeout_ms)",
                       number, most);
    } else {
        reader->request->timeout_ms = (uint32_t)number;
    }
}

static void read_content_type(struct request_reader *reader)
{
    size_t length = 0;
    const char *text = read_string(reader, "content_type", &length);
    if (text == NULL) {
        return;
    }
    bool is_good = length > 0 && length <= CONTENT_TYPE_MAX && text[0] != ' ';
    for (size_t i = 0; is_good && i < length; i++) {
        is_good = text[i] >= 0x20 && text[i] < 0x7f;
    }
    if (!is_good) {
        char quoted[QUOTE_SIZE];
        request_refuse(reader, REPLY_BAD_REQUEST,
                       "content_type %s: allowed are 1 to %d visible ASCII characters, such as "
                       "application/json",
                       quote_text(text, length, quoted), CONTENT_TYPE_MAX);
        return;
    }
    reader->request->content_type = text;
}

static void take_body(struct request_reader *reader, const char *bytes, size_t length)
{
    uint32_t most = reader->limits->max_body_bytes;
    if (length > most) {
        request_refuse(reader, REPLY_TOO_LARGE,
                       "the body has %zu bytes: gateway.max_body_bytes allows %u", length, most);
        return;
    }
    reader->request->body = length > 0 ? bytes : NULL;
    reader->request->body_length = length;
}

static void read_body(struct request_reader *reader, struct span frame, struct request_parts *parts)
{
    const json_t *value = json_object_get(reader->request->header, "message_body");
    if (value == NULL) {
        take_body(reader, frame.bytes, frame.length);
        return;
    }
    parts->has_raw_body = json_is_object(value) || json_is_array(value);
    if (!parts->has_raw_body && !json_is_string(value)) {
        request_refuse(reader, REPLY_BAD_REQUEST,
                       "message_body is %s: write an object, an array or a string",
                       request_type_name(value));
    } else if (frame.length > 0) {
        request_refuse(reader, REPLY_BAD_REQUEST,
                       "there is a message_body and a second frame of %zu bytes: send one of them",
                       frame.length);
    } else if (!parts->has_raw_body) {
        take_body(reader, json_string_value(value), json_string_length(value));
    }
}

/* The lengths of path and query, and whether the request line is short enough. */
static void measure_line(struct request_reader *reader, struct request_parts *parts)
{
    const struct request *request = reader->request;
    struct request_text path = {0};
    struct request_text query = {0};
    request_uri_put_path(&path, &parts->uri);
    request_uri_put_query(&query, &parts->uri);
    parts->query_strings = json_object_get(request->header, "query_strings");
    if (!request_query_put(reader, &query, parts->query_strings)) {
        query.length = 0;
        parts->query_strings = NULL;
        parts->uri.query.length = 0;
    }
    size_t line = path.length + (query.length > 0 ? query.length + 1 : 0) + LINE_OVERHEAD_BYTES +
                  (request->method != NULL ? strlen(request->method) : 0);
    if (line > reader->limits->max_request_line_bytes) {
        request_refuse(reader, REPLY_TOO_LARGE,
                       "the request line would have %zu bytes: gateway.max_request_line_bytes "
                       "allows %u; put large values into the body",
                       line, reader->limits->max_request_line_bytes);
        parts->has_uri = false;
    }
    parts->path_length = path.length;
    parts->query_length = query.length;
}

/* The bytes of the member message_body as the client wrote them. `copy` is the header with
 * SCAN_PADDING. */
static void take_raw_body(struct request_reader *reader, const char *copy, size_t length)
{
    static const char key[] = "message_body";
    struct scan scan;
    const struct span *value = NULL;
    if (scan_object(copy, length, &scan) == ARIZMQ_OK) {
        value = scan_find(&scan, key, sizeof key - 1);
    }
    if (value == NULL) {
        request_refuse(reader, REPLY_BAD_REQUEST,
                       "message_body stands behind more than %d other members: write it before "
                       "them, or send the body as a second frame",
                       SCAN_MEMBERS_MAX);
        return;
    }
    take_body(reader, value->bytes, value->length);
}

/* One allocation for all that is not in the JSON tree: path, query and, where the body lies in it,
 * the header. */
static void write_texts(struct request_reader *reader, struct span header,
                        struct request_parts *parts)
{
    struct request *request = reader->request;
    bool copies_header = parts->has_raw_body && !reader->is_refused;
    size_t url_bytes = parts->path_length + 1 + parts->query_length + 1;
    size_t copy_bytes = copies_header ? header.length + SCAN_PADDING : 0;
    request->texts = malloc(url_bytes + copy_bytes);
    if (request->texts == NULL) {
        request_refuse(reader, REPLY_OVERLOADED, "there is no memory for the request: try again");
        return;
    }
    struct request_text path = {.bytes = request->texts};
    request_uri_put_path(&path, &parts->uri);
    path.bytes[path.length] = '\0';
    struct request_text query = {.bytes = request->texts + path.length + 1};
    request_uri_put_query(&query, &parts->uri);
    request_query_put(reader, &query, parts->query_strings);
    query.bytes[query.length] = '\0';
    request->uri = path.bytes;
    request->query = query.bytes;
    if (copies_header) {
        char *copy = request->texts + url_bytes;
        memcpy(copy, header.bytes, header.length);
        memset(copy + header.length, 0, SCAN_PADDING);
        take_raw_body(reader, copy, header.length);
    }
}

int request_read(struct span header, struct span body, const struct config_gateway *limits,
                 struct request *out, struct request_refusal *refusal)
{
    *out = (struct request){.query = "", .timeout_ms = limits->timeout_ms};
    struct request_reader reader = {.request = out, .limits = limits, .refusal = refusal};
    if (!request_header_parse(&reader, header)) {
        return ARIZMQ_EINVALID;
    }
    struct request_parts parts = {0};
    out->request_id = read_word(&reader, "request_id");
    out->transaction_id = read_word(&reader, "transaction_id");
    read_uri(&reader, &parts);
    read_method(&reader);
    out->node = read_word(&reader, "node");
    out->app = read_word(&reader, "app");
    read_timeout(&reader);
    read_content_type(&reader);
    read_body(&reader, body, &parts);
    if (parts.has_uri) {
        measure_line(&reader, &parts);
    }
    if (parts.has_uri) {
        write_texts(&reader, header, &parts);
    }
    if (reader.is_refused) {
        return ARIZMQ_EINVALID;
    }
    if (out->body_length == 0) {
        out->content_type = NULL;
    } else if (out->content_type == NULL) {
        out->content_type = "application/json";
    }
    return ARIZMQ_OK;
}

void request_release(struct request *request)
{
    json_decref(request->header);
    free(request->texts);
    *request = (struct request){0};
}

bool request_is_safe(const struct request *request)
{
    static const char *const safe[] = {"GET", "HEAD", "OPTIONS"};
    for (size_t i = 0; i < sizeof safe / sizeof safe[0]; i++) {
        if (strcmp(request->method, safe[i]) == 0) {
            return true;
        }
    }
    return false;
}
