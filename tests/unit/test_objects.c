/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The object table against itself and against every recorded event. The second part knows nothing
 * of the table: it recognises objects by their shape, collects their ids, and then asks that the
 * rules find each of these ids wherever an event names one, and nothing else.
 */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "event/objects.h"

static const struct object_type *find(const char *name)
{
    return objects_find_type(name, strlen(name));
}

static const char *write_path(const struct object_rule *rule)
{
    static char path[1024];
    int used = 0;
    for (unsigned i = 0; i < rule->depth; i++) {
        used += snprintf(path + used, sizeof path - (size_t)used, "%s%s", i > 0 ? "." : "",
                         rule->path[i].name);
    }
    return path;
}

Test(objects, every_type_is_found_under_its_own_name)
{
    size_t count = 0;
    const struct object_type *types = objects_all(&count);
    cr_assert_eq(count, 45, "Asterisk 22 has 45 types, the table names %zu", count);
    for (size_t i = 0; i < count; i++) {
        cr_assert_eq(strlen(types[i].name), types[i].name_length);
        cr_assert_eq(find(types[i].name), &types[i], "%s", types[i].name);
        if (i > 0) {
            cr_assert_lt(strcmp(types[i - 1].name, types[i].name), 0, "%s is out of order",
                         types[i].name);
        }
    }
}

Test(objects, a_type_that_is_not_named_gets_the_rules_of_the_star)
{
    const struct object_type *other = find("ChannelTeleported");
    cr_assert_not_null(other);
    cr_assert_null(other->name);
    cr_assert_gt(other->rules_count, 0);
    cr_assert_str_eq(write_path(&other->rules[0]), "channel.id");
    static const char long_name[300] = "ChannelCreated";
    cr_assert_eq(find(""), other);
    cr_assert_eq(find("*"), other);
    cr_assert_eq(objects_find_type(long_name, sizeof long_name), other);
    for (unsigned i = 0; i < other->rules_count; i++) {
        cr_assert_str_neq(other->rules[i].path[0].name, "peer");
        cr_assert_str_neq(other->rules[i].path[0].name, "caller");
    }
}

/* A hash that looks at few bytes must still compare them all. */
Test(objects, a_name_that_differs_in_one_byte_is_another_type)
{
    size_t count = 0;
    const struct object_type *types = objects_all(&count);
    for (size_t i = 0; i < count; i++) {
        char name[256];
        size_t length = types[i].name_length;
        for (size_t at = 0; at < length; at++) {
            memcpy(name, types[i].name, length);
            name[at] ^= 0x20;
            cr_assert_null(objects_find_type(name, length)->name, "%.*s", (int)length, name);
        }
        cr_assert_null(objects_find_type(types[i].name, length - 1)->name);
        memcpy(name, types[i].name, length);
        name[length] = 's';
        cr_assert_null(objects_find_type(name, length + 1)->name);
    }
}

/* Recordings do not show every member of these types, nor can they show an order. The first one is
 * the {id} of the event's topic. */
Test(objects, rules_stand_in_the_order_of_the_topics)
{
    static const char *const expected[] = {
        "Dial peer.id caller.id forwarded.id",
        "ChannelTransfer referred_by.source_channel.id referred_by.connected_channel.id "
        "refer_to.destination_channel.id refer_to.connected_channel.id referred_by.bridge.id "
        "refer_to.bridge.id",
        "BridgeBlindTransfer channel.id replace_channel.id transferee.id bridge.id",
        "BridgeAttendedTransfer transferer_first_leg.id transferer_second_leg.id "
        "replace_channel.id transferee.id transfer_target.id transferer_first_leg_bridge.id "
        "transferer_second_leg_bridge.id destination_bridge destination_link_first_leg.id "
        "destination_link_second_leg.id destination_threeway_channel.id "
        "destination_threeway_bridge.id",
        "ChannelUserevent channel.id bridge.id endpoint",
        "BridgeVideoSourceChanged bridge.id bridge.video_source_id old_video_source_id",
        "PlaybackFinished playback.id playback.target_uri",
        "RecordingFailed recording.name recording.target_uri",
        "ChannelEnteredBridge channel.id bridge.id",
        "StasisStart channel.id replace_channel.id",
        "BridgeMerged bridge.id bridge_from.id",
        "DeviceStateChanged device_state.name",
        "ApplicationMoveFailed channel.id",
        "TextMessageReceived endpoint",
        "PeerStatusChange endpoint",
        "CallBroadcast channel.id",
        "ApplicationReplaced",
        "RESTResponse",
    };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        size_t length = strcspn(expected[i], " ");
        const struct object_type *type = objects_find_type(expected[i], length);
        char actual[2048];
        int used = snprintf(actual, sizeof actual, "%.*s", (int)length, expected[i]);
        for (unsigned k = 0; k < type->rules_count; k++) {
            used += snprintf(actual + used, sizeof actual - (size_t)used, " %s",
                             write_path(&type->rules[k]));
        }
        cr_assert_str_eq(actual, expected[i]);
    }
}

Test(objects, every_rule_is_well_formed)
{
    size_t count = 0;
    const struct object_type *types = objects_all(&count);
    for (size_t i = 0; i <= count; i++) {
        const struct object_type *type = i < count ? &types[i] : find("*");
        for (unsigned k = 0; k < type->rules_count; k++) {
            const struct object_rule *rule = &type->rules[k];
            cr_assert(rule->depth >= 1 && rule->depth <= OBJECT_PATH_MAX);
            cr_assert(rule->form == OBJECT_FORM_URI || rule->kind < OBJECT_KINDS);
            cr_assert_eq(rule->form == OBJECT_FORM_ENDPOINT, rule->kind == OBJECT_ENDPOINT);
            for (unsigned m = 0; m < rule->depth; m++) {
                cr_assert_eq(strlen(rule->path[m].name), rule->path[m].length);
            }
        }
    }
}

Test(objects, only_the_last_word_on_an_object_ends_it)
{
    static const char *const expected[] = {
        "BridgeDestroyed bridge.id",      "BridgeMerged bridge_from.id",
        "ChannelDestroyed channel.id",    "PlaybackFinished playback.id",
        "RecordingFailed recording.name", "RecordingFinished recording.name",
        "StasisEnd channel.id",
    };
    size_t count = 0;
    size_t met = 0;
    const struct object_type *types = objects_all(&count);
    for (size_t i = 0; i <= count; i++) {
        const struct object_type *type = i < count ? &types[i] : find("*");
        for (unsigned k = 0; k < type->rules_count; k++) {
            if (type->rules[k].ends) {
                char actual[2048];
                snprintf(actual, sizeof actual, "%s %s", type->name != NULL ? type->name : "*",
                         write_path(&type->rules[k]));
                cr_assert_lt(met, sizeof expected / sizeof *expected, "%s", actual);
                cr_assert_str_eq(actual, expected[met++]);
            }
        }
    }
    cr_assert_eq(met, sizeof expected / sizeof *expected);
}

/* ---- every recorded event ---- */

static const char *const recordings[] = {"coverage", "coverage-16", "calls-1000-app", "outbound"};

/* Where the text of an id may stand without naming an object to subscribers: what a caller or the
 * dialplan wrote, lists, and a bridge's video source, which is state of the bridge. "*." stands for
 * any type and any beginning of the path. */
enum { NOT_IDS = 3 };
static const char *const not_ids[NOT_IDS] = {
    "*.channels[]",
    "*.channel_ids[]",
    "*.bridge.video_source_id",
};

static size_t not_ids_met[NOT_IDS];

static int is_no_id(const char *path)
{
    for (size_t i = 0; i < NOT_IDS; i++) {
        const char *end = not_ids[i] + 1;
        size_t length = strlen(end);
        size_t whole = strlen(path);
        int fits = not_ids[i][0] == '*' ? whole >= length && strcmp(path + whole - length, end) == 0
                                        : strcmp(path, not_ids[i]) == 0;
        if (fits) {
            not_ids_met[i]++;
            return 1;
        }
    }
    return 0;
}

static void for_every_event(void (*visit)(json_t *event, void *context), void *context)
{
    for (size_t i = 0; i < sizeof recordings / sizeof *recordings; i++) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s.jsonl", CAPTURES, recordings[i]);
        FILE *file = fopen(path, "r");
        cr_assert_not_null(file, "%s", path);
        char *line = NULL;
        size_t room = 0;
        size_t events = 0;
        while (getline(&line, &room, file) > 0) {
            json_t *event = json_loads(line, 0, NULL);
            cr_assert_not_null(event, "%s: %s", path, line);
            visit(event, context);
            json_decref(event);
            events++;
        }
        cr_assert_gt(events, 40, "%s", path);
        free(line);
        fclose(file);
    }
}

static void add_id(json_t *set, int kind, const char *id)
{
    char key[8192];
    cr_assert_lt(snprintf(key, sizeof key, "%s:%s", object_kind_names[kind], id), (int)sizeof key);
    json_object_set_new(set, key, json_true());
}

static int has_id(json_t *set, int kind, const char *id)
{
    char key[8192];
    int length = snprintf(key, sizeof key, "%s:%s", object_kind_names[kind], id);
    return length < (int)sizeof key && json_object_get(set, key) != NULL;
}

static const char *string_of(json_t *object, const char *member)
{
    return json_string_value(json_object_get(object, member));
}

/* Recognises an object by members that no other kind has. */
static void collect_ids(json_t *value, json_t *known)
{
    size_t index;
    const char *name;
    json_t *child;
    json_array_foreach(value, index, child)
    {
        collect_ids(child, known);
    }
    if (json_object_get(value, "dialplan") && json_object_get(value, "connected")) {
        add_id(known, OBJECT_CHANNEL, string_of(value, "id"));
    } else if (json_object_get(value, "bridge_class")) {
        add_id(known, OBJECT_BRIDGE, string_of(value, "id"));
    } else if (json_object_get(value, "media_uri")) {
        add_id(known, OBJECT_PLAYBACK, string_of(value, "id"));
    } else if (json_object_get(value, "format") && json_object_get(value, "target_uri")) {
        add_id(known, OBJECT_RECORDING, string_of(value, "name"));
    } else if (json_object_get(value, "channel_ids") && json_object_get(value, "resource")) {
        char id[1024];
        snprintf(id, sizeof id, "%s/%s", string_of(value, "technology"),
                 string_of(value, "resource"));
        add_id(known, OBJECT_ENDPOINT, id);
    }
    json_object_foreach(value, name, child)
    {
        if (strcmp(name, "device_state") == 0) {
            add_id(known, OBJECT_DEVICE, string_of(child, "name"));
        }
        collect_ids(child, known);
    }
}

static void collect_event(json_t *event, void *known)
{
    if (strcmp(string_of(event, "type"), "RESTResponse") != 0) {
        collect_ids(event, known);
    }
}

/* What a rule finds in an event: 1 and the kind and id, or 0. */
static int follow_rule(const struct object_rule *rule, json_t *event, int *kind, char id[1024])
{
    json_t *value = event;
    for (unsigned i = 0; i < rule->depth; i++) {
        value = json_object_get(value, rule->path[i].name);
    }
    *kind = rule->kind;
    if (rule->form == OBJECT_FORM_ENDPOINT && json_is_object(value)) {
        snprintf(id, 1024, "%s/%s", string_of(value, "technology"), string_of(value, "resource"));
        return 1;
    }
    const char *text = json_string_value(value);
    if (text == NULL) {
        return 0;
    }
    if (rule->form == OBJECT_FORM_URI) {
        const char *colon = strchr(text, ':');
        for (*kind = 0; *kind < OBJECT_KINDS; ++*kind) {
            const char *name = object_kind_names[*kind];
            if (colon && strlen(name) == (size_t)(colon - text) &&
                strncmp(name, text, strlen(name)) == 0) {
                break;
            }
        }
        cr_assert_lt(*kind, OBJECT_KINDS, "no kind in %s", text);
        text = colon + 1;
    }
    snprintf(id, 1024, "%s", text);
    return 1;
}

struct check {
    json_t *known;
    const struct object_type *type; /* of the event at hand */
    size_t found_total;
    size_t failures;
    json_t *reported;
};

/* `path` begins with the type. */
static int is_rule(const struct object_type *type, const char *path)
{
    const char *members = strchr(path, '.');
    for (unsigned i = 0; members != NULL && i < type->rules_count; i++) {
        if (strcmp(members + 1, write_path(&type->rules[i])) == 0) {
            return 1;
        }
    }
    return 0;
}

static void report(struct check *check, const char *path, const char *what, const char *text)
{
    check->failures++;
    if (json_object_get(check->reported, path) == NULL) {
        json_object_set_new(check->reported, path, json_true());
        fprintf(stderr, "%s: %s: %s\n", path, what, text);
    }
}

/* Another rule may find the same object elsewhere in the event: that does not excuse this place. */
static void check_string(struct check *check, const char *path, const char *text)
{
    for (int kind = 0; kind < OBJECT_KINDS; kind++) {
        char bare[16];
        size_t prefix = (size_t)snprintf(bare, sizeof bare, "%s:", object_kind_names[kind]);
        const char *id = strncmp(text, bare, prefix) == 0 ? text + prefix : text;
        if (has_id(check->known, kind, id) && !is_rule(check->type, path) && !is_no_id(path)) {
            report(check, path, "no rule finds", text);
            return;
        }
    }
}

static void check_value(struct check *check, const char *path, json_t *value)
{
    char inner[512];
    size_t index;
    const char *name;
    json_t *child;
    if (json_is_string(value)) {
        check_string(check, path, json_string_value(value));
    }
    json_array_foreach(value, index, child)
    {
        snprintf(inner, sizeof inner, "%s[]", path);
        check_value(check, inner, child);
    }
    json_object_foreach(value, name, child)
    {
        snprintf(inner, sizeof inner, "%s.%s", path, name);
        check_value(check, inner, child);
    }
    if (json_object_get(value, "channel_ids") && json_object_get(value, "resource")) {
        snprintf(inner, sizeof inner, "%s/%s", string_of(value, "technology"),
                 string_of(value, "resource"));
        check_string(check, path, inner);
    }
}

static void check_event(json_t *event, void *context)
{
    struct check *check = context;
    const char *name = string_of(event, "type");
    const struct object_type *type = find(name);
    cr_assert_not_null(type->name, "%s is not in the table", name);
    check->type = type;
    for (unsigned i = 0; i < type->rules_count; i++) {
        int kind = OBJECT_KINDS;
        char id[1024];
        if (follow_rule(&type->rules[i], event, &kind, id)) {
            check->found_total++;
            if (!has_id(check->known, kind, id)) {
                report(check, name, write_path(&type->rules[i]), id);
            }
        }
    }
    check_value(check, name, event);
}

Test(objects, the_rules_find_every_object_of_every_recorded_event, .timeout = 100)
{
    struct check check = {.known = json_object(), .reported = json_object()};
    for_every_event(collect_event, check.known);
    cr_assert_gt(json_object_size(check.known), 2000);
    for_every_event(check_event, &check);
    cr_assert_eq(check.failures, 0, "%zu strings", check.failures);
    cr_assert_gt(check.found_total, 21000);
    for (size_t i = 0; i < NOT_IDS; i++) {
        cr_assert_gt(not_ids_met[i], 0, "%s is excused and never met", not_ids[i]);
    }
    json_decref(check.known);
    json_decref(check.reported);
}
