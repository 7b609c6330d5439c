/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The test peers fake_asterisk and fault_proxy as a test uses them: start, command, event, stop.
 * Their commands are listed in tests/fake/README.md.
 */
#ifndef ARIZMQ_HARNESS_FAKE_H
#define ARIZMQ_HARNESS_FAKE_H

#include <stdint.h>

#include "harness/process.h"

struct fake {
    struct process *process;
    uint16_t port; /* on 127.0.0.1 */
};

/* `options` is NULL or a NULL-terminated list of command line options. NULL when it does not
 * start; what it wrote is on the test's stderr then. */
struct fake *fake_start_asterisk(const char *const *options);
struct fake *fake_start_proxy(uint16_t target_port);

/* Stops it and frees it; nulls the pointer. Returns its exit status, see process_wait(). */
int fake_stop(struct fake **self);

/* Sends the command line and returns the answer, "ok …" or "error …"; NULL when none comes.
 * Borrowed until fake_stop(). */
const char *fake_command(struct fake *fake, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* fake_command() for which any answer but ok fails the test. Returns what follows "ok". */
const char *fake_do(struct fake *fake, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The first event not handed out yet that begins with `prefix`, such as "connected app=ivr" or
 * "frame"; without the leading "event ". NULL when the time is over. */
const char *fake_await_event(struct fake *fake, const char *prefix, int timeout_ms);

/* How many events that begin with `prefix` have come so far. Every event that was caused before
 * the last answered command is counted. */
size_t fake_count_events(struct fake *fake, const char *prefix);

/* The number behind " NAME=" in an event or answer; fails the test when there is none. */
long long fake_number(const char *line, const char *name);

#endif
