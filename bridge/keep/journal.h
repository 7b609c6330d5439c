/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The journal: what history holds in memory, on disk as well (config.journal). A thread of its own
 * follows history and commits what has come; nothing else ever waits for it or for the disk. What
 * it cannot write, or comes too late for, is a hole, which it records as soon as it can.
 *
 * An event counts as stored when the COMMIT of its transaction has returned, with SQLite's
 * synchronous=FULL: METRIC_JOURNAL_STORED_SEQ, and `stored_seq` in GET arizmq/info, say up to which
 * seq everything of this run is stored or recorded as a hole. What comes behind it is lost where
 * the bridge or the machine ends without a word.
 */
#ifndef ARIZMQ_KEEP_JOURNAL_H
#define ARIZMQ_KEEP_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/journal_source.h"
#include "keep/history.h"
#include "ops/config.h"

struct journal;

/* What to do where another process has the database. */
enum journal_lock {
    JOURNAL_MUST_LOCK, /* refuse to start */
    JOURNAL_MAY_WAIT,  /* begin when it lets go; history keeps what comes until then */
};

/* Opens the database. `config` is copied, `history` borrowed; a reader of it is made. Returns
 * ARIZMQ_OK; else ARIZMQ_E… with one line in error[error_size] that names the path and what to do.
 */
int journal_create(const struct config_journal *config, struct history *history,
                   enum journal_lock lock, struct journal **out, char *error, size_t error_size);

/* For the gateway, where those who ask come from; lives as long as the journal. `self` may be NULL:
 * then so is the source. */
struct journal_source *journal_source(const struct journal *self);

/* Starts the thread. Signals must be blocked already. Returns ARIZMQ_OK or ARIZMQ_EIO. */
int journal_start(struct journal *self);

/* Other bounds from now on (a reload). The path stays. Any one thread. */
void journal_set_config(struct journal *self, const struct config_journal *config);

/* The event thread, with every heartbeat: sees whether the disk keeps up, and says so in the log
 * where nothing was committed for long, because the journal's own thread waits for it then. `self`
 * may be NULL. */
void journal_watch(struct journal *self);

/* Everything is published: what history holds is committed, the run is marked as ended in good
 * order, and the thread ends; at the latest after `within_ms`, where the disk will not take it. */
void journal_stop(struct journal *self, uint32_t within_ms);

/* Waits until the thread has ended, frees, and nulls the pointer. Returns ARIZMQ_OK; or
 * ARIZMQ_ETOOLARGE where the disk has held it up beyond the time given to journal_stop(): then
 * nothing is freed, because the thread may still come back to use it, and history must not be freed
 * either. */
int journal_destroy(struct journal **self);

#endif
