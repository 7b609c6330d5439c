/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Reading history, in any thread, while it is being written and dropped. A reader holds one segment
 * at a time; how it does that without a lock stands in history_private.h. The gateway and the
 * journal call it.
 */
#include <stdlib.h>

#include "arizmq/error.h"
#include "keep/history_private.h"

struct history_reader {
    struct history *history;
    unsigned slot;                   /* of history->pins */
    struct history_segment *segment; /* announced there, and not freed; NULL: stands nowhere */
    size_t at;                       /* of the next record in it */
    uint64_t expected;               /* its seq, if there is no hole */
    struct history_event event;
    const struct history_record *record; /* of `event`; NULL: it is a hole */
    unsigned item;                       /* the message that item_at is of */
    size_t item_at;
};

int history_reader_create(struct history *history, struct history_reader **out)
{
    struct history_reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL) {
        return ARIZMQ_ENOMEM;
    }
    reader->history = history;
    for (unsigned i = 0; i < HISTORY_READERS_MAX; i++) {
        if (!atomic_exchange(&history->is_taken[i], true)) {
            reader->slot = i;
            *out = reader;
            return ARIZMQ_OK;
        }
    }
    free(reader);
    return ARIZMQ_ETOOLARGE;
}

void history_reader_destroy(struct history_reader **self)
{
    if (*self == NULL) {
        return;
    }
    history_reader_rest(*self);
    atomic_store(&(*self)->history->is_taken[(*self)->slot], false);
    free(*self);
    *self = NULL;
}

void history_reader_rest(struct history_reader *self)
{
    self->segment = NULL;
    self->record = NULL;
    atomic_store(&self->history->pins[self->slot], NULL);
}

/* Announces `segment`, which has that number. False: it has been dropped, and may be freed. */
static bool hold(struct history_reader *self, struct history_segment *segment, uint64_t number)
{
    atomic_store(&self->history->pins[self->slot], segment);
    return atomic_load(&self->history->head_number) <= number;
}

/* The last segment is never dropped. */
static struct history_segment *hold_tail(struct history_reader *self)
{
    struct history_segment *tail = atomic_load(&self->history->tail);
    for (;;) {
        atomic_store(&self->history->pins[self->slot], tail);
        struct history_segment *again = atomic_load(&self->history->tail);
        if (again == tail) {
            return tail;
        }
        tail = again;
    }
}

/* The last segment that begins at or before `position`, held; the first one where none does. NULL:
 * it was dropped under the search. */
static struct history_segment *find_segment(struct history_reader *self, uint64_t position)
{
    struct history_segment *segment = hold_tail(self);
    /* What has no event yet has HISTORY_NO_SEQ, which is above every position. */
    while (atomic_load_explicit(&segment->first_seq, memory_order_acquire) > position) {
        uint64_t number = segment->number;
        struct history_segment *before = segment->prev;
        if (atomic_load(&self->history->head_number) >= number) {
            break;
        }
        if (!hold(self, before, number - 1)) {
            return NULL;
        }
        segment = before;
    }
    return segment;
}

int history_reader_seek(struct history_reader *self, uint64_t after)
{
    uint64_t position = after + 1;
    struct history_segment *segment = NULL;
    /* Once more after a segment was found: if the one before it has gone, `position` may have been
     * in that. */
    while (after != UINT64_MAX && position >= history_oldest(self->history)) {
        if (segment != NULL) {
            self->segment = segment;
            self->at = 0;
            self->expected = position;
            return ARIZMQ_OK;
        }
        segment = find_segment(self, position);
    }
    history_reader_rest(self);
    return ARIZMQ_ENOTFOUND;
}

static const struct history_event *give_hole(struct history_reader *self)
{
    self->record = NULL;
    self->event = (struct history_event){.seq = self->expected++};
    return &self->event;
}

static const struct history_event *give_record(struct history_reader *self,
                                               const struct history_record *record)
{
    self->record = record;
    self->item = 0;
    self->item_at = sizeof *record;
    self->at += record->length;
    self->expected = record->seq + 1;
    self->event = (struct history_event){.seq = record->seq,
                                         .received_ns = record->received_ns,
                                         .payload = (zmq_msg_t *)&record->payload,
                                         .messages = record->messages};
    return &self->event;
}

/* The first record from where the reader stands in its segment that is not before the one expected;
 * NULL: there is none yet. */
static const struct history_record *record_here(struct history_reader *self)
{
    size_t end = atomic_load_explicit(&self->segment->committed, memory_order_acquire);
    while (self->at < end) {
        const struct history_record *record =
            (const struct history_record *)(const void *)(self->segment->records + self->at);
        if (record->seq >= self->expected) {
            return record;
        }
        self->at += record->length;
    }
    return NULL;
}

int history_reader_next(struct history_reader *self, const struct history_event **out)
{
    if (self->segment == NULL) {
        return ARIZMQ_ENOTFOUND;
    }
    /* In this order: what is found missing below `newest` afterwards is a hole. */
    uint64_t newest = history_newest(self->history);
    for (;;) {
        struct history_segment *next =
            atomic_load_explicit(&self->segment->next, memory_order_acquire);
        const struct history_record *record = record_here(self);
        if (record != NULL) {
            *out = record->seq > self->expected ? give_hole(self) : give_record(self, record);
            return ARIZMQ_OK;
        }
        if (next == NULL) {
            *out = self->expected <= newest ? give_hole(self) : NULL;
            return ARIZMQ_OK;
        }
        if (hold(self, next, self->segment->number + 1)) {
            self->segment = next;
            self->at = 0;
        } else if (history_reader_seek(self, self->expected - 1) != ARIZMQ_OK) {
            return ARIZMQ_ENOTFOUND;
        }
    }
}

void history_reader_message(struct history_reader *self, unsigned i, struct history_message *out)
{
    const unsigned char *bytes = (const unsigned char *)self->record;
    if (i < self->item) {
        self->item = 0;
        self->item_at = sizeof *self->record;
    }
    const struct history_item *item = (const void *)(bytes + self->item_at);
    for (; self->item < i; self->item++) {
        self->item_at += item->length;
        item = (const void *)(bytes + self->item_at);
    }
    const uint64_t *count = (const uint64_t *)(const void *)(item + 1);
    *out = (struct history_message){
        .view = item->view,
        .topic = {(const char *)(count + item->counts), item->topic_length},
        .count = count,
        .counts = item->counts};
}
