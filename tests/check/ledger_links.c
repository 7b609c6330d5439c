/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Truth against books, for each application of each node: every event that happened was published
 * once, in the order of its connection; or it lies where the bridge announced that something is
 * missing (a gap, its own absence, a refusal), and truth agrees that it can have been lost there:
 * nobody had the application, or it was the last of a connection that ended.
 */
#include "ledger.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

/* Where something was published: the epoch and the seq, in one number that can be compared. */
typedef uint64_t position;

enum notice_kind {
    NOTICE_GAP,     /* ArizmqGap */
    NOTICE_ABSENCE, /* the bridge is another process, which took nothing over */
    NOTICE_REFUSAL, /* ArizmqRefused: exactly one event */
    NOTICE_DOWN,    /* the end, while the link is not connected */
};

struct notice {
    position at;
    enum notice_kind kind;
    uint64_t from_ns; /* of gaps */
    uint64_t to_ns;
    bool is_used;
};

/* Truth's clock and the bridge's are the same, but events wait on their way. */
static const uint64_t clock_slack_ns = 3000000000U;

struct check {
    struct ledger *ledger;
    struct link *link;
    position *published; /* by serial number; 0: not */
    uint32_t *last_of;   /* by connection: the greatest serial number published */
    struct notice *notices;
    uint32_t notices_count;
    uint32_t notices_capacity;
    bool is_up;
    bool has_connected; /* in this epoch */
    /* For the report. */
    uint64_t published_count;
    uint64_t dropped;
    uint64_t lost_at_end;
    uint64_t refused;
    uint64_t unseen; /* of those lost: published, and got by nobody */
    uint64_t epochs_seen;
};

static void add_notice(struct check *check, struct notice notice)
{
    check->notices = ledger_grow(check->notices, &check->notices_capacity, check->notices_count,
                                 sizeof *check->notices);
    check->notices[check->notices_count++] = notice;
}

/* --- the walk through the books */

/* "2026-11-23T14:35:01.160+0000" in nanoseconds since 1970. */
static uint64_t read_time(const json_t *event, const char *member)
{
    const char *text = json_string_value(json_object_get(event, member));
    struct tm tm = {0};
    const char *rest = text != NULL ? strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
    if (rest == NULL || *rest != '.') {
        ledger_give_up(member, "is no time in a gap");
    }
    return (uint64_t)timegm(&tm) * 1000000000U + strtoull(rest + 1, NULL, 10) * 1000000U;
}

/* What the bridge says of the link in an event of its own. */
static void take_own(struct check *check, const struct slot *slot, position at)
{
    json_t *event = json_loads(slot_event(slot), 0, NULL);
    const char *node = json_string_value(json_object_get(event, "node"));
    const char *app = json_string_value(json_object_get(event, "application"));
    if (node != NULL && app != NULL && strcmp(node, check->link->node) == 0 &&
        strcmp(app, check->link->app) == 0) {
        if (slot_is_own(slot, "ArizmqGap")) {
            add_notice(check, (struct notice){.at = at,
                                              .kind = NOTICE_GAP,
                                              .from_ns = read_time(event, "from"),
                                              .to_ns = read_time(event, "to")});
        } else if (slot_is_own(slot, "ArizmqRefused")) {
            add_notice(check, (struct notice){.at = at, .kind = NOTICE_REFUSAL});
        } else if (slot_is_own(slot, "ArizmqNodeDisconnected")) {
            check->is_up = false;
        } else if (slot_is_own(slot, "ArizmqNodeConnected")) {
            bool took_over = json_is_true(json_object_get(event, "handover"));
            if (!check->has_connected && !took_over) {
                add_notice(check, (struct notice){.at = at, .kind = NOTICE_ABSENCE});
            }
            check->has_connected = true;
            check->is_up = true;
        }
    }
    json_decref(event);
}

static void take_event(struct check *check, const struct slot *slot, position at)
{
    const struct truth *truth = &check->link->truth;
    uint32_t serial = slot->serial;
    if (serial > truth->count) {
        ledger_fault(check->ledger, "%s: serial %u was published (seq %u) and never happened",
                     check->link->name, serial, slot->seq);
        return;
    }
    uint32_t connection = truth->fates[serial].connection;
    if (connection == 0) {
        ledger_fault(check->ledger, "%s: serial %u was published (seq %u), but nobody was sent it",
                     check->link->name, serial, slot->seq);
        return;
    }
    if (check->published[serial] != 0) {
        ledger_fault(check->ledger,
                     "%s: serial %u was published twice, the second time with seq %u",
                     check->link->name, serial, slot->seq);
        return;
    }
    if (serial < check->last_of[connection]) {
        ledger_fault(check->ledger, "%s: serial %u was published (seq %u) behind serial %u",
                     check->link->name, serial, slot->seq, check->last_of[connection]);
    }
    check->published[serial] = at;
    check->published_count++;
    if (serial > check->last_of[connection]) {
        check->last_of[connection] = serial;
    }
}

static void walk_epoch(struct check *check, unsigned index)
{
    const struct epoch *epoch = &check->ledger->epochs[index];
    const struct book *book = &epoch->books[VIEW_EVENTS];
    uint16_t number = (uint16_t)(check->link - check->ledger->links + 1);
    check->has_connected = false;
    for (uint32_t i = 1; i <= book->count; i++) {
        const struct slot *slot = &book->slots[i];
        position at = ((position)index + 1) << 32 | slot->seq;
        if (slot->link == number) {
            take_event(check, slot, at);
        } else if (slot->counts > 0 && slot->link == 0 && slot_is_own(slot, "")) {
            take_own(check, slot, at);
        }
    }
    check->epochs_seen += check->has_connected;
    if (!epoch->has_stopped) { /* it was killed: whatever it had read is gone with it */
        position end = ((position)index + 1) << 32 | UINT32_MAX;
        bool is_last = index + 1 == check->ledger->epochs_count;
        if (!is_last) {
            add_notice(check, (struct notice){.at = end, .kind = NOTICE_ABSENCE});
        }
    }
}

/* --- what was not published */

/* Serial numbers first to last, none of them published; between these positions. */
struct run {
    uint32_t first;
    uint32_t last;
    position after;
    position before;
    uint32_t dropped;
    uint32_t at_end;    /* behind the last one published of their connection */
    uint32_t in_middle; /* of a connection, later events of which were published */
    uint32_t refusable; /* of those that were sent */
    uint32_t vanished;  /* in the middle, and not refusable; the first of them: */
    uint32_t first_vanished;
    uint64_t dropped_from_ns;
    uint64_t dropped_to_ns;
};

static void measure(const struct check *check, struct run *run)
{
    for (uint32_t serial = run->first; serial <= run->last; serial++) {
        const struct fate *fate = &check->link->truth.fates[serial];
        if (fate->connection == 0) {
            run->dropped_from_ns = run->dropped == 0 ? fate->wall_ns : run->dropped_from_ns;
            run->dropped_to_ns = fate->wall_ns;
            run->dropped++;
            continue;
        }
        run->refusable += fate->is_refusable;
        if (serial > check->last_of[fate->connection]) {
            run->at_end++;
        } else {
            run->in_middle++;
            if (!fate->is_refusable && run->vanished++ == 0) {
                run->first_vanished = serial;
            }
        }
    }
}

/* Whether the events dropped happened within what the gaps say. */
static bool is_within(const struct run *run, uint64_t from_ns, uint64_t to_ns)
{
    return run->dropped == 0 || (run->dropped_from_ns + clock_slack_ns >= from_ns &&
                                 run->dropped_to_ns <= to_ns + clock_slack_ns);
}

/* How many messages between these positions were published and got by nobody: the bridge was killed
 * with them. */
static uint32_t count_holes(const struct ledger *ledger, position after, position before)
{
    uint32_t holes = 0;
    for (unsigned i = 0; i < ledger->epochs_count; i++) {
        const struct book *book = &ledger->epochs[i].books[VIEW_EVENTS];
        position first = ((position)i + 1) << 32;
        if (book->holes == 0 || before < first || after >= first + book->count) {
            continue;
        }
        uint32_t from = after > first ? (uint32_t)(after - first) : 0;
        uint32_t to = before < first + book->count ? (uint32_t)(before - first) : book->count + 1;
        for (uint32_t number = from + 1; number < to; number++) {
            holes += book->slots[number].counts == 0;
        }
    }
    return holes;
}

/* Whether truth and the holes in the books leave room for that. */
static void check_vanished(struct check *check, const struct run *run, uint32_t holes)
{
    if (run->vanished > holes) {
        ledger_fault(check->ledger,
                     "%s: %u events between serials %u and %u were sent and not published, though "
                     "later ones of their connection (%u) were",
                     check->link->name, run->vanished - holes, run->first_vanished, run->last,
                     check->link->truth.fates[run->first_vanished].connection);
    }
    check->unseen += run->vanished < holes ? run->vanished : holes;
}

static void explain(struct check *check, struct run *run)
{
    uint32_t holes = count_holes(check->ledger, run->after, run->before);
    uint32_t refusals = 0;
    uint32_t absences = 0;
    uint32_t gaps = 0;
    uint64_t from_ns = UINT64_MAX;
    uint64_t to_ns = 0;
    for (uint32_t i = 0; i < check->notices_count; i++) {
        struct notice *notice = &check->notices[i];
        if (notice->at <= run->after || notice->at >= run->before) {
            continue;
        }
        notice->is_used = true;
        refusals += notice->kind == NOTICE_REFUSAL;
        absences += notice->kind == NOTICE_ABSENCE || notice->kind == NOTICE_DOWN;
        if (notice->kind == NOTICE_GAP) {
            gaps++;
            from_ns = notice->from_ns < from_ns ? notice->from_ns : from_ns;
            to_ns = notice->to_ns > to_ns ? notice->to_ns : to_ns;
        }
    }
    check_vanished(check, run, holes);
    uint32_t least = run->in_middle - run->vanished;
    if (refusals > run->refusable || refusals < least) {
        ledger_fault(check->ledger,
                     "%s: serials %u to %u are missing: %u refusals announced, between %u and %u "
                     "expected",
                     check->link->name, run->first, run->last, refusals, least, run->refusable);
    }
    uint32_t unrefused = run->dropped + run->at_end + run->in_middle - refusals;
    if (unrefused > 0 && gaps + absences == 0 && (run->dropped > 0 || unrefused > holes)) {
        ledger_fault(check->ledger,
                     "%s: serials %u to %u are missing (%u dropped, %u sent last on their "
                     "connection), and nothing announces it",
                     check->link->name, run->first, run->last, run->dropped, run->at_end);
    } else if (gaps > 0 && absences == 0 && !is_within(run, from_ns, to_ns)) {
        ledger_fault(check->ledger,
                     "%s: serials %u to %u were dropped at another time than the gap names",
                     check->link->name, run->first, run->last);
    }
    check->dropped += run->dropped;
    check->refused += refusals;
    check->lost_at_end += run->at_end + run->in_middle - refusals;
}

static void check_missing(struct check *check)
{
    const struct truth *truth = &check->link->truth;
    for (uint32_t serial = 1; serial <= truth->count;) {
        if (check->published[serial] != 0) {
            serial++;
            continue;
        }
        struct run run = {.first = serial, .last = serial};
        while (run.last < truth->count && check->published[run.last + 1] == 0) {
            run.last++;
        }
        position before = run.first > 1 ? check->published[run.first - 1] : 0;
        position after = run.last < truth->count ? check->published[run.last + 1] : UINT64_MAX;
        /* Late events of a connection that was taken over from may stand behind newer ones. */
        run.after = before < after ? before : after;
        run.before = before < after ? after : before;
        measure(check, &run);
        explain(check, &run);
        serial = run.last + 1;
    }
    for (uint32_t i = 0; i < check->notices_count; i++) {
        if (check->notices[i].kind == NOTICE_REFUSAL && !check->notices[i].is_used) {
            ledger_fault(check->ledger, "%s: a refusal was announced where nothing is missing",
                         check->link->name);
        }
    }
}

/* --- one link */

static void report(const struct check *check)
{
    uint32_t gaps = 0;
    uint32_t empty = 0;
    for (uint32_t i = 0; i < check->notices_count; i++) {
        gaps += check->notices[i].kind == NOTICE_GAP;
        empty += check->notices[i].kind == NOTICE_GAP && !check->notices[i].is_used;
    }
    ledger_report(check->ledger,
                  "link        %s: %u events happened = %" PRIu64 " published once and in order + "
                  "%" PRIu64 " dropped, nobody connected + %" PRIu64 " lost with their connection "
                  "+ %" PRIu64 " refused; %u connections, %u gaps announced (%u in vain), %" PRIu64
                  " processes of the bridge",
                  check->link->name, check->link->truth.count, check->published_count,
                  check->dropped, check->lost_at_end, check->refused,
                  check->link->truth.connections, gaps, empty, check->epochs_seen);
    uint64_t sum = check->published_count + check->dropped + check->lost_at_end + check->refused;
    if (sum != check->link->truth.count) {
        ledger_fault(check->ledger, "%s: %u events happened, %" PRIu64 " are accounted for",
                     check->link->name, check->link->truth.count, sum);
    }
}

/* Returns how many were published and got by nobody. */
static uint64_t check_link(struct ledger *ledger, struct link *link)
{
    struct check check = {.ledger = ledger, .link = link};
    check.published = calloc(link->truth.count + 1U, sizeof *check.published);
    check.last_of = calloc(link->truth.connections + 1U, sizeof *check.last_of);
    if (check.published == NULL || check.last_of == NULL) {
        ledger_give_up("memory", "there is not enough");
    }
    add_notice(&check, (struct notice){.at = 1, .kind = NOTICE_ABSENCE}); /* before the first one */
    for (unsigned i = 0; i < ledger->epochs_count; i++) {
        walk_epoch(&check, i);
    }
    if (!check.is_up) {
        add_notice(&check, (struct notice){.at = UINT64_MAX - 1, .kind = NOTICE_DOWN});
    }
    check_missing(&check);
    report(&check);
    free(check.published);
    free(check.last_of);
    free(check.notices);
    return check.unseen;
}

void links_check(struct ledger *ledger)
{
    uint64_t unseen = 0;
    uint64_t holes = 0;
    for (unsigned i = 0; i < ledger->links_count; i++) {
        unseen += check_link(ledger, &ledger->links[i]);
    }
    for (unsigned i = 0; i < ledger->epochs_count; i++) {
        holes += ledger->epochs[i].books[VIEW_EVENTS].holes;
    }
    if (unseen > holes) {
        ledger_fault(ledger,
                     "%" PRIu64 " events may have been published and got by nobody, but "
                     "only %" PRIu64 " messages were",
                     unseen, holes);
    }
}
