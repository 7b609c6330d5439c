/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Writes the header of a reply, and the body of the bridge's own errors. The gateway calls it for
 * each reply, Asterisk's and its own. It never fails for what Asterisk said: text that is no UTF-8
 * is shown as far as it is.
 */
#include "gateway/reply.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <unistr.h>

#include "gateway/request.h"

/* More than nearly all headers have. */
enum { HEADER_MIN_BYTES = 512 };

#define REPLY_ROW(identifier, status, word, reason) {status, word, reason},
static const struct {
    int status;
    const char *word;
    const char *reason;
} errors[] = {REPLY_ERRORS(REPLY_ROW)};
#undef REPLY_ROW

int reply_error_status(enum reply_error error)
{
    return errors[error].status;
}

const char *reply_error_word(enum reply_error error)
{
    return errors[error].word;
}

const char *reply_error_reason(enum reply_error error)
{
    return errors[error].reason;
}

/* A JSON string of `text`; bytes that are no UTF-8 become '?'. NULL without memory. */
static json_t *make_string(const char *text)
{
    size_t length = strlen(text);
    if (u8_check((const uint8_t *)text, length) == NULL) {
        return json_stringn_nocheck(text, length);
    }
    char *copy = strdup(text);
    if (copy == NULL) {
        return NULL;
    }
    const uint8_t *bad;
    while ((bad = u8_check((const uint8_t *)copy, length)) != NULL) {
        copy[bad - (const uint8_t *)copy] = '?';
    }
    json_t *string = json_stringn_nocheck(copy, length);
    free(copy);
    return string;
}

/* Takes `json` over. */
static char *print(json_t *json, bool is_complete, size_t *length)
{
    char *text = NULL;
    if (json != NULL && is_complete) {
        text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
    }
    json_decref(json);
    if (text != NULL) {
        *length = strlen(text);
    }
    return text;
}

/* A header in the making. A tree of it would be a fifth of all the instructions that a command
 * costs; so the members are written one behind the other, and Jansson prints only text that cannot
 * stand between quotes as it is. */
struct header {
    char *bytes;
    size_t length;
    size_t capacity;
    bool has_failed; /* no memory */
};

static void put(struct header *header, const char *bytes, size_t length)
{
    if (header->length + length > header->capacity) {
        size_t capacity = (header->length + length) * 2;
        capacity = capacity < HEADER_MIN_BYTES ? HEADER_MIN_BYTES : capacity;
        char *grown = header->has_failed ? NULL : realloc(header->bytes, capacity);
        if (grown == NULL) {
            header->has_failed = true;
            return;
        }
        header->bytes = grown;
        header->capacity = capacity;
    }
    memcpy(header->bytes + header->length, bytes, length);
    header->length += length;
}

static bool is_plain(const char *text, size_t length)
{
    bool is_plain = true;
    for (size_t i = 0; i < length; i++) {
        is_plain =
            is_plain && text[i] >= ' ' && text[i] <= '~' && text[i] != '"' && text[i] != '\\';
    }
    return is_plain;
}

/* NULL: the member is left out. `key` is `,"name":` as it stands in the text. */
static void put_text(struct header *header, const char *key, const char *text)
{
    if (text == NULL) {
        return;
    }
    put(header, key, strlen(key));
    size_t length = strlen(text);
    if (is_plain(text, length)) {
        put(header, "\"", 1);
        put(header, text, length);
        put(header, "\"", 1);
        return;
    }
    char *quoted = print(make_string(text), true, &length);
    if (quoted == NULL) {
        header->has_failed = true;
        return;
    }
    put(header, quoted, length);
    free(quoted);
}

/* `key` as above. */
static void put_number(struct header *header, const char *key, uint64_t value)
{
    char text[32];
    int length = snprintf(text, sizeof text, "%" PRIu64, value);
    put(header, key, strlen(key));
    put(header, text, (size_t)length);
}

static void put_position(struct header *header, const struct reply_position *position)
{
    put_number(header, ",\"epoch\":", position->epoch);
    if (position->first > 0) {
        put_number(header, ",\"first\":", position->first);
    }
    if (position->is_page) {
        put_number(header, ",\"last\":", position->last);
    }
    put_number(header, ",\"oldest\":", position->oldest);
    put_number(header, ",\"newest\":", position->newest);
    if (position->is_page) {
        put_number(header, ",\"count\":", position->count);
        const char *more = position->more ? ",\"more\":true" : ",\"more\":false";
        put(header, more, strlen(more));
    }
}

/* Milliseconds with up to three decimals, at least one. */
static void put_elapsed(struct header *header, uint64_t elapsed_ns)
{
    char text[48];
    uint64_t elapsed_us = elapsed_ns / 1000 + (elapsed_ns % 1000 >= 500);
    int length = snprintf(text, sizeof text, ",\"elapsed_ms\":%" PRIu64 ".%03u", elapsed_us / 1000,
                          (unsigned)(elapsed_us % 1000));
    while (text[length - 1] == '0' && text[length - 2] != '.') {
        length--;
    }
    put(header, text, (size_t)length);
}

char *reply_print(const struct reply *reply, const struct request *request, size_t *length)
{
    static const struct request unknown;
    const struct request *of = request != NULL ? request : &unknown;
    struct header header = {0};
    put_text(&header, "{\"type\":", "RESTResponse");
    put_text(&header, ",\"request_id\":", of->request_id);
    put_text(&header, ",\"transaction_id\":", of->transaction_id);
    put_number(&header, ",\"status_code\":", (uint64_t)reply->status_code);
    put_text(&header, ",\"reason_phrase\":", reply->reason_phrase);
    put_text(&header, ",\"content_type\":", reply->content_type);
    put_text(&header, ",\"uri\":", of->uri);
    put_text(&header, ",\"node\":", reply->node);
    put_text(&header, ",\"source\":", reply->source);
    put_text(&header, ",\"error\":", reply->error);
    if (reply->position != NULL) {
        put_position(&header, reply->position);
    }
    put_elapsed(&header, reply->elapsed_ns);
    put(&header, "}", 2); /* and the 0 that ends it */
    if (header.has_failed) {
        free(header.bytes);
        return NULL;
    }
    *length = header.length - 1;
    return header.bytes;
}

char *reply_print_error(const char *message, size_t *length)
{
    json_t *json = json_object();
    bool is_complete = json_object_set_new_nocheck(json, "message", make_string(message)) == 0;
    return print(json, is_complete, length);
}
