/* SPDX-License-Identifier: MPL-2.0 */
/*
 * All objects that the state had at one moment, and the links they are of. Made by the event thread
 * (state_walk.h), read and destroyed by any.
 */
#ifndef ARIZMQ_KEEP_SNAPSHOT_H
#define ARIZMQ_KEEP_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "keep/value.h"

struct snapshot_link {
    char *node;
    char *application;
    bool hears_all;
    bool is_up;
    bool is_complete; /* state_is_complete() */
};

struct snapshot_item {
    struct value *value;
    uint32_t link; /* index */
    uint32_t kind; /* enum object_kind */
};

struct snapshot {
    uint64_t seq; /* of the last event folded */
    unsigned links_count;
    struct snapshot_link *links;
    uint64_t bytes; /* of all texts together */
    size_t count;
    struct snapshot_item *items; /* in no order */
};

/* Room for so many; count and links_count are zero at first. NULL without memory. */
struct snapshot *snapshot_create(unsigned links, size_t items);

/* Releases the values. */
void snapshot_destroy(struct snapshot **self);

#endif
