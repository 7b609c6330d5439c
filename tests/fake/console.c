/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The script: one command on each line of stdin, each answered by one line "ok …" or "error …" on
 * stdout, and "event …" lines for what happens meanwhile. The end of stdin ends the program.
 * Commands that concern a connection take app=NAME as their first word; without it the newest
 * connection is meant. Called by libwebsockets' loop when stdin is readable.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "console_private.h"

static struct bytes input;

static void console_write_line(const char *kind, const char *format, va_list arguments)
{
    fputs(kind, stdout);
    fputc(' ', stdout);
    vfprintf(stdout, format, arguments);
    fputc('\n', stdout);
    fflush(stdout);
}

void console_event(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    console_write_line("event", format, arguments);
    va_end(arguments);
}

void console_ok(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    console_write_line("ok", format, arguments);
    va_end(arguments);
}

void console_done(void)
{
    puts("ok");
    fflush(stdout);
}

void console_error(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    console_write_line("error", format, arguments);
    va_end(arguments);
}

char *console_next_word(char **rest)
{
    char *at = *rest + strspn(*rest, " ");
    if (!*at) {
        *rest = at;
        return NULL;
    }
    char *word = at;
    at += strcspn(at, " ");
    if (*at) {
        *at++ = '\0';
    }
    *rest = at;
    return word;
}

bool console_parse_number(const char *word, unsigned long max, unsigned long *out)
{
    char *end = NULL;
    errno = 0;
    unsigned long value = word ? strtoul(word, &end, 10) : 0;
    if (!word || !*word || *word == '-' || *end || errno || value > max) {
        console_error("\"%s\" is no number; allowed: 0 to %lu", word ? word : "", max);
        return false;
    }
    *out = value;
    return true;
}

/* NULL if there is no such command. */
static const struct console_command *command_find(const char *verb)
{
    const struct console_command *lists[] = {console_session_commands, console_server_commands,
                                             console_rest_commands, console_flood_commands};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        for (const struct console_command *each = lists[i]; each->verb; each++) {
            if (strcmp(each->verb, verb) == 0) {
                return each;
            }
        }
    }
    return NULL;
}

static void console_run(struct fake *fake, char *line)
{
    char *rest = line;
    const char *verb = console_next_word(&rest);
    if (!verb) {
        console_error("an empty line is no command");
        return;
    }
    const struct console_command *command = command_find(verb);
    if (!command) {
        console_error("unknown command \"%s\"", verb);
        return;
    }
    struct session *session = NULL;
    if (command->needs_session) {
        const char *app = NULL;
        if (strncmp(rest, "app=", 4) == 0) {
            app = console_next_word(&rest) + 4;
        }
        session = session_find(fake, app);
        if (!session) {
            console_error("%s: no connection%s%s", verb, app ? " of app " : "", app ? app : "");
            return;
        }
    }
    command->run(fake, session, rest);
}

static void console_quit(struct fake *fake)
{
    fake->is_quitting = true;
    lws_cancel_service(fake->lws);
}

static void console_read(struct fake *fake)
{
    char chunk[65536];
    ssize_t n;
    while ((n = read(STDIN_FILENO, chunk, sizeof chunk)) > 0) {
        bytes_append(&input, chunk, (size_t)n);
    }
    if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        console_quit(fake);
    }
    uint8_t *newline;
    while (!fake->is_quitting && input.length > 0 &&
           (newline = memchr(input.data, '\n', input.length)) != NULL) {
        *newline = '\0';
        char *line = strdup((const char *)input.data);
        bytes_consume(&input, (size_t)(newline - input.data) + 1);
        console_run(fake, line);
        free(line);
    }
}

int console_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                     size_t length)
{
    (void)user;
    (void)in;
    (void)length;
    struct fake *fake = lws_context_user(lws_get_context(wsi));
    if (reason == LWS_CALLBACK_RAW_RX_FILE) {
        console_read(fake);
        return fake->is_quitting ? -1 : 0;
    }
    if (reason == LWS_CALLBACK_RAW_CLOSE_FILE) {
        bytes_free(&input);
        console_quit(fake);
    }
    return 0;
}
