/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Goes along history from the position of a request and takes what it asks for. history_desk.c
 * calls it, once in a turn of the command thread. A page ends between two events, never within one,
 * and before anything that cannot be had, so that the next request is told of that.
 */
#include "gateway/history_scan.h"

#include "arizmq/error.h"

enum {
    /* Of a slice: some hundred microseconds. */
    SLICE_COST_MAX = 4096,
    COST_OF_EVENT = 1,
    MESSAGES_FOR_ONE = 4, /* looked at, not taken */
    COST_OF_TAKEN = 16,
    HOLES_MAX = 100000, /* in a row, looked at in search of their end */
};

void history_scan_begin(struct history_scan *self, unsigned view, uint64_t after)
{
    *self = (struct history_scan){.view = view, .after = after, .last = after};
}

enum taking { TAKEN, FULL, NO_MEMORY };

static bool is_wanted(const struct history_scan *self, const struct history_query *query,
                      const struct history_message *message)
{
    return message->view == self->view && history_page_wants(query, message);
}

static enum taking take_event(struct history_scan *self, uint64_t epoch,
                              struct history_reader *reader, const struct history_event *event,
                              const struct history_query *query, unsigned *cost)
{
    struct history_message message;
    unsigned wanted = 0;
    for (unsigned i = 0; i < event->messages; i++) {
        history_reader_message(reader, i, &message);
        wanted += is_wanted(self, query, &message);
    }
    *cost += COST_OF_EVENT + event->messages / MESSAGES_FOR_ONE + wanted * COST_OF_TAKEN;
    if (wanted == 0) {
        return TAKEN;
    }
    if (!history_page_has_room(&self->page, query, wanted, zmq_msg_size(event->payload))) {
        return FULL;
    }
    history_page_begin(&self->page);
    for (unsigned i = 0; i < event->messages; i++) {
        history_reader_message(reader, i, &message);
        if (is_wanted(self, query, &message) &&
            history_page_add(&self->page, epoch, event, &message) != ARIZMQ_OK) {
            history_page_undo(&self->page);
            return NO_MEMORY;
        }
    }
    return TAKEN;
}

/* There is more, but not now: what was looked at is the answer, if anything was. */
static enum history_scan_result end_early(struct history_scan *self,
                                          enum history_scan_result otherwise)
{
    self->more = true;
    return self->last > self->after ? HISTORY_SCAN_DONE : otherwise;
}

static void find_end_of_hole(struct history_scan *self, struct history_reader *reader)
{
    const struct history_event *event = NULL;
    self->behind_hole = self->last + 2;
    for (unsigned i = 0; i < HOLES_MAX; i++) {
        if (history_reader_next(reader, &event) != ARIZMQ_OK || event == NULL ||
            event->payload != NULL) {
            return;
        }
        self->behind_hole = event->seq + 1;
    }
}

static enum history_scan_result scan(struct history_scan *self, uint64_t epoch,
                                     struct history_reader *reader,
                                     const struct history_query *query)
{
    const struct history_event *event = NULL;
    for (unsigned cost = 0; cost < SLICE_COST_MAX;) {
        if (self->last >= query->until) {
            return HISTORY_SCAN_DONE;
        }
        if (history_reader_next(reader, &event) != ARIZMQ_OK) {
            return end_early(self, HISTORY_SCAN_GONE);
        }
        if (event == NULL) {
            return HISTORY_SCAN_DONE;
        }
        if (event->payload == NULL) {
            find_end_of_hole(self, reader);
            return end_early(self, HISTORY_SCAN_HOLE);
        }
        switch (take_event(self, epoch, reader, event, query, &cost)) {
        case TAKEN:
            self->last = event->seq;
            break;
        case FULL:
            return end_early(self, HISTORY_SCAN_NO_MEMORY);
        case NO_MEMORY:
            return end_early(self, HISTORY_SCAN_NO_MEMORY);
        }
    }
    return HISTORY_SCAN_GOES_ON;
}

enum history_scan_result history_scan_go_on(struct history_scan *self,
                                            const struct history *history,
                                            struct history_reader *reader,
                                            const struct history_query *query)
{
    if (history_reader_seek(reader, self->last) != ARIZMQ_OK) {
        return end_early(self, HISTORY_SCAN_GONE);
    }
    enum history_scan_result result = scan(self, history_epoch(history), reader, query);
    history_reader_rest(reader);
    return result;
}
