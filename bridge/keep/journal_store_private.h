/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What journal_store.c (opening, transactions), journal_store_bounds.c (what keeps it small) and
 * journal_store_read.c share.
 */
#ifndef ARIZMQ_KEEP_JOURNAL_STORE_PRIVATE_H
#define ARIZMQ_KEEP_JOURNAL_STORE_PRIVATE_H

#include <sqlite3.h>

#include "keep/journal_store.h"

/* Bits of a key that are the seq; the run's number stands above them. At 100,000 events a second a
 * run fills them after eight months, and four million runs fill the rest. */
enum { JOURNAL_SEQ_BITS = 41 };

#define JOURNAL_SEQ_MAX ((1ULL << JOURNAL_SEQ_BITS) - 1)
#define JOURNAL_RUN_MAX ((1LL << (63 - JOURNAL_SEQ_BITS)) - 1)

enum { JOURNAL_PAGE_BYTES = 8192 };

/* X(identifier, SQL) */
#define JOURNAL_STATEMENTS(X)                                                                      \
    X(BEGIN, "BEGIN IMMEDIATE")                                                                    \
    X(COMMIT, "COMMIT")                                                                            \
    X(ROLLBACK, "ROLLBACK")                                                                        \
    X(PAGES, "PRAGMA page_count")                                                                  \
    X(FREE_PAGES, "PRAGMA freelist_count")                                                         \
    X(VACUUM, "PRAGMA incremental_vacuum(256)")                                                    \
    X(ADD_RUN, "INSERT INTO runs(run, epoch, started_ns, oldest) VALUES(?, ?, ?, ?)")              \
    X(END_RUN, "UPDATE runs SET ended_ns = ? WHERE run = ?")                                       \
    X(NEXT_RUN, "SELECT max(coalesce((SELECT max(run) FROM runs), 0),"                             \
                " coalesce((SELECT max(id) FROM events), 0) >> 41) + 1")                           \
    X(SURPLUS_RUN, "SELECT run FROM runs ORDER BY run DESC LIMIT 1 OFFSET ?")                      \
    X(ADD_VIEW, "INSERT OR REPLACE INTO views(run, number, name, endpoint) VALUES(?, ?, ?, ?)")    \
    X(ADD_EVENT, "INSERT INTO events(id, received_ns, messages, text) VALUES(?, ?, ?, ?)")         \
    X(ADD_HOLE, "INSERT INTO holes(run, first, last, reason) VALUES(?, ?, ?, ?)")                  \
    X(OLDEST, "SELECT id, received_ns, length(messages) + length(text) FROM events"                \
              " ORDER BY id LIMIT 1024")                                                           \
    X(DROP_EVENTS, "DELETE FROM events WHERE id <= ?")                                             \
    X(DROP_HOLES, "DELETE FROM holes WHERE run = ? AND last <= ?")                                 \
    X(SET_OLDEST, "UPDATE runs SET oldest = ? WHERE run = ? AND oldest < ?1")                      \
    X(EMPTY_RUN,                                                                                   \
      "SELECT run FROM runs WHERE run < coalesce((SELECT min(id) FROM events) >> 41, ?1)"          \
      " AND run <> ?1 ORDER BY run LIMIT 1")                                                       \
    X(DROP_RUN, "DELETE FROM runs WHERE run = ?")                                                  \
    X(DROP_RUN_VIEWS, "DELETE FROM views WHERE run = ?")                                           \
    X(DROP_RUN_HOLES, "DELETE FROM holes WHERE run = ?")                                           \
    X(FIND_RUN, "SELECT run, epoch, oldest, ended_ns IS NOT NULL FROM runs WHERE epoch = ?")       \
    X(LIST_RUNS, "SELECT run, epoch, oldest, ended_ns IS NOT NULL FROM runs ORDER BY run DESC")    \
    X(NEWEST_EVENT, "SELECT id FROM events WHERE id BETWEEN ? AND ? ORDER BY id DESC LIMIT 1")     \
    X(NEWEST_HOLE, "SELECT coalesce(max(last), 0) FROM holes WHERE run = ?")                       \
    X(FIND_VIEW, "SELECT number FROM views WHERE run = ?1 AND (name = ?2 OR endpoint = ?2)"        \
                 " ORDER BY number LIMIT 1")                                                       \
    X(READ, "SELECT id, received_ns, messages, text FROM events WHERE id > ? AND id <= ?"          \
            " ORDER BY id")                                                                        \
    X(READ_HOLES, "SELECT first, last, reason FROM holes WHERE run = ? AND last > ?"               \
                  " ORDER BY first LIMIT ?")

#define JOURNAL_STATEMENT_ENUM(identifier, sql) STATEMENT_##identifier,
enum journal_statement { JOURNAL_STATEMENTS(JOURNAL_STATEMENT_ENUM) STATEMENTS_COUNT };
#undef JOURNAL_STATEMENT_ENUM

struct journal_store {
    char *path;
    char *wal_path;
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENTS_COUNT];
    uint64_t max_bytes;
    uint64_t wal_pages; /* written since the last whole checkpoint */
    int64_t run;        /* of the run that is being written; 0: not in the database yet */
    unsigned views_count;
};

int64_t journal_key(int64_t run, uint64_t seq);

/* How the bytes are shared out: the WAL's part, and what the database may have. */
uint64_t journal_wal_bytes(const struct journal_store *store);
uint64_t journal_database_bytes(const struct journal_store *store);

/* Tells SQLite how large the WAL's file may stay. Returns SQLITE_OK or an error. */
int journal_limit_wal(struct journal_store *store);

/* Where no number is left for another run, or another event. SQLite has it for what is never done
 * here. */
#define JOURNAL_NUMBERS_USED_UP SQLITE_RANGE

/* Says in *error why `what` ("write to") has just failed with `result`. Returns ARIZMQ_EIO. */
int journal_store_explain(const struct journal_store *store, int result, const char *what,
                          struct journal_error *error);

/* Steps a statement with up to four integers bound. Returns SQLITE_ROW (the statement is to be
 * reset by the caller), SQLITE_DONE (it is reset) or an error of SQLite (the same). */
int journal_step(struct journal_store *store, enum journal_statement statement, unsigned count,
                 const int64_t *values);

/* The same for a statement that gives no row, or one number. Returns SQLITE_OK or an error;
 * SQLITE_DONE where a number was wanted and there is none. */
int journal_run(struct journal_store *store, enum journal_statement statement, unsigned count,
                const int64_t *values);
int journal_get(struct journal_store *store, enum journal_statement statement, unsigned count,
                const int64_t *values, int64_t *out);

/* Ends a transaction that failed, if one is open. */
void journal_roll_back(struct journal_store *store);

/* Within a transaction: drops the oldest events until `bytes` more fit. Returns SQLITE_OK or an
 * error. */
int journal_make_room(struct journal_store *store, uint64_t bytes);

/* Within a transaction: drops all runs up to this one, with all that is theirs. */
int journal_drop_runs(struct journal_store *store, int64_t last);

/* Moves the WAL into the database where it has more than `most_bytes`. Returns SQLITE_OK or an
 * error. */
int journal_checkpoint(struct journal_store *store, uint64_t most_bytes);

#endif
