/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Kind by kind through all items. Each value is read by Jansson once, because one that is broken
 * inside would make the whole text unreadable. snapshot_desk.c calls it, once in a turn.
 */
#include "gateway/snapshot_print.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "arizmq/error.h"
#include "ops/log.h"
#include "ops/metrics.h"

/* In one turn: items looked at, and of these, written. About two milliseconds. */
enum { LOOKED_AT_MAX = 20000, WRITTEN_MAX = 250 };

const char *const snapshot_kind_names[OBJECT_KINDS] = {
    [OBJECT_CHANNEL] = "channels",   [OBJECT_BRIDGE] = "bridges",
    [OBJECT_PLAYBACK] = "playbacks", [OBJECT_RECORDING] = "recordings",
    [OBJECT_ENDPOINT] = "endpoints", [OBJECT_DEVICE] = "deviceStates",
};

/* There is room: snapshot_print_begin() saw to it. */
static void put(struct snapshot_print *self, const char *bytes, size_t length)
{
    memcpy(self->text + self->length, bytes, length);
    self->length += length;
}

static void put_text(struct snapshot_print *self, const char *text)
{
    put(self, text, strlen(text));
}

/* {"node":…,"app":…,"value": */
static char *make_head(const struct snapshot_link *link)
{
    json_t *json = json_pack("{s:s, s:s}", "node", link->node, "app", link->application);
    char *text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    char *head = NULL;
    if (text != NULL && asprintf(&head, "%.*s,\"value\":", (int)strlen(text) - 1, text) < 0) {
        head = NULL;
    }
    free(text);
    return head;
}

/* What `,"links":[{"node":…,"app":…,"subscribe_all":false,"up":false,"complete":false},…]` takes
 * beside the heads. */
enum { LINK_BYTES = 64, LIST_BYTES = 32, FRAME_BYTES = 128, ITEM_BYTES = 2 };

/* An upper bound of the text's length. */
static size_t bound(const struct snapshot_print *self)
{
    const struct snapshot *snapshot = self->snapshot;
    size_t longest = 0;
    size_t bytes = FRAME_BYTES + OBJECT_KINDS * LIST_BYTES + snapshot->bytes;
    for (unsigned i = 0; i < snapshot->links_count; i++) {
        size_t length = strlen(self->heads[i]);
        bytes += length + LINK_BYTES;
        longest = length > longest ? length : longest;
    }
    return bytes + snapshot->count * (longest + ITEM_BYTES);
}

static void begin_list(struct snapshot_print *self)
{
    while (self->kind < OBJECT_KINDS && (self->kinds & 1U << self->kind) == 0) {
        self->kind++;
    }
    self->item = 0;
    self->is_first = true;
    if (self->kind < OBJECT_KINDS) {
        put_text(self, ",\"");
        put_text(self, snapshot_kind_names[self->kind]);
        put_text(self, "\":[");
    }
}

int snapshot_print_begin(struct snapshot_print *self, struct snapshot *snapshot, unsigned kinds,
                         uint64_t epoch, uint64_t max_bytes)
{
    *self = (struct snapshot_print){.snapshot = snapshot, .kinds = kinds};
    self->heads = calloc(snapshot->links_count + 1UL, sizeof(char *));
    int result = self->heads != NULL ? ARIZMQ_OK : ARIZMQ_ENOMEM;
    for (unsigned i = 0; result == ARIZMQ_OK && i < snapshot->links_count; i++) {
        self->heads[i] = make_head(&snapshot->links[i]);
        result = self->heads[i] != NULL ? ARIZMQ_OK : ARIZMQ_ENOMEM;
    }
    if (result == ARIZMQ_OK) {
        self->room = bound(self);
        result = self->room > max_bytes ? ARIZMQ_ETOOLARGE : ARIZMQ_OK;
    }
    if (result == ARIZMQ_OK) {
        self->text = malloc(self->room);
        result = self->text != NULL ? ARIZMQ_OK : ARIZMQ_ENOMEM;
    }
    if (result != ARIZMQ_OK) {
        snapshot_print_end(self);
        return result;
    }
    self->length = (size_t)snprintf(
        self->text, self->room, "{\"epoch\":%" PRIu64 ",\"seq\":%" PRIu64, epoch, snapshot->seq);
    begin_list(self);
    return ARIZMQ_OK;
}

static bool is_json(struct span text)
{
    json_t *json = json_loadb(text.bytes, text.length, JSON_ALLOW_NUL, NULL);
    bool is_so = json != NULL;
    json_decref(json);
    return is_so;
}

static void put_item(struct snapshot_print *self, const struct snapshot_item *item)
{
    struct span value = value_text(item->value);
    struct snapshot_link *link = &self->snapshot->links[item->link];
    if (!is_json(value)) {
        metrics_add(METRIC_SNAPSHOT_VALUES_INVALID, 1);
        log_warning("snapshot", "%s/%s: the last value of one of its %s is no JSON; left out",
                    link->node, link->application, snapshot_kind_names[item->kind]);
        link->is_complete = false;
        return;
    }
    if (!self->is_first) {
        put(self, ",", 1);
    }
    self->is_first = false;
    put_text(self, self->heads[item->link]);
    put(self, value.bytes, value.length);
    put(self, "}", 1);
}

static void put_links(struct snapshot_print *self)
{
    put_text(self, ",\"links\":[");
    for (unsigned i = 0; i < self->snapshot->links_count; i++) {
        const struct snapshot_link *link = &self->snapshot->links[i];
        static const char end[] = "\"value\":";
        put_text(self, i > 0 ? "," : "");
        put(self, self->heads[i], strlen(self->heads[i]) - (sizeof end - 1));
        put_text(self, "\"subscribe_all\":");
        put_text(self, link->hears_all ? "true" : "false");
        put_text(self, ",\"up\":");
        put_text(self, link->is_up ? "true" : "false");
        put_text(self, ",\"complete\":");
        put_text(self, link->is_complete ? "true}" : "false}");
    }
    put_text(self, "]}");
}

bool snapshot_print_on(struct snapshot_print *self, char **text, size_t *length)
{
    unsigned written = 0;
    for (unsigned i = 0; i < LOOKED_AT_MAX && written < WRITTEN_MAX && self->kind < OBJECT_KINDS;
         i++) {
        if (self->item == self->snapshot->count) {
            put(self, "]", 1);
            self->kind++;
            begin_list(self);
            continue;
        }
        const struct snapshot_item *item = &self->snapshot->items[self->item++];
        if (item->kind == self->kind) {
            put_item(self, item);
            written++;
        }
    }
    if (self->kind < OBJECT_KINDS) {
        return false;
    }
    put_links(self);
    *text = self->text;
    *length = self->length;
    self->text = NULL;
    return true;
}

void snapshot_print_end(struct snapshot_print *self)
{
    for (unsigned i = 0; self->heads != NULL && i < self->snapshot->links_count; i++) {
        free(self->heads[i]);
    }
    free(self->heads);
    free(self->text);
    snapshot_destroy(&self->snapshot);
    *self = (struct snapshot_print){0};
}
