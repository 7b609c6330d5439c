/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The daemon's log: one line on stderr for each thing an operator has to know.
 *
 *     2026-11-23T14:35:01.160Z warning node_disconnected: pbx1/ivr: closed by peer; next try in 412
 * ms
 *
 * Called at the edge, once for each occurrence, with what happened, which peer, and what happens
 * next. Passwords are never logged; phone numbers only at debug level.
 */
#ifndef ARIZMQ_OPS_LOG_H
#define ARIZMQ_OPS_LOG_H

#include <stdarg.h>
#include <stddef.h>

/* The numbers are syslog's, so that they can stand in a journald prefix. */
enum log_level {
    LOG_LEVEL_ERROR = 3,
    LOG_LEVEL_WARNING = 4,
    LOG_LEVEL_INFO = 6,
    LOG_LEVEL_DEBUG = 7,
};

/* Messages above `level` are not written. The start value is LOG_LEVEL_INFO. */
void log_set_level(enum log_level level);
int log_level_is_on(enum log_level level);

/* Writes one line. `event` is a stable word, snake_case, that a log search can rely on. Control
 * bytes in the formatted text come out as '?', so that no peer can forge a line. */
void log_write(enum log_level level, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Writes text that is several lines as it is, under the same rule: what cannot be written at once
 * is dropped and counted. */
void log_write_text(const char *text, size_t length);

#define log_error(...)   log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)    log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)                                                                             \
    do {                                                                                           \
        if (log_level_is_on(LOG_LEVEL_DEBUG)) {                                                    \
            log_write(LOG_LEVEL_DEBUG, __VA_ARGS__);                                               \
        }                                                                                          \
    } while (0)

#endif
