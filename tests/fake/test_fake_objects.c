/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Commands of fake_asterisk that have effects: channels, bridges and playbacks, their events, and
 * the answers of real ones to the same.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "test_support.h"

TestSuite(fake_objects, .timeout = 120);

struct scene {
    struct fake *fake;
    struct client *http;
    struct client *events; /* of application ivr */
};

static void scene_create(struct scene *scene, const char *target)
{
    scene->fake = test_start(NULL);
    scene->http = client_connect(scene->fake->port);
    scene->events = client_open(scene->fake->port, target);
}

static void scene_destroy(struct scene *scene)
{
    client_destroy(&scene->http);
    client_destroy(&scene->events);
    test_stop(&scene->fake);
}

/* Sends a command; the parsed body, NULL where there is none. */
static json_t *run(struct scene *scene, const char *method, const char *uri, const char *body,
                   int expected_status)
{
    char request[1024];
    struct client_response response;
    snprintf(request, sizeof request,
             "%s /ari/%s HTTP/1.1\r\nHost: x\r\nAuthorization: Basic bGFiOnNlY3JldA==\r\n"
             "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
             method, uri, strlen(body), body);
    client_request(scene->http, request, &response);
    int status = (int)strtol(response.status_line + strlen("HTTP/1.1 "), NULL, 10);
    cr_assert_eq(status, expected_status, "%s %s: %s", method, uri, response.status_line);
    json_t *json = json_loads(response.body, 0, NULL);
    client_response_free(&response);
    return json;
}

static void expect_status(struct scene *scene, const char *method, const char *uri, int status)
{
    json_decref(run(scene, method, uri, "", status));
}

static void expect_body(struct scene *scene, const char *method, const char *uri, int status,
                        const char *expected)
{
    json_t *body = run(scene, method, uri, "", status);
    char *text = json_dumps(body, JSON_COMPACT);
    cr_assert_not_null(text, "%s %s", method, uri);
    test_normalise_times(text);
    cr_assert_str_eq(text, expected);
    free(text);
    json_decref(body);
}

/* The next event is of `type`, of the object `id` under `kind`, and to application ivr. */
static void expect_event(struct scene *scene, const char *type, const char *kind, const char *id)
{
    char *text = client_read_text(scene->events);
    json_t *event = json_loads(text, 0, NULL);
    cr_assert_not_null(event, "%s", text);
    cr_assert_str_eq(json_string_value(json_object_get(event, "type")), type, "%s", text);
    cr_assert_str_eq(json_string_value(json_object_get(json_object_get(event, kind), "id")), id,
                     "%s", text);
    cr_assert_str_eq(json_string_value(json_object_get(event, "application")), "ivr");
    json_decref(event);
    free(text);
}

Test(fake_objects, a_call_from_originate_to_hangup)
{
    struct scene scene;
    scene_create(&scene, TARGET);
    expect_status(&scene, "POST", "channels?endpoint=Local/a@b&app=ivr&channelId=c1", 200);
    expect_event(&scene, "ChannelCreated", "channel", "c1");
    expect_event(&scene, "StasisStart", "channel", "c1");
    expect_body(
        &scene, "GET", "channels/c1", 200,
        "{\"id\":\"c1\",\"name\":\"Local/a@b-00000001\",\"state\":\"Up\",\"protocol_id\":\"\","
        "\"caller\":{\"name\":\"\",\"number\":\"\"},\"connected\":{\"name\":\"\",\"number\":\"\"},"
        "\"accountcode\":\"\",\"dialplan\":{\"context\":\"default\",\"exten\":\"s\",\"priority\":1,"
        "\"app_name\":\"Stasis\",\"app_data\":\"ivr\"},\"creationtime\":\"T\","
        "\"language\":\"en\"}");
    expect_status(&scene, "POST", "channels/c1/answer", 204);
    expect_body(&scene, "POST", "channels/c1/play?media=sound:hello-world&playbackId=p1", 201,
                "{\"id\":\"p1\",\"media_uri\":\"sound:hello-world\",\"target_uri\":\"channel:c1\","
                "\"language\":\"en\",\"state\":\"playing\"}");
    expect_event(&scene, "PlaybackStarted", "playback", "p1");
    expect_status(&scene, "GET", "playbacks/p1", 200);
    expect_status(&scene, "DELETE", "playbacks/p1", 204);
    expect_event(&scene, "PlaybackFinished", "playback", "p1");
    expect_body(&scene, "GET", "playbacks/p1", 404, "{\"message\":\"Playback not found\"}");
    expect_status(&scene, "POST", "channels/c1/play?media=sound:x&playbackId=p2", 201);
    expect_event(&scene, "PlaybackStarted", "playback", "p2");
    expect_status(&scene, "DELETE", "channels/c1", 204);
    expect_event(&scene, "StasisEnd", "channel", "c1");
    expect_event(&scene, "ChannelDestroyed", "channel", "c1");
    expect_status(&scene, "GET", "playbacks/p2", 404);
    expect_body(&scene, "DELETE", "channels/c1", 404, "{\"message\":\"Channel not found\"}");
    expect_body(&scene, "GET", "channels", 200, "[]");
    scene_destroy(&scene);
}

Test(fake_objects, refuses_what_asterisk_refuses)
{
    static const struct {
        const char *method;
        const char *uri;
        int status;
        const char *body;
    } cases[] = {
        {"GET", "channels/none", 404, "{\"message\":\"Channel not found\"}"},
        {"POST", "channels/none/answer", 404, "{\"message\":\"Channel not found\"}"},
        {"POST", "channels/none/play?media=sound:x", 404, "{\"message\":\"Channel not found\"}"},
        {"POST", "channels?app=ivr", 400, "{\"message\":\"Endpoint must be specified\"}"},
        {"POST", "channels?endpoint=no&app=ivr", 400,
         "{\"message\":\"Invalid endpoint specified\"}"},
        {"POST", "channels?endpoint=Local/a", 400,
         "{\"message\":\"Application or extension must be specified\"}"},
        {"POST", "channels/c1?endpoint=Local/a&app=ivr", 409,
         "{\"message\":\"Channel with given unique ID already exists\"}"},
        {"GET", "channels/c1/variable?variable=V", 404,
         "{\"message\":\"Provided variable was not found\"}"},
        {"GET", "channels/c1/variable", 400, "{\"message\":\"Variable name is required\"}"},
        {"GET", "bridges/none", 404, "{\"message\":\"Bridge not found\"}"},
        {"DELETE", "bridges/none", 404, "{\"message\":\"Bridge not found\"}"},
        {"POST", "bridges/b1", 409, "{\"message\":\"Bridge with id 'b1' already exists\"}"},
        {"POST", "bridges/b1/addChannel?channel=none", 400, "{\"message\":\"Channel not found\"}"},
        {"POST", "bridges/b1/removeChannel?channel=c1", 422,
         "{\"message\":\"Channel not in this bridge\"}"},
        {"PUT", "bridges", 405, "{\"message\":\"Invalid method\"}"},
    };
    struct scene scene;
    scene_create(&scene, TARGET);
    expect_status(&scene, "POST", "channels/c1?endpoint=Local/a&app=ivr", 200);
    expect_status(&scene, "POST", "bridges?bridgeId=b1", 200);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        expect_body(&scene, cases[i].method, cases[i].uri, cases[i].status, cases[i].body);
    }
    scene_destroy(&scene);
}

/* To an application that is subscribed to everything, too. */
Test(fake_objects, bridges)
{
    struct scene scene;
    scene_create(&scene, TARGET_ALL);
    expect_status(&scene, "POST", "channels?endpoint=Local/a&app=ivr&channelId=c1", 200);
    expect_event(&scene, "ChannelCreated", "channel", "c1");
    expect_event(&scene, "StasisStart", "channel", "c1");
    expect_body(
        &scene, "POST", "bridges/b1?type=mixing&name=one", 200,
        "{\"id\":\"b1\",\"technology\":\"simple_bridge\",\"bridge_type\":\"mixing\","
        "\"bridge_class\":\"stasis\",\"creator\":\"Stasis\",\"name\":\"one\",\"channels\":[],"
        "\"creationtime\":\"T\",\"video_mode\":\"talker\"}");
    expect_event(&scene, "BridgeCreated", "bridge", "b1");
    expect_status(&scene, "POST", "bridges/b1/addChannel?channel=c1", 204);
    json_t *bridge = run(&scene, "GET", "bridges/b1", "", 200);
    cr_assert_eq(json_array_size(json_object_get(bridge, "channels")), 1);
    json_decref(bridge);
    expect_status(&scene, "DELETE", "channels/c1", 204);
    expect_event(&scene, "StasisEnd", "channel", "c1");
    expect_event(&scene, "ChannelDestroyed", "channel", "c1");
    bridge = run(&scene, "GET", "bridges/b1", "", 200);
    cr_assert_eq(json_array_size(json_object_get(bridge, "channels")), 0);
    json_decref(bridge);
    expect_status(&scene, "DELETE", "bridges/b1", 204);
    expect_event(&scene, "BridgeDestroyed", "bridge", "b1");
    expect_body(&scene, "GET", "bridges", 200, "[]");
    scene_destroy(&scene);
}

Test(fake_objects, parameters_in_the_body_and_ids_of_its_own)
{
    struct scene scene;
    scene_create(&scene, TARGET);
    json_t *channel =
        run(&scene, "POST", "channels", "{\"endpoint\":\"Local/a\",\"app\":\"ivr\"}", 200);
    char id[64];
    char uri[128];
    snprintf(id, sizeof id, "%s", json_string_value(json_object_get(channel, "id")));
    json_decref(channel);
    cr_assert_not_null(strchr(id, '.'), "%s", id);
    expect_event(&scene, "ChannelCreated", "channel", id);
    expect_event(&scene, "StasisStart", "channel", id);
    snprintf(uri, sizeof uri, "channels/%s/variable", id);
    json_decref(run(&scene, "POST", uri, "{\"variable\":\"V\",\"value\":\"1\"}", 204));
    snprintf(uri, sizeof uri, "channels/%s/variable?variable=V", id);
    expect_body(&scene, "GET", uri, 200, "{\"value\":\"1\"}");
    json_t *bridges[2];
    for (int i = 0; i < 2; i++) {
        bridges[i] = run(&scene, "POST", "bridges", "", 200);
    }
    cr_assert(!json_equal(json_object_get(bridges[0], "id"), json_object_get(bridges[1], "id")));
    json_decref(bridges[0]);
    json_decref(bridges[1]);
    scene_destroy(&scene);
}

/* A call to an application without a connection is hung up, as in Asterisk. */
Test(fake_objects, nobody_there)
{
    struct scene scene;
    scene_create(&scene, TARGET);
    expect_status(&scene, "POST", "channels/c1?endpoint=Local/a&app=other", 200);
    expect_status(&scene, "GET", "channels/c1", 404);
    cr_assert(client_is_silent(scene.events, 50));
    scene_destroy(&scene);
}
