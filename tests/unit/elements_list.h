/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A list taken in pieces, and all that came of it: for tests and fuzzers of event/elements.h.
 */
#ifndef ARIZMQ_TEST_ELEMENTS_LIST_H
#define ARIZMQ_TEST_ELEMENTS_LIST_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"
#include "event/elements.h"

struct list {
    char *text; /* the elements, each behind its length; owned */
    size_t length;
    size_t count;
    size_t stop_at;   /* this element is refused, counted from 1; 0: none is */
    bool is_unpadded; /* an element came without its padding */
    int result;       /* of the last elements_take() */
    bool is_whole;
    size_t room; /* bytes that were allocated in the end */
};

static inline bool list_add(void *owner, struct span element)
{
    static const char zeros[SCAN_PADDING];
    struct list *list = owner;
    char *text = realloc(list->text, list->length + sizeof element.length + element.length);
    if (text == NULL) {
        abort();
    }
    list->text = text;
    memcpy(text + list->length, &element.length, sizeof element.length);
    memcpy(text + list->length + sizeof element.length, element.bytes, element.length);
    list->length += sizeof element.length + element.length;
    list->is_unpadded |= memcmp(element.bytes + element.length, zeros, SCAN_PADDING) != 0;
    list->count++;
    return list->count != list->stop_at;
}

/* Hands over the next piece from memory of exactly its size. */
static inline int list_piece(struct elements *elements, const char *bytes, size_t length)
{
    char *exact = malloc(length > 0 ? length : 1);
    if (exact == NULL) {
        abort();
    }
    if (length > 0) {
        memcpy(exact, bytes, length);
    }
    int result = elements_take(elements, exact, length);
    free(exact);
    return result;
}

/* The first piece has `first` bytes, all others have `each`, which is not 0. list->stop_at is the
 * caller's, all else is written. */
static inline void list_take(struct list *list, const char *text, size_t length, size_t max_bytes,
                             size_t first, size_t each)
{
    struct elements elements;
    *list = (struct list){.stop_at = list->stop_at};
    elements_begin(&elements, max_bytes, list_add, list);
    size_t piece = first < length ? first : length;
    list->result = list_piece(&elements, text, piece);
    for (size_t at = piece; at < length && list->result == ARIZMQ_OK; at += piece) {
        piece = each < length - at ? each : length - at;
        list->result = list_piece(&elements, text + at, piece);
    }
    list->is_whole = elements_are_whole(&elements);
    list->room = elements.room;
    elements_release(&elements);
}

static inline bool list_is_same(const struct list *a, const struct list *b)
{
    return a->result == b->result && a->is_whole == b->is_whole && a->count == b->count &&
           a->length == b->length && (a->length == 0 || memcmp(a->text, b->text, a->length) == 0);
}

static inline void list_release(struct list *list)
{
    free(list->text);
    list->text = NULL;
}

#endif
