/* SPDX-License-Identifier: MPL-2.0 */
/*
 * arizmqd's command line.
 */
#ifndef ARIZMQ_OPS_OPTIONS_H
#define ARIZMQ_OPS_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

struct options {
    const char *config_file;   /* -c, --config; NULL: none, the environment alone */
    const char *log_level;     /* --log-level as given, NULL: not given; config_load() judges it */
    const char *takeover;      /* --takeover: gateways of running bridges; NULL: not given */
    uint32_t takeover_wait_ms; /* --takeover-wait */
    bool check_config;         /* --check-config: load, say whether it is good, exit */
    bool dump_config;          /* --dump-config: load, write the effective configuration, exit */
};

/* Reads the command line; the texts in *out are argv's. --help and --version are answered here and
 * end the process with 0; a usage error ends it with 2 and one line on stderr. Returns only with
 * *out filled. */
void options_parse(int argc, char **argv, struct options *out);

#endif
