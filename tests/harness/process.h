/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A program that a test runs: its pipes, the lines it writes, its end.
 *
 * The program is killed when the test process dies, whatever the test does. Lines are kept until
 * the process is destroyed, and each is handed out once: waiting for one kind of line never
 * consumes another.
 */
#ifndef ARIZMQ_HARNESS_PROCESS_H
#define ARIZMQ_HARNESS_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* How long a test waits for what must come; a busy machine under a sanitizer is slow. */
enum { HARNESS_TIMEOUT_MS = 20000 };

enum process_stream { PROCESS_STDOUT, PROCESS_STDERR, PROCESS_STREAMS };

struct process;

/* Is this the line that is waited for? */
typedef bool process_line_predicate(const char *line, const void *argument);

/* Predicates: the line begins with, or contains, the string `argument`. */
process_line_predicate process_line_begins_with;
process_line_predicate process_line_contains;

/* Starts argv[0], a path, with a NULL-terminated argv and the test's environment without its
 * ARIZMQ_TEST_… variables. Returns 0 or ARIZMQ_EIO. */
int process_start(const char *const *argv, struct process **out);

/* Kills it if it still runs, waits for it and forgets everything; nulls the pointer. */
void process_destroy(struct process **self);

pid_t process_pid(const struct process *process);

/* Writes text and a newline to its stdin. Returns 0 or ARIZMQ_EIO. */
int process_write_line(struct process *process, const char *text);
/* Closes its stdin. */
void process_close_input(struct process *process);

/* The first line of `stream` that was not handed out yet and fits, without its newline; waits for
 * it. NULL when the time is over or the stream has ended. Borrowed until process_destroy(). */
const char *process_await_line(struct process *process, enum process_stream stream,
                               process_line_predicate *predicate, const void *argument,
                               int timeout_ms);

/* How many lines of `stream` that are here already fit, handed out or not. Does not wait. */
size_t process_count_lines(struct process *process, enum process_stream stream,
                           process_line_predicate *predicate, const void *argument);

/* Copies every line it wrote to the test's own stderr; for a test that fails. */
void process_dump(struct process *process);

/* Sends the signal. Returns 0, or ARIZMQ_ECLOSED when it has ended already. */
int process_signal(struct process *process, int signal_number);

/* Waits for its end, reading its output meanwhile. Returns its exit status, 128 + signal number
 * for one that a signal ended, or ARIZMQ_ENOTFOUND when the time is over. */
int process_wait(struct process *process, int timeout_ms);

/* Resident memory in bytes now. Returns 0, or ARIZMQ_ECLOSED when it has ended. */
int process_resident_bytes(const struct process *process, uint64_t *out);

/* Milliseconds on the monotonic clock. */
int64_t harness_now_ms(void);

/* A TCP port on 127.0.0.1 that was free a moment ago; 0 if the kernel gave none. */
uint16_t harness_free_port(void);

#endif
