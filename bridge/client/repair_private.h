/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A repair's inside, shared by repair.c (what is handed out) and repair_ask.c (what is asked).
 */
#ifndef ARIZMQ_CLIENT_REPAIR_PRIVATE_H
#define ARIZMQ_CLIENT_REPAIR_PRIVATE_H

#include "client/history_page.h"
#include "client/repair.h"

enum { REPAIR_DETAIL_SIZE = 512 };

/* How far history was read for one prefix. */
struct repair_cursor {
    unsigned prefix;
    uint64_t after;            /* everything up to this seq was looked through */
    bool is_done;              /* there is nothing behind it that is wanted */
    struct arizmq_reply *page; /* NULL: to be asked for */
    size_t messages;           /* in the page */
    size_t next;               /* the first one that was not handed out yet */
    bool is_used_up;           /* all were */
    bool has_head;
    struct message head; /* that one, read */
};

struct repair {
    struct repair_options options;
    const struct arizmq_gaps_totals *prefixes;
    struct repair_task task;
    struct repair_cursor *cursors; /* room for one of each prefix */
    unsigned count;
    struct repair_cursor *asking; /* whose page is on its way; NULL: none is */
    uint64_t ask_at_ms;           /* not earlier */
    uint64_t progress_ms;         /* when the last page came, or the task began */
    bool gateway_failed;          /* the last time that it was asked */
    bool is_complete;
    enum arizmq_loss loss;
    char detail[REPAIR_DETAIL_SIZE];
};

/* Asks for the page of the first cursor that has none and is not done. Returns ARIZMQ_OK;
 * ARIZMQ_ENOTFOUND where it is too early for that; ARIZMQ_ENOMEM. */
int repair_ask(struct repair *self, uint64_t now_ms);

/* Gives the page that was asked for to its cursor. Returns ARIZMQ_OK where it is there, or where it
 * is to be asked for again, or nothing more is to be asked; ARIZMQ_ENOTFOUND or ARIZMQ_ENOMEM. */
int repair_take_answer(struct repair *self, uint64_t now_ms);

/* Nothing more is asked; what the cursors have is still handed out. */
void repair_fail(struct repair *self, enum arizmq_loss loss, const char *detail);

#endif
