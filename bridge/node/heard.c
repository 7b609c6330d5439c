/* SPDX-License-Identifier: MPL-2.0 */
/*
 * An application that has subscribe_all is to hear of everything (link_subscribe.c); any other is
 * told of no end of what it does not hear of, so that such objects are none of its state
 * (reconcile.c).
 */
#include "node/heard.h"

#include <string.h>

#include "arizmq/error.h"

/* The members, and the kinds whose ids they list. */
static const struct {
    const char *member;
    enum object_kind kind;
} members[] = {
    {"channel_ids", OBJECT_CHANNEL},
    {"bridge_ids", OBJECT_BRIDGE},
    {"endpoint_ids", OBJECT_ENDPOINT},
    {"device_names", OBJECT_DEVICE},
};
enum { MEMBERS = sizeof members / sizeof *members };

/* Asterisk names the topic of all channels __AST_CHANNEL_ALL_TOPIC, and so on. */
static bool is_all_topic(const char *name)
{
    static const char suffix[] = "_ALL_TOPIC";
    size_t length = strlen(name);
    return length > sizeof suffix && strncmp(name, "__AST_", 6) == 0 &&
           strcmp(name + length - (sizeof suffix - 1), suffix) == 0;
}

static bool read_member(const json_t *application, unsigned i, struct heard *heard)
{
    const json_t *list = json_object_get(application, members[i].member);
    json_t *ids = json_object();
    size_t index = 0;
    json_t *item = NULL;
    bool is_fine = json_is_array(list) && ids != NULL;
    json_array_foreach(list, index, item)
    {
        const char *name = json_string_value(item);
        is_fine = is_fine && name != NULL;
        if (name != NULL && is_all_topic(name)) {
            heard->all[members[i].kind] = true;
        } else if (name != NULL && json_object_set_new(ids, name, json_true()) != 0) {
            is_fine = false;
        }
    }
    heard->ids[members[i].kind] = ids;
    return is_fine;
}

int heard_read(const char *body, size_t length, struct heard *out)
{
    struct heard heard = {{false}, {NULL}};
    json_t *application = json_loadb(body, length, 0, NULL);
    bool is_fine = application != NULL;
    for (unsigned i = 0; is_fine && i < MEMBERS; i++) {
        is_fine = read_member(application, i, &heard);
    }
    json_decref(application);
    if (!is_fine) {
        heard_release(&heard);
        return ARIZMQ_EINVALID;
    }
    *out = heard;
    return ARIZMQ_OK;
}

void heard_release(struct heard *self)
{
    for (unsigned kind = 0; kind < OBJECT_KINDS; kind++) {
        json_decref(self->ids[kind]);
    }
    *self = (struct heard){{false}, {NULL}};
}

bool heard_everything(const struct heard *self)
{
    for (unsigned i = 0; i < MEMBERS; i++) {
        if (!self->all[members[i].kind]) {
            return false;
        }
    }
    return true;
}

static bool has_id(const struct heard *self, unsigned kind, const char *id, size_t length)
{
    return self->all[kind] || json_object_getn(self->ids[kind], id, length) != NULL;
}

static bool has_joined_id(const struct heard *self, const struct event_object *object)
{
    char id[2048];
    size_t first = object->part[0].length;
    size_t second = object->part[1].length;
    if (first + second + 1 > sizeof id) {
        return self->all[OBJECT_ENDPOINT];
    }
    memcpy(id, object->part[0].bytes, first);
    id[first] = '/';
    memcpy(id + first + 1, object->part[1].bytes, second);
    return has_id(self, OBJECT_ENDPOINT, id, first + 1 + second);
}

/* Where target_uri does not name a channel or a bridge it is heard of: better one too many. */
static bool hears_target(const struct heard *self, struct span value)
{
    json_t *json = json_loadb(value.bytes, value.length, 0, NULL);
    const char *uri = json_string_value(json_object_get(json, "target_uri"));
    const char *colon = uri != NULL ? strchr(uri, ':') : NULL;
    bool is_heard = true;
    for (unsigned kind = OBJECT_CHANNEL; colon != NULL && kind <= OBJECT_BRIDGE; kind++) {
        size_t length = (size_t)(colon - uri);
        if (strlen(object_kind_names[kind]) == length &&
            strncmp(object_kind_names[kind], uri, length) == 0) {
            is_heard = has_id(self, kind, colon + 1, strlen(colon + 1));
        }
    }
    json_decref(json);
    return is_heard;
}

bool heard_object(const struct heard *self, const struct event_object *object)
{
    enum object_kind kind = objects_kind(object->kind);
    switch (kind) {
    case OBJECT_PLAYBACK:
    case OBJECT_RECORDING:
        return hears_target(self, object->value);
    case OBJECT_ENDPOINT:
        return has_joined_id(self, object);
    case OBJECT_CHANNEL:
    case OBJECT_BRIDGE:
    case OBJECT_DEVICE:
        return has_id(self, kind, object->part[0].bytes, object->part[0].length);
    case OBJECT_KINDS:
        break;
    }
    return false;
}
