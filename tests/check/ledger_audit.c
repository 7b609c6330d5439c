/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Are the books sound in themselves? Each event of the flood is made again and compared byte for
 * byte (by hash), each counter of each stamp is counted again, the two views are held against each
 * other, and every heartbeat against what had been published when it came.
 */
#include "ledger.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "flood_event.h"

/* --- counting again */

/* Counts by the hash of a topic's first tokens. */
struct tally_table {
    struct {
        uint64_t key;
        uint32_t count;
    } * cells;
    uint32_t size; /* a power of two */
    uint32_t used;
};

static void table_create(struct tally_table *table, uint32_t size)
{
    table->size = size;
    table->used = 0;
    table->cells = calloc(size, sizeof *table->cells);
    if (table->cells == NULL) {
        ledger_give_up("memory", "there is not enough");
    }
}

static uint32_t *table_find(struct tally_table *table, uint64_t key)
{
    uint64_t at = key ^ key >> 32;
    while (table->cells[at & (table->size - 1)].count > 0 &&
           table->cells[at & (table->size - 1)].key != key) {
        at++;
    }
    table->cells[at & (table->size - 1)].key = key;
    return &table->cells[at & (table->size - 1)].count;
}

/* The count of that key, which the caller changes; at first 0. */
static uint32_t *table_use(struct tally_table *table, uint64_t key)
{
    if (table->used * 2 > table->size) {
        struct tally_table larger;
        table_create(&larger, table->size * 2);
        for (uint32_t i = 0; i < table->size; i++) {
            if (table->cells[i].count > 0) {
                *table_find(&larger, table->cells[i].key) = table->cells[i].count;
                larger.used++;
            }
        }
        free(table->cells);
        *table = larger;
    }
    uint32_t *count = table_find(table, key);
    table->used += *count == 0;
    return count;
}

/* --- one book */

/* limits.max_counters, its default: with fewer prefixes of a depth, none may begin anew. */
enum { LEAST_COUNTERS = 100000 };

struct audit {
    struct ledger *ledger;
    struct epoch *epoch;
    enum view view;
    struct tally_table counts;
    uint32_t prefixes[RECORD_COUNTS]; /* how many different ones there were, by depth */
    uint32_t begun_anew;              /* counters that the bridge had dropped for room */
    bool has_hole;                    /* from here on, deeper counts cannot be counted again */
};

static const char *view_name(enum view view)
{
    return view == VIEW_EVENTS ? "events" : "objects";
}

static void fault(const struct audit *audit, uint32_t number, const char *what)
{
    ledger_fault_of_kind(audit->ledger, what,
                         "epoch %" PRIu64 " %s: message %u (seq %u, serial %u): %s",
                         audit->epoch->number, view_name(audit->view), number,
                         audit->epoch->books[audit->view].slots[number].seq,
                         audit->epoch->books[audit->view].slots[number].serial, what);
}

/* Sets the slot's topic, where its bytes are those of the event under that topic. Which of the
 * event's objects it is of follows from its neighbours; behind a hole from the bytes alone. */
static bool find_topic(const struct audit *audit, struct slot *slot)
{
    const struct ledger *ledger = audit->ledger;
    struct flood_event event;
    if (slot->text != NULL) {
        const char *text = slot_event(slot);
        slot_make_topic(ledger, slot, audit->view);
        return record_content(slot->topic, strlen(slot->topic), text, strlen(text)) ==
               slot->content;
    }
    flood_event_make(ledger->links[slot->link - 1].app, ledger->entity_id, slot->serial, &event);
    unsigned last = audit->has_hole && audit->view == VIEW_OBJECTS ? event.objects : 1;
    for (unsigned i = 0; i < last; i++) {
        slot->object = audit->has_hole ? (uint8_t)i : slot->object;
        slot_make_topic(ledger, slot, audit->view);
        if (record_content(slot->topic, strlen(slot->topic), event.text, event.length) ==
            slot->content) {
            return true;
        }
    }
    return false;
}

static void check_counts(struct audit *audit, uint32_t number, const struct slot *slot)
{
    const char *at = slot->topic;
    for (unsigned depth = 1; depth < slot->counts; depth++) {
        at = strchr(at, '/');
        if (at == NULL) {
            fault(audit, number, "its topic has too few tokens");
            return;
        }
        at++;
        uint64_t key = record_hash(depth, slot->topic, (size_t)(at - slot->topic));
        uint32_t *count = table_use(&audit->counts, key);
        audit->prefixes[depth] += *count == 0;
        ++*count;
        if (slot->count[depth] == 1 && *count > 1 && audit->prefixes[depth] > LEAST_COUNTERS) {
            *count = 1; /* the bridge's table was full, and it had left */
            audit->begun_anew++;
        }
        if (slot->count[depth] != *count && !audit->has_hole) {
            fault(audit, number, "a counter of its stamp is wrong");
            return;
        }
    }
}

/* In `events` each event is one message; in `objects` those of one event stand together. */
static void check_seq(const struct audit *audit, uint32_t number, struct slot *slot,
                      const struct slot *before)
{
    if (audit->view == VIEW_EVENTS && slot->seq != number) {
        fault(audit, number, "seq and count[0] differ, though each event is one message");
    }
    if (before->counts > 0 && slot->seq < before->seq) {
        fault(audit, number, "seq goes back");
    }
    bool is_same_event = before->counts > 0 && before->seq == slot->seq;
    slot->object = is_same_event ? (uint8_t)(before->object + 1) : 0;
}

static void check_stopping(const struct audit *audit, uint32_t number, const struct slot *slot)
{
    if (audit->view != VIEW_EVENTS || !slot_is_own(slot, "ArizmqStopping")) {
        return;
    }
    audit->epoch->has_stopped = true;
    json_t *event = json_loads(slot_event(slot), 0, NULL);
    json_int_t seq = json_integer_value(json_object_get(event, "seq"));
    json_decref(event);
    if (number != audit->epoch->books[VIEW_EVENTS].count || seq != (json_int_t)slot->seq - 1) {
        fault(audit, number, "ArizmqStopping is not the last one, or names another position");
    }
}

static void audit_book(struct audit *audit)
{
    struct book *book = &audit->epoch->books[audit->view];
    table_create(&audit->counts, 1U << 16);
    for (uint32_t number = 1; number <= book->count; number++) {
        struct slot *slot = &book->slots[number];
        if (slot->counts == 0) {
            book->holes++;
            audit->has_hole = true;
            continue;
        }
        check_seq(audit, number, slot, &book->slots[number - 1]);
        if (!find_topic(audit, slot)) {
            fault(audit, number, "topic or bytes are not those of the event");
        }
        check_counts(audit, number, slot);
        check_stopping(audit, number, slot);
    }
    free(audit->counts.cells);
}

/* --- the views against each other */

/* Each event's messages in `objects` are its objects, neither more nor fewer. */
static void audit_views(struct ledger *ledger, const struct epoch *epoch)
{
    const struct book *events = &epoch->books[VIEW_EVENTS];
    const struct book *objects = &epoch->books[VIEW_OBJECTS];
    if (objects->count == 0 || events->holes > 0 || objects->holes > 0) {
        return;
    }
    uint32_t at = 1;
    for (uint32_t seq = 1; seq <= events->count && at <= objects->count; seq++) {
        const struct slot *event = &events->slots[seq];
        uint32_t messages = 0;
        bool is_same = true;
        for (; at <= objects->count && objects->slots[at].seq == seq; at++, messages++) {
            is_same &= objects->slots[at].serial == event->serial &&
                       objects->slots[at].link == event->link;
        }
        struct flood_event flood = {.objects = slot_is_own(event, "") ? 1 : messages};
        if (event->link > 0) {
            flood_event_describe(ledger->links[event->link - 1].app, event->serial, &flood);
        }
        bool is_last = at > objects->count; /* of a process that was killed */
        if (!is_same || (messages != flood.objects && !is_last)) {
            ledger_fault(ledger,
                         "epoch %" PRIu64 ": seq %u (serial %u) has %u messages in objects, not %u",
                         epoch->number, seq, event->serial, messages, flood.objects);
        }
    }
}

/* --- heartbeats */

static int compare_beats(const void *left, const void *right)
{
    const struct beat *a = left;
    const struct beat *b = right;
    int order = (a->seq > b->seq) - (a->seq < b->seq);
    return order != 0 ? order : (a->count > b->count) - (a->count < b->count);
}

/* When it came, so many messages with a seq up to its own had been published in its view. Of a
 * process that was killed nobody may have got the last ones. */
static void audit_beats(const struct audit *audit, bool was_killed)
{
    const struct book *book = &audit->epoch->books[audit->view];
    struct beat *beats = audit->epoch->beats[audit->view];
    uint32_t count = audit->epoch->beats_count[audit->view];
    if (count > 0) {
        qsort(beats, count, sizeof *beats, compare_beats);
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = beats[i].count;
        bool is_beyond = at > book->count || (at > 0 && book->slots[at].counts == 0);
        bool is_right = (at == 0 || is_beyond || book->slots[at].seq <= beats[i].seq) &&
                        (at + 1 > book->count || book->slots[at + 1].counts == 0 ||
                         book->slots[at + 1].seq > beats[i].seq);
        if (!is_right || (at > book->count && !was_killed)) {
            ledger_fault(audit->ledger,
                         "epoch %" PRIu64 " %s: a heartbeat says %u messages up to seq %u",
                         audit->epoch->number, view_name(audit->view), at, beats[i].seq);
        }
    }
}

void books_audit(struct ledger *ledger)
{
    for (unsigned i = 0; i < ledger->epochs_count; i++) {
        struct epoch *epoch = &ledger->epochs[i];
        bool is_last = i + 1 == ledger->epochs_count;
        for (unsigned view = 0; view < VIEWS; view++) {
            struct audit audit = {.ledger = ledger, .epoch = epoch, .view = (enum view)view};
            audit_book(&audit);
            audit_beats(&audit, !epoch->has_stopped && !is_last);
            const struct book *book = &epoch->books[view];
            if (book->count > 0) {
                ledger_report(ledger,
                              "books       epoch %" PRIu64 " %s: %u messages, %u of them "
                              "got by nobody; %u heartbeats; %u counters begun anew%s",
                              epoch->number, view_name((enum view)view), book->count, book->holes,
                              epoch->beats_count[view], audit.begun_anew,
                              epoch->has_stopped ? "; stopped" : "");
            }
        }
        audit_views(ledger, epoch);
        for (unsigned view = 0; view < VIEWS; view++) {
            if (epoch->books[view].holes > 0 && (epoch->has_stopped || is_last)) {
                ledger_fault(ledger, "epoch %" PRIu64 " %s: %u messages were got by nobody",
                             epoch->number, view_name((enum view)view), epoch->books[view].holes);
            }
        }
    }
}
