/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Gathers what one transaction writes. journal.c fills it from history, journal_store.c writes it.
 * No position is left out: what is no event in it is part of a hole.
 */
#include "keep/journal_batch.h"

#include <assert.h>
#include <stdlib.h>

#include "arizmq/error.h"

#define JOURNAL_REASON_WORD(identifier, word) [JOURNAL_##identifier] = (word),
static const char *const words[] = {JOURNAL_REASONS(JOURNAL_REASON_WORD)};
#undef JOURNAL_REASON_WORD

const char *journal_reason_word(enum journal_reason reason)
{
    return words[reason];
}

int journal_batch_create(uint64_t max_bytes, struct journal_batch **out)
{
    struct journal_batch *batch = calloc(1, sizeof *batch);
    if (batch == NULL) {
        return ARIZMQ_ENOMEM;
    }
    batch->max_bytes = max_bytes;
    batch->events = calloc(JOURNAL_BATCH_EVENTS_MAX, sizeof *batch->events);
    if (batch->events == NULL) {
        free(batch);
        return ARIZMQ_ENOMEM;
    }
    *out = batch;
    return ARIZMQ_OK;
}

void journal_batch_destroy(struct journal_batch **self)
{
    if (*self != NULL) {
        journal_batch_clear(*self, 0);
        free((*self)->pack.bytes);
        free((*self)->events);
        free(*self);
        *self = NULL;
    }
}

void journal_batch_clear(struct journal_batch *self, uint64_t last)
{
    for (unsigned i = 0; i < self->events_count; i++) {
        zmq_msg_close(&self->events[i].payload);
    }
    self->events_count = 0;
    self->holes_count = 0;
    self->pack.length = 0;
    self->bytes = 0;
    self->last = last;
}

bool journal_batch_has_room(const struct journal_batch *self)
{
    /* An event may bring one hole before it and become one itself. */
    return self->events_count < JOURNAL_BATCH_EVENTS_MAX &&
           self->holes_count + 2 <= JOURNAL_BATCH_HOLES_MAX && self->bytes < self->max_bytes;
}

int journal_batch_add(struct journal_batch *self, uint64_t seq, uint64_t received_ns,
                      zmq_msg_t *payload, enum journal_reason before)
{
    assert(journal_batch_has_room(self) && seq > self->last);
    struct journal_event *event = &self->events[self->events_count];
    *event = (struct journal_event){
        .seq = seq, .received_ns = received_ns, .messages_at = self->pack.length};
    zmq_msg_init(&event->payload);
    if (zmq_msg_copy(&event->payload, payload) != 0) {
        return ARIZMQ_ENOMEM;
    }
    if (seq > self->last + 1) {
        journal_batch_add_hole(self, seq - 1, before);
    }
    self->events_count++;
    self->bytes += zmq_msg_size(payload);
    self->last = seq;
    return ARIZMQ_OK;
}

int journal_batch_add_message(struct journal_batch *self, unsigned view, struct span topic,
                              const uint64_t *count, unsigned counts)
{
    struct journal_event *event = &self->events[self->events_count - 1];
    int result = journal_pack_add(&self->pack, view, topic, count, counts);
    self->bytes += self->pack.length - event->messages_at - event->messages_bytes;
    event->messages_bytes = self->pack.length - event->messages_at;
    return result;
}

void journal_batch_lose(struct journal_batch *self, enum journal_reason reason)
{
    struct journal_event *event = &self->events[--self->events_count];
    self->bytes -= zmq_msg_size(&event->payload) + event->messages_bytes;
    self->pack.length = event->messages_at;
    self->last--;
    zmq_msg_close(&event->payload);
    journal_batch_add_hole(self, event->seq, reason);
}

void journal_batch_add_hole(struct journal_batch *self, uint64_t through,
                            enum journal_reason reason)
{
    assert(through > self->last);
    struct journal_hole *before =
        self->holes_count > 0 ? &self->holes[self->holes_count - 1] : NULL;
    if (before != NULL && before->last == self->last && before->reason == reason) {
        before->last = through;
    } else {
        assert(self->holes_count < JOURNAL_BATCH_HOLES_MAX);
        self->holes[self->holes_count++] = (struct journal_hole){self->last + 1, through, reason};
    }
    self->last = through;
}
