/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The rules of topics once more, written for clearness: each token is first encoded as a whole,
 * character by character, then cut if it must be. test_topic.c and fuzz_topic.c hold topic_write()
 * against it. Whether bytes are UTF-8 is Jansson's word here, libunistring's there.
 */
#include "topic_compare.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"

/* A token: what it says, and how that is written. */
struct token {
    char *raw;
    size_t raw_length;
    char *encoded;
    size_t encoded_length;
    size_t *units; /* lengths of the characters and escapes of `encoded` */
    size_t units_count;
};

uint64_t topic_compare_hash(const char *bytes, size_t length)
{
    uint64_t hash = 0xcbf29ce484222325U;
    for (size_t i = 0; i < length; i++) {
        hash ^= (unsigned char)bytes[i];
        hash *= 0x100000001b3U;
    }
    return hash;
}

static void *allocate(size_t size)
{
    void *memory = calloc(1, size + 1);
    if (memory == NULL) {
        abort();
    }
    return memory;
}

/* The length of the UTF-8 character at the beginning of `bytes`, 0 where there is none. */
static size_t character_length(const char *bytes, size_t length)
{
    for (size_t size = 1; size <= 4 && size <= length; size++) {
        json_t *text = json_stringn(bytes, size);
        json_decref(text);
        if (text != NULL) {
            return size;
        }
    }
    return 0;
}

static void token_encode(struct token *token)
{
    token->encoded = allocate(token->raw_length * 3 + 1);
    token->units = allocate((token->raw_length + 1) * sizeof(size_t));
    const char *raw = token->raw_length == 0 ? "-" : token->raw;
    size_t left = token->raw_length == 0 ? 1 : token->raw_length;
    while (left > 0) {
        size_t size = character_length(raw, left);
        size_t unit = size;
        char *place = token->encoded + token->encoded_length;
        unsigned char byte = (unsigned char)*raw;
        if (size == 0 || byte < 0x20 || byte == 0x7f || byte == '/' || byte == '%') {
            snprintf(place, 4, "%%%02X", byte);
            unit = 3;
            size = 1;
        } else {
            memcpy(place, raw, size);
        }
        token->units[token->units_count++] = unit;
        token->encoded_length += unit;
        raw += size;
        left -= size;
    }
}

static void token_say(struct token *token, const char *bytes, size_t length)
{
    char *raw = allocate(token->raw_length + length);
    if (token->raw_length > 0) {
        memcpy(raw, token->raw, token->raw_length);
    }
    if (length > 0) {
        memcpy(raw + token->raw_length, bytes, length);
    }
    free(token->raw);
    token->raw = raw;
    token->raw_length += length;
}

static void token_fill(struct token *token, const char *name, size_t length,
                       const struct event *event, const struct event_object *object)
{
    if (strncmp(name, "{type}", length) == 0) {
        token_say(token, event->type.bytes, event->type.length);
    } else if (strncmp(name, "{app}", length) == 0) {
        token_say(token, event->application.bytes, event->application.length);
    } else if (strncmp(name, "{node}", length) == 0) {
        token_say(token, event->node, strlen(event->node));
    } else if (strncmp(name, "{kind}", length) == 0) {
        token_say(token, object ? object->kind : "-", object ? strlen(object->kind) : 1);
    } else if (strncmp(name, "{id}", length) == 0) {
        for (unsigned i = 0; object != NULL && i < object->parts; i++) {
            token_say(token, "/", i > 0);
            token_say(token, object->part[i].bytes, object->part[i].length);
        }
    } else {
        token_say(token, name, length);
    }
    token_encode(token);
}

static void token_free(struct token *token)
{
    free(token->raw);
    free(token->encoded);
    free(token->units);
}

/* The token as the topic should have it: at most `room` bytes, to `out`. */
static size_t token_write(const struct token *token, size_t room, char *out, int *is_cut)
{
    if (token->encoded_length <= room) {
        memcpy(out, token->encoded, token->encoded_length);
        return token->encoded_length;
    }
    *is_cut = 1;
    size_t length = 0;
    for (size_t i = 0; length + token->units[i] + 17 <= room; i++) {
        length += token->units[i];
    }
    memcpy(out, token->encoded, length);
    char hash[18];
    snprintf(hash, sizeof hash, "~%016" PRIx64,
             topic_compare_hash(token->encoded, token->encoded_length));
    memcpy(out + length, hash, 17);
    return length + 17;
}

static const char *check_decoded(const struct token *token, const char *written, size_t length)
{
    char decoded[TOPIC_BYTES_MAX];
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        if (written[i] == '%') {
            char digits[3] = {written[i + 1], written[i + 2], '\0'};
            if (strspn(digits, "0123456789ABCDEF") != 2) {
                return "% without two upper-case hex digits";
            }
            decoded[used++] = (char)strtol(digits, NULL, 16);
            i += 2;
        } else {
            decoded[used++] = written[i];
        }
    }
    if (token->raw_length == 0) {
        return used == 1 && decoded[0] == '-' ? NULL : "an empty token is not -";
    }
    return used == token->raw_length && memcmp(decoded, token->raw, used) == 0
               ? NULL
               : "a token that was not cut cannot be decoded";
}

static const char *check_bytes(const struct topic *topic)
{
    unsigned slashes = 0;
    for (size_t i = 0; i < topic->length; i++) {
        unsigned char byte = (unsigned char)topic->bytes[i];
        slashes += byte == '/';
        if (byte < 0x20 || byte == 0x7f) {
            return "a control byte in a topic";
        }
    }
    if (slashes != topic->tokens) {
        return "another number of slashes than of tokens";
    }
    json_t *text = json_stringn(topic->bytes, topic->length);
    json_decref(text);
    return text != NULL ? NULL : "a topic that is no UTF-8";
}

static unsigned count_slashes(const char *text)
{
    unsigned slashes = 0;
    for (; *text != '\0'; text++) {
        slashes += *text == '/';
    }
    return slashes;
}

const char *topic_compare(const char *text, const struct event *event,
                          const struct event_object *object, struct topic *out)
{
    struct topic_template template;
    if (topic_template_compile(text, &template) != ARIZMQ_OK) {
        return "the template is refused";
    }
    memset(out, 0x5a, sizeof *out);
    topic_write(&template, event, object, out);
    unsigned tokens = count_slashes(text);
    if (out->length > TOPIC_BYTES_MAX || out->tokens != tokens) {
        return "too long, or another number of tokens than the template";
    }
    char expected[TOPIC_BYTES_MAX];
    size_t used = 0;
    int is_cut = 0;
    const char *problem = check_bytes(out);
    for (unsigned i = 0; i < tokens && problem == NULL; i++) {
        size_t name_length = strcspn(text, "/");
        struct token token = {0};
        token_fill(&token, text, name_length, event, object);
        int token_is_cut = 0;
        size_t room = TOPIC_BYTES_MAX - used - (tokens - i - 1) * 18 - 1;
        size_t length = token_write(&token, room, expected + used, &token_is_cut);
        if (out->end[i] != used + length + 1) {
            problem = "a token of another length";
        } else if (!token_is_cut) {
            problem = check_decoded(&token, out->bytes + used, length);
        }
        is_cut |= token_is_cut;
        used += length;
        expected[used++] = '/';
        text += name_length + 1;
        token_free(&token);
    }
    if (problem == NULL &&
        (out->length != used || memcmp(out->bytes, expected, used) != 0 || out->is_cut != is_cut)) {
        problem = "other bytes";
    }
    return problem;
}
