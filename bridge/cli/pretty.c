/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Indents the JSON bodies of replies. Jansson says whether text is JSON; what is written is the
 * text itself, since Jansson would write 1.50 as 1.5 and lose digits of large numbers.
 */
#include "cli/pretty.h"

#include <string.h>

enum { INDENT = 2 };

json_t *pretty_parse(const char *bytes, size_t length)
{
    const size_t flags = JSON_DECODE_ANY | JSON_ALLOW_NUL;
    json_error_t error;
    json_t *json = json_loadb(bytes, length, flags, &error);
    if (json == NULL && json_error_code(&error) == json_error_numeric_overflow) {
        json = json_loadb(bytes, length, flags | JSON_DECODE_INT_AS_REAL, NULL);
    }
    return json;
}

static const char *skip_space(const char *at, const char *end)
{
    while (at < end && memchr(" \t\r\n", *at, 4) != NULL) {
        at++;
    }
    return at;
}

/* Returns the end of the string that begins at the quote. */
static const char *skip_string(const char *at, const char *end)
{
    at++;
    while (at < end && *at != '"') {
        at += *at == '\\' && at + 1 < end ? 2 : 1;
    }
    return at < end ? at + 1 : end;
}

static void new_line(FILE *out, unsigned depth)
{
    fprintf(out, "\n%*s", (int)(depth * INDENT), "");
}

void pretty_write(FILE *out, const char *bytes, size_t length)
{
    const char *end = bytes + length;
    unsigned depth = 0;
    for (const char *at = skip_space(bytes, end); at < end; at = skip_space(at, end)) {
        const char *next = at + 1;
        switch (*at) {
        case '{':
        case '[':
            next = skip_space(next, end);
            putc(*at, out);
            if (next < end && (*next == '}' || *next == ']')) {
                putc(*next++, out);
            } else {
                new_line(out, ++depth);
            }
            break;
        case '}':
        case ']':
            depth -= depth > 0;
            new_line(out, depth);
            putc(*at, out);
            break;
        case ',':
            putc(',', out);
            new_line(out, depth);
            break;
        case ':':
            fputs(": ", out);
            break;
        case '"':
            next = skip_string(at, end);
            fwrite(at, 1, (size_t)(next - at), out);
            break;
        default:
            putc(*at, out);
            break;
        }
        at = next;
    }
}
