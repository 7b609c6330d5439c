/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The command `arizmq history`.
 */
#ifndef ARIZMQ_CLI_HISTORY_H
#define ARIZMQ_CLI_HISTORY_H

/* Runs the command; argv[0] is "arizmq history". Returns the exit status. */
int history_run(int argc, char **argv);

#endif
