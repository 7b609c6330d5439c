/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Stasis applications: who is connected to each, what it is subscribed to, and when it ceases to
 * exist. Called by session.c as WebSockets come and go, by rest.c for applications/…, and by the
 * console. It never filters events: what a script plays is sent whatever the subscriptions say.
 */
#include <stdlib.h>
#include <string.h>

#include "fake.h"

static const struct {
    const char *scheme;
    const char *member;
    const char *all;
} topics[APPLICATION_TOPICS] = {
    [APPLICATION_CHANNELS] = {"channel:", "channel_ids", "__AST_CHANNEL_ALL_TOPIC"},
    [APPLICATION_BRIDGES] = {"bridge:", "bridge_ids", "__AST_BRIDGE_ALL_TOPIC"},
    [APPLICATION_ENDPOINTS] = {"endpoint:", "endpoint_ids", "__AST_ENDPOINT_ALL_TOPIC"},
    [APPLICATION_DEVICES] = {"deviceState:", "device_names", "__AST_DEVICE_STATE_ALL_TOPIC"},
};

struct application *application_find(struct fake *fake, const char *name)
{
    struct application *found = NULL;
    HASH_FIND_STR(fake->applications, name, found);
    return found;
}

struct application *application_create(struct fake *fake, const char *name)
{
    struct application *application = calloc(1, sizeof *application);
    if (!application) {
        abort();
    }
    application->name = strdup(name);
    for (int i = 0; i < APPLICATION_TOPICS; i++) {
        application->sources[i] = json_array();
    }
    HASH_ADD_KEYPTR(hh, fake->applications, application->name, strlen(application->name),
                    application);
    return application;
}

void application_destroy(struct fake *fake, struct application *application)
{
    HASH_DEL(fake->applications, application);
    for (int i = 0; i < APPLICATION_TOPICS; i++) {
        json_decref(application->sources[i]);
    }
    free(application->name);
    free(application);
}

void application_replace(struct fake *fake, struct application *application)
{
    struct session *old = application->owner;
    application->owner = NULL;
    if (!old) {
        return;
    }
    char time[32];
    fake_write_time(time);
    json_t *event =
        json_pack("{s:s, s:s, s:s, s:s}", "type", "ApplicationReplaced", "timestamp", time,
                  "application", application->name, "asterisk_id", fake->version->entity_id);
    char *text = json_dumps(event, JSON_COMPACT);
    console_event("replaced id=%u app=%s", old->id, application->name);
    /* A thread that is stuck takes nothing any more; the application leaves it all the same. */
    if (old->state == SESSION_OPEN && !fake->hides_replaced) {
        session_send_text(old, text, strlen(text));
        session_flush(old);
    }
    free(text);
    json_decref(event);
}

void application_register(struct fake *fake, const char *name, struct session *session,
                          bool subscribe_all)
{
    struct application *application = application_find(fake, name);
    if (application) {
        application_replace(fake, application);
    } else {
        application = application_create(fake, name);
        application->is_subscribe_all = subscribe_all;
        for (int i = 0; subscribe_all && i < APPLICATION_TOPICS; i++) {
            json_array_append_new(application->sources[i], json_string(topics[i].all));
        }
    }
    application->owner = session;
}

static bool application_has_sources(const struct application *application)
{
    for (int i = 0; i < APPLICATION_TOPICS; i++) {
        if (json_array_size(application->sources[i]) > 0) {
            return true;
        }
    }
    return false;
}

void application_leave(struct fake *fake, struct session *session)
{
    struct application *application;
    struct application *next;
    HASH_ITER(hh, fake->applications, application, next)
    {
        if (application->owner != session) {
            continue;
        }
        application->owner = NULL;
        if (session->state == SESSION_STUCK) {
            application->is_held = true;
        }
        bool lives_on = application->is_held || application_has_sources(application);
        if (application->is_subscribe_all && !application->is_held &&
            fake->version->destroys_subscribe_all_at_close) {
            lives_on = false;
        }
        if (!lives_on) {
            application_destroy(fake, application);
        }
    }
}

json_t *application_to_json(const struct application *application)
{
    json_t *json = json_pack("{s:s}", "name", application->name);
    for (int i = 0; i < APPLICATION_TOPICS; i++) {
        json_object_set(json, topics[i].member, application->sources[i]);
    }
    json_object_set_new(json, "events_allowed", json_array());
    json_object_set_new(json, "events_disallowed", json_array());
    return json;
}

static bool sources_find(json_t *sources, const char *name, size_t *out)
{
    size_t i;
    json_t *value;
    json_array_foreach(sources, i, value)
    {
        if (strcmp(json_string_value(value), name) == 0) {
            *out = i;
            return true;
        }
    }
    return false;
}

/* Sets *topic and *name, which is the topic's own name where the source has none. */
static bool source_parse(const char *source, enum application_topic *topic, const char **name)
{
    for (int i = 0; i < APPLICATION_TOPICS; i++) {
        size_t length = strlen(topics[i].scheme);
        if (strncmp(source, topics[i].scheme, length) == 0) {
            *topic = (enum application_topic)i;
            *name = source[length] ? source + length : topics[i].all;
            return true;
        }
    }
    return false;
}

/* There are no channels, bridges and endpoints here, so of these only the whole topic exists. A
 * device state exists as soon as somebody asks for it. */
static bool source_exists(enum application_topic topic, const char *name)
{
    return topic == APPLICATION_DEVICES || strcmp(name, topics[topic].all) == 0;
}

static void source_add(struct application *application, enum application_topic topic,
                       const char *name)
{
    json_t *sources = application->sources[topic];
    size_t index;
    if (!sources_find(sources, topics[topic].all, &index) && !sources_find(sources, name, &index)) {
        json_array_append_new(sources, json_string(name));
    }
}

/* First pass: looks every source up. Second pass: changes. */
static enum application_result application_change(struct application *application, const char *list,
                                                  bool subscribe)
{
    enum application_result result = APPLICATION_OK;
    for (int pass = 0; pass < 2 && result == APPLICATION_OK; pass++) {
        char *copy = strdup(list);
        char *rest = copy;
        char *source;
        while (result == APPLICATION_OK && (source = strsep(&rest, ",")) != NULL) {
            enum application_topic topic;
            const char *name;
            size_t index = 0;
            if (!source_parse(source, &topic, &name)) {
                result = APPLICATION_BAD_SCHEME;
            } else if (subscribe && !source_exists(topic, name)) {
                result = APPLICATION_NO_SOURCE;
            } else if (!subscribe && !sources_find(application->sources[topic], name, &index)) {
                result = pass == 0 ? APPLICATION_NO_SOURCE : APPLICATION_OK;
            } else if (pass == 1 && subscribe) {
                source_add(application, topic, name);
            } else if (pass == 1) {
                json_array_remove(application->sources[topic], index);
            }
        }
        free(copy);
    }
    return result;
}

enum application_result application_subscribe(struct application *application, const char *list)
{
    return application_change(application, list, true);
}

enum application_result application_unsubscribe(struct application *application, const char *list)
{
    return application_change(application, list, false);
}
