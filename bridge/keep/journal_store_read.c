/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Reads the journal's database for those who ask for what was published: which runs, which views,
 * which events and which holes. journal_answer.c calls it, in the journal's thread.
 */
#include <stdio.h>

#include "arizmq/error.h"
#include "keep/journal_store_private.h"

/* The last position of a run that the database tells of, as an event or as part of a hole. */
static int find_newest(struct journal_store *store, struct journal_extent *extent)
{
    int64_t key = 0;
    int64_t hole = 0;
    const int64_t range[] = {journal_key(extent->run, 0),
                             journal_key(extent->run, JOURNAL_SEQ_MAX)};
    int result = journal_get(store, STATEMENT_NEWEST_EVENT, 2, range, &key);
    if (result == SQLITE_OK || result == SQLITE_DONE) {
        result = journal_get(store, STATEMENT_NEWEST_HOLE, 1, &extent->run, &hole);
    }
    uint64_t event = (uint64_t)key & JOURNAL_SEQ_MAX;
    extent->newest = event > (uint64_t)hole ? event : (uint64_t)hole;
    if (extent->newest + 1 < extent->oldest) {
        extent->newest = extent->oldest - 1; /* all of it has left */
    }
    return result;
}

static void take_run(sqlite3_stmt *statement, struct journal_extent *out)
{
    *out = (struct journal_extent){.run = sqlite3_column_int64(statement, 0),
                                   .epoch = (uint64_t)sqlite3_column_int64(statement, 1),
                                   .oldest = (uint64_t)sqlite3_column_int64(statement, 2),
                                   .has_ended = sqlite3_column_int(statement, 3) != 0};
}

int journal_store_find_run(struct journal_store *self, uint64_t epoch, struct journal_extent *out,
                           struct journal_error *error)
{
    int64_t value = (int64_t)epoch;
    int result = journal_step(self, STATEMENT_FIND_RUN, 1, &value);
    if (result == SQLITE_DONE) {
        return ARIZMQ_ENOTFOUND;
    }
    struct journal_extent extent = {0};
    if (result == SQLITE_ROW) {
        take_run(self->statements[STATEMENT_FIND_RUN], &extent);
        sqlite3_reset(self->statements[STATEMENT_FIND_RUN]);
        result = find_newest(self, &extent);
    }
    if (result != SQLITE_OK) {
        return journal_store_explain(self, result, "read", error);
    }
    *out = extent;
    return ARIZMQ_OK;
}

int journal_store_list_runs(struct journal_store *self, struct journal_extent *out, unsigned most,
                            unsigned *count, struct journal_error *error)
{
    int result = SQLITE_DONE;
    unsigned found = 0;
    while (found < most &&
           (result = journal_step(self, STATEMENT_LIST_RUNS, 0, NULL)) == SQLITE_ROW) {
        take_run(self->statements[STATEMENT_LIST_RUNS], &out[found++]);
    }
    sqlite3_reset(self->statements[STATEMENT_LIST_RUNS]);
    result = result == SQLITE_ROW || result == SQLITE_DONE ? SQLITE_OK : result;
    for (unsigned i = 0; result == SQLITE_OK && i < found; i++) {
        result = find_newest(self, &out[i]);
    }
    if (result != SQLITE_OK) {
        return journal_store_explain(self, result, "read", error);
    }
    *count = found;
    return ARIZMQ_OK;
}

int journal_store_find_view(struct journal_store *self, int64_t run, const char *name_or_endpoint,
                            unsigned *out, struct journal_error *error)
{
    sqlite3_stmt *statement = self->statements[STATEMENT_FIND_VIEW];
    sqlite3_bind_text(statement, 2, name_or_endpoint, -1, SQLITE_STATIC);
    int64_t number = 0;
    int result = journal_get(self, STATEMENT_FIND_VIEW, 1, &run, &number);
    sqlite3_clear_bindings(statement);
    if (result == SQLITE_DONE) {
        return ARIZMQ_ENOTFOUND;
    }
    if (result != SQLITE_OK) {
        return journal_store_explain(self, result, "read", error);
    }
    *out = (unsigned)number;
    return ARIZMQ_OK;
}

struct span journal_row_text(const struct journal_row *row)
{
    const char *bytes = sqlite3_column_blob(row->statement, 3);
    size_t length = (size_t)sqlite3_column_bytes(row->statement, 3);
    if (bytes == NULL && length == 0 &&
        sqlite3_errcode(sqlite3_db_handle(row->statement)) != SQLITE_NOMEM) {
        bytes = ""; /* as SQLite has it for a blob of no length */
    }
    return (struct span){bytes, length};
}

int journal_store_read(struct journal_store *self, int64_t run, uint64_t after, uint64_t until,
                       int (*take)(void *owner, const struct journal_row *row), void *owner,
                       struct journal_error *error)
{
    sqlite3_stmt *statement = self->statements[STATEMENT_READ];
    const int64_t range[] = {journal_key(run, after), journal_key(run, until)};
    int taken = ARIZMQ_OK;
    int result = journal_step(self, STATEMENT_READ, 2, range);
    while (result == SQLITE_ROW) {
        struct journal_row row = {.seq = (uint64_t)sqlite3_column_int64(statement, 0) &
                                         JOURNAL_SEQ_MAX,
                                  .received_ns = (uint64_t)sqlite3_column_int64(statement, 1),
                                  .messages = {sqlite3_column_blob(statement, 2),
                                               (size_t)sqlite3_column_bytes(statement, 2)},
                                  .statement = statement};
        taken = take(owner, &row);
        if (taken != ARIZMQ_OK) {
            break;
        }
        result = journal_step(self, STATEMENT_READ, 0, NULL);
    }
    if (result != SQLITE_ROW && result != SQLITE_DONE) {
        return journal_store_explain(self, result, "read", error);
    }
    sqlite3_reset(statement);
    return taken;
}

int journal_store_read_holes(struct journal_store *self, int64_t run, uint64_t after,
                             struct journal_hole_row *out, unsigned most, unsigned *count,
                             struct journal_error *error)
{
    sqlite3_stmt *statement = self->statements[STATEMENT_READ_HOLES];
    const int64_t values[] = {run, (int64_t)(after < JOURNAL_SEQ_MAX ? after : JOURNAL_SEQ_MAX),
                              most};
    unsigned found = 0;
    int result = journal_step(self, STATEMENT_READ_HOLES, 3, values);
    while (result == SQLITE_ROW && found < most) {
        struct journal_hole_row *hole = &out[found++];
        hole->first = (uint64_t)sqlite3_column_int64(statement, 0);
        hole->last = (uint64_t)sqlite3_column_int64(statement, 1);
        const unsigned char *reason = sqlite3_column_text(statement, 2);
        snprintf(hole->reason, sizeof hole->reason, "%s",
                 reason != NULL ? (const char *)reason : "");
        result = journal_step(self, STATEMENT_READ_HOLES, 0, NULL);
    }
    if (result != SQLITE_ROW && result != SQLITE_DONE) {
        return journal_store_explain(self, result, "read", error);
    }
    sqlite3_reset(statement);
    *count = found;
    return ARIZMQ_OK;
}
