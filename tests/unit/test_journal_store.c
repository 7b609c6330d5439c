/* SPDX-License-Identifier: MPL-2.0 */
/* The journal's database: what is written and read back, run by run; what a failing disk leaves. */
#include <criterion/criterion.h>

#include "harness/bad_disk.h"
#include "journal_helpers.h"

TestSuite(journal_store, .init = make_directory, .fini = remove_directory, .timeout = 120);

enum { MAX_BYTES = 64 << 20 };

static const struct written usual = {700, 3};

static struct journal_store *must_open(uint64_t max_bytes)
{
    struct journal_store *store = NULL;
    struct journal_error error = {0};
    cr_assert_eq(journal_store_open(journal_path, max_bytes, &store, &error), ARIZMQ_OK, "%s",
                 error.text);
    return store;
}

static void must_write(struct journal_store *store, uint64_t epoch, uint64_t first, uint64_t last)
{
    struct journal_error error = {0};
    cr_assert_eq(store_events(store, epoch, first, last, usual, &error), ARIZMQ_OK, "%s",
                 error.text);
}

static struct journal_extent must_find(struct journal_store *store, uint64_t epoch)
{
    struct journal_extent extent = {0};
    struct journal_error error = {0};
    cr_assert_eq(journal_store_find_run(store, epoch, &extent, &error), ARIZMQ_OK, "%s",
                 error.text);
    cr_expect_eq(extent.epoch, epoch);
    return extent;
}

/* Reads what is behind `after`: seqs from `first` to `last` and no more. */
static void expect_events(struct journal_store *store, int64_t run, uint64_t after, uint64_t until,
                          uint64_t first, uint64_t last)
{
    struct row_check check = {.what = usual, .next = first};
    struct journal_error error = {0};
    int result = journal_store_read(store, run, after, until, check_row, &check, &error);
    cr_expect_null(check.wrong, "%s at %" PRIu64, check.wrong, check.next - 1);
    cr_expect_eq(result, ARIZMQ_OK);
    cr_expect_eq(check.next, last + 1, "up to %" PRIu64, check.next - 1);
}

Test(journal_store, events_come_back_as_they_were)
{
    struct journal_store *store = must_open(MAX_BYTES);
    must_write(store, 5000, 1, 100);
    must_write(store, 5000, 101, 250);
    struct journal_extent extent = must_find(store, 5000);
    cr_expect_eq(extent.oldest, 1);
    cr_expect_eq(extent.newest, 250);
    cr_expect_not(extent.has_ended);
    expect_events(store, extent.run, 0, UINT64_MAX, 1, 250);
    expect_events(store, extent.run, 99, 200, 100, 200);
    expect_events(store, extent.run, 250, UINT64_MAX, 250 + 1, 250);
    journal_store_close(&store);
    cr_expect_null(store);
}

Test(journal_store, reading_ends_where_it_is_enough)
{
    struct journal_store *store = must_open(MAX_BYTES);
    must_write(store, 5000, 1, 100);
    struct row_check check = {.what = usual, .next = 11, .most = 7};
    struct journal_error error = {0};
    cr_expect_eq(
        journal_store_read(store, must_find(store, 5000).run, 10, 100, check_row, &check, &error),
        ARIZMQ_ECLOSED);
    cr_expect_eq(check.count, 7);
    must_write(store, 5000, 101, 101); /* no statement is left open */
    journal_store_close(&store);
}

Test(journal_store, sizes_from_nothing_to_more_than_many_pages)
{
    static const size_t sizes[] = {0, 1, 33, 8000, 8192, 100000, 3000000};
    struct journal_store *store = must_open(MAX_BYTES);
    struct journal_error error = {0};
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct written what = {sizes[i], i};
        cr_assert_eq(store_events(store, 7, i + 1, i + 1, what, &error), ARIZMQ_OK, "%s",
                     error.text);
    }
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct row_check check = {.what = {sizes[i], i}, .next = i + 1};
        cr_expect_eq(
            journal_store_read(store, must_find(store, 7).run, i, i + 1, check_row, &check, &error),
            ARIZMQ_OK);
        cr_expect_null(check.wrong, "%zu: %s", sizes[i], check.wrong);
        cr_expect_eq(check.count, 1);
    }
    journal_store_close(&store);
}

Test(journal_store, runs_follow_each_other)
{
    struct journal_error error = {0};
    for (uint64_t epoch = 100; epoch <= 104; epoch++) {
        struct journal_store *store = must_open(MAX_BYTES);
        must_write(store, epoch, 1, epoch - 90);
        if (epoch % 2 == 0) {
            cr_assert_eq(journal_store_end_run(store, 77, &error), ARIZMQ_OK);
        }
        journal_store_close(&store);
    }
    struct journal_store *store = must_open(MAX_BYTES);
    struct journal_extent extents[8];
    unsigned count = 0;
    cr_assert_eq(journal_store_list_runs(store, extents, 8, &count, &error), ARIZMQ_OK);
    cr_assert_eq(count, 5);
    for (unsigned i = 0; i < count; i++) {
        uint64_t epoch = 104 - i;
        cr_expect_eq(extents[i].epoch, epoch);
        cr_expect_eq(extents[i].run, 5 - (int)i);
        cr_expect_eq(extents[i].newest, epoch - 90);
        cr_expect_eq(extents[i].has_ended, epoch % 2 == 0);
        expect_events(store, extents[i].run, 0, UINT64_MAX, 1, epoch - 90);
    }
    cr_assert_eq(journal_store_list_runs(store, extents, 2, &count, &error), ARIZMQ_OK);
    cr_expect_eq(count, 2);
    struct journal_extent none;
    cr_expect_eq(journal_store_find_run(store, 105, &none, &error), ARIZMQ_ENOTFOUND);
    cr_expect_eq(journal_store_find_run(store, UINT64_MAX, &none, &error), ARIZMQ_ENOTFOUND);
    journal_store_close(&store);
}

/* A database that was opened again within one run of the daemon goes on with that run. */
Test(journal_store, a_run_goes_on_after_opening_again)
{
    struct journal_store *store = must_open(MAX_BYTES);
    must_write(store, 9, 1, 10);
    journal_store_close(&store);
    store = must_open(MAX_BYTES);
    must_write(store, 9, 11, 20);
    expect_events(store, must_find(store, 9).run, 0, UINT64_MAX, 1, 20);
    journal_store_close(&store);
}

/* The file was taken away: what it held is not promised by the new one. */
Test(journal_store, a_run_that_begins_late_says_so)
{
    struct journal_store *store = must_open(MAX_BYTES);
    must_write(store, 9, 501, 510);
    struct journal_extent extent = must_find(store, 9);
    cr_expect_eq(extent.oldest, 501);
    cr_expect_eq(extent.newest, 510);
    cr_expect(journal_store_is_in_place(store));
    unlink(journal_path);
    cr_expect_not(journal_store_is_in_place(store));
    journal_store_close(&store);
}

Test(journal_store, views_by_name_and_by_endpoint)
{
    struct journal_store *store = must_open(MAX_BYTES);
    must_write(store, 9, 1, 1);
    int64_t run = must_find(store, 9).run;
    struct journal_error error = {0};
    unsigned number = 77;
    cr_expect_eq(journal_store_find_view(store, run, "events", &number, &error), ARIZMQ_OK);
    cr_expect_eq(number, 0);
    cr_expect_eq(journal_store_find_view(store, run, "tcp://127.0.0.1:5556", &number, &error),
                 ARIZMQ_OK);
    cr_expect_eq(number, 1);
    cr_expect_eq(journal_store_find_view(store, run, "calls", &number, &error), ARIZMQ_ENOTFOUND);
    cr_expect_eq(journal_store_find_view(store, run + 1, "events", &number, &error),
                 ARIZMQ_ENOTFOUND);
    /* One more, as a reload brings it. */
    const struct journal_view more[] = {both_views[0], both_views[1], {2, "calls", "ipc://x"}};
    struct journal_run grown = {.epoch = 9, .views_count = 3, .views = more};
    struct journal_batch *batch = NULL;
    cr_assert_eq(journal_batch_create(MAX_BYTES, &batch), ARIZMQ_OK);
    journal_batch_clear(batch, 1);
    batch_add(batch, 2, usual);
    cr_assert_eq(journal_store_write(store, &grown, batch, &error), ARIZMQ_OK);
    cr_expect_eq(journal_store_find_view(store, run, "calls", &number, &error), ARIZMQ_OK);
    cr_expect_eq(number, 2);
    journal_batch_destroy(&batch);
    journal_store_close(&store);
}

Test(journal_store, holes_are_kept_and_count_as_told)
{
    struct journal_store *store = must_open(MAX_BYTES);
    struct journal_batch *batch = NULL;
    struct journal_error error = {0};
    struct journal_run run = run_of(9);
    cr_assert_eq(journal_batch_create(MAX_BYTES, &batch), ARIZMQ_OK);
    journal_batch_clear(batch, 0);
    journal_batch_add_hole(batch, 10, JOURNAL_DISK_FULL);
    batch_add(batch, 11, usual);
    batch_add(batch, 20, usual);
    journal_batch_add_hole(batch, 22, JOURNAL_MEMORY);
    cr_assert_eq(journal_store_write(store, &run, batch, &error), ARIZMQ_OK, "%s", error.text);
    journal_batch_destroy(&batch);
    struct journal_extent extent = must_find(store, 9);
    cr_expect_eq(extent.oldest, 1); /* what is missing there is known, and not compacted */
    cr_expect_eq(extent.newest, 22);
    static const struct {
        uint64_t after;
        unsigned count;
        struct journal_hole_row first;
    } cases[] = {
        {0, 3, {1, 10, "disk_full"}}, {9, 3, {1, 10, "disk_full"}}, {10, 2, {12, 19, "trimmed"}},
        {19, 1, {21, 22, "memory"}},  {22, 0, {0, 0, ""}},          {UINT64_MAX, 0, {0, 0, ""}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct journal_hole_row holes[4] = {0};
        unsigned count = 77;
        cr_assert_eq(
            journal_store_read_holes(store, extent.run, cases[i].after, holes, 4, &count, &error),
            ARIZMQ_OK);
        cr_expect_eq(count, cases[i].count, "%zu: %u", i, count);
        cr_expect_eq(holes[0].first, cases[i].first.first, "%zu", i);
        cr_expect_eq(holes[0].last, cases[i].first.last, "%zu", i);
        cr_expect_str_eq(holes[0].reason, cases[i].first.reason, "%zu", i);
    }
    journal_store_close(&store);
}

/* --- a disk that fails */

static void set_fault(enum bad_disk_fault fault, int64_t room)
{
    atomic_store(&bad_disk()->room, room);
    atomic_store(&bad_disk()->fault, fault);
}

static void expect_failure(struct journal_store *store, enum journal_reason reason)
{
    struct journal_error error = {0};
    uint64_t before = atomic_load(&bad_disk()->failures);
    cr_assert_eq(store_events(store, 9, 101, 200, usual, &error), ARIZMQ_EIO);
    cr_expect_eq(error.reason, reason, "%s: %s", journal_reason_word(error.reason), error.text);
    cr_expect(strstr(error.text, journal_path) != NULL, "%s", error.text);
    cr_expect_gt(atomic_load(&bad_disk()->failures), before);
}

/* Whatever fails, and after however many bytes: nothing of the batch is there, all that came before
 * is, and the same batch goes in once the disk is well. */
Test(journal_store, a_batch_is_written_whole_or_not_at_all)
{
    static const struct {
        enum bad_disk_fault fault;
        int64_t room;
        enum journal_reason reason;
    } cases[] = {
        {BAD_DISK_FULL, 0, JOURNAL_DISK_FULL},      {BAD_DISK_FULL, 10, JOURNAL_DISK_FULL},
        {BAD_DISK_FULL, 4000, JOURNAL_DISK_FULL},   {BAD_DISK_FULL, 50000, JOURNAL_DISK_FULL},
        {BAD_DISK_FULL, 100000, JOURNAL_DISK_FULL}, {BAD_DISK_EIO, 0, JOURNAL_IO_ERROR},
        {BAD_DISK_SYNC_EIO, 0, JOURNAL_IO_ERROR},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int reopens = 0; reopens < 2; reopens++) {
            struct journal_store *store = must_open(MAX_BYTES);
            must_write(store, 9, 1, 100);
            set_fault(cases[i].fault, cases[i].room);
            expect_failure(store, cases[i].reason);
            expect_failure(store, cases[i].reason);
            cr_expect_eq(must_find(store, 9).newest, 100, "%zu", i);
            set_fault(BAD_DISK_NONE, 0);
            if (reopens) {
                journal_store_close(&store);
                store = must_open(MAX_BYTES);
            }
            expect_events(store, must_find(store, 9).run, 0, UINT64_MAX, 1, 100);
            must_write(store, 9, 101, 200);
            expect_events(store, must_find(store, 9).run, 0, UINT64_MAX, 1, 200);
            journal_store_close(&store);
            remove_directory();
            make_directory();
        }
    }
}

Test(journal_store, the_first_batch_of_a_run_may_fail)
{
    struct journal_store *store = must_open(MAX_BYTES);
    struct journal_error error = {0};
    set_fault(BAD_DISK_FULL, 0);
    cr_assert_eq(store_events(store, 9, 1, 100, usual, &error), ARIZMQ_EIO);
    cr_assert_eq(store_events(store, 9, 1, 100, usual, &error), ARIZMQ_EIO);
    set_fault(BAD_DISK_NONE, 0);
    must_write(store, 9, 1, 100);
    expect_events(store, must_find(store, 9).run, 0, UINT64_MAX, 1, 100);
    unsigned number = 77;
    cr_expect_eq(
        journal_store_find_view(store, must_find(store, 9).run, "objects", &number, &error),
        ARIZMQ_OK);
    journal_store_close(&store);
}

/* A commit is one fsync at the least: what it returned for is on the disk. */
Test(journal_store, each_commit_is_synced)
{
    struct journal_store *store = must_open(MAX_BYTES);
    must_write(store, 9, 1, 10);
    for (uint64_t i = 2; i < 12; i++) {
        uint64_t before = atomic_load(&bad_disk()->syncs);
        must_write(store, 9, i * 10 + 1, i * 10 + 10);
        cr_expect_geq(atomic_load(&bad_disk()->syncs), before + 1);
    }
    journal_store_close(&store);
}

Test(journal_store, a_disk_that_cannot_be_read)
{
    struct journal_store *store = must_open(MAX_BYTES);
    for (uint64_t i = 0; i < 100; i++) { /* more than the cache holds */
        must_write(store, 9, i * 100 + 1, i * 100 + 100);
    }
    struct journal_extent extent = must_find(store, 9);
    set_fault(BAD_DISK_READ_EIO, 0);
    struct row_check check = {.what = usual, .next = 1};
    struct journal_error error = {0};
    cr_expect_eq(journal_store_read(store, extent.run, 0, UINT64_MAX, check_row, &check, &error),
                 ARIZMQ_EIO);
    cr_expect_null(check.wrong, "%s", check.wrong);
    cr_expect_eq(error.reason, JOURNAL_IO_ERROR, "%s", error.text);
    set_fault(BAD_DISK_NONE, 0);
    expect_events(store, extent.run, 0, UINT64_MAX, 1, 10000);
    journal_store_close(&store);
}
