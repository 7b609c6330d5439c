/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Copy on write, object by object. walker.c drives it in the loop; state_link.c calls
 * state_walk_pass() before anything changes.
 */
#include "keep/state_walk.h"

#include <assert.h>
#include <string.h>

#include <utlist.h>

#include "arizmq/error.h"
#include "keep/state_private.h"

static bool is_wanted(const struct state_link *link, const char *node, const char *application)
{
    return (node == NULL || strcmp(node, link->node) == 0) &&
           (application == NULL || strcmp(application, link->application) == 0);
}

static int add_link(struct snapshot *snapshot, struct state_link *link)
{
    link->walk_number = snapshot->links_count++;
    snapshot->links[link->walk_number] = (struct snapshot_link){
        .node = strdup(link->node),
        .application = strdup(link->application),
        .hears_all = link->hears_all,
        .is_up = link->is_up,
        .is_complete = state_is_complete(link),
    };
    const struct snapshot_link *added = &snapshot->links[link->walk_number];
    return added->node != NULL && added->application != NULL ? ARIZMQ_OK : ARIZMQ_ENOMEM;
}

/* Where the walk goes on when it has come to `link`, or to the end. */
static void come_to(struct state *state, struct state_link *link)
{
    state->walk_link = link;
    state->walk_cursor = (struct state_cursor){.kind = 0, .entry = NULL};
    if (link != NULL) {
        state->walk_cursor.entry = state_last_entry(link, 0);
    }
}

int state_walk_begin(struct state *self, unsigned kinds, const char *node, const char *application,
                     uint64_t seq)
{
    if (self->snapshot != NULL) {
        return ARIZMQ_ETOOLARGE;
    }
    unsigned links = 0;
    struct state_link *link = NULL;
    DL_COUNT(self->links, link, links);
    struct snapshot *snapshot = snapshot_create(links, self->objects);
    int result = snapshot != NULL ? ARIZMQ_OK : ARIZMQ_ENOMEM;
    DL_FOREACH(self->links, link)
    {
        link->is_walked = is_wanted(link, node, application);
        if (result == ARIZMQ_OK && link->is_walked) {
            result = add_link(snapshot, link);
        }
    }
    if (result != ARIZMQ_OK) {
        snapshot_destroy(&snapshot);
        return result;
    }
    snapshot->seq = seq;
    self->snapshot = snapshot;
    self->walk++;
    self->walk_kinds = kinds;
    come_to(self, self->links);
    return ARIZMQ_OK;
}

void state_walk_pass(struct state_entry *entry)
{
    struct state_link *link = entry->link;
    struct state *state = link->state;
    if (entry->walk == state->walk) {
        return;
    }
    entry->walk = state->walk;
    struct snapshot *snapshot = state->snapshot;
    if (snapshot != NULL && link->is_walked && entry->value != NULL &&
        (state->walk_kinds & 1U << entry->kind) != 0) {
        snapshot->bytes += value_text(entry->value).length;
        snapshot->items[snapshot->count++] = (struct snapshot_item){
            .value = value_hold(entry->value), .link = link->walk_number, .kind = entry->kind};
    }
}

/* One step: an entry, a kind or a link. */
static void step(struct state *state)
{
    struct state_link *link = state->walk_link;
    struct state_cursor *cursor = &state->walk_cursor;
    if (cursor->entry != NULL) {
        struct state_entry *entry = cursor->entry;
        cursor->entry = state_entry_before(entry);
        state_walk_pass(entry);
    } else if (link->is_walked && cursor->kind + 1 < OBJECT_KINDS) {
        cursor->kind++;
        cursor->entry = (state->walk_kinds & 1U << cursor->kind) != 0
                            ? state_last_entry(link, cursor->kind)
                            : NULL;
    } else {
        come_to(state, link->next);
    }
}

struct snapshot *state_walk_on(struct state *self, unsigned entries)
{
    assert(self->snapshot != NULL);
    for (unsigned i = 0; i < entries && self->walk_link != NULL; i++) {
        step(self);
    }
    if (self->walk_link != NULL) {
        return NULL;
    }
    struct snapshot *snapshot = self->snapshot;
    self->snapshot = NULL;
    return snapshot;
}

void state_walk_abort(struct state *self)
{
    snapshot_destroy(&self->snapshot);
}

void state_walk_leave_entry(struct state *self, const struct state_entry *entry)
{
    if (self->walk_cursor.entry == entry) {
        self->walk_cursor.entry = state_entry_before(entry);
    }
}

void state_walk_leave_link(struct state *self, const struct state_link *link)
{
    if (self->walk_link == link) {
        come_to(self, link->next);
    }
}
