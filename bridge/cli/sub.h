/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The command `arizmq sub`.
 */
#ifndef ARIZMQ_CLI_SUB_H
#define ARIZMQ_CLI_SUB_H

/* Runs the command; argv[0] is "arizmq sub". Returns the exit status, enum exit_status. */
int sub_run(int argc, char **argv);

#endif
