/* SPDX-License-Identifier: MPL-2.0 */
/* What is remembered of a request id, for whom and until when. */
#include <stdio.h>

#include "once_helpers.h"

Test(once, a_repetition_waits_and_then_gets_the_reply)
{
    struct once *once = must_create();
    cr_expect_eq(ask(once, "1", 0), ONCE_NEW);
    cr_expect_eq(ask(once, "1", 5000), ONCE_UNDER_WAY); /* however long it takes */
    store(once, "", "1", 201, 100, 6000);
    for (int i = 0; i < 3; i++) {
        expect_reply(must_be_answered(once, "1", 6500), 201, 100);
    }
    cr_expect_eq(once_count(once), 1);
    cr_expect_eq(once_bytes(once), 100 + TEXTS_BYTES);
    once_destroy(&once);
    cr_expect_null(once);
    once_destroy(&once);
}

Test(once, texts_may_be_missing_and_error_words_are_kept)
{
    struct once *once = must_create();
    cr_expect_eq(ask(once, "1", 0), ONCE_NEW);
    struct reply reply = {
        .source = "bridge", .status_code = 504, .reason_phrase = "", .error = "outcome_unknown"};
    zmq_msg_t body;
    zmq_msg_init(&body);
    once_store(once, "", "1", &reply, &body, 0);
    zmq_msg_close(&body);
    const struct once_reply *stored = must_be_answered(once, "1", 1);
    cr_expect_str_eq(stored->reply.source, "bridge");
    cr_expect_str_eq(stored->reply.error, "outcome_unknown");
    cr_expect_str_eq(stored->reply.reason_phrase, "");
    cr_expect_null(stored->reply.content_type);
    cr_expect_null(stored->reply.node);
    cr_expect_eq(zmq_msg_size(stored->body), 0);
    once_destroy(&once);
}

/* Each field that is compared, changed and taken away; two that could run into each other. */
Test(once, another_content_is_a_conflict_field_by_field)
{
    struct request changed[15];
    for (size_t i = 0; i < sizeof changed / sizeof *changed; i++) {
        changed[i] = request_of("1");
    }
    changed[0].method = "PUT";
    changed[1].uri = "channels/1";
    changed[2].query = "endpoint=Local%2F2";
    changed[3].query = "";
    changed[4].node = "pbx2";
    changed[5].node = NULL;
    changed[6].app = "ivr2";
    changed[7].app = NULL;
    changed[8].content_type = "application/x-www-form-urlencoded";
    changed[9].body = "{\"a\":2}";
    changed[10].body_length = 6;
    changed[11].body = NULL;
    changed[11].body_length = 0;
    changed[12].uri = "channelsendpoint=Local%2F1";
    changed[12].query = "";
    changed[13].node = "pbx1ivr";
    changed[13].app = "";
    changed[14].app = "";
    struct once *once = must_create();
    cr_expect_eq(ask(once, "1", 0), ONCE_NEW);
    for (int answered = 0; answered < 2; answered++) {
        for (size_t i = 0; i < sizeof changed / sizeof *changed; i++) {
            struct once_entry *untouched = NULL;
            cr_expect_eq(once_look_up(once, "", &changed[i], 1, &untouched), ONCE_CONFLICT, "%zu",
                         i);
            cr_expect_null(untouched);
        }
        store(once, "", "1", 200, 1, 1);
    }
    expect_reply(must_be_answered(once, "1", 2), 200, 1);
    once_destroy(&once);
}

Test(once, what_is_empty_is_not_what_is_missing)
{
    struct once *once = must_create();
    struct request request = request_of("1");
    struct once_entry *entry = NULL;
    request.app = NULL;
    cr_expect_eq(once_look_up(once, "", &request, 0, &entry), ONCE_NEW);
    request.app = "";
    cr_expect_eq(once_look_up(once, "", &request, 0, &entry), ONCE_CONFLICT);
    request.app = NULL;
    cr_expect_eq(once_look_up(once, "", &request, 0, &entry), ONCE_UNDER_WAY);
    once_destroy(&once);
}

Test(once, timeout_and_transaction_may_differ)
{
    struct once *once = must_create();
    struct request request = request_of("1");
    struct once_entry *entry = NULL;
    cr_expect_eq(once_look_up(once, "", &request, 0, &entry), ONCE_NEW);
    request.timeout_ms = 1;
    cr_expect_eq(once_look_up(once, "", &request, 0, &entry), ONCE_UNDER_WAY);
    request.transaction_id = NULL;
    cr_expect_eq(once_look_up(once, "", &request, 0, &entry), ONCE_UNDER_WAY);
    char copy[] = "{\"a\":1}"; /* what it says counts, not where it is */
    request.body = copy;
    cr_expect_eq(once_look_up(once, "", &request, 0, &entry), ONCE_UNDER_WAY);
    once_destroy(&once);
}

Test(once, each_scope_has_its_own_window)
{
    char longest_scope[ONCE_SCOPE_MAX + 1];
    char longest_id[REQUEST_ID_MAX + 1];
    memset(longest_scope, 'k', sizeof longest_scope - 1);
    memset(longest_id, 'i', sizeof longest_id - 1);
    longest_scope[sizeof longest_scope - 1] = '\0';
    longest_id[sizeof longest_id - 1] = '\0';
    /* Run together, some of these pairs are the same bytes. */
    const char *const pairs[][2] = {{"", "ab"},  {"a", "b"},  {"ab", "c"},
                                    {"b", "ab"}, {"", "abc"}, {longest_scope, longest_id}};
    struct once *once = must_create();
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct request request = request_of(pairs[i][1]);
        struct once_entry *entry = NULL;
        cr_expect_eq(once_look_up(once, pairs[i][0], &request, 0, &entry), ONCE_NEW, "%zu", i);
    }
    store(once, "a", "b", 200, 0, 0);
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct request request = request_of(pairs[i][1]);
        struct once_entry *entry = NULL;
        cr_expect_eq(once_look_up(once, pairs[i][0], &request, 0, &entry),
                     i == 1 ? ONCE_ANSWERED : ONCE_UNDER_WAY, "%zu", i);
    }
    once_forget(once, "", "b");
    cr_expect_eq(once_count(once), 6);
    once_destroy(&once);
}

Test(once, forgotten_may_be_tried_again)
{
    struct once *once = must_create();
    cr_expect_eq(ask(once, "1", 0), ONCE_NEW);
    once_forget(once, "", "1");
    once_forget(once, "", "1");
    cr_expect_eq(once_count(once), 0);
    cr_expect_eq(ask(once, "1", 0), ONCE_NEW);
    store(once, "", "1", 200, 5, 0);
    once_forget(once, "", "1");
    cr_expect_eq(once_bytes(once), 0);
    cr_expect_eq(metrics_get(METRIC_ONCE_EVICTED), 0);
    once_destroy(&once);
}

Test(once, what_is_not_there_is_not_stored)
{
    struct once *once = must_create();
    store(once, "", "1", 200, 5, 0);
    cr_expect_eq(once_count(once), 0);
    cr_expect_eq(once_bytes(once), 0);
    cr_expect_eq(ask(once, "1", 0), ONCE_NEW);
    once_destroy(&once);
}

Test(once, the_window_begins_with_the_answer)
{
    struct once *once = must_create();
    for (int i = 0; i < 3; i++) {
        char id[8];
        snprintf(id, sizeof id, "%d", i);
        cr_expect_eq(ask(once, id, 0), ONCE_NEW);
    }
    store(once, "", "0", 200, 1, 5000);
    store(once, "", "1", 200, 1, 5500);
    once_expire(once, 5999);
    cr_expect_eq(once_count(once), 3);
    must_be_answered(once, "0", 5999);
    once_expire(once, 6000);
    cr_expect_eq(once_count(once), 2);
    cr_expect_eq(once_bytes(once), 1 + TEXTS_BYTES);
    /* Nobody has to expire it for it to be over. */
    must_be_answered(once, "1", 6499);
    cr_expect_eq(ask(once, "1", 6500), ONCE_NEW);
    cr_expect_eq(once_bytes(once), 0);
    once_expire(once, 1000000);
    cr_expect_eq(once_count(once), 2, "those under way stay");
    cr_expect_eq(ask(once, "2", 1000000), ONCE_UNDER_WAY);
    cr_expect_eq(metrics_get(METRIC_ONCE_EVICTED), 0);
    once_destroy(&once);
}

Test(once, a_late_answer_takes_the_place_of_the_first)
{
    struct once *once = must_create();
    cr_expect_eq(ask(once, "1", 0), ONCE_NEW);
    cr_expect_eq(ask(once, "2", 0), ONCE_NEW);
    store(once, "", "1", 504, 300, 0);
    store(once, "", "2", 200, 10, 400);
    store(once, "", "1", 201, 20, 900);
    expect_reply(must_be_answered(once, "1", 950), 201, 20);
    cr_expect_eq(once_bytes(once), 10 + 20 + 2 * TEXTS_BYTES);
    once_expire(once, 1400); /* 2 now is the one answered longest ago */
    cr_expect_eq(once_count(once), 1);
    once_expire(once, 1899);
    cr_expect_eq(once_count(once), 1);
    once_expire(once, 1900);
    cr_expect_eq(once_count(once), 0);
    cr_expect_eq(once_bytes(once), 0);
    once_destroy(&once);
}

Test(once, the_body_is_shared_and_outlives_the_entry)
{
    struct once *once = must_create();
    config.once_max_bytes = 1 << 20;
    cr_expect_eq(ask(once, "1", 0), ONCE_NEW);
    store(once, "", "1", 200, 100000, 0);
    zmq_msg_t copy;
    zmq_msg_init(&copy);
    cr_assert_eq(zmq_msg_copy(&copy, must_be_answered(once, "1", 1)->body), 0);
    once_destroy(&once);
    cr_expect_eq(zmq_msg_size(&copy), 100000);
    cr_expect_eq(((const char *)zmq_msg_data(&copy))[99999], 'x');
    zmq_msg_close(&copy);
}
