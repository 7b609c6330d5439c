/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The recordings, line by line. Lines end at \n and nowhere else: Asterisk sends U+2028 and the
 * like as they are.
 */
#ifndef ARIZMQ_TESTS_RECORDINGS_H
#define ARIZMQ_TESTS_RECORDINGS_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

/* Calls `visit` with each line of the recording CAPTURES/`name`.jsonl, without its \n. Returns how
 * many there were. */
static inline size_t recordings_each(const char *name,
                                     void (*visit)(const char *line, size_t length, void *context),
                                     void *context)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s.jsonl", CAPTURES, name);
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file, "cannot open %s", path);
    char *line = NULL;
    size_t room = 0;
    size_t lines = 0;
    ssize_t length = 0;
    while ((length = getdelim(&line, &room, '\n', file)) > 0) {
        visit(line, (size_t)length - (line[length - 1] == '\n'), context);
        lines++;
    }
    free(line);
    fclose(file);
    return lines;
}

/* The recordings of events, and how many lines each has. */
static const struct {
    const char *name;
    size_t lines;
} recordings[] = {
    {"coverage", 3457},
    {"coverage-16", 3055},
    {"calls-1000-app", 15000},
    {"outbound", 44},
};

static inline void
recordings_each_event(void (*visit)(const char *line, size_t length, void *context), void *context)
{
    for (size_t i = 0; i < sizeof recordings / sizeof recordings[0]; i++) {
        size_t lines = recordings_each(recordings[i].name, visit, context);
        cr_assert_eq(lines, recordings[i].lines, "%s has %zu lines", recordings[i].name, lines);
    }
}

#endif
