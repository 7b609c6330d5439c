/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Where a state keeps its objects: by kind and id, and there by who tells of them. state.c decides
 * what becomes of them. Everything in it counts towards max_bytes; what has ended leaves first
 * where room is wanted.
 */
#define HASH_NONFATAL_OOM 1
#include <stdlib.h>
#include <string.h>

#include <uthash.h>
#include <utlist.h>

#include "arizmq/error.h"
#include "client/state_private.h"

/* What malloc() takes beside what is asked for, about. */
enum { MALLOC_BYTES = 16 };

struct shelf_place {
    UT_hash_handle hh;
    struct shelf_entry *entries;
    size_t key_length;
    char key[]; /* a byte for the kind, and the id with a NUL */
};

static size_t entry_bytes(const struct shelf_entry *entry)
{
    return sizeof *entry + strlen(entry->node) + strlen(entry->app) + 2 + 3 * MALLOC_BYTES;
}

static size_t place_bytes(const struct shelf_place *place)
{
    return sizeof *place + sizeof(UT_hash_bucket) + place->key_length + 1 + MALLOC_BYTES;
}

static enum object_kind kind_of(const struct shelf_place *place)
{
    return (enum object_kind)place->key[0];
}

static struct shelf_place *find_place(const struct shelf *self, enum object_kind kind,
                                      struct span id)
{
    char key[1024];
    struct shelf_place *place = NULL;
    if (id.length < sizeof key) {
        key[0] = (char)kind;
        memcpy(key + 1, id.bytes, id.length);
        HASH_FIND(hh, self->places, key, id.length + 1, place);
    }
    return place;
}

static bool is_told_by(const struct shelf_entry *entry, const struct shelf_teller *teller)
{
    return entry->endpoint == teller->endpoint && strcmp(entry->node, teller->node) == 0 &&
           strcmp(entry->app, teller->app) == 0;
}

static struct shelf_entry *find_told_by(const struct shelf_place *place,
                                        const struct shelf_teller *teller)
{
    struct shelf_entry *entry = place == NULL ? NULL : place->entries;
    while (entry != NULL && !is_told_by(entry, teller)) {
        entry = entry->next;
    }
    return entry;
}

struct shelf_entry *shelf_find(const struct shelf *self, enum object_kind kind, struct span id,
                               const struct shelf_teller *teller)
{
    return find_told_by(find_place(self, kind, id), teller);
}

static bool has_room(const struct shelf *self, size_t bytes)
{
    return bytes <= self->max_bytes && self->bytes <= self->max_bytes - bytes;
}

/* Lets what has ended go until there is room. `keep` stays. */
static int make_room(struct shelf *self, size_t entries, size_t bytes,
                     const struct shelf_entry *keep)
{
    while (!has_room(self, bytes) || self->entries + entries > self->max_objects) {
        if (self->ended == NULL || self->ended == keep) {
            return ARIZMQ_ETOOLARGE;
        }
        shelf_remove(self, self->ended);
    }
    return ARIZMQ_OK;
}

static struct shelf_place *add_place(struct shelf *self, enum object_kind kind, struct span id)
{
    struct shelf_place *place = malloc(sizeof *place + id.length + 2);
    if (place == NULL) {
        return NULL;
    }
    *place = (struct shelf_place){.key_length = id.length + 1};
    place->key[0] = (char)kind;
    memcpy(place->key + 1, id.bytes, id.length);
    place->key[id.length + 1] = '\0';
    HASH_ADD_KEYPTR(hh, self->places, place->key, place->key_length, place);
    if (place->hh.tbl == NULL) {
        free(place);
        return NULL;
    }
    self->bytes += place_bytes(place);
    return place;
}

static void drop_place_if_empty(struct shelf *self, struct shelf_place *place)
{
    if (place->entries == NULL) {
        self->bytes -= place_bytes(place);
        HASH_DEL(self->places, place);
        free(place);
    }
}

static struct shelf_entry *make_entry(const struct shelf_teller *teller)
{
    struct shelf_entry *entry = calloc(1, sizeof *entry);
    if (entry == NULL) {
        return NULL;
    }
    entry->endpoint = teller->endpoint;
    entry->node = strdup(teller->node);
    entry->app = strdup(teller->app);
    if (entry->node == NULL || entry->app == NULL) {
        free(entry->node);
        free(entry->app);
        free(entry);
        return NULL;
    }
    return entry;
}

static void free_entry(struct shelf_entry *entry)
{
    free(entry->node);
    free(entry->app);
    free(entry->value);
    free(entry);
}

int shelf_obtain(struct shelf *self, enum object_kind kind, struct span id,
                 const struct shelf_teller *teller, struct shelf_entry **out)
{
    *out = shelf_find(self, kind, id, teller);
    if (*out != NULL) {
        return ARIZMQ_OK;
    }
    struct shelf_entry *entry = make_entry(teller);
    if (entry == NULL) {
        return ARIZMQ_ENOMEM;
    }
    int rc = make_room(self, 1, entry_bytes(entry) + sizeof(struct shelf_place) + id.length, NULL);
    struct shelf_place *place = rc == ARIZMQ_OK ? find_place(self, kind, id) : NULL;
    if (rc == ARIZMQ_OK && place == NULL) {
        place = add_place(self, kind, id);
        rc = place == NULL ? ARIZMQ_ENOMEM : ARIZMQ_OK;
    }
    if (rc != ARIZMQ_OK) {
        free_entry(entry);
        return rc;
    }
    entry->place = place;
    DL_APPEND(place->entries, entry);
    self->entries++;
    self->bytes += entry_bytes(entry);
    /* Without a value it counts as ended; as long ago as can be. */
    DL_APPEND2(self->ended, entry, ended_prev, ended_next);
    *out = entry;
    return ARIZMQ_OK;
}

static void drop_value(struct shelf *self, struct shelf_entry *entry)
{
    if (entry->value != NULL) {
        self->count[kind_of(entry->place)]--;
        self->bytes -= entry->value_length + MALLOC_BYTES;
        free(entry->value);
        entry->value = NULL;
        DL_APPEND2(self->ended, entry, ended_prev, ended_next);
    }
}

void shelf_remove(struct shelf *self, struct shelf_entry *entry)
{
    struct shelf_place *place = entry->place;
    drop_value(self, entry);
    DL_DELETE2(self->ended, entry, ended_prev, ended_next);
    DL_DELETE(place->entries, entry);
    self->entries--;
    self->bytes -= entry_bytes(entry);
    free_entry(entry);
    drop_place_if_empty(self, place);
}

int shelf_set(struct shelf *self, struct shelf_entry *entry, struct span value)
{
    drop_value(self, entry);
    DL_DELETE2(self->ended, entry, ended_prev, ended_next); /* all others leave before it */
    DL_APPEND2(self->ended, entry, ended_prev, ended_next);
    int rc = make_room(self, 0, value.length + MALLOC_BYTES, entry);
    char *copy = rc == ARIZMQ_OK ? malloc(value.length + 1) : NULL;
    if (copy == NULL) {
        shelf_remove(self, entry);
        return rc == ARIZMQ_OK ? ARIZMQ_ENOMEM : rc;
    }
    memcpy(copy, value.bytes, value.length);
    copy[value.length] = '\0';
    DL_DELETE2(self->ended, entry, ended_prev, ended_next);
    entry->value = copy;
    entry->value_length = value.length;
    entry->ended_ns = 0;
    entry->is_over = false;
    self->bytes += value.length + MALLOC_BYTES;
    self->count[kind_of(entry->place)]++;
    return ARIZMQ_OK;
}

void shelf_end(struct shelf *self, struct shelf_entry *entry, uint64_t received_ns)
{
    drop_value(self, entry);
    DL_DELETE2(self->ended, entry, ended_prev, ended_next);
    DL_APPEND2(self->ended, entry, ended_prev, ended_next);
    entry->ended_ns = received_ns;
    entry->is_over = false;
}

bool shelf_is_outdated(const struct shelf_entry *entry, const struct arizmq_stamp *stamp)
{
    return entry != NULL && entry->epoch == stamp->epoch && entry->seq > stamp->seq;
}

void shelf_draw_line(struct shelf *self, const struct shelf_teller *teller,
                     const struct arizmq_stamp *stamp, bool ends_all)
{
    for (struct shelf_place *place = self->places; place != NULL; place = place->hh.next) {
        struct shelf_entry *entry = find_told_by(place, teller);
        if (entry == NULL || shelf_is_outdated(entry, stamp)) {
            continue;
        }
        if (ends_all) {
            shelf_end(self, entry, stamp->received_ns);
            entry->epoch = stamp->epoch;
            entry->seq = stamp->seq;
        }
        entry->is_over = entry->value == NULL;
    }
}

void shelf_forget_ended(struct shelf *self, uint64_t before_ns)
{
    while (self->ended != NULL && self->ended->ended_ns < before_ns) {
        shelf_remove(self, self->ended);
    }
}

static void clear_if(struct shelf *self, bool is_all, unsigned endpoint)
{
    struct shelf_place *place = self->places;
    while (place != NULL) {
        struct shelf_place *next = place->hh.next;
        struct shelf_entry *entry = place->entries;
        while (entry != NULL) {
            struct shelf_entry *after = entry->next;
            if (is_all || entry->endpoint == endpoint) {
                shelf_remove(self, entry); /* with the last one the place goes */
            }
            entry = after;
        }
        place = next;
    }
}

void shelf_clear_endpoint(struct shelf *self, unsigned endpoint)
{
    clear_if(self, false, endpoint);
}

void shelf_clear(struct shelf *self)
{
    clear_if(self, true, 0);
}

void shelf_write(const struct shelf_entry *entry, struct arizmq_object *out)
{
    *out = (struct arizmq_object){.kind = object_kind_names[kind_of(entry->place)],
                                  .id = entry->place->key + 1,
                                  .node = entry->node,
                                  .app = entry->app,
                                  .value = entry->value,
                                  .value_length = entry->value_length,
                                  .epoch = entry->epoch,
                                  .seq = entry->seq,
                                  .endpoint = entry->endpoint};
}

static bool is_newer(const struct shelf_entry *entry, const struct shelf_entry *than)
{
    return than == NULL || entry->epoch > than->epoch ||
           (entry->epoch == than->epoch && entry->seq > than->seq);
}

const struct shelf_entry *shelf_find_newest(const struct shelf *self, enum object_kind kind,
                                            struct span id, const char *node, const char *app)
{
    const struct shelf_place *place = find_place(self, kind, id);
    const struct shelf_entry *newest = NULL;
    const struct shelf_entry *entry = place == NULL ? NULL : place->entries;
    for (; entry != NULL; entry = entry->next) {
        bool fits = entry->value != NULL && (node == NULL || strcmp(entry->node, node) == 0) &&
                    (app == NULL || strcmp(entry->app, app) == 0);
        if (fits && is_newer(entry, newest)) {
            newest = entry;
        }
    }
    return newest;
}

int shelf_each(const struct shelf *self, enum object_kind kind,
               int (*visit)(void *argument, const struct arizmq_object *object), void *argument)
{
    const struct shelf_place *place = self->places;
    for (; place != NULL; place = place->hh.next) {
        if (kind != OBJECT_KINDS && kind_of(place) != kind) {
            continue;
        }
        const struct shelf_entry *entry = place->entries;
        for (; entry != NULL; entry = entry->next) {
            struct arizmq_object object;
            shelf_write(entry, &object);
            int rc = entry->value == NULL ? 0 : visit(argument, &object);
            if (rc != 0) {
                return rc;
            }
        }
    }
    return 0;
}
