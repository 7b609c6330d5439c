/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The header frame of a request as JSON, and the one sentence that a refused request gets.
 * request_read() calls it first. It looks at no member. Jansson bounds the depth (2048) and refuses
 * NUL characters and text that is no UTF-8.
 */
#include "gateway/request_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "gateway/quote.h"

void request_refuse(struct request_reader *reader, enum reply_error error, const char *format, ...)
{
    if (reader->is_refused) {
        return;
    }
    reader->is_refused = true;
    reader->refusal->error = error;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reader->refusal->message, sizeof reader->refusal->message, format, arguments);
    va_end(arguments);
}

const char *request_type_name(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
    case JSON_REAL:
        return "a number";
    case JSON_NULL:
        return "null";
    default:
        return "true or false";
    }
}

static void refuse_header(struct request_reader *reader, const json_error_t *error)
{
    const char *text = error->text;
    char quoted[QUOTE_SIZE];
    switch (json_error_code(error)) {
    case json_error_null_character:
    case json_error_null_byte_in_key:
        request_refuse(reader, REPLY_BAD_REQUEST,
                       "the header has a NUL character (\\u0000) at byte %d: none is allowed",
                       error->position);
        break;
    case json_error_stack_overflow:
        request_refuse(reader, REPLY_BAD_REQUEST,
                       "the header is nested too deeply at byte %d: JSON is read to a depth of %d",
                       error->position, JSON_PARSER_MAX_DEPTH);
        break;
    case json_error_unknown: /* Jansson names what is wrong with a text, not the want of memory */
    case json_error_out_of_memory:
        request_refuse(reader, REPLY_OVERLOADED, "there is no memory for the request: try again");
        break;
    default:
        request_refuse(reader, REPLY_BAD_REQUEST,
                       "the header is no JSON object: %s at byte %d; the first frame is "
                       "{\"method\": ..., \"uri\": ...}",
                       quote_text(text, strlen(text), quoted), error->position);
        break;
    }
}

bool request_header_parse(struct request_reader *reader, struct span header)
{
    json_error_t error = {0}; /* Jansson does not write its code where it gets no memory at all */
    if (header.length == 0) {
        request_refuse(reader, REPLY_BAD_REQUEST,
                       "the header is empty: the first frame is {\"method\": ..., \"uri\": ...}");
        return false;
    }
    /* Jansson 2.14 passes over a NUL byte behind a number such as 1.5. */
    const char *nul = memchr(header.bytes, '\0', header.length);
    if (nul != NULL) {
        request_refuse(reader, REPLY_BAD_REQUEST,
                       "the header has a NUL byte at byte %zu: none is allowed",
                       (size_t)(nul - header.bytes) + 1);
        return false;
    }
    json_t *json =
        json_loadb(header.bytes, header.length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (json == NULL) {
        refuse_header(reader, &error);
        return false;
    }
    reader->request->header = json;
    if (!json_is_object(json)) {
        request_refuse(reader, REPLY_BAD_REQUEST,
                       "the header is %s: the first frame is {\"method\": ..., \"uri\": ...}",
                       request_type_name(json));
        return false;
    }
    return true;
}
