/* SPDX-License-Identifier: MPL-2.0 */
#include "state_model.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "random_json.h"

/* Types that do so, with the member in which the object stands. */
static const struct {
    const char *begin;
    const char *update;
    const char *end;
    const char *member;
    const char *id;
} kinds[OBJECT_KINDS] = {
    [OBJECT_CHANNEL] = {"ChannelCreated", "ChannelVarset", "ChannelDestroyed", "channel", "id"},
    [OBJECT_BRIDGE] = {"BridgeCreated", "ChannelLeftBridge", "BridgeDestroyed", "bridge", "id"},
    [OBJECT_PLAYBACK] = {"PlaybackStarted", "PlaybackContinuing", "PlaybackFinished", "playback",
                         "id"},
    [OBJECT_RECORDING] = {"RecordingStarted", "RecordingPaused", "RecordingFinished", "recording",
                          "name"},
    [OBJECT_ENDPOINT] = {NULL, "EndpointStateChange", NULL, "endpoint", NULL},
    [OBJECT_DEVICE] = {NULL, "DeviceStateChanged", NULL, "device_state", "name"},
};

void model_write_id(enum object_kind kind, unsigned id, char out[32])
{
    snprintf(out, 32, kind == OBJECT_ENDPOINT ? "PJSIP/%u" : "%u", id);
}

void model_write_value(const struct model_event *event, char out[MODEL_VALUE_MAX])
{
    /* Lengths that fit where others were, and such that do not. */
    int filler = (int)(event->version * 37 % 1000);
    if (event->kind == OBJECT_ENDPOINT) {
        snprintf(out, MODEL_VALUE_MAX, "{\"technology\":\"PJSIP\",\"resource\":\"%u\",\"v\":%u%*s}",
                 event->id, event->version, filler, "");
    } else {
        snprintf(out, MODEL_VALUE_MAX, "{\"%s\":\"%u\",\"v\":%u%*s}", kinds[event->kind].id,
                 event->id, event->version, filler, "");
    }
}

/* The event's type; NULL where there is none that does that to the kind. */
static const char *type_of(const struct model_event *event)
{
    switch (event->act) {
    case MODEL_BEGIN:
        return kinds[event->kind].begin;
    case MODEL_UPDATE:
        return kinds[event->kind].update;
    case MODEL_END:
        return kinds[event->kind].end;
    case MODEL_STASIS_END:
        return event->kind == OBJECT_CHANNEL ? "StasisEnd" : NULL;
    case MODEL_MENTION:
    case MODEL_ACTS:
        break;
    }
    return event->kind == OBJECT_CHANNEL ? "BridgeVideoSourceChanged" : NULL;
}

void model_fold(struct model_link *self, const struct model_event *event)
{
    struct model_entry *entry = &self->entry[event->kind][event->id];
    bool is_late = entry->has_ended && event->received_ns < entry->ended_ns + 10000000000U;
    if (type_of(event) == NULL || event->act == MODEL_MENTION) {
        return;
    }
    if (event->act == MODEL_END || (event->act == MODEL_STASIS_END && !self->hears_all)) {
        entry->is_held = false;
        entry->has_ended = true;
        entry->ended_ns = event->received_ns;
    } else if (event->act == MODEL_BEGIN || !is_late) {
        entry->is_held = true;
        entry->has_ended = false;
        model_write_value(event, entry->value);
    }
}

void model_send_text(struct state_link *link, const char *text, uint64_t seq, uint64_t received_ns)
{
    size_t length = strlen(text);
    char *padded = malloc(length + SCAN_PADDING);
    cr_assert_not_null(padded);
    memcpy(padded, text, length);
    memset(padded + length, '"', SCAN_PADDING);
    struct event event;
    event_read(&event, padded, length, "pbx1", received_ns);
    cr_assert(event_is_parsed(&event), "%s", text);
    event.seq = seq;
    state_fold(link, &event);
    event_release(&event);
    free(padded); /* the state must have copies */
}

void model_send(struct state_link *link, const struct model_event *event, uint64_t seq)
{
    if (type_of(event) == NULL) {
        return;
    }
    char value[MODEL_VALUE_MAX];
    char text[MODEL_VALUE_MAX + 200];
    if (event->act == MODEL_MENTION) {
        snprintf(text, sizeof text, "{\"type\":\"%s\",\"old_video_source_id\":\"%u\"}",
                 type_of(event), event->id);
    } else {
        model_write_value(event, value);
        snprintf(text, sizeof text, "{\"type\":\"%s\",\"%s\":%s}", type_of(event),
                 kinds[event->kind].member, value);
    }
    model_send_text(link, text, seq, event->received_ns);
}

struct model_event model_random(uint64_t *random, uint64_t received_ns)
{
    return (struct model_event){
        .act = (enum model_act)random_below(random, MODEL_ACTS),
        .kind = (enum object_kind)random_below(random, OBJECT_KINDS),
        .id = (unsigned)random_below(random, MODEL_IDS),
        .version = (unsigned)random_below(random, 100000),
        .received_ns = received_ns,
    };
}

void model_assert_link(const struct model_link *self, const struct state_link *link)
{
    for (unsigned kind = 0; kind < OBJECT_KINDS; kind++) {
        for (unsigned i = 0; i < MODEL_IDS; i++) {
            const struct model_entry *entry = &self->entry[kind][i];
            char id[32];
            model_write_id((enum object_kind)kind, i, id);
            struct span found = {"", 0};
            bool is_held =
                state_find(link, (enum object_kind)kind, (struct span){id, strlen(id)}, &found);
            cr_assert_eq(is_held, entry->is_held, "%s %s", object_kind_names[kind], id);
            if (is_held) {
                cr_assert_eq(found.length, strlen(entry->value));
                cr_assert_eq(memcmp(found.bytes, entry->value, found.length), 0, "%s %s",
                             object_kind_names[kind], id);
            }
        }
    }
}

static const struct snapshot_item *find_item(const struct snapshot *snapshot, unsigned link,
                                             unsigned kind, const char *value)
{
    for (size_t i = 0; i < snapshot->count; i++) {
        const struct snapshot_item *item = &snapshot->items[i];
        struct span text = value_text(item->value);
        if (item->link == link && item->kind == kind && text.length == strlen(value) &&
            memcmp(text.bytes, value, text.length) == 0) {
            return item;
        }
    }
    return NULL;
}

void model_assert_snapshot(const struct model *self, const struct snapshot *snapshot,
                           unsigned kinds_wanted)
{
    size_t wanted = 0;
    for (unsigned link = 0; link < snapshot->links_count; link++) {
        for (unsigned kind = 0; kind < OBJECT_KINDS; kind++) {
            for (unsigned i = 0; i < MODEL_IDS; i++) {
                const struct model_entry *entry = &self->link[link].entry[kind][i];
                if (entry->is_held && (kinds_wanted & 1U << kind) != 0) {
                    wanted++;
                    cr_assert_not_null(find_item(snapshot, link, kind, entry->value),
                                       "link %u: %s %s", link, object_kind_names[kind],
                                       entry->value);
                }
            }
        }
    }
    cr_assert_eq(snapshot->count, wanted, "%zu objects, not %zu", snapshot->count, wanted);
}
