/* SPDX-License-Identifier: MPL-2.0 */
/*
 * How a link leaves an Asterisk. Closing a WebSocket whose application hears device states, while
 * one is on its way to it, can lock Asterisk 22's res_stasis for good; so an application that hears
 * everything is first unsubscribed from them. Then the closing handshake, during which events are
 * still published. Called by the other parts of the link; no step here waits without a bound.
 */
#include <stdio.h>

#include "arizmq/error.h"
#include "node/link_private.h"
#include "ops/log.h"
#include "ops/metrics.h"

enum {
    UNSUBSCRIBE_TIMEOUT_MS = 1000,
    HANDSHAKE_TIMEOUT_MS = 1000,
    /* Now and then an event still arrives on the old connection after ApplicationReplaced. */
    REPLACED_LINGER_MS = 1000,
};

static void close_later(struct link *link, uint32_t wait_ms, sul_cb_t callback)
{
    lws_sul_schedule(link->environment->context, 0, &link->close_timer, callback,
                     (lws_usec_t)wait_ms * LWS_US_PER_MS);
}

static void on_standby(lws_sorted_usec_list_t *sul);

static void standby_later(struct link *link)
{
    lws_sul_schedule(link->environment->context, 0, &link->timer, on_standby,
                     (lws_usec_t)link->node->replaced_retry_ms * LWS_US_PER_MS);
}

static void on_asked_if_free(void *owner, const struct rest_answer *answer)
{
    struct link *link = owner;
    link->rest = NULL;
    if (answer->status == 404) {
        log_info("application_free", "%s: the other client is gone; connecting", link->label);
        link_connect(link);
        return;
    }
    if (answer->status == 200) {
        log_info("application_taken", "%s: the application exists; asking again in %u ms",
                 link->label, link->node->replaced_retry_ms);
    } else {
        log_warning("application_unsure",
                    "%s: is the application free? status %d %s; asking again "
                    "in %u ms",
                    link->label, answer->status, answer->error != NULL ? answer->error : "",
                    link->node->replaced_retry_ms);
    }
    standby_later(link);
}

static void on_standby(lws_sorted_usec_list_t *sul)
{
    struct link *link = lws_container_of(sul, struct link, timer);
    if (link->node->on_replaced == CONFIG_ON_REPLACED_RECONNECT) {
        link_connect(link);
    } else if (rest_send(&link->way.target, "GET", link->way.application_path,
                         link->node->connect_timeout_ms, on_asked_if_free, link,
                         &link->rest) != ARIZMQ_OK) {
        standby_later(link);
    }
}

void link_close_stand_by(struct link *self)
{
    if (link_cede_holds(self, true)) {
        return;
    }
    link_successor_adopt(self);
    link_set_state(self, LINK_STANDBY);
    switch (self->node->on_replaced) {
    case CONFIG_ON_REPLACED_STANDBY:
        log_warning("standby",
                    "%s: another client has taken the application; staying away until "
                    "restarted (on_replaced: standby)",
                    self->label);
        return;
    case CONFIG_ON_REPLACED_WHEN_FREE:
        log_warning("standby",
                    "%s: another client has taken the application; asking every %u ms "
                    "whether it is free (on_replaced: when_free)",
                    self->label, self->node->replaced_retry_ms);
        break;
    case CONFIG_ON_REPLACED_RECONNECT:
        log_warning("standby",
                    "%s: another client has taken the application; taking it back in "
                    "%u ms (on_replaced: reconnect)",
                    self->label, self->node->replaced_retry_ms);
        break;
    }
    standby_later(self);
}

/* The connection is gone. It is told only now, so that the last events come before it. */
static void closed(struct link *link)
{
    if (!link->is_told) {
        link_publish_disconnected(link, link->reason, link->close_detail);
    }
    link->is_told = false;
    if (link->is_stopping || link->reason == LINK_STOPPING) {
        link_set_state(link, LINK_STOPPED);
    } else if (link->reason == LINK_REPLACED) {
        link_close_stand_by(link);
    } else if (link->reason == LINK_RELOAD) {
        link_connect(link);
    } else {
        link_retry_later(link, false);
    }
}

static void give_up(struct link *link)
{
    ws_abandon(&link->ws);
    closed(link);
}

static void on_handshake_timeout(lws_sorted_usec_list_t *sul)
{
    give_up(lws_container_of(sul, struct link, close_timer));
}

static bool is_dead(const struct link *link)
{
    return link->reason == LINK_LIVENESS || link->reason == LINK_FRAME_STALLED;
}

static void close_handshake(struct link *link)
{
    if (link->ws == NULL) { /* it ended meanwhile */
        closed(link);
    } else if (is_dead(link)) {
        give_up(link); /* nobody would answer */
    } else {
        close_later(link,
                    link->is_stopping ? link->environment->config->stop_timeout_ms
                                      : HANDSHAKE_TIMEOUT_MS,
                    on_handshake_timeout);
        ws_close(link->ws, WS_CODE_NORMAL);
    }
}

int link_unsubscribe(const struct link_way *way, const char *path, rest_done *done, void *owner,
                     struct rest_request **out)
{
    return rest_send(&way->target, "DELETE", path, UNSUBSCRIBE_TIMEOUT_MS, done, owner, out);
}

void link_note_unsubscribed(const struct link *self, const struct rest_answer *answer)
{
    if (answer->status != 200) {
        log_debug("unsubscribe", "%s: no device-state unsubscription: status %d %s", self->label,
                  answer->status, answer->error != NULL ? answer->error : "");
    }
}

static void on_unsubscribed(void *owner, const struct rest_answer *answer)
{
    struct link *link = owner;
    link->rest = NULL;
    link_note_unsubscribed(link, answer);
    close_handshake(link);
}

void link_quiet(struct link *self)
{
    lws_sul_cancel(&self->close_timer);
    link_watch_stop(self);
    link_subscribe_stop(self);
}

void link_close(struct link *self, enum link_reason reason, const char *detail)
{
    link_successor_halt(self);
    link_set_state(self, LINK_CLOSING);
    self->reason = self->is_replaced && reason != LINK_STOPPING ? LINK_REPLACED : reason;
    self->close_detail = detail;
    link_tell_end(self, self->reason, detail);
    link_quiet(self);
    link_mark_incomplete(self);
    if (is_dead(self)) { /* no last event will come before it is told */
        link_publish_disconnected(self, self->reason, detail);
        self->is_told = true;
    }
    /* What was taken over belongs to another connection: its subscriptions are not touched. */
    if (!self->way.hears_all || self->is_replaced || self->is_taken_by_own ||
        link_unsubscribe(&self->way,
                         reason == LINK_RELOAD ? self->way.subscribe_path
                                               : self->way.unsubscribe_path,
                         on_unsubscribed, self, &self->rest) != ARIZMQ_OK) {
        close_handshake(self);
    }
}

void link_close_lost(struct link *self, enum link_reason reason, const char *detail)
{
    link_successor_halt(self);
    link_quiet(self);
    self->reason = self->is_replaced ? LINK_REPLACED : reason;
    self->close_detail = detail;
    closed(self);
}

void link_abort(struct link *self)
{
    link_leaving_abort(self);
    if (self->state == LINK_CLOSING) {
        link_quiet(self);
        give_up(self);
    }
}

void link_close_ended(struct link *self)
{
    if (self->rest == NULL) { /* else on_unsubscribed() goes on */
        link_quiet(self);
        closed(self);
    }
}

static const char replaced_detail[] = "another client has taken the application";

static void on_replaced(lws_sorted_usec_list_t *sul)
{
    link_close(lws_container_of(sul, struct link, close_timer), LINK_REPLACED, replaced_detail);
}

void link_close_replaced(struct link *self)
{
    metrics_add(METRIC_REPLACED, 1);
    self->is_replaced = true;
    link_successor_halt(self);
    link_mark_incomplete(self);
    if (self->state == LINK_UP) {
        close_later(self, REPLACED_LINGER_MS, on_replaced);
    }
}
