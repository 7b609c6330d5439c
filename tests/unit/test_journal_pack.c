/* SPDX-License-Identifier: MPL-2.0 */
/* Messages packed and unpacked; bytes that are none; batches without a position left out. */
#include <criterion/criterion.h>

#include "journal_helpers.h"

Test(journal_pack, every_number_comes_back)
{
    struct journal_pack pack = {0};
    uint64_t count[ARIZMQ_STAMP_COUNTS_MAX] = {
        0, 1, 127, 128, 16383, 16384, UINT32_MAX, UINT64_MAX - 1, UINT64_MAX};
    char longest[TOPIC_BYTES_MAX];
    memset(longest, 't', sizeof longest);
    const struct span topics[] = {{"", 0}, {"a/", 2}, {longest, sizeof longest}};
    for (unsigned i = 0; i < 3; i++) {
        cr_assert_eq(journal_pack_add(&pack, i * 255, topics[i], count, 3 * (i + 1)), ARIZMQ_OK);
    }
    struct span rest = {pack.bytes, pack.length};
    struct journal_message message;
    for (unsigned i = 0; i < 3; i++) {
        cr_assert_eq(journal_pack_take(&rest, &message), ARIZMQ_OK);
        cr_expect_eq(message.view, i * 255);
        cr_expect_eq(message.topic.length, topics[i].length);
        cr_expect_eq(memcmp(message.topic.bytes, topics[i].bytes, topics[i].length), 0);
        cr_expect_eq(message.counts, 3 * (i + 1));
        cr_expect_eq(memcmp(message.count, count, message.counts * sizeof *count), 0);
    }
    cr_expect_eq(journal_pack_take(&rest, &message), ARIZMQ_ENOTFOUND);
    free(pack.bytes);
}

/* Cut anywhere, the messages before the cut come and then an error, never a wrong message. */
Test(journal_pack, a_cut_is_seen)
{
    struct journal_pack pack = {0};
    const uint64_t count[] = {1000, 100000, 7};
    cr_assert_eq(journal_pack_add(&pack, 300, (struct span){"a/b/", 4}, count, 3), ARIZMQ_OK);
    size_t one = pack.length;
    cr_assert_eq(journal_pack_add(&pack, 1, (struct span){"c/", 2}, count, 3), ARIZMQ_OK);
    for (size_t length = 1; length < pack.length; length++) {
        char *copy = malloc(length); /* so that a sanitizer sees what is read behind it */
        memcpy(copy, pack.bytes, length);
        struct span rest = {copy, length};
        struct journal_message message;
        unsigned whole = 0;
        int result;
        while ((result = journal_pack_take(&rest, &message)) == ARIZMQ_OK) {
            whole++;
        }
        cr_expect_eq(whole, length >= one, "%zu", length);
        cr_expect_eq(result, length == one ? ARIZMQ_ENOTFOUND : ARIZMQ_EINVALID, "%zu", length);
        free(copy);
    }
    free(pack.bytes);
}

Test(journal_pack, numbers_that_are_too_large_are_none)
{
    static const char *const broken[] = {
        "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02\x01\x61\x01\x01", /* 65 bits */
        "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x01\x61\x01", /* eleven bytes */
        "\xff\xff\xff\xff\x10\x01\x61\x01\x01",                     /* a view beyond unsigned */
        "\x01\x81\x04\x61\x01\x01",                                 /* a topic of 513 bytes */
        "\x01\x01\x61\x0a\x01",                                     /* ten counts */
    };
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        struct span rest = {broken[i], strlen(broken[i])};
        struct journal_message message;
        cr_expect_eq(journal_pack_take(&rest, &message), ARIZMQ_EINVALID, "%zu", i);
    }
}

Test(journal_batch, what_is_no_event_is_a_hole)
{
    struct journal_batch *batch = NULL;
    cr_assert_eq(journal_batch_create(10000, &batch), ARIZMQ_OK);
    struct written what = {100, 2};
    journal_batch_clear(batch, 5);
    batch_add(batch, 6, what);
    batch_add(batch, 10, what); /* 7 to 9 are missing */
    batch_add(batch, 11, what);
    journal_batch_lose(batch, JOURNAL_TOO_LARGE);
    journal_batch_add_hole(batch, 12, JOURNAL_MEMORY);
    journal_batch_add_hole(batch, 14, JOURNAL_MEMORY); /* joined */
    batch_add(batch, 15, what);
    const struct journal_hole wanted[] = {
        {7, 9, JOURNAL_TRIMMED}, {11, 11, JOURNAL_TOO_LARGE}, {12, 14, JOURNAL_MEMORY}};
    cr_assert_eq(batch->holes_count, 3);
    for (unsigned i = 0; i < 3; i++) {
        cr_expect_eq(batch->holes[i].first, wanted[i].first, "%u", i);
        cr_expect_eq(batch->holes[i].last, wanted[i].last, "%u", i);
        cr_expect_eq(batch->holes[i].reason, wanted[i].reason, "%u", i);
    }
    cr_expect_eq(batch->events_count, 3);
    cr_expect_eq(batch->last, 15);
    uint64_t bytes = batch->pack.length + 3 * what.size;
    cr_expect_eq(batch->bytes, bytes, "%" PRIu64 " of %" PRIu64, batch->bytes, bytes);
    journal_batch_clear(batch, 15);
    cr_expect_eq(batch->events_count + batch->holes_count + batch->bytes, 0);
    journal_batch_destroy(&batch);
    cr_expect_null(batch);
}

Test(journal_batch, it_is_full_by_bytes_by_events_and_by_holes)
{
    struct journal_batch *batch = NULL;
    cr_assert_eq(journal_batch_create(10000, &batch), ARIZMQ_OK);
    journal_batch_clear(batch, 0);
    uint64_t seq = 1;
    for (; journal_batch_has_room(batch); seq++) {
        batch_add(batch, seq, (struct written){999, 0});
    }
    cr_expect_eq(batch->events_count, 11);
    journal_batch_clear(batch, 0);
    for (seq = 1; journal_batch_has_room(batch); seq++) {
        batch_add(batch, seq, (struct written){0, 0});
    }
    cr_expect_eq(batch->events_count, JOURNAL_BATCH_EVENTS_MAX);
    journal_batch_clear(batch, 0);
    for (seq = 2; journal_batch_has_room(batch); seq += 2) {
        batch_add(batch, seq, (struct written){0, 0});
    }
    cr_expect_eq(batch->holes_count, JOURNAL_BATCH_HOLES_MAX - 1);
    journal_batch_destroy(&batch);
}

Test(journal_batch, reasons_have_their_words)
{
    cr_expect_str_eq(journal_reason_word(JOURNAL_TRIMMED), "trimmed");
    cr_expect_str_eq(journal_reason_word(JOURNAL_DISK_FULL), "disk_full");
    cr_expect_str_eq(journal_reason_word(JOURNAL_MEMORY), "memory");
}
