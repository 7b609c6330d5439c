/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The objects of a JSON list, one by one, while its text arrives in pieces: so that a list of any
 * length costs no more memory than its largest element. What stands inside an element is left to
 * whoever gets it (event/scan.h).
 */
#ifndef ARIZMQ_EVENT_ELEMENTS_H
#define ARIZMQ_EVENT_ELEMENTS_H

#include <stdbool.h>
#include <stddef.h>

#include "event/scan.h"

/* An element, with SCAN_PADDING readable bytes behind it; borrowed for the call. False: no more is
 * wanted. */
typedef bool elements_each(void *owner, struct span element);

struct elements {
    size_t max_bytes; /* of an element */
    elements_each *each;
    void *owner;

    /* Private */
    char *bytes; /* of the element in progress */
    size_t length;
    size_t room;
    int expect;
    unsigned depth;
    bool is_in_string;
    bool is_escaped;
};

void elements_begin(struct elements *self, size_t max_bytes, elements_each *each, void *owner);

/* Takes the next piece. Returns ARIZMQ_OK; ARIZMQ_EINVALID where it is no list of objects,
 * ARIZMQ_ETOOLARGE, ARIZMQ_ENOMEM, or ARIZMQ_ECLOSED where `each` wants no more: then nothing may
 * follow but elements_release(). */
int elements_take(struct elements *self, const char *bytes, size_t length);

/* Whether the list has come to its end. */
bool elements_are_whole(const struct elements *self);

void elements_release(struct elements *self);

#endif
