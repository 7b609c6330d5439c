/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The questions of a repair: GET arizmq/history for one prefix after the other, again where there
 * is no answer yet, and what becomes of each answer. A gateway that does not answer holds a
 * subscriber up for timeout_ms once; after that only for a moment, until it answers again.
 */
#include "client/repair_private.h"

#include <stdio.h>

#include "arizmq/error.h"

enum {
    AGAIN_MS = 10,     /* after which a question is repeated that had no answer yet */
    MISTRUST_MS = 250, /* what a gateway gets that failed the last time */
};

static uint64_t give_up_at_ms(const struct repair *self)
{
    uint32_t timeout_ms = self->options.timeout_ms;
    if (self->gateway_failed && timeout_ms > MISTRUST_MS) {
        timeout_ms = MISTRUST_MS;
    }
    return self->progress_ms + timeout_ms;
}

void repair_fail(struct repair *self, enum arizmq_loss loss, const char *detail)
{
    self->is_complete = false;
    self->loss = loss;
    snprintf(self->detail, sizeof self->detail, "%s", detail);
    for (unsigned i = 0; i < self->count; i++) {
        struct repair_cursor *cursor = &self->cursors[i];
        cursor->is_done = true;
        if (!cursor->has_head) {
            arizmq_reply_destroy(&cursor->page);
        }
    }
}

/* Without a request_id: what reads only need not be remembered. */
static json_t *make_question(const struct repair *self, const struct repair_cursor *cursor,
                             uint64_t patience_ms)
{
    uint32_t limit = self->options.page_messages / self->count;
    json_t *query = json_pack("{s:s, s:s, s:I, s:I, s:I}", "view", self->options.view, "prefix",
                              self->prefixes[cursor->prefix].prefix, "after",
                              (json_int_t)cursor->after, "epoch", (json_int_t)self->task.epoch,
                              "limit", (json_int_t)(limit + (limit == 0)));
    if (self->task.until != REPAIR_TO_THE_END) {
        json_object_set_new(query, "until", json_integer((json_int_t)self->task.until));
    }
    return json_pack("{s:s, s:s, s:o, s:I}", "method", "GET", "uri", "arizmq/history",
                     "query_strings", query, "timeout_ms", (json_int_t)patience_ms);
}

int repair_ask(struct repair *self, uint64_t now_ms)
{
    if (now_ms < self->ask_at_ms) {
        return ARIZMQ_ENOTFOUND;
    }
    struct repair_cursor *cursor = self->cursors;
    while (cursor->page != NULL || cursor->is_done) {
        cursor++; /* the caller knows that there is one */
    }
    uint64_t end_ms = give_up_at_ms(self);
    uint32_t patience_ms = end_ms > now_ms ? (uint32_t)(end_ms - now_ms) : 1;
    json_t *question = make_question(self, cursor, patience_ms);
    if (question == NULL) {
        return ARIZMQ_ENOMEM;
    }
    int rc = dealer_ask(self->options.dealer, question, NULL, 0, patience_ms, patience_ms);
    json_decref(question);
    if (rc == ARIZMQ_EIO) {
        repair_fail(self, ARIZMQ_LOSS_NO_ANSWER, dealer_failure(self->options.dealer));
        return ARIZMQ_OK;
    }
    self->asking = rc == ARIZMQ_OK ? cursor : NULL;
    return rc;
}

static void tell_refusal(struct repair *self, const struct arizmq_reply *reply,
                         enum arizmq_loss loss)
{
    char detail[REPAIR_DETAIL_SIZE];
    const char *error = arizmq_reply_text(reply, "error");
    const char *reason = arizmq_reply_text(reply, "reason_phrase");
    snprintf(detail, sizeof detail, "the gateway answered %d %s", arizmq_reply_status(reply),
             error != NULL    ? error
             : reason != NULL ? reason
                              : "");
    repair_fail(self, loss, detail);
}

/* Asks again a little later, or gives up. */
static void ask_again(struct repair *self, uint64_t now_ms, const char *why)
{
    self->ask_at_ms = now_ms + AGAIN_MS;
    if (self->ask_at_ms >= give_up_at_ms(self)) {
        self->gateway_failed = true;
        repair_fail(self, ARIZMQ_LOSS_NO_ANSWER, why);
    }
}

/* What is behind `oldest` can be had still. */
static void skip_compacted(struct repair *self, struct repair_cursor *cursor, uint64_t oldest)
{
    cursor->after = oldest - 1;
    cursor->is_done = cursor->after >= self->task.until;
    self->is_complete = false;
    self->loss = ARIZMQ_LOSS_COMPACTED;
    snprintf(self->detail, sizeof self->detail, "the bridge keeps nothing before seq %llu any more",
             (unsigned long long)oldest);
}

static void take_page(struct repair *self, struct repair_cursor *cursor,
                      struct arizmq_reply **reply, const struct history_page *page, uint64_t now_ms)
{
    bool is_open = self->task.until == REPAIR_TO_THE_END;
    bool is_at_end = page->last >= self->task.until || (is_open && !page->is_more);
    bool is_early = !is_at_end && !page->is_more; /* what is wanted is being published just now */
    cursor->is_done = is_at_end;
    if (is_early && page->count == 0 && page->last == cursor->after) {
        ask_again(self, now_ms, "the bridge's history ends before what it has published");
        return;
    }
    cursor->after = page->last;
    self->progress_ms = now_ms;
    self->ask_at_ms = is_early ? now_ms + AGAIN_MS : now_ms;
    if (page->count > 0) {
        cursor->page = *reply;
        *reply = NULL;
        cursor->messages = page->count;
        cursor->next = 0;
        cursor->is_used_up = false;
    }
}

static void take_reply(struct repair *self, struct repair_cursor *cursor,
                       struct arizmq_reply **reply, uint64_t now_ms)
{
    struct history_page page;
    self->gateway_failed = false;
    if (history_page_read(*reply, cursor->after, &page) != ARIZMQ_OK) {
        repair_fail(self, ARIZMQ_LOSS_REFUSED, "what the gateway answered is no history");
        return;
    }
    switch (page.answer) {
    case HISTORY_PAGE:
        take_page(self, cursor, reply, &page, now_ms);
        break;
    case HISTORY_COMPACTED:
        self->progress_ms = now_ms;
        skip_compacted(self, cursor, page.oldest);
        break;
    case HISTORY_EPOCH_CHANGED:
        tell_refusal(self, *reply, ARIZMQ_LOSS_RESTART);
        break;
    case HISTORY_BUSY:
        ask_again(self, now_ms, "the gateway is busy or about to stop");
        break;
    case HISTORY_REFUSED:
        tell_refusal(self, *reply, ARIZMQ_LOSS_REFUSED);
        break;
    }
}

int repair_take_answer(struct repair *self, uint64_t now_ms)
{
    struct arizmq_reply *reply = NULL;
    struct repair_cursor *cursor = self->asking;
    int rc = dealer_step(self->options.dealer, now_ms, &reply);
    switch (rc) {
    case ARIZMQ_ENOTFOUND:
        return rc;
    case ARIZMQ_OK:
        take_reply(self, cursor, &reply, now_ms);
        arizmq_reply_destroy(&reply);
        break;
    case ARIZMQ_ECLOSED:
        ask_again(self, now_ms, dealer_failure(self->options.dealer));
        break;
    case ARIZMQ_EPROTOCOL:
    case ARIZMQ_ETOOLARGE:
        repair_fail(self, ARIZMQ_LOSS_REFUSED, dealer_failure(self->options.dealer));
        break;
    default:
        self->gateway_failed = true;
        repair_fail(self, ARIZMQ_LOSS_NO_ANSWER, dealer_failure(self->options.dealer));
        break;
    }
    self->asking = NULL;
    return ARIZMQ_OK;
}

uint64_t repair_deadline_ms(const struct repair *self)
{
    return self->asking != NULL ? dealer_deadline_ms(self->options.dealer) : self->ask_at_ms;
}
