/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The fold, rule by rule, against a plain model, and over the recordings.
 */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"
#include "keep/state.h"
#include "ops/metrics.h"
#include "random_json.h"
#include "recordings.h"
#include "state_model.h"

static const uint64_t second_ns = 1000000000U;
static const uint64_t start_ns = 1795444501U * 1000000000U;

static struct state *state;
static struct state_link *some; /* hears what concerns its application */
static struct state_link *all;  /* hears everything */
static uint64_t seq;
static uint64_t now_ns;

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
static unsigned mallocs;
static unsigned mallocs_left = UINT32_MAX;

void *__wrap_malloc(size_t size)
{
    mallocs++;
    if (mallocs_left == 0) {
        return NULL;
    }
    mallocs_left--;
    return __real_malloc(size);
}

static void create(uint32_t max_objects, uint64_t max_bytes)
{
    struct config_state config = {.enabled = true,
                                  .max_objects = max_objects,
                                  .max_bytes = max_bytes,
                                  .reconcile_per_s = 1000};
    cr_assert_eq(state_create(&config, &state), ARIZMQ_OK);
    some = state_open(state, "pbx1", "some", false);
    all = state_open(state, "pbx1", "all", true);
    cr_assert(some != NULL && all != NULL);
    now_ns = start_ns;
}

static void set_up(void)
{
    create(1000, 1 << 20);
}

static void tear_down(void)
{
    state_close(&some);
    state_close(&all);
    cr_assert_null(some);
    cr_assert_eq(state_objects(state), 0);
    cr_assert_eq(state_bytes(state), 0, "%llu bytes are not accounted for",
                 (unsigned long long)state_bytes(state));
    state_destroy(&state);
    cr_assert_null(state);
}

TestSuite(state, .init = set_up, .fini = tear_down);

static void send_text(struct state_link *link, const char *text)
{
    model_send_text(link, text, ++seq, now_ns);
}

/* {"type":TYPE,MEMBER:{"id":ID,"v":VALUE}} */
static void send(struct state_link *link, const char *type, const char *member, const char *id,
                 int value)
{
    char text[512];
    snprintf(text, sizeof text, "{\"type\":\"%s\",\"%s\":{\"id\":\"%s\",\"v\":%d}}", type, member,
             id, value);
    send_text(link, text);
}

/* The text that is held, "none" where none is. */
static const char *held(const struct state_link *link, enum object_kind kind, const char *id)
{
    static char text[4096];
    struct span found = {"none", 4};
    state_find(link, kind, (struct span){id, strlen(id)}, &found);
    cr_assert_lt(found.length, sizeof text);
    memcpy(text, found.bytes, found.length);
    text[found.length] = '\0';
    return text;
}

Test(state, keeps_the_last_value_byte_for_byte)
{
    send_text(some,
              "{\"type\":\"StasisStart\",\"channel\": { \"name\":\"}\\u0041\", \"id\":\"1\" }}");
    cr_assert_str_eq(held(some, OBJECT_CHANNEL, "1"), "{ \"name\":\"}\\u0041\", \"id\":\"1\" }");
    cr_assert_str_eq(held(all, OBJECT_CHANNEL, "1"), "none", "another link's");
    send(some, "ChannelVarset", "channel", "1", 2);
    cr_assert_str_eq(held(some, OBJECT_CHANNEL, "1"), "{\"id\":\"1\",\"v\":2}");
    cr_assert_str_eq(held(some, OBJECT_BRIDGE, "1"), "none", "another kind");
    cr_assert_eq(state_objects(state), 1);
    cr_assert_eq(metrics_get(METRIC_STATE_OBJECTS), 1);
    cr_assert_eq(metrics_get(METRIC_STATE_BYTES), state_bytes(state));
}

Test(state, each_kind_under_its_id)
{
    send_text(some, "{\"type\":\"ContactStatusChange\",\"endpoint\":{\"resource\":\"a/b\","
                    "\"technology\":\"PJSIP\"}}");
    cr_assert_str_eq(held(some, OBJECT_ENDPOINT, "PJSIP/a/b"),
                     "{\"resource\":\"a/b\",\"technology\":\"PJSIP\"}");
    send_text(some, "{\"type\":\"DeviceStateChanged\",\"device_state\":{\"name\":\"PJSIP/a\"}}");
    cr_assert_str_eq(held(some, OBJECT_DEVICE, "PJSIP/a"), "{\"name\":\"PJSIP/a\"}");
    send_text(some, "{\"type\":\"RecordingStarted\",\"recording\":{\"name\":\"r\"}}");
    cr_assert_str_eq(held(some, OBJECT_RECORDING, "r"), "{\"name\":\"r\"}");
    send_text(some, "{\"type\":\"PlaybackStarted\",\"playback\":{\"id\":\"p\",\"target_uri\":"
                    "\"channel:9\"}}");
    cr_assert_str_eq(held(some, OBJECT_PLAYBACK, "p"),
                     "{\"id\":\"p\",\"target_uri\":\"channel:9\"}");
    cr_assert_str_eq(held(some, OBJECT_CHANNEL, "9"), "none", "no more than a mention");
    /* An id written with escapes is the same id. */
    send_text(some, "{\"type\":\"BridgeCreated\",\"bridge\":{\"id\":\"\\u0062\"}}");
    cr_assert_str_eq(held(some, OBJECT_BRIDGE, "b"), "{\"id\":\"\\u0062\"}");
    send(some, "BridgeDestroyed", "bridge", "b", 0);
    cr_assert_str_eq(held(some, OBJECT_BRIDGE, "b"), "none");
}

Test(state, several_objects_of_one_event)
{
    send_text(all, "{\"type\":\"BridgeMerged\",\"bridge\":{\"id\":\"b1\"},"
                   "\"bridge_from\":{\"id\":\"b2\"}}");
    cr_assert_str_eq(held(all, OBJECT_BRIDGE, "b1"), "{\"id\":\"b1\"}");
    cr_assert_str_eq(held(all, OBJECT_BRIDGE, "b2"), "none");
    send_text(all, "{\"type\":\"Dial\",\"peer\":{\"id\":\"1\"},\"caller\":{\"id\":\"2\"}}");
    cr_assert_str_eq(held(all, OBJECT_CHANNEL, "1"), "{\"id\":\"1\"}");
    cr_assert_str_eq(held(all, OBJECT_CHANNEL, "2"), "{\"id\":\"2\"}");
    send_text(all, "{\"type\":\"StasisStart\",\"channel\":{\"id\":\"3\"},"
                   "\"replace_channel\":{\"id\":\"4\"}}");
    cr_assert_str_eq(held(all, OBJECT_CHANNEL, "4"), "{\"id\":\"4\"}");
    send_text(all, "{\"type\":\"ChannelTransfer\",\"refer_to\":{\"bridge\":{\"id\":\"b5\"}}}");
    cr_assert_str_eq(held(all, OBJECT_BRIDGE, "b5"), "{\"id\":\"b5\"}");
    send_text(all, "{\"type\":\"SomethingNew\",\"channel\":{\"id\":\"6\"}}");
    cr_assert_str_eq(held(all, OBJECT_CHANNEL, "6"), "{\"id\":\"6\"}");
}

Test(state, each_last_word_removes)
{
    static const struct {
        const char *type;
        const char *member;
        const char *id;
        enum object_kind kind;
    } ends[] = {
        {"ChannelDestroyed", "channel", "id", OBJECT_CHANNEL},
        {"BridgeDestroyed", "bridge", "id", OBJECT_BRIDGE},
        {"PlaybackFinished", "playback", "id", OBJECT_PLAYBACK},
        {"RecordingFinished", "recording", "name", OBJECT_RECORDING},
        {"RecordingFailed", "recording", "name", OBJECT_RECORDING},
        {"ArizmqObjectLost", "channel", "id", OBJECT_CHANNEL},
        {"ArizmqObjectLost", "device_state", "name", OBJECT_DEVICE},
    };
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        char text[256];
        snprintf(text, sizeof text, "{\"type\":\"ArizmqObjectFound\",\"%s\":{\"%s\":\"x\"}}",
                 ends[i].member, ends[i].id);
        send_text(all, text);
        cr_assert_str_neq(held(all, ends[i].kind, "x"), "none", "%zu", i);
        snprintf(text, sizeof text, "{\"type\":\"%s\",\"%s\":{\"%s\":\"x\"}}", ends[i].type,
                 ends[i].member, ends[i].id);
        send_text(all, text);
        cr_assert_str_eq(held(all, ends[i].kind, "x"), "none", "%s", ends[i].type);
    }
    cr_assert_eq(state_objects(state), 0);
}

/* Who hears everything hears of the channel until it is destroyed. */
Test(state, leaving_the_application_ends_a_channel_only_for_who_hears_no_more_of_it)
{
    send(some, "StasisStart", "channel", "1", 1);
    send(all, "StasisStart", "channel", "1", 1);
    send(some, "StasisEnd", "channel", "1", 2);
    send(all, "StasisEnd", "channel", "1", 2);
    cr_assert_str_eq(held(some, OBJECT_CHANNEL, "1"), "none");
    cr_assert_str_eq(held(all, OBJECT_CHANNEL, "1"), "{\"id\":\"1\",\"v\":2}");
    send(all, "ChannelDestroyed", "channel", "1", 3);
    cr_assert_str_eq(held(all, OBJECT_CHANNEL, "1"), "none");
    state_set_hears_all(some, true);
    send(some, "StasisStart", "channel", "2", 1);
    send(some, "StasisEnd", "channel", "2", 2);
    cr_assert_str_eq(held(some, OBJECT_CHANNEL, "2"), "{\"id\":\"2\",\"v\":2}");
}

Test(state, what_comes_late_brings_nothing_back)
{
    send(all, "ChannelCreated", "channel", "1", 1);
    send(all, "ChannelDestroyed", "channel", "1", 2);
    send(all, "ChannelDialplan", "channel", "1", 3);
    cr_assert_str_eq(held(all, OBJECT_CHANNEL, "1"), "none");
    /* Of one that was never held, too. */
    send(all, "ChannelDestroyed", "channel", "2", 2);
    send(all, "ChannelDialplan", "channel", "2", 3);
    cr_assert_str_eq(held(all, OBJECT_CHANNEL, "2"), "none");
    cr_assert_eq(state_objects(state), 0);
    /* Another link, or kind, is another object. */
    send(some, "ChannelVarset", "channel", "1", 4);
    cr_assert_str_eq(held(some, OBJECT_CHANNEL, "1"), "{\"id\":\"1\",\"v\":4}");
    /* Another life under the same id. */
    send(all, "ChannelCreated", "channel", "1", 5);
    send(all, "ChannelDialplan", "channel", "1", 6);
    cr_assert_str_eq(held(all, OBJECT_CHANNEL, "1"), "{\"id\":\"1\",\"v\":6}");
    send(all, "ArizmqObjectFound", "channel", "2", 7);
    cr_assert_str_eq(held(all, OBJECT_CHANNEL, "2"), "{\"id\":\"2\",\"v\":7}");
}

Test(state, after_ten_seconds_it_is_not_late)
{
    send(all, "ChannelDestroyed", "channel", "1", 1);
    now_ns = start_ns + 10 * second_ns - 1;
    send(all, "ChannelVarset", "channel", "1", 2);
    cr_assert_str_eq(held(all, OBJECT_CHANNEL, "1"), "none");
    now_ns++;
    send(all, "ChannelVarset", "channel", "1", 3);
    cr_assert_str_eq(held(all, OBJECT_CHANNEL, "1"), "{\"id\":\"1\",\"v\":3}");
    send(all, "ChannelDestroyed", "channel", "1", 1);
    now_ns = start_ns; /* the clock was set back */
    send(all, "ChannelVarset", "channel", "1", 4);
    cr_assert_str_eq(held(all, OBJECT_CHANNEL, "1"), "none");
}

Test(state, nothing_is_late_behind_a_gap)
{
    send(all, "ChannelDestroyed", "channel", "1", 1);
    send(some, "ChannelDestroyed", "channel", "1", 1);
    state_gap(all);
    state_gap(NULL);
    send(all, "ChannelVarset", "channel", "1", 2);
    send(some, "ChannelVarset", "channel", "1", 2);
    cr_assert_str_eq(held(all, OBJECT_CHANNEL, "1"), "{\"id\":\"1\",\"v\":2}");
    cr_assert_str_eq(held(some, OBJECT_CHANNEL, "1"), "none", "another link's");
}

Test(state, who_leaves_the_configuration_is_forgotten)
{
    send(all, "ChannelCreated", "channel", "1", 1);
    send(all, "ChannelDestroyed", "channel", "2", 1);
    send(some, "ChannelCreated", "channel", "1", 1);
    cr_assert(state_holds_any(all));
    state_leave(NULL);
    state_leave(all);
    cr_assert_not(state_holds_any(all));
    cr_assert_not(state_is_complete(all));
    cr_assert_str_eq(held(all, OBJECT_CHANNEL, "1"), "none");
    cr_assert_str_eq(held(some, OBJECT_CHANNEL, "1"), "{\"id\":\"1\",\"v\":1}", "another link's");
    cr_assert_eq(state_objects(state), 1);
    send(all, "ChannelVarset", "channel", "2", 2); /* what had ended is forgotten, too */
    cr_assert_str_eq(held(all, OBJECT_CHANNEL, "2"), "{\"id\":\"2\",\"v\":2}");
    send(all, "ChannelDestroyed", "channel", "2", 3);
    cr_assert(state_holds_any(all), "what has ended is remembered");
    cr_assert_not(state_holds_any(NULL));
    cr_assert_not(state_is_shared(NULL));
}

Test(state, what_has_ended_is_forgotten_in_time)
{
    for (unsigned i = 0; i < 500; i++) {
        char id[16];
        snprintf(id, sizeof id, "%u", i);
        send(all, "ChannelDestroyed", "channel", id, 1);
    }
    cr_assert_gt(state_bytes(state), 0);
    now_ns += 10 * second_ns;
    for (unsigned i = 0; i < 250; i++) {
        send(all, "DeviceStateChanged", "x", "x", 0);
        send(all, "EndpointStateChange", "x", "x", 0);
        send(all, "ChannelVarset", "channel", "x", 0);
    }
    send(all, "ChannelDestroyed", "channel", "x", 0);
    now_ns += 10 * second_ns;
    send(all, "ChannelVarset", "channel", "y", 0);
    uint64_t one = state_bytes(state);
    send(all, "ChannelVarset", "channel", "z", 0);
    cr_assert_eq(state_bytes(state), 2 * one, "nothing is left of the others");
}

Test(state, a_value_that_fits_where_the_old_one_was_costs_no_allocation)
{
    send(all, "ChannelCreated", "channel", "1", 1000000);
    char texts[2][256];
    for (int i = 0; i < 2; i++) {
        snprintf(texts[i], sizeof texts[i],
                 "{\"type\":\"ChannelVarset\",\"channel\":{\"id\":\"1\",\"v\":%d}}", i * 100);
        memset(texts[i] + strlen(texts[i]), 0, SCAN_PADDING);
    }
    struct event events[2];
    for (int i = 0; i < 2; i++) {
        event_read(&events[i], texts[i], strlen(texts[i]), "pbx1", now_ns);
    }
    unsigned before = mallocs;
    for (int i = 0; i < 1000; i++) {
        events[i % 2].seq = ++seq;
        state_fold(all, &events[i % 2]);
    }
    cr_assert_eq(mallocs, before);
    cr_assert_str_eq(held(all, OBJECT_CHANNEL, "1"), "{\"id\":\"1\",\"v\":100}");
}

Test(state, a_link_is_shared_by_those_who_have_it_open)
{
    cr_assert_not(state_is_shared(all));
    struct state_link *again = state_open(state, "pbx1", "all", true);
    cr_assert(state_is_shared(all));
    cr_assert_eq(again, all);
    send(all, "ChannelCreated", "channel", "1", 1);
    state_close(&all);
    cr_assert_str_eq(held(again, OBJECT_CHANNEL, "1"), "{\"id\":\"1\",\"v\":1}");
    state_close(&again);
    cr_assert_eq(state_objects(state), 0);
    all = state_open(state, "pbx1", "all", true);
    cr_assert_str_eq(held(all, OBJECT_CHANNEL, "1"), "none");
}

Test(state, without_a_link_nothing_happens)
{
    struct state_link *none = NULL;
    send(none, "ChannelCreated", "channel", "1", 1);
    state_set_up(none, true);
    state_set_hears_all(none, true);
    cr_assert_not(state_is_complete(none));
    cr_assert_str_eq(held(none, OBJECT_CHANNEL, "1"), "none");
    state_close(&none);
    struct state *no_state = NULL;
    state_destroy(&no_state);
}

/* --- bounds */

static void send_numbered(const char *type, unsigned number)
{
    char id[16];
    snprintf(id, sizeof id, "%u", number);
    send(all, type, "channel", id, 1);
}

Test(state_bounds, of_objects, .fini = tear_down)
{
    create(4, 1 << 20);
    for (unsigned i = 0; i < 6; i++) {
        send_numbered("ChannelCreated", i);
    }
    cr_assert_eq(state_objects(state), 4);
    cr_assert_eq(metrics_get(METRIC_STATE_LEFT_OUT), 2);
    cr_assert_str_eq(held(all, OBJECT_CHANNEL, "3"), "{\"id\":\"3\",\"v\":1}");
    cr_assert_str_eq(held(all, OBJECT_CHANNEL, "4"), "none");
    /* What has ended makes room. */
    send_numbered("ChannelDestroyed", 0);
    send_numbered("ChannelVarset", 4);
    cr_assert_str_neq(held(all, OBJECT_CHANNEL, "4"), "none");
    cr_assert_eq(metrics_get(METRIC_STATE_LEFT_OUT), 2);
    cr_assert_eq(state_objects(state), 4);
}

Test(state_bounds, devices_give_way_the_one_told_of_longest_ago_first, .fini = tear_down)
{
    create(4, 1 << 20);
    send_text(all, "{\"type\":\"DeviceStateChanged\",\"device_state\":{\"name\":\"a\"}}");
    send_text(all, "{\"type\":\"DeviceStateChanged\",\"device_state\":{\"name\":\"b\"}}");
    send_text(all, "{\"type\":\"DeviceStateChanged\",\"device_state\":{\"name\":\"a\"}}");
    for (unsigned i = 0; i < 3; i++) {
        send_numbered("ChannelCreated", i);
    }
    cr_assert_str_eq(held(all, OBJECT_DEVICE, "b"), "none");
    cr_assert_str_eq(held(all, OBJECT_DEVICE, "a"), "{\"name\":\"a\"}");
    cr_assert_eq(metrics_get(METRIC_STATE_EVICTED), 1);
    cr_assert_eq(metrics_get(METRIC_STATE_LEFT_OUT), 0);
    send_text(all, "{\"type\":\"DeviceStateChanged\",\"device_state\":{\"name\":\"c\"}}");
    cr_assert_str_eq(held(all, OBJECT_DEVICE, "a"), "none");
    cr_assert_str_eq(held(all, OBJECT_DEVICE, "c"), "{\"name\":\"c\"}");
}

Test(state_bounds, of_bytes, .fini = tear_down)
{
    create(1000, 4096);
    for (unsigned i = 0; i < 100; i++) {
        send_numbered("ChannelCreated", i);
    }
    cr_assert_leq(state_bytes(state), 4096);
    uint32_t count = state_objects(state);
    cr_assert(count > 4 && count < 30, "%u", count);
    cr_assert_eq(metrics_get(METRIC_STATE_LEFT_OUT), 100 - count);
    /* One that is held and grows too large: rather none than an old value. */
    char text[8192];
    snprintf(text, sizeof text,
             "{\"type\":\"ChannelVarset\",\"channel\":{\"id\":\"0\",\"v\":\"%5000d\"}}", 1);
    send_text(all, text);
    cr_assert_str_eq(held(all, OBJECT_CHANNEL, "0"), "none");
    cr_assert_eq(state_objects(state), count - 1);
    cr_assert_eq(metrics_get(METRIC_STATE_LEFT_OUT), 101 - count);
    /* Devices give way here, too. */
    send_text(all, "{\"type\":\"DeviceStateChanged\",\"device_state\":{\"name\":\"a\"}}");
    cr_assert_str_eq(held(all, OBJECT_DEVICE, "a"), "{\"name\":\"a\"}");
    for (unsigned i = 200; i < 203; i++) {
        send_numbered("ChannelCreated", i);
    }
    cr_assert_str_eq(held(all, OBJECT_DEVICE, "a"), "none");
}

Test(state_bounds, an_id_of_two_parts_that_is_too_long_is_left_out, .init = set_up,
     .fini = tear_down)
{
    static char text[4096];
    snprintf(text, sizeof text,
             "{\"type\":\"EndpointStateChange\",\"endpoint\":{\"technology\":\"PJSIP\","
             "\"resource\":\"%01500d\"}}",
             1);
    send_text(all, text);
    cr_assert_eq(state_objects(state), 0);
    cr_assert_eq(metrics_get(METRIC_STATE_LEFT_OUT), 1);
}

Test(state_bounds, without_memory_it_is_left_out, .init = set_up, .fini = tear_down)
{
    for (unsigned left = 0; left < 8; left++) {
        uint64_t bytes = state_bytes(state);
        uint64_t left_out = metrics_get(METRIC_STATE_LEFT_OUT);
        struct event event;
        char text[256] = "{\"type\":\"ChannelCreated\",\"channel\":{\"id\":\"1\"}}";
        event_read(&event, text, strlen(text), "pbx1", now_ns);
        event.seq = ++seq;
        mallocs_left = left;
        state_fold(all, &event);
        mallocs_left = UINT32_MAX;
        if (state_objects(state) == 1) {
            cr_assert_geq(left, 3);
            break;
        }
        cr_assert_eq(metrics_get(METRIC_STATE_LEFT_OUT), left_out + 1);
        cr_assert_eq(state_bytes(state), bytes);
    }
    cr_assert_eq(state_objects(state), 1);
}

Test(state_bounds, other_bounds_hold_from_then_on, .init = set_up, .fini = tear_down)
{
    send_numbered("ChannelCreated", 1);
    send_numbered("ChannelCreated", 2);
    struct config_state config = {.max_objects = 1, .max_bytes = 1 << 20};
    state_set_config(state, &config);
    cr_assert_eq(metrics_get(METRIC_STATE_MAX_OBJECTS), 1);
    send_numbered("ChannelCreated", 3);
    cr_assert_eq(state_objects(state), 2, "what is held stays, nothing is added");
    send_numbered("ChannelVarset", 1);
    cr_assert_str_neq(held(all, OBJECT_CHANNEL, "1"), "none");
}

/* --- against the model */

Test(state, random_events)
{
    uint64_t random = random_seed(1);
    static struct model model;
    model.link[1].hears_all = true;
    struct state_link *links[MODEL_LINKS] = {some, all, state_open(state, "pbx2", "some", false)};
    for (unsigned i = 0; i < 100000; i++) {
        now_ns += random_below(&random, 400) * 1000000U;
        unsigned link = (unsigned)random_below(&random, MODEL_LINKS);
        struct model_event event = model_random(&random, now_ns);
        model_send(links[link], &event, ++seq);
        model_fold(&model.link[link], &event);
        model_assert_link(&model.link[link], links[link]);
    }
    cr_assert_eq(metrics_get(METRIC_STATE_LEFT_OUT), 0);
    cr_assert_gt(state_objects(state), 20);
    state_close(&links[2]);
}

/* --- over the recordings, against a straightforward reading of schemas/objects.json */

struct reading {
    json_t *types;
    json_t *held[2];  /* "kind id" to value, of `some` and `all` */
    json_t *ended[2]; /* "kind id" to the time */
};

static json_t *follow(json_t *event, const char *path, json_t **holder)
{
    char members[256];
    snprintf(members, sizeof members, "%s", path);
    char *rest = NULL;
    *holder = NULL;
    for (char *name = strtok_r(members, ".", &rest); name != NULL;
         name = strtok_r(NULL, ".", &rest)) {
        *holder = event;
        event = json_object_get(event, name);
    }
    return event;
}

static void fold_rule(struct reading *reading, unsigned which, json_t *event, json_t *rule)
{
    const char *path = json_string_value(json_object_get(rule, "path"));
    const char *kind = json_string_value(json_object_get(rule, "kind"));
    const char *form = json_string_value(json_object_get(rule, "form"));
    const char *type = json_string_value(json_object_get(event, "type"));
    json_t *value = NULL;
    json_t *id = follow(event, path, &value);
    char key[1024];
    if (form != NULL && strcmp(form, "endpoint") == 0 && id != NULL) {
        value = id;
        snprintf(key, sizeof key, "endpoint %s/%s",
                 json_string_value(json_object_get(id, "technology")),
                 json_string_value(json_object_get(id, "resource")));
    } else {
        const char *dot = strrchr(path, '.');
        bool has_name =
            kind != NULL && (strcmp(kind, "recording") == 0 || strcmp(kind, "device") == 0);
        if (form != NULL || dot == NULL || strcmp(dot + 1, has_name ? "name" : "id") != 0 ||
            !json_is_string(id)) {
            return;
        }
        snprintf(key, sizeof key, "%s %s", kind, json_string_value(id));
    }
    if (json_is_true(json_object_get(rule, "ends")) &&
        (which == 0 || strcmp(type, "StasisEnd") != 0)) {
        json_object_del(reading->held[which], key);
        json_object_set_new(reading->ended[which], key, json_integer((json_int_t)now_ns));
        return;
    }
    json_t *ended = json_object_get(reading->ended[which], key);
    if (ended != NULL && !json_is_true(json_object_get(rule, "begins")) &&
        now_ns - (uint64_t)json_integer_value(ended) < 10 * second_ns) {
        return;
    }
    json_object_del(reading->ended[which], key);
    json_object_set(reading->held[which], key, value);
}

static void fold_line(const char *line, size_t length, void *context)
{
    struct reading *reading = context;
    json_t *event = json_loadb(line, length, 0, NULL);
    const char *type = json_string_value(json_object_get(event, "type"));
    json_t *rules = json_object_get(reading->types, type);
    now_ns += 1000000;
    seq++;
    char *text = strndup(line, length);
    size_t index = 0;
    json_t *rule = NULL;
    for (unsigned which = 0; which < 2; which++) {
        json_array_foreach(rules != NULL ? rules : json_object_get(reading->types, "*"), index,
                           rule)
        {
            fold_rule(reading, which, event, rule);
        }
        model_send_text(which == 0 ? some : all, text, seq, now_ns);
    }
    free(text);
    json_decref(event);
}

static void assert_held(struct reading *reading, unsigned which, const struct state_link *link)
{
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach(reading->held[which], key, value)
    {
        unsigned kind = 0;
        size_t length = strcspn(key, " ");
        while (strncmp(object_kind_names[kind], key, length) != 0) {
            kind++;
        }
        json_t *found = json_loads(held(link, (enum object_kind)kind, key + length + 1), 0, NULL);
        cr_assert(json_equal(found, value), "%s", key);
        json_decref(found);
    }
}

Test(state_recordings, every_value_is_that_of_the_last_event, .fini = tear_down)
{
    create(100000, 64U << 20);
    json_t *table = json_load_file(PROJECT_DIR "/schemas/objects.json", 0, NULL);
    struct reading reading = {.types = json_object_get(table, "types"),
                              .held = {json_object(), json_object()},
                              .ended = {json_object(), json_object()}};
    recordings_each_event(fold_line, &reading);
    assert_held(&reading, 0, some);
    assert_held(&reading, 1, all);
    cr_assert_eq(state_objects(state),
                 json_object_size(reading.held[0]) + json_object_size(reading.held[1]));
    cr_assert_gt(json_object_size(reading.held[1]), 10);
    for (unsigned i = 0; i < 2; i++) {
        json_decref(reading.held[i]);
        json_decref(reading.ended[i]);
    }
    json_decref(table);
}
