/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What arizmq tells its caller when it ends; part of its documented interface.
 */
#ifndef ARIZMQ_CLI_EXIT_STATUS_H
#define ARIZMQ_CLI_EXIT_STATUS_H

enum exit_status {
    EXIT_STATUS_OK = 0,
    EXIT_STATUS_FAILED = 1,  /* the output could not be written, no memory */
    EXIT_STATUS_USAGE = 2,   /* an option or argument is wrong */
    EXIT_STATUS_MISSING = 3, /* --check-gaps, and events were lost or may be */
    EXIT_STATUS_TIMEOUT = 4, /* --timeout, and too few messages came */
};

#endif
