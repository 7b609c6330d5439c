/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A reply to GET arizmq/history: what its header says, and the messages behind its body.
 */
#ifndef ARIZMQ_CLIENT_HISTORY_PAGE_H
#define ARIZMQ_CLIENT_HISTORY_PAGE_H

#include <stdbool.h>

#include "arizmq/gateway.h"
#include "client/message.h"

enum history_answer {
    HISTORY_PAGE,          /* last, is_more, count */
    HISTORY_COMPACTED,     /* oldest */
    HISTORY_EPOCH_CHANGED, /* of that run nothing can be had */
    HISTORY_BUSY,          /* it may be asked again */
    HISTORY_REFUSED,       /* it will not do */
};

struct history_page {
    enum history_answer answer;
    uint64_t last;   /* the seq up to which history was looked through */
    bool is_more;    /* there is more behind it */
    size_t count;    /* messages */
    uint64_t oldest; /* the first seq that can be had */
};

/* Reads the header of the reply to a question about what comes after seq `after`. Returns
 * ARIZMQ_OK, or ARIZMQ_EPROTOCOL where it is no answer to it. */
int history_page_read(const struct arizmq_reply *reply, uint64_t after, struct history_page *out);

/* The message i < count, borrowed from the reply. Returns ARIZMQ_OK; or ARIZMQ_EPROTOCOL where it
 * is none of this epoch. */
int history_page_message(const struct arizmq_reply *reply, size_t i, uint64_t epoch,
                         struct message *out);

#endif
