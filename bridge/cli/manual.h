/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Help in the shape of a manual page, for arizmq and each of its commands.
 */
#ifndef ARIZMQ_CLI_MANUAL_H
#define ARIZMQ_CLI_MANUAL_H

#include <argp.h>
#include <stdio.h>

/* Lines end in newlines and are not indented; the options come from the parser. */
struct manual {
    const char *name; /* as typed: "arizmq sub" */
    const char *summary;
    const char *synopsis;
    const char *description;
    const char *examples;
    const char *exit_status;
};

/* Keys for an argp option list; the parser of every command answers them with manual_write() and
 * manual_write_usage(). */
enum { MANUAL_KEY_HELP = '?', MANUAL_KEY_USAGE = 0x1000 };
#define MANUAL_OPTIONS                                                                             \
    {"help", MANUAL_KEY_HELP, NULL, 0, "Show this manual and end", -1},                            \
    {                                                                                              \
        "usage", MANUAL_KEY_USAGE, NULL, 0, "Show the synopsis and end", -1                        \
    }

void manual_write(FILE *out, const struct manual *manual, const struct argp *argp);
void manual_write_usage(FILE *out, const struct manual *manual);

#endif
