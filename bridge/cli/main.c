/* SPDX-License-Identifier: MPL-2.0 */
/*
 * arizmq, the tool people type: finds the command in the table and runs it. The options of a
 * command are its own affair; here are only those that stand before it.
 */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/exit_status.h"
#include "cli/history.h"
#include "cli/manual.h"
#include "cli/nodes.h"
#include "cli/req.h"
#include "cli/snapshot.h"
#include "cli/sub.h"

struct command {
    const char *name;
    const char *summary;
    char *full_name; /* its argv[0]: what its messages begin with */
    int (*run)(int argc, char **argv);
};

static char sub_name[] = "arizmq sub";
static char req_name[] = "arizmq req";
static char nodes_name[] = "arizmq nodes";
static char snapshot_name[] = "arizmq snapshot";
static char history_name[] = "arizmq history";
static const struct command commands[] = {
    {"sub", "look at the events that arizmqd publishes", sub_name, sub_run},
    {"req", "send a command to Asterisk and show the reply", req_name, req_run},
    {"nodes", "show the Asterisks and how they are", nodes_name, nodes_run},
    {"snapshot", "show every object that there is", snapshot_name, snapshot_run},
    {"history", "look at the events that were published", history_name, history_run},
};

static const struct manual main_manual = {
    .name = "arizmq",
    .summary = "talk to arizmqd, the bridge from Asterisk's ARI to ZeroMQ",
    .synopsis = "arizmq [OPTION]... COMMAND [ARGUMENT]...\n",
    .examples = "arizmq sub StasisStart/\n"
                "arizmq req GET channels\n"
                "arizmq nodes\n",
    .exit_status = "0    all went well\n"
                   "1    something failed at run time\n"
                   "2    an option or argument is wrong\n"
                   "Other values are the command's own.\n",
};

enum { KEY_VERSION = 'V' };

static const struct argp_option option_list[] = {
    {"version", KEY_VERSION, NULL, 0, "Show the version and end", -1},
    MANUAL_OPTIONS,
    {0},
};

static error_t parse_option(int key, char *argument, struct argp_state *state);
static const struct argp parser = {.options = option_list, .parser = parse_option};

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

/* The manual, its description made from the table of commands. */
static void write_manual(void)
{
    char *description = NULL;
    size_t length = 0;
    FILE *text = open_memstream(&description, &length);
    if (text == NULL) {
        fputs("arizmq: no memory\n", stderr);
        exit(EXIT_STATUS_FAILED);
    }
    fputs("COMMAND is one of\n\n", text);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        fprintf(text, "    %-8s %s\n", commands[i].name, commands[i].summary);
    }
    fputs("\n'arizmq COMMAND --help' shows the command's manual.\n", text);
    fclose(text);
    struct manual manual = main_manual;
    manual.description = description;
    manual_write(stdout, &manual, &parser);
    free(description);
}

/* Does not return. */
static void refuse_command(struct argp_state *state, const char *name)
{
    fprintf(stderr, "%s: ", state->name);
    if (name == NULL) {
        fputs("no command given", stderr);
    } else {
        fprintf(stderr, "\"%s\" is no command", name);
    }
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        fprintf(stderr, "%s%s", i == 0 ? "; allowed: " : ", ", commands[i].name);
    }
    fprintf(stderr, " ('%s --help' tells more)\n", main_manual.name);
    exit(EXIT_STATUS_USAGE);
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    int *command_index = state->input;
    switch (key) {
    case KEY_VERSION:
        puts("arizmq " ARIZMQ_VERSION);
        exit(EXIT_STATUS_OK);
    case MANUAL_KEY_HELP:
        write_manual();
        exit(EXIT_STATUS_OK);
    case MANUAL_KEY_USAGE:
        manual_write_usage(stdout, &main_manual);
        exit(EXIT_STATUS_OK);
    case ARGP_KEY_ARG:
        if (find_command(argument) == NULL) {
            refuse_command(state, argument);
        }
        *command_index = state->next - 1;
        state->next = state->argc; /* the rest is the command's */
        return 0;
    case ARGP_KEY_NO_ARGS:
        refuse_command(state, NULL);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int main(int argc, char **argv)
{
    int command_index = 0;
    argp_err_exit_status = EXIT_STATUS_USAGE;
    argp_parse(&parser, argc, argv, ARGP_NO_HELP | ARGP_IN_ORDER, NULL, &command_index);
    const struct command *command = find_command(argv[command_index]);
    if (command == NULL) {
        return EXIT_STATUS_USAGE;
    }
    argv[command_index] = command->full_name;
    return command->run(argc - command_index, argv + command_index);
}
