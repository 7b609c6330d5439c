/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Responses as they are put on an HTTP connection: whole, or in part where the script wants a
 * connection to end in the middle, or a head without an end. Called by http.c.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "fake.h"

enum { RESPONSE_HEADERS_MAX = 2048 };

char *http_header_copy(struct lws *wsi, enum lws_token_indexes header)
{
    int length = lws_hdr_total_length(wsi, header);
    if (length <= 0) {
        return NULL;
    }
    char *value = calloc(1, (size_t)length + 1);
    if (value && lws_hdr_copy(wsi, value, length + 1, header) < 0) {
        free(value);
        return NULL;
    }
    return value;
}

static int header_add(struct lws *wsi, const char *name, const char *value, unsigned char **at,
                      unsigned char *end)
{
    return lws_add_http_header_by_name(wsi, (const unsigned char *)name,
                                       (const unsigned char *)value, (int)strlen(value), at, end);
}

/* Writes the head to `start`, which has room for RESPONSE_HEADERS_MAX bytes; 0 if it cannot be. */
static size_t head_write(struct lws *wsi, const struct rest_response *response, bool closes,
                         unsigned char *start)
{
    const struct fake *fake = lws_context_user(lws_get_context(wsi));
    size_t body_length = response->body ? strlen(response->body) : 0;
    unsigned char *at = start;
    unsigned char *end = start + RESPONSE_HEADERS_MAX;
    at += snprintf((char *)at, (size_t)(end - at), "HTTP/1.1 %d %s\r\n", response->status,
                   response->reason);
    char server[128];
    char date[64];
    time_t now = time(NULL);
    struct tm tm;
    char content_length[32];
    snprintf(content_length, sizeof content_length, "%zu", body_length);
    snprintf(server, sizeof server, "Asterisk/%s", fake->version->full);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &tm));
    int failed =
        header_add(wsi, "Server:", server, &at, end) || header_add(wsi, "Date:", date, &at, end) ||
        (closes && header_add(wsi, "Connection:", "close", &at, end)) ||
        header_add(wsi, "Cache-Control:", "no-cache, no-store", &at, end) ||
        (response->allow && header_add(wsi, "Allow:", response->allow, &at, end)) ||
        (response->status == 401 &&
         header_add(wsi, "WWW-Authenticate:", "Basic realm=\"Asterisk REST Interface\"", &at,
                    end)) ||
        (response->location && header_add(wsi, "Location:", response->location, &at, end)) ||
        (response->content_type &&
         header_add(wsi, "Content-type:", response->content_type, &at, end)) ||
        header_add(wsi, "Content-Length:", content_length, &at, end) ||
        lws_finalize_http_header(wsi, &at, end);
    return failed ? 0 : (size_t)(at - start);
}

static bool response_closes(struct lws *wsi, const struct rest_response *response)
{
    char *connection = http_header_copy(wsi, WSI_TOKEN_CONNECTION);
    bool closes = response->is_last || (connection && strcasecmp(connection, "close") == 0);
    free(connection);
    return closes;
}

/* How much of the response is written before the connection ends. */
static size_t length_of_part(enum http_fault_kind kind, size_t head_length, size_t body_length)
{
    switch (kind) {
    case HTTP_FAULT_CLOSE_AFTER_REQUEST:
        return 0;
    case HTTP_FAULT_CLOSE_IN_HEAD:
        return head_length / 2;
    case HTTP_FAULT_CLOSE_IN_BODY:
        return head_length + body_length / 2;
    default:
        return head_length + body_length;
    }
}

int http_response_write(struct lws *wsi, const struct rest_response *response,
                        enum http_fault_kind kind)
{
    size_t body_length = response->body ? strlen(response->body) : 0;
    unsigned char *buffer = malloc(LWS_PRE + RESPONSE_HEADERS_MAX + body_length);
    if (!buffer) {
        return -1;
    }
    unsigned char *start = buffer + LWS_PRE;
    bool closes = response_closes(wsi, response);
    size_t head_length = head_write(wsi, response, closes, start);
    size_t length = length_of_part(kind, head_length, body_length);
    bool is_whole = length == head_length + body_length;
    if (body_length) {
        memcpy(start + head_length, response->body, body_length);
    }
    bool failed =
        head_length == 0 || (length > 0 && lws_write(wsi, start, length, LWS_WRITE_HTTP_FINAL) < 0);
    free(buffer);
    return failed || closes || !is_whole ? -1 : 0;
}

int http_response_flood(struct lws *wsi, bool is_first)
{
    static const char status[] = "HTTP/1.1 200 OK\r\n";
    static const char line[] = "X-Flood: 0123456789012345678901234567890123456789\r\n";
    enum { LINES = 300 };
    unsigned char buffer[LWS_PRE + sizeof status + LINES * (sizeof line - 1)];
    unsigned char *at = buffer + LWS_PRE;
    if (is_first) {
        memcpy(at, status, sizeof status - 1);
        at += sizeof status - 1;
    }
    for (int i = 0; i < LINES; i++) {
        memcpy(at, line, sizeof line - 1);
        at += sizeof line - 1;
    }
    size_t length = (size_t)(at - buffer) - LWS_PRE;
    if (lws_write(wsi, buffer + LWS_PRE, length, LWS_WRITE_HTTP) < 0) {
        return -1;
    }
    lws_callback_on_writable(wsi);
    return 0;
}
