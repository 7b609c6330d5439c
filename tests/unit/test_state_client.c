/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The state that a program holds: what each rule does to it, its bounds, and, over every recording,
 * that it is the bridge's own (keep/state.h) after every event.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"
#include "arizmq/state.h"
#include "event/event.h"
#include "harness/capture.h"
#include "keep/state.h"

TestSuite(state_client, .timeout = 300);

static const uint64_t second_ns = 1000000000U;

static struct arizmq_message event_at(const char *text, uint64_t seq, uint64_t received_ns)
{
    return (struct arizmq_message){.kind = ARIZMQ_MESSAGE_EVENT,
                                   .topic = "T/ivr/pbx1/1/",
                                   .topic_length = 13,
                                   .event = text,
                                   .event_length = strlen(text),
                                   .stamp = {.epoch = 1, .seq = seq, .received_ns = received_ns}};
}

/* Folds an event that came in that second. */
static int fold(struct arizmq_state *state, uint64_t seq, uint64_t second, const char *text)
{
    struct arizmq_message message = event_at(text, seq, second * second_ns);
    return arizmq_state_apply(state, &message);
}

static struct arizmq_state *create(size_t max_objects, size_t max_bytes)
{
    const struct arizmq_state_options options = {.max_objects = max_objects,
                                                 .max_bytes = max_bytes};
    struct arizmq_state *state = NULL;
    cr_assert_eq(arizmq_state_create(&options, &state), ARIZMQ_OK);
    return state;
}

#define CHANNEL(type, state)                                                                       \
    "{\"type\":\"" type "\",\"channel\":{\"id\":\"1.1\",\"state\":\"" state                        \
    "\"},\"application\":\"ivr\"}"

static void expect(const struct arizmq_state *state, const char *kind, const char *id,
                   const char *value)
{
    struct arizmq_object object;
    bool is_there = arizmq_state_find(state, kind, id, NULL, NULL, &object);
    cr_assert_eq(is_there, value != NULL, "%s %s", kind, id);
    if (value != NULL) {
        cr_assert_eq(object.value_length, strlen(value));
        cr_assert_str_eq(object.value, value);
        cr_assert_str_eq(object.kind, kind);
        cr_assert_str_eq(object.id, id);
        cr_assert_str_eq(object.node, "pbx1");
        cr_assert_str_eq(object.app, "ivr");
    }
}

/* A snapshot of no objects, of one link. */
static void join_app(struct arizmq_state *state, const char *app, bool subscribe_all)
{
    char links[128];
    snprintf(links, sizeof links, "[{\"node\":\"pbx1\",\"app\":\"%s\",\"subscribe_all\":%s}]", app,
             subscribe_all ? "true" : "false");
    const struct arizmq_message begin = {.kind = ARIZMQ_MESSAGE_SNAPSHOT_BEGIN,
                                         .event = links,
                                         .event_length = strlen(links),
                                         .stamp = {.epoch = 1}};
    cr_assert_eq(arizmq_state_apply(state, &begin), ARIZMQ_OK);
}

static void join(struct arizmq_state *state, bool subscribe_all)
{
    join_app(state, "ivr", subscribe_all);
}

Test(state_client, values_are_set_and_removed)
{
    struct arizmq_state *state = create(0, 0);
    join(state, false);
    cr_assert_eq(fold(state, 1, 1, CHANNEL("StasisStart", "Ring")), ARIZMQ_OK);
    expect(state, "channel", "1.1", "{\"id\":\"1.1\",\"state\":\"Ring\"}");
    fold(state, 2, 1, CHANNEL("ChannelStateChange", "Up"));
    expect(state, "channel", "1.1", "{\"id\":\"1.1\",\"state\":\"Up\"}");
    fold(state, 3, 1,
         "{\"type\":\"EndpointStateChange\",\"application\":\"ivr\",\"endpoint\":{\"technology\":"
         "\"PJSIP\",\"resource\":\"a\"}}");
    expect(state, "endpoint", "PJSIP/a", "{\"technology\":\"PJSIP\",\"resource\":\"a\"}");
    cr_assert_eq(arizmq_state_count(state, NULL), 2);
    cr_assert_eq(arizmq_state_count(state, "channel"), 1);
    cr_assert_eq(arizmq_state_count(state, "nonsense"), 0);
    fold(state, 4, 1, CHANNEL("StasisEnd", "Up"));
    expect(state, "channel", "1.1", NULL);
    cr_assert_eq(arizmq_state_count(state, NULL), 1);
    arizmq_state_destroy(&state);
    cr_assert_null(state);
}

Test(state_client, who_hears_everything_waits_for_the_destruction)
{
    struct arizmq_state *state = create(0, 0);
    join(state, true);
    fold(state, 1, 1, CHANNEL("StasisStart", "Up"));
    fold(state, 2, 1, CHANNEL("StasisEnd", "Up"));
    expect(state, "channel", "1.1", "{\"id\":\"1.1\",\"state\":\"Up\"}");
    fold(state, 3, 1, CHANNEL("ChannelDestroyed", "Up"));
    expect(state, "channel", "1.1", NULL);
    arizmq_state_destroy(&state);
}

Test(state_client, late_event_brings_nothing_back)
{
    struct arizmq_state *state = create(0, 0);
    fold(state, 1, 100, CHANNEL("ChannelCreated", "Down"));
    fold(state, 2, 100, CHANNEL("ChannelDestroyed", "Up"));
    fold(state, 3, 109, CHANNEL("ChannelDialplan", "Up"));
    expect(state, "channel", "1.1", NULL);
    fold(state, 4, 109, CHANNEL("ChannelCreated", "Down")); /* another life */
    expect(state, "channel", "1.1", "{\"id\":\"1.1\",\"state\":\"Down\"}");
    fold(state, 5, 109, CHANNEL("ChannelDestroyed", "Up"));
    fold(state, 6, 119, CHANNEL("ChannelDialplan", "Up")); /* ten seconds are over */
    expect(state, "channel", "1.1", "{\"id\":\"1.1\",\"state\":\"Up\"}");
    arizmq_state_destroy(&state);
}

#define OWN(type, app, more) "{\"type\":\"" type "\",\"application\":\"" app "\"" more "}"

Test(state_client, nothing_comes_late_behind_a_gap)
{
    struct arizmq_state *state = create(0, 0);
    fold(state, 1, 100, CHANNEL("ChannelCreated", "Down"));
    fold(state, 2, 100, CHANNEL("ChannelDestroyed", "Up"));
    fold(state, 3, 101, OWN("ArizmqGap", "other", ",\"reason\":\"reconnect\""));
    fold(state, 4, 102, CHANNEL("ChannelDialplan", "Up"));
    expect(state, "channel", "1.1", NULL);
    fold(state, 5, 103, OWN("ArizmqGap", "ivr", ",\"reason\":\"reconnect\""));
    fold(state, 1, 100, CHANNEL("ChannelCreated", "Down")); /* repaired, and older than its end */
    expect(state, "channel", "1.1", NULL);
    fold(state, 6, 104, CHANNEL("ChannelDialplan", "Up"));
    expect(state, "channel", "1.1", "{\"id\":\"1.1\",\"state\":\"Up\"}");
    fold(state, 8, 104, CHANNEL("ChannelDestroyed", "Up"));
    fold(state, 7, 104, OWN("ArizmqGap", "ivr", "")); /* repaired: the end came behind it */
    fold(state, 9, 105, CHANNEL("ChannelDialplan", "Up"));
    expect(state, "channel", "1.1", NULL);
    arizmq_state_destroy(&state);
}

Test(state_client, who_was_removed_has_nothing)
{
    static const char removed[] = OWN("ArizmqNodeDisconnected", "ivr", ",\"reason\":\"removed\"");
    struct arizmq_state *state = create(0, 0);
    fold(state, 1, 100, CHANNEL("ChannelCreated", "Up"));
    fold(state, 2, 100,
         "{\"type\":\"BridgeCreated\",\"application\":\"ivr\",\"bridge\":{\"id\":\"b\"}}");
    fold(state, 3, 100,
         "{\"type\":\"BridgeCreated\",\"application\":\"other\",\"bridge\":{\"id\":\"o\"}}");
    fold(state, 4, 100,
         "{\"type\":\"BridgeDestroyed\",\"application\":\"ivr\",\"bridge\":{\"id\":\"b\"}}");
    fold(state, 5, 101, OWN("ArizmqNodeDisconnected", "ivr", ",\"reason\":\"connection_lost\""));
    fold(state, 6, 101, OWN("ArizmqNodeDisconnected", "ivr", ",\"detail\":\"removed\""));
    expect(state, "channel", "1.1", "{\"id\":\"1.1\",\"state\":\"Up\"}");
    fold(state, 8, 101, removed);
    expect(state, "channel", "1.1", NULL);
    cr_assert_eq(arizmq_state_count(state, NULL), 1);         /* the other application's */
    fold(state, 7, 101, CHANNEL("ChannelStateChange", "Up")); /* repaired, from before */
    expect(state, "channel", "1.1", NULL);
    /* It is in the configuration again: what had ended before is not late. */
    fold(state, 9, 102, CHANNEL("ChannelStateChange", "Ring"));
    expect(state, "channel", "1.1", "{\"id\":\"1.1\",\"state\":\"Ring\"}");
    fold(state, 10, 102,
         "{\"type\":\"BridgeVideoSourceChanged\",\"application\":\"ivr\",\"bridge\":{\"id\":"
         "\"b\"}}");
    expect(state, "bridge", "b", "{\"id\":\"b\"}");
    fold(state, 4, 101, removed); /* repaired: all was told of behind it */
    cr_assert_eq(arizmq_state_count(state, NULL), 3);
    arizmq_state_destroy(&state);
}

static int end_snapshot(struct arizmq_state *state, const char *ended)
{
    const struct arizmq_message end = {.kind = ARIZMQ_MESSAGE_SNAPSHOT_END,
                                       .event = ended,
                                       .event_length = strlen(ended),
                                       .stamp = {.epoch = 1, .seq = 10}};
    return arizmq_state_apply(state, &end);
}

Test(state_client, what_ended_before_the_snapshot_does_not_come_back)
{
    static const char ended[] =
        "[{\"node\":\"pbx1\",\"app\":\"ivr\",\"kind\":\"channel\",\"id\":\"1.1\","
        "\"received_ns\":100000000000},"
        "{\"node\":\"pbx1\",\"app\":\"ivr\",\"kind\":\"unheard_of\",\"id\":\"1.1\","
        "\"received_ns\":100000000000}]";
    struct arizmq_state *state = create(0, 0);
    join(state, false);
    cr_assert_eq(end_snapshot(state, ended), ARIZMQ_OK);
    cr_assert(arizmq_state_is_complete(state, 0));
    fold(state, 11, 109, CHANNEL("ChannelDialplan", "Up"));
    expect(state, "channel", "1.1", NULL);
    fold(state, 12, 110, CHANNEL("ChannelDialplan", "Up")); /* ten seconds are over */
    expect(state, "channel", "1.1", "{\"id\":\"1.1\",\"state\":\"Up\"}");
    join(state, false); /* forgets what has ended, too */
    cr_assert_eq(end_snapshot(state, ""), ARIZMQ_OK);
    fold(state, 13, 109, CHANNEL("ChannelDialplan", "Up"));
    expect(state, "channel", "1.1", "{\"id\":\"1.1\",\"state\":\"Up\"}");
    cr_assert_eq(end_snapshot(state, "[}"), ARIZMQ_EPROTOCOL);
    cr_assert_not(arizmq_state_is_complete(state, 0));
    arizmq_state_destroy(&state);
    state = create(0, 100); /* no room to remember it */
    join(state, false);
    cr_assert_eq(end_snapshot(state, ended), ARIZMQ_ETOOLARGE);
    cr_assert_not(arizmq_state_is_complete(state, 0));
    arizmq_state_destroy(&state);
}

Test(state_client, repaired_event_that_is_older_changes_nothing)
{
    struct arizmq_state *state = create(0, 0);
    fold(state, 5, 1, CHANNEL("ChannelStateChange", "Up"));
    fold(state, 4, 1, CHANNEL("ChannelStateChange", "Ring"));
    expect(state, "channel", "1.1", "{\"id\":\"1.1\",\"state\":\"Up\"}");
    fold(state, 9, 1, CHANNEL("ChannelDestroyed", "Up"));
    fold(state, 8, 1, CHANNEL("ChannelCreated", "Up"));
    expect(state, "channel", "1.1", NULL);
    arizmq_state_destroy(&state);
}

Test(state_client, what_the_bridge_found_and_lost)
{
    struct arizmq_state *state = create(0, 0);
    fold(state, 1, 1,
         "{\"type\":\"ArizmqObjectFound\",\"application\":\"ivr\",\"kind\":\"device\",\"id\":\"P/"
         "a\","
         "\"change\":\"new\",\"device_state\":{\"name\":\"P/a\",\"state\":\"BUSY\"}}");
    expect(state, "device", "P/a", "{\"name\":\"P/a\",\"state\":\"BUSY\"}");
    fold(
        state, 2, 1,
        "{\"type\":\"ArizmqObjectLost\",\"application\":\"ivr\",\"kind\":\"device\",\"id\":\"P/a\","
        "\"reason\":\"absent\",\"device_state\":{\"name\":\"P/a\",\"state\":\"BUSY\"}}");
    expect(state, "device", "P/a", NULL);
    arizmq_state_destroy(&state);
}

Test(state_client, each_teller_has_its_own)
{
    struct arizmq_state *state = create(0, 0);
    struct arizmq_object object = {0};
    struct arizmq_message message = event_at(CHANNEL("ChannelCreated", "A"), 7, 1);
    arizmq_state_apply(state, &message);
    message = event_at(CHANNEL("ChannelCreated", "B"), 8, 1);
    message.topic = "T/ivr/pb%58%2F/1/";
    message.topic_length = strlen(message.topic);
    arizmq_state_apply(state, &message);
    message = event_at(CHANNEL("ChannelCreated", "C"), 6, 1);
    message.endpoint = 2;
    arizmq_state_apply(state, &message);
    cr_assert_eq(arizmq_state_count(state, "channel"), 3);
    cr_assert(arizmq_state_find(state, "channel", "1.1", NULL, NULL, &object));
    cr_assert_str_eq(object.node, "pbX/"); /* the newest */
    cr_assert(arizmq_state_find(state, "channel", "1.1", "pbx1", "ivr", &object));
    cr_assert_str_eq(object.value, "{\"id\":\"1.1\",\"state\":\"A\"}");
    cr_assert_not(arizmq_state_find(state, "channel", "1.1", "pbx1", "other", &object));
    cr_assert_not(arizmq_state_find(state, "nonsense", "1.1", NULL, NULL, &object));
    join(state, false); /* of endpoint 0 */
    cr_assert_eq(arizmq_state_count(state, "channel"), 1);
    cr_assert(arizmq_state_find(state, "channel", "1.1", NULL, NULL, &object));
    cr_assert_eq(object.endpoint, 2);
    arizmq_state_destroy(&state);
}

Test(state_client, knows_whether_it_is_complete)
{
    struct arizmq_state *state = create(1, 0);
    const struct arizmq_message loss = {.kind = ARIZMQ_MESSAGE_LOSS};
    cr_assert_not(arizmq_state_is_complete(state, 0));
    join(state, false);
    cr_assert(arizmq_state_is_complete(state, 0));
    arizmq_state_apply(state, &loss);
    cr_assert_not(arizmq_state_is_complete(state, 0));
    join(state, false);
    cr_assert_eq(fold(state, 1, 1, CHANNEL("ChannelCreated", "A")), ARIZMQ_OK);
    cr_assert_eq(
        fold(state, 2, 1,
             "{\"type\":\"BridgeCreated\",\"application\":\"ivr\",\"bridge\":{\"id\":\"b\"}}"),
        ARIZMQ_ETOOLARGE);
    cr_assert_not(arizmq_state_is_complete(state, 0));
    arizmq_state_destroy(&state);
}

Test(state_client, what_has_ended_makes_room)
{
    struct arizmq_state *state = create(2, 0);
    char text[256];
    for (unsigned i = 0; i < 100; i++) {
        const char *const types[] = {"ChannelCreated", "ChannelDestroyed"};
        for (unsigned k = 0; k < 2; k++) {
            snprintf(text, sizeof text,
                     "{\"type\":\"%s\",\"application\":\"ivr\",\"channel\":{\"id\":\"%u\"}}",
                     types[k], i);
            cr_assert_eq(fold(state, 2 * i + k, 1, text), ARIZMQ_OK);
        }
    }
    cr_assert_eq(arizmq_state_count(state, NULL), 0);
    arizmq_state_destroy(&state);
    state = create(0, 2000);
    unsigned kept = 0;
    for (unsigned i = 0; i < 100; i++) {
        snprintf(
            text, sizeof text,
            "{\"type\":\"ChannelCreated\",\"application\":\"ivr\",\"channel\":{\"id\":\"%u\"}}", i);
        kept += fold(state, i, 1, text) == ARIZMQ_OK;
    }
    cr_assert_eq(arizmq_state_count(state, "channel"), kept);
    cr_assert(kept > 0 && kept < 20, "%u", kept);
    arizmq_state_destroy(&state);
}

Test(state_client, what_is_no_event_changes_nothing)
{
    static const char *const texts[] = {"",
                                        "no",
                                        "{}",
                                        "[]",
                                        "{\"type\":7}",
                                        "{\"type\":\"X\"}",
                                        "{\"type\":\"StasisStart\",\"channel\":{\"id\":7}}",
                                        "{\"type\":\"StasisStart\",\"channel\":[]}"};
    struct arizmq_state *state = create(0, 0);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        cr_assert_eq(fold(state, i, 1, texts[i]), ARIZMQ_OK);
    }
    struct arizmq_message message = event_at(CHANNEL("ChannelCreated", "A"), 1, 1);
    message.topic_length = 3;
    cr_assert_eq(arizmq_state_apply(state, &message), ARIZMQ_OK);
    cr_assert_eq(arizmq_state_count(state, NULL), 0);
    const struct arizmq_state_options other = {.view = "calls"};
    arizmq_state_destroy(&state);
    cr_assert_eq(arizmq_state_create(&other, &state), ARIZMQ_EINVALID);
}

/* --- against the bridge's own fold */

struct twins {
    struct arizmq_state *ours;
    struct state *bridges;
    struct state_link *link;
    size_t compared;
};

static int compare_object(void *argument, const struct arizmq_object *object)
{
    struct twins *twins = argument;
    unsigned kind = 0;
    while (strcmp(object_kind_names[kind], object->kind) != 0) {
        kind++;
    }
    struct span value;
    cr_assert(state_find(twins->link, (enum object_kind)kind,
                         (struct span){object->id, strlen(object->id)}, &value),
              "only here: %s %s", object->kind, object->id);
    cr_assert_eq(value.length, object->value_length);
    cr_assert_arr_eq(value.bytes, object->value, value.length);
    twins->compared++;
    return 0;
}

static void fold_both(struct twins *twins, const char *text, size_t length, uint64_t seq)
{
    char *padded = calloc(1, length + SCAN_PADDING);
    struct event event;
    struct arizmq_message message = event_at("", seq, seq * 1000000);
    memcpy(padded, text, length);
    message.event = text;
    message.event_length = length;
    event_read(&event, padded, length, "pbx1", message.stamp.received_ns);
    event.seq = seq;
    state_fold(twins->link, &event);
    event_release(&event);
    free(padded);
    cr_assert_eq(arizmq_state_apply(twins->ours, &message), ARIZMQ_OK);
}

/* The events of one application, by both. */
static size_t compare_recording(const char *name, const char *app, bool hears_all)
{
    const struct config_state config = {.max_objects = 1000000, .max_bytes = (uint64_t)1 << 32};
    char path[512];
    char member[64];
    struct capture *capture = NULL;
    struct twins twins = {.ours = create(0, 0)};
    snprintf(path, sizeof path, CAPTURES "/%s.jsonl", name);
    cr_assert_eq(capture_load(path, &capture), 0, "%s", path);
    cr_assert_eq(state_create(&config, &twins.bridges), ARIZMQ_OK);
    twins.link = state_open(twins.bridges, "pbx1", app, hears_all);
    join_app(twins.ours, app, hears_all);
    snprintf(member, sizeof member, "\"application\":\"%s\"", app);
    for (size_t i = 0; i < capture->count; i++) {
        const char *line = capture->lines[i].text;
        size_t length = capture->lines[i].length;
        if (memmem(line, length, member, strlen(member)) != NULL) {
            fold_both(&twins, line, length, i + 1);
        }
        if (i % 500 == 0 || i + 1 == capture->count) {
            arizmq_state_each(twins.ours, NULL, compare_object, &twins);
            cr_assert_eq(arizmq_state_count(twins.ours, NULL), state_objects(twins.bridges),
                         "%s, event %zu", name, i);
        }
    }
    state_close(&twins.link);
    state_destroy(&twins.bridges);
    arizmq_state_destroy(&twins.ours);
    capture_destroy(&capture);
    return twins.compared;
}

Test(state_client, is_the_bridges_own_after_every_event)
{
    for (unsigned hears_all = 0; hears_all < 2; hears_all++) {
        cr_assert_gt(compare_recording("calls-1000-app", "ivr", hears_all), 0);
        cr_assert_gt(compare_recording("coverage", "lab", hears_all), 0);
        cr_assert_gt(compare_recording("coverage-16", "lab", hears_all), 0);
    }
}
