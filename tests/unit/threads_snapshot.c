/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The state's values between threads: one folds events, which rewrites values in place where it is
 * their only holder, and walks; another prints the snapshots, whose values it holds, and lets them
 * go; a third frees the replies, as ZeroMQ does. Every value must be printed as it was written. A
 * plain program, because Criterion cannot run under ThreadSanitizer.
 */
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <pthread.h>

#include "arizmq/error.h"
#include "event/event.h"
#include "gateway/snapshot_print.h"
#include "keep/state_walk.h"

enum { CHANNELS = 60, SNAPSHOTS = 400, ROOM = 8, TEXT_MAX = 600, ENTRIES_PER_TURN = 7 };

/* From one thread to the next, in order. */
struct pipe {
    pthread_mutex_t mutex;
    void *things[ROOM];
    size_t lengths[ROOM];
    unsigned begin;
    unsigned count;
};

static struct pipe snapshots = {.mutex = PTHREAD_MUTEX_INITIALIZER};
static struct pipe replies = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void fail(const char *what, uint64_t number)
{
    fprintf(stderr, "%s at %" PRIu64 "\n", what, number);
    exit(EXIT_FAILURE);
}

static bool pipe_give(struct pipe *self, void *thing, size_t length)
{
    pthread_mutex_lock(&self->mutex);
    bool has_room = self->count < ROOM;
    if (has_room) {
        unsigned at = (self->begin + self->count++) % ROOM;
        self->things[at] = thing;
        self->lengths[at] = length;
    }
    pthread_mutex_unlock(&self->mutex);
    return has_room;
}

static void *pipe_take(struct pipe *self, size_t *length)
{
    for (;; sched_yield()) {
        void *thing = NULL;
        pthread_mutex_lock(&self->mutex);
        if (self->count > 0) {
            thing = self->things[self->begin];
            *length = self->lengths[self->begin];
            self->begin = (self->begin + 1) % ROOM;
            self->count--;
        }
        pthread_mutex_unlock(&self->mutex);
        if (thing != NULL) {
            return thing;
        }
    }
}

/* Event `seq`: a channel is there, changes, or ends. Both numbers that its value has are the same,
 * and its length changes. */
static void fold(struct state_link *link, uint64_t seq)
{
    char text[TEXT_MAX + SCAN_PADDING] = "";
    const char *type = seq % 11 == 0 ? "ChannelDestroyed" : "ChannelCreated";
    int length = snprintf(text, TEXT_MAX,
                          "{\"type\":\"%s\",\"channel\":{\"id\":\"%" PRIu64 "\",\"a\":%" PRIu64
                          "%*s,\"b\":%" PRIu64 "}}",
                          type, seq * 7 % CHANNELS, seq, (int)(seq % 200), "", seq);
    struct event event;
    event_read(&event, text, (size_t)length, "pbx1", seq);
    event.seq = seq;
    state_fold(link, &event);
    event_release(&event);
}

static void *fold_and_walk(void *unused)
{
    struct config_state config = {.enabled = true, .max_objects = 1000, .max_bytes = 1U << 20};
    struct state *state = NULL;
    uint64_t seq = 0;
    if (state_create(&config, &state) != ARIZMQ_OK) {
        fail("no state", 0);
    }
    struct state_link *link = state_open(state, "pbx1", "ivr", true);
    for (unsigned i = 0; i < SNAPSHOTS; i++) {
        struct snapshot *snapshot = NULL;
        if (link == NULL || state_walk_begin(state, 1U << OBJECT_CHANNEL, NULL, NULL, seq) != 0) {
            fail("no walk", i);
        }
        while ((snapshot = state_walk_on(state, ENTRIES_PER_TURN)) == NULL) {
            fold(link, ++seq);
        }
        while (!pipe_give(&snapshots, snapshot, 0)) {
            fold(link, ++seq); /* values that the snapshot holds, too */
        }
        for (unsigned k = 0; k < CHANNELS; k++) {
            fold(link, ++seq);
        }
    }
    state_destroy(&state); /* while snapshots are still held */
    return unused;
}

static void *print(void *unused)
{
    for (unsigned i = 0; i < SNAPSHOTS; i++) {
        struct snapshot_print printing = {0};
        char *text = NULL;
        size_t length = 0;
        struct snapshot *snapshot = pipe_take(&snapshots, &length);
        if (i % 10 == 9) {
            snapshot_destroy(&snapshot); /* nobody waits for it any more */
            continue;
        }
        if (snapshot_print_begin(&printing, snapshot, 1U << OBJECT_CHANNEL, 1, 1U << 20) != 0) {
            fail("not printed", i);
        }
        while (!snapshot_print_on(&printing, &text, &length)) {
        }
        snapshot_print_end(&printing);
        while (!pipe_give(&replies, text, length)) {
            sched_yield();
        }
    }
    return unused;
}

/* Checks a reply; returns how many channels it has. */
static size_t check(const char *text, size_t length, unsigned number)
{
    json_t *json = json_loadb(text, length, 0, NULL);
    const json_t *channels = json_object_get(json, "channels");
    size_t index = 0;
    json_t *item = NULL;
    json_int_t newest = json_integer_value(json_object_get(json, "seq"));
    if (!json_is_array(channels)) {
        fail("a reply without channels", number);
    }
    json_array_foreach(channels, index, item)
    {
        const json_t *value = json_object_get(item, "value");
        json_int_t a = json_integer_value(json_object_get(value, "a"));
        if (a == 0 || a > newest || a != json_integer_value(json_object_get(value, "b"))) {
            fail("a value that was changed under the snapshot", number);
        }
    }
    json_decref(json);
    return index;
}

int main(void)
{
    pthread_t threads[2];
    size_t channels = 0;
    if (pthread_create(&threads[0], NULL, fold_and_walk, NULL) != 0 ||
        pthread_create(&threads[1], NULL, print, NULL) != 0) {
        fail("no thread", 0);
    }
    for (unsigned i = 0; i < SNAPSHOTS - SNAPSHOTS / 10; i++) {
        size_t length = 0;
        char *text = pipe_take(&replies, &length);
        channels += check(text, length, i);
        free(text);
    }
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    printf("%zu channels in %d snapshots\n", channels, SNAPSHOTS);
    if (channels < SNAPSHOTS * CHANNELS / 2) {
        fail("too few channels, which proves nothing", channels);
    }
    return EXIT_SUCCESS;
}
