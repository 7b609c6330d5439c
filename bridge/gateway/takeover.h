/* SPDX-License-Identifier: MPL-2.0 */
/*
 * arizmq/takeover: another bridge asks to take over from this one (ops/cede.h, which decides), and
 * is told how far it is. What the two threads tell each other of it is here. The functions belong
 * to the command thread.
 */
#ifndef ARIZMQ_GATEWAY_TAKEOVER_H
#define ARIZMQ_GATEWAY_TAKEOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "gateway/post.h"
#include "gateway/request.h"
#include "ops/config.h"

/* --- the letter, of kind POST_TAKEOVER */

enum takeover_verb {
    TAKEOVER_READ,  /* how far is it? */
    TAKEOVER_BEGIN, /* I am about to take over; or, where that is known, I am still here */
    TAKEOVER_END,   /* I am not going to after all */
};

/* Indexes into config->nodes and its apps. */
struct takeover_link {
    uint32_t node;
    uint32_t application;
};

/* Behind it stand the links that the other bridge wants, then the JSON text by which it presents
 * itself. */
struct takeover_letter {
    const struct config *config; /* the one that the indexes are of, to be compared only */
    uint64_t epoch;              /* of the other bridge; 0 with TAKEOVER_READ */
    uint16_t verb;
    bool is_opening; /* it opens its connections now: what it has when it has all is all */
    uint32_t links_count;
};

/* --- the report, handed back as FEED_TAKEOVER; malloc()ed */

enum takeover_verdict {
    TAKEOVER_OK,
    TAKEOVER_OTHER,     /* another one is under way, or, with TAKEOVER_END, none */
    TAKEOVER_RELOADING, /* the two threads go by different configurations */
    TAKEOVER_STOPPING,  /* this bridge is stopping */
    TAKEOVER_NO_MEMORY,
};

enum takeover_state {
    TAKEOVER_NONE,
    TAKEOVER_PREPARING, /* the other one has to wait a moment yet */
    TAKEOVER_UNDER_WAY, /* it may open its connections */
    TAKEOVER_COMPLETE,  /* it has all; this bridge ends once the other one has been told */
};

enum takeover_link_state {
    TAKEOVER_LINK_UP,    /* still here */
    TAKEOVER_LINK_TAKEN, /* the other bridge has it */
    TAKEOVER_LINK_DOWN,  /* it was not connected, and is left to the other bridge */
    TAKEOVER_LINK_LEFT,  /* the other bridge does not want it */
};

struct takeover_report_link {
    struct takeover_link link;
    enum takeover_link_state state;
    uint64_t
        missing_since_ns; /* wall clock: nobody has been told yet what is missing; 0: nothing */
};

enum { TAKEOVER_OUTCOME_SIZE = 256 };

struct takeover_report {
    enum takeover_verdict verdict;
    enum takeover_state state;
    uint64_t epoch; /* of the other bridge; 0: none */
    uint64_t seq;   /* this bridge's last event */
    uint64_t remaining_ms;
    char outcome[TAKEOVER_OUTCOME_SIZE]; /* how the last one failed; "" for none */
    unsigned links_count;
    struct takeover_report_link links[];
};

/* --- command thread */

struct command;
struct commands;

/* All zero but for the borrowed members. */
struct takeover {
    const struct config *config;
    struct post *post;
    struct commands *commands; /* that wait for the answer to their letter are among these */
    uint64_t epoch;            /* this bridge's */
    uint64_t letters;          /* sent so far: the number of the last one */
};

/* Whether the request is for arizmq/takeover. */
bool takeover_is_meant(const struct request *request);

/* Takes the command on: it is answered at once, or when the event thread has reported. */
void takeover_ask(struct takeover *self, struct command *command);

/* The handler of FEED_TAKEOVER; takes `report` over, which is NULL where there was no memory. */
void takeover_answer(struct takeover *self, uint64_t number, struct takeover_report *report);

#endif
