/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The options of every command that asks the gateway: where it is, and how long to wait.
 */
#ifndef ARIZMQ_CLI_CLIENT_OPTIONS_H
#define ARIZMQ_CLI_CLIENT_OPTIONS_H

#include <argp.h>
#include <stdint.h>

struct client_options {
    const char *endpoint; /* borrowed from argv or the environment; "" never */
    uint32_t timeout_ms;
};

/* For the `children` of a command's parser, whose child_inputs[0] is a struct client_options. */
extern const struct argp client_options_parser;

#define CLIENT_OPTIONS_ENVIRONMENT                                                                 \
    "The environment variable ARIZMQ_GATEWAY_CONNECT holds the endpoint for use without\n"         \
    "--connect.\n"

#endif
