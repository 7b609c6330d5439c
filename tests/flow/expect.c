/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Topics as the wire's rules have them, from an event's JSON tree and the object table's source.
 * Called by the flow tests for every message; shares no code with the bridge.
 */
#include "expect.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *object_rules(const char *type)
{
    static json_t *table;
    if (!table) {
        json_error_t error;
        table = json_load_file(SCHEMAS "/objects.json", 0, &error);
        cr_assert_not_null(table, "objects.json:%d: %s", error.line, error.text);
    }
    json_t *types = json_object_get(table, "types");
    json_t *rules = json_object_get(types, type);
    return rules ? rules : json_object_get(types, "*");
}

static const json_t *follow(const json_t *json, const char *path)
{
    char copy[128];
    snprintf(copy, sizeof copy, "%s", path);
    char *rest = copy;
    for (const char *name; json && (name = strsep(&rest, ".")) != NULL;) {
        json = json_object_get(json, name);
    }
    return json;
}

static bool is_kind(const char *name, size_t length)
{
    static const char *const kinds[] = {"channel",   "bridge",   "playback",
                                        "recording", "endpoint", "device"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strlen(kinds[i]) == length && memcmp(kinds[i], name, length) == 0) {
            return true;
        }
    }
    return false;
}

/* The id that a rule finds, malloc'd, and its kind; NULL where it finds none. */
static char *rule_apply(const json_t *rule, const json_t *json, const char **kind)
{
    const char *form = json_string_value(json_object_get(rule, "form"));
    const json_t *value = follow(json, json_string_value(json_object_get(rule, "path")));
    char *id = NULL;
    *kind = json_string_value(json_object_get(rule, "kind"));
    if (form && strcmp(form, "endpoint") == 0) {
        const char *technology = json_string_value(json_object_get(value, "technology"));
        const char *resource = json_string_value(json_object_get(value, "resource"));
        if (technology && resource) {
            cr_assert_gt(asprintf(&id, "%s/%s", technology, resource), 0);
        }
        return id;
    }
    const char *text = json_string_value(value);
    if (!text || !*text) {
        return NULL;
    }
    if (!form) {
        return strdup(text);
    }
    cr_assert_str_eq(form, "uri");
    const char *colon = strchr(text, ':');
    if (!colon || !is_kind(text, (size_t)(colon - text))) {
        return NULL;
    }
    static const char *interned[8];
    char *scheme = strndup(text, (size_t)(colon - text));
    for (size_t i = 0; i < sizeof interned / sizeof *interned; i++) {
        if (!interned[i]) {
            interned[i] = strdup(scheme);
        }
        if (strcmp(interned[i], scheme) == 0) {
            *kind = interned[i];
            break;
        }
    }
    free(scheme);
    return colon[1] ? strdup(colon + 1) : NULL;
}

static void objects_read(struct expect_event *event)
{
    size_t index;
    json_t *rule;
    json_array_foreach(object_rules(event->type), index, rule)
    {
        const char *kind = NULL;
        char *id = rule_apply(rule, event->json, &kind);
        bool is_known = false;
        for (size_t i = 0; id && i < event->count; i++) {
            is_known = is_known || (strcmp(event->objects[i].kind, kind) == 0 &&
                                    strcmp(event->objects[i].id, id) == 0);
        }
        if (!id || is_known) {
            free(id);
            continue;
        }
        cr_assert_lt(event->count, EXPECT_OBJECTS_MAX);
        event->objects[event->count++] = (struct expect_object){kind, id};
    }
}

void expect_event_read(const char *text, size_t length, struct expect_event *out)
{
    *out = (struct expect_event){.json = json_loadb(text, length, JSON_ALLOW_NUL, NULL),
                                 .type = "ArizmqUnparsed",
                                 .application = ""};
    const char *type = json_string_value(json_object_get(out->json, "type"));
    if (!type) {
        return;
    }
    out->type = type;
    const char *application = json_string_value(json_object_get(out->json, "application"));
    out->application = application ? application : "";
    out->is_own = strncmp(type, "Arizmq", strlen("Arizmq")) == 0;
    if (out->is_own) {
        out->node = json_string_value(json_object_get(out->json, "node"));
        out->objects[out->count++] = (struct expect_object){"arizmq", strdup("-")};
    } else {
        objects_read(out);
    }
}

void expect_event_clear(struct expect_event *event)
{
    for (size_t i = 0; i < event->count; i++) {
        free(event->objects[i].id);
    }
    json_decref(event->json);
    *event = (struct expect_event){0};
}

char *expect_token(const char *text)
{
    char *token = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&token, &size);
    for (const char *at = text; *at; at++) {
        unsigned char byte = (unsigned char)*at;
        if (byte < 0x20 || byte == 0x7f || byte == '/' || byte == '%') {
            fprintf(out, "%%%02X", byte);
        } else {
            fputc(byte, out);
        }
    }
    if (!*text) {
        fputc('-', out);
    }
    fclose(out);
    return token;
}

static const char *field_value(const char *field, const struct expect_event *event,
                               const char *node, const struct expect_object *object)
{
    if (strcmp(field, "{type}") == 0) {
        return event->type;
    } else if (strcmp(field, "{app}") == 0) {
        return event->application;
    } else if (strcmp(field, "{node}") == 0) {
        return node;
    } else if (strcmp(field, "{kind}") == 0) {
        return object ? object->kind : "-";
    } else if (strcmp(field, "{id}") == 0) {
        return object ? object->id : "-";
    }
    return field;
}

char *expect_topic(const char *template, const struct expect_event *event, const char *node,
                   const struct expect_object *object)
{
    char *topic = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&topic, &size);
    char copy[256];
    snprintf(copy, sizeof copy, "%s", template);
    char *rest = copy;
    for (const char *field; (field = strsep(&rest, "/")) != NULL && rest;) {
        char *token = expect_token(field_value(field, event, node, object));
        fprintf(out, "%s/", token);
        free(token);
    }
    fclose(out);
    return topic;
}

size_t expect_messages(const struct expect_event *event, bool is_objects_view)
{
    return is_objects_view ? event->count : 1;
}

const struct expect_object *expect_object_at(const struct expect_event *event, size_t index)
{
    return index < event->count ? &event->objects[index] : NULL;
}
