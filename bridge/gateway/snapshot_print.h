/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A snapshot as JSON text (schemas/arizmq-snapshot.schema.json), written a slice at a time. The
 * values go in as Asterisk sent them. Belongs to the command thread.
 */
#ifndef ARIZMQ_GATEWAY_SNAPSHOT_PRINT_H
#define ARIZMQ_GATEWAY_SNAPSHOT_PRINT_H

#include <stddef.h>
#include <stdint.h>

#include "event/objects.h"
#include "keep/snapshot.h"

struct snapshot_print {
    struct snapshot *snapshot;
    unsigned kinds; /* bit 1 << enum object_kind: their lists are written */
    char **heads;   /* of each link: what comes before a value */
    char *text;
    size_t length;
    size_t room;
    unsigned kind; /* being written */
    size_t item;   /* to be looked at next */
    bool is_first; /* of its list */
};

/* "channels", "bridges", …: the name of a kind's list, in requests and replies. */
extern const char *const snapshot_kind_names[OBJECT_KINDS];

/* Begins; takes `snapshot` over in any case. Returns ARIZMQ_OK; ARIZMQ_ETOOLARGE where the text
 * might be larger than `max_bytes`; or ARIZMQ_ENOMEM. */
int snapshot_print_begin(struct snapshot_print *self, struct snapshot *snapshot, unsigned kinds,
                         uint64_t epoch, uint64_t max_bytes);

/* Goes on. True: it is done, and *text, malloc()ed, is the caller's; it is not terminated. A value
 * that is no JSON is left out, counted, and its link said to be not complete. */
bool snapshot_print_on(struct snapshot_print *self, char **text, size_t *length);

/* Frees what is left; all zero is fine. */
void snapshot_print_end(struct snapshot_print *self);

#endif
