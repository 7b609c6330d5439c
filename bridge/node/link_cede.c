/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A link whose application another bridge takes over, by opening a connection of its own beside the
 * link's. The other one has all that is new from then on; what still comes here is published. If
 * the other one gives up, the link takes back what it lost and tells what it missed. ops/cede.c
 * asks all links at the same time, and asks the links of a bridge that takes over to expect it.
 */
#include "arizmq/error.h"
#include "base/clock.h"
#include "node/link_private.h"
#include "ops/log.h"
#include "ops/metrics.h"

/* So much later than the other bridge has given up, its taking the application may be read here:
 * the word of it waits behind the events that came before. */
enum { RECLAIM_MS = 30000 };

void link_expect(struct link *self)
{
    self->is_expected = true;
}

static void hold(struct link *link)
{
    lws_sul_cancel(&link->timer);
    dial_cancel(&link->dial);
    rest_cancel(&link->rest);
    link_set_state(link, LINK_CEDED);
}

/* A connection that was given up now might have the application already. */
static bool has_asked(const struct link *link)
{
    return (link->state == LINK_UP && link_successor_has_asked(link)) ||
           (link->state == LINK_CONNECTING && dial_has_asked(&link->dial));
}

int link_cede(struct link *self)
{
    self->is_ceding = true;
    if (has_asked(self)) {
        return ARIZMQ_OK;
    }
    switch (self->state) {
    case LINK_UP:
        link_successor_halt(self);
        return link_successor_prepare(self);
    case LINK_IDLE:
    case LINK_CONNECTING:
    case LINK_WAITING:
        hold(self);
        break;
    case LINK_STANDBY:
        self->was_standing_by = true;
        hold(self);
        break;
    case LINK_CLOSING: /* held when the connection is closed */
    case LINK_CEDED:
    case LINK_STOPPED:
        break;
    }
    return ARIZMQ_OK;
}

bool link_cede_holds(struct link *self, bool stands_by)
{
    if (!self->is_ceding) {
        return false;
    }
    self->was_standing_by = stands_by;
    hold(self);
    return true;
}

/* Nothing new comes over the link's connection any more; there is a way and room for it to leave.
 */
static void give(struct link *link)
{
    metrics_add(METRIC_REPLACED, 1);
    log_info("taken_over", "%s: another bridge has taken the application over", link->label);
    link->is_taken = true;
    link->owed_since_ns = link->complete_until_ns;
    link_mark_incomplete(link);
    link_quiet(link);
    link_successor_leave(link);
    link_set_state(link, LINK_CEDED);
}

/* The other bridge had taken it before it gave up, and that is read only now. */
static bool takes_late(struct link *link)
{
    bool is_in_time = clock_monotonic_ms() < link->reclaim_by_ms;
    link->reclaim_by_ms = 0;
    if (!is_in_time || link_successor_has_asked(link) ||
        link_successor_prepare(link) != ARIZMQ_OK) {
        return false;
    }
    link_successor_halt(link);
    give(link);
    link_reclaim(link);
    return true;
}

bool link_cede_takes_replaced(struct link *self)
{
    if (self->state != LINK_UP || self->is_replaced) {
        return false;
    }
    if (!self->is_ceding) {
        return self->reclaim_by_ms != 0 && takes_late(self);
    }
    give(self);
    return true;
}

void link_reclaim(struct link *self)
{
    bool was_taken = self->is_taken;
    bool was_standing_by = self->was_standing_by;
    self->is_ceding = false;
    self->is_taken = false;
    self->was_standing_by = false;
    link_leaving_go_on(self);
    if (self->state == LINK_UP) {
        self->reclaim_by_ms = clock_monotonic_ms() + RECLAIM_MS;
        link_successor_resume(self);
    }
    if (self->state != LINK_CEDED) {
        return;
    }
    if (was_standing_by) {
        link_close_stand_by(self);
        return;
    }
    if (was_taken) {
        link_publish_disconnected(self, LINK_REPLACED,
                                  "another bridge was to take over, and has not");
    }
    link_connect(self);
}

enum link_ceded link_ceded(const struct link *self)
{
    if (has_asked(self)) {
        return LINK_CEDED_NOT_YET;
    }
    if (self->state != LINK_CEDED) {
        return LINK_CEDED_NOT;
    }
    if (!self->is_taken) {
        return LINK_CEDED_DOWN;
    }
    return link_leaving_has_lingered(self) ? LINK_CEDED_DONE : LINK_CEDED_TAKEN;
}

uint64_t link_owed_since_ns(const struct link *self)
{
    return self->is_taken ? self->owed_since_ns : self->complete_until_ns;
}
