/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The messages of one event as the journal keeps them beside its bytes: for each the view's number,
 * the topic and the counts, so that the frames can be given again as they were. Numbers are LEB128:
 * seven bits in a byte, the lowest first, the top bit says that more follow.
 *
 *     view, length of the topic, the topic, how many counts, the counts
 */
#ifndef ARIZMQ_KEEP_JOURNAL_PACK_H
#define ARIZMQ_KEEP_JOURNAL_PACK_H

#include <stddef.h>
#include <stdint.h>

#include "arizmq/stamp.h"
#include "event/scan.h"

/* A buffer that grows. Free `bytes`. */
struct journal_pack {
    char *bytes;
    size_t length;
    size_t capacity;
};

struct journal_message {
    unsigned view;
    struct span topic;
    unsigned counts; /* at most ARIZMQ_STAMP_COUNTS_MAX */
    uint64_t count[ARIZMQ_STAMP_COUNTS_MAX];
};

/* Appends a message. Returns ARIZMQ_OK or ARIZMQ_ENOMEM; then nothing was appended. */
int journal_pack_add(struct journal_pack *self, unsigned view, struct span topic,
                     const uint64_t *count, unsigned counts);

/* Takes the next message off the front of `rest`; its topic is borrowed from there. Returns
 * ARIZMQ_OK; ARIZMQ_ENOTFOUND at the end; ARIZMQ_EINVALID for bytes that journal_pack_add() did not
 * write. */
int journal_pack_take(struct span *rest, struct journal_message *out);

#endif
