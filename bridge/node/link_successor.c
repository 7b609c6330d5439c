/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A link's successor: a second connection of the same application, opened beside the one that
 * works. Asterisk moves the application over with the handshake, tells the old connection so
 * (ApplicationReplaced), and sends what is new to the new one; before the handshake is answered,
 * the old one may have heard of it. As long as the successor does not come up, the link is as it
 * was. Whoever changes what a link is connected with calls link_hand_over().
 */
#include <stdlib.h>

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
    bool has_taken; /* the application was replaced while it was connecting */
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
    if (link_leaving_is_full(successor->link)) {
        connect_in(successor, WAIT_FOR_ROOM_MS);
        return;
    }
    successor->attempt++;
    successor->has_taken = false;
    dial_begin(&successor->dial, &successor->way, successor->link->node->connect_timeout_ms);
}

/* The link lives by the successor's connection from now on. */
static void on_dial_opened(void *owner, struct ws *ws)
{
    struct link_successor *successor = owner;
    struct link *link = successor->link;
    unsigned attempt = successor->attempt;
    link_quiet(link);
    link_leaving_begin(successor->leaving, successor->has_taken);
    successor->leaving = NULL;
    link->way = successor->way;
    successor->way = (struct link_way){0};
    link_successor_destroy(link);
    metrics_add(METRIC_HANDOVERS, 1);
    link_set_up(link, ws, attempt, true);
}

/* The application went to a connection that was then lost: the link hears nothing any more. */
static void lose_application(struct link *link)
{
    link->is_taken_by_own = true;
    link_close(link, LINK_CONNECTION_LOST,
               "the application had gone to a new connection of the bridge, which was lost");
}

static void on_dial_failed(void *owner, const char *detail, bool is_refusal)
{
    struct link_successor *successor = owner;
    struct link *link = successor->link;
    metrics_add(METRIC_HANDOVERS_FAILED, 1);
    if (successor->has_taken) {
        log_warning("handover_failed",
                    "%s: no second connection to %s:%u: %s; the application has "
                    "been taken from the first",
                    link->label, successor->way.host, successor->way.target.port, detail);
        if (successor->dial.was_refused) { /* so it was not this one that took it */
            link_close_replaced(link);
        } else {
            lose_application(link);
        }
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
    connect_in(successor, wait_ms);
}

static const struct dial_handler dial_handler = {on_dial_opened, on_dial_failed};

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

int link_hand_over(struct link *self, const struct config_node *node, struct tls_host *tls)
{
    struct link_successor *successor = successor_create(self, node, tls);
    if (successor == NULL) {
        return ARIZMQ_ENOMEM;
    }
    link_successor_destroy(self);
    self->successor = successor;
    self->node = node;
    link_prepare_retry(self);
    switch (self->state) {
    case LINK_UP:
        if (self->is_replaced) {
            break; /* on its way to standby */
        }
        log_info("handover", "%s: a second connection, to %s:%u, is to take over", self->label,
                 successor->way.host, successor->way.target.port);
        successor_connect(successor);
        break;
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
    return ARIZMQ_OK;
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
    dial_cancel(&self->dial); /* a question for the old name may be under way */
    link_way_release(&self->way);
    self->way = self->successor->way;
    self->successor->way = (struct link_way){0};
    link_successor_destroy(self);
}

void link_successor_destroy(struct link *self)
{
    struct link_successor *successor = self->successor;
    self->successor = NULL;
    if (successor == NULL) {
        return;
    }
    lws_sul_cancel(&successor->timer);
    dial_cancel(&successor->dial);
    link_way_release(&successor->way);
    free(successor->leaving);
    free(successor);
}

bool link_successor_takes_replaced(struct link *self)
{
    if (self->successor == NULL || !self->successor->dial.is_under_way) {
        return false;
    }
    self->successor->has_taken = true;
    return true;
}
