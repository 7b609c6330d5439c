/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What was asked of `arizmq sub`.
 */
#ifndef ARIZMQ_CLI_SUB_OPTIONS_H
#define ARIZMQ_CLI_SUB_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/print.h"

struct sub_options {
    const char **prefixes; /* at least one, "" where none was given; borrowed from argv */
    size_t prefixes_count;
    const char **endpoints; /* at least one; borrowed from argv or `environment` */
    size_t endpoints_count;
    char *environment;     /* copy of ARIZMQ_CONNECT, cut into endpoints; NULL where unused */
    const char **gateways; /* one for each endpoint, in their order */
    size_t gateways_count;
    char **gateway_texts; /* those of them that were made here, one for each endpoint or NULL */
    struct print_style style;
    uint64_t messages_max; /* UINT64_MAX: no --count */
    uint64_t timeout_ms;   /* 0: none */
    int rcvhwm;            /* 1 to SUB_RCVHWM_MAX */
    bool check_gaps;
    bool heartbeats; /* show them although no prefix asks for them */
    bool no_repair;
    bool snapshot;
};

enum { SUB_RCVHWM_DEFAULT = 100000, SUB_RCVHWM_MAX = 100000000 };

/* Reads the arguments (argv[0] is the name for messages) and the environment, and asks whether
 * standard output is a terminal. Does not return if something is wrong (one line on standard
 * error, EXIT_STATUS_USAGE) or if help was asked for. sub_options_clear() frees what it made. */
void sub_options_parse(int argc, char **argv, struct sub_options *out);
void sub_options_clear(struct sub_options *options);

#endif
