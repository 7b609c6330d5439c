/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A recording on its way to a client: every line of a file becomes one unfragmented text frame.
 * The frames are built once, back to back, so that playing is nothing but large writes. Called by
 * session.c, which writes; this file only says what may be written now.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fake.h"

struct play {
    struct session *session;
    struct bytes frames;
    size_t *ends; /* ends[i]: where frame i ends in `frames` */
    size_t count;
    size_t position; /* in `frames` */
    size_t current;  /* the frame at `position` */
    uint64_t frames_sent;
    uint64_t bytes_sent;
    unsigned rate;       /* frames in a second; 0: no limit */
    unsigned loops_left; /* 0: for ever */
    bool is_endless;
    bool is_done;
    struct timespec start;
    lws_sorted_usec_list_t timer;
};

static uint64_t play_elapsed_us(const struct play *play)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)((now.tv_sec - play->start.tv_sec) * 1000000 +
                      (now.tv_nsec - play->start.tv_nsec) / 1000);
}

static void play_timer_fired(lws_sorted_usec_list_t *timer)
{
    struct play *play = lws_container_of(timer, struct play, timer);
    session_flush(play->session);
}

static int play_load(struct play *play, const char *path)
{
    FILE *file = fopen(path, "r");
    if (!file) {
        return -1;
    }
    char *line = NULL;
    size_t size = 0;
    size_t capacity = 0;
    ssize_t length;
    while ((length = getdelim(&line, &size, '\n', file)) > 0) {
        length -= line[length - 1] == '\n';
        if (length == 0) {
            continue;
        }
        frame_append(&play->frames, true, FRAME_TEXT, line, (size_t)length);
        if (play->count == capacity) {
            capacity = capacity ? capacity * 2 : 1024;
            size_t *grown = realloc(play->ends, capacity * sizeof *grown);
            if (!grown) {
                abort();
            }
            play->ends = grown;
        }
        play->ends[play->count++] = play->frames.length;
    }
    free(line);
    int failed = ferror(file);
    fclose(file);
    return failed ? -1 : 0;
}

struct play *play_create(struct session *session, const char *path, unsigned rate, unsigned loops,
                         char *error, size_t error_size)
{
    struct play *play = calloc(1, sizeof *play);
    if (!play) {
        abort();
    }
    if (play_load(play, path)) {
        snprintf(error, error_size, "%s: %s", path, strerror(errno));
        play_destroy(&play);
        return NULL;
    }
    if (play->count == 0) {
        snprintf(error, error_size, "%s: holds no line", path);
        play_destroy(&play);
        return NULL;
    }
    play->session = session;
    play->rate = rate;
    play->loops_left = loops;
    play->is_endless = loops == 0;
    clock_gettime(CLOCK_MONOTONIC, &play->start);
    return play;
}

void play_destroy(struct play **self)
{
    struct play *play = *self;
    if (!play) {
        return;
    }
    lws_sul_cancel(&play->timer);
    bytes_free(&play->frames);
    free(play->ends);
    free(play);
    *self = NULL;
}

size_t play_lines(const struct play *play)
{
    return play->count;
}

bool play_is_done(const struct play *play)
{
    return play->is_done;
}

size_t play_partial(const struct play *play, const uint8_t **data)
{
    size_t begin = play->current ? play->ends[play->current - 1] : 0;
    if (play->position == begin) {
        return 0;
    }
    *data = play->frames.data + play->position;
    return play->ends[play->current] - play->position;
}

size_t play_available(struct play *play, const uint8_t **data)
{
    *data = play->frames.data + play->position;
    if (play->rate == 0) {
        return play->frames.length - play->position;
    }
    uint64_t due = play_elapsed_us(play) * play->rate / 1000000 + 1;
    if (due <= play->frames_sent) {
        lws_usec_t wait_us = 1000000 / play->rate;
        lws_sul_schedule(play->session->fake->lws, 0, &play->timer, play_timer_fired,
                         wait_us > 1000 ? wait_us : 1000);
        return 0;
    }
    uint64_t last = play->current + (due - play->frames_sent) - 1;
    if (last >= play->count) {
        last = play->count - 1;
    }
    return play->ends[last] - play->position;
}

void play_advance(struct play *play, size_t written)
{
    play->position += written;
    play->bytes_sent += written;
    while (play->current < play->count && play->position >= play->ends[play->current]) {
        play->current++;
        play->frames_sent++;
        play->session->fake->stats.frames_sent++;
    }
    if (play->current < play->count) {
        return;
    }
    play->current = 0;
    play->position = 0;
    if (!play->is_endless && --play->loops_left == 0) {
        play->is_done = true;
    }
}

void play_report(const struct play *play, const char *how)
{
    console_event("play %s id=%u app=%s frames=%llu bytes=%llu elapsed_us=%llu", how,
                  play->session->id, play->session->apps, (unsigned long long)play->frames_sent,
                  (unsigned long long)play->bytes_sent, (unsigned long long)play_elapsed_us(play));
}
