/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A generator of JSON objects for test_scan.c: escapes of every kind (in keys, too), runs of
 * backslashes, structural bytes in strings, space anywhere, nesting, repeated keys, many members,
 * long text before the type, strings that end around a 64-byte border. It never makes what Jansson
 * refuses (numbers beyond its range, NUL in a key); breaking is a step of its own.
 */
#include "random_json.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Room that is kept so that what was begun can be ended. */
enum { TAIL = 4096 };

uint64_t random_below(uint64_t *state, uint64_t limit)
{
    /* SplitMix64 */
    uint64_t z = *state += 0x9E3779B97F4A7C15U;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9U;
    z = (z ^ z >> 27) * 0x94D049BB133111EBU;
    return (z ^ z >> 31) % limit;
}

uint64_t random_seed(uint64_t fallback)
{
    const char *text = getenv("ARIZMQ_TEST_SEED");
    return text != NULL ? strtoull(text, NULL, 0) : fallback;
}

static unsigned pick(struct random_json *self, unsigned limit)
{
    return (unsigned)random_below(&self->state, limit);
}

static int is_full(const struct random_json *self)
{
    return self->length > RANDOM_JSON_MAX - TAIL;
}

static void put(struct random_json *self, const char *bytes, size_t length)
{
    if (self->length + length > RANDOM_JSON_MAX) {
        abort(); /* TAIL is too small */
    }
    memcpy(self->text + self->length, bytes, length);
    self->length += length;
}

static void put_text(struct random_json *self, const char *text)
{
    put(self, text, strlen(text));
}

__attribute__((format(printf, 2, 3))) static void put_format(struct random_json *self,
                                                             const char *format, ...)
{
    char text[128];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    put_text(self, text);
}

static void put_space(struct random_json *self)
{
    static const char space[] = " \t\r\n";
    if (pick(self, 8) == 0) {
        for (unsigned left = pick(self, 4) + 1; left > 0; left--) {
            put(self, &space[pick(self, 4)], 1);
        }
    }
}

static void put_escape(struct random_json *self)
{
    static const char *const escapes[] = {"\\\"", "\\\\", "\\/", "\\b", "\\f", "\\n", "\\r", "\\t"};
    switch (pick(self, 4)) {
    case 0:
        put_format(self, pick(self, 2) ? "\\u%04x" : "\\u%04X", 1 + pick(self, 0xD7FF));
        break;
    case 1: /* a pair of surrogates */
        put_format(self, "\\u%04x\\u%04X", 0xD800 + pick(self, 0x400), 0xDC00 + pick(self, 0x400));
        break;
    default:
        put_text(self, escapes[pick(self, 8)]);
        break;
    }
}

static void put_characters(struct random_json *self, unsigned count)
{
    static const char structural[] = "{}[]:,{}[]:,'/u";
    static const char *const wide[] = {"\u00e4", "\u20ac", "\u2028", "\U0001F600", "\x7f"};
    for (; count > 0 && !is_full(self); count--) {
        switch (pick(self, 8)) {
        case 0:
            put_escape(self);
            break;
        case 1:
            put_text(self, wide[pick(self, 5)]);
            break;
        case 2:
        case 3:
            put(self, &structural[pick(self, sizeof structural - 1)], 1);
            break;
        default: {
            char letter = (char)('a' + pick(self, 26));
            put(self, &letter, 1);
        }
        }
    }
}

/* Fills up, so that what comes next stands up to 3 bytes around a border of blocks. */
static void put_up_to_border(struct random_json *self)
{
    size_t target = (self->length / 64 + 1) * 64 + 61 + pick(self, 6);
    while (self->length < target) {
        put(self, "x", 1);
    }
}

static void put_string(struct random_json *self)
{
    put_text(self, "\"");
    switch (pick(self, 12)) {
    case 0: /* a run of backslashes, each pair one of them, the last perhaps of a quote */
        put_up_to_border(self);
        for (unsigned pairs = pick(self, 70); pairs > 0; pairs--) {
            put_text(self, "\\\\");
        }
        put_text(self, pick(self, 2) ? "\\\"" : "");
        break;
    case 1:
        put_up_to_border(self);
        break;
    case 2:
        put_characters(self, 100 + pick(self, 200));
        break;
    default:
        put_characters(self, pick(self, 12));
        break;
    }
    put_text(self, "\"");
}

/* A name, some of its characters perhaps as escapes. */
static void put_name(struct random_json *self, const char *name)
{
    int escapes = pick(self, 10) == 0;
    put_text(self, "\"");
    for (; *name != '\0'; name++) {
        if (escapes && pick(self, 2) == 0) {
            put_format(self, pick(self, 2) ? "\\u%04x" : "\\u%04X", (unsigned char)*name);
        } else {
            put(self, name, 1);
        }
    }
    put_text(self, "\"");
}

static void put_number(struct random_json *self)
{
    static const char *const numbers[] = {"0",    "-0",     "1",      "-17",     "3.25",
                                          "-0.5", "1e5",    "2E-3",   "10.0e+9", "0e0",
                                          "1.0",  "999999", "-1E+07", "0.001"};
    if (pick(self, 2) == 0) {
        put_format(self, "%u", pick(self, 1000000000));
    } else {
        put_text(self, numbers[pick(self, sizeof numbers / sizeof numbers[0])]);
    }
}

static void put_object(struct random_json *self, unsigned depth, unsigned members);

static void put_array(struct random_json *self, unsigned depth);

static void put_value(struct random_json *self, unsigned depth)
{
    static const char *const literals[] = {"true", "false", "null"};
    switch (pick(self, depth < 6 && !is_full(self) ? 7 : 5)) {
    case 0:
    case 1:
    case 2:
        put_string(self);
        break;
    case 3:
        put_number(self);
        break;
    case 4:
        put_text(self, literals[pick(self, 3)]);
        break;
    case 5:
        put_object(self, depth + 1, pick(self, 6));
        break;
    default:
        put_array(self, depth + 1);
        break;
    }
}

static void put_array(struct random_json *self, unsigned depth)
{
    put_text(self, "[");
    put_space(self);
    for (unsigned count = pick(self, 5), i = 0; i < count; i++) {
        put_text(self, i > 0 ? "," : "");
        put_space(self);
        put_value(self, depth);
        put_space(self);
    }
    put_text(self, "]");
}

static void put_key(struct random_json *self)
{
    static const char *const names[] = {"type", "application", "id",   "channel",
                                        "name", "timestamp",   "args", "bridge"};
    if (pick(self, 3) == 0) {
        put_name(self, names[pick(self, 8)]);
    } else {
        put_string(self);
    }
}

static void put_member(struct random_json *self, unsigned depth)
{
    put_space(self);
    put_key(self);
    put_space(self);
    put_text(self, ":");
    put_space(self);
    put_value(self, depth);
    put_space(self);
}

/* A string member such as type, wherever it falls among the others. */
static void put_named(struct random_json *self, const char *name)
{
    put_space(self);
    put_name(self, name);
    put_text(self, ":");
    put_space(self);
    put_string(self);
    put_space(self);
}

static void put_object(struct random_json *self, unsigned depth, unsigned members)
{
    static const char *const named[] = {"type", "application", "id"};
    unsigned place[3];
    for (unsigned i = 0; i < 3; i++) {
        place[i] = pick(self, members + 3); /* beyond the last: not there */
    }
    put_text(self, "{");
    put_space(self);
    unsigned written = 0;
    for (unsigned i = 0; i < members && !is_full(self); i++) {
        put_text(self, written++ > 0 ? "," : "");
        put_member(self, depth);
        for (unsigned k = 0; k < 3; k++) {
            if (place[k] == i) {
                put_text(self, ",");
                put_named(self, named[k]);
            }
        }
    }
    put_text(self, "}");
}

void random_json_make(struct random_json *self)
{
    self->length = 0;
    put_space(self);
    unsigned shape = pick(self, 400);
    if (shape == 0) { /* Asterisk's ChannelVarset: the caller's text comes first */
        put_text(self, "{\"value\":\"");
        put_characters(self, 20000);
        put_text(self, "\",");
        put_named(self, "type");
        put_text(self, ",\"channel\":");
        put_object(self, 1, 4);
        put_text(self, "}");
    } else if (shape < 8) {
        put_object(self, 5, 55 + pick(self, 80));
    } else {
        put_object(self, 0, pick(self, 9));
    }
    put_space(self);
}

void random_json_break(struct random_json *self)
{
    static const char bytes[] = "{}[]:,\"\\\"\\tfn-+.eE09 \n\x01\xff/u";
    for (unsigned left = 1 + pick(self, 3); left > 0 && self->length > 0; left--) {
        size_t at = (size_t)random_below(&self->state, self->length);
        char *place = self->text + at;
        switch (pick(self, 4)) {
        case 0:
            memmove(place, place + 1, self->length - at - 1);
            self->length--;
            break;
        case 1:
            if (self->length < RANDOM_JSON_MAX) {
                memmove(place + 1, place, self->length - at);
                self->length++;
                *place = bytes[pick(self, sizeof bytes - 1)];
            }
            break;
        case 2:
            *place = (char)pick(self, 256);
            break;
        default:
            *place = bytes[pick(self, sizeof bytes - 1)];
            break;
        }
    }
}
