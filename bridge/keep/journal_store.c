/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The journal's database: what one batch of events becomes. journal.c calls it from its thread. A
 * batch is one transaction, and its COMMIT is the moment from which its events count as stored.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "arizmq/error.h"
#include "keep/journal_store_private.h"

enum {
    WAL_SHARE = 4,   /* of max_bytes, one in so many may be the WAL */
    EVENT_SHARE = 8, /* and one event */
    BATCH_SHARE = 8, /* of the WAL, which gets the pages of what leaves for a batch, too; the
                      * checkpoint comes when half of it is full */
    WAL_MAX_BYTES = 16 << 20,
    /* SQLite's: a header for each page in the WAL, and a file beside it with an index of its pages.
     */
    WAL_FRAME_HEADER_BYTES = 24,
    INDEX_BYTES = 32768,
    INDEX_PAGES = 4000, /* that so much of the index has, at the least */
};

int64_t journal_key(int64_t run, uint64_t seq)
{
    return run << JOURNAL_SEQ_BITS | (int64_t)(seq < JOURNAL_SEQ_MAX ? seq : JOURNAL_SEQ_MAX);
}

uint64_t journal_wal_bytes(const struct journal_store *store)
{
    uint64_t share = store->max_bytes / WAL_SHARE;
    return share < WAL_MAX_BYTES ? share : WAL_MAX_BYTES;
}

uint64_t journal_database_bytes(const struct journal_store *store)
{
    uint64_t wal = journal_wal_bytes(store);
    uint64_t headers = wal / JOURNAL_PAGE_BYTES * WAL_FRAME_HEADER_BYTES;
    uint64_t index = (wal / JOURNAL_PAGE_BYTES / INDEX_PAGES + 1) * INDEX_BYTES;
    return store->max_bytes - wal - headers - index;
}

uint64_t journal_store_batch_bytes(const struct journal_store *self)
{
    return journal_wal_bytes(self) / BATCH_SHARE;
}

uint64_t journal_store_event_bytes(const struct journal_store *self)
{
    uint64_t share = self->max_bytes / EVENT_SHARE;
    uint64_t most = (uint64_t)sqlite3_limit(self->db, SQLITE_LIMIT_LENGTH, -1) / 2;
    return share < most ? share : most;
}

int journal_limit_wal(struct journal_store *store)
{
    char pragma[64];
    snprintf(pragma, sizeof pragma, "PRAGMA journal_size_limit = %" PRIu64,
             journal_wal_bytes(store));
    return sqlite3_exec(store->db, pragma, NULL, NULL, NULL);
}

void journal_store_set_max_bytes(struct journal_store *self, uint64_t max_bytes)
{
    if (self->max_bytes != max_bytes) {
        self->max_bytes = max_bytes;
        journal_limit_wal(self); /* a smaller WAL is cut when it begins anew the next time */
    }
}

uint64_t journal_store_bytes(const struct journal_store *self)
{
    struct stat database = {0};
    struct stat wal = {0};
    uint64_t bytes = stat(self->path, &database) == 0 ? (uint64_t)database.st_size : 0;
    return bytes + (stat(self->wal_path, &wal) == 0 ? (uint64_t)wal.st_size : 0);
}

bool journal_store_is_in_place(const struct journal_store *self)
{
    int has_moved = 0;
    return sqlite3_file_control(self->db, "main", SQLITE_FCNTL_HAS_MOVED, &has_moved) !=
               SQLITE_OK ||
           has_moved == 0;
}

/* --- statements */

int journal_step(struct journal_store *store, enum journal_statement statement, unsigned count,
                 const int64_t *values)
{
    sqlite3_stmt *prepared = store->statements[statement];
    int result = SQLITE_OK;
    for (unsigned i = 0; result == SQLITE_OK && i < count; i++) {
        result = sqlite3_bind_int64(prepared, (int)i + 1, values[i]);
    }
    if (result == SQLITE_OK) {
        result = sqlite3_step(prepared);
    }
    if (result != SQLITE_ROW) {
        sqlite3_reset(prepared);
    }
    return result;
}

int journal_run(struct journal_store *store, enum journal_statement statement, unsigned count,
                const int64_t *values)
{
    int result = journal_step(store, statement, count, values);
    while (result == SQLITE_ROW) { /* what a PRAGMA says */
        result = journal_step(store, statement, 0, NULL);
    }
    return result == SQLITE_DONE ? SQLITE_OK : result;
}

int journal_get(struct journal_store *store, enum journal_statement statement, unsigned count,
                const int64_t *values, int64_t *out)
{
    int result = journal_step(store, statement, count, values);
    if (result != SQLITE_ROW) {
        return result;
    }
    *out = sqlite3_column_int64(store->statements[statement], 0);
    sqlite3_reset(store->statements[statement]);
    return SQLITE_OK;
}

void journal_roll_back(struct journal_store *store)
{
    /* After some errors SQLite has done so itself. */
    if (sqlite3_get_autocommit(store->db) == 0) {
        journal_run(store, STATEMENT_ROLLBACK, 0, NULL);
    }
}

/* --- errors */

static enum journal_reason reason_of(int code, int system_error)
{
    switch (code & 0xFF) {
    case SQLITE_FULL:
        return JOURNAL_DISK_FULL;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return JOURNAL_LOCKED;
    case SQLITE_CORRUPT:
        return system_error == 0 ? JOURNAL_CORRUPT : JOURNAL_IO_ERROR;
    case SQLITE_NOTADB:
        return JOURNAL_FORMAT;
    case SQLITE_NOMEM:
        return JOURNAL_MEMORY;
    default:
        return system_error == ENOSPC || system_error == EDQUOT ? JOURNAL_DISK_FULL
                                                                : JOURNAL_IO_ERROR;
    }
}

/* SQLite takes a page that the disk will not give for a damaged one. What the operating system has
 * said of the database or the WAL tells the two apart; 0: nothing. */
static int read_error(const struct journal_store *store)
{
    int system_error = 0;
    sqlite3_file *wal = NULL;
    sqlite3_file_control(store->db, "main", SQLITE_FCNTL_LAST_ERRNO, &system_error);
    if (system_error == 0 &&
        sqlite3_file_control(store->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal) == SQLITE_OK &&
        wal != NULL && wal->pMethods != NULL) {
        wal->pMethods->xFileControl(wal, SQLITE_FCNTL_LAST_ERRNO, &system_error);
    }
    return system_error;
}

int journal_store_explain(const struct journal_store *store, int result, const char *what,
                          struct journal_error *error)
{
    if (result == JOURNAL_NUMBERS_USED_UP) {
        error->reason = JOURNAL_FORMAT;
        snprintf(error->text, sizeof error->text,
                 "cannot %s %s: no number is left for what comes; move it away and start again",
                 what, store->path);
        return ARIZMQ_EIO;
    }
    int class = result & 0xFF;
    int system_error = 0;
    if (class == SQLITE_IOERR || class == SQLITE_CANTOPEN || class == SQLITE_FULL) {
        system_error = sqlite3_system_errno(store->db);
    } else if (class == SQLITE_CORRUPT) {
        system_error = read_error(store);
    }
    error->reason = reason_of(result, system_error);
    snprintf(error->text, sizeof error->text, "cannot %s %s: %s (%d)%s%s", what, store->path,
             sqlite3_errstr(result), result, system_error != 0 ? ", " : "",
             system_error != 0 ? strerror(system_error) : "");
    return ARIZMQ_EIO;
}

/* --- writing */

static int add_run(struct journal_store *store, const struct journal_run *run,
                   const struct journal_batch *batch)
{
    int64_t found = 0;
    int64_t epoch = (int64_t)run->epoch;
    int result = journal_get(store, STATEMENT_FIND_RUN, 1, &epoch, &found);
    if (result == SQLITE_OK) { /* it was opened again */
        store->run = found;
        return SQLITE_OK;
    }
    int64_t surplus = JOURNAL_RUNS_MAX - 1;
    if (result == SQLITE_DONE) {
        result = journal_get(store, STATEMENT_SURPLUS_RUN, 1, &surplus, &surplus);
        if (result == SQLITE_OK) {
            result = journal_drop_runs(store, surplus);
        }
    }
    if (result == SQLITE_OK || result == SQLITE_DONE) {
        result = journal_get(store, STATEMENT_NEXT_RUN, 0, NULL, &found);
    }
    if (result == SQLITE_OK && found > JOURNAL_RUN_MAX) {
        return JOURNAL_NUMBERS_USED_UP;
    }
    uint64_t oldest = batch->events_count > 0 ? batch->events[0].seq : batch->last + 1;
    oldest =
        batch->holes_count > 0 && batch->holes[0].first < oldest ? batch->holes[0].first : oldest;
    const int64_t values[] = {found, epoch, (int64_t)run->started_ns, (int64_t)oldest};
    if (result == SQLITE_OK) {
        result = journal_run(store, STATEMENT_ADD_RUN, 4, values);
    }
    if (result == SQLITE_OK) {
        store->run = found;
    }
    return result;
}

static int add_view(struct journal_store *store, const struct journal_view *view)
{
    sqlite3_stmt *statement = store->statements[STATEMENT_ADD_VIEW];
    sqlite3_bind_text(statement, 3, view->name, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 4, view->endpoint, -1, SQLITE_STATIC);
    const int64_t values[] = {store->run, view->number};
    int result = journal_run(store, STATEMENT_ADD_VIEW, 2, values);
    sqlite3_clear_bindings(statement);
    return result;
}

static int add_event(struct journal_store *store, const struct journal_batch *batch,
                     struct journal_event *event)
{
    if (event->seq > JOURNAL_SEQ_MAX) {
        return JOURNAL_NUMBERS_USED_UP;
    }
    sqlite3_stmt *statement = store->statements[STATEMENT_ADD_EVENT];
    /* A null pointer would be NULL, which an event without messages has not. */
    const char *messages = event->messages_bytes > 0 ? batch->pack.bytes + event->messages_at : "";
    sqlite3_bind_blob64(statement, 3, messages, event->messages_bytes, SQLITE_STATIC);
    sqlite3_bind_blob64(statement, 4, zmq_msg_data(&event->payload), zmq_msg_size(&event->payload),
                        SQLITE_STATIC);
    const int64_t values[] = {journal_key(store->run, event->seq), (int64_t)event->received_ns};
    return journal_run(store, STATEMENT_ADD_EVENT, 2, values);
}

static int add_hole(struct journal_store *store, const struct journal_hole *hole)
{
    sqlite3_stmt *statement = store->statements[STATEMENT_ADD_HOLE];
    sqlite3_bind_text(statement, 4, journal_reason_word(hole->reason), -1, SQLITE_STATIC);
    const int64_t values[] = {store->run, (int64_t)hole->first, (int64_t)hole->last};
    return journal_run(store, STATEMENT_ADD_HOLE, 3, values);
}

static int write_batch(struct journal_store *store, const struct journal_run *run,
                       const struct journal_batch *batch)
{
    int result = journal_run(store, STATEMENT_BEGIN, 0, NULL);
    if (result == SQLITE_OK && store->run == 0) {
        result = add_run(store, run, batch);
        store->views_count = 0;
    }
    for (unsigned i = store->views_count; result == SQLITE_OK && i < run->views_count; i++) {
        result = add_view(store, &run->views[i]);
    }
    if (result == SQLITE_OK) {
        result = journal_make_room(store, batch->bytes);
    }
    for (unsigned i = 0; result == SQLITE_OK && i < batch->events_count; i++) {
        result = add_event(store, batch, &batch->events[i]);
    }
    for (unsigned i = 0; result == SQLITE_OK && i < batch->holes_count; i++) {
        result = add_hole(store, &batch->holes[i]);
    }
    /* Nothing of the batch is referred to any longer than the batch lives. */
    sqlite3_clear_bindings(store->statements[STATEMENT_ADD_EVENT]);
    return result == SQLITE_OK ? journal_run(store, STATEMENT_COMMIT, 0, NULL) : result;
}

int journal_store_write(struct journal_store *self, const struct journal_run *run,
                        const struct journal_batch *batch, struct journal_error *error)
{
    /* Only where the last checkpoint has failed is there that much: the WAL must not grow on. */
    int result = journal_checkpoint(self, journal_wal_bytes(self));
    if (result != SQLITE_OK) {
        return journal_store_explain(self, result, "move the WAL into", error);
    }
    int64_t run_before = self->run;
    result = write_batch(self, run, batch);
    if (result != SQLITE_OK) {
        journal_store_explain(self, result, "write to", error);
        journal_roll_back(self);
        self->run = run_before;
        return ARIZMQ_EIO;
    }
    self->views_count = run->views_count;
    return ARIZMQ_OK;
}

int journal_store_end_run(struct journal_store *self, uint64_t ended_ns,
                          struct journal_error *error)
{
    const int64_t values[] = {(int64_t)ended_ns, self->run};
    int result = journal_run(self, STATEMENT_END_RUN, 2, values);
    return result == SQLITE_OK ? ARIZMQ_OK : journal_store_explain(self, result, "write to", error);
}
