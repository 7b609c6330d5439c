/* SPDX-License-Identifier: MPL-2.0 */
/*
 * From the body of a snapshot to its objects. join.c reads one at a time and hands it out, so no
 * tree of the whole is ever built; a value's bytes are those that stand in the body. The outermost
 * object and each element are checked by the scan that the event path uses; what is inside a value
 * is for the reader's parser to judge, as with events.
 */
#include "client/snapshot_body.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "arizmq/error.h"

/* The lists, and where an object of each has its id. */
static const struct list {
    const char *name;
    const char *kind;
    const char *id[2]; /* an endpoint has two parts */
} lists[] = {
    {"channels", "channel", {"id", NULL}},
    {"bridges", "bridge", {"id", NULL}},
    {"playbacks", "playback", {"id", NULL}},
    {"recordings", "recording", {"name", NULL}},
    {"endpoints", "endpoint", {"technology", "resource"}},
    {"deviceStates", "device", {"name", NULL}},
};
enum { LISTS = sizeof lists / sizeof *lists };

struct snapshot_body {
    char *text; /* with the padding that the scan needs */
    uint64_t epoch;
    uint64_t seq;
    struct span links;
    struct span ended;           /* length 0: it has none */
    struct span elements[LISTS]; /* what stands between the brackets and is yet to be read */
    bool is_within[LISTS];       /* an element of it was read */
    unsigned list;
    json_t *node; /* strings of the last object */
    json_t *app;
    char *id;
};

static bool span_number(const struct span *span, uint64_t *out)
{
    if (span == NULL || span->length == 0 || span->bytes[0] < '0' || span->bytes[0] > '9') {
        return false;
    }
    char *end = NULL;
    errno = 0;
    *out = strtoull(span->bytes, &end, 10); /* ends at what is behind the value */
    return errno == 0 && end == span->bytes + span->length;
}

static bool span_list(const struct span *span, struct span *out)
{
    if (span == NULL || span->length < 2 || span->bytes[0] != '[') {
        return false;
    }
    *out = (struct span){span->bytes + 1, span->length - 2};
    return true;
}

static int read_outermost(struct snapshot_body *self, size_t length)
{
    struct scan scan;
    struct span ignored;
    if (scan_object(self->text, length, &scan) != ARIZMQ_OK || scan.dropped > 0) {
        return ARIZMQ_EPROTOCOL;
    }
    const struct span *links = scan_find(&scan, "links", 5);
    if (!span_number(scan_find(&scan, "epoch", 5), &self->epoch) ||
        !span_number(scan_find(&scan, "seq", 3), &self->seq) || !span_list(links, &ignored)) {
        return ARIZMQ_EPROTOCOL;
    }
    self->links = *links;
    const struct span *ended = scan_find(&scan, "ended", 5);
    if (ended != NULL && !span_list(ended, &ignored)) {
        return ARIZMQ_EPROTOCOL;
    }
    self->ended = ended != NULL ? *ended : (struct span){"", 0};
    for (unsigned i = 0; i < LISTS; i++) {
        const struct span *list = scan_find(&scan, lists[i].name, strlen(lists[i].name));
        if (list != NULL && !span_list(list, &self->elements[i])) {
            return ARIZMQ_EPROTOCOL;
        }
    }
    return ARIZMQ_OK;
}

int snapshot_body_create(const char *bytes, size_t length, struct snapshot_body **out)
{
    struct snapshot_body *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return ARIZMQ_ENOMEM;
    }
    self->text = calloc(1, length + SCAN_PADDING);
    int rc = ARIZMQ_ENOMEM;
    if (self->text != NULL) {
        memcpy(self->text, bytes, length);
        rc = read_outermost(self, length);
    }
    if (rc != ARIZMQ_OK) {
        snapshot_body_destroy(&self);
        return rc;
    }
    *out = self;
    return ARIZMQ_OK;
}

static void forget_object(struct snapshot_body *self)
{
    json_decref(self->node);
    json_decref(self->app);
    free(self->id);
    self->node = NULL;
    self->app = NULL;
    self->id = NULL;
}

void snapshot_body_destroy(struct snapshot_body **self_p)
{
    struct snapshot_body *self = *self_p;
    if (self != NULL) {
        forget_object(self);
        free(self->text);
        free(self);
        *self_p = NULL;
    }
}

uint64_t snapshot_body_epoch(const struct snapshot_body *self)
{
    return self->epoch;
}

uint64_t snapshot_body_seq(const struct snapshot_body *self)
{
    return self->seq;
}

struct span snapshot_body_links(const struct snapshot_body *self)
{
    return self->links;
}

struct span snapshot_body_ended(const struct snapshot_body *self)
{
    return self->ended;
}

static void skip_spaces(struct span *rest)
{
    while (rest->length > 0 && strchr(" \t\r\n", rest->bytes[0]) != NULL && *rest->bytes != '\0') {
        rest->bytes++;
        rest->length--;
    }
}

/* The length of the object at the beginning of `rest`; 0 where there is none that ends. */
static size_t object_length(struct span rest)
{
    unsigned depth = 0;
    bool is_in_string = false;
    if (rest.length == 0 || rest.bytes[0] != '{') {
        return 0;
    }
    for (size_t i = 0; i < rest.length; i++) {
        char c = rest.bytes[i];
        if (is_in_string) {
            i += c == '\\';
            is_in_string = c != '"';
        } else if (c == '"') {
            is_in_string = true;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if (c == '}' || c == ']') {
            depth--;
        }
        if (depth == 0 && !is_in_string) {
            return c == '}' ? i + 1 : 0;
        }
    }
    return 0;
}

/* Takes the next element off a list. */
static int take_element(struct span *rest, bool *is_within, struct span *out)
{
    skip_spaces(rest);
    if (rest->length == 0) {
        return ARIZMQ_ENOTFOUND;
    }
    if (*is_within) {
        if (rest->bytes[0] != ',') {
            return ARIZMQ_EPROTOCOL;
        }
        rest->bytes++;
        rest->length--;
        skip_spaces(rest);
    }
    size_t length = object_length(*rest);
    if (length == 0) {
        return ARIZMQ_EPROTOCOL;
    }
    *is_within = true;
    *out = (struct span){rest->bytes, length};
    rest->bytes += length;
    rest->length -= length;
    return ARIZMQ_OK;
}

static json_t *read_string(const struct span *span)
{
    json_t *string =
        span == NULL ? NULL : json_loadb(span->bytes, span->length, JSON_DECODE_ANY, NULL);
    if (!json_is_string(string)) {
        json_decref(string);
        return NULL;
    }
    return string;
}

/* The id of an object whose JSON text this is. */
static int read_id(const struct list *list, struct span value, char **out)
{
    struct scan scan;
    json_t *parts[2] = {NULL, NULL};
    int rc = ARIZMQ_EPROTOCOL;
    if (scan_object(value.bytes, value.length, &scan) == ARIZMQ_OK) {
        for (unsigned i = 0; i < 2 && list->id[i] != NULL; i++) {
            parts[i] = read_string(scan_find(&scan, list->id[i], strlen(list->id[i])));
        }
    }
    if (parts[0] != NULL && (parts[1] != NULL || list->id[1] == NULL)) {
        size_t size = json_string_length(parts[0]) + json_string_length(parts[1]) + 2;
        *out = malloc(size);
        rc = *out == NULL ? ARIZMQ_ENOMEM : ARIZMQ_OK;
        if (rc == ARIZMQ_OK) {
            snprintf(*out, size, "%s%s%s", json_string_value(parts[0]), parts[1] != NULL ? "/" : "",
                     parts[1] != NULL ? json_string_value(parts[1]) : "");
        }
    }
    json_decref(parts[0]);
    json_decref(parts[1]);
    return rc;
}

static int read_element(struct snapshot_body *self, const struct list *list, struct span element,
                        struct arizmq_object *out)
{
    struct scan scan;
    if (scan_object(element.bytes, element.length, &scan) != ARIZMQ_OK) {
        return ARIZMQ_EPROTOCOL;
    }
    const struct span *value = scan_find(&scan, "value", 5);
    self->node = read_string(scan_find(&scan, "node", 4));
    self->app = read_string(scan_find(&scan, "app", 3));
    if (value == NULL || self->node == NULL || self->app == NULL) {
        return ARIZMQ_EPROTOCOL;
    }
    int rc = read_id(list, *value, &self->id);
    if (rc != ARIZMQ_OK) {
        return rc;
    }
    *out = (struct arizmq_object){.kind = list->kind,
                                  .id = self->id,
                                  .node = json_string_value(self->node),
                                  .app = json_string_value(self->app),
                                  .value = value->bytes,
                                  .value_length = value->length,
                                  .epoch = self->epoch,
                                  .seq = self->seq};
    return ARIZMQ_OK;
}

int snapshot_body_next(struct snapshot_body *self, struct arizmq_object *out)
{
    forget_object(self);
    for (; self->list < LISTS; self->list++) {
        struct span element;
        int rc = take_element(&self->elements[self->list], &self->is_within[self->list], &element);
        if (rc != ARIZMQ_ENOTFOUND) {
            return rc == ARIZMQ_OK ? read_element(self, &lists[self->list], element, out) : rc;
        }
    }
    return ARIZMQ_ENOTFOUND;
}
