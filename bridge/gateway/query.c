/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Takes a query apart. mentions.c looks for ids in those that go to Asterisk, the bridge's own
 * resources read theirs.
 */
#include "gateway/query.h"

#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

size_t query_decode(struct span raw, char *out)
{
    size_t length = 0;
    for (size_t i = 0; i < raw.length; i++) {
        char c = raw.bytes[i];
        if (c == '%' && i + 2 < raw.length && hex_digit(raw.bytes[i + 1]) >= 0 &&
            hex_digit(raw.bytes[i + 2]) >= 0) {
            c = (char)(hex_digit(raw.bytes[i + 1]) * 16 + hex_digit(raw.bytes[i + 2]));
            i += 2;
        } else if (c == '+') {
            c = ' ';
        }
        out[length++] = c;
    }
    return length;
}

int query_begin(const char *text, struct query *out)
{
    /* No text grows when decoded, and a separator stands behind each, for whose NUL there is room;
     * a name without an equals sign needs two. */
    char *texts = malloc(2 * strlen(text) + 2);
    if (texts == NULL) {
        return ARIZMQ_ENOMEM;
    }
    *out = (struct query){.texts = texts, .at = text, .free = texts};
    return ARIZMQ_OK;
}

static struct span keep(struct query *query, const char *bytes, size_t length)
{
    struct span kept = {query->free, query_decode((struct span){bytes, length}, query->free)};
    query->free[kept.length] = '\0';
    query->free += kept.length + 1;
    return kept;
}

bool query_next(struct query *query, struct span *name, struct span *value)
{
    query->at += strspn(query->at, "&");
    size_t length = strcspn(query->at, "&");
    if (length == 0) {
        return false;
    }
    const char *equals = memchr(query->at, '=', length);
    size_t name_length = equals != NULL ? (size_t)(equals - query->at) : length;
    size_t begin = equals != NULL ? name_length + 1 : length;
    *name = keep(query, query->at, name_length);
    *value = keep(query, query->at + begin, length - begin);
    query->at += length;
    return true;
}

void query_release(struct query *query)
{
    free(query->texts);
    *query = (struct query){0};
}
