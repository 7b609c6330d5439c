/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Opens the journal's database, or makes it. journal.c calls it when the daemon starts, and again
 * where a fault wants a new beginning. What is not a journal of this format is refused and left as
 * it is: it may be somebody else's.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arizmq/error.h"
#include "keep/journal_store_private.h"

/* "arzm", in the file's header: tells a journal from other programs' databases. */
enum { APPLICATION_ID = 0x61727a6d };

static const char schema[] =
    "CREATE TABLE runs(run INTEGER PRIMARY KEY, epoch INTEGER NOT NULL UNIQUE,"
    " started_ns INTEGER NOT NULL, ended_ns INTEGER, oldest INTEGER NOT NULL);"
    "CREATE TABLE views(run INTEGER NOT NULL, number INTEGER NOT NULL, name TEXT NOT NULL,"
    " endpoint TEXT NOT NULL, PRIMARY KEY(run, number)) WITHOUT ROWID;"
    /* The text last, so that an event that is not wanted costs no more than its messages. */
    "CREATE TABLE events(id INTEGER PRIMARY KEY, received_ns INTEGER NOT NULL,"
    " messages BLOB NOT NULL, text BLOB NOT NULL);"
    "CREATE TABLE holes(run INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,"
    " reason TEXT NOT NULL, PRIMARY KEY(run, first)) WITHOUT ROWID;";

/* Before anything is written: the page size and the way in which pages are given back stand in the
 * file for ever. */
static const char format_pragmas[] = "PRAGMA page_size = 8192;"
                                     "PRAGMA auto_vacuum = INCREMENTAL;";

/* The lock is held, so no memory is shared with other processes either. Checkpoints are the
 * journal's own affair. Deleted events are not overwritten. */
static const char pragmas[] = "PRAGMA journal_mode = WAL;"
                              "PRAGMA synchronous = FULL;"
                              "PRAGMA wal_autocheckpoint = 0;"
                              "PRAGMA cache_size = -4096;"
                              "PRAGMA secure_delete = OFF;"
                              "PRAGMA temp_store = MEMORY;"
                              "PRAGMA trusted_schema = OFF;"
                              "PRAGMA cell_size_check = ON;";

static int refuse(struct journal_error *error, enum journal_reason reason, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int refuse(struct journal_error *error, enum journal_reason reason, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    error->reason = reason;
    return reason == JOURNAL_MEMORY ? ARIZMQ_ENOMEM : ARIZMQ_EIO;
}

/* What SQLite said, as something that can be done about. */
static int refuse_open(const struct journal_store *store, struct journal_error *error)
{
    journal_store_explain(store, sqlite3_extended_errcode(store->db), "open", error);
    switch (error->reason) {
    case JOURNAL_LOCKED:
        return refuse(error, JOURNAL_LOCKED,
                      "%s is in use by another process; give each bridge a journal of its own",
                      store->path);
    case JOURNAL_FORMAT:
        return refuse(error, JOURNAL_FORMAT,
                      "%s is no SQLite database; name another file, or move this one away",
                      store->path);
    case JOURNAL_CORRUPT:
        return refuse(error, JOURNAL_CORRUPT,
                      "%s is damaged (%s); move it away, and those beside it with -wal and -shm",
                      store->path, sqlite3_errmsg(store->db));
    default:
        return ARIZMQ_EIO;
    }
}

static int get_number(sqlite3 *db, const char *sql, int64_t *out)
{
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    if (result == SQLITE_OK) {
        result = sqlite3_step(statement);
    }
    if (result == SQLITE_ROW) {
        *out = sqlite3_column_int64(statement, 0);
        result = SQLITE_OK;
    }
    int ended = sqlite3_finalize(statement);
    return result == SQLITE_OK ? ended : result;
}

static int make_schema(sqlite3 *db)
{
    char header[128];
    snprintf(header, sizeof header, "PRAGMA application_id = %d; PRAGMA user_version = %d;",
             APPLICATION_ID, JOURNAL_STORE_FORMAT);
    int result = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    if (result == SQLITE_OK) {
        result = sqlite3_exec(db, schema, NULL, NULL, NULL);
    }
    if (result == SQLITE_OK) {
        result = sqlite3_exec(db, header, NULL, NULL, NULL);
    }
    return result == SQLITE_OK ? sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) : result;
}

/* Reads what kind of a database it is; an empty one becomes a journal. */
static int check_format(const struct journal_store *store, struct journal_error *error)
{
    int64_t application = 0;
    int64_t version = 0;
    int64_t tables = 0;
    sqlite3 *db = store->db;
    if (get_number(db, "PRAGMA application_id", &application) != SQLITE_OK ||
        get_number(db, "PRAGMA user_version", &version) != SQLITE_OK ||
        get_number(db, "SELECT count(*) FROM sqlite_schema", &tables) != SQLITE_OK) {
        return refuse_open(store, error);
    }
    bool is_empty = tables == 0 && application == 0 && version == 0;
    if (!is_empty && application != APPLICATION_ID) {
        return refuse(error, JOURNAL_FORMAT,
                      "%s is the database of another program; name another file", store->path);
    }
    if (!is_empty && version != JOURNAL_STORE_FORMAT) {
        return refuse(error, JOURNAL_FORMAT,
                      "%s has format %" PRId64 ", this arizmqd writes %d; move it away or name "
                      "another file",
                      store->path, version, JOURNAL_STORE_FORMAT);
    }
    if ((is_empty && sqlite3_exec(db, format_pragmas, NULL, NULL, NULL) != SQLITE_OK) ||
        sqlite3_exec(db, pragmas, NULL, NULL, NULL) != SQLITE_OK ||
        (is_empty && make_schema(db) != SQLITE_OK)) {
        return refuse_open(store, error);
    }
    return ARIZMQ_OK;
}

static int count_wal_pages(void *owner, sqlite3 *db, const char *name, int pages)
{
    (void)db;
    (void)name;
    struct journal_store *store = owner;
    store->wal_pages = (uint64_t)pages;
    return SQLITE_OK;
}

static int prepare_statements(struct journal_store *store)
{
#define JOURNAL_STATEMENT_SQL(identifier, sql) [STATEMENT_##identifier] = (sql),
    static const char *const texts[] = {JOURNAL_STATEMENTS(JOURNAL_STATEMENT_SQL)};
#undef JOURNAL_STATEMENT_SQL
    int result = SQLITE_OK;
    for (int i = 0; result == SQLITE_OK && i < STATEMENTS_COUNT; i++) {
        result = sqlite3_prepare_v3(store->db, texts[i], -1, SQLITE_PREPARE_PERSISTENT,
                                    &store->statements[i], NULL);
    }
    return result;
}

/* SQLite says "unable to open database file" to all of these. */
static int check_directory(const struct journal_store *store, struct journal_error *error)
{
    char *copy = strdup(store->path);
    if (copy == NULL) {
        return refuse(error, JOURNAL_MEMORY, "no memory to open %s", store->path);
    }
    const char *directory = dirname(copy);
    struct stat status;
    int result = ARIZMQ_OK;
    bool is_good = stat(directory, &status) == 0;
    if (is_good && !S_ISDIR(status.st_mode)) {
        is_good = false;
        errno = ENOTDIR;
    }
    if (!is_good || access(directory, W_OK | X_OK) != 0) {
        result = refuse(error, JOURNAL_IO_ERROR, "cannot write to the directory %s of %s: %s",
                        directory, store->path, strerror(errno));
    }
    free(copy);
    if (result != ARIZMQ_OK) {
        return result;
    }
    /* Events hold what is said of people: others are not to read them. Closed before SQLite takes
     * its lock, which a close would release. */
    int fd = open(store->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
    if (fd < 0) {
        return refuse(error, JOURNAL_IO_ERROR, "cannot open %s: %s", store->path, strerror(errno));
    }
    close(fd);
    return ARIZMQ_OK;
}

static int open_database(struct journal_store *store, struct journal_error *error)
{
    int result = check_directory(store, error);
    if (result != ARIZMQ_OK) {
        return result;
    }
    if (sqlite3_open_v2(store->path, &store->db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
                        NULL) != SQLITE_OK ||
        sqlite3_exec(store->db, "PRAGMA locking_mode = EXCLUSIVE", NULL, NULL, NULL) != SQLITE_OK) {
        return store->db != NULL
                   ? refuse_open(store, error)
                   : refuse(error, JOURNAL_MEMORY, "no memory to open %s", store->path);
    }
    /* What is refused is not tidied up either. */
    sqlite3_db_config(store->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    result = check_format(store, error);
    if (result != ARIZMQ_OK) {
        return result;
    }
    sqlite3_db_config(store->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
    sqlite3_wal_hook(store->db, count_wal_pages, store);
    if (journal_limit_wal(store) != SQLITE_OK || prepare_statements(store) != SQLITE_OK) {
        return refuse_open(store, error);
    }
    /* What an unclean end has left in the WAL. It may stay there: a full disk, say, is no reason
     * not to start. */
    journal_checkpoint(store, 0);
    return ARIZMQ_OK;
}

/* The path as SQLite is given it: never a URI, nor ":memory:". */
static char *plain_path(const char *path)
{
    char *plain = NULL;
    if (asprintf(&plain, "%s%s", path[0] == '/' ? "" : "./", path) < 0) {
        return NULL;
    }
    return plain;
}

int journal_store_open(const char *path, uint64_t max_bytes, struct journal_store **out,
                       struct journal_error *error)
{
    struct journal_store *store = calloc(1, sizeof *store);
    if (store == NULL) {
        return refuse(error, JOURNAL_MEMORY, "no memory to open %s", path);
    }
    store->max_bytes = max_bytes;
    store->path = plain_path(path);
    int result = ARIZMQ_OK;
    if (store->path == NULL || asprintf(&store->wal_path, "%s-wal", store->path) < 0) {
        store->wal_path = NULL;
        result = refuse(error, JOURNAL_MEMORY, "no memory to open %s", path);
    }
    if (result == ARIZMQ_OK) {
        result = open_database(store, error);
    }
    if (result != ARIZMQ_OK) {
        journal_store_close(&store);
        return result;
    }
    *out = store;
    return ARIZMQ_OK;
}

void journal_store_close(struct journal_store **self)
{
    struct journal_store *store = *self;
    *self = NULL;
    if (store == NULL) {
        return;
    }
    for (int i = 0; i < STATEMENTS_COUNT; i++) {
        sqlite3_finalize(store->statements[i]);
    }
    sqlite3_close(store->db);
    free(store->wal_path);
    free(store->path);
    free(store);
}
