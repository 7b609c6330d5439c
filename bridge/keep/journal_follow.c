/* SPDX-License-Identifier: MPL-2.0 */
/*
 * From history to disk, a batch at a time. The events of a batch are shared with history, whose
 * reader rests while the disk works. A batch that could not be written is forgotten: as long as
 * history holds its events they are read again, and after that they are a hole. So what waits for a
 * bad disk is bounded by history.max_bytes and nothing else.
 */
#include "arizmq/error.h"
#include "base/clock.h"
#include "keep/journal_private.h"
#include "ops/metrics.h"

enum {
    SEEKS_MAX = 16, /* while history trims under them */
};

bool journal_is_due(const struct journal *self, uint64_t now_ms)
{
    uint64_t oldest = history_oldest(self->history);
    uint64_t newest = history_newest(self->history);
    if (newest == self->stored || self->store == NULL) {
        return false;
    }
    if (self->trouble.is_failing) {
        return now_ms >= self->trouble.retry_at_ms;
    }
    /* Or history would let it go. */
    bool is_urgent = oldest > 1 && self->stored < oldest + (newest - oldest) / 2;
    return is_urgent || now_ms - self->committed_ms >= atomic_load(&self->commit_ms) ||
           newest - self->stored >= JOURNAL_BATCH_EVENTS_MAX / 2 || atomic_load(&self->is_stopping);
}

/* Goes to what follows position batch->last, which may become that of a hole's end. */
static bool seek(struct journal *journal, enum journal_reason reason)
{
    struct journal_batch *batch = journal->batch;
    for (int i = 0; i < SEEKS_MAX; i++) {
        if (history_reader_seek(journal->reader, batch->last) == ARIZMQ_OK) {
            return true;
        }
        uint64_t oldest = history_oldest(journal->history);
        if (oldest > batch->last + 1) {
            journal_batch_add_hole(batch, oldest - 1, reason);
        }
    }
    return false;
}

static int add_messages(struct journal *journal, const struct history_event *event)
{
    int result = ARIZMQ_OK;
    for (unsigned i = 0; i < event->messages && result == ARIZMQ_OK; i++) {
        struct history_message message;
        history_reader_message(journal->reader, i, &message);
        result = journal_batch_add_message(journal->batch, message.view, message.topic,
                                           message.count, message.counts);
    }
    return result;
}

/* False: there is no memory for it now. */
static bool add_event(struct journal *journal, const struct history_event *event,
                      enum journal_reason reason)
{
    struct journal_batch *batch = journal->batch;
    if (event->seq > batch->last + 1) {
        journal_batch_add_hole(batch, event->seq - 1, reason);
    }
    if (event->payload == NULL) {
        journal_batch_add_hole(batch, event->seq, JOURNAL_MEMORY);
        return true;
    }
    if (zmq_msg_size(event->payload) > journal_store_event_bytes(journal->store)) {
        journal_batch_add_hole(batch, event->seq, JOURNAL_TOO_LARGE);
        return true;
    }
    if (journal_batch_add(batch, event->seq, event->received_ns, event->payload, reason) !=
        ARIZMQ_OK) {
        return false;
    }
    if (add_messages(journal, event) != ARIZMQ_OK) {
        journal_batch_lose(batch, JOURNAL_MEMORY);
    }
    return true;
}

/* Fills the batch with what follows the last one. */
static void gather(struct journal *journal)
{
    struct journal_batch *batch = journal->batch;
    enum journal_reason reason =
        journal->trouble.is_failing ? journal->trouble.error.reason : JOURNAL_TRIMMED;
    const struct history_event *event = NULL;
    batch->max_bytes = journal_store_batch_bytes(journal->store);
    journal_batch_clear(batch, journal->stored);
    if (!seek(journal, reason)) {
        return;
    }
    while (journal_batch_has_room(batch) &&
           history_reader_next(journal->reader, &event) == ARIZMQ_OK && event != NULL &&
           add_event(journal, event, reason)) {
    }
    history_reader_rest(journal->reader);
}

/* Those that have been added since the last time, so that messages can name them. */
static void gather_views(struct journal *journal)
{
    unsigned count = history_views(journal->history);
    for (unsigned i = journal->run.views_count; i < count && i < HISTORY_VIEWS_MAX; i++) {
        journal->views[i] =
            (struct journal_view){.number = i,
                                  .name = history_view_name(journal->history, i),
                                  .endpoint = history_view_endpoint(journal->history, i)};
        journal->run.views_count = i + 1;
    }
}

static void count_batch(struct journal *journal)
{
    const struct journal_batch *batch = journal->batch;
    struct journal_trouble *trouble = &journal->trouble;
    for (unsigned i = 0; i < batch->holes_count; i++) {
        uint64_t missed = batch->holes[i].last - batch->holes[i].first + 1;
        metrics_add(METRIC_JOURNAL_MISSED, missed);
        trouble->missed += missed;
        trouble->last_hole = batch->holes[i];
    }
    trouble->holes += batch->holes_count;
    metrics_add(METRIC_JOURNAL_HOLES, batch->holes_count);
    metrics_add(METRIC_JOURNAL_EVENTS, batch->events_count);
    metrics_add(METRIC_JOURNAL_COMMITS, 1);
    metrics_set(METRIC_JOURNAL_STORED_SEQ, batch->last);
}

bool journal_write_batch(struct journal *self)
{
    struct journal_error error;
    gather(self);
    gather_views(self);
    if (self->batch->last == self->stored) {
        return false;
    }
    uint64_t begin_ns = clock_monotonic_ns();
    int result = journal_store_write(self->store, &self->run, self->batch, &error);
    metrics_add(METRIC_JOURNAL_COMMIT_US, (clock_monotonic_ns() - begin_ns) / 1000);
    if (result == ARIZMQ_OK) {
        self->stored = self->batch->last;
        count_batch(self);
        journal_has_written(self);
    } else {
        journal_has_failed(self, &error);
    }
    self->committed_ms = clock_monotonic_ms();
    bool has_more = result == ARIZMQ_OK && !journal_batch_has_room(self->batch);
    journal_batch_clear(self->batch, self->stored);
    return has_more;
}
