/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Counters by hash: which are held, what the generations cost, and that they spread prefixes of
 * every shape.
 */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ops/metrics.h"
#include "publish/counter_table.h"
#include "publish/counters.h"

static struct counter_table table;

static void tear_down(void)
{
    counter_table_clear(&table);
    cr_assert_eq(metrics_get(METRIC_COUNTERS), 0);
}

TestSuite(counter_table, .fini = tear_down);

Test(counter_table, hash_of_nothing_is_one_like_others)
{
    cr_assert_eq(counter_table_count(&table, 0, 100), 1);
    cr_assert_eq(counter_table_count(&table, 2, 100), 1);
    cr_assert_eq(counter_table_count(&table, 0, 100), 2);
    cr_assert_eq(counter_table_held(&table), 2);
}

/* All with one place in the table. */
Test(counter_table, tells_apart_what_collides)
{
    for (uint64_t round = 1; round <= 3; round++) {
        for (uint64_t i = 1; i <= 1000; i++) {
            cr_assert_eq(counter_table_count(&table, i, 10000), round);
        }
    }
}

Test(counter_table, never_holds_more_than_the_bound)
{
    static const uint32_t maxima[] = {1, 2, 3, 10, 1000};
    for (size_t m = 0; m < sizeof maxima / sizeof maxima[0]; m++) {
        for (uint64_t i = 1; i <= 20000; i++) {
            counter_table_count(&table, i * 0x9E3779B97F4A7C15U, maxima[m]);
            cr_assert_leq(counter_table_held(&table), maxima[m]);
        }
        counter_table_clear(&table);
    }
}

/* Slots of counters that went over to the younger generation are not lost to it for good. */
Test(counter_table, takes_no_more_memory_as_it_goes_on)
{
    enum { MAX = 10000 };
    for (uint64_t i = 1; i <= 1000000; i++) {
        counter_table_count(&table, i * 0x9E3779B97F4A7C15U, MAX);
        counter_table_count(&table, (i % 100 + 1) * 0x9E3779B97F4A7C15U, MAX); /* these stay */
    }
    cr_assert_leq(table.younger.slots_count, 16384);
    cr_assert_leq(table.elder.slots_count, 16384);
    cr_assert_eq(counter_table_count(&table, 7 * 0x9E3779B97F4A7C15U, MAX), 10001 + 1);
}

Test(counter_table, is_trimmed_to_a_smaller_bound)
{
    for (uint64_t i = 1; i <= 800; i++) {
        counter_table_count(&table, i << 32, 1000);
    }
    counter_table_trim(&table, 1000);
    cr_assert_eq(counter_table_held(&table), 800);
    counter_table_trim(&table, 500); /* the elder 500 go */
    cr_assert_eq(counter_table_held(&table), 300);
    cr_assert_eq(counter_table_count(&table, (uint64_t)800 << 32, 500), 2);
    counter_table_trim(&table, 299);
    cr_assert_eq(counter_table_held(&table), 0);
}

/* How far on average from its place the last of many is found: the hash of the counters spreads
 * prefixes, wherever in them they differ. */
static double steps_to_find(const struct counter_generation *generation)
{
    uint32_t mask = generation->slots_count - 1;
    uint64_t steps = 0;
    for (uint32_t i = 0; i < generation->slots_count; i++) {
        if (generation->slots[i].hash != 0) {
            steps += (i - (uint32_t)(generation->slots[i].hash >> 32)) & mask;
        }
    }
    return (double)steps / generation->used;
}

Test(counter_table, spreads_prefixes_of_every_shape)
{
    static const char *const shapes[] = {"t/StasisStart%u/",
                                         "t/1795444501.%u/",
                                         "t/%u.17954445/",
                                         "t/%08u-aaaa-bbbb/",
                                         "t/%u/",
                                         "t/xxxxxxx%06u/",
                                         "t/%x/",
                                         "t/PJSIP%%2F%u/"};
    enum { PREFIXES = 50000 };
    for (size_t shape = 0; shape < sizeof shapes / sizeof shapes[0]; shape++) {
        for (unsigned i = 0; i < PREFIXES; i++) {
            struct topic topic = {.tokens = 2};
            topic.length = (size_t)snprintf(topic.bytes, sizeof topic.bytes, shapes[shape], i);
            topic.end[0] = 2;
            topic.end[1] = (uint16_t)topic.length;
            cr_assert_eq(
                counter_table_count(&table, counters_hash(1795444501, &topic, 1), 2 * PREFIXES + 2),
                1);
        }
        cr_assert_eq(table.younger.used, PREFIXES);
        double steps = steps_to_find(&table.younger);
        cr_assert_lt(steps, 1.0, "%s: %.2f", shapes[shape], steps);
        counter_table_clear(&table);
    }
}
