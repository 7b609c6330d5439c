/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Loads a recording into memory and finds its lines. Called by tests. It never parses a line.
 */
#include "capture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "arizmq/error.h"

static int capture_split(struct capture *capture)
{
    size_t newlines = 0;
    for (size_t i = 0; i < capture->content_length; i++) {
        newlines += capture->content[i] == '\n';
    }
    capture->lines = calloc(newlines + 1, sizeof *capture->lines);
    if (!capture->lines) {
        return ARIZMQ_ENOMEM;
    }
    const char *at = capture->content;
    const char *end = at + capture->content_length;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *line_end = newline ? newline : end;
        capture->lines[capture->count++] =
            (struct capture_line){.text = at, .length = (size_t)(line_end - at)};
        at = line_end + 1;
    }
    return ARIZMQ_OK;
}

int capture_load(const char *path, struct capture **out)
{
    struct capture *capture = NULL;
    struct stat status;
    int result = ARIZMQ_EIO;
    FILE *file = fopen(path, "rb");
    if (!file) {
        return ARIZMQ_ENOTFOUND;
    }
    capture = calloc(1, sizeof *capture);
    if (!capture || fstat(fileno(file), &status)) {
        goto failed;
    }
    capture->content_length = (size_t)status.st_size;
    capture->content = malloc(capture->content_length + 1);
    if (!capture->content ||
        fread(capture->content, 1, capture->content_length, file) != capture->content_length) {
        goto failed;
    }
    result = capture_split(capture);
    if (result) {
        goto failed;
    }
    fclose(file);
    *out = capture;
    return ARIZMQ_OK;
failed:
    fclose(file);
    capture_destroy(&capture);
    return result;
}

void capture_destroy(struct capture **self)
{
    struct capture *capture = *self;
    if (capture) {
        free(capture->lines);
        free(capture->content);
        free(capture);
        *self = NULL;
    }
}
