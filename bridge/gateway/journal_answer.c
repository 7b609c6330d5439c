/* SPDX-License-Identifier: MPL-2.0 */
/*
 * From a question to a page, out of the journal's database. keep/journal.c calls it between two
 * batches. The frames are those that were published; what is missing between them is told as holes
 * and never passed over.
 */
#include "gateway/journal_answer.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "arizmq/error.h"
#include "gateway/quote.h"
#include "ops/metrics.h"

enum {
    SLICE_COST_MAX = 2048, /* a few milliseconds */
    COST_OF_EVENT = 1,
    COST_OF_TAKEN = 4,
    BYTES_FOR_ONE = 4096,  /* read from disk */
    EXAMINED_MAX = 100000, /* events for one page: a rare prefix is looked for in steps */
};

void journal_answer_drop(struct journal_answer *self)
{
    if (self->question != NULL) {
        journal_question_free(self->question);
        history_page_release(&self->page);
        self->question = NULL;
    }
}

/* --- the ends of an answer */

static struct reply_position read_position(const struct journal_answer *self,
                                           const struct journal_now *now)
{
    struct reply_position position = {.epoch = history_epoch(now->history)};
    if (self->extent.epoch == 0) { /* of a run that is not known */
        position.oldest = history_oldest(now->history);
        position.newest = history_newest(now->history);
        return position;
    }
    position.epoch = self->extent.epoch;
    position.oldest = self->extent.oldest;
    position.newest = self->is_current ? history_newest(now->history) : self->extent.newest;
    position.is_of_earlier_run = !self->is_current;
    position.is_complete = self->extent.has_ended;
    return position;
}

__attribute__((format(printf, 5, 6))) static bool
refuse(struct journal_answer *self, const struct journal_now *now, struct history_answer *out,
       enum reply_error error, const char *format, ...)
{
    *out = (struct history_answer){.is_refused = true,
                                   .refusal = {.error = error},
                                   .has_position = true,
                                   .position = read_position(self, now)};
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(out->refusal.message, sizeof out->refusal.message, format, arguments);
    va_end(arguments);
    journal_answer_drop(self);
    return true;
}

static bool refuse_compacted(struct journal_answer *self, const struct journal_now *now,
                             struct history_answer *out)
{
    return refuse(self, now, out, REPLY_COMPACTED,
                  "what follows %" PRIu64
                  " is kept no longer; the oldest that can be had is %" PRIu64,
                  self->question->query.after, read_position(self, now).oldest);
}

static bool refuse_unreadable(struct journal_answer *self, const struct journal_now *now,
                              struct history_answer *out, const char *error)
{
    metrics_add(METRIC_JOURNAL_READ_FAILURES, 1);
    return refuse(self, now, out, REPLY_JOURNAL_ERROR, "the journal cannot be read now: %.400s",
                  error);
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Those holes that lie within what was looked at. */
static int add_holes(struct journal_answer *self)
{
    uint64_t after = self->question->query.after;
    int result = ARIZMQ_OK;
    for (unsigned i = 0; i < self->holes_count && result == ARIZMQ_OK; i++) {
        const struct journal_hole_row *hole = &self->holes[i];
        if (hole->first <= self->last) {
            uint64_t first = hole->first > after ? hole->first : after + 1;
            result = history_page_add_hole(&self->page, first, smaller(hole->last, self->last),
                                           hole->reason);
        }
    }
    return result;
}

/* What this run's memory has let go and its journal has not got, now or ever. */
static int add_lost(struct journal_answer *self, const struct journal_now *now)
{
    uint64_t oldest = history_oldest(now->history);
    uint64_t until = self->question->query.until;
    if (!self->is_current || self->last < now->stored || self->last + 1 >= oldest ||
        self->last >= until) {
        return ARIZMQ_OK;
    }
    uint64_t first = self->last + 1;
    self->last = smaller(oldest - 1, until);
    return history_page_add_hole(&self->page, first, self->last, journal_reason_word(now->reason));
}

static bool give_page(struct journal_answer *self, const struct journal_now *now,
                      struct history_answer *out)
{
    if (add_holes(self) != ARIZMQ_OK || add_lost(self, now) != ARIZMQ_OK) {
        return refuse(self, now, out, REPLY_OVERLOADED, "no memory: ask again");
    }
    *out = (struct history_answer){.has_position = true, .position = read_position(self, now)};
    struct reply_position *position = &out->position;
    position->is_page = true;
    position->first = self->page.first;
    position->last = self->last;
    position->count = self->page.messages;
    position->more = self->last < smaller(self->question->query.until, position->newest);
    position->holes = self->page.holes;
    position->holes_count = self->page.holes_count;
    out->page = self->page;
    self->page = (struct history_page){0};
    metrics_add(METRIC_JOURNAL_PAGES, 1);
    journal_answer_drop(self);
    return true;
}

/* --- reading */

static bool is_wanted(const struct journal_answer *self, const struct journal_message *message,
                      struct history_message *out)
{
    *out = (struct history_message){.view = message->view,
                                    .topic = message->topic,
                                    .count = message->count,
                                    .counts = message->counts};
    return message->view == self->view && history_page_wants(&self->question->query, out);
}

/* How many of an event's messages are wanted; -1: they cannot be read. */
static int count_wanted(const struct journal_answer *self, const struct journal_row *row)
{
    struct span rest = row->messages;
    struct journal_message message;
    struct history_message ignored;
    int wanted = 0;
    int result;
    while ((result = journal_pack_take(&rest, &message)) == ARIZMQ_OK) {
        wanted += is_wanted(self, &message, &ignored);
    }
    return result == ARIZMQ_ENOTFOUND ? wanted : -1;
}

static int add_messages(struct journal_answer *self, const struct journal_row *row,
                        zmq_msg_t *payload)
{
    struct history_event event = {
        .seq = row->seq, .received_ns = row->received_ns, .payload = payload};
    struct span rest = row->messages;
    struct journal_message message;
    struct history_message wanted;
    history_page_begin(&self->page);
    while (journal_pack_take(&rest, &message) == ARIZMQ_OK) {
        if (is_wanted(self, &message, &wanted) &&
            history_page_add(&self->page, self->extent.epoch, &event, &wanted) != ARIZMQ_OK) {
            history_page_undo(&self->page);
            return ARIZMQ_ENOMEM;
        }
    }
    return ARIZMQ_OK;
}

static int add_event(struct journal_answer *self, const struct journal_row *row, unsigned wanted)
{
    struct span text = journal_row_text(row);
    if (text.bytes == NULL) {
        return ARIZMQ_ENOMEM;
    }
    self->cost += (unsigned)(text.length / BYTES_FOR_ONE) + wanted * COST_OF_TAKEN;
    if (!history_page_has_room(&self->page, &self->question->query, wanted, text.length)) {
        return ARIZMQ_ETOOLARGE;
    }
    zmq_msg_t payload;
    if (zmq_msg_init_size(&payload, text.length) != 0) {
        return ARIZMQ_ENOMEM;
    }
    memcpy(zmq_msg_data(&payload), text.bytes, text.length);
    int result = add_messages(self, row, &payload);
    zmq_msg_close(&payload);
    return result;
}

/* ARIZMQ_ECLOSED: the slice is over. ARIZMQ_ETOOLARGE: the page is full. ARIZMQ_EINVALID: the event
 * is not as it was written. */
static int take_row(void *owner, const struct journal_row *row)
{
    struct journal_answer *self = owner;
    if (self->examined >= EXAMINED_MAX) {
        return ARIZMQ_ETOOLARGE;
    }
    if (self->cost >= SLICE_COST_MAX) {
        return ARIZMQ_ECLOSED;
    }
    int wanted = count_wanted(self, row);
    if (wanted < 0) {
        return ARIZMQ_EINVALID;
    }
    self->cost += COST_OF_EVENT;
    int result = wanted == 0 ? ARIZMQ_OK : add_event(self, row, (unsigned)wanted);
    if (result == ARIZMQ_OK) {
        self->last = row->seq;
        self->examined++;
    }
    return result;
}

/* Whether what comes next has not left for what was written since the last slice. */
static bool is_still_held(struct journal_answer *self, const struct journal_now *now)
{
    struct journal_extent extent = {.run = 0};
    struct journal_error error;
    int result = journal_store_find_run(now->store, self->extent.epoch, &extent, &error);
    if (result == ARIZMQ_OK) {
        self->extent.oldest = extent.oldest;
    } else if (result != ARIZMQ_ENOTFOUND) {
        return true; /* reading will say what is wrong */
    }
    return extent.run == self->extent.run && self->last + 1 >= self->extent.oldest;
}

bool journal_answer_go_on(struct journal_answer *self, const struct journal_now *now,
                          struct history_answer *out)
{
    const struct history_query *query = &self->question->query;
    struct journal_error error = {.text = "an event is damaged"};
    if (now->store == NULL) {
        return refuse_unreadable(self, now, out, now->error);
    }
    if (!is_still_held(self, now)) {
        return self->last > query->after ? give_page(self, now, out)
                                         : refuse_compacted(self, now, out);
    }
    uint64_t bound = smaller(query->until, self->extent.newest);
    if (self->holes_count == JOURNAL_PAGE_HOLES_MAX) {
        bound = smaller(bound, self->holes[JOURNAL_PAGE_HOLES_MAX - 1].last);
    }
    self->cost = 0;
    int result = ARIZMQ_OK;
    if (self->last < bound) {
        result = journal_store_read(now->store, self->extent.run, self->last, bound, take_row, self,
                                    &error);
    }
    switch (result) {
    case ARIZMQ_OK:
        self->last = self->last < bound ? bound : self->last; /* a hole at the end */
        return give_page(self, now, out);
    case ARIZMQ_ECLOSED:
        return false;
    case ARIZMQ_ETOOLARGE:
        return give_page(self, now, out);
    case ARIZMQ_ENOMEM:
        return self->last > query->after
                   ? give_page(self, now, out)
                   : refuse(self, now, out, REPLY_OVERLOADED, "no memory: ask again");
    default:
        return refuse_unreadable(self, now, out, error.text);
    }
}

/* --- beginning */

/* Finds the run. False: it was refused. */
static bool find_run(struct journal_answer *self, const struct journal_now *now,
                     struct history_answer *out)
{
    const struct history_query *query = &self->question->query;
    uint64_t current = history_epoch(now->history);
    uint64_t epoch = query->epoch != 0 ? query->epoch : current;
    struct journal_error error;
    self->is_current = epoch == current;
    int result = journal_store_find_run(now->store, epoch, &self->extent, &error);
    if (result == ARIZMQ_ENOTFOUND && self->is_current) {
        /* Nothing of it was written yet; or the file was taken away, and what was in it. */
        self->extent = (struct journal_extent){.epoch = current, .oldest = now->stored + 1};
        result = ARIZMQ_OK;
    }
    if (self->is_current) {
        /* Holes are read once; what is written meanwhile is for the next page. */
        self->extent.newest = now->stored;
    }
    if (result == ARIZMQ_ENOTFOUND) {
        refuse(self, now, out, REPLY_EPOCH_CHANGED,
               "epoch %" PRIu64 " is neither this run of the bridge, which is %" PRIu64
               ", nor one that the journal has",
               epoch, current);
        return false;
    }
    if (result != ARIZMQ_OK) {
        refuse_unreadable(self, now, out, error.text);
        return false;
    }
    return true;
}

/* Whether the run has what is asked for. False: it was refused. */
static bool check_position(struct journal_answer *self, const struct journal_now *now,
                           struct history_answer *out)
{
    uint64_t after = self->question->query.after;
    struct reply_position position = read_position(self, now);
    if (after + 1 < position.oldest) {
        refuse_compacted(self, now, out);
        return false;
    }
    if (after > position.newest && !self->is_current) {
        refuse(self, now, out, REPLY_FUTURE, "after %" PRIu64 ": the newest event is %" PRIu64,
               after, position.newest);
        return false;
    }
    return true;
}

static bool find_view(struct journal_answer *self, const struct journal_now *now,
                      struct history_answer *out)
{
    const char *name = self->question->query.view;
    struct journal_error error;
    int number = self->is_current ? history_find_view(now->history, name) : 0;
    int result = number >= 0 ? ARIZMQ_OK : ARIZMQ_ENOTFOUND;
    self->view = (unsigned)number;
    if (!self->is_current) {
        result = journal_store_find_view(now->store, self->extent.run, name, &self->view, &error);
    }
    if (result == ARIZMQ_ENOTFOUND) {
        char quoted[QUOTE_SIZE];
        refuse(self, now, out, REPLY_NO_SUCH_VIEW, "that run of the bridge had no view %s",
               quote_text(name, strlen(name), quoted));
        return false;
    }
    if (result != ARIZMQ_OK) {
        refuse_unreadable(self, now, out, error.text);
        return false;
    }
    return true;
}

bool journal_answer_begin(struct journal_answer *self, struct journal_question *question,
                          const struct journal_now *now, struct history_answer *out)
{
    self->question = question;
    self->extent = (struct journal_extent){0};
    self->is_current = false;
    self->last = question->query.after;
    self->examined = 0;
    self->page = (struct history_page){0};
    self->holes_count = 0;
    if (now->store == NULL) {
        return refuse_unreadable(self, now, out, now->error);
    }
    if (!find_run(self, now, out) || !check_position(self, now, out) ||
        !find_view(self, now, out)) {
        return true;
    }
    struct journal_error error;
    if (journal_store_read_holes(now->store, self->extent.run, self->last, self->holes,
                                 JOURNAL_PAGE_HOLES_MAX, &self->holes_count, &error) != ARIZMQ_OK) {
        return refuse_unreadable(self, now, out, error.text);
    }
    return journal_answer_go_on(self, now, out);
}
