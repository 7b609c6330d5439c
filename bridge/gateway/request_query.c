/* SPDX-License-Identifier: MPL-2.0 */
/*
 * query_strings of a request, an object or Asterisk's list of names and values, as the query of a
 * URL. request_read() calls it. Values are text, whatever is in it: every byte that could mean
 * something in a URL is percent-encoded.
 */
#include "gateway/request_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/quote.h"

static void put_integer(struct request_text *text, json_int_t number)
{
    char digits[32];
    int length = snprintf(digits, sizeof digits, "%" JSON_INTEGER_FORMAT, number);
    request_text_put(text, digits, (size_t)length);
}

/* The shortest text that is read as the same number; 30.0 becomes 30, since most parameters that
 * take a number take whole ones only. */
static void put_real(struct request_text *text, double number)
{
    static const double whole_max = 9007199254740992.0; /* 2^53: all whole numbers up to there */
    char digits[40];
    if (number >= -whole_max && number <= whole_max && (double)(json_int_t)number == number) {
        put_integer(text, (json_int_t)number);
        return;
    }
    int length = 0;
    for (int precision = 15; precision <= 17; precision++) {
        length = snprintf(digits, sizeof digits, "%.*g", precision, number);
        if (strtod(digits, NULL) == number) {
            break;
        }
    }
    request_text_encode(text, digits, (size_t)length, "");
}

static void put_string(struct request_text *text, const json_t *value)
{
    request_text_encode(text, json_string_value(value), json_string_length(value), "");
}

/* A list of strings, which ARI separates by commas (allowMultiple). */
static bool put_list(struct request_reader *reader, struct request_text *text, const char *name,
                     const json_t *list)
{
    char quoted[QUOTE_SIZE];
    size_t index;
    json_t *value;
    json_array_foreach(list, index, value)
    {
        if (!json_is_string(value)) {
            request_refuse(reader, REPLY_BAD_REQUEST,
                           "query_strings: the list of %s has %s in it: allowed are strings",
                           quote_text(name, strlen(name), quoted), request_type_name(value));
            return false;
        }
        if (index > 0) {
            request_text_encode(text, ",", 1, "");
        }
        put_string(text, value);
    }
    return true;
}

static bool put_value(struct request_reader *reader, struct request_text *text, const char *name,
                      const json_t *value)
{
    char quoted[QUOTE_SIZE];
    switch (json_typeof(value)) {
    case JSON_STRING:
        put_string(text, value);
        return true;
    case JSON_INTEGER:
        put_integer(text, json_integer_value(value));
        return true;
    case JSON_REAL:
        put_real(text, json_real_value(value));
        return true;
    case JSON_TRUE:
        request_text_put(text, "true", 4);
        return true;
    case JSON_FALSE:
        request_text_put(text, "false", 5);
        return true;
    case JSON_ARRAY:
        return put_list(reader, text, name, value);
    default:
        request_refuse(reader, REPLY_BAD_REQUEST,
                       "query_strings: %s is %s: allowed are a string, a number, true, false and a "
                       "list of strings",
                       quote_text(name, strlen(name), quoted), request_type_name(value));
        return false;
    }
}

static bool put_pair(struct request_reader *reader, struct request_text *text, const char *name,
                     const json_t *value)
{
    size_t length = strlen(name);
    if (length == 0 || quote_has_control(name, length)) {
        char quoted[QUOTE_SIZE];
        request_refuse(reader, REPLY_BAD_REQUEST,
                       "query_strings: %s is no name: allowed is text without control bytes",
                       quote_text(name, length, quoted));
        return false;
    }
    if (text->length > 0) {
        request_text_put(text, "&", 1);
    }
    request_text_encode(text, name, length, "");
    request_text_put(text, "=", 1);
    return put_value(reader, text, name, value);
}

static bool put_pairs(struct request_reader *reader, struct request_text *text, const json_t *pairs)
{
    size_t index;
    json_t *pair;
    json_array_foreach(pairs, index, pair)
    {
        const json_t *name = json_object_get(pair, "name");
        const json_t *value = json_object_get(pair, "value");
        if (!json_is_string(name) || value == NULL) {
            request_refuse(reader, REPLY_BAD_REQUEST,
                           "query_strings: item %zu is no {\"name\": a string, \"value\": ...}",
                           index + 1);
            return false;
        }
        if (!put_pair(reader, text, json_string_value(name), value)) {
            return false;
        }
    }
    return true;
}

bool request_query_put(struct request_reader *reader, struct request_text *text,
                       const json_t *query_strings)
{
    if (query_strings == NULL) {
        return true;
    }
    if (json_is_array(query_strings)) {
        return put_pairs(reader, text, query_strings);
    }
    if (!json_is_object(query_strings)) {
        request_refuse(reader, REPLY_BAD_REQUEST,
                       "query_strings is %s: write an object, or a list of {\"name\", \"value\"}",
                       request_type_name(query_strings));
        return false;
    }
    /* Jansson has no iterator for a const object; this one changes nothing. */
    json_t *object = (json_t *)query_strings;
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value)
    {
        if (!put_pair(reader, text, name, value)) {
            return false;
        }
    }
    return true;
}
