/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What journal.c (the thread), journal_follow.c (from history to disk) and journal_trouble.c (when
 * that fails) share.
 */
#ifndef ARIZMQ_KEEP_JOURNAL_PRIVATE_H
#define ARIZMQ_KEEP_JOURNAL_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "gateway/journal_answer.h"
#include "keep/journal.h"

/* Why it is not written now, and when that is tried again. */
struct journal_trouble {
    bool is_failing;
    struct journal_error error; /* the last one */
    uint64_t since_ms;
    uint64_t retry_at_ms;
    uint64_t pause_ms;
    uint64_t told_ms; /* when the log was last told of a failure; 0: never */
    bool is_told;     /* this one stands in the log, so its end shall, too */
    uint64_t tidy_told_ms;

    /* Holes recorded, and not in the log yet. */
    uint64_t hole_told_ms;
    uint64_t holes;
    uint64_t missed;
    struct journal_hole last_hole;
};

struct journal {
    char *path;
    _Atomic uint64_t max_bytes;
    _Atomic uint64_t max_age_ms;
    _Atomic uint32_t commit_ms;
    struct history *history;
    struct journal_source *source;
    int wake_fd;  /* eventfd */
    int ended_fd; /* the same: the thread has done all it had to */
    _Atomic bool is_stopping;
    _Atomic uint64_t stop_by_ms;
    bool is_started;
    pthread_t thread;

    /* The event thread's own. */
    uint64_t watched; /* the stored_seq that was seen last */
    uint64_t watched_ms;
    bool is_late; /* and the log says so */

    /* The thread's own. */
    struct journal_store *store; /* NULL: it is to be opened */
    struct history_reader *reader;
    struct journal_batch *batch;
    struct journal_run run;
    struct journal_view views[HISTORY_VIEWS_MAX];
    uint64_t stored; /* up to here everything is in the store */
    uint64_t committed_ms;
    uint64_t tidied_ms;
    bool has_more_to_tidy;
    bool run_is_told; /* that it has begun, to those who ask */
    struct journal_trouble trouble;
    struct journal_answer answer;
    struct journal_status *status; /* as it was last told; NULL: never */
};

/* Whether there is something to write, and it is time to. */
bool journal_is_due(const struct journal *self, uint64_t now_ms);

/* Writes one batch. True: there is more to write at once. */
bool journal_write_batch(struct journal *self);

/* The disk has refused: what follows stays in history, and is tried again after a pause. */
void journal_has_failed(struct journal *self, const struct journal_error *error);

/* At the start: another process has the database, and is expected to let it go. */
void journal_has_to_wait(struct journal *self, const struct journal_error *error);

/* A batch is on the disk. */
void journal_has_written(struct journal *self);

/* Tidying has failed; that is tried again with the next. */
void journal_has_not_tidied(struct journal *self, const struct journal_error *error);

/* Tells the log of holes, now and then. */
void journal_tell_holes(struct journal *self, bool at_once);

#endif
