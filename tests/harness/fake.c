/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Runs the test peers and speaks their line protocol. Called by tests. It never interprets an
 * event beyond its first words.
 */
#include "fake.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"

enum { ARGUMENTS_MAX = 32, EVENT_PREFIX_MAX = 256 };

static struct fake *fake_start(const char *program, const char *const *options)
{
    const char *argv[ARGUMENTS_MAX + 2] = {program};
    for (int i = 0; options && options[i]; i++) {
        cr_assert_lt(i, ARGUMENTS_MAX, "at most %d options", ARGUMENTS_MAX);
        argv[i + 1] = options[i];
    }
    struct fake *fake = calloc(1, sizeof *fake);
    if (!fake || process_start(argv, &fake->process)) {
        free(fake);
        return NULL;
    }
    const char *line = process_await_line(fake->process, PROCESS_STDOUT, process_line_begins_with,
                                          "port ", HARNESS_TIMEOUT_MS);
    if (!line) {
        process_dump(fake->process);
        process_destroy(&fake->process);
        free(fake);
        return NULL;
    }
    fake->port = (uint16_t)strtoul(line + strlen("port "), NULL, 10);
    return fake;
}

struct fake *fake_start_asterisk(const char *const *options)
{
    return fake_start(BUILD_DIR "/fake_asterisk", options);
}

struct fake *fake_start_proxy(uint16_t target_port)
{
    char port[8];
    snprintf(port, sizeof port, "%u", target_port);
    const char *const options[] = {port, NULL};
    return fake_start(BUILD_DIR "/fault_proxy", options);
}

int fake_stop(struct fake **self)
{
    struct fake *fake = *self;
    if (!fake) {
        return ARIZMQ_ECLOSED;
    }
    process_close_input(fake->process);
    int status = process_wait(fake->process, HARNESS_TIMEOUT_MS);
    if (status != 0) {
        process_dump(fake->process);
    }
    process_destroy(&fake->process);
    free(fake);
    *self = NULL;
    return status;
}

static bool line_is_answer(const char *line, const void *argument)
{
    (void)argument;
    return strcmp(line, "ok") == 0 || strncmp(line, "ok ", 3) == 0 ||
           strncmp(line, "error ", 6) == 0;
}

static const char *fake_command_list(struct fake *fake, const char *format, va_list arguments)
{
    char *line = NULL;
    if (vasprintf(&line, format, arguments) < 0) {
        return NULL;
    }
    int result = process_write_line(fake->process, line);
    free(line);
    return result ? NULL
                  : process_await_line(fake->process, PROCESS_STDOUT, line_is_answer, NULL,
                                       HARNESS_TIMEOUT_MS);
}

const char *fake_command(struct fake *fake, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const char *answer = fake_command_list(fake, format, arguments);
    va_end(arguments);
    return answer;
}

const char *fake_do(struct fake *fake, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const char *answer = fake_command_list(fake, format, arguments);
    va_end(arguments);
    if (!answer || strncmp(answer, "ok", 2) != 0) {
        process_dump(fake->process);
        cr_assert_fail("\"%s\" was answered by \"%s\"", format, answer ? answer : "nothing");
    }
    return answer + strlen("ok");
}

const char *fake_await_event(struct fake *fake, const char *prefix, int timeout_ms)
{
    char begin[EVENT_PREFIX_MAX];
    snprintf(begin, sizeof begin, "event %s", prefix);
    const char *line = process_await_line(fake->process, PROCESS_STDOUT, process_line_begins_with,
                                          begin, timeout_ms);
    return line ? line + strlen("event ") : NULL;
}

size_t fake_count_events(struct fake *fake, const char *prefix)
{
    char begin[EVENT_PREFIX_MAX];
    snprintf(begin, sizeof begin, "event %s", prefix);
    return process_count_lines(fake->process, PROCESS_STDOUT, process_line_begins_with, begin);
}

long long fake_number(const char *line, const char *name)
{
    char key[64];
    snprintf(key, sizeof key, " %s=", name);
    const char *at = line ? strstr(line, key) : NULL;
    cr_assert_not_null(at, "no %s= in \"%s\"", name, line ? line : "(nothing)");
    return strtoll(at + strlen(key), NULL, 10);
}
