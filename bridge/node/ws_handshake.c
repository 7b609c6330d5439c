/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Request and answer of the opening handshake. ws_raw.c calls it, because libwebsockets' RAW role
 * leaves the connection's bytes to its user. It looks at what RFC 6455, section 4.1 asks for and at
 * the status line, nothing else.
 */
#include "node/ws_handshake.h"

#include <ctype.h>
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

static int is_same(const char *value, size_t length, const char *wanted)
{
    return length == strlen(wanted) && strncasecmp(value, wanted, length) == 0;
}

static int header_is(const char *head, size_t length, const char *name, const char *wanted)
{
    size_t value_length = 0;
    const char *value = find_header(head, length, name, &value_length);
    return value != NULL && is_same(value, value_length, wanted);
}

/* Whether a header is a list, perhaps in several lines, that has `wanted` among its tokens. */
static int header_lists(const char *head, size_t length, const char *name, const char *wanted)
{
    const char *end = head + length;
    size_t value_length = 0;
    const char *value = find_header(head, length, name, &value_length);
    while (value != NULL) {
        const char *value_end = value + value_length;
        for (const char *token = value; token < value_end;) {
            const char *comma = memchr(token, ',', (size_t)(value_end - token));
            const char *next = comma != NULL ? comma + 1 : value_end;
            const char *token_end = comma != NULL ? comma : value_end;
            while (token < token_end && (*token == ' ' || *token == '\t')) {
                token++;
            }
            while (token_end > token && (token_end[-1] == ' ' || token_end[-1] == '\t')) {
                token_end--;
            }
            if (is_same(token, (size_t)(token_end - token), wanted)) {
                return 1;
            }
            token = next;
        }
        value = find_header(value_end, (size_t)(end - value_end), name, &value_length);
    }
    return 0;
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
    if (!header_lists(head, length, "Connection", "upgrade")) {
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

/* Reads "HTTP/1.1 101 Reason" from bytes[0..length) into *out. */
static int read_status_line(const char *bytes, size_t length, struct ws_answer *out)
{
    enum { REASON_AT = sizeof "HTTP/1.1 101" - 1 };
    char line[160];
    char digits[4] = "";
    int used = 0;
    snprintf(line, sizeof line, "%.*s", (int)length, bytes);
    if (sscanf(line, "HTTP/1.%*1[01]%*1[ ]%3[0-9]%n", digits, &used) != 1 || used != REASON_AT ||
        digits[0] == '0' || (line[used] != ' ' && line[used] != '\0')) {
        return ARIZMQ_EINVALID;
    }
    out->status = atoi(digits);
    snprintf(out->reason, sizeof out->reason, "%s", line + used + (line[used] == ' '));
    return ARIZMQ_OK;
}

int ws_handshake_read(const char *bytes, size_t length, const char *key, struct ws_answer *out)
{
    static const char http[] = "HTTP/1.";
    /* What is another protocol's port would perhaps never send an empty line. */
    if (memcmp(bytes, http, length < sizeof http - 1 ? length : sizeof http - 1) != 0) {
        return ARIZMQ_EINVALID;
    }
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
    if (value_length > 0 && isdigit((unsigned char)*value)) {
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
