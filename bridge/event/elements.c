/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Counts brackets outside strings; that is all it takes to find where an object ends. The lists of
 * ARI, which node/reconcile.c reads, come through here.
 */
#include "event/elements.h"

#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"

enum expect {
    EXPECT_LIST,   /* the first [ */
    EXPECT_FIRST,  /* an element, or ] */
    EXPECT_NEXT,   /* an element */
    EXPECT_INSIDE, /* the rest of one */
    EXPECT_COMMA,  /* , or ] */
    EXPECT_NOTHING,
};

enum { ROOM_MIN = 1024 };

void elements_begin(struct elements *self, size_t max_bytes, elements_each *each, void *owner)
{
    *self = (struct elements){
        .max_bytes = max_bytes, .each = each, .owner = owner, .expect = EXPECT_LIST};
}

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static int make_room(struct elements *self, size_t more)
{
    size_t wanted = self->length + more + SCAN_PADDING;
    if (self->length + more > self->max_bytes) {
        return ARIZMQ_ETOOLARGE;
    }
    if (wanted <= self->room) {
        return ARIZMQ_OK;
    }
    size_t room = self->room > 0 ? self->room : ROOM_MIN;
    while (room < wanted) {
        room *= 2;
    }
    char *bytes = realloc(self->bytes, room);
    if (bytes == NULL) {
        return ARIZMQ_ENOMEM;
    }
    self->bytes = bytes;
    self->room = room;
    return ARIZMQ_OK;
}

/* How many of the bytes belong to the element in progress; *ends is set where it ends there. */
static size_t measure(struct elements *self, const char *bytes, size_t length, bool *ends)
{
    for (size_t i = 0; i < length; i++) {
        char c = bytes[i];
        if (self->is_in_string) {
            self->is_in_string = self->is_escaped || c != '"';
            self->is_escaped = !self->is_escaped && c == '\\';
        } else if (c == '"') {
            self->is_in_string = true;
        } else if (c == '{' || c == '[') {
            self->depth++;
        } else if ((c == '}' || c == ']') && --self->depth == 0) {
            *ends = true;
            return i + 1;
        }
    }
    return length;
}

static int take_inside(struct elements *self, const char *bytes, size_t length, size_t *taken)
{
    bool ends = false;
    *taken = measure(self, bytes, length, &ends);
    int result = make_room(self, *taken);
    if (result != ARIZMQ_OK) {
        return result;
    }
    memcpy(self->bytes + self->length, bytes, *taken);
    self->length += *taken;
    if (!ends) {
        return ARIZMQ_OK;
    }
    memset(self->bytes + self->length, 0, SCAN_PADDING);
    struct span element = {self->bytes, self->length};
    self->length = 0;
    self->expect = EXPECT_COMMA;
    return self->each(self->owner, element) ? ARIZMQ_OK : ARIZMQ_ECLOSED;
}

/* A byte between elements. */
static int take_between(struct elements *self, char c)
{
    bool may_begin = self->expect == EXPECT_FIRST || self->expect == EXPECT_NEXT;
    bool may_end = self->expect == EXPECT_FIRST || self->expect == EXPECT_COMMA;
    if (c == '[' && self->expect == EXPECT_LIST) {
        self->expect = EXPECT_FIRST;
    } else if (c == '{' && may_begin) {
        self->expect = EXPECT_INSIDE;
    } else if (c == ',' && self->expect == EXPECT_COMMA) {
        self->expect = EXPECT_NEXT;
    } else if (c == ']' && may_end) {
        self->expect = EXPECT_NOTHING;
    } else if (!is_space(c)) {
        return ARIZMQ_EINVALID;
    }
    return ARIZMQ_OK;
}

int elements_take(struct elements *self, const char *bytes, size_t length)
{
    int result = ARIZMQ_OK;
    for (size_t at = 0; at < length && result == ARIZMQ_OK;) {
        size_t taken = 0;
        if (self->expect == EXPECT_INSIDE) {
            result = take_inside(self, bytes + at, length - at, &taken);
        } else {
            result = take_between(self, bytes[at]);
            taken = self->expect == EXPECT_INSIDE ? 0 : 1; /* the { is the element's */
        }
        at += taken;
    }
    return result;
}

bool elements_are_whole(const struct elements *self)
{
    return self->expect == EXPECT_NOTHING;
}

void elements_release(struct elements *self)
{
    free(self->bytes);
    self->bytes = NULL;
}
