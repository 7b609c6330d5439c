/* SPDX-License-Identifier: MPL-2.0 */
/*
 * GET arizmq/history of the running daemon: what a subscriber to everything received, and what
 * history gives afterwards, or meanwhile, are the same frames; by view, prefix, position and page,
 * before and after the trim edge.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"
#include "flow/history_stage.h"

enum { RECORDED = 1000 };

/* Plays the recording, and records what comes. Returns the last seq. */
static uint64_t play(struct history_stage *stage, const char *options)
{
    fake_do(stage->fake, "play %s/coverage.jsonl app=replay %s", CAPTURES_DIR, options);
    const char *end = fake_await_event(stage->fake, "play ", FLOW_TIMEOUT_MS);
    uint64_t frames = (uint64_t)fake_number(end, "frames");
    cr_assert_geq(frames, RECORDED);
    uint64_t seq = frames + 1; /* ArizmqNodeConnected */
    history_stage_record(stage, seq);
    return seq;
}

static bool begins_with(const struct subscriber_message *message, const char *prefix)
{
    return strncmp(message->topic, prefix, strlen(prefix)) == 0;
}

static void expect_frames(const struct answer *answer, size_t k,
                          const struct subscriber_message *message)
{
    zmq_msg_t *frame = &answer->frame[1 + 3 * k];
    uint8_t stamp[ARIZMQ_STAMP_BYTES_MAX];
    size_t length = arizmq_stamp_encode(&message->stamp, stamp);
    cr_assert_eq(zmq_msg_size(&frame[0]), strlen(message->topic));
    cr_assert_arr_eq(zmq_msg_data(&frame[0]), message->topic, strlen(message->topic), "%s",
                     message->topic);
    cr_assert_eq(zmq_msg_size(&frame[1]), message->event_length, "%s", message->topic);
    cr_assert_arr_eq(zmq_msg_data(&frame[1]), message->event, message->event_length);
    cr_assert_eq(zmq_msg_size(&frame[2]), length);
    cr_assert_arr_eq(zmq_msg_data(&frame[2]), stamp, length, "%s", message->topic);
}

/* One request; the page must be the next of the record's messages that are wanted, from *at on.
 * Returns its `last`. */
static uint64_t expect_page(const struct answer *answer, const struct history_record *record,
                            const char *prefix, uint64_t until, size_t *at)
{
    cr_assert_eq(answer_number(answer, "status_code"), 200, "%s", answer_error(answer));
    size_t count = (size_t)answer_number(answer, "count");
    uint64_t last = (uint64_t)answer_number(answer, "last");
    cr_assert_eq(answer->frames, 1 + 3 * count);
    cr_assert_eq(zmq_msg_size(&answer->frame[0]), 0, "the body is empty");
    for (size_t k = 0; k < count; k++) {
        while (*at < record->count && !begins_with(&record->messages[*at], prefix)) {
            ++*at;
        }
        cr_assert_lt(*at, record->count, "more than were published");
        const struct subscriber_message *message = &record->messages[*at];
        cr_assert_leq(message->stamp.seq, until);
        cr_assert_leq(message->stamp.seq, last);
        if (k == 0) {
            cr_assert_eq((uint64_t)answer_number(answer, "first"), message->stamp.seq);
        }
        expect_frames(answer, k, message);
        ++*at;
    }
    /* What is wanted and has been looked at is there: a page ends between events. */
    for (size_t i = *at; i < record->count && record->messages[i].stamp.seq <= last; i++) {
        cr_assert_not(begins_with(&record->messages[i], prefix), "left out: %s",
                      record->messages[i].topic);
    }
    return last;
}

/* All pages from `after` to `until`. Returns how many messages they had. */
static size_t read_pages(struct history_stage *stage, unsigned view, const char *prefix,
                         uint64_t after, uint64_t until, unsigned limit)
{
    const struct history_record *record = &stage->record[view];
    size_t at = 0;
    size_t count = 0;
    bool more = true;
    while (at < record->count && record->messages[at].stamp.seq <= after) {
        at++;
    }
    while (more) {
        struct answer answer;
        asker_get_with(stage->asker, "arizmq/history",
                       json_pack("{s:s, s:s, s:I, s:I, s:i, s:I}", "view",
                                 history_stage_names[view], "prefix", prefix, "after",
                                 (json_int_t)after, "until", (json_int_t)until, "limit", (int)limit,
                                 "epoch", (json_int_t)stage->epoch),
                       &answer);
        uint64_t last = expect_page(&answer, record, prefix, until, &at);
        count += (size_t)answer_number(&answer, "count");
        more = json_is_true(json_object_get(answer.header, "more"));
        cr_assert(last > after || !more, "no way forward");
        after = last;
        answer_clear(&answer);
    }
    cr_assert_leq(after, until);
    return count;
}

static size_t count_wanted(const struct history_record *record, const char *prefix, uint64_t after,
                           uint64_t until)
{
    size_t count = 0;
    for (size_t i = 0; i < record->count; i++) {
        uint64_t seq = record->messages[i].stamp.seq;
        count += seq > after && seq <= until && begins_with(&record->messages[i], prefix);
    }
    return count;
}

TestSuite(history, .timeout = 900);

Test(history, gives_the_frames_that_were_published)
{
    static const struct {
        unsigned view;
        const char *prefix;
        unsigned limit;
    } rows[] = {
        {0, "", 1000000},
        {0, "", 100},
        {0, "Channel", 7},
        {0, "StasisStart/", 1},
        {0, "StasisStart/", 1000},
        {0, "ArizmqNodeConnected/", 10},
        {0, "ArizmqHeartbeat/", 10},
        {0, "NoSuchType/", 10},
        {1, "", 1000000},
        {1, "", 99},
        {1, "channel/", 50},
        {1, "bridge/", 1},
        {1, "endpoint/", 3},
        {1, "arizmq/", 3},
    };
    struct history_stage stage = {0};
    history_stage_open(&stage, "max_bytes: 67108864");
    uint64_t newest = play(&stage, "");
    size_t nonempty = 0;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t wanted = count_wanted(&stage.record[rows[i].view], rows[i].prefix, 0, newest);
        nonempty += wanted > 0;
        cr_assert_eq(read_pages(&stage, rows[i].view, rows[i].prefix, 0, newest, rows[i].limit),
                     wanted, "%s", rows[i].prefix);
    }
    cr_assert_eq(nonempty, 12, "%zu prefixes had messages", nonempty);
    /* One object's messages, whatever its id. */
    for (unsigned view = 0; view < HISTORY_STAGE_VIEWS; view++) {
        for (size_t i = 0; i < stage.record[view].count; i += 197) {
            const char *topic = stage.record[view].messages[i].topic;
            cr_assert_geq(read_pages(&stage, view, topic, 0, newest, 2), 1, "%s", topic);
        }
    }
    history_stage_close(&stage);
}

Test(history, from_any_position_to_any_other)
{
    struct history_stage stage = {0};
    history_stage_open(&stage, "max_bytes: 67108864");
    uint64_t newest = play(&stage, "");
    for (uint64_t after = 0; after < newest; after += 211) {
        for (uint64_t until = after; until <= newest; until = 2 * until + 1 - after + 17) {
            size_t wanted = count_wanted(&stage.record[1], "channel/", after, until);
            cr_assert_eq(read_pages(&stage, 1, "channel/", after, until, 40), wanted);
        }
    }
    cr_assert_eq(read_pages(&stage, 0, "", newest, newest, 10), 0);
    cr_assert_eq(read_pages(&stage, 0, "", newest - 1, newest, 10), 1);
    cr_assert_eq(read_pages(&stage, 0, "", newest - 1, INT64_MAX, 10), 1);
    history_stage_close(&stage);
}

static void expect_refused(struct history_stage *stage, const char *query, int status,
                           const char *word)
{
    struct answer answer;
    asker_get(stage->asker, &answer, "arizmq/history?%s", query);
    cr_assert_eq(answer_number(&answer, "status_code"), status, "%s", query);
    cr_assert_str_eq(answer_error(&answer), word, "%s", query);
    cr_assert_eq(answer.frames, 1);
    json_t *body =
        json_loadb(zmq_msg_data(&answer.frame[0]), zmq_msg_size(&answer.frame[0]), 0, NULL);
    cr_assert_not_null(json_string_value(json_object_get(body, "message")), "%s", query);
    json_decref(body);
    answer_clear(&answer);
}

Test(history, says_what_cannot_be_had)
{
    struct history_stage stage = {0};
    history_stage_open(&stage, "max_bytes: 67108864");
    uint64_t newest = play(&stage, "");
    char query[64];
    snprintf(query, sizeof query, "after=%llu", (unsigned long long)newest + 1);
    expect_refused(&stage, query, 416, "future");
    snprintf(query, sizeof query, "epoch=%llu", (unsigned long long)stage.epoch - 1);
    expect_refused(&stage, query, 409, "epoch_changed");
    expect_refused(&stage, "view=calls", 404, "no_such_view");
    expect_refused(&stage, "after=now", 400, "bad_request");
    expect_refused(&stage, "prefixes=a", 400, "bad_request");
    struct answer answer;
    asker_get(stage.asker, &answer, "arizmq/info");
    json_t *info =
        json_loadb(zmq_msg_data(&answer.frame[0]), zmq_msg_size(&answer.frame[0]), 0, NULL);
    json_t *history = json_object_get(info, "history");
    cr_assert_eq(json_integer_value(json_object_get(history, "oldest")), 1);
    cr_assert_eq((uint64_t)json_integer_value(json_object_get(history, "newest")), newest);
    cr_assert_eq((uint64_t)json_integer_value(json_object_get(history, "events")), newest);
    cr_assert_eq(json_integer_value(json_object_get(history, "max_bytes")), 67108864);
    cr_assert_gt(json_integer_value(json_object_get(history, "bytes")), 100000);
    json_decref(info);
    answer_clear(&answer);
    history_stage_close(&stage);
}

/* The next request after one that was refused as compacted, as a client would make it. */
static uint64_t begin_anew(struct history_stage *stage, const struct answer *answer, uint64_t after)
{
    uint64_t oldest = (uint64_t)answer_number(answer, "oldest");
    cr_assert_eq(answer_number(answer, "status_code"), 410);
    cr_assert_str_eq(answer_error(answer), "compacted");
    cr_assert_eq((uint64_t)answer_number(answer, "epoch"), stage->epoch);
    cr_assert_gt(oldest, after + 1);
    return oldest - 1;
}

Test(history, at_the_trim_edge)
{
    struct history_stage stage = {0};
    history_stage_open(&stage, "max_bytes: 300000");
    uint64_t newest = play(&stage, "");
    struct answer answer;
    asker_get(stage.asker, &answer, "arizmq/history");
    uint64_t oldest = begin_anew(&stage, &answer, 0) + 1;
    answer_clear(&answer);
    cr_assert_gt(newest - oldest, 30, "hardly anything is kept");
    for (unsigned view = 0; view < HISTORY_STAGE_VIEWS; view++) {
        cr_assert_eq(read_pages(&stage, view, "", oldest - 1, newest, 13),
                     count_wanted(&stage.record[view], "", oldest - 1, newest));
        cr_assert_eq(read_pages(&stage, view, "", oldest, newest, 1000),
                     count_wanted(&stage.record[view], "", oldest, newest));
    }
    asker_get(stage.asker, &answer, "arizmq/history?after=%llu", (unsigned long long)oldest - 2);
    cr_assert_eq(begin_anew(&stage, &answer, oldest - 2), oldest - 1);
    answer_clear(&answer);
    cr_assert_leq(scene_metric(stage.daemon, "arizmq_history_bytes"), 300000);
    cr_assert_eq(scene_metric(stage.daemon, "arizmq_history_trimmed_total"), oldest - 1);
    history_stage_close(&stage);
}

/* Pages while events come and others are trimmed; what was read is compared afterwards. */
Test(history, while_it_is_trimmed)
{
    enum { ANSWERS_MAX = 100000 };
    struct history_stage stage = {0};
    history_stage_open(&stage, "max_bytes: 200000");
    struct answer *answers = calloc(ANSWERS_MAX, sizeof *answers);
    uint64_t *afters = calloc(ANSWERS_MAX, sizeof *afters);
    size_t count = 0;
    size_t anew = 0;
    uint64_t after = 0;
    fake_do(stage.fake, "play %s/coverage.jsonl app=replay loop=20", CAPTURES_DIR);
    for (bool is_over = false;;) {
        cr_assert_lt(count, ANSWERS_MAX);
        struct answer *answer = &answers[count];
        afters[count++] = after;
        asker_get(stage.asker, answer, "arizmq/history?view=objects&after=%llu&limit=50",
                  (unsigned long long)after);
        if (answer_number(answer, "status_code") == 200) {
            after = (uint64_t)answer_number(answer, "last");
            is_over = is_over || fake_count_events(stage.fake, "play ") > 0;
            if (is_over && !json_is_true(json_object_get(answer->header, "more"))) {
                break;
            }
        } else {
            stage.epoch = (uint64_t)answer_number(answer, "epoch");
            after = begin_anew(&stage, answer, after);
            anew++;
        }
    }
    const char *end = fake_await_event(stage.fake, "play ", FLOW_TIMEOUT_MS);
    history_stage_record(&stage, (uint64_t)fake_number(end, "frames") + 1);
    cr_assert_gt(scene_metric(stage.daemon, "arizmq_history_trimmed_total"), 10000);
    size_t at = 0;
    size_t given = 0;
    for (size_t i = 0; i < count; i++) {
        while (at < stage.record[1].count && stage.record[1].messages[at].stamp.seq <= afters[i]) {
            at++;
        }
        if (answer_number(&answers[i], "status_code") == 200) {
            expect_page(&answers[i], &stage.record[1], "", UINT64_MAX, &at);
            given += (size_t)answer_number(&answers[i], "count");
        }
        answer_clear(&answers[i]);
    }
    cr_assert_gt(given, 1000);
    printf("%zu pages of %zu messages, %zu times anew\n", count, given, anew);
    free(answers);
    free(afters);
    history_stage_close(&stage);
}

/* Whoever has received a message may ask for what follows it, at once. */
Test(history, what_was_received_is_never_the_future)
{
    struct history_stage stage = {0};
    history_stage_open(&stage, "max_bytes: 67108864");
    fake_do(stage.fake, "play %s/coverage.jsonl app=replay rate=2000 loop=0", CAPTURES_DIR);
    for (unsigned i = 0; i < 3000; i++) {
        struct subscriber_message message;
        struct answer answer;
        /* The latest that is there. */
        scene_receive(stage.record[i % 2].subscriber, &message);
        uint64_t seq = message.stamp.seq;
        do {
            seq = message.stamp.seq > seq ? message.stamp.seq : seq;
            subscriber_message_clear(&message);
        } while (subscriber_receive(stage.record[i % 2].subscriber, 0, &message) == ARIZMQ_OK);
        asker_get(stage.asker, &answer, "arizmq/history?after=%llu&limit=1",
                  (unsigned long long)seq);
        cr_assert_eq(answer_number(&answer, "status_code"), 200, "%llu: %s",
                     (unsigned long long)seq, answer_error(&answer));
        answer_clear(&answer);
    }
    fake_do(stage.fake, "stop-play");
    history_stage_close(&stage);
}

/* A page that ends with the client still there, and one whose client has gone. */
Test(history, a_client_that_goes_is_counted)
{
    struct history_stage stage = {0};
    history_stage_open(&stage, "max_bytes: 67108864");
    play(&stage, "");
    for (unsigned i = 0; scene_metric(stage.daemon, "arizmq_gateway_undeliverable_total") == 0;
         i++) {
        cr_assert_lt(i, 1000, "each of them got its reply");
        void *context = zmq_ctx_new();
        void *socket = zmq_socket(context, ZMQ_DEALER);
        int none = 0;
        zmq_connect(socket, stage.daemon->gateway_endpoint);
        for (unsigned k = 0; k < 50; k++) {
            static const char request[] = "{\"method\":\"GET\",\"uri\":\"arizmq/history\"}";
            zmq_send(socket, request, sizeof request - 1, 0);
        }
        scene_await_metric(stage.daemon, "arizmq_gateway_requests_total", 50 * i + 1);
        zmq_setsockopt(socket, ZMQ_LINGER, &none, sizeof none);
        zmq_close(socket);
        zmq_ctx_term(context);
    }
    /* Nothing of it is left. */
    int64_t deadline = harness_now_ms() + FLOW_TIMEOUT_MS;
    while (scene_metric(stage.daemon, "arizmq_history_unread_bytes") > 0) {
        cr_assert_lt(harness_now_ms(), deadline);
    }
    history_stage_close(&stage);
}
