/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Checks of single arguments, for the parsers of the commands. Nothing here knows what the argument
 * is for.
 */
#include "cli/arguments.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/exit_status.h"

uint64_t arguments_parse_number(struct argp_state *state, const char *option, const char *text,
                                uint64_t min, uint64_t max)
{
    char *end = NULL;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || number < min || number > max) {
        argp_failure(state, EXIT_STATUS_USAGE, 0,
                     "%s: \"%s\" is not allowed; allowed: %llu to %llu", option, text,
                     (unsigned long long)min, (unsigned long long)max);
    }
    return number;
}

bool arguments_endpoint_is_allowed(const char *endpoint)
{
    return strncmp(endpoint, "tcp://", 6) == 0 || strncmp(endpoint, "ipc://", 6) == 0;
}
