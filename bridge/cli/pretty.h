/* SPDX-License-Identifier: MPL-2.0 */
/*
 * JSON for a person to read.
 */
#ifndef ARIZMQ_CLI_PRETTY_H
#define ARIZMQ_CLI_PRETTY_H

#include <jansson.h>
#include <stddef.h>
#include <stdio.h>

/* Parses any JSON value, numbers of any size too. NULL: it is no JSON. */
json_t *pretty_parse(const char *bytes, size_t length);

/* Writes JSON text, known to be that, with line breaks and indentation. Only the space between
 * tokens changes: numbers, strings and the order of members stay byte for byte. No newline after
 * it. */
void pretty_write(FILE *out, const char *bytes, size_t length);

#endif
