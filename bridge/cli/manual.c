/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Writes the manual of arizmq or one of its commands for --help. The list of options is argp's, so
 * that the manual cannot disagree with the parser.
 */
#include "cli/manual.h"

#include <string.h>

/* One section, every line indented as man does. */
static void write_section(FILE *out, const char *heading, const char *text)
{
    fprintf(out, "\n%s\n", heading);
    while (*text != '\0') {
        size_t length = strcspn(text, "\n");
        fprintf(out, "%s%.*s\n", length > 0 ? "       " : "", (int)length, text);
        text += length;
        text += *text == '\n';
    }
}

void manual_write(FILE *out, const struct manual *manual, const struct argp *argp)
{
    fprintf(out, "NAME\n       %s - %s\n", manual->name, manual->summary);
    write_section(out, "SYNOPSIS", manual->synopsis);
    write_section(out, "DESCRIPTION", manual->description);
    fputs("\nOPTIONS\n", out);
    argp_help(argp, out, ARGP_HELP_LONG, (char *)manual->name);
    write_section(out, "EXAMPLES", manual->examples);
    write_section(out, "EXIT STATUS", manual->exit_status);
}

void manual_write_usage(FILE *out, const struct manual *manual)
{
    fprintf(out, "Usage: %sTry '%s --help' for the manual.\n", manual->synopsis, manual->name);
}
