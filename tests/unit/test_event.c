/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Reading events, against a straightforward reading of schemas/objects.json with Jansson.
 */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "event/event.h"
#include "recordings.h"

/* An object as the test knows it: "kind:id". */
static json_t *name_object(const char *kind, json_t *id)
{
    return json_sprintf("%s:%s", kind, json_string_value(id));
}

static json_t *follow(json_t *event, const char *path)
{
    char members[256];
    cr_assert_lt(strlen(path), sizeof members);
    strcpy(members, path);
    char *rest = NULL;
    for (char *name = strtok_r(members, ".", &rest); name != NULL;
         name = strtok_r(NULL, ".", &rest)) {
        event = json_object_get(event, name);
    }
    return event;
}

/* What one rule finds: a new reference, or NULL. */
static json_t *apply_rule(json_t *rule, json_t *event)
{
    const char *kind = json_string_value(json_object_get(rule, "kind"));
    const char *form = json_string_value(json_object_get(rule, "form"));
    json_t *value = follow(event, json_string_value(json_object_get(rule, "path")));
    if (form != NULL && strcmp(form, "endpoint") == 0) {
        const char *technology = json_string_value(json_object_get(value, "technology"));
        const char *resource = json_string_value(json_object_get(value, "resource"));
        return technology != NULL && resource != NULL
                   ? json_sprintf("endpoint:%s/%s", technology, resource)
                   : NULL;
    }
    if (json_string_length(value) == 0) {
        return NULL;
    }
    if (form != NULL && strcmp(form, "uri") == 0) {
        static const char *const kinds[] = {
            "channel:", "bridge:", "playback:", "recording:", "endpoint:", "device:"};
        for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
            const char *uri = json_string_value(value);
            if (strncmp(uri, kinds[i], strlen(kinds[i])) == 0 && strlen(uri) > strlen(kinds[i])) {
                return json_incref(value);
            }
        }
        return NULL;
    }
    return name_object(kind, value);
}

/* The object itself, as the event tells of it (borrowed), or null: the one that has the path's last
 * member, if that is what its kind is known by. */
static json_t *follow_to_value(json_t *rule, json_t *event)
{
    const char *path = json_string_value(json_object_get(rule, "path"));
    const char *kind = json_string_value(json_object_get(rule, "kind"));
    if (json_object_get(rule, "form") != NULL) {
        return kind != NULL ? follow(event, path) : json_null(); /* endpoint : uri */
    }
    const char *dot = strrchr(path, '.');
    bool has_name = strcmp(kind, "recording") == 0 || strcmp(kind, "device") == 0;
    if (dot == NULL || strcmp(dot + 1, has_name ? "name" : "id") != 0) {
        return json_null();
    }
    char holder[256] = "";
    memcpy(holder, path, (size_t)(dot - path));
    return follow(event, holder);
}

/* Names in the order of the rules; in `values` what the event tells of each. */
static json_t *expected_objects(json_t *types, json_t *event, json_t *values)
{
    json_t *objects = json_array();
    json_t *rules = json_object_get(types, json_string_value(json_object_get(event, "type")));
    size_t index = 0;
    json_t *rule = NULL;
    json_array_foreach(rules != NULL ? rules : json_object_get(types, "*"), index, rule)
    {
        json_t *object = apply_rule(rule, event);
        json_t *value = follow_to_value(rule, event);
        size_t at = 0;
        json_t *other = NULL;
        json_array_foreach(objects, at, other)
        {
            if (object != NULL && json_equal(object, other)) {
                json_decref(object);
                object = NULL;
                if (json_is_null(json_array_get(values, at))) {
                    json_array_set(values, at, value);
                }
            }
        }
        if (object != NULL) {
            json_array_append_new(objects, object);
            json_array_append(values, value);
        }
    }
    return objects;
}

static json_t *found_objects(const struct event *event)
{
    json_t *objects = json_array();
    for (unsigned i = 0; i < event->object_count; i++) {
        const struct event_object *object = &event->objects[i];
        json_t *text = object->parts == 1
                           ? json_sprintf("%s:%.*s", object->kind, (int)object->part[0].length,
                                          object->part[0].bytes)
                           : json_sprintf("%s:%.*s/%.*s", object->kind, (int)object->part[0].length,
                                          object->part[0].bytes, (int)object->part[1].length,
                                          object->part[1].bytes);
        json_array_append_new(objects, text);
    }
    return objects;
}

static json_t *found_values(const struct event *event)
{
    json_t *values = json_array();
    for (unsigned i = 0; i < event->object_count; i++) {
        const struct span *value = &event->objects[i].value;
        cr_assert(value->length == 0 ||
                  (value->bytes > event->text.bytes &&
                   value->bytes + value->length < event->text.bytes + event->text.length));
        json_t *json =
            value->length > 0 ? json_loadb(value->bytes, value->length, 0, NULL) : json_null();
        cr_assert_not_null(json, "%.*s", (int)value->length, value->bytes);
        json_array_append_new(values, json);
    }
    return values;
}

struct reading {
    json_t *types; /* of schemas/objects.json */
    json_t *met;   /* types met, and the most objects of one event */
    size_t objects;
};

static json_t *load_types(void)
{
    json_error_t error;
    json_t *table = json_load_file(PROJECT_DIR "/schemas/objects.json", 0, &error);
    cr_assert_not_null(table, "%s", error.text);
    json_t *types = json_incref(json_object_get(table, "types"));
    json_decref(table);
    return types;
}

static char *padded(const char *text, size_t length)
{
    char *copy = malloc(length + SCAN_PADDING);
    cr_assert_not_null(copy);
    memcpy(copy, text, length);
    memset(copy + length, '"', SCAN_PADDING);
    return copy;
}

static bool span_is(struct span span, const char *text)
{
    return span.length == strlen(text) && memcmp(span.bytes, text, span.length) == 0;
}

static void check_event(const char *line, size_t length, void *context)
{
    struct reading *reading = context;
    json_t *json = json_loadb(line, length, 0, NULL);
    cr_assert_not_null(json);
    char *copy = padded(line, length);
    struct event event;
    event_read(&event, copy, length, "pbx1", 12345);

    cr_assert(event_is_parsed(&event));
    const char *type = json_string_value(json_object_get(json, "type"));
    cr_assert(span_is(event.type, type));
    cr_assert_str_eq(event.known->name, type);
    const char *application = json_string_value(json_object_get(json, "application"));
    cr_assert(span_is(event.application, application != NULL ? application : ""));
    json_t *expected_told = json_array();
    json_t *expected = expected_objects(reading->types, json, expected_told);
    json_t *found = found_objects(&event);
    json_t *told = found_values(&event);
    char *found_text = json_dumps(found, 0);
    cr_assert(json_equal(found, expected), "%s in %.*s", found_text, (int)length, line);
    cr_assert(json_equal(told, expected_told), "in %.*s", (int)length, line);
    cr_assert_eq(event.objects_dropped, 0);
    cr_assert(event.text.bytes == copy && event.text.length == length);
    cr_assert_eq(event.received_ns, 12345);
    cr_assert_eq(event.seq, 0);
    cr_assert_str_eq(event.node, "pbx1");
    cr_assert_not(event.is_own);

    reading->objects += event.object_count;
    json_object_set_new(reading->met, type, json_true());
    free(found_text);
    json_decref(told);
    json_decref(expected_told);
    json_decref(found);
    json_decref(expected);
    json_decref(json);
    event_release(&event);
    free(copy);
}

Test(event, has_the_objects_that_the_table_names_in_their_order)
{
    struct reading reading = {.types = load_types(), .met = json_object()};
    recordings_each_event(check_event, &reading);
    cr_assert_gt(reading.objects, 20000);
    const char *type = NULL;
    json_t *rules = NULL;
    json_object_foreach(reading.types, type, rules)
    {
        cr_assert(strcmp(type, "*") == 0 || json_object_get(reading.met, type) != NULL,
                  "%s was not recorded", type);
    }
    json_decref(reading.types);
    json_decref(reading.met);
}

/* Reads `text`; the copy that the event borrows lives until the process ends. */
static struct event read_text(const char *text)
{
    static char copies[64][4096];
    static unsigned used;
    char *copy = copies[used++];
    cr_assert_leq(used, 64);
    size_t length = strlen(text);
    cr_assert_lt(length + SCAN_PADDING, sizeof copies[0]);
    memset(copy, '}', sizeof copies[0]);
    memcpy(copy, text, length);
    struct event event;
    event_read(&event, copy, length, "pbx1", 1);
    return event;
}

static void assert_objects(struct event *event, const char *wanted)
{
    json_t *found = found_objects(event);
    char *text = json_dumps(found, JSON_COMPACT);
    cr_assert_str_eq(text, wanted);
    free(text);
    json_decref(found);
    event_release(event);
    cr_assert_eq(event->decoded_count, 0);
}

Test(event, names_an_object_once)
{
    struct event event =
        read_text("{\"type\":\"Dial\",\"caller\":{\"id\":\"1\"},\"peer\":{\"id\":\"\\u0031\"},"
                  "\"forwarded\":{\"id\":\"2\"}}");
    assert_objects(&event, "[\"channel:1\",\"channel:2\"]");
    /* A bridge and a channel of one id are two; so are an endpoint and its name. */
    event = read_text("{\"type\":\"New\",\"channel\":{\"id\":\"1\"},\"bridge\":{\"id\":\"1\"},"
                      "\"playback\":{\"id\":\"1\",\"target_uri\":\"channel:1\"}}");
    assert_objects(&event, "[\"channel:1\",\"bridge:1\",\"playback:1\"]");
}

Test(event, has_the_text_of_an_object_where_it_tells_of_it)
{
    struct event event =
        read_text("{\"type\":\"BridgeAttendedTransfer\",\"destination_bridge\":\"b\","
                  "\"transfer_target\":{ \"name\":\"x}\",\"id\":\"1\"} ,"
                  "\"destination_threeway_bridge\":{\"id\":\"b\",\"n\":[1,{}]}}");
    cr_assert_eq(event.object_count, 2);
    cr_assert(span_is(event.objects[0].value, "{ \"name\":\"x}\",\"id\":\"1\"}"));
    /* Named first, told of later. */
    cr_assert(span_is(event.objects[1].value, "{\"id\":\"b\",\"n\":[1,{}]}"));
    event_release(&event);
    /* Neither the bridge nor the playback is the channel. */
    event = read_text("{\"type\":\"BridgeVideoSourceChanged\",\"bridge\":{\"id\":\"b\","
                      "\"video_source_id\":\"1\"},\"old_video_source_id\":\"2\"}");
    cr_assert_eq(event.object_count, 3);
    cr_assert_gt(event.objects[0].value.length, 0);
    cr_assert_eq(event.objects[1].value.length, 0);
    cr_assert_eq(event.objects[2].value.length, 0);
    event_release(&event);
    event = read_text("{\"type\":\"PlaybackStarted\",\"playback\":{\"id\":\"p\",\"target_uri\":"
                      "\"channel:1\"}}");
    cr_assert_gt(event.objects[0].value.length, 0);
    cr_assert_eq(event.objects[1].value.length, 0);
    event_release(&event);
}

Test(event, says_which_of_its_objects_it_ends)
{
    struct event event = read_text(
        "{\"type\":\"BridgeMerged\",\"bridge\":{\"id\":\"a\"},\"bridge_from\":{\"id\":\"b\"}}");
    cr_assert_eq(event.object_count, 2);
    cr_assert_not(event.objects[0].ends);
    cr_assert(event.objects[1].ends);
    event_release(&event);
    event = read_text("{\"type\":\"PlaybackFinished\",\"playback\":{\"id\":\"p\",\"target_uri\":"
                      "\"channel:1\"}}");
    cr_assert_eq(event.object_count, 2);
    cr_assert(event.objects[0].ends);
    cr_assert_not(event.objects[1].ends, "what was played to lives on");
    event_release(&event);
    event = read_text("{\"type\":\"ChannelVarset\",\"channel\":{\"id\":\"1\"}}");
    cr_assert_not(event.objects[0].ends);
    event_release(&event);
}

Test(event, of_unknown_type_has_the_objects_of_the_star)
{
    struct event event = read_text(
        "{\"type\":\"Chan\\u006eelTeleported\",\"application\":\"iv\\\"r\",\"peer\":{\"id\":\"9\"},"
        "\"endpoint\":{\"resource\":\"al\\/ice\",\"technology\":\"PJSIP\"},"
        "\"device_state\":{\"name\":\"SIP/a\"},\"channel\":{\"name\":\"n\",\"id\":\"1.2\"}}");
    cr_assert(span_is(event.type, "ChannelTeleported"));
    cr_assert(span_is(event.application, "iv\"r"));
    cr_assert_null(event.known->name);
    cr_assert(event_is_parsed(&event));
    assert_objects(&event, "[\"channel:1.2\",\"endpoint:PJSIP/al/ice\",\"device:SIP/a\"]");
}

Test(event, finds_nothing_where_members_are_missing_or_of_other_kinds)
{
    static const char *const texts[] = {
        "{\"type\":\"StasisStart\"}",
        "{\"type\":\"StasisStart\",\"channel\":null}",
        "{\"type\":\"StasisStart\",\"channel\":\"1.2\"}",
        "{\"type\":\"StasisStart\",\"channel\":[{\"id\":\"1.2\"}]}",
        "{\"type\":\"StasisStart\",\"channel\":{}}",
        "{\"type\":\"StasisStart\",\"channel\":{\"id\":17}}",
        "{\"type\":\"StasisStart\",\"channel\":{\"id\":\"\"}}",
        "{\"type\":\"StasisStart\",\"channel\":{\"id\" \"1.2\"}}",
        "{\"type\":\"StasisStart\",\"channel\":{\"other\":{\"id\":\"1.2\"}}}",
        "{\"type\":\"ChannelTransfer\",\"refer_to\":{\"bridge\":{\"id\":{}}}}",
        "{\"type\":\"DeviceStateChanged\",\"device_state\":{\"state\":\"x\"}}",
        "{\"type\":\"EndpointStateChange\",\"endpoint\":{\"technology\":\"PJSIP\"}}",
        "{\"type\":\"EndpointStateChange\",\"endpoint\":{\"resource\":\"alice\"}}",
        "{\"type\":\"EndpointStateChange\",\"endpoint\":\"PJSIP/alice\"}",
        "{\"type\":\"PlaybackStarted\",\"playback\":{\"target_uri\":\"1.2\"}}",
        "{\"type\":\"PlaybackStarted\",\"playback\":{\"target_uri\":\"channels:1.2\"}}",
        "{\"type\":\"PlaybackStarted\",\"playback\":{\"target_uri\":\":1.2\"}}",
        "{\"type\":\"PlaybackStarted\",\"playback\":{\"target_uri\":\"channel:\"}}",
        "{\"type\":\"RESTResponse\",\"channel\":{\"id\":\"1.2\"}}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct event event = read_text(texts[i]);
        cr_expect(event_is_parsed(&event));
        cr_expect_eq(event.object_count, 0, "%s", texts[i]);
        event_release(&event);
    }
}

/* Of the event the last one counts, as JSON parsers have it; of what is nested the first, behind
 * which nothing is read. */
Test(event, reads_repeated_members)
{
    struct event event =
        read_text("{\"type\":\"Dial\",\"channel\":{\"id\":\"1\"},\"type\":"
                  "\"StasisStart\",\"channel\":{\"i\\u0064\":\"2\",\"id\":\"3\"}}");
    cr_assert(span_is(event.type, "StasisStart"));
    assert_objects(&event, "[\"channel:2\"]");
}

/* Jansson would refuse the whole text. The surrogate cannot be UTF-8, so it stands as it was
 * written. */
Test(event, keeps_a_lone_surrogate_as_it_is_written)
{
    struct event event =
        read_text("{\"type\":\"StasisStart\",\"channel\":{\"id\":\"a\\ud800\\/b\"},"
                  "\"application\":\"\\udc00\"}");
    cr_assert(span_is(event.application, "\\udc00"));
    assert_objects(&event, "[\"channel:a\\\\ud800\\\\/b\"]");
    event = read_text("{\"type\":\"\\ud83d\\ude00\\u0000x\"}");
    cr_assert_eq(event.type.length, 6);
    cr_assert_eq(memcmp(event.type.bytes, "\U0001F600\0x", 6), 0);
    event_release(&event);
}

Test(event, without_type_is_unparsed)
{
    static const char *const texts[] = {
        "",
        "{}",
        "null",
        "[\"type\"]",
        "{\"type\":17}",
        "{\"type\":null,\"application\":\"ivr\"}",
        "{\"type\":{\"type\":\"StasisStart\"}}",
        "{\"Type\":\"StasisStart\"}",
        "{\"type\":\"StasisStart\",\"channel\":{\"id\":\"1\"}",
        "{\"type\":\"StasisStart\"} {}",
        "{\"channel\":{\"id\":\"1\",\"type\":\"StasisStart\"},\"application\":\"ivr\"}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct event event = read_text(texts[i]);
        cr_expect_not(event_is_parsed(&event), "%s", texts[i]);
        cr_expect(span_is(event.type, "ArizmqUnparsed"));
        cr_expect_eq(event.application.length, 0, "%s", texts[i]);
        cr_expect_eq(event.object_count, 0);
        cr_expect_null(event.known->name);
        cr_expect_eq(event.text.length, strlen(texts[i]));
        event_release(&event);
    }
    /* One that calls itself so was read all the same. */
    struct event event = read_text("{\"type\":\"ArizmqUnparsed\"}");
    cr_assert(event_is_parsed(&event));
    event_release(&event);
}

Test(event, may_have_an_empty_type_and_an_application_that_is_no_string)
{
    struct event event = read_text("{\"type\":\"\",\"application\":5,\"channel\":{\"id\":\"1\"}}");
    cr_assert(event_is_parsed(&event));
    cr_assert_eq(event.type.length, 0);
    cr_assert_eq(event.application.length, 0);
    assert_objects(&event, "[\"channel:1\"]");
}
