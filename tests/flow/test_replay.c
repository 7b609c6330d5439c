/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Recorded traffic through the whole bridge: fake Asterisk, arizmqd, subscribers. Every event must
 * come out once, in order and byte for byte, under the topic that the test works out itself, with
 * stamps that agree with the test's own counting, in both views and for a narrow subscriber.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"
#include "arizmq/gaps.h"
#include "flow/expect.h"
#include "flow/scene.h"
#include "harness/capture.h"

/* One recording that one link plays. */
struct source {
    struct fake *fake;
    const char *node;
    const char *link_app; /* that the link is connected as; the events have their own */
    const char *recording;
    struct capture *capture;
    size_t next; /* line that is to come */
};

/* An event as it came out of the view `events`. */
struct published {
    char *node;
    char *text;
    size_t length;
    char *topic;
    struct arizmq_stamp stamp;
};

struct replay {
    struct source *sources;
    size_t sources_count;
    struct daemon *daemon;
    struct subscriber *events;
    struct subscriber *objects;
    struct subscriber *narrow;
    struct stream *events_stream;
    struct stream *objects_stream;
    struct published *published;
    size_t published_count;
    size_t capacity;
};

static const char *const narrow_prefixes[] = {"ChannelDtmfReceived/", "StasisStart/ivr/"};

static void replay_open(struct replay *replay)
{
    replay->events_stream = stream_create("events", FLOW_EVENTS_TOPIC);
    replay->objects_stream = stream_create("objects", FLOW_OBJECTS_TOPIC);
    replay->events = scene_subscribe_and_join(replay->daemon->events_endpoint);
    replay->objects = scene_subscribe_and_join(replay->daemon->objects_endpoint);
    replay->narrow = subscriber_create(replay->daemon->events_endpoint, ARIZMQ_HEARTBEAT_EVENTS);
    cr_assert_not_null(replay->narrow);
    for (size_t i = 0; i < 2; i++) {
        cr_assert_eq(subscriber_subscribe(replay->narrow, narrow_prefixes[i]), ARIZMQ_OK);
    }
    cr_assert_eq(subscriber_join(replay->narrow, FLOW_TIMEOUT_MS), ARIZMQ_OK);
}

static void source_load(struct source *source)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s.jsonl", CAPTURES_DIR, source->recording);
    cr_assert_eq(capture_load(path, &source->capture), ARIZMQ_OK, "%s", path);
    fake_do(source->fake, "play %s app=%s", path, source->link_app);
}

/* The source on this node whose next line this is, NULL where there is none. */
static struct source *source_find(struct replay *replay, const char *node,
                                  const struct subscriber_message *message)
{
    for (size_t i = 0; i < replay->sources_count; i++) {
        struct source *source = &replay->sources[i];
        if (!source->capture || source->next == source->capture->count ||
            strcmp(source->node, node) != 0) {
            continue;
        }
        const struct capture_line *line = &source->capture->lines[source->next];
        if (line->length == message->event_length &&
            memcmp(line->text, message->event, line->length) == 0) {
            return source;
        }
    }
    return NULL;
}

static void published_add(struct replay *replay, const char *node,
                          struct subscriber_message *message)
{
    if (replay->published_count == replay->capacity) {
        replay->capacity = replay->capacity ? replay->capacity * 2 : 4096;
        replay->published =
            realloc(replay->published, replay->capacity * sizeof *replay->published);
        cr_assert_not_null(replay->published);
    }
    replay->published[replay->published_count++] = (struct published){
        strdup(node), message->event, message->event_length, message->topic, message->stamp};
}

/* Takes one message of `events`. Returns whether it was a recorded one. */
static bool events_take(struct replay *replay, struct subscriber_message *message)
{
    stream_check(replay->events_stream, message);
    if (subscriber_message_is_heartbeat(message)) {
        subscriber_message_clear(message);
        return false;
    }
    char node[65] = "";
    cr_assert_eq(sscanf(message->topic, "%*[^/]/%*[^/]/%64[^/]/", node), 1, "%s", message->topic);
    struct expect_event event;
    expect_event_read(message->event, message->event_length, &event);
    if (!event.is_own) {
        struct source *source = source_find(replay, node, message);
        cr_assert_not_null(source, "on %s nobody sent this next: %s", node, message->event);
        source->next++;
    }
    char *topic = expect_topic(FLOW_EVENTS_TOPIC, &event, node, expect_object_at(&event, 0));
    cr_assert_str_eq(message->topic, topic);
    free(topic);
    published_add(replay, node, message);
    bool is_recorded = !event.is_own;
    expect_event_clear(&event);
    return is_recorded;
}

static void events_check(struct replay *replay, size_t wanted)
{
    for (size_t recorded = 0; recorded < wanted;) {
        struct subscriber_message message;
        scene_receive(replay->events, &message);
        recorded += events_take(replay, &message);
    }
}

static bool stamps_are_equal(const struct arizmq_stamp *a, const struct arizmq_stamp *b)
{
    return a->epoch == b->epoch && a->seq == b->seq && a->received_ns == b->received_ns &&
           a->counts == b->counts && memcmp(a->count, b->count, a->counts * sizeof *a->count) == 0;
}

/* Receives the next message of `subscriber` that is no heartbeat. */
static void receive_numbered(struct subscriber *subscriber, struct stream *stream,
                             struct arizmq_gaps *gaps, struct subscriber_message *out)
{
    for (bool is_heartbeat = true; is_heartbeat;) {
        scene_receive(subscriber, out);
        is_heartbeat = subscriber_message_is_heartbeat(out);
        if (stream) {
            stream_check(stream, out);
        }
        if (gaps) {
            struct arizmq_gaps_result result;
            cr_assert_eq(arizmq_gaps_check(gaps, out->topic, strlen(out->topic), out->event,
                                           out->event_length, &out->stamp, &result),
                         ARIZMQ_OK);
            cr_assert_eq(result.missing, 0, "%llu missing before %s",
                         (unsigned long long)result.missing, out->topic);
        }
        if (is_heartbeat) {
            subscriber_message_clear(out);
        }
    }
}

/* For each event of published[first…] one message per object, in order, numbered the same. */
static void objects_check(struct replay *replay, size_t first)
{
    for (size_t i = first; i < replay->published_count; i++) {
        const struct published *published = &replay->published[i];
        struct expect_event event;
        expect_event_read(published->text, published->length, &event);
        for (size_t object = 0; object < expect_messages(&event, true); object++) {
            struct subscriber_message message;
            receive_numbered(replay->objects, replay->objects_stream, NULL, &message);
            char *topic = expect_topic(FLOW_OBJECTS_TOPIC, &event, published->node,
                                       expect_object_at(&event, object));
            cr_assert_str_eq(message.topic, topic);
            cr_assert_eq(message.event_length, published->length);
            cr_assert_arr_eq(message.event, published->text, published->length);
            cr_assert_eq(message.stamp.seq, published->stamp.seq);
            cr_assert_eq(message.stamp.received_ns, published->stamp.received_ns);
            free(topic);
            subscriber_message_clear(&message);
        }
        expect_event_clear(&event);
    }
}

static void narrow_check(struct replay *replay)
{
    struct arizmq_gaps *gaps = NULL;
    cr_assert_eq(arizmq_gaps_create(narrow_prefixes, 2, 1000, &gaps), ARIZMQ_OK);
    size_t received = 0;
    for (size_t i = 0; i < replay->published_count; i++) {
        const struct published *published = &replay->published[i];
        if (strncmp(published->topic, narrow_prefixes[0], strlen(narrow_prefixes[0])) != 0 &&
            strncmp(published->topic, narrow_prefixes[1], strlen(narrow_prefixes[1])) != 0) {
            continue;
        }
        struct subscriber_message message;
        receive_numbered(replay->narrow, NULL, gaps, &message);
        cr_assert_str_eq(message.topic, published->topic);
        cr_assert_eq(message.event_length, published->length);
        cr_assert_arr_eq(message.event, published->text, published->length);
        cr_assert(stamps_are_equal(&message.stamp, &published->stamp));
        subscriber_message_clear(&message);
        received++;
    }
    cr_assert_gt(received, 0, "the recordings have nothing for %s", narrow_prefixes[0]);
    arizmq_gaps_destroy(&gaps);
}

/* Nothing more than was expected comes, and the end is told. */
static void replay_close(struct replay *replay)
{
    scene_await_quiet(replay->events, replay->events_stream, stream_seq(replay->events_stream));
    scene_await_quiet(replay->objects, replay->objects_stream, stream_seq(replay->events_stream));
    cr_assert_eq(stream_epoch(replay->events_stream), stream_epoch(replay->objects_stream));
    cr_assert_eq(scene_metric(replay->daemon, "arizmq_messages_failed_total"), 0);
    scene_stop_daemon(&replay->daemon);
    for (size_t i = 0; i < replay->sources_count; i++) {
        capture_destroy(&replay->sources[i].capture);
    }
    for (size_t i = 0; i < replay->published_count; i++) {
        free(replay->published[i].node);
        free(replay->published[i].text);
        free(replay->published[i].topic);
    }
    free(replay->published);
    subscriber_destroy(&replay->events);
    subscriber_destroy(&replay->objects);
    subscriber_destroy(&replay->narrow);
    stream_destroy(&replay->events_stream);
    stream_destroy(&replay->objects_stream);
}

TestSuite(replay, .timeout = 900);

/* All four recordings, one after the other, over one link. */
Test(replay, each_event_once_in_order_and_untouched)
{
    struct fake *fake = scene_start_deaf_fake();
    struct source sources[] = {{fake, "pbx1", "replay", "coverage", NULL, 0},
                               {fake, "pbx1", "replay", "coverage-16", NULL, 0},
                               {fake, "pbx1", "replay", "calls-1000-app", NULL, 0},
                               {fake, "pbx1", "replay", "outbound", NULL, 0}};
    struct replay replay = {.sources = sources, .sources_count = 4};
    replay.daemon =
        scene_start_daemon("nodes:\n" FLOW_NODE FLOW_NODE_END FLOW_PUBLISH "heartbeat_ms: 200\n",
                           "pbx1", fake->port, "replay");
    replay_open(&replay);
    scene_let_connect(fake, 1);
    size_t recorded = 0;
    for (size_t i = 0; i < replay.sources_count; i++) {
        size_t first = replay.published_count;
        source_load(&sources[i]);
        events_check(&replay, sources[i].capture->count);
        objects_check(&replay, first);
        recorded += sources[i].capture->count;
        cr_assert_not_null(fake_await_event(fake, "play done", FLOW_TIMEOUT_MS));
    }
    cr_assert_eq(recorded, 21556);
    cr_assert_eq(scene_metric(replay.daemon, "arizmq_events_total"), recorded);
    cr_assert_eq(scene_metric(replay.daemon, "arizmq_events_unknown_total"), 0);
    cr_assert_eq(scene_metric(replay.daemon, "arizmq_events_unparsed_total"), 0);
    /* The only event that is not recorded is the link's beginning. */
    cr_assert_eq(replay.published_count, recorded + 1);
    narrow_check(&replay);
    replay_close(&replay);
    fake_stop(&fake);
}

/* Four links at once: two Asterisks, one of them with three applications. */
Test(replay, several_links_do_not_mix)
{
    struct fake *first = scene_start_deaf_fake();
    struct fake *second = scene_start_deaf_fake();
    struct source sources[] = {{first, "pbx1", "ivr", "calls-1000-app", NULL, 0},
                               {first, "pbx1", "replay", "coverage", NULL, 0},
                               {first, "pbx1", "other", "outbound", NULL, 0},
                               {second, "pbx2", "ivr", "coverage-16", NULL, 0}};
    struct replay replay = {.sources = sources, .sources_count = 4};
    replay.daemon =
        scene_start_daemon("nodes:\n" FLOW_NODE FLOW_NODE_END FLOW_NODE FLOW_NODE_END FLOW_PUBLISH
                           "heartbeat_ms: 200\n",
                           "pbx1", first->port, "ivr, replay, other", "pbx2", second->port, "ivr");
    replay_open(&replay);
    scene_let_connect(first, 3);
    scene_let_connect(second, 1);
    size_t recorded = 0;
    for (size_t i = 0; i < replay.sources_count; i++) {
        source_load(&sources[i]);
        recorded += sources[i].capture->count;
    }
    events_check(&replay, recorded);
    for (size_t i = 0; i < replay.sources_count; i++) {
        cr_assert_eq(sources[i].next, sources[i].capture->count);
    }
    cr_assert_eq(scene_metric(replay.daemon, "arizmq_links_up"), 4);
    cr_assert_eq(replay.published_count, recorded + 4);
    objects_check(&replay, 0);
    narrow_check(&replay);
    replay_close(&replay);
    fake_stop(&first);
    fake_stop(&second);
}
