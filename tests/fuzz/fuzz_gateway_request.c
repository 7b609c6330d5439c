/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Any bytes as a request. The first two are the length of the header, the rest is header and body.
 * What is accepted must be fit for an HTTP request as it stands; what is refused must have one
 * sentence; either way there is a reply header that is JSON. The query of what is accepted, and the
 * body as if it was one, are read as that of GET arizmq/history, too.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistr.h>

#include "arizmq/error.h"
#include "gateway/history_query.h"
#include "gateway/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct config_gateway limits = {.timeout_ms = 5000,
                                             .max_timeout_ms = 600000,
                                             .max_body_bytes = 200,
                                             .max_request_line_bytes = 300};

static void demand(bool is_so, const char *what)
{
    if (!is_so) {
        fprintf(stderr, "not so: %s\n", what);
        abort();
    }
}

static void check_url_bytes(const char *text, const char *more)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=:@/%";
    for (; *text != '\0'; text++) {
        demand(strchr(letters, *text) != NULL || strchr(more, *text) != NULL, "a byte of the URL");
    }
}

/* Decodes as Asterisk does, and looks at what a file system would see. */
static void check_path(const char *path)
{
    char decoded[300];
    size_t length = 0;
    check_url_bytes(path, "");
    demand(path[0] != '/' && path[0] != '\0', "the path is relative");
    demand(strstr(path, "//") == NULL, "no segment is empty");
    demand(strncmp(path, "ari/", 4) != 0, "the path is relative to /ari/");
    while (*path != '\0') {
        unsigned value = (unsigned char)*path;
        int taken = 1;
        if (*path == '%') {
            demand(sscanf(path, "%%%2x%n", &value, &taken) == 1 && taken == 3, "an escape");
        }
        demand(value >= 0x20 && value != 0x7f, "no control byte");
        decoded[length++] = (char)value;
        path += taken;
    }
    decoded[length] = '\0';
    for (char *part = strtok(decoded, "/"); part != NULL; part = strtok(NULL, "/")) {
        demand(strcmp(part, ".") != 0 && strcmp(part, "..") != 0, "no dot segment");
    }
}

static void check_accepted(const struct request *request, const char *frame)
{
    size_t line = strlen(request->method) + strlen(" /ari/ HTTP/1.1") + strlen(request->uri) +
                  strlen(request->query) + (request->query[0] != '\0');
    check_url_bytes(request->query, "?");
    demand(line <= limits.max_request_line_bytes, "the request line is within its bound");
    demand(request->body_length <= limits.max_body_bytes, "the body is within its bound");
    demand((request->body == NULL) == (request->body_length == 0), "no body has no bytes");
    demand((request->body == NULL) == (request->content_type == NULL), "a body has a type");
    demand(strlen(request->method) <= 16 && request->method[0] != '\0', "the method's length");
    demand(strspn(request->method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == strlen(request->method),
           "the method's letters");
    demand(request->timeout_ms >= 1 && request->timeout_ms <= 600000, "the time is within bounds");
    for (const char *at = request->content_type; at != NULL && *at != '\0'; at++) {
        demand(*at >= ' ' && *at <= '~', "a type is visible ASCII");
    }
    demand(request->body == NULL || memchr(request->body, '\0', request->body_length) == NULL ||
               request->body == frame,
           "only a frame's body has a NUL");
}

static void check_refused(const struct request_refusal *refusal)
{
    const char *message = refusal->message;
    size_t length = strnlen(message, sizeof refusal->message);
    demand(length > 0 && length < sizeof refusal->message - 1, "the message is whole");
    demand(u8_check((const uint8_t *)message, length) == NULL, "the message is UTF-8");
    for (size_t i = 0; i < length; i++) {
        demand((uint8_t)message[i] >= ' ' && message[i] != 0x7f, "the message is one line");
    }
    demand(refusal->error == REPLY_BAD_REQUEST || refusal->error == REPLY_TOO_LARGE,
           "it is the request's fault");
}

static void check_word(const char *text)
{
    if (text == NULL) {
        return;
    }
    demand(text[0] != '\0' && strlen(text) <= REQUEST_ID_MAX, "a word's length");
    for (; *text != '\0'; text++) {
        demand((uint8_t)*text >= ' ' && *text != 0x7f, "a word has no control byte");
    }
}

static void check_reply(const struct request *request)
{
    const struct reply reply = {.source = "bridge", .status_code = 200, .reason_phrase = "OK"};
    size_t length = 0;
    char *text = reply_print(&reply, request, &length);
    demand(text != NULL, "there is a reply");
    json_t *json = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);
    demand(json_is_object(json), "a reply's header is JSON");
    const char *uri = json_string_value(json_object_get(json, "uri"));
    demand((uri == NULL) == (request->uri == NULL), "a reply repeats the uri");
    json_decref(json);
    free(text);
}

static const struct config_history bounds = {.max_page_messages = 1000, .max_page_bytes = 5000};

/* What is taken is in bounds, and every byte of it is in memory that can be read. */
static void check_history_query(const char *text)
{
    struct history_query query;
    struct request_refusal refusal = {0};
    int result = history_query_read(text, &bounds, &query, &refusal);
    if (result != ARIZMQ_OK) {
        demand(result == ARIZMQ_EINVALID && refusal.error == REPLY_BAD_REQUEST,
               "a query is refused as bad");
        check_refused(&refusal);
        return;
    }
    demand(query.limit >= 1 && query.limit <= bounds.max_page_messages, "the limit is in bounds");
    demand(query.page_bytes == bounds.max_page_bytes, "the bytes are in bounds");
    demand(query.after <= query.until, "until is not below after");
    demand(query.after <= INT64_MAX && query.epoch <= INT64_MAX, "numbers are of 63 bits");
    demand(strlen(query.view) <= strlen(text) || strcmp(query.view, "events") == 0, "a view");
    demand(query.prefix.bytes[query.prefix.length] == '\0', "a NUL byte follows the prefix");
    struct history_query again;
    demand(history_query_read(text, &bounds, &again, &refusal) == ARIZMQ_OK &&
               again.prefix.length == query.prefix.length &&
               memcmp(again.prefix.bytes, query.prefix.bytes, query.prefix.length) == 0,
           "it is always the same");
    history_query_release(&again);
    history_query_release(&query);
}

static void check_body_as_query(const char *body, size_t length)
{
    char *text = malloc(length + 1);
    demand(text != NULL, "there is memory");
    memcpy(text, body, length);
    text[length] = '\0';
    check_history_query(text);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    size_t header_length = (size_t)data[0] << 8 | data[1];
    size_t rest = size - 2;
    header_length = header_length < rest ? header_length : rest;
    /* Memory of exactly these sizes, so that a byte too many is seen. */
    char *header = malloc(header_length > 0 ? header_length : 1);
    char *body = malloc(rest > header_length ? rest - header_length : 1);
    demand(header != NULL && body != NULL, "there is memory");
    memcpy(header, data + 2, header_length);
    memcpy(body, data + 2 + header_length, rest - header_length);
    struct request request;
    struct request_refusal refusal = {0};
    int result =
        request_read((struct span){header, header_length},
                     (struct span){body, rest - header_length}, &limits, &request, &refusal);
    free(header); /* which is not borrowed, other than the body */
    demand(result == ARIZMQ_OK || result == ARIZMQ_EINVALID, "the result is documented");
    if (result == ARIZMQ_OK) {
        demand(request.uri != NULL, "what is accepted has a uri");
        check_accepted(&request, body);
        check_history_query(request.query);
    } else {
        check_refused(&refusal);
    }
    if (request.uri != NULL) {
        check_path(request.uri);
    }
    check_word(request.request_id);
    check_word(request.transaction_id);
    check_word(request.node);
    check_word(request.app);
    check_reply(&request);
    request_release(&request);
    check_body_as_query(body, rest - header_length);
    free(body);
    return 0;
}
