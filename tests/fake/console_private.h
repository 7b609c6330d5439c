/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What console.c (lines in and out) and commands_*.c (what each command does) need of each other.
 */
#ifndef ARIZMQ_FAKE_CONSOLE_PRIVATE_H
#define ARIZMQ_FAKE_CONSOLE_PRIVATE_H

#include "fake.h"

struct console_command {
    const char *verb;
    bool needs_session;
    /* Answers with exactly one console_ok() or console_error(). `rest` may be changed. */
    void (*run)(struct fake *fake, struct session *session, char *rest);
};

/* Each list ends with an entry without verb. */
extern const struct console_command console_session_commands[]; /* commands_session.c */
extern const struct console_command console_server_commands[];  /* commands_server.c */
extern const struct console_command console_rest_commands[];    /* commands_rest.c */
extern const struct console_command console_flood_commands[];   /* flood.c */

void console_ok(const char *format, ...) __attribute__((format(printf, 1, 2)));
void console_done(void); /* "ok" and nothing more */
void console_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The next word, ended by a NUL, with *rest moved behind it; NULL if there is none. */
char *console_next_word(char **rest);
/* Answers with an error itself when `word` is NULL, no number or above max. */
bool console_parse_number(const char *word, unsigned long max, unsigned long *out);

#endif
