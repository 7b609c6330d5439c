/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Parses --human, --json, --pretty and --topics. argp calls it as a child of the command's own
 * parser.
 */
#include "cli/form_options.h"

#include <unistd.h>

enum { KEY_HUMAN = 0x300, KEY_JSON, KEY_PRETTY, KEY_TOPICS };

static const struct argp_option option_list[] = {
    {"human", KEY_HUMAN, NULL, 0, "Write lines for a person, in a pipe too", 1},
    {"json", KEY_JSON, NULL, 0, "Write one JSON object a line, on a terminal too", 1},
    {"pretty", KEY_PRETTY, NULL, 0, "Write everything, indented", 1},
    {"topics", KEY_TOPICS, NULL, 0, "Write names only: topics, or kind and id", 1},
    {0},
};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct print_style *style = state->input;
    (void)argument;
    switch (key) {
    case ARGP_KEY_INIT:
        *style = (struct print_style){.form = isatty(STDOUT_FILENO) ? PRINT_FORM_HUMAN
                                                                    : PRINT_FORM_JSON};
        return 0;
    case KEY_HUMAN:
        style->form = PRINT_FORM_HUMAN;
        return 0;
    case KEY_JSON:
        style->form = PRINT_FORM_JSON;
        return 0;
    case KEY_PRETTY:
        style->form = PRINT_FORM_PRETTY;
        return 0;
    case KEY_TOPICS:
        style->form = PRINT_FORM_TOPICS;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp form_options_parser = {.options = option_list, .parser = parse_option};
