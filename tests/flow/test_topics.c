/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Topic templates of the user's own, from one token to eight, and ids too long for a topic, through
 * the real daemon.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"
#include "flow/expect.h"
#include "flow/scene.h"
#include "harness/capture.h"

TestSuite(topics, .timeout = 900);

static const struct {
    const char *name;
    const char *view;
    const char *topic;
} custom[] = {
    {"kinds", "events", "{kind}/{app}/{id}/"},
    {"one", "events", "{type}/"},
    {"literal", "events", "everything/"},
    {"mixed", "events", "v1.x/{node}/a_b-C/{type}/"},
    {"eight", "events", "{type}/{app}/{node}/{kind}/{id}/fixed/{id}/{type}/"},
    {"turned", "objects", "{app}/{node}/{kind}/{id}/"},
    {"wide", "objects", "x/{kind}/y/{id}/{type}/{node}/{app}/z/"},
};
enum { CUSTOM = sizeof custom / sizeof *custom };

static struct daemon *start_with_custom_topics(const struct fake *fake)
{
    char *publish = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&publish, &size);
    for (int i = 0; i < CUSTOM; i++) {
        fprintf(out,
                "  - {view: %s, endpoint: \"ipc://DIR/%s\", topic: \"%s\", sndhwm: 10000000}\n",
                custom[i].view, custom[i].name, custom[i].topic);
    }
    fclose(out);
    struct daemon *daemon =
        scene_start_daemon("nodes:\n" FLOW_NODE FLOW_NODE_END
                           "publish:\n%sheartbeat_ms: 200\nstate: {enabled: false}\n",
                           "pbx1", fake->port, "replay", publish);
    free(publish);
    return daemon;
}

/* Every message of the view is that of the next event, in the recording or the bridge's own. */
static void view_check(int view, struct subscriber *subscriber, struct stream *stream,
                       const struct capture *capture)
{
    bool is_objects = strcmp(custom[view].view, "objects") == 0;
    for (size_t line = 0; line < capture->count + 1; line++) {
        /* First of all the link's beginning. */
        const char *text = line > 0 ? capture->lines[line - 1].text : NULL;
        size_t length = line > 0 ? capture->lines[line - 1].length : 0;
        struct expect_event event = {.count = 1};
        if (text) {
            expect_event_read(text, length, &event);
        }
        size_t messages = is_objects ? event.count : 1;
        for (size_t i = 0; i < messages;) {
            struct subscriber_message message;
            scene_receive(subscriber, &message);
            stream_check(stream, &message);
            if (message.stamp.count[1] == 0) { /* a heartbeat */
                subscriber_message_clear(&message);
                continue;
            }
            if (!text) {
                expect_event_read(message.event, message.event_length, &event);
                cr_assert_str_eq(event.type, "ArizmqNodeConnected");
            } else {
                cr_assert_eq(message.event_length, length);
                cr_assert_arr_eq(message.event, text, length);
            }
            char *topic =
                expect_topic(custom[view].topic, &event, "pbx1", expect_object_at(&event, i));
            cr_assert_str_eq(message.topic, topic);
            free(topic);
            subscriber_message_clear(&message);
            i++;
        }
        expect_event_clear(&event);
    }
}

Test(topics, follow_the_template_of_each_view)
{
    struct fake *fake = scene_start_deaf_fake();
    struct daemon *daemon = start_with_custom_topics(fake);
    struct subscriber *subscribers[CUSTOM];
    struct stream *streams[CUSTOM];
    for (int i = 0; i < CUSTOM; i++) {
        char endpoint[96];
        snprintf(endpoint, sizeof endpoint, "ipc://%s/%s", daemon->directory, custom[i].name);
        streams[i] = stream_create(custom[i].view, custom[i].topic);
        subscribers[i] = scene_subscribe_and_join(endpoint);
    }
    struct capture *capture = NULL;
    cr_assert_eq(capture_load(CAPTURES_DIR "/coverage.jsonl", &capture), ARIZMQ_OK);
    scene_let_connect(fake, 1);
    fake_do(fake, "play %s/coverage.jsonl app=replay", CAPTURES_DIR);
    for (int i = 0; i < CUSTOM; i++) {
        view_check(i, subscribers[i], streams[i], capture);
        scene_await_quiet(subscribers[i], streams[i], capture->count + 1);
    }
    scene_stop_daemon(&daemon);
    for (int i = 0; i < CUSTOM; i++) {
        subscriber_destroy(&subscribers[i]);
        stream_destroy(&streams[i]);
    }
    capture_destroy(&capture);
    fake_stop(&fake);
}

/* FNV-1a, 64 bit, as its authors give it. */
static uint64_t fnv1a(const char *text)
{
    uint64_t hash = 0xcbf29ce484222325U;
    for (; *text; text++) {
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3U;
    }
    return hash;
}

/* `unit`, 600 bytes of it and more, and `end`. */
static char *long_id(const char *unit, const char *end)
{
    char *id = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&id, &size);
    for (size_t length = 0; length < 600; length += strlen(unit)) {
        fputs(unit, out);
    }
    fputs(end, out);
    fclose(out);
    return id;
}

/* The topic is `before`, a shortened id, `after`, and fills 512 bytes but for the one character or
 * escape, of at most `unit` bytes, that had no room. */
static void cut_check(const char *topic, const char *before, const char *id, const char *after,
                      size_t room, size_t unit)
{
    char *token = expect_token(id);
    char ending[600];
    snprintf(ending, sizeof ending, "~%016llx/%s", (unsigned long long)fnv1a(token), after);
    size_t length = strlen(topic);
    cr_assert_leq(length, 512);
    cr_assert_eq(strncmp(topic, before, strlen(before)), 0, "%s", topic);
    cr_assert_gt(length, strlen(before) + strlen(ending));
    cr_assert_str_eq(topic + length - strlen(ending), ending);
    size_t kept = length - strlen(ending) - strlen(before);
    cr_assert_eq(strncmp(topic + strlen(before), token, kept), 0, "%s", topic);
    cr_assert_eq(kept % unit, 0, "cut inside a character or an escape: %s", topic);
    cr_assert_gt(length + unit, room, "%zu bytes are less than would fit", length);
    free(token);
}

Test(topics, are_cut_where_an_id_is_too_long)
{
    static const struct {
        const char *unit;
        size_t encoded;
    } units[] = {{"x", 1}, {"\xc3\xa9", 2}, {"/", 3}, {"%", 3}, {"\xf0\x9f\x93\x9e", 4}};
    struct fake *fake = scene_start_deaf_fake();
    struct daemon *daemon =
        scene_start_daemon("nodes:\n" FLOW_NODE FLOW_NODE_END FLOW_PUBLISH "heartbeat_ms: 200\n",
                           "pbx1", fake->port, "replay");
    struct stream *events_stream = stream_create("events", FLOW_EVENTS_TOPIC);
    struct stream *objects_stream = stream_create("objects", FLOW_OBJECTS_TOPIC);
    struct subscriber *events = scene_subscribe_and_join(daemon->events_endpoint);
    struct subscriber *objects = scene_subscribe_and_join(daemon->objects_endpoint);
    scene_let_connect(fake, 1);
    struct subscriber_message message;
    cr_assert_eq(subscriber_collect(events, 1, FLOW_TIMEOUT_MS, &message), 1);
    stream_check(events_stream, &message);
    subscriber_message_clear(&message);
    cr_assert_eq(subscriber_collect(objects, 1, FLOW_TIMEOUT_MS, &message), 1);
    stream_check(objects_stream, &message);
    subscriber_message_clear(&message);
    uint64_t sent = 0;
    for (size_t unit = 0; unit < sizeof units / sizeof *units; unit++) {
        /* Two ids that differ behind the cut, and the first once more. */
        for (int i = 0; i < 3; i++) {
            char *id = long_id(units[unit].unit, i == 1 ? "second" : "first");
            fake_do(fake,
                    "send {\"type\":\"ChannelHold\",\"application\":\"replay\","
                    "\"channel\":{\"id\":\"%s\"}}",
                    id);
            sent++;
            cr_assert_eq(subscriber_collect(events, 1, FLOW_TIMEOUT_MS, &message), 1);
            stream_check(events_stream, &message);
            cut_check(message.topic, "ChannelHold/replay/pbx1/", id, "", 512, units[unit].encoded);
            cr_assert_eq(message.stamp.count[4], i == 2 ? 2 : 1);
            subscriber_message_clear(&message);
            cr_assert_eq(subscriber_collect(objects, 1, FLOW_TIMEOUT_MS, &message), 1);
            stream_check(objects_stream, &message);
            /* Each token behind the id keeps room for at least its hash. */
            cut_check(message.topic, "channel/", id, "ChannelHold/pbx1/",
                      512 - 2 * 18 + strlen("ChannelHold/pbx1/"), units[unit].encoded);
            subscriber_message_clear(&message);
            free(id);
        }
    }
    cr_assert_eq(scene_metric(daemon, "arizmq_topics_cut_total"), 2 * sent);
    scene_stop_daemon(&daemon);
    subscriber_destroy(&events);
    subscriber_destroy(&objects);
    stream_destroy(&events_stream);
    stream_destroy(&objects_stream);
    fake_stop(&fake);
}
