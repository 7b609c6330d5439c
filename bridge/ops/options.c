/* SPDX-License-Identifier: MPL-2.0 */
/*
 * arizmqd's command line, read by argp. main.c calls it first of all. It opens nothing and judges
 * no value of the configuration: that is config_load()'s, whose last layer the flags are.
 */
#include "ops/options.h"

#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    EXIT_USAGE = 2,
    KEY_CHECK_CONFIG = 0x100,
    KEY_DUMP_CONFIG,
    KEY_LOG_LEVEL,
    KEY_TAKEOVER,
    KEY_TAKEOVER_WAIT,
    TAKEOVER_WAIT_MS = 2000,
    TAKEOVER_WAIT_MAX_MS = 600000,
};

const char *argp_program_version = "arizmqd " ARIZMQ_VERSION;

static const struct argp_option table[] = {
    {"config", 'c', "FILE", 0, "Read this YAML file; without it the environment is all", 0},
    {"check-config", KEY_CHECK_CONFIG, NULL, 0, "Load the configuration, report, exit", 0},
    {"dump-config", KEY_DUMP_CONFIG, NULL, 0,
     "Write the effective configuration without secrets, exit", 0},
    {"takeover", KEY_TAKEOVER, "ENDPOINT[,...]", 0,
     "Take over from the running bridges with these gateways, without losing an event", 0},
    {"takeover-wait", KEY_TAKEOVER_WAIT, "MS", 0,
     "Give subscribers so long to connect before that; default 2000", 0},
    {"log-level", KEY_LOG_LEVEL, "LEVEL", 0, "error, warning, info or debug", 0},
    {0},
};

static uint32_t parse_wait(const char *text, const struct argp_state *state)
{
    char *end = NULL;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 ||
        value > TAKEOVER_WAIT_MAX_MS) {
        argp_error(state, "--takeover-wait: \"%s\" is no number of milliseconds; allowed: 0 to %d",
                   text, TAKEOVER_WAIT_MAX_MS);
    }
    return (uint32_t)value;
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct options *options = state->input;
    switch (key) {
    case 'c':
        options->config_file = argument;
        return 0;
    case KEY_CHECK_CONFIG:
        options->check_config = true;
        return 0;
    case KEY_DUMP_CONFIG:
        options->dump_config = true;
        return 0;
    case KEY_LOG_LEVEL:
        options->log_level = argument;
        return 0;
    case KEY_TAKEOVER:
        options->takeover = argument;
        return 0;
    case KEY_TAKEOVER_WAIT:
        options->takeover_wait_ms = parse_wait(argument, state);
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state,
                   "\"%s\" is no option; allowed: options only; for a configuration file "
                   "use -c %s",
                   argument, argument);
        return EINVAL;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

void options_parse(int argc, char **argv, struct options *out)
{
    static const struct argp argp = {
        .options = table,
        .parser = parse_option,
        .doc = "Bridge from Asterisk's REST Interface (ARI) to ZeroMQ: publishes every event of "
               "one or more Asterisks on ZeroMQ sockets.\v"
               "Values are taken from the defaults, the file, the environment (ARIZMQ_... and "
               "ARI_...) and the flags; a later one wins.",
    };
    struct options options = {.takeover_wait_ms = TAKEOVER_WAIT_MS};
    argp_err_exit_status = EXIT_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, &options);
    *out = options;
}
