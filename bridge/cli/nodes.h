/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The command `arizmq nodes`.
 */
#ifndef ARIZMQ_CLI_NODES_H
#define ARIZMQ_CLI_NODES_H

/* Runs the command; argv[0] is "arizmq nodes". Returns the exit status. */
int nodes_run(int argc, char **argv);

#endif
