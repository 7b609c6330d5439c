/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What answers teach: every recorded answer of a real Asterisk 22 and 16 teaches exactly what it
 * should, by what was asked; then shapes, escapes and broken texts.
 */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"
#include "gateway/learn.h"
#include "recordings.h"

static struct owners *new_owners(void)
{
    struct owners *owners = NULL;
    cr_assert_eq(owners_create(100000, 100000, 2, &owners), ARIZMQ_OK);
    return owners;
}

static unsigned learn(struct owners *owners, const char *text)
{
    return learn_from_reply(owners, 1, text, strlen(text));
}

static bool knows(const struct owners *owners, enum object_kind kind, const char *id)
{
    struct owners_found found;
    owners_find(owners, kind, id, strlen(id), &found);
    cr_assert_leq(found.count, 1);
    cr_assert(found.count == 0 || found.node[0] == 1);
    return found.count == 1;
}

/* What the answer to each request teaches; the first whose method and beginning fit. Any other
 * answer teaches nothing. */
static const struct {
    const char *method;
    const char *target;
    enum object_kind kind;
    const char *key;
} teachers[] = {
    {"GET", "channels/rc1/variable", OBJECT_KINDS, NULL},
    {"POST", "channels/rc1/play", OBJECT_PLAYBACK, "id"},
    {"POST", "channels/rc1/record", OBJECT_RECORDING, "name"},
    {"GET", "channels", OBJECT_CHANNEL, "id"},
    {"POST", "channels", OBJECT_CHANNEL, "id"},
    {"GET", "bridges", OBJECT_BRIDGE, "id"},
    {"POST", "bridges", OBJECT_BRIDGE, "id"},
    {"GET", "playbacks", OBJECT_PLAYBACK, "id"},
    {"GET", "recordings", OBJECT_RECORDING, "name"},
    {"POST", "recordings", OBJECT_RECORDING, "name"},
};

struct tally {
    unsigned exchanges;
    unsigned taught;
    unsigned kinds[OBJECT_KINDS];
};

static size_t teacher_of(const char *method, const char *target)
{
    size_t i = 0;
    while (i < sizeof teachers / sizeof teachers[0] &&
           (strcmp(teachers[i].method, method) != 0 ||
            strncmp(teachers[i].target, target, strlen(teachers[i].target)) != 0)) {
        i++;
    }
    return i;
}

static void expect_nothing(const char *target, const char *body)
{
    struct owners *owners = new_owners();
    cr_expect_eq(learn(owners, body), 0, "%s taught: %s", target, body);
    cr_expect_eq(owners_count(owners), 0);
    owners_destroy(&owners);
}

static void expect_objects(const char *target, const char *body, enum object_kind kind,
                           const char *key, struct tally *tally)
{
    struct owners *owners = new_owners();
    unsigned learned = learn(owners, body);
    json_t *json = json_loads(body, 0, NULL);
    json_t *list = json_is_array(json) ? json_incref(json) : json_pack("[O]", json);
    cr_assert_gt(json_array_size(list), 0, "%s: an empty list shows nothing", target);
    cr_expect_eq(learned, json_array_size(list), "%s: %u learned of %s", target, learned, body);
    cr_expect_eq(owners_count(owners), json_array_size(list));
    size_t index = 0;
    json_t *item = NULL;
    json_array_foreach(list, index, item)
    {
        const char *id = json_string_value(json_object_get(item, key));
        cr_expect(knows(owners, kind, id), "%s: %s", target, id);
        tally->taught++;
        tally->kinds[kind]++;
    }
    json_decref(list);
    json_decref(json);
    owners_destroy(&owners);
}

static void visit(const char *line, size_t length, void *context)
{
    struct tally *tally = context;
    json_t *exchange = json_loadb(line, length, 0, NULL);
    cr_assert_not_null(exchange);
    const char *method = json_string_value(json_object_get(exchange, "method"));
    const char *target = json_string_value(json_object_get(exchange, "target"));
    const char *status = json_string_value(json_object_get(exchange, "status_line"));
    const char *body = json_string_value(json_object_get(exchange, "body"));
    tally->exchanges++;
    if (body != NULL && body[0] != '\0') {
        target += strncmp(target, "/ari/", 5) == 0 ? 5 : 0;
        size_t teacher = teacher_of(method, target);
        if (strstr(status, " 20") == NULL || teacher == sizeof teachers / sizeof teachers[0] ||
            teachers[teacher].key == NULL) {
            expect_nothing(target, body);
        } else {
            expect_objects(target, body, teachers[teacher].kind, teachers[teacher].key, tally);
        }
    }
    json_decref(exchange);
}

static void walk(const char *name)
{
    struct tally tally = {0};
    recordings_each(name, visit, &tally);
    cr_assert_eq(tally.exchanges, 108);
    cr_assert_geq(tally.taught, 18, "%u", tally.taught);
    cr_assert_geq(tally.kinds[OBJECT_CHANNEL], 5, "%u", tally.kinds[OBJECT_CHANNEL]);
    cr_assert_geq(tally.kinds[OBJECT_BRIDGE], 3, "%u", tally.kinds[OBJECT_BRIDGE]);
    cr_assert_geq(tally.kinds[OBJECT_PLAYBACK], 2, "%u", tally.kinds[OBJECT_PLAYBACK]);
    cr_assert_geq(tally.kinds[OBJECT_RECORDING], 8, "%u", tally.kinds[OBJECT_RECORDING]);
}

Test(learn, from_a_real_asterisk_22)
{
    walk("rest");
}

Test(learn, from_a_real_asterisk_16)
{
    walk("rest-16");
}

Test(learn, what_lives_and_what_is_stored)
{
    struct owners *owners = new_owners();
    struct owners_found found;
    cr_assert_eq(learn(owners, "{\"name\":\"live\",\"format\":\"wav\",\"state\":\"recording\","
                               "\"target_uri\":\"channel:a\"}"),
                 1);
    owners_find(owners, OBJECT_RECORDING, "live", 4, &found);
    cr_assert_eq(found.count, 1);
    cr_assert_not(found.has_ended);
    cr_assert_eq(learn(owners, "{\"name\":\"stored\",\"format\":\"wav\"}"), 1);
    owners_find(owners, OBJECT_RECORDING, "stored", 6, &found);
    cr_assert_eq(found.count, 1);
    cr_assert(found.has_ended);
    cr_assert_eq(owners_calls(owners, 1), 0);
    owners_destroy(&owners);
}

#define CHANNEL(id)                                                                                \
    "{\"name\":\"n\",\"state\":\"Up\",\"caller\":{},\"dialplan\":{\"id\":\"inner\"},\"id\":" id "}"

Test(learn, ids_are_decoded)
{
    struct owners *owners = new_owners();
    cr_assert_eq(learn(owners, CHANNEL("\"a\\\"\\u00e9\\/b\"")), 1);
    cr_assert(knows(owners, OBJECT_CHANNEL, "a\"\xC3\xA9/b"));
    cr_assert_eq(learn(owners, "[" CHANNEL("\"x\\u0041\"") "]"), 1);
    cr_assert(knows(owners, OBJECT_CHANNEL, "xA"));
    cr_assert_eq(learn(owners, CHANNEL("\"r\xC3\xA9z\"")), 1);
    cr_assert(knows(owners, OBJECT_CHANNEL, "r\xC3\xA9z"));
    cr_assert_not(knows(owners, OBJECT_CHANNEL, "inner"));
    cr_assert_eq(owners_count(owners), 3);
    owners_destroy(&owners);
}

Test(learn, white_space_and_pretty_print)
{
    struct owners *owners = new_owners();
    cr_assert_eq(learn(owners, " \r\n\t" CHANNEL("  \"a\" ") " \n"), 1);
    cr_assert_eq(learn(owners, "\n[\n" CHANNEL("\"b\"") ",\n" CHANNEL("\"c\"") "]"), 2);
    cr_assert(knows(owners, OBJECT_CHANNEL, "a"));
    cr_assert(knows(owners, OBJECT_CHANNEL, "c"));
    owners_destroy(&owners);
}

Test(learn, a_list_of_several_kinds)
{
    struct owners *owners = new_owners();
    cr_assert_eq(learn(owners, "[1,null,\"x\",[],{}," CHANNEL("\"a\"") "," CHANNEL("7") "]"), 1);
    cr_assert_eq(owners_count(owners), 1);
    owners_destroy(&owners);
}

Test(learn, what_is_no_object)
{
    static const char *const texts[] = {
        "",
        " ",
        "{",
        "[",
        "{}",
        "[]",
        "RIFF\x24",
        "<html>",
        "\"id\"",
        CHANNEL("7"),
        CHANNEL("null"),
        CHANNEL("{\"id\":\"a\"}"),
        CHANNEL("\"a\"") "x",
        CHANNEL("\"broken \\u12\""),
        "[" CHANNEL("\"a\""),
        "{\"id\":\"a\",\"name\":\"n\",\"state\":\"Up\"}",
        "{\"id\":\"a\",\"formats\":[{\"language\":\"en\",\"format\":\"gsm\"}]}",
        "{\"name\":\"100@x\",\"old_messages\":1,\"new_messages\":2}",
        "{\"name\":\"Stasis:a\",\"state\":\"BUSY\"}",
        "{\"technology\":\"PJSIP\",\"resource\":\"a\",\"state\":\"online\",\"channel_ids\":[]}",
        "{\"message\":\"Channel not found\"}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        expect_nothing("made up", texts[i]);
    }
}

Test(learn, a_channel_larger_than_the_local_buffer)
{
    struct owners *owners = new_owners();
    for (size_t size = 1900; size < 2300; size++) {
        char *text = malloc(size + 200);
        cr_assert_not_null(text);
        size_t begin = (size_t)sprintf(text, "{\"name\":\"");
        memset(text + begin, 'n', size);
        size_t length = begin + size;
        length += (size_t)sprintf(
            text + length, "\",\"state\":\"\",\"caller\":{},\"dialplan\":{},\"id\":\"%zu\"}", size);
        char *exact = malloc(length); /* not one byte behind it is readable */
        cr_assert_not_null(exact);
        memcpy(exact, text, length);
        cr_assert_eq(learn_from_reply(owners, 1, exact, length), 1);
        free(exact);
        free(text);
    }
    cr_assert_eq(owners_count(owners), 400);
    owners_destroy(&owners);
}
