/* SPDX-License-Identifier: MPL-2.0 */
/*
 * From an event and one of its objects to the topic under which it is published. Each view calls
 * it once for each message. It allocates nothing and writes only to the topic it is given; text
 * from Asterisk cannot make a topic invalid or longer than its bound.
 */
#include "event/topic.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <unistr.h>

#include "arizmq/error.h"
#include "base/hash.h"

enum {
    HASH_BYTES = 17,                 /* '~' and 16 hex digits */
    RESERVED_BYTES = HASH_BYTES + 1, /* the least a token can be given: its hash and '/' */
};

static const struct {
    const char *text;
    enum topic_field field;
} fields[] = {
    {"{type}", TOPIC_TYPE}, {"{app}", TOPIC_APP}, {"{node}", TOPIC_NODE},
    {"{kind}", TOPIC_KIND}, {"{id}", TOPIC_ID},
};

static int compile_token(const char *text, size_t length, struct topic_token *out)
{
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (strlen(fields[i].text) == length && memcmp(fields[i].text, text, length) == 0) {
            out->field = fields[i].field;
            return ARIZMQ_OK;
        }
    }
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    if (length == 0 || length > TOPIC_LITERAL_MAX || strspn(text, allowed) < length) {
        return ARIZMQ_EINVALID;
    }
    out->field = TOPIC_LITERAL;
    memcpy(out->literal, text, length);
    out->literal[length] = '\0';
    return ARIZMQ_OK;
}

int topic_template_compile(const char *text, struct topic_template *out)
{
    struct topic_template template = {0};
    while (*text != '\0') {
        const char *slash = strchr(text, '/');
        if (slash == NULL || template.count == TOPIC_TOKENS_MAX ||
            compile_token(text, (size_t)(slash - text), &template.tokens[template.count]) !=
                ARIZMQ_OK) {
            return ARIZMQ_EINVALID;
        }
        template.count++;
        text = slash + 1;
    }
    if (template.count == 0) {
        return ARIZMQ_EINVALID;
    }
    *out = template;
    return ARIZMQ_OK;
}

/* Bytes that stand for themselves in a token. */
static bool is_plain(unsigned char byte)
{
    return byte >= 0x20 && byte < 0x7f && byte != '/' && byte != '%';
}

/* A token in the making: bytes go to `out` while there is room and into the hash always. */
struct encoder {
    char *out;
    size_t room;
    size_t used;
    bool is_full;
    uint64_t hash; /* of all that was put in, whether or not there was room */
};

/* Puts one character or escape in, whole or not at all. */
static void encoder_put(struct encoder *encoder, const char *bytes, size_t length)
{
    encoder->hash = hash_fnv1a(encoder->hash, bytes, length);
    encoder->is_full = encoder->is_full || encoder->used + length > encoder->room;
    if (!encoder->is_full) {
        memcpy(encoder->out + encoder->used, bytes, length);
        encoder->used += length;
    }
}

static void encoder_put_escape(struct encoder *encoder, unsigned char byte)
{
    static const char digits[] = "0123456789ABCDEF";
    char escape[3] = {'%', digits[byte >> 4], digits[byte & 15]};
    encoder_put(encoder, escape, sizeof escape);
}

/* Puts in the UTF-8 character at `bytes`, or its first byte as an escape where it is none. Returns
 * how many bytes it took. */
static size_t encoder_put_wide(struct encoder *encoder, const char *bytes, size_t length)
{
    ucs4_t character = 0;
    int size = u8_mbtoucr(&character, (const uint8_t *)bytes, length);
    if (size <= 0) {
        encoder_put_escape(encoder, (unsigned char)bytes[0]);
        return 1;
    }
    encoder_put(encoder, bytes, (size_t)size);
    return (size_t)size;
}

static void encoder_put_text(struct encoder *encoder, struct span text)
{
    for (size_t i = 0; i < text.length;) {
        unsigned char byte = (unsigned char)text.bytes[i];
        if (is_plain(byte)) {
            encoder_put(encoder, text.bytes + i, 1);
            i++;
        } else if (byte < 0x80) {
            encoder_put_escape(encoder, byte);
            i++;
        } else {
            i += encoder_put_wide(encoder, text.bytes + i, text.length - i);
        }
    }
}

static void encode_parts(struct encoder *encoder, const struct span *part, unsigned parts)
{
    for (unsigned i = 0; i < parts; i++) {
        if (i > 0) {
            encoder_put_escape(encoder, '/');
        }
        encoder_put_text(encoder, part[i]);
    }
}

static const uint64_t each_byte = 0x0101010101010101U; /* times a byte: that byte eight times */

/* The high bit of some byte is set where a byte of `word` is zero, and only there. */
static inline uint64_t zero_bytes(uint64_t word)
{
    return (word - each_byte) & ~word & each_byte * 0x80;
}

/* Not zero where a byte of `word` is not plain. */
static inline uint64_t odd_bytes(uint64_t word)
{
    uint64_t control = (word - each_byte * 0x20) & ~word;
    uint64_t wide = (word + each_byte) | word; /* 0x7f and above */
    return ((control | wide) & each_byte * 0x80) | zero_bytes(word ^ each_byte * '/') |
           zero_bytes(word ^ each_byte * '%');
}

static inline uint64_t copy_word(const char *from, char *to)
{
    uint64_t word = 0;
    memcpy(&word, from, sizeof word);
    memcpy(to, &word, sizeof word);
    return odd_bytes(word);
}

/* The same for 4 to 7 bytes, which two halves of a word overlap in. */
static inline uint64_t copy_halves(const char *from, char *to, size_t length)
{
    uint32_t halves[2];
    memcpy(&halves[0], from, sizeof halves[0]);
    memcpy(&halves[1], from + length - sizeof halves[1], sizeof halves[1]);
    memcpy(to, &halves[0], sizeof halves[0]);
    memcpy(to + length - sizeof halves[1], &halves[1], sizeof halves[1]);
    return odd_bytes(halves[0] | (uint64_t)halves[1] << 32);
}

/* The usual token: short and of plain bytes. Returns its length, or 0 where it is not usual. */
static size_t copy_plain(struct span text, char *out, size_t room)
{
    enum { WORD = sizeof(uint64_t) };
    if (text.length > room) {
        return 0;
    }
    uint64_t odd = 0;
    if (text.length >= WORD / 2 && text.length < WORD) {
        odd = copy_halves(text.bytes, out, text.length);
    } else if (text.length < WORD) {
        for (size_t i = 0; i < text.length; i++) {
            odd |= !is_plain((unsigned char)text.bytes[i]);
            out[i] = text.bytes[i];
        }
    } else {
        for (size_t at = 0; at + WORD <= text.length; at += WORD) {
            odd |= copy_word(text.bytes + at, out + at);
        }
        odd |= copy_word(text.bytes + text.length - WORD, out + text.length - WORD);
    }
    return odd == 0 ? text.length : 0;
}

/* Writes one token without its '/'. Returns its length, at most `room`. */
static size_t write_token(const struct span *part, unsigned parts, char *out, size_t room,
                          bool *is_cut)
{
    if (parts == 1) {
        size_t copied = copy_plain(part[0], out, room);
        if (copied > 0) {
            return copied;
        }
    }
    struct encoder encoder = {.out = out, .room = room, .hash = hash_fnv1a_start};
    encode_parts(&encoder, part, parts);
    if (!encoder.is_full) {
        if (encoder.used == 0) {
            out[0] = '-';
            return 1;
        }
        return encoder.used;
    }
    struct encoder shorter = {.out = out, .room = room - HASH_BYTES, .hash = hash_fnv1a_start};
    encode_parts(&shorter, part, parts);
    char hash[HASH_BYTES + 1];
    snprintf(hash, sizeof hash, "~%016" PRIx64, shorter.hash);
    memcpy(out + shorter.used, hash, HASH_BYTES);
    *is_cut = true;
    return shorter.used + HASH_BYTES;
}

/* The texts that a token is made of. */
static unsigned token_parts(const struct topic_token *token, const struct event *event,
                            const struct event_object *object, struct span part[2])
{
    part[0] = (struct span){"-", 1};
    switch (token->field) {
    case TOPIC_LITERAL:
        part[0] = (struct span){token->literal, strlen(token->literal)};
        break;
    case TOPIC_TYPE:
        part[0] = event->type;
        break;
    case TOPIC_APP:
        part[0] = event->application;
        break;
    case TOPIC_NODE:
        part[0] = (struct span){event->node, strlen(event->node)};
        break;
    case TOPIC_KIND:
        if (object != NULL) {
            part[0] = (struct span){object->kind, strlen(object->kind)};
        }
        break;
    case TOPIC_ID:
        if (object != NULL) {
            part[0] = object->part[0];
            part[1] = object->part[1];
            return object->parts;
        }
        break;
    }
    return 1;
}

void topic_write(const struct topic_template *template, const struct event *event,
                 const struct event_object *object, struct topic *out)
{
    size_t used = 0;
    out->is_cut = false;
    out->tokens = template->count;
    for (unsigned i = 0; i < template->count; i++) {
        struct span part[2] = {{.length = 0}};
        unsigned parts = token_parts(&template->tokens[i], event, object, part);
        size_t reserved = (size_t)(template->count - i - 1) * RESERVED_BYTES + 1;
        size_t room = TOPIC_BYTES_MAX - used - reserved;
        used += write_token(part, parts, out->bytes + used, room, &out->is_cut);
        out->bytes[used++] = '/';
        out->end[i] = (uint16_t)used;
    }
    out->length = used;
}
