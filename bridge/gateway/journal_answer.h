/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Answers one request for history from the journal, a slice at a time, so that what has to be
 * written does not wait for those who read. Belongs to the journal's thread.
 */
#ifndef ARIZMQ_GATEWAY_JOURNAL_ANSWER_H
#define ARIZMQ_GATEWAY_JOURNAL_ANSWER_H

#include "gateway/journal_source.h"

/* Holes in one page; it ends with the last of them. */
enum { JOURNAL_PAGE_HOLES_MAX = 256 };

/* What is known at the moment of the call. */
struct journal_now {
    struct journal_store *store; /* NULL: it cannot be opened, see `error` */
    const struct history *history;
    uint64_t stored;            /* position of this run up to which everything is in the store */
    enum journal_reason reason; /* why what memory lets go now will be missing */
    const char *error;
};

struct journal_answer {
    struct journal_question *question; /* NULL: there is none */

    /* Private. */
    struct journal_extent extent;
    bool is_current; /* the run that is being written */
    unsigned view;
    uint64_t last;     /* up to here all was looked at */
    uint64_t examined; /* events */
    unsigned cost;     /* of this slice */
    struct history_page page;
    unsigned holes_count;
    struct journal_hole_row holes[JOURNAL_PAGE_HOLES_MAX];
};

/* Begins with a question, which it takes over. True: it is answered already, by *out. */
bool journal_answer_begin(struct journal_answer *self, struct journal_question *question,
                          const struct journal_now *now, struct history_answer *out);

/* A slice. True: it is answered, by *out, and the question is gone. */
bool journal_answer_go_on(struct journal_answer *self, const struct journal_now *now,
                          struct history_answer *out);

/* Drops what was begun. */
void journal_answer_drop(struct journal_answer *self);

#endif
