/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A stream to a file descriptor whose reader may be slow, gone, or stuck.
 */
#ifndef ARIZMQ_CLI_OUTPUT_H
#define ARIZMQ_CLI_OUTPUT_H

#include <stdio.h>

struct output;

/* Opens a buffered stream to `fd`, which stays open. Once stop_fd is readable, a write waits for
 * the reader no longer than OUTPUT_GRACE_MS. Returns 0 or ARIZMQ_ENOMEM. */
enum { OUTPUT_GRACE_MS = 500 };
int output_create(int fd, int stop_fd, struct output **out);

/* Flushes, without regard to failure: ask output_flush() before. */
void output_destroy(struct output **self);

/* The stream, for printing. Belongs to the output. */
FILE *output_stream(struct output *self);

/* Flushes the stream. Returns 0, or the errno of the first write that failed since the beginning:
 * EPIPE when the reader is gone, ECANCELED when stop_fd ended the waiting. Nothing more is written
 * after a failure. */
int output_flush(struct output *self);

/* The same without flushing. */
int output_error(const struct output *self);

#endif
