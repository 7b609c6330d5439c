/* SPDX-License-Identifier: MPL-2.0 */
/*
 * One line for each thing an operator has to know, on stderr, in UTC. Everybody calls it; it keeps
 * no state but the level, and it never waits for whoever reads stderr: a line that cannot be
 * written at once is dropped and counted.
 */
#include "ops/log.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ops/metrics.h"

enum { LINE_MAX_BYTES = 2048 };

static _Atomic int current_level = LOG_LEVEL_INFO;

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&current_level, (int)level, memory_order_relaxed);
}

int log_level_is_on(enum log_level level)
{
    return (int)level <= atomic_load_explicit(&current_level, memory_order_relaxed);
}

/* Writes at most LINE_MAX_BYTES, whole or not at all. Whoever reads stderr may have stopped
 * reading; the event thread must not wait for that. A pipe that is ready takes a page without
 * waiting. */
static void put(const char *bytes, size_t length)
{
    struct pollfd ready = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (poll(&ready, 1, 0) != 1 || (ready.revents & POLLOUT) == 0 ||
        write(STDERR_FILENO, bytes, length) < 0) {
        metrics_add_shared(METRIC_LOG_LINES_DROPPED, 1);
    }
}

static const char *level_name(enum log_level level)
{
    switch (level) {
    case LOG_LEVEL_ERROR:
        return "error";
    case LOG_LEVEL_WARNING:
        return "warning";
    case LOG_LEVEL_INFO:
        return "info";
    case LOG_LEVEL_DEBUG:
        return "debug";
    }
    return "unknown";
}

void log_write(enum log_level level, const char *event, const char *format, ...)
{
    if (!log_level_is_on(level)) {
        return;
    }
    char line[LINE_MAX_BYTES];
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t used = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &utc);
    used += (size_t)snprintf(line + used, sizeof line - used,
                             ".%03ldZ %s %s: ", now.tv_nsec / 1000000, level_name(level), event);
    va_list arguments;
    va_start(arguments, format);
    int wanted = vsnprintf(line + used, sizeof line - used - 1, format, arguments);
    va_end(arguments);
    if (wanted > 0) {
        size_t room = sizeof line - used - 2;
        used += (size_t)wanted < room ? (size_t)wanted : room;
    }
    for (size_t i = 0; i < used; i++) {
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f) {
            line[i] = '?';
        }
    }
    line[used++] = '\n';
    put(line, used);
}

void log_write_text(const char *text, size_t length)
{
    while (length > 0) {
        size_t piece = length < LINE_MAX_BYTES ? length : LINE_MAX_BYTES;
        const char *line_end = memrchr(text, '\n', piece);
        piece = line_end != NULL ? (size_t)(line_end - text) + 1 : piece;
        put(text, piece);
        text += piece;
        length -= piece;
    }
}
