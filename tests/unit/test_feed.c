/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The feed in one thread: what is told, what is not told again, what finds no room, and when the
 * eventfd is written. threads_feed.c has it between two threads.
 */
#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"
#include "gateway/feed.h"
#include "ops/metrics.h"

enum { ROOM = 4096, LOG_BYTES = 1 << 20 };

static const uint64_t second_ns = 1000000000U;

static struct config_node nodes[3] = {{.name = "pbx1"}, {.name = "pbx2"}, {.name = "pbx3"}};
static struct config config = {.nodes = nodes, .nodes_count = 3, .gateway = {.feed_bytes = ROOM}};
static struct feed *feed;
static uint64_t now_ns; /* of the events */

/* What was taken, a word for each: "+1/channel/a" alive on node 1, "-" ended, "link", "answer". */
static char taken[LOG_BYTES];
static size_t taken_used;

static void set_up(void)
{
    now_ns = 1795444501U * second_ns;
    cr_assert_eq(feed_create(&config, &feed), ARIZMQ_OK);
}

static void tear_down(void)
{
    feed_destroy(&feed);
    cr_assert_null(feed);
    feed_destroy(&feed);
}

TestSuite(feed, .init = set_up, .fini = tear_down);

static void on_object(void *owner, unsigned node, enum object_kind kind, const char *id,
                      size_t length, bool has_ended)
{
    cr_assert_eq(owner, &config);
    taken_used +=
        (size_t)snprintf(taken + taken_used, LOG_BYTES - taken_used, "%s%u/%s/%.*s ",
                         has_ended ? "-" : "+", node, object_kind_names[kind], (int)length, id);
}

static void on_link(void *owner, unsigned node, unsigned application, enum feed_link state,
                    const char *detail)
{
    cr_assert_eq(owner, &config);
    taken_used += (size_t)snprintf(taken + taken_used, LOG_BYTES - taken_used, "link%u.%u=%d(%s) ",
                                   node, application, (int)state, detail);
}

static void on_answer(void *owner, uint64_t number, char *text, size_t length, bool was_sent)
{
    cr_assert_eq(owner, &config);
    cr_assert_eq(length, text != NULL ? strlen(text) : 0);
    taken_used += (size_t)snprintf(taken + taken_used, LOG_BYTES - taken_used, "answer%llu=%s%s ",
                                   (unsigned long long)number, text != NULL ? text : "none",
                                   was_sent ? "" : "(unsent)");
    free(text);
}

/* Things are numbers in memory of their own. */
static void on_thing(void *owner, enum feed_thing what, uint64_t number, void *thing)
{
    cr_assert_eq(owner, &config);
    cr_assert_eq(what, FEED_SNAPSHOT);
    taken_used += (size_t)snprintf(taken + taken_used, LOG_BYTES - taken_used, "thing%llu=%d ",
                                   (unsigned long long)number, thing != NULL ? *(int *)thing : -1);
    free(thing);
}

static int discarded; /* the sum of the numbers */

static void discard(void *thing)
{
    discarded += *(int *)thing;
    free(thing);
}

static void hand(uint64_t number, int value)
{
    int *thing = malloc(sizeof *thing);
    cr_assert_not_null(thing);
    *thing = value;
    feed_hand(feed, FEED_SNAPSHOT, number, thing, discard);
}

static const char *take(void)
{
    static const struct feed_handler handler = {on_object, on_link, on_answer, on_thing};
    taken_used = 0;
    taken[0] = '\0';
    feed_take(feed, &handler, &config);
    return taken;
}

static bool is_readable(void)
{
    struct pollfd ready = {.fd = feed_fd(feed), .events = POLLIN};
    return poll(&ready, 1, 0) == 1;
}

static void tell_text(unsigned node, const char *text, bool is_own)
{
    char padded[4096 + SCAN_PADDING] = "";
    size_t length = strlen(text);
    cr_assert_leq(length, 4096);
    memcpy(padded, text, length);
    struct event event;
    event_read(&event, padded, length, nodes[node].name, now_ns);
    event.is_own = is_own;
    feed_event(feed, node, &event);
    event_release(&event);
}

/* An event of `type` whose member `object` has that id. */
static void tell(unsigned node, const char *type, const char *object, const char *id)
{
    char text[4096];
    snprintf(text, sizeof text, "{\"type\":\"%s\",\"%s\":{\"id\":\"%s\",\"name\":\"%s\"}}", type,
             object, id, id);
    tell_text(node, text, false);
}

static void answer(uint64_t number)
{
    feed_answer(feed, number, strdup("{}"), 2, true);
}

Test(feed, tells_of_each_object_with_its_node_and_kind)
{
    tell(1, "ChannelCreated", "channel", "1690.12");
    tell(2, "BridgeCreated", "bridge", "b");
    tell(0, "RecordingStarted", "recording", "greeting");
    tell_text(0,
              "{\"type\":\"PlaybackStarted\",\"playback\":{\"id\":\"p\",\"target_uri\":"
              "\"channel:17.1\"}}",
              false);
    cr_assert_str_eq(take(), "+1/channel/1690.12 +2/bridge/b +0/recording/greeting +0/playback/p "
                             "+0/channel/17.1 ");
    cr_assert_str_eq(take(), "");
}

Test(feed, does_not_tell_of_endpoints_devices_and_the_bridges_own_events)
{
    tell_text(0,
              "{\"type\":\"PeerStatusChange\",\"endpoint\":{\"technology\":\"PJSIP\",\"resource\":"
              "\"alice\"}}",
              false);
    tell_text(0, "{\"type\":\"DeviceStateChanged\",\"device_state\":{\"name\":\"PJSIP/a\"}}",
              false);
    tell_text(0, "{\"type\":\"ArizmqObjectFound\",\"channel\":{\"id\":\"1\"}}", true);
    cr_assert_str_eq(take(), "");
    cr_assert_eq(feed_events(feed, 0), 2);
}

Test(feed, tells_of_the_same_object_once_a_second)
{
    for (unsigned i = 0; i < 100; i++) {
        tell(0, "ChannelVarset", "channel", "1");
        now_ns += second_ns / 200;
    }
    cr_assert_str_eq(take(), "+0/channel/1 ");
    now_ns += second_ns / 2 - 1;
    tell(0, "ChannelVarset", "channel", "1");
    cr_assert_str_eq(take(), "");
    now_ns += 1; /* the next second */
    tell(0, "ChannelVarset", "channel", "1");
    tell(0, "ChannelVarset", "channel", "1");
    cr_assert_str_eq(take(), "+0/channel/1 ");
}

Test(feed, takes_no_object_for_another)
{
    /* One of these must not hide the others. */
    tell(0, "ChannelCreated", "channel", "1");
    tell(1, "ChannelCreated", "channel", "1");
    tell(0, "BridgeCreated", "bridge", "1");
    tell(0, "ChannelCreated", "channel", "2");
    tell(0, "ChannelCreated", "channel", "11");
    cr_assert_str_eq(take(), "+0/channel/1 +1/channel/1 +0/bridge/1 +0/channel/2 +0/channel/11 ");
    /* Far more than there are slots; each is new. */
    for (unsigned i = 0; i < 20000; i++) {
        char id[16];
        char wanted[32];
        snprintf(id, sizeof id, "c%u", i);
        tell(0, "ChannelCreated", "channel", id);
        snprintf(wanted, sizeof wanted, "+0/channel/%s ", id);
        cr_assert_str_eq(take(), wanted);
    }
}

/* As many objects as a busy node has: none may push another out and so be told with every event. */
Test(feed, tells_of_a_thousand_objects_once_a_second)
{
    enum { OBJECTS = 1000, ROUNDS = 5 };
    unsigned told = 0;
    for (unsigned i = 0; i < OBJECTS * ROUNDS; i++) {
        char id[32];
        snprintf(id, sizeof id, "1795444501.%u", i % OBJECTS);
        tell(0, "ChannelVarset", "channel", id);
        told += *take() != '\0';
    }
    cr_assert_geq(told, OBJECTS);
    cr_assert_leq(told, OBJECTS + OBJECTS / 50, "%u", told);
}

Test(feed, always_tells_of_an_end_and_of_life_after_it)
{
    tell(0, "ChannelVarset", "channel", "1");
    tell(0, "ChannelDestroyed", "channel", "1");
    tell(0, "ChannelDestroyed", "channel", "1");
    tell(0, "ChannelVarset", "channel", "1");
    tell(0, "ChannelVarset", "channel", "1");
    tell(0, "StasisEnd", "channel", "1");
    cr_assert_str_eq(take(), "+0/channel/1 -0/channel/1 -0/channel/1 +0/channel/1 -0/channel/1 ");
    tell_text(
        0, "{\"type\":\"BridgeMerged\",\"bridge\":{\"id\":\"a\"},\"bridge_from\":{\"id\":\"b\"}}",
        false);
    cr_assert_str_eq(take(), "+0/bridge/a -0/bridge/b ");
}

Test(feed, keeps_the_order_of_objects_links_and_answers)
{
    feed_link_state(feed, 1, 2, FEED_LINK_UP, NULL);
    tell(1, "ChannelCreated", "channel", "1");
    feed_answer(feed, 18446744073709551615U, strdup("{\"a\":1}"), 7, true);
    feed_answer(feed, 7, NULL, 0, false);
    feed_link_state(feed, 1, 2, FEED_LINK_DOWN, "closed_by_peer: close frame 1001");
    feed_link_state(feed, 0, 0, FEED_LINK_STANDBY, "");
    cr_assert_str_eq(take(), "link1.2=1() +1/channel/1 answer18446744073709551615={\"a\":1} "
                             "answer7=none(unsent) link1.2=0(closed_by_peer: close frame 1001) "
                             "link0.0=2() ");
}

Test(feed, shortens_a_long_detail)
{
    char detail[2 * FEED_DETAIL_MAX];
    memset(detail, 'x', sizeof detail);
    detail[sizeof detail - 1] = '\0';
    feed_link_state(feed, 0, 0, FEED_LINK_DOWN, detail);
    cr_assert_eq(strlen(take()), FEED_DETAIL_MAX + strlen("link0.0=0() "));
}

Test(feed, wakes_for_links_and_answers_at_once_and_for_objects_when_half_full)
{
    cr_assert_not(is_readable());
    tell(0, "ChannelCreated", "channel", "1");
    cr_assert_not(is_readable());
    feed_link_state(feed, 0, 0, FEED_LINK_UP, NULL);
    cr_assert(is_readable());
    take();
    cr_assert_not(is_readable());
    answer(1);
    answer(2);
    cr_assert(is_readable());
    take();
    cr_assert_not(is_readable());
    unsigned count = 0;
    while (!is_readable()) {
        char id[16];
        snprintf(id, sizeof id, "c%u", count++);
        tell(0, "ChannelCreated", "channel", id);
        cr_assert_lt(count, ROOM / 8);
    }
    cr_assert_gt(count, ROOM / 2 / 64);
    cr_assert_eq(metrics_get(METRIC_FEED_DROPPED), 0, "it was woken too late");
    take();
    cr_assert_not(is_readable());
    tell(0, "ChannelCreated", "channel", "x");
    cr_assert_not(is_readable());
}

/* As many objects as there is room for; returns how many. */
static unsigned fill(void)
{
    unsigned count = 0;
    while (metrics_get(METRIC_FEED_DROPPED) == 0) {
        char id[16];
        snprintf(id, sizeof id, "f%u", count++);
        tell(0, "ChannelCreated", "channel", id);
    }
    return count - 1;
}

Test(feed, counts_objects_that_find_no_room_and_tells_of_them_later)
{
    unsigned count = fill();
    cr_assert_gt(count, 10);
    char id[16];
    snprintf(id, sizeof id, "f%u", count);
    tell(0, "ChannelCreated", "channel", id); /* again, and again without room */
    cr_assert_eq(metrics_get(METRIC_FEED_DROPPED), 2);
    take();
    tell(0, "ChannelCreated", "channel", id);
    char wanted[32];
    snprintf(wanted, sizeof wanted, "+0/channel/%s ", id);
    cr_assert_str_eq(take(), wanted);
    /* An id that can never fit. */
    char *large = calloc(1, ROOM);
    memset(large, 'x', ROOM - 1);
    struct event event = {.received_ns = now_ns, .object_count = 1};
    event.objects[0] = (struct event_object){
        .kind = object_kind_names[OBJECT_CHANNEL], .part = {{large, ROOM}}, .parts = 1};
    feed_event(feed, 0, &event);
    cr_assert_eq(metrics_get(METRIC_FEED_DROPPED), 3);
    free(large);
}

Test(feed, never_drops_links_and_answers_and_keeps_their_order)
{
    enum { ANSWERS = 1000 };
    fill();
    for (unsigned i = 0; i < ANSWERS; i++) {
        answer(i);
        if (i % 10 == 0) {
            feed_link_state(feed, 0, i, FEED_LINK_DOWN, "why");
        }
    }
    /* Taken piece by piece; an event, a beat or an answer brings the next. */
    static char all[LOG_BYTES];
    size_t used = 0;
    unsigned rounds = 0;
    bool was_woken = is_readable();
    const char *some = NULL;
    while (*(some = take()) != '\0') {
        cr_assert(was_woken, "round %u", rounds);
        const char *at = rounds == 0 ? strstr(some, "answer0=") : some;
        cr_assert_not_null(at);
        used += (size_t)snprintf(all + used, sizeof all - used, "%s", at);
        rounds++;
        feed_flush(feed);
        was_woken = is_readable();
    }
    cr_assert_gt(rounds, 5, "it all fitted at once, which proves nothing");
    static char wanted[LOG_BYTES];
    used = 0;
    for (unsigned i = 0; i < ANSWERS; i++) {
        used += (size_t)snprintf(wanted + used, sizeof wanted - used, "answer%u={} ", i);
        if (i % 10 == 0) {
            used += (size_t)snprintf(wanted + used, sizeof wanted - used, "link0.%u=0(why) ", i);
        }
    }
    cr_assert_str_eq(all, wanted);
    cr_assert_eq(metrics_get(METRIC_FEED_DROPPED), 1, "of the object alone");
}

Test(feed, hands_things_over_in_their_order_and_wakes)
{
    cr_assert_not(is_readable());
    hand(1, 10);
    cr_assert(is_readable());
    answer(2);
    feed_hand(feed, FEED_SNAPSHOT, 3, NULL, discard);
    cr_assert_str_eq(take(), "thing1=10 answer2={} thing3=-1 ");
    cr_assert_eq(discarded, 0, "what was delivered is the handler's");
    /* More than fits is held back like answers. */
    static char wanted[LOG_BYTES];
    static char all[LOG_BYTES];
    size_t used = 0;
    for (int i = 0; i < 500; i++) {
        hand((uint64_t)i, i);
        used += (size_t)snprintf(wanted + used, sizeof wanted - used, "thing%d=%d ", i, i);
    }
    used = 0;
    for (const char *some = take(); *some != '\0'; some = take()) {
        used += (size_t)snprintf(all + used, sizeof all - used, "%s", some);
        feed_flush(feed);
    }
    cr_assert_str_eq(all, wanted);
    cr_assert_eq(discarded, 0);
}

Test(feed, discards_a_thing_that_nobody_takes, .fini = NULL)
{
    hand(1, 1);
    feed_hand(feed, FEED_SNAPSHOT, 2, NULL, discard);
    fill();
    for (int i = 0; i < 100; i++) { /* some of them held back */
        hand((uint64_t)i, 2);
    }
    feed_destroy(&feed);
    cr_assert_eq(discarded, 201);
    discarded = 0;
    hand(1, 5); /* there is no gateway */
    cr_assert_eq(discarded, 5);
}

Test(feed, hands_over_what_was_held_back_with_the_next_event)
{
    fill();
    for (unsigned i = 0; i < 100; i++) {
        answer(i);
    }
    take();
    cr_assert_not(is_readable());
    tell(0, "ApplicationReplaced", "none", "x");
    cr_assert(is_readable());
    cr_assert_eq(strncmp(take(), "answer", 6), 0);
    /* A new answer comes behind those that wait. */
    fill();
    for (unsigned i = 100; i < 200; i++) {
        answer(i);
    }
    take();
    answer(200);
    const char *last = strstr(take(), "answer200=");
    cr_assert(last != NULL && strcmp(last, "answer200={} ") == 0);
}

/* A small record finds room where a large one before it did not. */
Test(feed, lets_nothing_overtake_what_is_held_back)
{
    enum { ANSWERS = ROOM / 48 - 3 }; /* so many leave room for an answer, not for the link */
    char detail[FEED_DETAIL_MAX + 1];
    memset(detail, 'x', sizeof detail - 1);
    detail[sizeof detail - 1] = '\0';
    for (unsigned i = 0; i < ANSWERS; i++) {
        answer(i);
    }
    feed_link_state(feed, 0, 0, FEED_LINK_DOWN, detail);
    answer(ANSWERS);
    cr_assert_null(strstr(take(), "link0.0=0("), "it was not held back, which proves nothing");
    char wanted[64];
    snprintf(wanted, sizeof wanted, "answer%d={}", ANSWERS - 1);
    cr_assert_not_null(strstr(taken, wanted));
    feed_flush(feed);
    snprintf(wanted, sizeof wanted, ") answer%d={} ", ANSWERS);
    cr_assert_eq(strncmp(take(), "link0.0=0(", 10), 0, "%s", taken);
    cr_assert_not_null(strstr(taken, wanted));
}

Test(feed, counts_the_events_of_each_node)
{
    tell(0, "ChannelVarset", "channel", "1");
    tell(0, "ChannelVarset", "channel", "1");
    tell(2, "SomethingNew", "thing", "1");
    cr_assert_eq(feed_events(feed, 0), 2);
    cr_assert_eq(feed_events(feed, 1), 0);
    cr_assert_eq(feed_events(feed, 2), 1);
}

Test(feed, frees_what_was_not_taken)
{
    fill();
    for (unsigned i = 0; i < 500; i++) {
        answer(i);
    }
}

Test(feed, without_gateway_nothing_happens)
{
    struct event event = {.received_ns = now_ns};
    feed_event(NULL, 0, &event);
    feed_link_state(NULL, 0, 0, FEED_LINK_UP, NULL);
    feed_answer(NULL, 1, strdup("freed"), 5, true);
    feed_flush(NULL);
}

Test(feed, too_small_is_refused)
{
    struct config small = config;
    struct feed *none = NULL;
    small.gateway.feed_bytes = 100;
    cr_assert_eq(feed_create(&small, &none), ARIZMQ_EINVALID);
    cr_assert_null(none);
}
