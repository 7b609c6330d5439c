/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Parses --connect and --timeout-ms for the commands that ask the gateway. argp calls it as a child
 * of the command's own parser.
 */
#include "cli/client_options.h"

#include <stdlib.h>
#include <string.h>

#include "arizmq/gateway.h"
#include "cli/arguments.h"
#include "cli/exit_status.h"

enum { KEY_TIMEOUT_MS = 0x200, TIMEOUT_MS_MAX = 3600000 };

/* --timeout is understood too, as an abbreviation. */
static const struct argp_option option_list[] = {
    {"connect", 'c', "ENDPOINT", 0,
     "Where the gateway is, tcp://HOST:PORT or ipc://PATH (default " ARIZMQ_GATEWAY_ENDPOINT ")",
     0},
    {"timeout-ms", KEY_TIMEOUT_MS, "MS", 0,
     "How long the bridge may take, in milliseconds (default 5000); the tool waits a second longer",
     0},
    {0},
};

static void take_endpoint(struct argp_state *state, const char *source, const char *endpoint)
{
    struct client_options *options = state->input;
    if (!arguments_endpoint_is_allowed(endpoint)) {
        argp_failure(
            state, EXIT_STATUS_USAGE, 0,
            "%s: \"%s\" is no endpoint to connect to; allowed: tcp://HOST:PORT, ipc://PATH", source,
            endpoint);
    }
    options->endpoint = endpoint;
}

static void fill_defaults(struct argp_state *state)
{
    const struct client_options *options = state->input;
    const char *variable = getenv("ARIZMQ_GATEWAY_CONNECT");
    if (options->endpoint == NULL && variable != NULL && *variable != '\0') {
        take_endpoint(state, "ARIZMQ_GATEWAY_CONNECT", variable);
    }
    if (options->endpoint == NULL) {
        take_endpoint(state, "--connect", ARIZMQ_GATEWAY_ENDPOINT);
    }
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct client_options *options = state->input;
    switch (key) {
    case 'c':
        if (options->endpoint != NULL) {
            argp_failure(state, EXIT_STATUS_USAGE, 0,
                         "--connect: \"%s\" is one too many; a request goes to one gateway",
                         argument);
        }
        take_endpoint(state, "--connect", argument);
        return 0;
    case KEY_TIMEOUT_MS:
        options->timeout_ms =
            (uint32_t)arguments_parse_number(state, "--timeout-ms", argument, 1, TIMEOUT_MS_MAX);
        return 0;
    case ARGP_KEY_INIT:
        *options = (struct client_options){.timeout_ms = ARIZMQ_GATEWAY_TIMEOUT_MS};
        return 0;
    case ARGP_KEY_END:
        fill_defaults(state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp client_options_parser = {.options = option_list, .parser = parse_option};
