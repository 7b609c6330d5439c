/* SPDX-License-Identifier: MPL-2.0 */
/*
 * history.max_bytes holds for everything, at every moment, whatever is written, read, and changed;
 * what is counted is what malloc() gave; and where malloc() gives nothing, an event is left out and
 * counted. malloc() of the bridge goes through __wrap_malloc(); libzmq has its own.
 */
#include <criterion/criterion.h>
#include <malloc.h>

#include "arizmq/error.h"
#include "history_helpers.h"
#include "ops/metrics.h"

static bool is_memory_gone;

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

void *__wrap_malloc(size_t size)
{
    return is_memory_gone ? NULL : __real_malloc(size);
}

static struct history *make_history(uint64_t max_bytes)
{
    struct config_history config = {.max_bytes = max_bytes, .max_age_ms = 3600000};
    struct history *history = NULL;
    cr_assert_eq(history_create(&config, 1, &history), ARIZMQ_OK);
    history_add_view(history, "events", "inproc://events");
    history_add_view(history, "objects", "inproc://objects");
    return history;
}

static struct written small_event(uint64_t seq)
{
    return (struct written){.size = 300 + seq * 13 % 1000, .messages = 2 + (unsigned)(seq % 2)};
}

static void write_small(struct history *history, uint64_t seq)
{
    history_write(history, seq, small_event(seq));
}

Test(history_bounds, what_is_counted_is_what_is_allocated)
{
    if (mallinfo2().uordblks == 0) {
        cr_skip_test("this malloc tells nothing");
    }
    static const struct {
        size_t size;
        uint64_t max_bytes;
        uint64_t events;
    } rows[] = {{0, 1 << 20, 20000},        {33, 1 << 20, 20000},     {34, 1 << 20, 20000},
                {800, 1 << 16, 3000},       {800, 1 << 20, 10000},    {800, 16 << 20, 50000},
                {2000, 64 << 20, 100000},   {100000, 16 << 20, 1000}, {200000, 16 << 20, 1000},
                {1000001, 128 << 20, 1000}, {0, 20000, 1000}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct mallinfo2 before = mallinfo2();
        struct history *history = make_history(rows[i].max_bytes);
        for (uint64_t seq = 1; seq <= rows[i].events; seq++) {
            history_write(history, seq, (struct written){.size = rows[i].size, .messages = 2});
            cr_assert_leq(metrics_get(METRIC_HISTORY_BYTES), rows[i].max_bytes);
        }
        struct mallinfo2 after = mallinfo2();
        double allocated =
            (double)(after.uordblks + after.hblkhd) - (double)(before.uordblks + before.hblkhd);
        double counted = (double)metrics_get(METRIC_HISTORY_BYTES);
        cr_assert_gt(metrics_get(METRIC_HISTORY_TRIMMED), 0, "%zu: the bound was not met", i);
        cr_assert_gt(counted, 0.9 * (double)rows[i].max_bytes - 8192, "%zu: room is wasted", i);
        /* Not less than is allocated, and hardly more. */
        cr_assert_leq(allocated, counted * 1.001 + 64, "%zu: %.0f of %.0f", i, allocated, counted);
        cr_assert_geq(allocated, counted * 0.98 - 256, "%zu: %.0f of %.0f", i, allocated, counted);
        history_destroy(&history);
    }
}

Test(history_bounds, a_bound_of_nothing_keeps_nothing)
{
    static const uint64_t bounds[] = {0, 1, 1000, sizeof(void *) * 256};
    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++) {
        struct history *history = make_history(bounds[i]);
        struct history_reader *reader = NULL;
        cr_assert_eq(history_reader_create(history, &reader), ARIZMQ_OK);
        uint64_t bytes = metrics_get(METRIC_HISTORY_BYTES);
        uint64_t holes = metrics_get(METRIC_HISTORY_HOLES);
        for (uint64_t seq = 1; seq <= 100; seq++) {
            history_write(history, seq, small_event(seq));
            cr_assert_eq(history_newest(history), seq);
            cr_assert_eq(history_oldest(history), seq + 1);
            cr_assert_eq(history_reader_seek(reader, seq - 1), ARIZMQ_ENOTFOUND);
            cr_assert_eq(history_reader_seek(reader, seq), ARIZMQ_OK);
        }
        /* Where none was wanted none is missing. */
        cr_assert_eq(metrics_get(METRIC_HISTORY_HOLES) - holes, bounds[i] == 0 ? 0 : 100);
        cr_assert_eq(metrics_get(METRIC_HISTORY_BYTES), bytes);
        history_reader_destroy(&reader);
        history_destroy(&history);
    }
}

Test(history_bounds, without_memory_an_event_is_left_out)
{
    struct history *history = make_history(1 << 20);
    struct history_reader *reader = NULL;
    cr_assert_eq(history_reader_create(history, &reader), ARIZMQ_OK);
    uint64_t seq = 1;
    write_small(history, seq);
    for (unsigned round = 0; round < 200; round++) {
        uint64_t holes = metrics_get(METRIC_HISTORY_HOLES);
        is_memory_gone = true;
        do { /* until the segment is full */
            write_small(history, ++seq);
        } while (metrics_get(METRIC_HISTORY_HOLES) == holes);
        is_memory_gone = false;
        uint64_t hole = seq;
        write_small(history, ++seq);
        const struct history_event *event = NULL;
        cr_assert_eq(history_reader_seek(reader, hole - 1), ARIZMQ_OK, "%" PRIu64, hole);
        cr_assert_eq(history_reader_next(reader, &event), ARIZMQ_OK);
        cr_assert_eq(event->seq, hole);
        cr_assert_null(event->payload);
        cr_assert_eq(history_reader_next(reader, &event), ARIZMQ_OK);
        cr_assert_null(wrong_event(reader, event, small_event(seq)));
        cr_assert_leq(metrics_get(METRIC_HISTORY_BYTES), 1 << 20);
    }
    history_reader_destroy(&reader);
    history_destroy(&history);
}

Test(history_bounds, a_lower_bound_is_reached_step_by_step)
{
    struct history *history = make_history(16 << 20);
    uint64_t seq = 0;
    while (metrics_get(METRIC_HISTORY_TRIMMED) == 0) {
        write_small(history, ++seq);
    }
    struct config_history lower = {.max_bytes = 1 << 20, .max_age_ms = 3600000};
    history_set_config(history, &lower);
    uint64_t events = metrics_get(METRIC_HISTORY_EVENTS);
    cr_assert_eq(metrics_get(METRIC_HISTORY_MAX_BYTES), 1 << 20);
    while (metrics_get(METRIC_HISTORY_BYTES) > lower.max_bytes) {
        write_small(history, ++seq);
        cr_assert_lt(metrics_get(METRIC_HISTORY_EVENTS), events);
        cr_assert_gt(metrics_get(METRIC_HISTORY_EVENTS) + 1000, events, "all at once");
        events = metrics_get(METRIC_HISTORY_EVENTS);
    }
    cr_assert_eq(metrics_get(METRIC_HISTORY_HOLES), 0);
    for (unsigned i = 0; i < 2000; i++) {
        write_small(history, ++seq);
        cr_assert_leq(metrics_get(METRIC_HISTORY_BYTES), lower.max_bytes);
    }
    /* A higher one at once, and heartbeats alone suffice for a lower one. */
    struct config_history higher = {.max_bytes = 8 << 20, .max_age_ms = 3600000};
    history_set_config(history, &higher);
    while (metrics_get(METRIC_HISTORY_BYTES) < (4 << 20)) {
        write_small(history, ++seq);
    }
    lower.max_bytes = 0;
    history_set_config(history, &lower);
    for (unsigned i = 0; i < 100; i++) {
        history_expire(history, 1);
    }
    cr_assert_eq(metrics_get(METRIC_HISTORY_EVENTS), 0);
    cr_assert_eq(history_oldest(history), seq + 1);
    history_destroy(&history);
}

/* --- anything in any order, against a model */

enum { MODEL_EVENTS = 60000 };

static struct written model[MODEL_EVENTS + 1];
static bool model_holes[MODEL_EVENTS + 1];

static struct written random_event(void)
{
    long dice = random() % 1000;
    if (dice == 0) {
        return (struct written){.size = (size_t)(random() % 300000), .messages = 1};
    }
    if (dice < 5) {
        return (struct written){.size = 500, .messages = (unsigned)(random() % 1000)};
    }
    return (struct written){.size = (size_t)(random() % 1500),
                            .messages = (unsigned)(random() % 6)};
}

struct walker {
    struct history_reader *reader;
    bool stands;
    uint64_t next;
};

static void walk(struct history *history, struct walker *walker)
{
    uint64_t newest = history_newest(history);
    if (!walker->stands || random() % 50 == 0) {
        uint64_t after = (uint64_t)random() % (newest + 2);
        int result = history_reader_seek(walker->reader, after);
        bool is_held = after + 1 >= history_oldest(history);
        cr_assert_eq(result, is_held ? ARIZMQ_OK : ARIZMQ_ENOTFOUND);
        walker->stands = is_held;
        walker->next = after + 1;
        return;
    }
    const struct history_event *event = NULL;
    if (history_reader_next(walker->reader, &event) != ARIZMQ_OK) {
        cr_assert_lt(walker->next, history_oldest(history));
        walker->stands = false;
        return;
    }
    if (event == NULL) {
        cr_assert_gt(walker->next, newest);
        return;
    }
    cr_assert_eq(event->seq, walker->next);
    walker->next++;
    cr_assert_eq(event->payload == NULL, model_holes[event->seq], "%" PRIu64, event->seq);
    if (event->payload != NULL) {
        const char *wrong = wrong_event(walker->reader, event, model[event->seq]);
        cr_assert_null(wrong, "%" PRIu64 ": %s", event->seq, wrong);
    }
}

Test(history_bounds, anything_in_any_order, .timeout = 100)
{
    srandom(1795444501);
    struct history *history = make_history(200000);
    struct walker walkers[HISTORY_READERS_MAX] = {0};
    for (unsigned i = 0; i < HISTORY_READERS_MAX; i++) {
        cr_assert_eq(history_reader_create(history, &walkers[i].reader), ARIZMQ_OK);
    }
    uint64_t bound = 200000;
    for (uint64_t seq = 1; seq <= MODEL_EVENTS; seq++) {
        uint64_t holes = metrics_get(METRIC_HISTORY_HOLES);
        model[seq] = random_event();
        is_memory_gone = random() % 500 == 0;
        history_write(history, seq, model[seq]);
        is_memory_gone = false;
        model_holes[seq] = metrics_get(METRIC_HISTORY_HOLES) > holes;
        for (long i = random() % 6; i > 0; i--) {
            walk(history, &walkers[random() % HISTORY_READERS_MAX]);
        }
        if (random() % 1000 == 0) {
            history_expire(history, written_ns(seq) + (uint64_t)random() % 2 * 3600000000000U);
        }
        if (random() % 5000 == 0) {
            bound = 50000 + (uint64_t)random() % 400000;
            struct config_history config = {.max_bytes = bound, .max_age_ms = 3600000};
            history_set_config(history, &config);
            for (unsigned i = 0; i < HISTORY_READERS_MAX; i++) {
                history_reader_rest(walkers[i].reader);
                walkers[i].stands = false;
            }
            history_expire(history, 1);
        }
        cr_assert_leq(metrics_get(METRIC_HISTORY_BYTES), bound);
    }
    for (unsigned i = 0; i < HISTORY_READERS_MAX; i++) {
        history_reader_destroy(&walkers[i].reader);
    }
    cr_assert_gt(metrics_get(METRIC_HISTORY_TRIMMED), MODEL_EVENTS / 2);
    history_destroy(&history);
}
