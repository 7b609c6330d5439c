/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A comparison marks the entries that Asterisk says it has; what differs waits in the entry itself,
 * so that the next event about that object throws it away. What has ended is remembered while a
 * list is on its way, or the list would bring it back. node/reconcile.c calls it.
 */
#include "keep/state_compare.h"

#include <stdlib.h>
#include <string.h>

#include "event/same.h"
#include "keep/state_private.h"

void state_difference_release(struct state_difference *self)
{
    free(self->id);
    self->id = NULL;
    value_release(&self->value);
}

static void open_cursor(struct state_link *link, unsigned kind)
{
    link->cursor = (struct state_cursor){
        .kind = kind, .entry = kind < OBJECT_KINDS ? state_last_entry(link, kind) : NULL};
}

static void set_reading(struct state_link *link, bool is_reading)
{
    link->state->reading += is_reading ? 1 : 0;
    link->state->reading -= link->is_reading ? 1 : 0;
    link->is_reading = is_reading;
}

void state_compare_begin(struct state_link *link, uint64_t seq)
{
    if (link == NULL) {
        return;
    }
    state_compare_end(link, false);
    set_reading(link, true);
    link->has_left_out = false;
    link->since = seq;
    link->round++;
    memset(link->is_read, 0, sizeof link->is_read);
}

void state_compare_listed(struct state_link *link, const struct event_object *object)
{
    char joined[STATE_JOINED_MAX];
    struct span id = state_id(object, joined);
    enum object_kind kind = objects_kind(object->kind);
    if (id.length == 0) {
        state_leave_out(link);
        return;
    }
    struct state_entry *entry = state_entry_find(link, kind, id);
    if (entry == NULL && link->is_reading) {
        entry = state_entry_add(link, kind, id);
    } else if (entry != NULL && entry->seq > link->since) {
        return; /* an event is newer */
    }
    if (entry == NULL) {
        return; /* no room; or one that was asked for and has ended meanwhile */
    }
    entry->round = link->round;
    entry->is_missing = false;
    state_entry_unplace(entry);
    struct value *found = NULL;
    if (entry->value == NULL || !same_json(value_text(entry->value), object->value)) {
        found = state_make_value(link, object->value);
    }
    if (found != NULL) {
        state_entry_differ(entry, found);
    } else {
        state_entry_settle(entry);
    }
}

void state_compare_is_read(struct state_link *link, enum object_kind kind)
{
    if (link != NULL) {
        link->is_read[kind] = true;
    }
}

void state_compare_lists_end(struct state_link *link)
{
    if (link != NULL) {
        set_reading(link, false);
        open_cursor(link, OBJECT_PLAYBACK);
    }
}

static bool has_list(unsigned kind)
{
    return kind == OBJECT_CHANNEL || kind == OBJECT_BRIDGE || kind == OBJECT_ENDPOINT;
}

/* The entry where the cursor stands, which then goes on; NULL where it has only gone on to another
 * kind. */
static struct state_entry *cursor_next(struct state_link *link)
{
    struct state_entry *entry = link->cursor.entry;
    if (entry != NULL) {
        link->cursor.entry = state_entry_before(entry);
    } else {
        open_cursor(link, link->cursor.kind + 1);
    }
    return entry;
}

bool state_compare_ask(struct state_link *link, enum object_kind *kind, struct span *id)
{
    while (link != NULL && link->cursor.kind < OBJECT_KINDS) {
        const struct state_entry *entry = has_list(link->cursor.kind) ? NULL : cursor_next(link);
        if (entry != NULL && entry->value != NULL && entry->seq <= link->since) {
            *kind = (enum object_kind)entry->kind;
            *id = (struct span){entry->id, entry->hh.keylen};
            return true;
        }
        if (has_list(link->cursor.kind)) {
            open_cursor(link, link->cursor.kind + 1);
        }
    }
    return false;
}

void state_compare_missing(struct state_link *link, enum object_kind kind, struct span id)
{
    struct state_entry *entry = link != NULL ? state_entry_find(link, kind, id) : NULL;
    if (entry != NULL) {
        entry->round = link->round;
        entry->is_missing = true;
    }
}

static bool is_lost(const struct state_link *link, const struct state_entry *entry)
{
    if (entry->value == NULL || entry->seq > link->since) {
        return false;
    }
    bool was_told = entry->round == link->round;
    return link->is_read[entry->kind] ? !was_told : was_told && entry->is_missing;
}

/* Where there is no memory for it, it stays as it is and the link will not be complete. */
static bool fill(struct state_link *link, const struct state_entry *entry,
                 enum state_difference_kind what, struct value *value, struct state_difference *out)
{
    char *id = malloc(entry->hh.keylen);
    if (id == NULL) {
        state_leave_out(link);
        return false;
    }
    memcpy(id, entry->id, entry->hh.keylen);
    *out = (struct state_difference){.what = what,
                                     .kind = (enum object_kind)entry->kind,
                                     .id = id,
                                     .id_length = entry->hh.keylen,
                                     .value = value_hold(value)};
    return true;
}

/* What Asterisk has and the state has not, or otherwise. */
static bool next_found(struct state_link *link, struct state_difference *out)
{
    struct state_entry *entry = link->differing;
    bool is_filled =
        fill(link, entry, entry->value == NULL ? STATE_NEW : STATE_CHANGED, entry->found, out);
    state_entry_unplace(entry);
    state_entry_settle(entry); /* the event that tells of it brings it in */
    return is_filled;
}

enum state_compare_found state_compare_next(struct state_link *link, unsigned entries,
                                            struct state_difference *out)
{
    if (link == NULL) {
        return STATE_COMPARE_DONE;
    }
    if (!link->is_telling) {
        link->is_telling = true;
        open_cursor(link, 0);
    }
    for (unsigned i = 0; i < entries; i++) {
        if (link->differing != NULL) {
            if (next_found(link, out)) {
                return STATE_COMPARE_DIFFERS;
            }
            continue;
        }
        if (link->cursor.kind >= OBJECT_KINDS) {
            return STATE_COMPARE_DONE;
        }
        const struct state_entry *entry = cursor_next(link);
        if (entry != NULL && is_lost(link, entry) &&
            fill(link, entry, STATE_LOST, entry->value, out)) {
            return STATE_COMPARE_DIFFERS;
        }
    }
    return STATE_COMPARE_ON;
}

void state_compare_end(struct state_link *link, bool is_whole)
{
    if (link == NULL) {
        return;
    }
    link->is_compared = is_whole;
    set_reading(link, false);
    link->is_telling = false;
    link->cursor = (struct state_cursor){.kind = OBJECT_KINDS};
    while (link->differing != NULL) {
        struct state_entry *entry = link->differing;
        state_entry_unplace(entry);
        state_entry_settle(entry);
    }
}
