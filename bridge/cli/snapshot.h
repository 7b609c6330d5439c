/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The command `arizmq snapshot`.
 */
#ifndef ARIZMQ_CLI_SNAPSHOT_H
#define ARIZMQ_CLI_SNAPSHOT_H

/* Runs the command; argv[0] is "arizmq snapshot". Returns the exit status. */
int snapshot_run(int argc, char **argv);

#endif
