/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Objects in the answers of Asterisk, known by the members that they have. The command thread hands
 * over every successful answer; what is found goes to the owners. A single object is scanned
 * without a tree, because most answers are one. Answers that hold no object, or no JSON, are common
 * and no error.
 */
#include "gateway/learn.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "arizmq/error.h"
#include "event/scan.h"
#include "ops/metrics.h"

enum { LEARN_MEMBERS_MAX = 4, LEARN_LOCAL_BYTES = 2048 };

/* A shape of ARI's models.json: which members an object of that kind has beside its id. Those that
 * Asterisk leaves out at times are not among them. */
struct learn_shape {
    enum object_kind kind;
    const char *id; /* the member that holds it, a string */
    const char *members[LEARN_MEMBERS_MAX];
    bool is_stored; /* it does not live, but is there */
};

/* The first that fits; a live recording has what a stored one has, and more. */
static const struct learn_shape shapes[] = {
    {OBJECT_CHANNEL, "id", {"name", "state", "caller", "dialplan"}, false},
    {OBJECT_BRIDGE, "id", {"technology", "bridge_type", "bridge_class", NULL}, false},
    {OBJECT_PLAYBACK, "id", {"media_uri", "target_uri", "state", NULL}, false},
    {OBJECT_RECORDING, "name", {"format", "target_uri", "state", NULL}, false},
    {OBJECT_RECORDING, "name", {"format", NULL, NULL, NULL}, true},
};

enum { SHAPES_COUNT = sizeof shapes / sizeof shapes[0] };

static void learn_object(struct owners *owners, unsigned node, const struct learn_shape *shape,
                         const char *id, size_t length)
{
    if (shape->is_stored) {
        /* A file: findable, but not to be counted among what lives, nor to push it out. */
        owners_end(owners, node, shape->kind, id, length);
    } else {
        owners_learn(owners, node, shape->kind, id, length);
    }
}

/* Between the quotes of a string's text, or NULL where it is no string. */
static const char *learn_inside(const struct span *value, size_t *length)
{
    if (value == NULL || value->length < 2 || value->bytes[0] != '"') {
        return NULL;
    }
    *length = value->length - 2;
    return value->bytes + 1;
}

static bool scan_has_shape(const struct scan *scan, const struct learn_shape *shape)
{
    for (unsigned i = 0; i < LEARN_MEMBERS_MAX && shape->members[i] != NULL; i++) {
        if (scan_find(scan, shape->members[i], strlen(shape->members[i])) == NULL) {
            return false;
        }
    }
    return true;
}

static unsigned learn_from_scan(struct owners *owners, unsigned node, const struct scan *scan)
{
    for (unsigned i = 0; i < SHAPES_COUNT; i++) {
        const struct learn_shape *shape = &shapes[i];
        const struct span *value = scan_find(scan, shape->id, strlen(shape->id));
        size_t length = 0;
        const char *id = learn_inside(value, &length);
        if (id == NULL || !scan_has_shape(scan, shape)) {
            continue;
        }
        if (!scan->has_escapes || memchr(id, '\\', length) == NULL) {
            learn_object(owners, node, shape, id, length);
            return 1;
        }
        json_t *text =
            json_loadb(value->bytes, value->length, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        if (text != NULL) {
            learn_object(owners, node, shape, json_string_value(text), json_string_length(text));
        }
        unsigned learned = text != NULL;
        json_decref(text);
        return learned;
    }
    return 0;
}

/* The scan reads in blocks, so the text is copied to where something stands behind it. */
static unsigned learn_from_one(struct owners *owners, unsigned node, const char *text,
                               size_t length)
{
    char local[LEARN_LOCAL_BYTES + SCAN_PADDING];
    char *copy = length <= LEARN_LOCAL_BYTES ? local : malloc(length + SCAN_PADDING);
    if (copy == NULL) {
        metrics_add(METRIC_OWNERS_FORGOTTEN, 1);
        return 0;
    }
    memcpy(copy, text, length);
    memset(copy + length, 0, SCAN_PADDING);
    struct scan scan;
    unsigned learned = 0;
    if (scan_object(copy, length, &scan) == ARIZMQ_OK) {
        learned = learn_from_scan(owners, node, &scan);
    }
    if (copy != local) {
        free(copy);
    }
    return learned;
}

static bool json_has_shape(const json_t *object, const struct learn_shape *shape)
{
    for (unsigned i = 0; i < LEARN_MEMBERS_MAX && shape->members[i] != NULL; i++) {
        if (json_object_get(object, shape->members[i]) == NULL) {
            return false;
        }
    }
    return json_is_string(json_object_get(object, shape->id));
}

static unsigned learn_from_item(struct owners *owners, unsigned node, const json_t *item)
{
    for (unsigned i = 0; i < SHAPES_COUNT; i++) {
        if (json_has_shape(item, &shapes[i])) {
            const json_t *id = json_object_get(item, shapes[i].id);
            learn_object(owners, node, &shapes[i], json_string_value(id), json_string_length(id));
            return 1;
        }
    }
    return 0;
}

static unsigned learn_from_list(struct owners *owners, unsigned node, const char *text,
                                size_t length)
{
    json_t *list = json_loadb(text, length, JSON_ALLOW_NUL, NULL);
    unsigned learned = 0;
    size_t index = 0;
    json_t *item = NULL;
    json_array_foreach(list, index, item)
    {
        learned += learn_from_item(owners, node, item);
    }
    json_decref(list);
    return learned;
}

unsigned learn_from_reply(struct owners *owners, unsigned node, const char *text, size_t length)
{
    size_t begin = 0;
    while (begin < length && memchr(" \t\r\n", text[begin], 4) != NULL) {
        begin++;
    }
    if (begin == length) {
        return 0;
    }
    switch (text[begin]) {
    case '{':
        return learn_from_one(owners, node, text + begin, length - begin);
    case '[':
        return learn_from_list(owners, node, text + begin, length - begin);
    default:
        return 0; /* a file, a page of HTML */
    }
}
