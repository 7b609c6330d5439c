/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The journal's database: SQLite in WAL mode with synchronous=FULL, so what a COMMIT has returned
 * for is on the disk. One process has it at a time, and holds its lock for as long as it is open;
 * one thread uses it. Nothing here waits for anybody but the disk.
 *
 * An event's key is its run's number times 2^41 plus its seq, so that the keys of all runs ascend
 * in time, new events are appended, and the oldest stand in front.
 */
#ifndef ARIZMQ_KEEP_JOURNAL_STORE_H
#define ARIZMQ_KEEP_JOURNAL_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "event/scan.h"
#include "keep/journal_batch.h"

struct journal_store;

enum {
    JOURNAL_STORE_FORMAT = 1, /* user_version */
    JOURNAL_RUNS_MAX = 1000,  /* kept; the oldest leave with all that is theirs */
    JOURNAL_ERROR_SIZE = 512,
};

/* Why a call failed: for a program, and in one line for people. */
struct journal_error {
    enum journal_reason reason;
    char text[JOURNAL_ERROR_SIZE];
};

struct journal_view {
    unsigned number; /* in messages */
    const char *name;
    const char *endpoint;
};

/* The run that is being written: it enters the database with its first batch. */
struct journal_run {
    uint64_t epoch;
    uint64_t started_ns;
    unsigned views_count;
    const struct journal_view *views;
};

/* Opens the database at `path`, or makes it, readable for its owner only. Refused, and left
 * untouched: what is no database (JOURNAL_FORMAT…), another program's, of another format or damaged
 * (JOURNAL_CORRUPT), or in use by another process (JOURNAL_LOCKED). The error names the path and
 * what to do. Returns ARIZMQ_OK, ARIZMQ_EIO or ARIZMQ_ENOMEM. */
int journal_store_open(const char *path, uint64_t max_bytes, struct journal_store **out,
                       struct journal_error *error);

/* Moves what is in the WAL to the database, if the disk lets it, and closes. */
void journal_store_close(struct journal_store **self);

void journal_store_set_max_bytes(struct journal_store *self, uint64_t max_bytes);

/* The most bytes that a batch should have, and that one event may have. */
uint64_t journal_store_batch_bytes(const struct journal_store *self);
uint64_t journal_store_event_bytes(const struct journal_store *self);

/* Writes the batch in one transaction, the oldest events of all runs leaving as far as max_bytes
 * wants it. Returns ARIZMQ_OK once it is on the disk; or ARIZMQ_EIO: then nothing of it is. */
int journal_store_write(struct journal_store *self, const struct journal_run *run,
                        const struct journal_batch *batch, struct journal_error *error);

/* The run has ended in good order, and everything of it is written. */
int journal_store_end_run(struct journal_store *self, uint64_t ended_ns,
                          struct journal_error *error);

/* A step of what keeps the database small: drops events received before `before_ns`, moves the WAL
 * into the database, gives pages back to the file system. *has_more says that another is due at
 * once. Returns ARIZMQ_OK or ARIZMQ_EIO. */
int journal_store_tidy(struct journal_store *self, uint64_t before_ns, bool *has_more,
                       struct journal_error *error);

/* Of the files as they are now, the WAL among them. */
uint64_t journal_store_bytes(const struct journal_store *self);

/* Whether the file is still where it was opened: nobody has moved or deleted it. */
bool journal_store_is_in_place(const struct journal_store *self);

/* --- reading */

struct journal_extent {
    int64_t run;
    uint64_t epoch;
    uint64_t
        oldest; /* position below which everything has left; newest + 1 where nothing is held */
    uint64_t newest; /* the last one written, 0: none */
    bool has_ended;  /* in good order: nothing came behind `newest` */
};

/* Returns ARIZMQ_OK; ARIZMQ_ENOTFOUND where no such run is held; ARIZMQ_EIO. */
int journal_store_find_run(struct journal_store *self, uint64_t epoch, struct journal_extent *out,
                           struct journal_error *error);

/* Writes up to `most` runs, the newest first, and how many these are. Returns ARIZMQ_OK or
 * ARIZMQ_EIO. */
int journal_store_list_runs(struct journal_store *self, struct journal_extent *out, unsigned most,
                            unsigned *count, struct journal_error *error);

/* The number in a run of the first view of that name, or of the one with that endpoint. Returns
 * ARIZMQ_OK, ARIZMQ_ENOTFOUND or ARIZMQ_EIO. */
int journal_store_find_view(struct journal_store *self, int64_t run, const char *name_or_endpoint,
                            unsigned *out, struct journal_error *error);

/* An event as it is read; borrowed for the call. */
struct journal_row {
    uint64_t seq;
    uint64_t received_ns;
    struct span messages; /* for journal_pack_take() */
    void *statement;      /* for journal_row_text() */
};

/* The event's bytes, read from disk only now. `bytes` is NULL where they could not be read. */
struct span journal_row_text(const struct journal_row *row);

/* Calls `take` for each event of the run behind `after`, up to `until`, in their order, until it
 * returns something else than ARIZMQ_OK, which is returned then. Returns ARIZMQ_OK at the end, or
 * ARIZMQ_EIO. `take` must not call the store. */
int journal_store_read(struct journal_store *self, int64_t run, uint64_t after, uint64_t until,
                       int (*take)(void *owner, const struct journal_row *row), void *owner,
                       struct journal_error *error);

struct journal_hole_row {
    uint64_t first;
    uint64_t last;
    char reason[16];
};

/* The holes of a run that have a position behind `after`, at most `most` of them. */
int journal_store_read_holes(struct journal_store *self, int64_t run, uint64_t after,
                             struct journal_hole_row *out, unsigned most, unsigned *count,
                             struct journal_error *error);

#endif
