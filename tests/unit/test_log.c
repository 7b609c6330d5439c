/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The log as it comes out of stderr, which is a socket here that keeps one write apart from the
 * next.
 */
#include <criterion/criterion.h>
#include <regex.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ops/log.h"

static int log_end = -1;
static int saved_stderr = -1;

static void catch_stderr(void)
{
    int ends[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
    saved_stderr = dup(STDERR_FILENO);
    cr_assert_geq(dup2(ends[0], STDERR_FILENO), 0);
    close(ends[0]);
    log_end = ends[1];
}

static void restore_stderr(void)
{
    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    close(log_end);
}

TestSuite(log, .init = catch_stderr, .fini = restore_stderr);

/* What the next write(2) wrote, without its newline; NULL where there was none. */
static const char *next_line(void)
{
    static char line[8192];
    ssize_t length = recv(log_end, line, sizeof line - 1, MSG_DONTWAIT);
    if (length < 0) {
        return NULL;
    }
    line[length] = '\0';
    cr_assert_eq(memchr(line, '\n', (size_t)length), line + length - 1, "not one line: %s", line);
    line[length - 1] = '\0';
    return line;
}

static void assert_matches(const char *line, const char *pattern)
{
    regex_t regex;
    cr_assert_not_null(line);
    cr_assert_eq(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
    cr_assert_eq(regexec(&regex, line, 0, NULL, 0), 0, "\"%s\" is no %s", line, pattern);
    regfree(&regex);
}

#define TIME_PATTERN                                                                               \
    "^20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]\\.[0-9]{3}Z "

Test(log, writes_one_line_with_time_level_and_event)
{
    log_warning("node_disconnected", "%s/%s: closed by peer; next try in %d ms", "pbx1", "ivr",
                412);
    assert_matches(next_line(), TIME_PATTERN "warning node_disconnected: pbx1/ivr: closed by peer; "
                                             "next try in 412 ms$");
    log_error("e", "x");
    assert_matches(next_line(), TIME_PATTERN "error e: x$");
    log_info("i", "%s", "");
    assert_matches(next_line(), TIME_PATTERN "info i: $");
    cr_assert_null(next_line());
}

static int evaluations;

static int evaluate(void)
{
    return ++evaluations;
}

Test(log, keeps_to_the_level)
{
    static const struct {
        enum log_level level;
        unsigned lines;
    } levels[] = {
        {LOG_LEVEL_ERROR, 1}, {LOG_LEVEL_WARNING, 2}, {LOG_LEVEL_INFO, 3}, {LOG_LEVEL_DEBUG, 4}};
    log_debug("d", "%d", evaluate()); /* at the start: info */
    cr_assert_null(next_line());
    cr_assert_eq(evaluations, 0, "arguments evaluated for nothing");
    for (unsigned i = 0; i < 4; i++) {
        log_set_level(levels[i].level);
        cr_assert(log_level_is_on(levels[i].level));
        cr_assert_eq(log_level_is_on(LOG_LEVEL_DEBUG), i == 3);
        log_error("e", "1");
        log_warning("w", "2");
        log_info("i", "3");
        log_debug("d", "%d", evaluate());
        unsigned lines = 0;
        while (next_line() != NULL) {
            lines++;
        }
        cr_assert_eq(lines, levels[i].lines);
    }
    cr_assert_eq(evaluations, 1);
}

Test(log, lets_nobody_forge_a_line)
{
    log_info("peer", "%s", "a\nb\r\tc\x1b[31md\x7f\x01");
    assert_matches(next_line(), ": a\\?b\\?\\?c\\?\\[31md\\?\\?$");
    log_info("peer", "%s", "J\u00f6rg \u20ac");
    assert_matches(next_line(), "info peer: J\u00f6rg \u20ac$");
    cr_assert_null(next_line());
}

Test(log, cuts_a_long_line_and_ends_it)
{
    static char text[5000];
    memset(text, 'x', sizeof text - 1);
    size_t overhead = strlen("2026-11-23T14:35:01.160Z info long: ");
    for (int length = 1990; length < 2060; length++) {
        log_info("long", "%.*s", length, text);
        const char *line = next_line();
        cr_assert_not_null(line);
        size_t written = strspn(line + overhead, "x");
        cr_assert_eq(strlen(line), overhead + written);
        size_t most = 2048 - 2 - overhead;
        cr_assert_eq(written, (size_t)length < most ? (size_t)length : most, "%d: %zu", length,
                     written);
    }
    log_info("long", "%s", text);
    cr_assert_not_null(next_line());
    cr_assert_null(next_line());
}
