/* SPDX-License-Identifier: MPL-2.0 */
/*
 * In which form `arizmq snapshot` and `arizmq history` write.
 */
#ifndef ARIZMQ_CLI_FORM_OPTIONS_H
#define ARIZMQ_CLI_FORM_OPTIONS_H

#include <argp.h>

#include "cli/print.h"

/* For the `children` of a command's parser, whose child input is a struct print_style. A terminal
 * gets lines for a person, all else JSON, where nothing is said. */
extern const struct argp form_options_parser;

#endif
