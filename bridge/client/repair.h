/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Getting from history what did not arrive. The listener says which prefixes and from where on;
 * repair asks for them page by page, merges what comes under several prefixes in the order in which
 * it was published, and hands out what the gap checker has not seen yet.
 */
#ifndef ARIZMQ_CLIENT_REPAIR_H
#define ARIZMQ_CLIENT_REPAIR_H

#include <stdbool.h>
#include <stdint.h>

#include "arizmq/subscriber.h"
#include "client/dealer.h"
#include "client/gaps_private.h"
#include "client/message.h"

struct repair;

/* Borrowed for the life of the repair. */
struct repair_options {
    const char *view;
    uint32_t page_messages;
    uint32_t timeout_ms; /* without an answer, then it is given up */
    struct dealer *dealer;
    struct arizmq_gaps *gaps; /* is told of every message that is handed out */
};

#define REPAIR_TO_THE_END UINT64_MAX

struct repair_task {
    uint64_t epoch;
    uint64_t until;           /* the last seq wanted; REPAIR_TO_THE_END: all that there is */
    uint64_t before_position; /* count[0] of the first message that is not wanted */
    bool takes_first;         /* counters that the checker has not heard of are wanted, too */
};

int repair_create(const struct repair_options *options, struct repair **out); /* or ARIZMQ_ENOMEM */
void repair_destroy(struct repair **self);

/* Begins a task; none may be under way. Then repair_want() for each prefix (an index into
 * arizmq_gaps_totals()) of which messages with a seq above `after` are wanted; once more for the
 * same prefix widens it. Then repair_step(). */
void repair_begin(struct repair *self, const struct repair_task *task, uint64_t now_ms);
void repair_want(struct repair *self, unsigned prefix, uint64_t after);

/* Returns ARIZMQ_OK with a message, borrowed until the next call; ARIZMQ_ENOTFOUND where it waits
 * for the dealer or repair_deadline_ms(); ARIZMQ_ECLOSED where the task is over; ARIZMQ_ENOMEM: to
 * be called again. */
int repair_step(struct repair *self, uint64_t now_ms, struct message *out);

/* When to call repair_step() even if the dealer has nothing. */
uint64_t repair_deadline_ms(const struct repair *self);

/* After ARIZMQ_ECLOSED: whether all that was asked for was answered; if not, why, and a sentence.
 */
bool repair_is_complete(const struct repair *self, enum arizmq_loss *loss, const char **detail);

#endif
