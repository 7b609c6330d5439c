/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What keeps the journal's files near journal.max_bytes. The oldest events leave before new ones
 * come, in the same transaction, and new ones take their pages: the database grows up to its part
 * of max_bytes and then stays as it is. The WAL begins anew after each checkpoint, and a checkpoint
 * comes when half of its part is full. Every step is small: nothing here takes long.
 */
#include <stdlib.h>

#include "arizmq/error.h"
#include "keep/journal_store_private.h"

enum {
    SPARE_PAGES = 16,         /* for the b-tree's own pages and those that are only partly used */
    DROPPED_IN_A_STEP = 1024, /* as many as STATEMENT_OLDEST gives */
};

/* --- dropping what is oldest; within a transaction */

/* A run without events, but for the one being written, has nothing left that could be asked for. */
static int drop_empty_runs(struct journal_store *store)
{
    int64_t run = 0;
    int result;
    while ((result = journal_get(store, STATEMENT_EMPTY_RUN, 1, &store->run, &run)) == SQLITE_OK) {
        static const enum journal_statement drops[] = {
            STATEMENT_DROP_RUN_HOLES, STATEMENT_DROP_RUN_VIEWS, STATEMENT_DROP_RUN};
        for (unsigned i = 0; result == SQLITE_OK && i < sizeof drops / sizeof *drops; i++) {
            result = journal_run(store, drops[i], 1, &run);
        }
        if (result != SQLITE_OK) {
            return result;
        }
    }
    return result == SQLITE_DONE ? SQLITE_OK : result;
}

static int drop_through(struct journal_store *store, int64_t key)
{
    int64_t run = key >> JOURNAL_SEQ_BITS;
    int64_t seq = key & (int64_t)JOURNAL_SEQ_MAX;
    int result = journal_run(store, STATEMENT_DROP_EVENTS, 1, &key);
    if (result == SQLITE_OK) {
        result = journal_run(store, STATEMENT_DROP_HOLES, 2, (const int64_t[]){run, seq});
    }
    if (result == SQLITE_OK) {
        result = journal_run(store, STATEMENT_SET_OLDEST, 2, (const int64_t[]){seq + 1, run});
    }
    return result == SQLITE_OK ? drop_empty_runs(store) : result;
}

/* The last of the oldest events that have `bytes` together, or that came before `before_ns`,
 * whichever goes further; 0 where there are none. */
static int find_oldest(struct journal_store *store, int64_t bytes, int64_t before_ns, int64_t *key,
                       unsigned *count)
{
    sqlite3_stmt *statement = store->statements[STATEMENT_OLDEST];
    *key = 0;
    *count = 0;
    int result;
    while ((result = journal_step(store, STATEMENT_OLDEST, 0, NULL)) == SQLITE_ROW) {
        if (bytes <= 0 && sqlite3_column_int64(statement, 1) >= before_ns) {
            break;
        }
        bytes -= sqlite3_column_int64(statement, 2);
        *key = sqlite3_column_int64(statement, 0);
        ++*count;
    }
    sqlite3_reset(statement);
    return result == SQLITE_ROW || result == SQLITE_DONE ? SQLITE_OK : result;
}

/* How many pages hold something. */
static int used_pages(struct journal_store *store, int64_t *out)
{
    int64_t free_pages = 0;
    int result = journal_get(store, STATEMENT_PAGES, 0, NULL, out);
    if (result == SQLITE_OK) {
        result = journal_get(store, STATEMENT_FREE_PAGES, 0, NULL, &free_pages);
    }
    *out -= free_pages;
    return result;
}

int journal_make_room(struct journal_store *store, uint64_t bytes)
{
    int64_t needed = (int64_t)(bytes + bytes / 16) / JOURNAL_PAGE_BYTES + SPARE_PAGES;
    int64_t most = (int64_t)(journal_database_bytes(store) / JOURNAL_PAGE_BYTES);
    for (;;) {
        int64_t used = 0;
        int64_t key = 0;
        unsigned count = 0;
        int result = used_pages(store, &used);
        if (result != SQLITE_OK || used + needed <= most) {
            return result;
        }
        result = find_oldest(store, (used + needed - most) * JOURNAL_PAGE_BYTES, 0, &key, &count);
        if (result != SQLITE_OK || count == 0) {
            return result;
        }
        result = drop_through(store, key);
        if (result != SQLITE_OK) {
            return result;
        }
    }
}

int journal_drop_runs(struct journal_store *store, int64_t last)
{
    int64_t key = journal_key(last, JOURNAL_SEQ_MAX);
    int result = journal_run(store, STATEMENT_DROP_EVENTS, 1, &key);
    int64_t run = 0;
    int64_t offset = JOURNAL_RUNS_MAX - 1;
    while (result == SQLITE_OK &&
           (result = journal_get(store, STATEMENT_SURPLUS_RUN, 1, &offset, &run)) == SQLITE_OK) {
        result = journal_run(store, STATEMENT_DROP_RUN_HOLES, 1, &run);
        if (result == SQLITE_OK) {
            result = journal_run(store, STATEMENT_DROP_RUN_VIEWS, 1, &run);
        }
        if (result == SQLITE_OK) {
            result = journal_run(store, STATEMENT_DROP_RUN, 1, &run);
        }
    }
    return result == SQLITE_DONE ? SQLITE_OK : result;
}

/* --- the WAL */

int journal_checkpoint(struct journal_store *store, uint64_t most_bytes)
{
    if (store->wal_pages * JOURNAL_PAGE_BYTES < most_bytes) {
        return SQLITE_OK;
    }
    int pages = 0;
    int moved = 0;
    int result =
        sqlite3_wal_checkpoint_v2(store->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &pages, &moved);
    if (result == SQLITE_OK) {
        store->wal_pages = pages > moved ? (uint64_t)pages : 0;
    }
    return result;
}

/* --- in between */

/* A transaction that drops what is too old. */
static int expire(struct journal_store *store, uint64_t before_ns, bool *has_more)
{
    int64_t key = 0;
    unsigned count = 0;
    int result = find_oldest(store, 0, (int64_t)before_ns, &key, &count);
    if (result != SQLITE_OK || count == 0) {
        return result;
    }
    *has_more = count == DROPPED_IN_A_STEP;
    result = journal_run(store, STATEMENT_BEGIN, 0, NULL);
    if (result == SQLITE_OK) {
        result = drop_through(store, key);
    }
    return result == SQLITE_OK ? journal_run(store, STATEMENT_COMMIT, 0, NULL) : result;
}

/* Where the database is larger than it may be, because it might be larger before: a transaction
 * that makes room, one that gives pages back. */
static int shrink(struct journal_store *store, bool *has_more)
{
    int64_t pages = 0;
    int64_t free_pages = 0;
    int64_t most = (int64_t)(journal_database_bytes(store) / JOURNAL_PAGE_BYTES);
    int result = journal_get(store, STATEMENT_PAGES, 0, NULL, &pages);
    if (result != SQLITE_OK || pages <= most) {
        return result;
    }
    result = journal_get(store, STATEMENT_FREE_PAGES, 0, NULL, &free_pages);
    if (result == SQLITE_OK && free_pages == 0) {
        int64_t key = 0;
        unsigned count = 0;
        result = journal_run(store, STATEMENT_BEGIN, 0, NULL);
        if (result == SQLITE_OK) {
            result = find_oldest(store, (pages - most) * JOURNAL_PAGE_BYTES, 0, &key, &count);
        }
        if (result == SQLITE_OK && count > 0) {
            result = drop_through(store, key);
        }
        *has_more = *has_more || count > 0;
        return result == SQLITE_OK ? journal_run(store, STATEMENT_COMMIT, 0, NULL) : result;
    }
    *has_more = true;
    return result == SQLITE_OK ? journal_run(store, STATEMENT_VACUUM, 0, NULL) : result;
}

int journal_store_tidy(struct journal_store *self, uint64_t before_ns, bool *has_more,
                       struct journal_error *error)
{
    *has_more = false;
    int result = journal_checkpoint(self, journal_wal_bytes(self) / 2);
    if (result == SQLITE_OK) {
        result = expire(self, before_ns, has_more);
    }
    if (result == SQLITE_OK) {
        result = shrink(self, has_more);
    }
    if (result != SQLITE_OK) {
        *has_more = false;
        journal_store_explain(self, result, "tidy", error);
        journal_roll_back(self);
        return ARIZMQ_EIO;
    }
    return ARIZMQ_OK;
}
