/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The ledger: takes what a fake Asterisk says that happened (truth), what subscribers got (record
 * files) and what the bridge counted, and looks for anything that is unaccounted for.
 *
 * ledger.c (options, verdict), ledger_truth.c (truth logs), ledger_books.c (what was published,
 * from all that anybody got), ledger_audit.c (are the books sound in themselves),
 * ledger_links.c (truth against books), ledger_subscribers.c (each subscriber against books),
 * ledger_counters.c (the bridge's own counters against books).
 */
#ifndef ARIZMQ_CHECK_LEDGER_H
#define ARIZMQ_CHECK_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "record.h"

enum {
    LINKS_MAX = 64,
    EPOCHS_MAX = 1024,
    NODES_MAX = 16,
    NAME_MAX_BYTES = 160,
    TOPIC_MAX = 600,
};

/* --- truth */

/* One event of the flood. */
struct fate {
    uint64_t wall_ns;
    uint32_t connection; /* 0: dropped, nobody had the application */
    bool is_refusable;   /* too large, or no UTF-8 */
};

struct truth {
    struct fate *fates; /* by serial number, from 1 */
    uint32_t count;
    uint32_t capacity;
    uint32_t connections; /* the greatest id */
};

/* One application of one node. */
struct link {
    char name[NAME_MAX_BYTES]; /* NODE/APP */
    char node[NAME_MAX_BYTES];
    const char *app;
    struct truth truth;
};

/* --- books */

enum view { VIEW_EVENTS, VIEW_OBJECTS, VIEWS };

/* What was published under one count[0]. */
struct slot {
    uint64_t content;
    uint64_t stamp;
    char *text; /* topic, NUL, event; NULL for events of the flood, which can be made again */
    const char *topic;
    uint32_t seq;
    uint32_t serial;
    uint32_t count[RECORD_COUNTS];
    uint16_t link;  /* of ledger.links, from 1; 0: no event of the flood */
    uint8_t counts; /* 0: nobody got it */
    uint8_t object; /* in objects: which of the event's */
};

struct book {
    struct slot *slots; /* by count[0], from 1 */
    uint32_t count;
    uint32_t capacity;
    uint32_t holes;
};

struct beat {
    uint32_t seq;
    uint32_t count;
};

struct epoch {
    uint64_t number;
    struct book books[VIEWS];
    struct beat *beats[VIEWS];
    uint32_t beats_count[VIEWS];
    bool has_stopped; /* with ArizmqStopping */
};

struct ledger {
    struct link links[LINKS_MAX];
    unsigned links_count;
    struct epoch *epochs; /* ascending */
    unsigned epochs_count;
    char entity_id[64];
    uint64_t faults;
    bool is_quiet; /* no report, faults only */
};

/* --- ledger.c */

/* Something is unaccounted for, or is not as it must be. The format is the kind of fault. */
void ledger_fault(struct ledger *ledger, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The same; of each kind only the first ones are shown. */
void ledger_fault_of_kind(struct ledger *ledger, const char *kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* A line of the report. */
void ledger_report(const struct ledger *ledger, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Ends the program: the ledger cannot do its work. */
void ledger_give_up(const char *what, const char *why) __attribute__((noreturn));

/* The link NODE/APP, made where it is new. */
struct link *ledger_link(struct ledger *ledger, const char *name);
/* NULL where nothing is known of it. */
struct epoch *ledger_find_epoch(const struct ledger *ledger, uint64_t number);

/* A copy of the text that stays as long as the program. */
const char *ledger_keep(const char *text, size_t length);

/* `capacity` grows so that items[index] is there, zeroed. */
void *ledger_grow(void *items, uint32_t *capacity, uint32_t index, size_t size);

/* --- ledger_truth.c */

void truth_read(struct ledger *ledger, const char *node, const char *path);

/* --- ledger_books.c */

/* The head of a record file. */
struct subscriber {
    char name[NAME_MAX_BYTES];
    enum view view;
    char *prefixes[32]; /* those that no other covers */
    unsigned depth[32]; /* the count that tells of its losses */
    unsigned prefixes_count;
    bool repairs;
    bool is_books;
    /* Of the file's numbers, from 1. */
    struct epoch *epochs[EPOCHS_MAX];
    uint16_t links[LINKS_MAX];
    unsigned epochs_count;
    unsigned links_count;
};

/* Takes note of a record that is not of a message. Messages: returns true. */
bool subscriber_take(struct ledger *ledger, struct subscriber *subscriber,
                     const struct record *record, const char *text);
void subscriber_release(struct subscriber *subscriber);

/* First of all files: the epochs there are. */
void books_find_epochs(struct ledger *ledger, const char *path);
/* Then: what the file's subscriber got becomes part of the books. */
void books_read(struct ledger *ledger, const char *path);

/* Sets slot->topic, whose `object` is known. */
void slot_make_topic(const struct ledger *ledger, struct slot *slot, enum view view);
/* The event's text where it is none of the flood. */
const char *slot_event(const struct slot *slot);
/* Whether it is an event of the bridge's own, of that type ("" for any). */
bool slot_is_own(const struct slot *slot, const char *type);

/* --- ledger_audit.c */

void books_audit(struct ledger *ledger);

/* --- ledger_links.c */

void links_check(struct ledger *ledger);

/* --- ledger_subscribers.c */

void subscriber_check(struct ledger *ledger, const char *path);

/* --- ledger_counters.c */

/* `path`: {"epoch": N, "nodes": […]} as GET arizmq/nodes answers. */
void counters_check(struct ledger *ledger, const char *path);

#endif
