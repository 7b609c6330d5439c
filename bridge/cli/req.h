/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The command `arizmq req`.
 */
#ifndef ARIZMQ_CLI_REQ_H
#define ARIZMQ_CLI_REQ_H

/* Runs the command; argv[0] is "arizmq req". Returns the exit status. */
int req_run(int argc, char **argv);

#endif
