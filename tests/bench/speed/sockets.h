/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Loopback sockets for the programs that are measured with. Whatever fails ends the program with a
 * line on stderr: a measurement with a hole in it is none.
 */
#ifndef ARIZMQ_BENCH_SOCKETS_H
#define ARIZMQ_BENCH_SOCKETS_H

#include <stddef.h>
#include <stdint.h>

/* Ends the program with status 1; with errno's text where that is not 0. */
_Noreturn void sockets_fail(const char *what);

/* A blocking connection to 127.0.0.1:port, without Nagle's delay. */
int sockets_connect(uint16_t port);
/* A listening socket on 127.0.0.1; writes `port N` to stdout. */
int sockets_listen(void);
/* Writes all of it. On a socket that does not block it waits for room. */
void sockets_write(int fd, const void *data, size_t length);
/* Reads exactly so many bytes. */
void sockets_read(int fd, void *data, size_t length);

/* CLOCK_MONOTONIC. */
uint64_t sockets_now_ns(void);

#endif
