/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The gap checker against a model of the bridge: view_publish() numbers a topic as the bridge does,
 * and the test decides which of the messages reach the checker.
 */
#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"
#include "arizmq/gaps.h"

enum { KEYS_MAX = 256 };

/* One view of one bridge. */
struct view {
    uint64_t epoch;
    uint64_t seq;
    struct {
        char key[64];
        uint64_t count;
    } counters[KEYS_MAX];
    unsigned used;
};

static uint64_t *view_counter(struct view *view, const char *topic, size_t length)
{
    for (unsigned i = 0; i < view->used; i++) {
        if (strlen(view->counters[i].key) == length &&
            memcmp(view->counters[i].key, topic, length) == 0) {
            return &view->counters[i].count;
        }
    }
    cr_assert_lt(view->used, KEYS_MAX);
    snprintf(view->counters[view->used].key, sizeof view->counters[0].key, "%.*s", (int)length,
             topic);
    return &view->counters[view->used++].count;
}

/* The next message of the view: its stamp. */
static struct arizmq_stamp view_publish(struct view *view, const char *topic)
{
    struct arizmq_stamp stamp = {.epoch = view->epoch, .seq = ++view->seq};
    stamp.count[stamp.counts++] = ++*view_counter(view, topic, 0);
    for (const char *slash = strchr(topic, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        stamp.count[stamp.counts++] = ++*view_counter(view, topic, (size_t)(slash - topic) + 1);
    }
    return stamp;
}

static void view_lose(struct view *view, const char *topic)
{
    view_publish(view, topic);
}

static void view_restart(struct view *view, uint64_t epoch)
{
    *view = (struct view){.epoch = epoch};
}

static struct arizmq_gaps_result check(struct arizmq_gaps *gaps, const char *topic,
                                       const struct arizmq_stamp *stamp)
{
    struct arizmq_gaps_result result;
    int rc = arizmq_gaps_check(gaps, topic, strlen(topic), "{}", 2, stamp, &result);
    cr_assert_eq(rc, ARIZMQ_OK, "%s: %d", topic, rc);
    cr_assert_not(result.is_heartbeat);
    return result;
}

static struct arizmq_gaps_result deliver(struct arizmq_gaps *gaps, struct view *view,
                                         const char *topic)
{
    struct arizmq_stamp stamp = view_publish(view, topic);
    return check(gaps, topic, &stamp);
}

/* A heartbeat as the bridge would send it now. */
static struct arizmq_gaps_result deliver_heartbeat(struct arizmq_gaps *gaps, struct view *view)
{
    char event[8192];
    size_t length = (size_t)snprintf(event, sizeof event,
                                     "{\"type\":\"ArizmqHeartbeat\",\"node\":\"-\",\"counts\":{");
    const char *comma = "";
    for (unsigned i = 0; i < view->used; i++) {
        const char *slash = strchr(view->counters[i].key, '/');
        if (slash != NULL && slash[1] == '\0') {
            length +=
                (size_t)snprintf(event + length, sizeof event - length, "%s\"%.*s\":%llu", comma,
                                 (int)(slash - view->counters[i].key), view->counters[i].key,
                                 (unsigned long long)view->counters[i].count);
            comma = ",";
        }
    }
    length += (size_t)snprintf(event + length, sizeof event - length, "}}");
    const char *topic = "ArizmqHeartbeat/-/-/-/";
    struct arizmq_stamp stamp = {.epoch = view->epoch, .seq = view->seq, .counts = 5};
    stamp.count[0] = *view_counter(view, topic, 0);
    struct arizmq_gaps_result result;
    int rc = arizmq_gaps_check(gaps, topic, strlen(topic), event, length, &stamp, &result);
    cr_assert_eq(rc, ARIZMQ_OK, "heartbeat: %d", rc);
    cr_assert(result.is_heartbeat);
    return result;
}

static struct arizmq_gaps *create(size_t watched_max, unsigned count, ...)
{
    const char *prefixes[16];
    va_list arguments;
    va_start(arguments, count);
    for (unsigned i = 0; i < count; i++) {
        prefixes[i] = va_arg(arguments, const char *);
    }
    va_end(arguments);
    struct arizmq_gaps *gaps = NULL;
    cr_assert_eq(arizmq_gaps_create(prefixes, count, watched_max, &gaps), ARIZMQ_OK);
    return gaps;
}

static const struct arizmq_gaps_totals *totals(const struct arizmq_gaps *gaps, const char *prefix)
{
    unsigned count = 0;
    const struct arizmq_gaps_totals *all = arizmq_gaps_totals(gaps, &count);
    for (unsigned i = 0; i < count; i++) {
        if (strcmp(all[i].prefix, prefix) == 0) {
            return &all[i];
        }
    }
    cr_assert_fail("\"%s\" is not watched", prefix);
    return NULL;
}

#define EXPECT(result, expected_verdict, expected_missing)                                         \
    do {                                                                                           \
        struct arizmq_gaps_result got_ = (result);                                                 \
        cr_expect_eq(got_.verdict, (expected_verdict), "verdict %d", (int)got_.verdict);           \
        cr_expect_eq(got_.missing, (expected_missing), "missing %llu",                             \
                     (unsigned long long)got_.missing);                                            \
    } while (0)

Test(gaps, whole_view_tells_how_many_are_missing)
{
    struct view view = {.epoch = 7};
    struct arizmq_gaps *gaps = create(10, 1, "");
    view_lose(&view, "StasisStart/ivr/pbx1/1/"); /* before the first message: not known of */
    EXPECT(deliver(gaps, &view, "StasisStart/ivr/pbx1/2/"), ARIZMQ_GAPS_FIRST, 0);
    EXPECT(deliver(gaps, &view, "StasisEnd/ivr/pbx1/2/"), ARIZMQ_GAPS_OK, 0);
    view_lose(&view, "StasisEnd/ivr/pbx1/1/");
    view_lose(&view, "Dial/ivr/pbx1/1/");
    struct arizmq_gaps_result result = deliver(gaps, &view, "StasisStart/ivr/pbx1/3/");
    EXPECT(result, ARIZMQ_GAPS_GAP, 2);
    cr_expect_eq(result.after_seq, 3);
    cr_expect_eq(result.key_length, 0);
    EXPECT(deliver(gaps, &view, "StasisEnd/ivr/pbx1/3/"), ARIZMQ_GAPS_OK, 0);
    cr_expect_eq(totals(gaps, "")->received, 4);
    cr_expect_eq(totals(gaps, "")->missing, 2);
    cr_expect_eq(arizmq_gaps_watched(gaps), 1);
    arizmq_gaps_destroy(&gaps);
    cr_expect_null(gaps);
    arizmq_gaps_destroy(&gaps);
}

Test(gaps, filtering_is_not_loss)
{
    struct view view = {.epoch = 7};
    struct arizmq_gaps *gaps = create(10, 1, "StasisStart/ivr/");
    deliver(gaps, &view, "StasisStart/ivr/pbx1/1/");
    view_publish(&view, "StasisStart/other/pbx1/2/");
    view_publish(&view, "ChannelVarset/ivr/pbx1/2/");
    struct arizmq_gaps_result result = deliver(gaps, &view, "StasisStart/ivr/pbx2/3/");
    EXPECT(result, ARIZMQ_GAPS_OK, 0);
    cr_expect_eq(result.key_length, strlen("StasisStart/ivr/"));
    view_lose(&view, "StasisStart/ivr/pbx1/4/");
    EXPECT(deliver(gaps, &view, "StasisStart/ivr/pbx1/5/"), ARIZMQ_GAPS_GAP, 1);
    cr_expect_eq(totals(gaps, "StasisStart/ivr/")->depth, 2);
    arizmq_gaps_destroy(&gaps);
}

Test(gaps, every_depth_has_its_counter)
{
    static const char *const prefixes[] = {"", "A/", "A/b/", "A/b/c/", "A/b/c/d/"};
    for (unsigned depth = 0; depth < 5; depth++) {
        struct view view = {.epoch = 7};
        struct arizmq_gaps *gaps = create(10, 1, prefixes[depth]);
        deliver(gaps, &view, "A/b/c/d/");
        view_lose(&view, "A/b/c/d/");
        EXPECT(deliver(gaps, &view, "A/b/c/d/"), ARIZMQ_GAPS_GAP, 1);
        cr_expect_eq(totals(gaps, prefixes[depth])->depth, depth);
        arizmq_gaps_destroy(&gaps);
    }
}

Test(gaps, prefix_within_the_first_token_watches_each_type)
{
    struct view view = {.epoch = 7};
    struct arizmq_gaps *gaps = create(10, 1, "Channel");
    EXPECT(deliver(gaps, &view, "ChannelCreated/ivr/pbx1/1/"), ARIZMQ_GAPS_FIRST, 0);
    EXPECT(deliver(gaps, &view, "ChannelVarset/ivr/pbx1/1/"), ARIZMQ_GAPS_FIRST, 0);
    view_lose(&view, "ChannelVarset/ivr/pbx1/1/");
    EXPECT(deliver(gaps, &view, "ChannelCreated/ivr/pbx1/2/"), ARIZMQ_GAPS_OK, 0);
    struct arizmq_gaps_result result = deliver(gaps, &view, "ChannelVarset/x/pbx1/2/");
    EXPECT(result, ARIZMQ_GAPS_GAP, 1);
    cr_expect_eq(result.key_length, strlen("ChannelVarset/"));
    cr_expect_eq(arizmq_gaps_watched(gaps), 2);
    cr_expect_eq(totals(gaps, "Channel")->depth, 1);
    cr_expect_eq(totals(gaps, "Channel")->received, 4);
    arizmq_gaps_destroy(&gaps);
}

Test(gaps, prefix_within_a_later_token_watches_each_of_them)
{
    struct view view = {.epoch = 7};
    struct arizmq_gaps *gaps = create(10, 1, "StasisStart/iv");
    EXPECT(deliver(gaps, &view, "StasisStart/ivr/pbx1/1/"), ARIZMQ_GAPS_FIRST, 0);
    EXPECT(deliver(gaps, &view, "StasisStart/ivy/pbx1/1/"), ARIZMQ_GAPS_FIRST, 0);
    view_lose(&view, "StasisStart/ivy/pbx1/1/");
    EXPECT(deliver(gaps, &view, "StasisStart/ivr/pbx1/1/"), ARIZMQ_GAPS_OK, 0);
    EXPECT(deliver(gaps, &view, "StasisStart/ivy/pbx1/1/"), ARIZMQ_GAPS_GAP, 1);
    arizmq_gaps_destroy(&gaps);
}

Test(gaps, overlapping_prefixes_count_a_message_and_a_loss_once)
{
    struct view view = {.epoch = 7};
    struct arizmq_gaps *gaps =
        create(10, 6, "StasisStart/ivr/", "Stasis", "Dial/", "StasisStart/", "Stasis", "Dial/x/");
    unsigned count = 0;
    const struct arizmq_gaps_totals *all = arizmq_gaps_totals(gaps, &count);
    cr_assert_eq(count, 2);
    cr_expect_str_eq(all[0].prefix, "Dial/");
    cr_expect_str_eq(all[1].prefix, "Stasis");
    deliver(gaps, &view, "StasisStart/ivr/pbx1/1/");
    view_lose(&view, "StasisStart/ivr/pbx1/1/");
    EXPECT(deliver(gaps, &view, "StasisStart/ivr/pbx1/1/"), ARIZMQ_GAPS_GAP, 1);
    deliver(gaps, &view, "Dial/x/pbx1/1/");
    cr_expect_eq(totals(gaps, "Stasis")->received, 2);
    cr_expect_eq(totals(gaps, "Stasis")->missing, 1);
    cr_expect_eq(totals(gaps, "Dial/")->received, 1);
    cr_expect_eq(totals(gaps, "Dial/")->missing, 0);
    arizmq_gaps_destroy(&gaps);
}

Test(gaps, prefixes_are_not_mixed_up_with_their_neighbours)
{
    struct view view = {.epoch = 7};
    struct arizmq_gaps *gaps = create(10, 4, "B/", "Bridge", "C/d/", "C/f/");
    struct arizmq_gaps_result result = deliver(gaps, &view, "BridgeCreated/a/b/c/");
    unsigned count = 0;
    cr_expect_str_eq(arizmq_gaps_totals(gaps, &count)[result.prefix].prefix, "Bridge");
    result = deliver(gaps, &view, "C/f/b/c/");
    cr_expect_str_eq(arizmq_gaps_totals(gaps, &count)[result.prefix].prefix, "C/f/");
    static const char *const strangers[] = {"A/", "Br/x/", "C/", "C/e/x/", "C/g/x/", "D/", "", "C"};
    for (unsigned i = 0; i < sizeof strangers / sizeof *strangers; i++) {
        struct arizmq_stamp stamp = {.epoch = 7, .counts = 5, .count = {1, 1, 1, 1, 1}};
        cr_expect_eq(
            arizmq_gaps_check(gaps, strangers[i], strlen(strangers[i]), NULL, 0, &stamp, &result),
            ARIZMQ_ENOTFOUND, "%s", strangers[i]);
    }
    arizmq_gaps_destroy(&gaps);
}

Test(gaps, restart_is_told_once_and_counts_from_one)
{
    struct view view = {.epoch = 7};
    struct arizmq_gaps *gaps = create(10, 1, "Channel");
    deliver(gaps, &view, "ChannelCreated/a/n/1/");
    deliver(gaps, &view, "ChannelVarset/a/n/1/");
    view_restart(&view, 8);
    view_lose(&view, "ChannelCreated/a/n/1/");
    view_lose(&view, "ChannelVarset/a/n/1/");
    view_lose(&view, "ChannelVarset/a/n/1/");
    struct arizmq_gaps_result result = deliver(gaps, &view, "ChannelCreated/a/n/1/");
    EXPECT(result, ARIZMQ_GAPS_RESTARTED, 1);
    cr_expect_eq(result.after_seq, 0);
    EXPECT(deliver(gaps, &view, "ChannelVarset/a/n/1/"), ARIZMQ_GAPS_GAP, 2);
    EXPECT(deliver(gaps, &view, "ChannelHold/a/n/1/"), ARIZMQ_GAPS_OK, 0);
    cr_expect_eq(arizmq_gaps_restarts(gaps), 1);
    cr_expect_eq(totals(gaps, "Channel")->missing, 3);
    cr_expect_eq(totals(gaps, "Channel")->started_anew, 0);
    view_restart(&view, 9);
    EXPECT(deliver(gaps, &view, "ChannelHold/a/n/1/"), ARIZMQ_GAPS_RESTARTED, 0);
    cr_expect_eq(arizmq_gaps_restarts(gaps), 2);
    arizmq_gaps_destroy(&gaps);
}

Test(gaps, counter_dropped_by_the_bridge_starts_anew)
{
    struct view view = {.epoch = 7};
    struct arizmq_gaps *gaps = create(10, 1, "StasisStart/ivr/");
    deliver(gaps, &view, "StasisStart/ivr/pbx1/1/");
    deliver(gaps, &view, "StasisStart/ivr/pbx1/1/");
    deliver(gaps, &view, "StasisStart/ivr/pbx1/1/");
    *view_counter(&view, "StasisStart/ivr/", strlen("StasisStart/ivr/")) = 0;
    EXPECT(deliver(gaps, &view, "StasisStart/ivr/pbx1/1/"), ARIZMQ_GAPS_STARTED_ANEW, 0);
    EXPECT(deliver(gaps, &view, "StasisStart/ivr/pbx1/1/"), ARIZMQ_GAPS_OK, 0);
    deliver(gaps, &view, "StasisStart/ivr/pbx1/1/");
    *view_counter(&view, "StasisStart/ivr/", strlen("StasisStart/ivr/")) = 0;
    view_lose(&view, "StasisStart/ivr/pbx1/1/");
    EXPECT(deliver(gaps, &view, "StasisStart/ivr/pbx1/1/"), ARIZMQ_GAPS_STARTED_ANEW, 1);
    cr_expect_eq(totals(gaps, "StasisStart/ivr/")->started_anew, 2);
    cr_expect_eq(totals(gaps, "StasisStart/ivr/")->missing, 1);
    arizmq_gaps_destroy(&gaps);
}

Test(gaps, repeated_message_changes_nothing)
{
    struct view view = {.epoch = 7};
    struct arizmq_gaps *gaps = create(10, 1, "");
    struct arizmq_stamp first = view_publish(&view, "A/b/");
    struct arizmq_stamp second = view_publish(&view, "A/b/");
    check(gaps, "A/b/", &first);
    check(gaps, "A/b/", &second);
    EXPECT(check(gaps, "A/b/", &second), ARIZMQ_GAPS_REPEATED, 0);
    EXPECT(check(gaps, "A/b/", &first), ARIZMQ_GAPS_REPEATED, 0);
    EXPECT(deliver(gaps, &view, "A/b/"), ARIZMQ_GAPS_OK, 0);
    cr_expect_eq(totals(gaps, "")->received, 3);
    arizmq_gaps_destroy(&gaps);
}

Test(gaps, objects_of_one_event_share_its_seq)
{
    struct view view = {.epoch = 7};
    struct arizmq_gaps *gaps = create(10, 1, "channel/");
    deliver(gaps, &view, "channel/1/Dial/pbx1/");
    view.seq--;
    EXPECT(deliver(gaps, &view, "channel/2/Dial/pbx1/"), ARIZMQ_GAPS_OK, 0);
    view_lose(&view, "channel/1/Dial/pbx1/");
    view.seq--;
    EXPECT(deliver(gaps, &view, "channel/2/Dial/pbx1/"), ARIZMQ_GAPS_GAP, 1);
    arizmq_gaps_destroy(&gaps);
}

Test(gaps, least_recently_used_counter_is_forgotten_first)
{
    struct view view = {.epoch = 7};
    struct arizmq_gaps *gaps = create(2, 1, "channel/1");
    EXPECT(deliver(gaps, &view, "channel/11/Dial/n/"), ARIZMQ_GAPS_FIRST, 0);
    EXPECT(deliver(gaps, &view, "channel/12/Dial/n/"), ARIZMQ_GAPS_FIRST, 0);
    EXPECT(deliver(gaps, &view, "channel/11/Dial/n/"), ARIZMQ_GAPS_OK, 0);
    cr_expect_eq(arizmq_gaps_evicted(gaps), 0);
    EXPECT(deliver(gaps, &view, "channel/13/Dial/n/"), ARIZMQ_GAPS_FIRST, 0); /* 12 leaves */
    cr_expect_eq(arizmq_gaps_evicted(gaps), 1);
    cr_expect_eq(arizmq_gaps_watched(gaps), 2);
    view_lose(&view, "channel/11/Dial/n/");
    view_lose(&view, "channel/12/Dial/n/");
    EXPECT(deliver(gaps, &view, "channel/11/Dial/n/"), ARIZMQ_GAPS_GAP, 1);
    EXPECT(deliver(gaps, &view, "channel/12/Dial/n/"), ARIZMQ_GAPS_FIRST, 0); /* 13 leaves */
    cr_expect_eq(arizmq_gaps_evicted(gaps), 2);
    arizmq_gaps_destroy(&gaps);
}

Test(gaps, forgotten_counters_are_no_loss_after_a_restart)
{
    struct view view = {.epoch = 7};
    struct arizmq_gaps *gaps = create(1, 1, "Channel");
    deliver(gaps, &view, "ChannelA/a/n/1/");
    view_restart(&view, 8);
    EXPECT(deliver(gaps, &view, "ChannelA/a/n/1/"), ARIZMQ_GAPS_RESTARTED, 0);
    view_lose(&view, "ChannelB/a/n/1/");
    EXPECT(deliver(gaps, &view, "ChannelB/a/n/1/"), ARIZMQ_GAPS_GAP, 1);
    EXPECT(deliver(gaps, &view, "ChannelA/a/n/1/"), ARIZMQ_GAPS_FIRST, 0);
    arizmq_gaps_destroy(&gaps);
}

Test(gaps, many_counters_stay_within_the_bound)
{
    struct arizmq_gaps *gaps = create(100, 1, "channel/x");
    for (unsigned i = 0; i < 10000; i++) {
        char topic[64];
        snprintf(topic, sizeof topic, "channel/x%u/Dial/n/", i);
        struct arizmq_stamp stamp = {
            .epoch = 7, .seq = i + 1, .counts = 5, .count = {i + 1, i + 1, 1, 1, 1}};
        EXPECT(check(gaps, topic, &stamp), ARIZMQ_GAPS_FIRST, 0);
    }
    cr_expect_eq(arizmq_gaps_watched(gaps), 100);
    cr_expect_eq(arizmq_gaps_evicted(gaps), 9900);
    arizmq_gaps_destroy(&gaps);
}

Test(gaps, heartbeat_shows_loss_at_the_tail_of_the_whole_view)
{
    struct view view = {.epoch = 7};
    struct arizmq_gaps *gaps = create(10, 1, "");
    deliver(gaps, &view, "A/b/c/d/");
    EXPECT(deliver_heartbeat(gaps, &view), ARIZMQ_GAPS_OK, 0);
    view_lose(&view, "A/b/c/d/");
    view_lose(&view, "B/b/c/d/");
    struct arizmq_gaps_result result = deliver_heartbeat(gaps, &view);
    EXPECT(result, ARIZMQ_GAPS_GAP, 2);
    cr_expect_eq(result.after_seq, 1);
    EXPECT(deliver_heartbeat(gaps, &view), ARIZMQ_GAPS_OK, 0); /* told once */
    EXPECT(deliver(gaps, &view, "A/b/c/d/"), ARIZMQ_GAPS_OK, 0);
    cr_expect_eq(totals(gaps, "")->received, 2);
    cr_expect_eq(totals(gaps, "")->missing, 2);
    arizmq_gaps_destroy(&gaps);
}

Test(gaps, heartbeat_shows_loss_at_the_tail_of_first_tokens)
{
    struct view view = {.epoch = 7};
    struct arizmq_gaps *gaps = create(10, 3, "Channel", "StasisStart/", "Dial/ivr/");
    deliver(gaps, &view, "ChannelCreated/a/n/1/");
    deliver(gaps, &view, "StasisStart/a/n/1/");
    deliver(gaps, &view, "Dial/ivr/n/1/");
    EXPECT(deliver_heartbeat(gaps, &view), ARIZMQ_GAPS_OK, 0);
    view_publish(&view, "StasisEnd/a/n/1/"); /* not subscribed to */
    EXPECT(deliver_heartbeat(gaps, &view), ARIZMQ_GAPS_OK, 0);
    view_lose(&view, "ChannelCreated/a/n/1/");
    view_lose(&view, "StasisStart/a/n/1/");
    view_lose(&view, "Dial/ivr/n/1/"); /* too deep for a heartbeat */
    EXPECT(deliver_heartbeat(gaps, &view), ARIZMQ_GAPS_GAP, 2);
    cr_expect_eq(totals(gaps, "Channel")->missing, 1);
    cr_expect_eq(totals(gaps, "StasisStart/")->missing, 1);
    cr_expect_eq(totals(gaps, "Dial/ivr/")->missing, 0);
    EXPECT(deliver(gaps, &view, "Dial/ivr/n/1/"), ARIZMQ_GAPS_GAP, 1);
    arizmq_gaps_destroy(&gaps);
}

/* As in the view objects: the second message of an event is missing, and has the seq of the first.
 */
Test(gaps, what_is_missing_may_have_the_seq_that_is_told)
{
    struct view view = {.epoch = 7};
    struct arizmq_gaps *gaps = create(10, 1, "");
    deliver(gaps, &view, "channel/1/Dial/n/");
    deliver(gaps, &view, "channel/2/Dial/n/"); /* seq 2, as that which is lost */
    view.seq--;
    view_lose(&view, "channel/3/Dial/n/");
    cr_assert_eq(view.seq, 2);
    struct arizmq_gaps_result result = deliver(gaps, &view, "channel/1/StasisEnd/n/");
    EXPECT(result, ARIZMQ_GAPS_GAP, 1);
    cr_expect_eq(result.after_seq, 2);
    view.seq--; /* and what arrives of one event, with one seq, is no repetition */
    EXPECT(deliver(gaps, &view, "channel/2/StasisEnd/n/"), ARIZMQ_GAPS_OK, 0);
    arizmq_gaps_destroy(&gaps);
}

Test(gaps, heartbeat_is_a_base_line)
{
    struct view view = {.epoch = 7};
    struct arizmq_gaps *gaps = create(10, 1, "Channel");
    view_publish(&view, "ChannelCreated/a/n/1/"); /* before this subscriber came */
    EXPECT(deliver_heartbeat(gaps, &view), ARIZMQ_GAPS_FIRST, 0);
    view_lose(&view, "ChannelCreated/a/n/1/");
    EXPECT(deliver(gaps, &view, "ChannelCreated/a/n/1/"), ARIZMQ_GAPS_GAP, 1);
    view_lose(&view, "ChannelHold/a/n/1/"); /* a type that the heartbeat did not know yet */
    struct arizmq_gaps_result result = deliver(gaps, &view, "ChannelHold/a/n/1/");
    EXPECT(result, ARIZMQ_GAPS_GAP, 1);
    cr_expect_eq(result.after_seq, 1);
    view_lose(&view, "ChannelUnhold/a/n/1/");
    EXPECT(deliver_heartbeat(gaps, &view), ARIZMQ_GAPS_GAP, 1);
    EXPECT(deliver_heartbeat(gaps, &view), ARIZMQ_GAPS_OK, 0);
    arizmq_gaps_destroy(&gaps);
}

Test(gaps, heartbeat_before_anything_was_published)
{
    struct view view = {.epoch = 7};
    struct arizmq_gaps *gaps = create(10, 1, "");
    EXPECT(deliver_heartbeat(gaps, &view), ARIZMQ_GAPS_FIRST, 0);
    view_lose(&view, "A/b/c/d/");
    EXPECT(deliver(gaps, &view, "A/b/c/d/"), ARIZMQ_GAPS_GAP, 1);
    arizmq_gaps_destroy(&gaps);
}

Test(gaps, heartbeat_tells_of_a_restart)
{
    struct view view = {.epoch = 7};
    struct arizmq_gaps *gaps = create(10, 1, "Channel");
    deliver(gaps, &view, "ChannelCreated/a/n/1/");
    view_restart(&view, 8);
    view_lose(&view, "ChannelCreated/a/n/1/");
    view_lose(&view, "ChannelCreated/a/n/1/");
    EXPECT(deliver_heartbeat(gaps, &view), ARIZMQ_GAPS_RESTARTED, 2);
    EXPECT(deliver(gaps, &view, "ChannelCreated/a/n/1/"), ARIZMQ_GAPS_OK, 0);
    cr_expect_eq(arizmq_gaps_restarts(gaps), 1);
    arizmq_gaps_destroy(&gaps);
}

Test(gaps, heartbeat_does_not_push_out_what_is_in_use)
{
    struct view view = {.epoch = 7};
    struct arizmq_gaps *gaps = create(2, 1, "C");
    view_publish(&view, "C1/a/");
    view_publish(&view, "C2/a/");
    view_publish(&view, "C3/a/");
    deliver(gaps, &view, "C8/a/");
    deliver(gaps, &view, "C9/a/");
    deliver_heartbeat(gaps, &view);
    cr_expect_eq(arizmq_gaps_evicted(gaps), 0);
    EXPECT(deliver(gaps, &view, "C9/a/"), ARIZMQ_GAPS_OK, 0);
    /* C1 had no room, so nothing is known about it: not a loss. */
    EXPECT(deliver(gaps, &view, "C1/a/"), ARIZMQ_GAPS_FIRST, 0);
    arizmq_gaps_destroy(&gaps);
}

Test(gaps, broken_heartbeats_are_refused_and_change_nothing)
{
    static const char *const events[] = {"",
                                         "[]",
                                         "{",
                                         "{\"counts\":[]}",
                                         "\"counts\"",
                                         "{\"counts\":{\"ChannelA\":-1}}",
                                         "{\"counts\":{\"ChannelA\":\"7\"}}"};
    struct view view = {.epoch = 7};
    struct arizmq_gaps *gaps = create(10, 1, "Channel");
    deliver(gaps, &view, "ChannelA/a/n/1/");
    struct arizmq_stamp stamp = {.epoch = 8, .seq = 1, .counts = 5};
    struct arizmq_gaps_result result;
    for (unsigned i = 0; i < sizeof events / sizeof *events; i++) {
        cr_expect_eq(arizmq_gaps_check(gaps, "ArizmqHeartbeat/", 16, events[i], strlen(events[i]),
                                       &stamp, &result),
                     ARIZMQ_EINVALID, "%s", events[i]);
    }
    cr_expect_eq(arizmq_gaps_restarts(gaps), 0);
    /* One without counts says what its stamp says. */
    cr_expect_eq(arizmq_gaps_check(gaps, "ArizmqHeartbeat/", 16, "{}", 2, &stamp, &result), 0);
    cr_expect_eq(arizmq_gaps_restarts(gaps), 1);
    arizmq_gaps_destroy(&gaps);
}

Test(gaps, stamps_that_do_not_fit_are_refused)
{
    struct arizmq_gaps *gaps = create(10, 1, "A/b");
    struct arizmq_gaps_result result;
    struct arizmq_stamp stamp = {.epoch = 7, .seq = 1, .counts = 2, .count = {1, 1}};
    cr_expect_eq(arizmq_gaps_check(gaps, "A/bc/", 5, NULL, 0, &stamp, &result), ARIZMQ_EINVALID);
    stamp.counts = 3; /* with a count[2] of zero, and yet no heartbeat */
    cr_expect_eq(arizmq_gaps_check(gaps, "A/bc/", 5, NULL, 0, &stamp, &result), ARIZMQ_EINVALID);
    stamp.count[2] = 1;
    cr_expect_eq(arizmq_gaps_check(gaps, "A/bc", 4, NULL, 0, &stamp, &result), ARIZMQ_EINVALID);
    char topic[ARIZMQ_TOPIC_BYTES_MAX + 2];
    memset(topic, 'b', sizeof topic);
    memcpy(topic, "A/b", 3);
    topic[sizeof topic - 1] = '/';
    cr_expect_eq(arizmq_gaps_check(gaps, topic, sizeof topic, NULL, 0, &stamp, &result),
                 ARIZMQ_EINVALID);
    cr_expect_eq(arizmq_gaps_check(gaps, "A/bc/", 5, NULL, 0, &stamp, &result), ARIZMQ_OK);
    arizmq_gaps_destroy(&gaps);
}

Test(gaps, prefixes_that_match_nothing_are_refused)
{
    struct arizmq_gaps *gaps = NULL;
    char longest[ARIZMQ_TOPIC_BYTES_MAX + 2];
    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    const char *prefixes[] = {longest};
    cr_expect_eq(arizmq_gaps_create(prefixes, 1, 10, &gaps), ARIZMQ_ETOOLARGE);
    prefixes[0] = "1/2/3/4/5/6/7/8/9";
    cr_expect_eq(arizmq_gaps_create(prefixes, 1, 10, &gaps), ARIZMQ_ETOOLARGE);
    cr_expect_eq(arizmq_gaps_create(prefixes, 0, 10, &gaps), ARIZMQ_EINVALID);
    cr_expect_eq(arizmq_gaps_create(prefixes, 1, 0, &gaps), ARIZMQ_EINVALID);
    cr_expect_null(gaps);
    longest[sizeof longest - 2] = '\0';
    prefixes[0] = longest;
    cr_expect_eq(arizmq_gaps_create(prefixes, 1, 10, &gaps), ARIZMQ_OK);
    arizmq_gaps_destroy(&gaps);
}

/* 200,000 messages under random loss: the checker's sum against the model's. */
Test(gaps, agrees_with_the_model_under_random_loss)
{
    static const char *const topics[] = {"ChannelA/i/n/1/",    "ChannelA/j/n/2/", "ChannelB/i/n/1/",
                                         "StasisStart/i/n/1/", "Dial/i/n/1/",     "Dial/i/m/2/"};
    enum { TOPICS = sizeof topics / sizeof *topics };
    static struct view view = {.epoch = 7};
    struct arizmq_gaps *gaps = create(100, 3, "Channel", "StasisStart/", "Dial/i/n/");
    unsigned state = 12345;
    uint64_t lost = 0;
    uint64_t missing = 0;
    for (unsigned i = 0; i < TOPICS; i++) {
        deliver(gaps, &view, i == TOPICS - 1 ? "Dial/i/n/2/" : topics[i]);
    }
    for (unsigned i = 0; i < 200000; i++) {
        state = state * 1103515245u + 12345u;
        const char *topic = topics[(state >> 16) % TOPICS];
        bool is_subscribed = strcmp(topic, "Dial/i/m/2/") != 0;
        if ((state >> 8) % 10 == 0 || !is_subscribed) {
            view_lose(&view, topic);
            lost += is_subscribed;
        } else {
            missing += deliver(gaps, &view, topic).missing;
        }
    }
    for (unsigned i = 0; i < TOPICS - 1; i++) {
        missing += deliver(gaps, &view, topics[i]).missing;
    }
    cr_expect_gt(lost, 1000);
    cr_expect_eq(missing, lost);
    arizmq_gaps_destroy(&gaps);
}
