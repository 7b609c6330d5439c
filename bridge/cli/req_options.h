/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What was asked of `arizmq req`.
 */
#ifndef ARIZMQ_CLI_REQ_OPTIONS_H
#define ARIZMQ_CLI_REQ_OPTIONS_H

#include <jansson.h>
#include <stdbool.h>

#include "cli/client_options.h"

struct req_options {
    struct client_options client;
    json_t *header;        /* the request's, as far as it was given */
    json_t *pairs;         /* array of {"name","value"} */
    const char *body_file; /* "-": standard input; NULL: none; borrowed from argv */
    const char *json;      /* a JSON text as the body; NULL: none; borrowed from argv */
    unsigned retries;
    unsigned arguments; /* how many were seen */
    bool shows_header;
    bool is_raw;
};

enum { REQ_RETRIES_MAX = 1000 };

/* Reads the arguments (argv[0] is the name for messages) and the environment. Does not return if
 * something is wrong (one line on standard error, EXIT_STATUS_USAGE) or if help was asked for.
 * req_options_clear() frees what it made. */
void req_options_parse(int argc, char **argv, struct req_options *out);
void req_options_clear(struct req_options *options);

#endif
