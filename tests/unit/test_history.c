/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What is written into history and read from it, in one thread: the edge where it is trimmed,
 * holes, views, age. What it costs in memory is test_history_bounds.c; several threads are
 * threads_history.c.
 */
#include <criterion/criterion.h>

#include "arizmq/error.h"
#include "history_helpers.h"
#include "ops/metrics.h"

enum { EPOCH = 1795444501 };

static const uint64_t second_ns = 1000000000U;

static const struct config_history usual = {.max_bytes = 1 << 20, .max_age_ms = 3600000};

static struct history *make_history(const struct config_history *config)
{
    struct history *history = NULL;
    cr_assert_eq(history_create(config, EPOCH, &history), ARIZMQ_OK);
    cr_assert_eq(history_add_view(history, "events", "tcp://127.0.0.1:5555"), 0);
    cr_assert_eq(history_add_view(history, "objects", "tcp://127.0.0.1:5556"), 1);
    return history;
}

static struct history_reader *make_reader(struct history *history)
{
    struct history_reader *reader = NULL;
    cr_assert_eq(history_reader_create(history, &reader), ARIZMQ_OK);
    return reader;
}

/* An event of its own size and number of messages for each seq. */
static struct written usual_event(uint64_t seq)
{
    return (struct written){.size = seq * 7 % 900, .messages = (unsigned)(seq % 4)};
}

static void write_usual(struct history *history, uint64_t first, uint64_t last)
{
    for (uint64_t seq = first; seq <= last; seq++) {
        history_write(history, seq, usual_event(seq));
    }
}

static void expect_usual(struct history_reader *reader, uint64_t seq)
{
    const struct history_event *event = NULL;
    cr_assert_eq(history_reader_next(reader, &event), ARIZMQ_OK);
    cr_assert_not_null(event, "nothing at %" PRIu64, seq);
    cr_assert_eq(event->seq, seq, "%" PRIu64 " instead of %" PRIu64, event->seq, seq);
    const char *wrong = wrong_event(reader, event, usual_event(seq));
    cr_assert_null(wrong, "%" PRIu64 ": %s", seq, wrong);
    cr_assert_eq(event->received_ns, written_ns(seq));
}

static void expect_hole(struct history_reader *reader, uint64_t seq)
{
    const struct history_event *event = NULL;
    cr_assert_eq(history_reader_next(reader, &event), ARIZMQ_OK);
    cr_assert_not_null(event);
    cr_assert_eq(event->seq, seq);
    cr_assert_null(event->payload);
    cr_assert_eq(event->messages, 0);
}

static void expect_end(struct history_reader *reader)
{
    const struct history_event *event = NULL;
    cr_assert_eq(history_reader_next(reader, &event), ARIZMQ_OK);
    cr_assert_null(event);
}

static void expect_gone(struct history_reader *reader)
{
    static const struct history_event untouched;
    const struct history_event *event = &untouched;
    cr_assert_eq(history_reader_next(reader, &event), ARIZMQ_ENOTFOUND);
    cr_assert_eq(event, &untouched);
}

Test(history, gives_what_was_published)
{
    struct history *history = make_history(&usual);
    struct history_reader *reader = make_reader(history);
    cr_assert_eq(history_epoch(history), EPOCH);
    cr_assert_eq(history_oldest(history), 1);
    cr_assert_eq(history_newest(history), 0);
    cr_assert_eq(history_begun(history), 0);
    cr_assert_eq(history_reader_seek(reader, 0), ARIZMQ_OK);
    expect_end(reader);
    write_usual(history, 1, 500);
    cr_assert_eq(history_oldest(history), 1);
    cr_assert_eq(history_newest(history), 500);
    for (uint64_t seq = 1; seq <= 500; seq++) {
        expect_usual(reader, seq);
    }
    expect_end(reader);
    write_usual(history, 501, 501);
    expect_usual(reader, 501);
    for (uint64_t after = 0; after <= 500; after++) {
        cr_assert_eq(history_reader_seek(reader, after), ARIZMQ_OK);
        expect_usual(reader, after + 1);
    }
    cr_assert_eq(metrics_get(METRIC_HISTORY_EVENTS), 501);
    cr_assert_eq(metrics_get(METRIC_HISTORY_OLDEST), 1);
    history_reader_destroy(&reader);
    cr_assert_null(reader);
    history_destroy(&history);
    cr_assert_null(history);
}

Test(history, can_be_read_from_commit_on)
{
    struct history *history = make_history(&usual);
    struct history_reader *reader = make_reader(history);
    struct topic topic;
    uint64_t count[WRITTEN_COUNTS] = {0};
    zmq_msg_t payload;
    written_payload(1, 100, &payload);
    history_begin(history, 1, 1, &payload);
    cr_assert_eq(history_begun(history), 1);
    cr_assert_eq(history_newest(history), 0);
    written_topic(1, 0, &topic);
    history_add(history, 0, &topic, count, WRITTEN_COUNTS);
    history_add(history, -1, &topic, count, WRITTEN_COUNTS); /* a view that is not kept */
    cr_assert_eq(history_reader_seek(reader, 0), ARIZMQ_OK);
    expect_end(reader);
    history_commit(history);
    cr_assert_eq(history_newest(history), 1);
    const struct history_event *event = NULL;
    cr_assert_eq(history_reader_next(reader, &event), ARIZMQ_OK);
    cr_assert_eq(event->messages, 1);
    zmq_msg_close(&payload);
    history_reader_destroy(&reader);
    history_destroy(&history);
}

Test(history, messages_in_any_order)
{
    struct history *history = make_history(&usual);
    struct history_reader *reader = make_reader(history);
    history_write(history, 1, (struct written){.size = 10, .messages = 9});
    const struct history_event *event = NULL;
    cr_assert_eq(history_reader_seek(reader, 0), ARIZMQ_OK);
    cr_assert_eq(history_reader_next(reader, &event), ARIZMQ_OK);
    static const unsigned order[] = {8, 0, 3, 3, 2, 8, 1};
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        cr_assert_null(wrong_message(reader, 1, order[i]));
    }
    history_reader_destroy(&reader);
    history_destroy(&history);
}

/* --- the edge */

Test(history, before_at_and_after_the_edge)
{
    struct history *history = make_history(&usual);
    struct history_reader *reader = make_reader(history);
    uint64_t edges = 0;
    for (uint64_t seq = 1; seq <= 20000; seq++) {
        uint64_t before = history_oldest(history);
        write_usual(history, seq, seq);
        uint64_t oldest = history_oldest(history);
        if (oldest == before) {
            continue;
        }
        edges++;
        cr_assert_eq(history_reader_seek(reader, oldest - 1), ARIZMQ_OK);
        expect_usual(reader, oldest);
        cr_assert_eq(history_reader_seek(reader, oldest), ARIZMQ_OK);
        expect_usual(reader, oldest + 1);
        cr_assert_eq(history_reader_seek(reader, oldest - 2), ARIZMQ_ENOTFOUND);
        expect_gone(reader);
        cr_assert_eq(history_reader_seek(reader, 0), ARIZMQ_ENOTFOUND);
        cr_assert_eq(history_reader_seek(reader, seq - 1), ARIZMQ_OK);
        expect_usual(reader, seq);
        expect_end(reader);
        cr_assert_eq(metrics_get(METRIC_HISTORY_EVENTS), seq - oldest + 1);
        cr_assert_eq(metrics_get(METRIC_HISTORY_TRIMMED), oldest - 1);
    }
    cr_assert_gt(edges, 100);
    cr_assert_eq(metrics_get(METRIC_HISTORY_HOLES), 0);
    cr_assert_eq(history_reader_seek(reader, history_oldest(history) - 1), ARIZMQ_OK);
    for (uint64_t seq = history_oldest(history); seq <= 20000; seq++) {
        expect_usual(reader, seq);
    }
    expect_end(reader);
    history_reader_destroy(&reader);
    history_destroy(&history);
}

Test(history, what_a_reader_holds_stays_and_what_follows_goes)
{
    struct history *history = make_history(&usual);
    struct history_reader *reader = make_reader(history);
    write_usual(history, 1, 100);
    cr_assert_eq(history_reader_seek(reader, 10), ARIZMQ_OK);
    const struct history_event *event = NULL;
    cr_assert_eq(history_reader_next(reader, &event), ARIZMQ_OK);
    write_usual(history, 101, 10000);
    cr_assert_gt(history_oldest(history), 100);
    cr_assert_eq(event->seq, 11);
    cr_assert_null(wrong_event(reader, event, usual_event(11)));
    cr_assert_leq(metrics_get(METRIC_HISTORY_BYTES), usual.max_bytes);
    /* The rest of the segment can be read; then the reader is told. */
    uint64_t seq = 12;
    while (history_reader_next(reader, &event) == ARIZMQ_OK) {
        cr_assert_eq(event->seq, seq);
        cr_assert_null(wrong_event(reader, event, usual_event(seq)));
        seq++;
    }
    cr_assert_lt(seq, history_oldest(history));
    expect_gone(reader);
    history_reader_destroy(&reader);
    history_destroy(&history);
}

Test(history, a_reader_at_the_end_misses_nothing_though_its_segment_goes)
{
    struct config_history config = usual;
    config.max_age_ms = 1000;
    struct history *history = make_history(&config);
    struct history_reader *reader = make_reader(history);
    write_usual(history, 1, 3);
    cr_assert_eq(history_reader_seek(reader, 3), ARIZMQ_OK);
    expect_end(reader);
    for (uint64_t seq = 4; seq < 300; seq++) {
        /* Twice as late as the age: each time all of it leaves, and the place where the reader
         * stands with it. */
        history_expire(history, seq * second_ns * 2);
        cr_assert_eq(metrics_get(METRIC_HISTORY_EVENTS), 0);
        cr_assert_eq(history_oldest(history), seq);
        expect_end(reader);
        history_write_at(history, seq, usual_event(seq), seq * second_ns * 2);
        const struct history_event *event = NULL;
        cr_assert_eq(history_reader_next(reader, &event), ARIZMQ_OK);
        cr_assert_eq(event->seq, seq);
        cr_assert_null(wrong_event(reader, event, usual_event(seq)));
        expect_end(reader);
    }
    /* Two of them while it looks away: one is gone. */
    history_expire(history, 300 * second_ns * 2);
    history_write_at(history, 300, usual_event(300), 300 * second_ns * 2);
    history_expire(history, 301 * second_ns * 2);
    history_write_at(history, 301, usual_event(301), 301 * second_ns * 2);
    expect_gone(reader);
    history_reader_destroy(&reader);
    history_destroy(&history);
}

Test(history, positions_that_are_yet_to_come)
{
    struct history *history = make_history(&usual);
    struct history_reader *reader = make_reader(history);
    write_usual(history, 1, 5);
    cr_assert_eq(history_reader_seek(reader, 7), ARIZMQ_OK);
    expect_end(reader);
    write_usual(history, 6, 7);
    expect_end(reader);
    cr_assert_eq(history_reader_seek(reader, 7), ARIZMQ_OK);
    expect_end(reader);
    write_usual(history, 8, 8);
    expect_usual(reader, 8);
    cr_assert_eq(history_reader_seek(reader, UINT64_MAX), ARIZMQ_ENOTFOUND);
    cr_assert_eq(history_reader_seek(reader, UINT64_MAX - 1), ARIZMQ_OK);
    expect_end(reader);
    history_reader_destroy(&reader);
    history_destroy(&history);
}

/* --- holes */

Test(history, an_event_larger_than_everything_is_a_hole)
{
    struct history *history = make_history(&usual);
    struct history_reader *reader = make_reader(history);
    write_usual(history, 1, 10);
    history_write(history, 11, (struct written){.size = 1 << 20, .messages = 2});
    write_usual(history, 12, 12);
    history_write(history, 13, (struct written){.size = 2 << 20, .messages = 1});
    cr_assert_eq(metrics_get(METRIC_HISTORY_HOLES), 2);
    cr_assert_eq(metrics_get(METRIC_HISTORY_TRIMMED), 0, "what was there left for nothing");
    cr_assert_eq(history_oldest(history), 1);
    cr_assert_eq(history_newest(history), 13);
    cr_assert_eq(history_reader_seek(reader, 9), ARIZMQ_OK);
    expect_usual(reader, 10);
    expect_hole(reader, 11);
    expect_usual(reader, 12);
    expect_hole(reader, 13);
    expect_end(reader);
    for (uint64_t after = 10; after <= 12; after += 2) {
        cr_assert_eq(history_reader_seek(reader, after), ARIZMQ_OK);
        expect_hole(reader, after + 1);
    }
    write_usual(history, 14, 14);
    expect_usual(reader, 12 + 2);
    history_reader_destroy(&reader);
    history_destroy(&history);
}

Test(history, without_payload_there_is_a_hole)
{
    struct history *history = make_history(&usual);
    struct history_reader *reader = make_reader(history);
    for (uint64_t seq = 1; seq <= 2; seq++) {
        history_begin(history, seq, seq, NULL);
        history_commit(history);
    }
    /* Nothing is held, so there is nothing before the next event. */
    cr_assert_eq(history_oldest(history), 3);
    cr_assert_eq(history_reader_seek(reader, 0), ARIZMQ_ENOTFOUND);
    cr_assert_eq(history_reader_seek(reader, 2), ARIZMQ_OK);
    write_usual(history, 3, 3);
    history_begin(history, 4, 4, NULL);
    history_commit(history);
    write_usual(history, 5, 5);
    expect_usual(reader, 3);
    expect_hole(reader, 4);
    expect_usual(reader, 5);
    cr_assert_eq(metrics_get(METRIC_HISTORY_HOLES), 3);
    history_reader_destroy(&reader);
    history_destroy(&history);
}

Test(history, one_event_may_need_nearly_all_room)
{
    struct history *history = make_history(&usual);
    struct history_reader *reader = make_reader(history);
    struct written large = {.size = 1000000, .messages = 3};
    for (uint64_t seq = 1; seq <= 50; seq++) {
        history_write(history, seq, large);
        cr_assert_leq(metrics_get(METRIC_HISTORY_BYTES), usual.max_bytes);
        cr_assert_eq(history_oldest(history), seq);
        cr_assert_eq(history_reader_seek(reader, seq - 1), ARIZMQ_OK);
        const struct history_event *event = NULL;
        cr_assert_eq(history_reader_next(reader, &event), ARIZMQ_OK);
        cr_assert_null(wrong_event(reader, event, large));
        history_reader_rest(reader);
    }
    cr_assert_eq(metrics_get(METRIC_HISTORY_HOLES), 0);
    /* While somebody reads it, there is no room for another one; but small ones fit. */
    const struct history_event *event = NULL;
    cr_assert_eq(history_reader_seek(reader, 49), ARIZMQ_OK);
    cr_assert_eq(history_reader_next(reader, &event), ARIZMQ_OK);
    history_write(history, 51, usual_event(51));
    history_expire(history, UINT64_MAX);
    history_write(history, 52, large);
    history_write(history, 53, usual_event(53));
    cr_assert_eq(metrics_get(METRIC_HISTORY_HOLES), 1);
    cr_assert_leq(metrics_get(METRIC_HISTORY_BYTES), usual.max_bytes);
    cr_assert_null(wrong_event(reader, event, large));
    history_reader_rest(reader);
    history_write(history, 54, large);
    cr_assert_eq(metrics_get(METRIC_HISTORY_HOLES), 1);
    history_reader_destroy(&reader);
    history_destroy(&history);
}

Test(history, records_larger_than_a_segment)
{
    struct history *history = make_history(&usual);
    struct history_reader *reader = make_reader(history);
    struct written wide = {.size = 700, .messages = 600};
    for (uint64_t seq = 1; seq <= 60; seq += 2) {
        history_write(history, seq, wide);
        write_usual(history, seq + 1, seq + 1);
        cr_assert_leq(metrics_get(METRIC_HISTORY_BYTES), usual.max_bytes);
        cr_assert_eq(history_reader_seek(reader, seq - 1), ARIZMQ_OK);
        const struct history_event *event = NULL;
        cr_assert_eq(history_reader_next(reader, &event), ARIZMQ_OK);
        const char *wrong = wrong_event(reader, event, wide);
        cr_assert_null(wrong, "%" PRIu64 ": %s", seq, wrong);
        expect_usual(reader, seq + 1);
    }
    cr_assert_eq(metrics_get(METRIC_HISTORY_HOLES), 0);
    history_write(history, 61, (struct written){.size = 700, .messages = 20000});
    cr_assert_eq(metrics_get(METRIC_HISTORY_HOLES), 1);
    cr_assert_leq(metrics_get(METRIC_HISTORY_BYTES), usual.max_bytes);
    write_usual(history, 62, 62);
    cr_assert_eq(history_reader_seek(reader, 61), ARIZMQ_OK);
    expect_usual(reader, 62);
    history_reader_destroy(&reader);
    history_destroy(&history);
}

/* --- age */

Test(history, what_is_old_leaves)
{
    struct config_history config = {.max_bytes = 16 << 20, .max_age_ms = 64000};
    struct history *history = make_history(&config);
    struct history_reader *reader = make_reader(history);
    /* Ten events in a second, for 100 seconds. */
    for (uint64_t seq = 1; seq <= 1000; seq++) {
        history_write_at(history, seq, usual_event(seq), seq * second_ns / 10);
        if (seq % 10 == 0) {
            history_expire(history, seq * second_ns / 10);
        }
    }
    /* A segment spans one second (a 64th) and one event; not one event that is young enough is
     * gone. */
    uint64_t oldest = history_oldest(history);
    cr_assert_leq(oldest, 360);
    cr_assert_geq(oldest, 360 - 12);
    history_expire(history, 100 * second_ns + 63 * second_ns);
    cr_assert_eq(metrics_get(METRIC_HISTORY_EVENTS), 1000 - history_oldest(history) + 1);
    cr_assert_leq(metrics_get(METRIC_HISTORY_EVENTS), 22);
    history_expire(history, 100 * second_ns + 64 * second_ns);
    cr_assert_geq(metrics_get(METRIC_HISTORY_EVENTS), 1);
    history_expire(history, 100 * second_ns + 64 * second_ns + 1);
    cr_assert_eq(metrics_get(METRIC_HISTORY_EVENTS), 0);
    cr_assert_eq(metrics_get(METRIC_HISTORY_TRIMMED), 1000);
    cr_assert_eq(history_oldest(history), 1001);
    cr_assert_eq(history_reader_seek(reader, 999), ARIZMQ_ENOTFOUND);
    cr_assert_eq(history_reader_seek(reader, 1000), ARIZMQ_OK);
    expect_end(reader);
    history_reader_destroy(&reader);
    history_destroy(&history);
}

Test(history, a_clock_that_goes_back_drops_nothing)
{
    struct history *history = make_history(&usual);
    history_write_at(history, 1, usual_event(1), 5000000000U);
    history_write_at(history, 2, usual_event(2), 1000000000U);
    history_expire(history, 1);
    cr_assert_eq(history_oldest(history), 1);
    cr_assert_eq(history_newest(history), 2);
    history_destroy(&history);
}

/* --- views, readers, and none of all that */

Test(history, views)
{
    struct history *history = make_history(&usual);
    cr_assert_eq(history_views(history), 2);
    cr_assert_eq(history_find_view(history, "events"), 0);
    cr_assert_eq(history_find_view(history, "objects"), 1);
    cr_assert_eq(history_find_view(history, "tcp://127.0.0.1:5556"), 1);
    cr_assert_eq(history_find_view(history, "calls"), -1);
    cr_assert_eq(history_find_view(history, ""), -1);
    cr_assert_str_eq(history_view_name(history, 1), "objects");
    cr_assert_str_eq(history_view_endpoint(history, 1), "tcp://127.0.0.1:5556");
    cr_assert_eq(history_add_view(history, "events", "ipc:///x"), 2);
    cr_assert_eq(history_find_view(history, "events"), 0);
    cr_assert_eq(history_find_view(history, "ipc:///x"), 2);
    history_end_view(history, 0);
    cr_assert_eq(history_find_view(history, "events"), 2);
    cr_assert_eq(history_find_view(history, "tcp://127.0.0.1:5555"), 0, "what it has published");
    history_end_view(history, 2);
    cr_assert_eq(history_find_view(history, "events"), 0);
    cr_assert_eq(history_add_view(history, "events", "ipc:///x"), 2);
    cr_assert_eq(history_find_view(history, "events"), 2);
    cr_assert_eq(history_add_view(history, "events", "ipc:///x"), 3, "two at the same time");
    char endpoint[32];
    for (int i = 4; i < HISTORY_VIEWS_MAX; i++) {
        snprintf(endpoint, sizeof endpoint, "inproc://%d", i);
        cr_assert_eq(history_add_view(history, "events", endpoint), i);
    }
    cr_assert_eq(history_add_view(history, "events", "one too many"), -1);
    history_end_view(history, -1);
    history_end_view(history, 1);
    cr_assert_eq(history_add_view(history, "objects", "tcp://127.0.0.1:5556"), 1);
    history_destroy(&history);
}

Test(history, has_room_for_four_readers)
{
    struct history *history = make_history(&usual);
    struct history_reader *readers[HISTORY_READERS_MAX];
    struct history_reader *one_more = NULL;
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < HISTORY_READERS_MAX; i++) {
            readers[i] = make_reader(history);
            expect_gone(readers[i]); /* it stands nowhere yet */
        }
        cr_assert_eq(history_reader_create(history, &one_more), ARIZMQ_ETOOLARGE);
        for (unsigned i = 0; i < HISTORY_READERS_MAX; i++) {
            history_reader_destroy(&readers[i]);
        }
    }
    cr_assert_null(one_more);
    history_reader_destroy(&one_more);
    history_destroy(&history);
}

Test(history, none_at_all)
{
    zmq_msg_t payload;
    struct topic topic;
    uint64_t count[1] = {1};
    written_payload(1, 10, &payload);
    written_topic(1, 0, &topic);
    cr_assert_eq(history_add_view(NULL, "events", "x"), -1);
    history_begin(NULL, 1, 1, &payload);
    history_add(NULL, -1, &topic, count, 1);
    history_commit(NULL);
    history_expire(NULL, 1);
    history_end_view(NULL, 0);
    history_set_config(NULL, &usual);
    struct history *none = NULL;
    history_destroy(&none);
    zmq_msg_close(&payload);
}
