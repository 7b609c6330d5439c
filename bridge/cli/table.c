/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Lays a table out: all cells are made first, then written in columns that fit them. nodes.c says
 * what stands in a cell.
 */
#include "cli/table.h"

#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"

/* Returns the cell's text for free(), the heading where `row` is NULL; NULL without memory. */
static char *make_cell(const struct table_column *column, const json_t *row)
{
    char *text = NULL;
    size_t length = 0;
    FILE *memory = open_memstream(&text, &length);
    if (memory == NULL) {
        return NULL;
    }
    if (row == NULL) {
        fputs(column->heading, memory);
    } else {
        column->write(memory, row, column->member);
    }
    if (fclose(memory) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

static void write_cells(const struct table_column *columns, size_t count, char **cells,
                        size_t cells_count, const int *widths)
{
    for (size_t i = 0; i < cells_count; i++) {
        size_t column = i % count;
        bool is_last = column == count - 1;
        bool is_padded = !is_last || columns[column].is_number;
        int width = is_padded ? widths[column] : 0;
        printf("%*s%s", columns[column].is_number ? width : -width, cells[i],
               is_last ? "\n" : "  ");
    }
}

int table_write(const struct table_column *columns, size_t count, const json_t *rows)
{
    size_t cells_count = (json_array_size(rows) + 1) * count;
    int rc = ARIZMQ_ENOMEM;
    int *widths = calloc(count, sizeof *widths);
    char **cells = calloc(cells_count, sizeof *cells);
    if (widths == NULL || cells == NULL) {
        goto cleanup;
    }
    for (size_t i = 0; i < cells_count; i++) {
        const json_t *row = i < count ? NULL : json_array_get(rows, i / count - 1);
        cells[i] = make_cell(&columns[i % count], row);
        if (cells[i] == NULL) {
            goto cleanup;
        }
        int width = (int)strlen(cells[i]);
        widths[i % count] = width > widths[i % count] ? width : widths[i % count];
    }
    write_cells(columns, count, cells, cells_count, widths);
    rc = ARIZMQ_OK;
cleanup:
    for (size_t i = 0; cells != NULL && i < cells_count; i++) {
        free(cells[i]);
    }
    free(cells);
    free(widths);
    return rc;
}
