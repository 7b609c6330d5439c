/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What arizmq tells its caller when it ends; part of its documented interface. `arizmq req` ends
 * with the class of the reply's status beside these: 3, 4, 5.
 */
#ifndef ARIZMQ_CLI_EXIT_STATUS_H
#define ARIZMQ_CLI_EXIT_STATUS_H

enum exit_status {
    EXIT_STATUS_OK = 0,
    EXIT_STATUS_FAILED = 1,  /* the output could not be written, no memory, no reply */
    EXIT_STATUS_USAGE = 2,   /* an option or argument is wrong */
    EXIT_STATUS_MISSING = 3, /* sub --check-gaps: events were lost or may be; nodes: one is down */
    EXIT_STATUS_TIMEOUT = 4, /* sub --timeout, and too few messages came */
};

#endif
