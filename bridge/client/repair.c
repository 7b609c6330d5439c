/* SPDX-License-Identifier: MPL-2.0 */
/*
 * One task of repair: a cursor for each prefix, each with a page of history. The cursors are filled
 * one after the other, since a gateway's client has one request under way; when each has a message
 * or is at its end, the oldest message is handed out. The gap checker knows which of them have been
 * seen. repair_ask.c does the asking.
 */
#include "client/repair_private.h"

#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"

int repair_create(const struct repair_options *options, struct repair **out)
{
    struct repair *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return ARIZMQ_ENOMEM;
    }
    unsigned prefixes = 0;
    self->options = *options;
    self->prefixes = arizmq_gaps_totals(options->gaps, &prefixes);
    self->cursors = calloc(prefixes, sizeof *self->cursors);
    if (self->cursors == NULL) {
        free(self);
        return ARIZMQ_ENOMEM;
    }
    *out = self;
    return ARIZMQ_OK;
}

static void forget_pages(struct repair *self)
{
    for (unsigned i = 0; i < self->count; i++) {
        arizmq_reply_destroy(&self->cursors[i].page);
    }
    self->count = 0;
}

void repair_destroy(struct repair **self_p)
{
    struct repair *self = *self_p;
    if (self != NULL) {
        forget_pages(self);
        free(self->cursors);
        free(self);
        *self_p = NULL;
    }
}

void repair_begin(struct repair *self, const struct repair_task *task, uint64_t now_ms)
{
    forget_pages(self);
    self->task = *task;
    self->asking = NULL;
    self->ask_at_ms = now_ms;
    self->progress_ms = now_ms;
    self->is_complete = true;
    self->detail[0] = '\0';
}

void repair_want(struct repair *self, unsigned prefix, uint64_t after)
{
    for (unsigned i = 0; i < self->count; i++) {
        struct repair_cursor *cursor = &self->cursors[i];
        if (cursor->prefix == prefix) {
            cursor->after = after < cursor->after ? after : cursor->after;
            return;
        }
    }
    self->cursors[self->count++] = (struct repair_cursor){.prefix = prefix, .after = after};
}

/* The cursor's next message, read ahead. A message that is none ends the task. */
static int cursor_look(struct repair *self, struct repair_cursor *cursor)
{
    if (cursor->has_head || cursor->page == NULL) {
        return ARIZMQ_OK;
    }
    int rc = history_page_message(cursor->page, cursor->next, self->task.epoch, &cursor->head);
    if (rc != ARIZMQ_OK) {
        repair_fail(self, ARIZMQ_LOSS_REFUSED, "history gave something that is no message");
        return rc;
    }
    cursor->has_head = true;
    return ARIZMQ_OK;
}

static void cursor_advance(struct repair_cursor *cursor)
{
    cursor->has_head = false;
    if (++cursor->next == cursor->messages) {
        cursor->is_used_up = true; /* its page goes with the next step: the head points into it */
    }
}

static void cursors_tidy(struct repair *self)
{
    for (unsigned i = 0; i < self->count; i++) {
        struct repair_cursor *cursor = &self->cursors[i];
        if (cursor->is_used_up) {
            arizmq_reply_destroy(&cursor->page);
            cursor->is_used_up = false;
        }
    }
}

/* The cursor with the oldest message; NULL with *is_hungry where one has to be filled first, or
 * where all are at their end. */
static struct repair_cursor *cursors_pick(struct repair *self, bool *is_hungry)
{
    struct repair_cursor *oldest = NULL;
    *is_hungry = false;
    for (unsigned i = 0; i < self->count && !*is_hungry; i++) {
        struct repair_cursor *cursor = &self->cursors[i];
        if (cursor_look(self, cursor) != ARIZMQ_OK) {
            return NULL; /* the task is over */
        }
        *is_hungry = !cursor->has_head && !cursor->is_done;
        if (cursor->has_head &&
            (oldest == NULL || cursor->head.stamp.count[0] < oldest->head.stamp.count[0])) {
            oldest = cursor;
        }
    }
    return *is_hungry ? NULL : oldest;
}

/* Whether the message is one that was missing. The checker takes note of it then. */
static int message_is_news(struct repair *self, const struct message *message, bool *is_news)
{
    *is_news = false;
    if (message->stamp.count[0] >= self->task.before_position ||
        message->stamp.seq > self->task.until) {
        return ARIZMQ_OK;
    }
    const struct gaps_message checked = {.topic = message->topic,
                                         .topic_length = message->topic_length,
                                         .event = message->event,
                                         .event_length = message->event_length,
                                         .stamp = &message->stamp};
    /* Of a counter that was forgotten for room nobody knows what was seen. */
    struct gaps_pass pass = {.ignores_first = !self->task.takes_first &&
                                              arizmq_gaps_evicted(self->options.gaps) > 0};
    int rc = gaps_take(self->options.gaps, &checked, &pass);
    if (rc == ARIZMQ_ENOMEM) {
        return rc;
    }
    *is_news = rc == ARIZMQ_OK && pass.result.verdict != ARIZMQ_GAPS_REPEATED &&
               !(pass.ignores_first && pass.result.verdict == ARIZMQ_GAPS_FIRST);
    return ARIZMQ_OK;
}

int repair_step(struct repair *self, uint64_t now_ms, struct message *out)
{
    cursors_tidy(self);
    for (;;) {
        if (self->asking != NULL) {
            int rc = repair_take_answer(self, now_ms);
            if (rc != ARIZMQ_OK) {
                return rc;
            }
        }
        bool is_hungry = false;
        struct repair_cursor *cursor = cursors_pick(self, &is_hungry);
        if (is_hungry) {
            int rc = repair_ask(self, now_ms);
            if (rc != ARIZMQ_OK) {
                return rc;
            }
            continue;
        }
        if (cursor == NULL) {
            forget_pages(self);
            return ARIZMQ_ECLOSED;
        }
        bool is_news = false;
        int rc = message_is_news(self, &cursor->head, &is_news);
        if (rc != ARIZMQ_OK) {
            return rc;
        }
        *out = cursor->head;
        cursor_advance(cursor);
        if (is_news) {
            return ARIZMQ_OK;
        }
        cursors_tidy(self);
    }
}

bool repair_is_complete(const struct repair *self, enum arizmq_loss *loss, const char **detail)
{
    *loss = self->loss;
    *detail = self->detail;
    return self->is_complete;
}
