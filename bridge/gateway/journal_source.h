/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Between the command thread, which is asked for what memory holds no longer, and the journal's
 * thread, which reads it from disk: questions in the one direction, answers and what is known of
 * the journal in the other. Neither thread waits for the other, and both queues are bounded.
 */
#ifndef ARIZMQ_GATEWAY_JOURNAL_SOURCE_H
#define ARIZMQ_GATEWAY_JOURNAL_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "gateway/history_desk.h"
#include "keep/journal_store.h"

struct journal_source;

/* Questions that wait, and answers that were not collected; with more of them the first are refused
 * and the second wait. */
enum { JOURNAL_QUESTIONS_MAX = 64, JOURNAL_ANSWERS_MAX = 4 };

/* Returns ARIZMQ_OK, ARIZMQ_EIO or ARIZMQ_ENOMEM. */
int journal_source_create(struct journal_source **out);

/* Both threads must be done with it. */
void journal_source_destroy(struct journal_source **self);

/* --- the command thread */

/* For the history desk; lives as long as `self`. */
const struct history_source *journal_source_for_desk(const struct journal_source *self);

/* What the journal's thread last told of itself. */
struct journal_status {
    char error[JOURNAL_ERROR_SIZE]; /* why it cannot write; "" where it can */
    unsigned runs_count;
    struct journal_extent runs[]; /* the newest first */
};

/* Borrowed until the next collect() of the source. NULL: nothing was told yet. */
const struct journal_status *journal_source_status(const struct journal_source *self);

/* --- the journal's thread */

/* Freed by journal_question_free(). */
struct journal_question {
    uint64_t ticket;
    struct history_query query; /* its texts are the question's own; query.texts is not used */
    char texts[];
};

void journal_question_free(struct journal_question *question);

/* Readable when a question has come since the last call of journal_source_next(). */
int journal_source_fd(const struct journal_source *self);

/* The next question; NULL where there is none, or where answers have to be collected first. */
struct journal_question *journal_source_next(struct journal_source *self);

/* Hands the answer over; it is used up. */
void journal_source_answer(struct journal_source *self, uint64_t ticket,
                           struct history_answer *answer);

/* Hands a status over, which was malloc()ed and is used up. False: there is no room now, and it was
 * freed. */
bool journal_source_tell(struct journal_source *self, struct journal_status *status);

#endif
