/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What the parsers of several commands check alike.
 */
#ifndef ARIZMQ_CLI_ARGUMENTS_H
#define ARIZMQ_CLI_ARGUMENTS_H

#include <argp.h>
#include <stdbool.h>
#include <stdint.h>

/* Returns the number, min to max. Does not return where the text is none: one line on standard
 * error names option and text, EXIT_STATUS_USAGE. */
uint64_t arguments_parse_number(struct argp_state *state, const char *option, const char *text,
                                uint64_t min, uint64_t max);

/* Whether it is of a transport that bridges are reached by: tcp or ipc. */
bool arguments_endpoint_is_allowed(const char *endpoint);

#endif
