/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A link's successor: a second connection of the same application, opened beside the one that
 * works. Asterisk moves the application over when it is asked to, tells the old connection so
 * (ApplicationReplaced), and sends what is new to the new one; the old one may hear of it before
 * the new one is up. As long as the successor does not come up, the link is as it was. Whoever
 * changes what a link is connected with calls link_hand_over().
 *
 * An attempt that has asked Asterisk is never given up for another one, because the application may
 * have gone to it. Where it ends without an answer, ApplicationReplaced tells whether it had.
 */
#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"
#include "node/link_private.h"
#include "ops/log.h"
#include "ops/metrics.h"

struct link_successor {
    struct link *link;
    struct link_way way;
    struct link_leaving *leaving; /* for the connection that it takes over from */
    struct dial dial;
    lws_sorted_usec_list_t timer; /* the pause before the next attempt */
    uint16_t retry_count;
    unsigned attempt;
    bool is_spare;               /* it is not to connect: see link_successor_prepare() */
    bool has_taken;              /* the application was replaced while it was connecting */
    bool has_lost;               /* that was before an address was given up */
    uint64_t unsure_since_ns;    /* wall clock: an address had been asked, and was given up */
    struct link_successor *next; /* that is to come after this one; NULL: none */
};

enum { WAIT_FOR_ROOM_MS = 50 };

static void successor_connect(struct link_successor *successor);

static void on_retry(lws_sorted_usec_list_t *sul)
{
    successor_connect(lws_container_of(sul, struct link_successor, timer));
}

static void connect_in(struct link_successor *successor, uint32_t wait_ms)
{
    lws_sul_schedule(successor->link->environment->context, 0, &successor->timer, on_retry,
                     (lws_usec_t)wait_ms * LWS_US_PER_MS);
}

static void successor_connect(struct link_successor *successor)
{
    struct link *link = successor->link;
    if (link->is_ceding) {
        return;
    }
    if (link_leaving_is_full(link)) {
        connect_in(successor, WAIT_FOR_ROOM_MS);
        return;
    }
    if (successor->attempt++ == 0) {
        log_info("handover", "%s: a second connection, to %s:%u, is to take over", link->label,
                 successor->way.host, successor->way.target.port);
    }
    successor->has_taken = false;
    dial_begin(&successor->dial, &successor->way, link->node->connect_timeout_ms);
}

/* Without the one that is to come after it. */
static void successor_free(struct link_successor *successor)
{
    lws_sul_cancel(&successor->timer);
    dial_cancel(&successor->dial);
    link_way_release(&successor->way);
    free(successor->leaving);
    free(successor);
}

/* The next one takes its place; returns it, NULL where there is none. */
static struct link_successor *make_room_for_next(struct link *link)
{
    struct link_successor *next = link->successor->next;
    successor_free(link->successor);
    link->successor = next;
    return next;
}

/* Whether two ways that are connected lead to different addresses. */
static bool is_elsewhere(const struct link_way *a, const struct link_way *b)
{
    return a->target.port != b->target.port || strcmp(a->address, b->address) != 0;
}

/* The link lives by the successor's connection from now on. */
static void on_dial_opened(void *owner, struct ws *ws)
{
    struct link_successor *successor = owner;
    struct link *link = successor->link;
    unsigned attempt = successor->attempt;
    uint64_t lost_since_ns = successor->has_lost ? successor->unsure_since_ns : 0;
    bool goes_elsewhere = is_elsewhere(&link->way, &successor->way);
    link_quiet(link);
    link_leaving_begin(successor->leaving, successor->has_taken, successor->unsure_since_ns,
                       goes_elsewhere);
    successor->leaving = NULL;
    link->way = successor->way;
    successor->way = (struct link_way){0};
    struct link_successor *next = make_room_for_next(link);
    metrics_add(METRIC_HANDOVERS, 1);
    if (goes_elsewhere) {
        state_doubt(link->source.state); /* another Asterisk may have other objects */
    }
    link_set_up(link, ws, attempt, true);
    if (lost_since_ns != 0) {
        link_missed_since(link, lost_since_ns);
    }
    if (next != NULL) {
        successor_connect(next);
    }
}

/* Nothing comes over the link's connection any more. */
static void application_has_gone(struct link_successor *successor, const char *detail)
{
    struct link *link = successor->link;
    log_warning("handover_failed",
                "%s: no second connection to %s:%u: %s; the application has gone from the first",
                link->label, successor->way.host, successor->way.target.port, detail);
    if (successor->dial.may_have_taken) {
        link->is_taken_by_own = true;
        link_close(link, LINK_CONNECTION_LOST,
                   "the application had gone to a new connection of the bridge, which was lost");
    } else {
        link_close_replaced(link);
    }
}

static void on_dial_failed(void *owner, const char *detail, bool is_refusal)
{
    struct link_successor *successor = owner;
    struct link *link = successor->link;
    metrics_add(METRIC_HANDOVERS_FAILED, 1);
    if (successor->has_taken) {
        application_has_gone(successor, detail);
        return;
    }
    if (is_refusal) {
        successor->retry_count = (uint16_t)link->retry.retry_ms_table_count;
    }
    uint32_t wait_ms = lws_retry_get_delay_ms(link->environment->context, &link->retry,
                                              &successor->retry_count, NULL);
    log_warning("handover_failed",
                "%s: no second connection to %s:%u: %s; the first one stays, next try in %u ms",
                link->label, successor->way.host, successor->way.target.port, detail, wait_ms);
    link_tell_handover(link, detail);
    if (successor->next != NULL) {
        successor->next->unsure_since_ns = successor->unsure_since_ns;
        successor = make_room_for_next(link);
        wait_ms = 0;
    }
    connect_in(successor, wait_ms);
}

static void on_dial_unsure(void *owner)
{
    struct link_successor *successor = owner;
    if (successor->unsure_since_ns == 0) {
        successor->unsure_since_ns = successor->link->heard_wall_ns;
    }
    successor->has_lost = successor->has_lost || successor->has_taken;
}

static const struct dial_handler dial_handler = {on_dial_opened, on_dial_failed, on_dial_unsure};

static struct link_successor *successor_create(struct link *link, const struct config_node *node,
                                               struct tls_host *tls)
{
    struct link_successor *successor = calloc(1, sizeof *successor);
    if (successor == NULL) {
        return NULL;
    }
    successor->link = link;
    successor->leaving = link_leaving_create(link);
    dial_init(&successor->dial, link->environment, &dial_handler, successor, link->label);
    if (successor->leaving == NULL || link_way_create(link->environment, node, link->application,
                                                      tls, &successor->way) != ARIZMQ_OK) {
        free(successor->leaving);
        free(successor);
        return NULL;
    }
    return successor;
}

/* Puts it behind the one that Asterisk has been asked for, or in place of the one that there is. */
static void set_successor(struct link *link, struct link_successor *successor)
{
    struct link_successor *present = link->successor;
    if (present != NULL && dial_has_asked(&present->dial)) {
        if (present->next != NULL) {
            successor_free(present->next);
        }
        present->next = successor;
        return;
    }
    if (present != NULL) {
        successor->unsure_since_ns = present->unsure_since_ns;
        successor_free(present);
    }
    link->successor = successor;
}

bool link_successor_has_asked(const struct link *self)
{
    return self->successor != NULL && dial_has_asked(&self->successor->dial);
}

int link_successor_prepare(struct link *self)
{
    if (self->successor == NULL) {
        self->successor = successor_create(self, self->node, self->way.tls);
        if (self->successor == NULL) {
            return ARIZMQ_ENOMEM;
        }
        self->successor->is_spare = true;
    }
    return ARIZMQ_OK;
}

void link_successor_resume(struct link *self)
{
    if (self->successor != NULL && self->successor->is_spare) {
        make_room_for_next(self);
    }
    if (self->successor != NULL) {
        successor_connect(self->successor);
    }
}

void link_successor_leave(struct link *self)
{
    link_leaving_begin(self->successor->leaving, true, 0, false);
    self->successor->leaving = NULL;
}

/* A link that is not up, and has another way now. */
static void connect_anew(struct link *self)
{
    switch (self->state) {
    case LINK_CONNECTING:
        dial_cancel(&self->dial);
        link_connect(self);
        break;
    case LINK_WAITING:
        lws_sul_cancel(&self->timer);
        self->retry_count = 0;
        link_connect(self);
        break;
    case LINK_STANDBY:
        lws_sul_cancel(&self->timer);
        rest_cancel(&self->rest);
        link_close_stand_by(self);
        break;
    default: /* link_connect() adopts it, where it still comes to that */
        break;
    }
}

/* The link has another node and a successor for it, which is returned; NULL without memory. */
static struct link_successor *take_node(struct link *link, const struct config_node *node,
                                        struct tls_host *tls)
{
    struct link_successor *successor = successor_create(link, node, tls);
    if (successor != NULL) {
        set_successor(link, successor);
        link->node = node;
        link_prepare_retry(link);
    }
    return successor;
}

int link_hand_over(struct link *self, const struct config_node *node, struct tls_host *tls)
{
    struct link_successor *successor = take_node(self, node, tls);
    if (successor == NULL) {
        return ARIZMQ_ENOMEM;
    }
    if (self->is_ceding) {
        return ARIZMQ_OK; /* link_reclaim() comes back to it */
    }
    if (self->state != LINK_UP) {
        connect_anew(self);
    } else if (self->successor == successor && !self->is_replaced) {
        successor_connect(successor);
    } /* else it waits behind another, or the link is on its way to standby */
    return ARIZMQ_OK;
}

int link_reconnect(struct link *self, const struct config_node *node, struct tls_host *tls)
{
    if (take_node(self, node, tls) == NULL) {
        return ARIZMQ_ENOMEM;
    }
    if (self->state != LINK_UP) {
        connect_anew(self);
    } else if (!self->is_replaced) { /* else it is on its way to standby */
        link_close(self, LINK_RELOAD, "subscribe_all has been turned off");
    }
    return ARIZMQ_OK;
}

void link_successor_set_max_event_bytes(struct link *self, uint64_t bytes)
{
    for (struct link_successor *at = self->successor; at != NULL; at = at->next) {
        at->way.target.max_message_bytes = bytes;
        dial_set_max_message_bytes(&at->dial, bytes);
    }
}

void link_successor_halt(struct link *self)
{
    if (self->successor != NULL) {
        lws_sul_cancel(&self->successor->timer);
        dial_cancel(&self->successor->dial);
    }
}

void link_successor_adopt(struct link *self)
{
    if (self->successor == NULL) {
        return;
    }
    while (self->successor->next != NULL) {
        make_room_for_next(self);
    }
    dial_cancel(&self->dial); /* a question for the old name may be under way */
    link_way_release(&self->way);
    self->way = self->successor->way;
    self->successor->way = (struct link_way){0};
    make_room_for_next(self);
}

void link_successor_destroy(struct link *self)
{
    while (self->successor != NULL) {
        make_room_for_next(self);
    }
}

bool link_successor_takes_replaced(struct link *self)
{
    if (self->successor == NULL || !self->successor->dial.is_under_way) {
        return false;
    }
    self->successor->has_taken = true;
    return true;
}
