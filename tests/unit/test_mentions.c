/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The objects that requests name: every operation of ARI, its parameters in the query, in a JSON
 * body and in a form; then what is to be decoded, guessed and left alone.
 */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ari_operations.h"
#include "arizmq/error.h"
#include "gateway/mentions.h"

/* KIND=ID, with + where it is chosen and ? where it is a guess, in order and with blanks between.
 */
static void print(const struct mentions *mentions, char *out, size_t size)
{
    out[0] = '\0';
    for (unsigned i = 0; i < mentions->count; i++) {
        const struct mention *item = &mentions->item[i];
        size_t used = strlen(out);
        snprintf(out + used, size - used, "%s%s%s%s=%.*s", i > 0 ? " " : "",
                 item->kind == MENTION_ANY_KIND ? "any" : object_kind_names[item->kind],
                 item->is_chosen ? "+" : "", item->is_guess ? "?" : "", (int)item->length,
                 item->id);
    }
}

/* Demands the mentions `wanted` and the application `app` of a request. */
static void expect(const struct request *request, const char *wanted, const char *app)
{
    struct mentions mentions;
    cr_assert_eq(mentions_read(request, &mentions), ARIZMQ_OK);
    char got[8192];
    print(&mentions, got, sizeof got);
    cr_expect_str_eq(got, wanted, "%s %s?%s %.*s\ngot:    %s\nwanted: %s", request->method,
                     request->uri, request->query, (int)request->body_length, request->body, got,
                     wanted);
    if (app == NULL) {
        cr_expect_null(mentions.app, "%s %s?%s: %s", request->method, request->uri, request->query,
                       mentions.app);
    } else {
        cr_expect_str_eq(mentions.app, app);
    }
    mentions_release(&mentions);
    cr_assert_null(mentions.texts);
}

static void expect_path(const char *method, const char *uri, const char *query, const char *wanted)
{
    struct request request = {.method = method, .uri = uri, .query = query};
    expect(&request, wanted, NULL);
}

static void expect_body(const char *method, const char *uri, const char *type, const char *body,
                        const char *wanted, const char *app)
{
    size_t length = strlen(body);
    char *exact = malloc(length + 1); /* not one byte behind it is readable */
    cr_assert_not_null(exact);
    memcpy(exact, body, length);
    exact = realloc(exact, length > 0 ? length : 1);
    struct request request = {.method = method,
                              .uri = uri,
                              .query = "",
                              .content_type = type,
                              .body = exact,
                              .body_length = length};
    expect(&request, wanted, app);
    free(exact);
}

static void expect_json(const char *uri, const char *body, const char *wanted)
{
    expect_body("POST", uri, "application/json", body, wanted, NULL);
}

/* --- Every operation */

/* The path with p-NAME for each {NAME}. */
static void fill_path(const char *template, char *out)
{
    for (; *template != '\0'; template ++) {
        if (*template == '{') {
            out += sprintf(out, "p-");
        } else if (*template != '}') {
            *out++ = *template;
        }
    }
    *out = '\0';
}

static const char *value_of(const char *parameter)
{
    static char value[128];
    if (strcmp(parameter, "eventSource") == 0 || strcmp(parameter, "source") == 0) {
        return "channel:s1,bridge:s2,endpoint:PJSIP/x,deviceState:d,channel:";
    }
    snprintf(value, sizeof value, "q-%s", parameter);
    return value;
}

static json_t *json_value_of(const char *parameter)
{
    json_t *list = json_array();
    char *copy = strdup(value_of(parameter));
    cr_assert_not_null(copy);
    char *rest = copy;
    char *item = NULL;
    while ((item = strsep(&rest, ",")) != NULL) {
        json_array_append_new(list, json_string(item));
    }
    free(copy);
    json_t *value =
        json_array_size(list) > 1 ? json_incref(list) : json_incref(json_array_get(list, 0));
    json_decref(list);
    return value;
}

static void check_operation(const struct ari_operation *operation)
{
    char uri[512];
    char query[2048] = "";
    const char *app = NULL;
    fill_path(operation->path, uri);
    if (strncmp(uri, "applications/", 13) == 0) {
        app = "p-applicationName";
    }
    json_t *json = json_pack("{s:{s:s,s:s}}", "variables", "channelId", "x", "channel", "y");
    char *parameters = strdup(operation->parameters);
    cr_assert_not_null(parameters);
    char *rest = parameters;
    char *name = NULL;
    while ((name = strsep(&rest, ",")) != NULL && *name != '\0') {
        size_t used = strlen(query);
        snprintf(query + used, sizeof query - used, "%s%s=%s", used > 0 ? "&" : "", name,
                 value_of(name));
        json_object_set_new(json, name, json_value_of(name));
        if (strcmp(name, "app") == 0 || strcmp(name, "application") == 0) {
            app = strcmp(name, "app") == 0 ? "q-app" : "q-application";
        }
    }
    free(parameters);
    struct request request = {.method = operation->method, .uri = uri, .query = query};
    expect(&request, operation->mentions, app);
    char *body = json_dumps(json, JSON_COMPACT);
    expect_body(operation->method, uri, "application/json", body, operation->mentions, app);
    expect_body(operation->method, uri, "application/x-www-form-urlencoded", query,
                operation->mentions, app);
    free(body);
    json_decref(json);
}

Test(mentions, every_operation)
{
    cr_assert_eq(ARI_OPERATIONS_COUNT, 109);
    for (unsigned i = 0; i < ARI_OPERATIONS_COUNT; i++) {
        check_operation(&ari_operations[i]);
    }
}

/* --- Decoding */

Test(mentions, path_segments_are_decoded)
{
    expect_path("GET", "channels/a%2Fb%20c", "", "channel=a/b c");
    expect_path("GET", "channels/a+b", "", "channel=a b");
    expect_path("GET", "channels/%c3%A9", "", "channel=\xC3\xA9");
    expect_path("GET", "recordings/stored/dir%2Fname/file", "", "recording=dir/name");
    expect_path("GET", "channels/100%", "", "channel=100%");
    expect_path("GET", "channels/a%2", "", "channel=a%2");
    expect_path("GET", "channels/a%zz", "", "channel=a%zz");
    expect_path("POST", "channels/cre%61te", "channelId=x", "channel+=x");
    expect_path("GET", "%63hannels/a", "", "channel=a");
}

Test(mentions, a_nul_byte_ends_nothing)
{
    struct request request = {.method = "GET", .uri = "channels/create%00x", .query = ""};
    struct mentions mentions;
    cr_assert_eq(mentions_read(&request, &mentions), ARIZMQ_OK);
    cr_assert_eq(mentions.count, 1);
    cr_assert_eq(mentions.item[0].length, 8);
    cr_assert_arr_eq(mentions.item[0].id, "create\0x", 8);
    mentions_release(&mentions);
    expect_path("GET", "channels%00channelschannelschannels/a", "", "any?=a");
}

Test(mentions, query_values_are_decoded)
{
    expect_path("POST", "bridges/b/addChannel", "channel=a%2Cb,c%26d",
                "bridge=b channel=a channel=b channel=c&d");
    expect_path("POST", "bridges/b/addChannel", "channel=a&role=x&channel=b",
                "bridge=b channel=a channel=b");
    expect_path("POST", "bridges/b/addChannel", "ch%61nnel=a+1", "bridge=b channel=a 1");
    expect_path("POST", "bridges/b/addChannel", "channel=,a,,b,", "bridge=b channel=a channel=b");
    expect_path("POST", "channels", "channelId=a=b", "channel+=a=b");
    expect_path("POST", "channels", "&&=&channelId&channelId=&x", "");
    expect_path("POST", "channels", "channelId=a,b", "channel+=a,b");
}

Test(mentions, sources)
{
    expect_path("POST", "events/user/x", "source=channel:a:b,bridge:,channels:c,bridge:d",
                "channel=a:b bridge=d");
    expect_path("POST", "events/user/x", "source=channel,:a", "");
    expect_path("POST", "events/user/p-channelId", "", "");
}

Test(mentions, json_bodies)
{
    expect_json("channels", "{\"channelId\":\"a\\u00e9\\/\"}", "channel+=a\xC3\xA9/");
    expect_json("channels", "{\"channel\\u0049d\":\"a\"}", "channel+=a");
    expect_json("channels", " { \"channelId\" : \"a\" } ", "channel+=a");
    expect_json("bridges/b/addChannel", "{\"channel\":[\"a\",\"b\\\"\",3,null,[\"x\"]]}",
                "bridge=b channel=a channel=b\"");
    expect_json("bridges/b/addChannel", "{\"channel\":\"a,b\"}", "bridge=b channel=a,b");
    expect_json("channels", "{\"channelId\":7,\"originator\":null,\"otherChannelId\":{\"a\":1}}",
                "");
    expect_json("channels", "{\"variables\":{\"channelId\":\"a\",\"app\":\"x\"}}", "");
    expect_json("channels", "{\"channelId\":\"\"}", "");
}

Test(mentions, bodies_that_are_none)
{
    static const char *const bodies[] = {
        "",  "{",     "[\"channelId\",\"a\"]", "{\"channelId\":\"a\"",    "{\"channelId\":\"a\"}x",
        "7", "\"a\"", "channelId=a",           "{\"channelId\":\"\\x\"}",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        expect_json("channels", bodies[i], "");
    }
    expect_body("POST", "channels", "text/plain", "{\"channelId\":\"a\"}", "", NULL);
    expect_body("POST", "channels", NULL, "{\"channelId\":\"a\"}", "", NULL);
    expect_body("POST", "channels", "Application/JSON; charset=utf-8", "{\"channelId\":\"a\"}",
                "channel+=a", NULL);
}

/* --- What is no id, and what may be one */

Test(mentions, free_text_is_left_alone)
{
    expect_path("POST", "channels/a/variable", "variable=channelId&value=channel:b", "channel=a");
    expect_path("GET", "asterisk/variable", "variable=channel", "");
    expect_path("POST", "channels/a/play", "media=recording:r", "channel=a");
    expect_path("POST", "bridges", "name=b", "");
    expect_path("POST", "channels", "endpoint=Local/a&callerId=b&appArgs=c&name=d", "");
    expect_path("GET", "endpoints/PJSIP/a", "", "");
    expect_path("GET", "endpoints/channels/a", "", "");
    expect_path("GET", "sounds/channels", "", "");
}

Test(mentions, methods_that_create_nothing)
{
    expect_path("GET", "channels", "channelId=a", "channel?=a");
    expect_path("PUT", "channels/a", "", "channel=a");
    expect_path("GET", "channels/a/play/b", "", "channel=a playback=b");
    expect_path("DELETE", "bridges/a", "bridgeId=b", "bridge=a bridge?=b");
}

Test(mentions, operations_to_come)
{
    expect_path("GET", "conferences/a/members/b", "", "any?=a any?=members any?=b");
    expect_path("GET", "conferences", "", "");
    expect_path("POST", "conferences/a", "channel=b,c&bridgeId=d&eventSource=bridge:e",
                "any?=a channel?=b channel?=c bridge?=d bridge?=e");
    expect_path("POST", "channels/a/join/b/c", "playbackId=d",
                "channel=a any?=b any?=c playback?=d");
    expect_path("GET", "recordings/deleted/a", "", "any?=deleted any?=a");
    expect_path("POST", "conferences/a", "recordingName=b&destinationRecordingName=c",
                "any?=a recording?=b recording?=c");
    expect_path("GET", "Channels/a", "", "any?=a");
}

Test(mentions, odd_paths)
{
    expect_path("GET", "", "", "");
    expect_path("GET", "/", "", "");
    expect_path("GET", "channels/", "", "");
    expect_path("GET", "channels//a", "", "");
    expect_path("GET", "recordings", "", "");
    expect_path("GET", "recordings/", "", "");
    expect_path("GET", "recordings/live", "", "");
    expect_path("GET", "recordings/live/", "", "");
    expect_path("GET", "channel", "", "");
    expect_path("GET", "channelsx/a", "", "any?=a");
}

Test(mentions, the_application)
{
    struct request request = {.method = "POST", .uri = "applications/a/subscription", .query = ""};
    expect(&request, "", "a");
    request.query = "app=b%2B";
    expect(&request, "", "b+");
    request.app = "c";
    expect(&request, "", "c");
    expect_body("POST", "channels", "application/json", "{\"app\":\"a\\u0062\"}", "", "ab");
    expect_body("POST", "channels", "application/json", "{\"app\":7}", "", NULL);
    expect_path("POST", "channels", "application=a", "");
}

Test(mentions, no_more_than_there_is_room_for)
{
    char query[1024] = "channel=";
    for (unsigned i = 0; i < 100; i++) {
        snprintf(query + strlen(query), sizeof query - strlen(query), "c%u,", i);
    }
    struct request request = {.method = "POST", .uri = "bridges/b/addChannel", .query = query};
    struct mentions mentions;
    cr_assert_eq(mentions_read(&request, &mentions), ARIZMQ_OK);
    cr_assert_eq(mentions.count, MENTIONS_MAX);
    cr_assert_eq(mentions.dropped, 101 - MENTIONS_MAX);
    mentions_release(&mentions);
}

/* Texts that fill their buffer to the last byte, for the address sanitizer to see. */
Test(mentions, random_requests)
{
    static const char *const pieces[] = {
        "channels", "bridges",    "play", "/",       "%2F", "%",
        "+",        "&",          "=",    ",",       "app", "source",
        "channel",  "recordings", "live", "a",       "\"",  "{\"channel\":",
        "[",        "]",          "}",    "\\u00e9", ":",   "applications",
        "events",   "user",       "",
    };
    srand(1);
    for (unsigned round = 0; round < 200000; round++) {
        char text[3][128] = {"", "", ""};
        for (unsigned i = 0; i < 3; i++) {
            for (int left = rand() % 8; left > 0; left--) {
                strcat(text[i], pieces[(size_t)rand() % (sizeof pieces / sizeof pieces[0])]);
            }
        }
        struct request request = {
            .method = round % 2 == 0 ? "POST" : "GET",
            .uri = text[0],
            .query = text[1],
            .body = text[2],
            .body_length = strlen(text[2]),
            .content_type =
                round % 3 == 0 ? "application/json" : "application/x-www-form-urlencoded",
        };
        struct mentions mentions;
        cr_assert_eq(mentions_read(&request, &mentions), ARIZMQ_OK);
        for (unsigned i = 0; i < mentions.count; i++) {
            cr_assert_gt(mentions.item[i].length, 0);
            cr_assert_leq(mentions.item[i].kind, MENTION_ANY_KIND);
        }
        mentions_release(&mentions);
    }
}
