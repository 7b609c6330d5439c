/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The only place that asks for the time, so that tests can bend it.
 */
#ifndef ARIZMQ_BASE_CLOCK_H
#define ARIZMQ_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

/* Nanoseconds since 1970 (UTC): for stamps and timestamps. */
uint64_t clock_wall_ns(void);

/* Milliseconds that never go back: for measuring how long something takes. */
uint64_t clock_monotonic_ms(void);

/* The same in nanoseconds. */
uint64_t clock_monotonic_ns(void);

/* Replaces the wall clock by `source`, or restores it where `source` is NULL. For tests. */
void clock_set_wall_source(uint64_t (*source)(void));

enum { CLOCK_TIMESTAMP_SIZE = 29 }; /* with the final NUL */

/* Writes `wall_ns` as Asterisk writes timestamps: 2026-11-23T14:35:01.160+0000 */
void clock_format_timestamp(uint64_t wall_ns, char out[CLOCK_TIMESTAMP_SIZE]);

#endif
