/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The only place that asks for the time. The event path asks once for each read from a socket; the
 * links ask when they measure silence. Tests put their own wall clock in.
 */
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

static uint64_t (*wall_source)(void);

uint64_t clock_wall_ns(void)
{
    if (wall_source != NULL) {
        return wall_source();
    }
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

uint64_t clock_monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

uint64_t clock_monotonic_ms(void)
{
    return clock_monotonic_ns() / 1000000U;
}

void clock_set_wall_source(uint64_t (*source)(void))
{
    wall_source = source;
}

void clock_format_timestamp(uint64_t wall_ns, char out[CLOCK_TIMESTAMP_SIZE])
{
    time_t seconds = (time_t)(wall_ns / 1000000000U);
    unsigned milliseconds = (unsigned)(wall_ns / 1000000U % 1000U);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    char date[20];
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(out, CLOCK_TIMESTAMP_SIZE, "%s.%03u+0000", date, milliseconds);
}
