/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Request and answer of the opening handshake. ws_raw.c calls it, because libwebsockets' RAW role
 * leaves the connection's bytes to its user. It looks at what RFC 6455, section 4.1 asks for and at
 * the status line, nothing else.
 */
#include "node/ws_handshake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <libwebsockets.h>

#include "arizmq/error.h"

static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

size_t ws_handshake_write(const char *path, const char *host, unsigned port, const char *key,
                          const char *authorization, char *out, size_t size)
{
    const char *open = strchr(host, ':') != NULL ? "[" : ""; /* an IPv6 address */
    const char *close = *open != '\0' ? "]" : "";
    int length = snprintf(out, size,
                          "GET %s HTTP/1.1\r\n"
                          "Host: %s%s%s:%u\r\n"
                          "Upgrade: websocket\r\n"
                          "Connection: Upgrade\r\n"
                          "Sec-WebSocket-Key: %s\r\n"
                          "Sec-WebSocket-Version: 13\r\n"
                          "Authorization: %s\r\n"
                          "\r\n",
                          path, open, host, close, port, key, authorization);
    return length < 0 || (size_t)length >= size ? 0 : (size_t)length;
}

/* The value of a header in head[0..length); *value_length is 0 where there is none. */
static const char *find_header(const char *head, size_t length, const char *name,
                               size_t *value_length)
{
    size_t name_length = strlen(name);
    const char *end = head + length;
    const char *line = head;
    *value_length = 0;
    while (line < end) {
        const char *line_end = memchr(line, '\r', (size_t)(end - line));
        if (line_end == NULL) {
            break;
        }
        if ((size_t)(line_end - line) > name_length && line[name_length] == ':' &&
            strncasecmp(line, name, name_length) == 0) {
            const char *value = line + name_length + 1;
            while (value < line_end && (*value == ' ' || *value == '\t')) {
                value++;
            }
            while (line_end > value && (line_end[-1] == ' ' || line_end[-1] == '\t')) {
                line_end--;
            }
            *value_length = (size_t)(line_end - value);
            return value;
        }
        line = line_end + 1;
        if (line < end && *line == '\n') {
            line++;
        }
    }
    return NULL;
}

static int header_is(const char *head, size_t length, const char *name, const char *wanted)
{
    size_t value_length = 0;
    const char *value = find_header(head, length, name, &value_length);
    return value != NULL && value_length == strlen(wanted) &&
           strncasecmp(value, wanted, value_length) == 0;
}

/* The Sec-WebSocket-Accept that belongs to `key`; `out` has room for 32 bytes. */
static void expected_accept(const char *key, char out[32])
{
    char text[32 + sizeof guid];
    unsigned char digest[20];
    int length = snprintf(text, sizeof text, "%s%s", key, guid);
    lws_SHA1((const unsigned char *)text, (size_t)length, digest);
    lws_b64_encode_string((const char *)digest, sizeof digest, out, 32);
}

/* Why a 101 must not be accepted; NULL where it may. */
static const char *upgrade_error(const char *head, size_t length, const char *key)
{
    char accept[32];
    size_t ignored = 0;
    expected_accept(key, accept);
    if (!header_is(head, length, "Upgrade", "websocket")) {
        return "the 101 has no Upgrade: websocket";
    }
    if (!header_is(head, length, "Connection", "upgrade")) {
        return "the 101 has no Connection: Upgrade";
    }
    size_t accept_length = 0;
    const char *value = find_header(head, length, "Sec-WebSocket-Accept", &accept_length);
    if (value == NULL || accept_length != strlen(accept) ||
        memcmp(value, accept, accept_length) != 0) {
        return "the 101's Sec-WebSocket-Accept does not belong to our key";
    }
    if (find_header(head, length, "Sec-WebSocket-Extensions", &ignored) != NULL) {
        return "the 101 names an extension that was not asked for";
    }
    return NULL;
}

/* HTTP/1.1 101 Switching Protocols */
static int read_status_line(const char *line, size_t length, struct ws_answer *out)
{
    enum { STATUS_AT = 9, REASON_AT = 13 };
    if (length < REASON_AT - 1 || strncmp(line, "HTTP/1.", 7) != 0 || line[STATUS_AT - 1] != ' ') {
        return ARIZMQ_EINVALID;
    }
    char *end = NULL;
    long status = strtol(line + STATUS_AT, &end, 10); /* ends at the line's \r at the latest */
    if (end != line + STATUS_AT + 3 || status < 100) {
        return ARIZMQ_EINVALID;
    }
    out->status = (int)status;
    if (length > REASON_AT) {
        snprintf(out->reason, sizeof out->reason, "%.*s", (int)(length - REASON_AT),
                 line + REASON_AT);
    }
    return ARIZMQ_OK;
}

int ws_handshake_read(const char *bytes, size_t length, const char *key, struct ws_answer *out)
{
    const char *head_end = memmem(bytes, length, "\r\n\r\n", 4);
    if (head_end == NULL) {
        return 0;
    }
    struct ws_answer answer = {.head = (size_t)(head_end - bytes) + 4};
    const char *line_end = memchr(bytes, '\r', answer.head);
    if (read_status_line(bytes, (size_t)(line_end - bytes), &answer) != ARIZMQ_OK) {
        return ARIZMQ_EINVALID;
    }
    size_t value_length = 0;
    const char *value = find_header(bytes, answer.head, "Content-Length", &value_length);
    if (value != NULL) {
        answer.body = strtoul(value, NULL, 10); /* ends at the line's \r at the latest */
    }
    if (answer.status == 101) {
        const char *error = upgrade_error(bytes, answer.head, key);
        answer.is_accepted = error == NULL;
        if (error != NULL) {
            snprintf(answer.reason, sizeof answer.reason, "%s", error);
        }
    }
    *out = answer;
    return 1;
}
