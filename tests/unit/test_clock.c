/* SPDX-License-Identifier: MPL-2.0 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

static void assert_timestamp(uint64_t wall_ns, const char *wanted)
{
    char text[CLOCK_TIMESTAMP_SIZE + 8];
    memset(text, 'x', sizeof text);
    clock_format_timestamp(wall_ns, text);
    cr_assert_str_eq(text, wanted);
    cr_assert_eq(strlen(text), CLOCK_TIMESTAMP_SIZE - 1);
    cr_assert_eq(text[CLOCK_TIMESTAMP_SIZE], 'x', "written beyond the declared size");
}

Test(clock, formats_timestamps_as_asterisk_does)
{
    assert_timestamp(0, "1970-01-01T00:00:00.000+0000");
    assert_timestamp(1795444501160000000, "2026-11-23T14:35:01.160+0000");
    assert_timestamp(1795444501160999999, "2026-11-23T14:35:01.160+0000");
    assert_timestamp(1795444501999999999, "2026-11-23T14:35:01.999+0000");
    assert_timestamp(1795444502000000000, "2026-11-23T14:35:02.000+0000");
    assert_timestamp(1709164800007000000, "2024-02-29T00:00:00.007+0000");
    assert_timestamp(UINT64_MAX, "2554-07-21T23:34:33.709+0000");
}

Test(clock, formats_in_utc_wherever_it_is)
{
    cr_assert_eq(setenv("TZ", "Asia/Kathmandu", 1), 0);
    tzset();
    assert_timestamp(1795444501160000000, "2026-11-23T14:35:01.160+0000");
}

static uint64_t chosen_wall(void)
{
    return 42;
}

Test(clock, tells_the_time_of_the_system_or_of_the_test)
{
    struct timespec before;
    struct timespec after;
    clock_gettime(CLOCK_REALTIME, &before);
    uint64_t wall_ns = clock_wall_ns();
    clock_gettime(CLOCK_REALTIME, &after);
    cr_assert_geq(wall_ns, (uint64_t)before.tv_sec * 1000000000 + (uint64_t)before.tv_nsec);
    cr_assert_leq(wall_ns, (uint64_t)after.tv_sec * 1000000000 + (uint64_t)after.tv_nsec);
    clock_set_wall_source(chosen_wall);
    cr_assert_eq(clock_wall_ns(), 42);
    clock_set_wall_source(NULL);
    cr_assert_geq(clock_wall_ns(), wall_ns);
}

Test(clock, measures_in_milliseconds_that_never_go_back)
{
    struct timespec before;
    clock_gettime(CLOCK_MONOTONIC, &before);
    uint64_t first = clock_monotonic_ms();
    cr_assert_geq(first, (uint64_t)before.tv_sec * 1000 + (uint64_t)before.tv_nsec / 1000000);
    clock_set_wall_source(chosen_wall); /* is of no concern to it */
    uint64_t last = first;
    while (last < first + 3) {
        uint64_t now = clock_monotonic_ms();
        cr_assert_geq(now, last);
        last = now;
    }
    struct timespec after;
    clock_gettime(CLOCK_MONOTONIC, &after);
    cr_assert_leq(last, (uint64_t)after.tv_sec * 1000 + (uint64_t)after.tv_nsec / 1000000);
}
