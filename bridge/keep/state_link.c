/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The tables of a link, one for each kind, and what an entry costs. state.c folds events into them;
 * one look-up and one copy for each object, and no allocation where the new text fits where the old
 * one is.
 */
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "base/hash.h"
#include "keep/state_private.h"
#include "ops/metrics.h"

/* What malloc() and uthash's buckets take for an entry, beside its own bytes. */
enum { ENTRY_OVERHEAD_BYTES = 16 + sizeof(UT_hash_bucket) };

static size_t entry_size(size_t id_length)
{
    return sizeof(struct state_entry) + id_length + ENTRY_OVERHEAD_BYTES;
}

/* Asterisk sends nothing about an object so long after the last word on it (measured: within
 * milliseconds). The same bound stands in the README for whoever folds. */
static const uint64_t late_within_ns = 10000000000U;

/* --- room */

void state_leave_out(struct state_link *link)
{
    link->has_left_out = true;
    metrics_add(METRIC_STATE_LEFT_OUT, 1);
}

/* Lets go what can best be done without: what has ended, then the device that was told of longest
 * ago, since devices are many, never end, and have no list that would bring others back. */
static bool make_room(struct state *state)
{
    if (state->ended != NULL) {
        struct state_link *link = state->ended->link;
        link->has_left_out = link->has_left_out || link->is_reading;
        state_entry_remove(state->ended);
        return true;
    }
    if (state->devices != NULL) {
        metrics_add(METRIC_STATE_EVICTED, 1);
        state_entry_remove(state->devices);
        return true;
    }
    return false;
}

static bool has_room(const struct state *state, size_t size)
{
    return size <= state->config.max_bytes && state->bytes <= state->config.max_bytes - size;
}

bool state_take_room(struct state_link *link, size_t size)
{
    struct state *state = link->state;
    while (!has_room(state, size)) {
        if (size > state->config.max_bytes || !make_room(state)) {
            state_leave_out(link);
            return false;
        }
    }
    state->bytes += size;
    metrics_set(METRIC_STATE_BYTES, state->bytes);
    return true;
}

void state_give_room(struct state *self, size_t size)
{
    self->bytes -= size;
    metrics_set(METRIC_STATE_BYTES, self->bytes);
}

static void count_objects(struct state *state, int change)
{
    state->objects += (uint32_t)change;
    metrics_set(METRIC_STATE_OBJECTS, state->objects);
}

/* --- places */

static struct state_entry **list_of(const struct state_entry *entry)
{
    switch ((enum state_place)entry->place) {
    case STATE_AMONG_ENDED:
        return &entry->link->state->ended;
    case STATE_AMONG_DEVICES:
        return &entry->link->state->devices;
    case STATE_AMONG_DIFFERING:
        return &entry->link->differing;
    case STATE_NOWHERE:
        break;
    }
    return NULL;
}

static void place(struct state_entry *entry, enum state_place place)
{
    entry->place = (uint8_t)place;
    struct state_entry **list = list_of(entry);
    DL_APPEND(*list, entry);
}

void state_entry_unplace(struct state_entry *entry)
{
    struct state_entry **list = list_of(entry);
    if (list != NULL) {
        DL_DELETE(*list, entry);
        entry->place = STATE_NOWHERE;
    }
    if (entry->found != NULL) {
        state_give_room(entry->link->state, value_size(entry->found));
        value_release(&entry->found);
    }
}

void state_entry_settle(struct state_entry *entry)
{
    if (entry->value == NULL) {
        state_entry_remove(entry);
    } else if (entry->kind == OBJECT_DEVICE) {
        place(entry, STATE_AMONG_DEVICES);
    }
}

void state_entry_differ(struct state_entry *entry, struct value *found)
{
    entry->found = found;
    place(entry, STATE_AMONG_DIFFERING);
}

/* --- entries */

static unsigned hash_id(const struct state *state, struct span id)
{
    uint64_t hash = hash_fnv1a(hash_fnv1a_start ^ state->seed, id.bytes, id.length);
    return (unsigned)(hash ^ hash >> 32);
}

struct state_entry *state_entry_find(const struct state_link *link, enum object_kind kind,
                                     struct span id)
{
    struct state_entry *entry = NULL;
    HASH_FIND_BYHASHVALUE(hh, link->by_id[kind], id.bytes, id.length, hash_id(link->state, id),
                          entry);
    return entry;
}

struct state_entry *state_entry_add(struct state_link *link, enum object_kind kind, struct span id)
{
    struct state *state = link->state;
    while (state->entries >= state->config.max_objects) {
        if (!make_room(state)) {
            state_leave_out(link);
            return NULL;
        }
    }
    if (!state_take_room(link, entry_size(id.length))) {
        return NULL;
    }
    struct state_entry *entry = malloc(sizeof *entry + id.length);
    if (entry != NULL) {
        *entry = (struct state_entry){.link = link, .kind = (uint8_t)kind, .walk = state->walk};
        memcpy(entry->id, id.bytes, id.length);
        HASH_ADD_KEYPTR_BYHASHVALUE(hh, link->by_id[kind], entry->id, id.length, hash_id(state, id),
                                    entry);
        if (entry->hh.tbl != NULL) {
            state->entries++;
            return entry;
        }
        free(entry);
    }
    state_give_room(state, entry_size(id.length));
    state_leave_out(link);
    return NULL;
}

static void drop_value(struct state_entry *entry)
{
    if (entry->value != NULL) {
        struct state *state = entry->link->state;
        state_give_room(state, value_size(entry->value));
        value_release(&entry->value);
        count_objects(state, -1);
    }
}

struct value *state_make_value(struct state_link *link, struct span text)
{
    size_t size = value_size_for(text.length);
    if (!state_take_room(link, size)) {
        return NULL;
    }
    struct value *value = value_create(text);
    if (value == NULL) {
        state_give_room(link->state, size);
        state_leave_out(link);
    }
    return value;
}

void state_entry_set(struct state_entry *entry, struct span text, uint64_t seq)
{
    state_walk_pass(entry);
    state_entry_unplace(entry);
    entry->seq = seq;
    if (entry->value == NULL || !value_rewrite(entry->value, text)) {
        drop_value(entry);
        entry->value = state_make_value(entry->link, text);
        count_objects(entry->link->state, entry->value != NULL ? 1 : 0);
    }
    state_entry_settle(entry);
}

void state_entry_end(struct state_entry *entry, uint64_t seq, uint64_t received_ns)
{
    state_walk_pass(entry);
    state_entry_unplace(entry);
    drop_value(entry);
    entry->seq = seq;
    entry->ended_ns = received_ns;
    place(entry, STATE_AMONG_ENDED);
}

void state_entry_remove(struct state_entry *entry)
{
    struct state_link *link = entry->link;
    state_walk_pass(entry);
    state_walk_leave_entry(link->state, entry);
    if (link->cursor.entry == entry) {
        link->cursor.entry = state_entry_before(entry);
    }
    state_entry_unplace(entry);
    drop_value(entry);
    state_give_room(link->state, entry_size(entry->hh.keylen));
    link->state->entries--;
    HASH_DEL(link->by_id[entry->kind], entry);
    free(entry);
}

bool state_is_late(const struct state_entry *entry, uint64_t received_ns)
{
    return entry->place == STATE_AMONG_ENDED &&
           (received_ns < entry->ended_ns || received_ns - entry->ended_ns < late_within_ns);
}

void state_doubt(struct state_link *link)
{
    if (link != NULL) {
        link->has_left_out = true;
    }
}

void state_gap(struct state_link *link)
{
    struct state_entry *entry = NULL;
    struct state_entry *next = NULL;
    DL_FOREACH_SAFE(link != NULL ? link->state->ended : NULL, entry, next)
    {
        if (entry->link == link) {
            state_entry_remove(entry);
        }
    }
}

void state_leave(struct state_link *link)
{
    for (unsigned kind = 0; link != NULL && kind < OBJECT_KINDS; kind++) {
        while (link->by_id[kind] != NULL) {
            state_entry_remove(link->by_id[kind]);
        }
    }
    state_doubt(link);
}

/* One event ends two objects at the most, so that the list cannot grow by this. */
void state_forget_ended(struct state *self, uint64_t received_ns)
{
    enum { FORGOTTEN_MAX = 2 };
    for (unsigned i = 0; i < FORGOTTEN_MAX && self->ended != NULL && self->reading == 0 &&
                         !state_is_late(self->ended, received_ns);
         i++) {
        state_entry_remove(self->ended);
    }
}

/* uthash keeps the entries in the order in which they were added. */
struct state_entry *state_last_entry(const struct state_link *link, unsigned kind)
{
    struct state_entry *head = link->by_id[kind];
    return head != NULL ? ELMT_FROM_HH(head->hh.tbl, head->hh.tbl->tail) : NULL;
}

struct state_entry *state_entry_before(const struct state_entry *entry)
{
    return entry->hh.prev;
}

/* --- life */

static struct state_link *find_link(const struct state *state, const char *node,
                                    const char *application)
{
    struct state_link *link = NULL;
    DL_FOREACH(state->links, link)
    {
        if (strcmp(link->node, node) == 0 && strcmp(link->application, application) == 0) {
            return link;
        }
    }
    return NULL;
}

static void free_link(struct state_link *link)
{
    free(link->node);
    free(link->application);
    free(link);
}

struct state_link *state_open(struct state *self, const char *node, const char *application,
                              bool hears_all)
{
    struct state_link *link = find_link(self, node, application);
    if (link != NULL) {
        link->users++;
        link->hears_all = hears_all;
        return link;
    }
    link = calloc(1, sizeof *link);
    if (link == NULL) {
        return NULL;
    }
    link->state = self;
    link->users = 1;
    link->hears_all = hears_all;
    link->cursor.kind = OBJECT_KINDS;
    link->node = strdup(node);
    link->application = strdup(application);
    if (link->node == NULL || link->application == NULL) {
        free_link(link);
        return NULL;
    }
    DL_APPEND(self->links, link);
    return link;
}

void state_close(struct state_link **link)
{
    struct state_link *closed = *link;
    *link = NULL;
    if (closed == NULL || --closed->users > 0) {
        return;
    }
    state_compare_end(closed, false);
    state_leave(closed);
    state_walk_leave_link(closed->state, closed);
    DL_DELETE(closed->state->links, closed);
    free_link(closed);
}

void state_set_hears_all(struct state_link *link, bool hears_all)
{
    if (link != NULL) {
        link->hears_all = hears_all;
    }
}

void state_set_up(struct state_link *link, bool is_up)
{
    if (link != NULL) {
        link->is_up = is_up;
        link->is_compared = link->is_compared && is_up;
    }
}

bool state_is_complete(const struct state_link *link)
{
    return link != NULL && link->is_up && link->is_compared && !link->has_left_out;
}
