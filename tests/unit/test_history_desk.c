/* SPDX-License-Identifier: MPL-2.0 */
/*
 * GET arizmq/history from the query to the frames, against a history that the test writes, and with
 * a further source that the test is itself.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "arizmq/error.h"
#include "arizmq/stamp.h"
#include "gateway/history_desk.h"
#include "history_helpers.h"
#include "ops/metrics.h"

enum { EPOCH = 1795444501, JOBS_MAX = 8 };

static struct config_history config = {.max_bytes = 12 << 20,
                                       .max_age_ms = 3600000,
                                       .max_page_messages = 1000,
                                       .max_page_bytes = 1 << 20,
                                       .max_unread_bytes = 8 << 20};
static struct history *history;
static struct history_desk *desk;

/* The last answer; its page is taken over. */
static struct history_answer last;
static unsigned answers;
static void *answered; /* the owner that it was for */

static void on_answer(void *owner, struct history_answer *answer)
{
    history_page_release(&last.page);
    last = *answer;
    answer->page = (struct history_page){0};
    answered = owner;
    answers++;
}

/* --- the source */

static bool source_takes;
static unsigned source_asked;
static uint64_t source_tickets[JOBS_MAX];
static uint64_t source_after;
static char source_view[32];

static bool ask_source(void *owner, uint64_t ticket, const struct history_query *query)
{
    cr_assert_eq(owner, &source_asked);
    source_after = query->after;
    snprintf(source_view, sizeof source_view, "%s", query->view);
    if (source_takes) {
        source_tickets[source_asked] = ticket;
    }
    source_asked++;
    return source_takes;
}

static const struct history_source source = {
    .owner = &source_asked, .ask = ask_source, .fd = -1, .collect = NULL};

static void set_up(void)
{
    cr_assert_eq(history_create(&config, EPOCH, &history), ARIZMQ_OK);
    cr_assert_eq(history_add_view(history, "events", "inproc://even"), 0);
    cr_assert_eq(history_add_view(history, "objects", "inproc://odd"), 1);
    cr_assert_eq(history_desk_create(&config, history, &source, &desk), ARIZMQ_OK);
}

static void tear_down(void)
{
    history_page_release(&last.page);
    history_desk_destroy(&desk);
    cr_assert_null(desk);
    history_desk_destroy(&desk);
    history_destroy(&history);
    cr_assert_eq(history_page_unread_bytes(), 0);
}

TestSuite(history_desk, .init = set_up, .fini = tear_down);

/* Message i of an event is of view i % 2 (history_helpers.h): two of the even view, one of the odd.
 */
static struct written event_of(uint64_t seq)
{
    return (struct written){.size = 40 + seq % 100, .messages = 3};
}

static void write_events(uint64_t first, uint64_t past)
{
    for (uint64_t seq = first; seq < past; seq++) {
        history_write(history, seq, event_of(seq));
    }
}

/* Asks, and goes on until there is an answer. Returns how many turns that took. */
static unsigned ask(const char *query)
{
    unsigned before = answers;
    unsigned turns = 0;
    struct history_job *job = history_desk_ask(desk, query, on_answer, &last);
    cr_assert_eq(job == NULL, answers > before);
    while (answers == before) {
        cr_assert(history_desk_is_busy(desk));
        history_desk_turn(desk);
        turns++;
    }
    cr_assert_eq(answers, before + 1);
    cr_assert_not(history_desk_is_busy(desk));
    cr_assert_eq(answered, &last);
    return turns;
}

/* Frames 3k, 3k + 1 and 3k + 2 of the answer are message `message` of `seq`, as published. */
static void expect_message(size_t k, uint64_t seq, unsigned message)
{
    cr_assert_lt(k, last.page.messages);
    zmq_msg_t *frame = &last.page.frames[3 * k];
    struct topic topic;
    written_topic(seq, message, &topic);
    cr_assert_eq(zmq_msg_size(&frame[0]), topic.length);
    cr_assert_eq(memcmp(zmq_msg_data(&frame[0]), topic.bytes, topic.length), 0);
    cr_assert_eq(zmq_msg_size(&frame[1]), event_of(seq).size);
    for (size_t at = 0; at < event_of(seq).size; at++) {
        cr_assert_eq(((unsigned char *)zmq_msg_data(&frame[1]))[at], written_byte(seq, at));
    }
    struct arizmq_stamp stamp;
    cr_assert_eq(arizmq_stamp_decode(zmq_msg_data(&frame[2]), zmq_msg_size(&frame[2]), &stamp),
                 ARIZMQ_OK);
    cr_assert_eq(stamp.epoch, EPOCH);
    cr_assert_eq(stamp.seq, seq);
    cr_assert_eq(stamp.received_ns, written_ns(seq));
    cr_assert_eq(stamp.counts, WRITTEN_COUNTS);
    for (unsigned i = 0; i < WRITTEN_COUNTS; i++) {
        cr_assert_eq(stamp.count[i], written_count(seq, message, i));
    }
}

static void expect_page(uint64_t first, uint64_t past, uint64_t count, bool more)
{
    cr_assert_not(last.is_refused, "%s", last.refusal.message);
    cr_assert(last.has_position && last.position.is_page);
    cr_assert_eq(last.position.epoch, EPOCH);
    cr_assert_eq(last.position.first, first);
    cr_assert_eq(last.position.last, past, "%" PRIu64, last.position.last);
    cr_assert_eq(last.position.count, count, "%" PRIu64, last.position.count);
    cr_assert_eq(last.position.more, more);
    cr_assert_eq(last.page.messages, count);
    cr_assert_eq(last.page.frames_count, 3 * count);
    cr_assert_eq(last.position.oldest, history_oldest(history));
    cr_assert_eq(last.position.newest, history_newest(history));
}

static void expect_refused(enum reply_error error, const char *message)
{
    cr_assert(last.is_refused);
    cr_assert_eq(last.refusal.error, error, "%d: %s", (int)last.refusal.error,
                 last.refusal.message);
    cr_assert_str_eq(last.refusal.message, message);
    cr_assert_eq(last.page.frames_count, 0);
}

Test(history_desk, gives_what_was_published)
{
    write_events(1, 101);
    ask("");
    expect_page(1, 100, 200, false);
    for (size_t k = 0; k < 200; k++) {
        expect_message(k, 1 + k / 2, k % 2 * 2);
    }
    ask("view=objects&after=50");
    expect_page(51, 100, 50, false);
    for (size_t k = 0; k < 50; k++) {
        expect_message(k, 51 + k, 1);
    }
    ask("view=inproc://odd&after=99");
    expect_page(100, 100, 1, false);
    expect_message(0, 100, 1);
    cr_assert_eq(metrics_get(METRIC_HISTORY_PAGES), 3);
    cr_assert_eq(metrics_get(METRIC_HISTORY_MESSAGES), 251);
}

Test(history_desk, prefixes_are_bytes)
{
    write_events(1, 101);
    static const struct {
        const char *query;
        uint64_t first, count;
    } rows[] = {
        {"prefix=even/", 1, 200},      {"prefix=even/7/", 7, 2},
        {"prefix=even/7", 7, 22},      {"prefix=even/42/2/", 42, 1},
        {"prefix=odd/", 0, 0},         {"prefix=even%00", 0, 0},
        {"prefix=even%2F100", 100, 2}, {"prefix=EVEN/", 0, 0},
        {"prefix=e", 1, 200},          {"prefix=even/42/2/xxxxxxxxxxxxxxx", 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ask(rows[i].query);
        expect_page(rows[i].first, 100, rows[i].count, false);
    }
}

Test(history_desk, positions)
{
    ask("");
    expect_page(0, 0, 0, false);
    write_events(1, 11);
    ask("after=10");
    expect_page(0, 10, 0, false);
    ask("after=3&until=3");
    expect_page(0, 3, 0, false);
    ask("after=3&until=5");
    expect_page(4, 5, 4, false);
    ask("after=3&until=10");
    expect_page(4, 10, 14, false);
    ask("after=3&until=11");
    expect_page(4, 10, 14, false);
    ask("after=3&until=5&view=objects&prefix=none");
    expect_page(0, 5, 0, false);
    ask("after=11");
    expect_refused(REPLY_FUTURE, "after 11: the newest event is 10");
    cr_assert(last.has_position);
    cr_assert_eq(last.position.newest, 10);
    /* Whoever has received the first message of an event may ask for what follows it. */
    zmq_msg_t payload;
    written_payload(11, 1, &payload);
    history_begin(history, 11, 1, &payload);
    ask("after=11");
    cr_assert(!last.is_refused && last.position.is_page && !last.position.more);
    cr_assert_eq(last.position.last, 11);
    cr_assert_eq(last.position.newest, 11);
    cr_assert_eq(last.position.count, 0);
    ask("after=10");
    cr_assert_eq(last.position.last, 10);
    cr_assert_eq(last.position.newest, 10);
    history_commit(history);
    ask("after=10");
    expect_page(0, 11, 0, false);
    zmq_msg_close(&payload);
}

Test(history_desk, pages_end_between_events)
{
    write_events(1, 101);
    /* Two messages for an event: with an odd limit one fewer. */
    static const struct {
        const char *query;
        uint64_t past, count;
        bool more;
    } rows[] = {
        {"limit=1", 1, 2, true},
        {"limit=2", 1, 2, true},
        {"limit=3", 1, 2, true},
        {"limit=4", 2, 4, true},
        {"limit=199", 99, 198, true},
        {"limit=200", 100, 200, false},
        {"limit=200&until=50", 50, 100, false},
        {"limit=100&until=50", 50, 100, false},
        {"limit=99&until=50", 49, 98, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ask(rows[i].query);
        expect_page(1, rows[i].past, rows[i].count, rows[i].more);
    }
    config.max_page_messages = 10;
    ask("limit=200");
    expect_page(1, 5, 10, true);
    config.max_page_messages = 1000;
    /* Sizes are 41, 42, 43 …, each twice. */
    config.max_page_bytes = 2 * (41 + 42 + 43);
    ask("");
    expect_page(1, 3, 6, true);
    config.max_page_bytes--;
    ask("");
    expect_page(1, 2, 4, true);
    config.max_page_bytes = 1;
    ask("after=7");
    expect_page(8, 8, 2, true);
}

Test(history_desk, all_pages_together_are_all)
{
    write_events(1, 3001);
    static const char *const queries[] = {"limit=7", "limit=100&prefix=even/1",
                                          "limit=3&view=objects&prefix=odd/29", "limit=1000"};
    static const uint64_t counts[] = {6000, 2222, 111, 6000};
    for (size_t i = 0; i < 4; i++) {
        uint64_t count = 0;
        uint64_t after = 0;
        do {
            char query[100];
            snprintf(query, sizeof query, "%s&after=%" PRIu64, queries[i], after);
            ask(query);
            cr_assert_not(last.is_refused, "%s", last.refusal.message);
            cr_assert(last.position.first == 0 || last.position.first > after);
            cr_assert_gt(last.position.last, after);
            count += last.position.count;
            after = last.position.last;
        } while (last.position.more);
        cr_assert_eq(count, counts[i], "%s: %" PRIu64, queries[i], count);
        cr_assert_eq(after, 3000);
    }
}

/* --- what cannot be had */

Test(history_desk, at_the_edge)
{
    write_events(1, 40000);
    uint64_t oldest = history_oldest(history);
    cr_assert_gt(oldest, 2);
    char query[64];
    char message[200];
    snprintf(query, sizeof query, "after=%" PRIu64 "&limit=2", oldest - 1);
    ask(query);
    expect_page(oldest, oldest, 2, true);
    snprintf(query, sizeof query, "after=%" PRIu64 "&limit=2", oldest);
    ask(query);
    expect_page(oldest + 1, oldest + 1, 2, true);
    snprintf(query, sizeof query, "after=%" PRIu64 "&limit=2", oldest - 2);
    ask(query);
    snprintf(message, sizeof message,
             "what follows %" PRIu64 " is kept no longer; the oldest that can be had is %" PRIu64,
             oldest - 2, oldest);
    expect_refused(REPLY_COMPACTED, message);
    cr_assert(last.has_position);
    cr_assert_eq(last.position.oldest, oldest);
    cr_assert_eq(last.position.newest, 39999);
    cr_assert_eq(last.position.epoch, EPOCH);
    cr_assert_eq(source_asked, 1);
    cr_assert_eq(source_after, oldest - 2);
    ask("");
    cr_assert_eq(last.refusal.error, REPLY_COMPACTED);
    cr_assert_eq(metrics_get(METRIC_HISTORY_COMPACTED), 2);
}

Test(history_desk, trimmed_between_two_slices)
{
    write_events(1, 5000);
    config.max_page_messages = 1000000;
    config.max_page_bytes = 1 << 30;
    unsigned before = answers;
    cr_assert_not_null(history_desk_ask(desk, "", on_answer, &last));
    history_desk_turn(desk);
    cr_assert_eq(answers, before);
    write_events(5000, 40000);
    history_desk_turn(desk);
    cr_assert_eq(answers, before + 1);
    /* What was read until then is given, and the next request is told. */
    cr_assert_not(last.is_refused);
    cr_assert(last.position.more);
    cr_assert_eq(last.position.first, 1);
    cr_assert_lt(last.position.last, history_oldest(history));
    for (size_t k = 0; k < last.position.count; k++) {
        expect_message(k, 1 + k / 2, k % 2 * 2);
    }
    char query[64];
    snprintf(query, sizeof query, "after=%" PRIu64, last.position.last);
    ask(query);
    cr_assert_eq(last.refusal.error, REPLY_COMPACTED);
}

Test(history_desk, a_hole_ends_a_page_and_is_told_of)
{
    write_events(1, 11);
    history_begin(history, 11, 1, NULL);
    history_commit(history);
    history_begin(history, 12, 1, NULL);
    history_commit(history);
    write_events(13, 21);
    history_begin(history, 21, 1, NULL);
    history_commit(history);
    ask("after=8");
    expect_page(9, 10, 4, true);
    ask("after=10");
    expect_refused(REPLY_COMPACTED,
                   "what follows 10 is kept no longer; the oldest that can be had is 13");
    cr_assert_eq(last.position.oldest, 13);
    ask("after=11");
    cr_assert_eq(last.position.oldest, 13);
    ask("after=12");
    expect_page(13, 20, 16, true);
    ask("after=20");
    expect_refused(REPLY_COMPACTED,
                   "what follows 20 is kept no longer; the oldest that can be had is 22");
    ask("after=21");
    expect_page(0, 21, 0, false);
    ask("after=10&until=10");
    expect_page(0, 10, 0, false);
    cr_assert_eq(source_asked, 0, "nobody else has what was never kept");
}

Test(history_desk, refuses_what_there_is_not)
{
    write_events(1, 11);
    ask("view=calls");
    expect_refused(REPLY_NO_SUCH_VIEW, "there is no view \"calls\": write the name or the endpoint "
                                       "of one that GET arizmq/info lists");
    ask("epoch=7");
    expect_refused(REPLY_EPOCH_CHANGED,
                   "epoch 7 is not this run of the bridge, which is 1795444501");
    cr_assert_eq(last.position.epoch, EPOCH);
    ask("epoch=7&view=calls&after=10000");
    cr_assert_eq(last.refusal.error, REPLY_EPOCH_CHANGED, "the rest belongs to another run");
    ask("epoch=1795444501&after=8");
    expect_page(9, 10, 4, false);
    ask("after=x");
    cr_assert_eq(last.refusal.error, REPLY_BAD_REQUEST);
    cr_assert_not(last.has_position);
}

/* --- slices and several requests */

Test(history_desk, no_turn_does_it_all)
{
    config.max_page_messages = 1000000;
    config.max_page_bytes = 1 << 30;
    write_events(1, 10000);
    unsigned turns = ask("prefix=none");
    cr_assert_geq(turns, 2);
    cr_assert_leq(turns, 10);
    turns = ask("");
    cr_assert_geq(turns, 20);
    expect_page(1, 9999, 2 * 9999, false);
    for (size_t k = 0; k < 2 * 9999; k++) {
        expect_message(k, 1 + k / 2, k % 2 * 2);
    }
    cr_assert_eq(ask("after=9900"), 0, "a few are given at once");
}

Test(history_desk, one_after_the_other)
{
    struct history_job *jobs[4];
    int owners[4];
    config.max_page_messages = 1000000;
    write_events(1, 10000);
    for (unsigned i = 0; i < 4; i++) {
        jobs[i] = history_desk_ask(desk, i == 2 ? "limit=1" : "prefix=none", on_answer, &owners[i]);
        cr_assert_not_null(jobs[i]);
    }
    history_desk_drop(desk, jobs[1]);
    unsigned order[] = {0, 2, 3};
    for (unsigned i = 0; i < 3; i++) {
        while (answers == i) {
            cr_assert(history_desk_is_busy(desk));
            history_desk_turn(desk);
        }
        cr_assert_eq(answered, &owners[order[i]]);
    }
    cr_assert_not(history_desk_is_busy(desk));
    history_desk_turn(desk);
    cr_assert_eq(answers, 3);
    /* Those that wait when the desk goes are dropped with it. */
    cr_assert_not_null(history_desk_ask(desk, "", on_answer, &owners[0]));
    cr_assert_not_null(history_desk_ask(desk, "", on_answer, &owners[0]));
}

Test(history_desk, gives_no_more_while_too_much_is_unread)
{
    struct history_page kept[20] = {{0}};
    unsigned given = 0;
    config.max_unread_bytes = 1 << 20;
    write_events(1, 2001);
    for (given = 0; given < 20; given++) {
        ask("limit=1000");
        if (last.is_refused) {
            break;
        }
        kept[given] = last.page;
        last.page = (struct history_page){0};
        cr_assert_gt(history_page_unread_bytes(), 1000 * 300 * (given + 1U));
    }
    cr_assert_gt(given, 1);
    cr_assert_lt(given, 10);
    cr_assert_eq(last.refusal.error, REPLY_OVERLOADED);
    history_page_release(&kept[0]);
    ask("limit=1000");
    cr_assert_not(last.is_refused);
    for (unsigned i = 1; i < given; i++) {
        history_page_release(&kept[i]);
    }
}

/* --- the source */

static void source_answers(uint64_t ticket, uint64_t first)
{
    struct history_answer answer = {.has_position = true, .position = {.is_page = true}};
    struct topic topic;
    uint64_t count[1] = {5};
    zmq_msg_t payload;
    written_topic(first, 0, &topic);
    written_payload(first, event_of(first).size, &payload);
    struct history_event event = {.seq = first, .received_ns = 1, .payload = &payload};
    struct history_message message = {
        .topic = {topic.bytes, topic.length}, .count = count, .counts = 1};
    history_page_begin(&answer.page);
    cr_assert_eq(history_page_add(&answer.page, 7, &event, &message), ARIZMQ_OK);
    history_desk_answer(desk, ticket, &answer);
    cr_assert_eq(answer.page.frames_count, 0, "used up");
    zmq_msg_close(&payload);
}

Test(history_desk, the_source_answers_later)
{
    int owners[3];
    source_takes = true;
    write_events(1, 40000);
    cr_assert_not_null(history_desk_ask(desk, "after=3", on_answer, &owners[0]));
    struct history_job *dropped =
        history_desk_ask(desk, "epoch=7&view=calls&after=3", on_answer, &owners[1]);
    cr_assert_not_null(dropped);
    cr_assert_str_eq(source_view, "calls");
    cr_assert_not_null(history_desk_ask(desk, "epoch=7&after=9", on_answer, &owners[2]));
    cr_assert_eq(source_asked, 3);
    cr_assert_eq(source_after, 9);
    cr_assert_not(history_desk_is_busy(desk));
    history_desk_turn(desk);
    cr_assert_eq(answers, 0);
    source_answers(source_tickets[2], 10);
    cr_assert_eq(answered, &owners[2]);
    cr_assert_eq(answers, 1);
    cr_assert_eq(last.page.messages, 1);
    cr_assert_gt(history_page_unread_bytes(), 0);
    history_desk_drop(desk, dropped);
    source_answers(source_tickets[1], 4);
    cr_assert_eq(answers, 1, "nobody waited");
    struct history_answer refused = {.is_refused = true,
                                     .refusal = {.error = REPLY_COMPACTED, .message = "gone"}};
    history_desk_answer(desk, source_tickets[0], &refused);
    cr_assert_eq(answered, &owners[0]);
    expect_refused(REPLY_COMPACTED, "gone");
    source_answers(source_tickets[0], 4);
    cr_assert_eq(answers, 2, "twice");
    /* What memory has it is not asked for. */
    ask("after=39998");
    expect_page(39999, 39999, 2, false);
    cr_assert_eq(source_asked, 3);
    cr_assert_not_null(history_desk_ask(desk, "epoch=7", on_answer, &owners[0]));
}
