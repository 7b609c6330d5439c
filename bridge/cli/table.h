/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A list of JSON objects as a table on standard output: headings, a line for each object, columns
 * as wide as their widest cell.
 */
#ifndef ARIZMQ_CLI_TABLE_H
#define ARIZMQ_CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <jansson.h>

struct table_column {
    const char *heading;
    const char *member; /* what `write` is to write of the row; NULL where it knows */
    void (*write)(FILE *out, const json_t *row, const char *member);
    bool is_number; /* set to the right */
};

/* Writes the objects of the array `rows`. Returns ARIZMQ_OK, or ARIZMQ_ENOMEM with nothing written.
 */
int table_write(const struct table_column *columns, size_t count, const json_t *rows);

#endif
