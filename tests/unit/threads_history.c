/* SPDX-License-Identifier: MPL-2.0 */
/*
 * History between threads: one writes at full speed into little room, so that it trims all the
 * time; three read along, each in its own way, and check every byte. Nothing may be given twice,
 * out of order or changed, and whoever is too slow must be told. A plain program, because Criterion
 * cannot run under ThreadSanitizer.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

#include "arizmq/error.h"
#include "history_helpers.h"
#include "ops/metrics.h"

enum { EVENTS_MIN = 100000, READ_MIN = 20000, LOST_MIN = 20, READERS = 3, SECONDS_MAX = 90 };

static struct history *history;
static _Atomic bool is_over;
static _Atomic uint64_t enough; /* readers that have seen what they must */

struct reading {
    unsigned number;
    uint64_t read;
    uint64_t lost;
    uint64_t holes;
};

static void fail(const char *what, uint64_t number)
{
    fprintf(stderr, "%s at %" PRIu64 "\n", what, number);
    exit(EXIT_FAILURE);
}

/* Every thousandth is larger than all the room. */
static bool is_hole(uint64_t seq)
{
    return seq % 1000 == 0;
}

static struct written event_of(uint64_t seq)
{
    return (struct written){.size = is_hole(seq) ? 200000 : seq * 11 % 700,
                            .messages = (unsigned)(seq % 4)};
}

static void *write_events(void *unused)
{
    (void)unused;
    time_t until = time(NULL) + SECONDS_MAX;
    for (uint64_t seq = 1; seq <= EVENTS_MIN || enough < READERS; seq++) {
        history_write(history, seq, event_of(seq));
        if (metrics_get(METRIC_HISTORY_BYTES) > 100000) {
            fail("more bytes than allowed", seq);
        }
        if (seq % 5000 == 0) {
            history_expire(history, UINT64_MAX);
        }
        if (seq % 64 == 0) {
            sched_yield(); /* or the others see nothing but the end */
        }
        if (time(NULL) > until) {
            fail("the readers have not seen enough in time", enough);
        }
    }
    is_over = true;
    return NULL;
}

/* Where to begin anew: at the edge, in the middle, near the end. */
static uint64_t choose_position(const struct reading *reading)
{
    uint64_t oldest = history_oldest(history);
    uint64_t newest = history_newest(history);
    switch ((reading->lost + reading->number) % 3) {
    case 0:
        return oldest - 1;
    case 1:
        return newest > oldest ? (oldest + newest) / 2 : oldest - 1;
    default:
        return newest;
    }
}

/* What lies behind a position is given, each seq once, until the reader is told that it is lost. */
static void read_on(struct history_reader *reader, struct reading *reading, uint64_t after)
{
    for (uint64_t seq = after + 1; !is_over;) {
        const struct history_event *event = NULL;
        if (history_reader_next(reader, &event) != ARIZMQ_OK) {
            if (history_oldest(history) <= seq) {
                fail("lost, and yet it is held", seq);
            }
            return;
        }
        if (event == NULL) {
            sched_yield();
            continue;
        }
        if (event->seq != seq || (event->payload == NULL) != is_hole(seq)) {
            fail("another seq, or another hole", seq);
        }
        const char *wrong =
            event->payload != NULL ? wrong_event(reader, event, event_of(seq)) : NULL;
        if (wrong != NULL) {
            fail(wrong, seq);
        }
        reading->holes += event->payload == NULL;
        reading->read++;
        seq++;
        if (reading->number > 0 && seq % (reading->number * 100) == 0) {
            struct timespec nap = {.tv_nsec = 100000};
            nanosleep(&nap, NULL); /* and is overtaken */
        }
        if (reading->number == 2 && seq % 50 == 0) {
            return; /* leaves of itself */
        }
    }
}

static void *read_events(void *argument)
{
    struct reading *reading = argument;
    struct history_reader *reader = NULL;
    bool has_enough = false;
    while (!is_over) {
        if (reader == NULL && history_reader_create(history, &reader) != ARIZMQ_OK) {
            fail("no reader", reading->number);
        }
        uint64_t after = choose_position(reading);
        if (history_reader_seek(reader, after) == ARIZMQ_OK) {
            read_on(reader, reading, after);
        } else if (history_oldest(history) <= after + 1) {
            fail("not found, and yet it is held", after);
        }
        reading->lost++;
        if (!has_enough && reading->read >= READ_MIN && reading->lost >= LOST_MIN) {
            has_enough = true;
            enough++;
        }
        if (reading->number == 2 && reading->lost % 7 == 0) {
            history_reader_destroy(&reader);
        }
        if (reading->number == 0 && reading->lost < LOST_MIN) {
            history_reader_rest(reader);
        }
    }
    history_reader_destroy(&reader);
    return NULL;
}

int main(void)
{
    struct config_history config = {.max_bytes = 100000, .max_age_ms = 3600000};
    struct reading readings[READERS] = {{.number = 0}, {.number = 1}, {.number = 2}};
    pthread_t readers[READERS];
    pthread_t writer;
    if (history_create(&config, 1, &history) != ARIZMQ_OK ||
        history_add_view(history, "even", "inproc://even") != 0 ||
        history_add_view(history, "odd", "inproc://odd") != 1 ||
        pthread_create(&writer, NULL, write_events, NULL) != 0) {
        fail("no history or no thread", 0);
    }
    for (unsigned i = 0; i < READERS; i++) {
        if (pthread_create(&readers[i], NULL, read_events, &readings[i]) != 0) {
            fail("no thread", i);
        }
    }
    pthread_join(writer, NULL);
    for (unsigned i = 0; i < READERS; i++) {
        pthread_join(readers[i], NULL);
        printf("reader %u: %" PRIu64 " events, %" PRIu64 " holes, %" PRIu64 " times anew\n", i,
               readings[i].read, readings[i].holes, readings[i].lost);
    }
    printf("%" PRIu64 " written, %" PRIu64 " trimmed\n", history_newest(history),
           metrics_get(METRIC_HISTORY_TRIMMED));
    history_destroy(&history);
    return EXIT_SUCCESS;
}
