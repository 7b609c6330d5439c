/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Channels, bridges and playbacks, as far as commands change them: bodies, statuses and events are
 * those of the recordings. Called by rest.c. There is no media and no time in it: a call is up at
 * once, a playback plays until it is stopped or its channel is gone. Events are written before the
 * answer, which is the order that is hardest on a client.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fake.h"

enum { ID_SIZE = 64 };

void objects_create(struct fake *fake)
{
    fake->channels = json_object();
    fake->bridges = json_object();
    fake->playbacks = json_object();
    fake->variables = json_object();
}

void objects_destroy(struct fake *fake)
{
    json_decref(fake->channels);
    json_decref(fake->bridges);
    json_decref(fake->playbacks);
    json_decref(fake->variables);
}

/* --- What all have in common */

static const char *parameter(const struct rest_request *request, const char *name)
{
    return json_string_value(json_object_get(request->query, name));
}

static const char *text_of(const json_t *object, const char *member)
{
    return json_string_value(json_object_get(object, member));
}

static void respond_empty(struct rest_response *response)
{
    *response = (struct rest_response){.status = 204, .reason = rest_reason(204)};
}

/* `add` adds what stands in no table. */
static void respond_list(struct rest_response *response, const struct fake *fake, json_t *objects,
                         void (*add)(const struct fake *fake, json_t *out))
{
    json_t *list = json_array();
    const char *id;
    json_t *object;
    json_object_foreach(objects, id, object)
    {
        json_array_append(list, object);
    }
    add(fake, list);
    rest_response_set_json(response, 200, list);
}

/* The object of that id; NULL after a 404 that begins with `kind`. */
static json_t *find_or_respond(json_t *objects, const char *kind, const char *id,
                               struct rest_response *response)
{
    json_t *object = json_object_get(objects, id);
    if (!object) {
        char message[64];
        snprintf(message, sizeof message, "%s not found", kind);
        rest_response_set_message(response, 404, NULL, message);
    }
    return object;
}

/* As a bridge or playback gets one where the client chose none. */
static void make_uuid(struct fake *fake, char out[ID_SIZE])
{
    snprintf(out, ID_SIZE, "%08x-0000-4000-8000-%012x", (unsigned)fake->port,
             ++fake->next_object_id);
}

/* --- Events */

static void send_to(struct fake *fake, const struct application *application, const char *type,
                    const char *kind, json_t *object)
{
    struct session *owner = application->owner;
    if (!owner || owner->state != SESSION_OPEN) {
        return; /* Asterisk keeps nothing for an application without a connection */
    }
    char time[32];
    fake_write_time(time);
    json_t *event = json_pack("{s:s, s:s}", "type", type, "timestamp", time);
    if (strcmp(type, "StasisStart") == 0) {
        json_object_set_new(event, "args", json_array());
    }
    if (strcmp(type, "ChannelDestroyed") == 0) {
        json_object_set_new(event, "cause", json_integer(16));
        json_object_set_new(event, "cause_txt", json_string("Normal Clearing"));
    }
    json_object_set(event, kind, object);
    json_object_set_new(event, "asterisk_id", json_string(fake->version->entity_id));
    json_object_set_new(event, "application", json_string(application->name));
    char *text = json_dumps(event, JSON_COMPACT);
    session_send_text(owner, text, strlen(text));
    lws_callback_on_writable(owner->io);
    free(text);
    json_decref(event);
}

/* To the application of that name and to those that hear everything. NULL: only to these. */
static void publish(struct fake *fake, const char *app, const char *type, const char *kind,
                    json_t *object)
{
    for (struct application *each = fake->applications; each; each = each->hh.next) {
        if (each->is_subscribe_all || (app && strcmp(each->name, app) == 0)) {
            send_to(fake, each, type, kind, object);
        }
    }
}

static const char *app_of(const json_t *channel)
{
    return text_of(json_object_get(channel, "dialplan"), "app_data");
}

/* Stasis events go to the application alone. */
static void publish_stasis(struct fake *fake, const char *type, json_t *channel)
{
    const struct application *application = application_find(fake, app_of(channel));
    if (application) {
        send_to(fake, application, type, "channel", channel);
    }
}

/* --- Channels */

static json_t *build_channel(struct fake *fake, const char *id, const char *endpoint,
                             const char *app)
{
    char name[256];
    char time[32];
    fake_write_time(time);
    snprintf(name, sizeof name, "%.200s-%08x", endpoint, ++fake->next_object_id);
    return json_pack("{s:s, s:s, s:s, s:s, s:{s:s, s:s}, s:{s:s, s:s}, s:s, s:{s:s, s:s, s:i, s:s, "
                     "s:s}, s:s, s:s}",
                     "id", id, "name", name, "state", "Up", "protocol_id", "", "caller", "name", "",
                     "number", "", "connected", "name", "", "number", "", "accountcode", "",
                     "dialplan", "context", "default", "exten", "s", "priority", 1, "app_name",
                     "Stasis", "app_data", app, "creationtime", time, "language", "en");
}

/* What is wrong with the parameters of an originate, or NULL. */
static const char *check_originate(const struct rest_request *request)
{
    const char *endpoint = parameter(request, "endpoint");
    if (!endpoint) {
        return "Endpoint must be specified";
    }
    if (!strchr(endpoint, '/')) {
        return "Invalid endpoint specified";
    }
    return parameter(request, "app") ? NULL : "Application or extension must be specified";
}

static void end_playbacks(struct fake *fake, const char *channel_id)
{
    const char *id;
    json_t *playback;
    void *next;
    json_object_foreach_safe(fake->playbacks, next, id, playback)
    {
        if (strcmp(text_of(playback, "target_uri") + strlen("channel:"), channel_id) == 0) {
            json_object_del(fake->playbacks, id);
        }
    }
}

static void take_from_bridges(struct fake *fake, const char *channel_id)
{
    const char *id;
    json_t *bridge;
    json_object_foreach(fake->bridges, id, bridge)
    {
        json_t *channels = json_object_get(bridge, "channels");
        for (size_t i = json_array_size(channels); i > 0; i--) {
            if (strcmp(json_string_value(json_array_get(channels, i - 1)), channel_id) == 0) {
                json_array_remove(channels, i - 1);
            }
        }
    }
}

static void end_channel(struct fake *fake, json_t *channel)
{
    json_incref(channel);
    const char *id = text_of(channel, "id");
    end_playbacks(fake, id);
    take_from_bridges(fake, id);
    json_object_del(fake->channels, id);
    publish_stasis(fake, "StasisEnd", channel);
    publish(fake, app_of(channel), "ChannelDestroyed", "channel", channel);
    json_decref(channel);
}

/* `name` is the id of POST channels/{id}, or "". */
static void handle_originate(struct fake *fake, const struct rest_request *request,
                             const char *name, struct rest_response *response)
{
    char made[ID_SIZE];
    const char *wrong = check_originate(request);
    if (wrong) {
        rest_response_set_message(response, 400, NULL, wrong);
        return;
    }
    const char *id = *name ? name : parameter(request, "channelId");
    if (!id) {
        snprintf(made, sizeof made, "%lld.%u", (long long)time(NULL), ++fake->next_object_id);
        id = made;
    }
    if (json_object_get(fake->channels, id)) {
        rest_response_set_message(response, 409, NULL,
                                  "Channel with given unique ID already exists");
        return;
    }
    const char *app = parameter(request, "app");
    json_t *channel = build_channel(fake, id, parameter(request, "endpoint"), app);
    json_object_set(fake->channels, id, channel);
    publish(fake, app, "ChannelCreated", "channel", channel);
    rest_response_set_json(response, 200, json_incref(channel));
    const struct application *application = application_find(fake, app);
    if (application && application->owner) {
        publish_stasis(fake, "StasisStart", channel);
    } else {
        end_channel(fake, channel); /* nobody is there: it is hung up */
    }
    json_decref(channel);
}

static void handle_channels(struct fake *fake, const struct rest_request *request, const char *name,
                            struct rest_response *response)
{
    (void)request;
    (void)name;
    respond_list(response, fake, fake->channels, flood_list_channels);
}

static void handle_channel(struct fake *fake, const struct rest_request *request, const char *name,
                           struct rest_response *response)
{
    (void)request;
    json_t *channel = find_or_respond(fake->channels, "Channel", name, response);
    if (channel) {
        rest_response_set_json(response, 200, json_incref(channel));
    }
}

static void handle_hangup(struct fake *fake, const struct rest_request *request, const char *name,
                          struct rest_response *response)
{
    (void)request;
    json_t *channel = find_or_respond(fake->channels, "Channel", name, response);
    if (channel) {
        end_channel(fake, channel);
        respond_empty(response);
    }
}

/* Operations on a channel that only have to succeed. */
static void handle_channel_action(struct fake *fake, const struct rest_request *request,
                                  const char *name, struct rest_response *response)
{
    (void)request;
    if (find_or_respond(fake->channels, "Channel", name, response)) {
        respond_empty(response);
    }
}

static void handle_play(struct fake *fake, const struct rest_request *request, const char *name,
                        struct rest_response *response)
{
    const json_t *channel = find_or_respond(fake->channels, "Channel", name, response);
    const char *media = parameter(request, "media");
    char made[ID_SIZE];
    char target[ID_SIZE + 256];
    if (!channel) {
        return;
    }
    if (!media) {
        rest_response_set_message(response, 400, NULL, "Media URI is required");
        return;
    }
    const char *id = parameter(request, "playbackId");
    if (!id) {
        make_uuid(fake, made);
        id = made;
    }
    snprintf(target, sizeof target, "channel:%s", name);
    json_t *playback = json_pack("{s:s, s:s, s:s, s:s, s:s}", "id", id, "media_uri", media,
                                 "target_uri", target, "language", "en", "state", "playing");
    json_object_set(fake->playbacks, id, playback);
    publish(fake, app_of(channel), "PlaybackStarted", "playback", playback);
    rest_response_set_json(response, 201, playback);
    if (asprintf(&response->location, "/ari/playbacks/%s", id) < 0) {
        abort();
    }
}

static void handle_set_variable(struct fake *fake, const struct rest_request *request,
                                const char *name, struct rest_response *response)
{
    const char *variable = parameter(request, "variable");
    const char *value = parameter(request, "value");
    char key[512];
    if (!find_or_respond(fake->channels, "Channel", name, response)) {
        return;
    }
    if (!variable) {
        rest_response_set_message(response, 400, NULL, "Variable name is required");
        return;
    }
    snprintf(key, sizeof key, "%s/%s", name, variable);
    json_object_set_new(fake->variables, key, json_string(value ? value : ""));
    respond_empty(response);
}

static void handle_get_variable(struct fake *fake, const struct rest_request *request,
                                const char *name, struct rest_response *response)
{
    const char *variable = parameter(request, "variable");
    char key[512];
    if (!find_or_respond(fake->channels, "Channel", name, response)) {
        return;
    }
    if (!variable) {
        rest_response_set_message(response, 400, NULL, "Variable name is required");
        return;
    }
    snprintf(key, sizeof key, "%s/%s", name, variable);
    json_t *value = json_object_get(fake->variables, key);
    if (value) {
        rest_response_set_json(response, 200, json_pack("{s:O}", "value", value));
    } else {
        rest_response_set_message(response, 404, "Variable Not Found",
                                  "Provided variable was not found");
    }
}

/* --- Playbacks */

static void handle_playback(struct fake *fake, const struct rest_request *request, const char *name,
                            struct rest_response *response)
{
    (void)request;
    json_t *playback = find_or_respond(fake->playbacks, "Playback", name, response);
    if (playback) {
        rest_response_set_json(response, 200, json_incref(playback));
    }
}

static void handle_stop_playback(struct fake *fake, const struct rest_request *request,
                                 const char *name, struct rest_response *response)
{
    (void)request;
    json_t *playback = find_or_respond(fake->playbacks, "Playback", name, response);
    if (!playback) {
        return;
    }
    const char *channel_id = text_of(playback, "target_uri") + strlen("channel:");
    const json_t *channel = json_object_get(fake->channels, channel_id);
    json_object_set_new(playback, "state", json_string("done"));
    publish(fake, channel ? app_of(channel) : NULL, "PlaybackFinished", "playback", playback);
    json_object_del(fake->playbacks, name);
    respond_empty(response);
}

/* --- Bridges */

static void respond_bridge_exists(const struct fake *fake, const char *id,
                                  struct rest_response *response)
{
    char message[320];
    if (fake->version->number == 16) {
        rest_response_set_message(response, 500, "Internal Error",
                                  "Supplying a bridge type when updating a bridge is not allowed.");
        return;
    }
    snprintf(message, sizeof message, "Bridge with id '%.250s' already exists", id);
    rest_response_set_message(response, 409, NULL, message);
}

/* `name` is the id of POST bridges/{id}, or "". */
static void handle_create_bridge(struct fake *fake, const struct rest_request *request,
                                 const char *name, struct rest_response *response)
{
    char made[ID_SIZE];
    char time[32];
    const char *id = *name ? name : parameter(request, "bridgeId");
    const char *own_name = parameter(request, "name");
    if (!id) {
        make_uuid(fake, made);
        id = made;
    }
    if (json_object_get(fake->bridges, id)) {
        respond_bridge_exists(fake, id, response);
        return;
    }
    fake_write_time(time);
    json_t *bridge = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:[], s:s, s:s}", "id", id, "technology", "simple_bridge",
        "bridge_type", "mixing", "bridge_class", "stasis", "creator", "Stasis", "name",
        own_name ? own_name : "", "channels", "creationtime", time, "video_mode", "talker");
    json_object_set(fake->bridges, id, bridge);
    publish(fake, NULL, "BridgeCreated", "bridge", bridge);
    rest_response_set_json(response, 200, bridge);
}

static void handle_bridges(struct fake *fake, const struct rest_request *request, const char *name,
                           struct rest_response *response)
{
    (void)request;
    (void)name;
    respond_list(response, fake, fake->bridges, flood_list_bridges);
}

static void handle_bridge(struct fake *fake, const struct rest_request *request, const char *name,
                          struct rest_response *response)
{
    (void)request;
    json_t *bridge = find_or_respond(fake->bridges, "Bridge", name, response);
    if (bridge) {
        rest_response_set_json(response, 200, json_incref(bridge));
    }
}

static void handle_destroy_bridge(struct fake *fake, const struct rest_request *request,
                                  const char *name, struct rest_response *response)
{
    (void)request;
    json_t *bridge = find_or_respond(fake->bridges, "Bridge", name, response);
    if (bridge) {
        json_incref(bridge);
        json_object_del(fake->bridges, name);
        publish(fake, NULL, "BridgeDestroyed", "bridge", bridge);
        json_decref(bridge);
        respond_empty(response);
    }
}

/* addChannel and removeChannel, of one channel. */
static void handle_bridge_channel(struct fake *fake, const struct rest_request *request,
                                  const char *name, struct rest_response *response)
{
    json_t *bridge = find_or_respond(fake->bridges, "Bridge", name, response);
    const char *id = parameter(request, "channel");
    if (!bridge) {
        return;
    }
    if (!id || !json_object_get(fake->channels, id)) {
        rest_response_set_message(response, 400, NULL, "Channel not found");
        return;
    }
    bool is_added = strstr(request->uri, "/addChannel") != NULL;
    json_t *channels = json_object_get(bridge, "channels");
    size_t before = json_array_size(channels);
    take_from_bridges(fake, id);
    if (is_added) {
        json_array_append_new(channels, json_string(id));
    } else if (json_array_size(channels) == before) {
        rest_response_set_message(response, 422, NULL, "Channel not in this bridge");
        return;
    }
    respond_empty(response);
}

const struct rest_resource objects_resources[] = {
    {"channels", "OPTIONS,GET,POST", "GET", handle_channels},
    {"channels", "OPTIONS,GET,POST", "POST", handle_originate},
    {"channels/*", "OPTIONS,GET,POST,DELETE", "GET", handle_channel},
    {"channels/*", "OPTIONS,GET,POST,DELETE", "POST", handle_originate},
    {"channels/*", "OPTIONS,GET,POST,DELETE", "DELETE", handle_hangup},
    {"channels/*/answer", "OPTIONS,POST", "POST", handle_channel_action},
    {"channels/*/ring", "OPTIONS,POST,DELETE", "POST", handle_channel_action},
    {"channels/*/hold", "OPTIONS,POST,DELETE", "POST", handle_channel_action},
    {"channels/*/mute", "OPTIONS,POST,DELETE", "POST", handle_channel_action},
    {"channels/*/play", "OPTIONS,POST", "POST", handle_play},
    {"channels/*/variable", "OPTIONS,GET,POST", "GET", handle_get_variable},
    {"channels/*/variable", "OPTIONS,GET,POST", "POST", handle_set_variable},
    {"playbacks/*", "OPTIONS,GET,DELETE", "GET", handle_playback},
    {"playbacks/*", "OPTIONS,GET,DELETE", "DELETE", handle_stop_playback},
    {"bridges", "OPTIONS,GET,POST", "GET", handle_bridges},
    {"bridges", "OPTIONS,GET,POST", "POST", handle_create_bridge},
    {"bridges/*", "OPTIONS,GET,POST,DELETE", "GET", handle_bridge},
    {"bridges/*", "OPTIONS,GET,POST,DELETE", "POST", handle_create_bridge},
    {"bridges/*", "OPTIONS,GET,POST,DELETE", "DELETE", handle_destroy_bridge},
    {"bridges/*/addChannel", "OPTIONS,POST", "POST", handle_bridge_channel},
    {"bridges/*/removeChannel", "OPTIONS,POST", "POST", handle_bridge_channel},
    {0},
};
