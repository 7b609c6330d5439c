/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A recording: one JSON text per line, byte for byte. Lines end at LF only; U+2028 and other
 * characters that some libraries take for line ends stand inside the texts.
 */
#ifndef ARIZMQ_HARNESS_CAPTURE_H
#define ARIZMQ_HARNESS_CAPTURE_H

#include <stddef.h>

struct capture_line {
    const char *text; /* not NUL-terminated: it points into the file's content */
    size_t length;    /* without the LF */
};

struct capture {
    char *content;
    size_t content_length;
    struct capture_line *lines;
    size_t count;
};

/* Returns 0, ARIZMQ_ENOTFOUND when the file cannot be opened, or ARIZMQ_EIO. */
int capture_load(const char *path, struct capture **out);
void capture_destroy(struct capture **self);

#endif
