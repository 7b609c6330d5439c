/* SPDX-License-Identifier: MPL-2.0 */
/* The journal's files stay as large as they may be, whatever is written; what is old leaves. */
#include <criterion/criterion.h>

#include "harness/bad_disk.h"
#include "journal_helpers.h"

TestSuite(journal_bounds, .init = make_directory, .fini = remove_directory, .timeout = 120);

static struct journal_store *must_open(uint64_t max_bytes)
{
    struct journal_store *store = NULL;
    struct journal_error error = {0};
    cr_assert_eq(journal_store_open(journal_path, max_bytes, &store, &error), ARIZMQ_OK, "%s",
                 error.text);
    return store;
}

static void must_write(struct journal_store *store, uint64_t epoch, uint64_t first, uint64_t last,
                       struct written what)
{
    struct journal_error error = {0};
    cr_assert_eq(store_events(store, epoch, first, last, what, &error), ARIZMQ_OK, "%s",
                 error.text);
}

static struct journal_extent must_find(struct journal_store *store, uint64_t epoch)
{
    struct journal_extent extent = {0};
    struct journal_error error = {0};
    cr_assert_eq(journal_store_find_run(store, epoch, &extent, &error), ARIZMQ_OK);
    return extent;
}

static void tidy(struct journal_store *store, uint64_t before_ns)
{
    struct journal_error error = {0};
    bool has_more = true;
    for (int i = 0; has_more; i++) {
        cr_assert_lt(i, 10000, "there is always more to tidy");
        cr_assert_eq(journal_store_tidy(store, before_ns, &has_more, &error), ARIZMQ_OK, "%s",
                     error.text);
    }
}

static void expect_last_events(struct journal_store *store, uint64_t epoch, struct written what)
{
    struct journal_extent extent = must_find(store, epoch);
    struct journal_error error = {0};
    struct row_check check = {.what = what, .next = extent.oldest};
    cr_expect_eq(journal_store_read(store, extent.run, 0, UINT64_MAX, check_row, &check, &error),
                 ARIZMQ_OK);
    cr_expect_null(check.wrong, "%s at %" PRIu64, check.wrong, check.next - 1);
    cr_expect_eq(check.next, extent.newest + 1);
}

/* Four times what may be kept, in events of several sizes: at no moment are the files larger than
 * allowed, and most of the room is used. */
Test(journal_bounds, the_files_stay_within_max_bytes)
{
    static const struct {
        uint64_t max_bytes;
        struct written what;
        unsigned batch;
    } cases[] = {
        {1 << 20, {700, 2}, 50},  {1 << 20, {20000, 1}, 2},   {8 << 20, {700, 3}, 500},
        {2 << 20, {10, 1}, 2000}, {32 << 20, {300000, 2}, 4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct journal_store *store = must_open(cases[i].max_bytes);
        uint64_t most = 0;
        uint64_t written = 0;
        for (uint64_t seq = 1; written < cases[i].max_bytes * 4; seq += cases[i].batch) {
            must_write(store, 9, seq, seq + cases[i].batch - 1, cases[i].what);
            struct journal_error error = {0};
            bool has_more = false;
            cr_assert_eq(journal_store_tidy(store, 0, &has_more, &error), ARIZMQ_OK);
            cr_expect_not(has_more);
            uint64_t bytes = journal_store_bytes(store);
            most = bytes > most ? bytes : most;
            written += cases[i].batch * (cases[i].what.size + 60U * cases[i].what.messages);
        }
        cr_expect_leq(most, cases[i].max_bytes, "%zu: %" PRIu64 " of %" PRIu64, i, most,
                      cases[i].max_bytes);
        cr_expect_geq(most, cases[i].max_bytes / 2, "%zu: %" PRIu64 " of %" PRIu64, i, most,
                      cases[i].max_bytes);
        cr_expect_gt(must_find(store, 9).oldest, 1);
        expect_last_events(store, 9, cases[i].what);
        journal_store_close(&store);
        remove_directory();
        make_directory();
    }
}

/* The oldest leave, whichever run they belong to, and a run without events goes with its views. */
Test(journal_bounds, whole_runs_leave)
{
    const struct written what = {1000, 2};
    for (uint64_t epoch = 1; epoch <= 20; epoch++) {
        struct journal_store *store = must_open(2 << 20);
        for (uint64_t seq = 1; seq <= 500; seq += 50) {
            must_write(store, epoch, seq, seq + 49, what);
        }
        expect_last_events(store, epoch, what);
        journal_store_close(&store);
    }
    struct journal_store *store = must_open(2 << 20);
    struct journal_extent extents[32];
    struct journal_error error = {0};
    unsigned count = 0;
    cr_assert_eq(journal_store_list_runs(store, extents, 32, &count, &error), ARIZMQ_OK);
    cr_expect(count >= 2 && count <= 4, "%u", count);
    for (unsigned i = 0; i < count; i++) {
        cr_expect_eq(extents[i].epoch, 20 - i);
        cr_expect_eq(extents[i].newest, 500);
        cr_expect_eq(extents[i].oldest == 1, i + 1 < count, "%u: %" PRIu64, i, extents[i].oldest);
        expect_last_events(store, extents[i].epoch, what);
    }
    unsigned view = 0;
    cr_expect_eq(journal_store_find_view(store, 1, "events", &view, &error), ARIZMQ_ENOTFOUND);
    journal_store_close(&store);
}

/* No more runs than JOURNAL_RUNS_MAX, however little each has. */
Test(journal_bounds, runs_are_bounded)
{
    struct journal_error error = {0};
    static struct journal_extent extents[JOURNAL_RUNS_MAX + 8];
    unsigned count = 0;
    for (uint64_t epoch = 1; epoch <= JOURNAL_RUNS_MAX + 5; epoch++) {
        struct journal_store *store = must_open(8 << 20);
        must_write(store, epoch, 1, 2, (struct written){100, 1});
        if (epoch == JOURNAL_RUNS_MAX + 5) {
            cr_assert_eq(
                journal_store_list_runs(store, extents, JOURNAL_RUNS_MAX + 8, &count, &error),
                ARIZMQ_OK);
        }
        journal_store_close(&store);
    }
    cr_expect_eq(count, JOURNAL_RUNS_MAX);
    cr_expect_eq(extents[0].epoch, JOURNAL_RUNS_MAX + 5);
    cr_expect_eq(extents[JOURNAL_RUNS_MAX - 1].epoch, 6);
}

Test(journal_bounds, what_is_old_leaves)
{
    struct journal_store *store = must_open(64 << 20);
    const struct written what = {500, 2};
    must_write(store, 8, 1, 3000, what);
    must_write(store, 8, 3001, 6000, what);
    tidy(store, written_ns(1)); /* nothing was received before that */
    cr_expect_eq(must_find(store, 8).oldest, 1);
    tidy(store, written_ns(2501));
    cr_expect_eq(must_find(store, 8).oldest, 2501);
    expect_last_events(store, 8, what);
    tidy(store, UINT64_MAX / 2);
    struct journal_extent extent = must_find(store, 8); /* it is the run being written */
    cr_expect_eq(extent.oldest, 6001);
    cr_expect_eq(extent.newest, 6000);
    must_write(store, 8, 6001, 6100, what);
    expect_last_events(store, 8, what);
    journal_store_close(&store);
}

Test(journal_bounds, holes_leave_with_their_time)
{
    struct journal_store *store = must_open(64 << 20);
    struct journal_batch *batch = NULL;
    struct journal_error error = {0};
    struct journal_run run = run_of(9);
    cr_assert_eq(journal_batch_create(UINT64_MAX, &batch), ARIZMQ_OK);
    journal_batch_clear(batch, 0);
    for (uint64_t seq = 10; seq <= 100; seq += 10) { /* 1 to 9, 11 to 19… are missing */
        batch_add(batch, seq, (struct written){100, 1});
    }
    cr_assert_eq(journal_store_write(store, &run, batch, &error), ARIZMQ_OK);
    journal_batch_destroy(&batch);
    tidy(store, written_ns(51));
    struct journal_extent extent = must_find(store, 9);
    cr_expect_eq(extent.oldest, 51);
    struct journal_hole_row holes[16];
    unsigned count = 0;
    cr_assert_eq(journal_store_read_holes(store, extent.run, 0, holes, 16, &count, &error),
                 ARIZMQ_OK);
    cr_assert_eq(count, 5);
    cr_expect_eq(holes[0].first, 51);
    journal_store_close(&store);
}

/* A smaller max_bytes is reached, in steps that are small, and the file system has the rest back.
 */
Test(journal_bounds, it_shrinks)
{
    const struct written what = {1000, 2};
    struct journal_store *store = must_open(32 << 20);
    for (uint64_t seq = 1; seq <= 20000; seq += 500) {
        must_write(store, 9, seq, seq + 499, what);
    }
    tidy(store, 0);
    cr_assert_gt(journal_store_bytes(store), 16 << 20);
    for (int again = 0; again < 2; again++) {
        journal_store_set_max_bytes(store, 4 << 20);
        tidy(store, 0);
        journal_store_close(&store); /* the WAL may still have the old bound */
        store = must_open(4 << 20);
        cr_expect_leq(journal_store_bytes(store), 4 << 20, "%" PRIu64, journal_store_bytes(store));
        cr_expect_gt(must_find(store, 9).oldest, 10000);
        expect_last_events(store, 9, what);
    }
    journal_store_close(&store);
}

/* Where the WAL cannot be moved into the database, it does not grow on and on. */
Test(journal_bounds, the_wal_stays_small_where_checkpoints_fail)
{
    const struct written what = {1000, 2};
    struct journal_store *store = must_open(4 << 20);
    struct journal_error error = {0};
    bool has_more = false;
    must_write(store, 9, 1, 100, what);
    atomic_store(&bad_disk()->room, 3 << 20); /* of the WAL, and nothing for the database */
    atomic_store(&bad_disk()->fault, BAD_DISK_FULL);
    int result = ARIZMQ_OK;
    for (uint64_t seq = 101; seq < 20000 && result == ARIZMQ_OK; seq += 100) {
        result = store_events(store, 9, seq, seq + 99, what, &error);
        journal_store_tidy(store, 0, &has_more, &error);
    }
    cr_expect_eq(result, ARIZMQ_EIO);
    cr_expect_eq(error.reason, JOURNAL_DISK_FULL, "%s", error.text);
    cr_expect_leq(journal_store_bytes(store), 4 << 20);
    atomic_store(&bad_disk()->fault, BAD_DISK_NONE);
    uint64_t newest = must_find(store, 9).newest;
    must_write(store, 9, newest + 1, newest + 100, what);
    expect_last_events(store, 9, what);
    journal_store_close(&store);
}

Test(journal_bounds, shares_of_max_bytes)
{
    struct journal_store *store = must_open(1 << 20);
    cr_expect_eq(journal_store_batch_bytes(store), 1 << 15);
    cr_expect_eq(journal_store_event_bytes(store), 1 << 17);
    journal_store_set_max_bytes(store, 1ULL << 40);
    cr_expect_eq(journal_store_batch_bytes(store), 2 << 20);
    cr_expect_leq(journal_store_event_bytes(store), 500000000); /* what SQLite takes */
    journal_store_close(&store);
}
