/* SPDX-License-Identifier: MPL-2.0 */
/* Which files are taken as a journal, and what is said of those that are not. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/wait.h>

#include "journal_helpers.h"

TestSuite(journal_open, .init = make_directory, .fini = remove_directory, .timeout = 120);

enum { MAX_BYTES = 16 << 20 };

static const struct written usual = {700, 2};

/* Refused with this reason, in a line that has the path and `text`. */
static void expect_refused(const char *path, enum journal_reason reason, const char *text)
{
    struct journal_store *store = NULL;
    struct journal_error error = {0};
    cr_assert_eq(journal_store_open(path, MAX_BYTES, &store, &error), ARIZMQ_EIO);
    cr_expect_null(store);
    cr_expect_eq(error.reason, reason, "%s: %s", journal_reason_word(error.reason), error.text);
    cr_expect(strstr(error.text, path) != NULL && strstr(error.text, text) != NULL, "%s",
              error.text);
    cr_expect_null(strchr(error.text, '\n'));
}

static void make_journal(uint64_t events)
{
    struct journal_store *store = NULL;
    struct journal_error error = {0};
    cr_assert_eq(journal_store_open(journal_path, MAX_BYTES, &store, &error), ARIZMQ_OK, "%s",
                 error.text);
    for (uint64_t seq = 1; seq <= events; seq += 100) {
        cr_assert_eq(store_events(store, 9, seq, seq + 99, usual, &error), ARIZMQ_OK);
    }
    journal_store_close(&store);
}

static void change(const char *sql)
{
    sqlite3 *db = NULL;
    cr_assert_eq(sqlite3_open(journal_path, &db), SQLITE_OK);
    cr_assert_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK, "%s", sqlite3_errmsg(db));
    sqlite3_close(db);
}

/* All bytes of the file, so that a test can say that nobody touched it. */
static char *file_bytes(size_t *length)
{
    FILE *file = fopen(journal_path, "r");
    cr_assert_not_null(file);
    char *bytes = malloc(1 << 20);
    *length = fread(bytes, 1, 1 << 20, file);
    fclose(file);
    return bytes;
}

static void expect_refused_untouched(enum journal_reason reason, const char *text)
{
    size_t before_length = 0;
    size_t after_length = 0;
    char *before = file_bytes(&before_length);
    expect_refused(journal_path, reason, text);
    char *after = file_bytes(&after_length);
    cr_expect_eq(before_length, after_length);
    cr_expect_eq(memcmp(before, after, before_length), 0);
    free(before);
    free(after);
}

Test(journal_open, a_new_one_is_for_its_owner_only)
{
    mode_t mask = umask(0);
    make_journal(100);
    umask(mask);
    struct stat status;
    cr_assert_eq(stat(journal_path, &status), 0);
    cr_expect_eq(status.st_mode & 0777, 0600);
}

Test(journal_open, an_empty_file_becomes_one)
{
    close(open(journal_path, O_CREAT | O_WRONLY, 0644));
    make_journal(100);
}

/* The path is a path, whatever SQLite makes of such names. */
Test(journal_open, names_that_sqlite_takes_for_something_else)
{
    static const char *const names[] = {":memory:", "file:journal?mode=memory", "file:x"};
    cr_assert_eq(chdir(journal_directory), 0);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct journal_store *store = NULL;
        struct journal_error error = {0};
        cr_assert_eq(journal_store_open(names[i], MAX_BYTES, &store, &error), ARIZMQ_OK, "%s",
                     error.text);
        journal_store_close(&store);
        cr_expect_eq(access(names[i], F_OK), 0, "%s", names[i]);
    }
    cr_assert_eq(chdir("/"), 0);
}

Test(journal_open, text_is_no_database)
{
    FILE *file = fopen(journal_path, "w");
    for (int i = 0; i < 1000; i++) {
        fputs("2026-11-23T14:35:01.160Z info something: else\n", file);
    }
    fclose(file);
    expect_refused_untouched(JOURNAL_FORMAT, "no SQLite database; name another file");
}

Test(journal_open, another_programs_database)
{
    change("CREATE TABLE cdr(a); INSERT INTO cdr VALUES(1)");
    expect_refused_untouched(JOURNAL_FORMAT, "database of another program; name another file");
}

Test(journal_open, another_programs_database_without_tables)
{
    change("PRAGMA application_id = 7");
    expect_refused_untouched(JOURNAL_FORMAT, "database of another program");
}

Test(journal_open, another_format)
{
    make_journal(100);
    change("PRAGMA user_version = 7");
    expect_refused_untouched(JOURNAL_FORMAT, "has format 7, this arizmqd writes 1; move it away");
}

static void damage(long at, size_t length)
{
    FILE *file = fopen(journal_path, "r+");
    cr_assert_not_null(file);
    fseek(file, at, SEEK_SET);
    for (size_t i = 0; i < length; i++) {
        fputc(0x5A, file);
    }
    fclose(file);
}

Test(journal_open, damage_to_the_tables)
{
    make_journal(100);
    damage(100, 1000); /* of the first page, behind the header */
    expect_refused_untouched(JOURNAL_CORRUPT, "is damaged");
}

Test(journal_open, damage_to_the_header)
{
    make_journal(100);
    damage(0, 100);
    expect_refused_untouched(JOURNAL_FORMAT, "no SQLite database");
}

/* Damage that opening does not meet is met by reading, and said. */
Test(journal_open, damage_to_the_events)
{
    make_journal(1000);
    damage(10 * 8192, 30 * 8192);
    struct journal_store *store = NULL;
    struct journal_error error = {0};
    cr_assert_eq(journal_store_open(journal_path, MAX_BYTES, &store, &error), ARIZMQ_OK, "%s",
                 error.text);
    struct journal_extent extent = {0};
    cr_assert_eq(journal_store_find_run(store, 9, &extent, &error), ARIZMQ_OK);
    struct row_check check = {.what = usual, .next = 1};
    cr_expect_eq(journal_store_read(store, extent.run, 0, UINT64_MAX, check_row, &check, &error),
                 ARIZMQ_EIO);
    cr_expect_null(check.wrong, "%s", check.wrong);
    cr_expect_eq(error.reason, JOURNAL_CORRUPT, "%s", error.text);
    journal_store_close(&store);
}

Test(journal_open, a_cut_file)
{
    make_journal(1000);
    cr_assert_eq(truncate(journal_path, 3 * 8192), 0);
    struct journal_store *store = NULL;
    struct journal_error error = {0};
    int result = journal_store_open(journal_path, MAX_BYTES, &store, &error);
    if (result == ARIZMQ_OK) {
        result = store_events(store, 10, 1, 100, usual, &error);
    }
    cr_expect_eq(result, ARIZMQ_EIO);
    cr_expect_eq(error.reason, JOURNAL_CORRUPT, "%s", error.text);
    journal_store_close(&store);
}

Test(journal_open, places_where_nothing_can_be)
{
    char path[160];
    snprintf(path, sizeof path, "%s/none/journal.db", journal_directory);
    expect_refused(path, JOURNAL_IO_ERROR, "No such file or directory");
    snprintf(path, sizeof path, "%s", journal_directory);
    expect_refused(path, JOURNAL_IO_ERROR, "Is a directory");
    close(open(journal_path, O_CREAT | O_WRONLY, 0600));
    snprintf(path, sizeof path, "%s/x.db", journal_path);
    expect_refused(path, JOURNAL_IO_ERROR, "Not a directory");
}

/* In a process of its own, which gives up root, for whom there are no forbidden directories. */
Test(journal_open, a_directory_that_may_not_be_written_to)
{
    chmod(journal_directory, 0555);
    pid_t child = fork();
    if (child == 0) {
        struct journal_store *store = NULL;
        struct journal_error error = {0};
        if (geteuid() == 0 && setuid(65534) != 0) {
            _exit(3);
        }
        int result = journal_store_open(journal_path, MAX_BYTES, &store, &error);
        bool is_told =
            strstr(error.text, "cannot write to the directory /tmp/arizmq-unit-") != NULL &&
            strstr(error.text, "Permission denied") != NULL;
        _exit(result == ARIZMQ_EIO && is_told ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    cr_expect_eq(status, 0);
    chmod(journal_directory, 0700);
}

Test(journal_open, one_process_at_a_time)
{
    int to_child[2];
    int from_child[2];
    char byte = 0;
    cr_assert_eq(pipe(to_child) + pipe(from_child), 0);
    pid_t child = fork();
    if (child == 0) {
        struct journal_store *store = NULL;
        struct journal_error error = {0};
        int result = journal_store_open(journal_path, MAX_BYTES, &store, &error);
        byte = result == ARIZMQ_OK ? 'y' : 'n';
        bool is_told = write(from_child[1], &byte, 1) == 1 && read(to_child[0], &byte, 1) == 1;
        _exit(is_told ? 0 : 1); /* as a process dies: nothing is closed */
    }
    cr_assert_eq(read(from_child[0], &byte, 1), 1);
    cr_assert_eq(byte, 'y');
    expect_refused(journal_path, JOURNAL_LOCKED,
                   "in use by another process; give each bridge a journal of its own");
    cr_assert_eq(write(to_child[1], &byte, 1), 1);
    int status = 0;
    waitpid(child, &status, 0);
    cr_expect_eq(status, 0);
    make_journal(100);
}
