/* SPDX-License-Identifier: MPL-2.0 */
/*
 * How a link gets a connection. link.c dials for the one it lives by, link_successor.c for one that
 * is to take over from that. What comes over the connection goes past this file.
 */
#include "node/dial.h"

#include <stdio.h>
#include <string.h>

#include "arizmq/error.h"
#include "base/clock.h"
#include "ops/log.h"
#include "ops/metrics.h"

static const struct ws_handler dial_ws_handler;

static void on_timeout(lws_sorted_usec_list_t *sul);

static void time_out_in(struct dial *dial, uint64_t wait_ms)
{
    lws_sul_schedule(dial->environment->context, 0, &dial->timer, on_timeout,
                     (lws_usec_t)(wait_ms * LWS_US_PER_MS));
}

/* The question goes on: it is still good for the next attempt, and there is never more than one. */
static void fail(struct dial *dial, const char *detail, bool is_refusal)
{
    dial->is_under_way = false;
    lws_sul_cancel(&dial->timer);
    metrics_add(METRIC_CONNECTS_FAILED, 1);
    dial->handler->failed(dial->owner, detail, is_refusal);
}

/* Tries the next of the addresses. Each has its share of the time that is left, so that one that
 * does not answer cannot use up that of the others. */
static void connect_next(struct dial *dial)
{
    uint64_t now_ms = clock_monotonic_ms();
    uint64_t left_ms = dial->connect_by_ms > now_ms ? dial->connect_by_ms - now_ms : 1;
    time_out_in(dial, left_ms / (dial->addresses.count - dial->address_next) + 1);
    snprintf(dial->way->address, INET6_ADDRSTRLEN, "%s",
             dial->addresses.address[dial->address_next++]);
    if (ws_open(&dial->way->target, dial->way->events_path, &dial_ws_handler, dial, &dial->ws) !=
        ARIZMQ_OK) {
        fail(dial, "no memory", false);
    }
}

/* An address that was asked and has not answered will not be heard any more. */
static void give_up_address(struct dial *dial)
{
    if (ws_has_asked(dial->ws)) {
        dial->may_have_taken = true;
        if (dial->handler->unsure != NULL) {
            dial->handler->unsure(dial->owner);
        }
    }
}

static void address_failed(struct dial *dial, const char *detail)
{
    if (dial->address_next < dial->addresses.count) {
        log_debug("node_address_failed", "%s: %s: %s", dial->label, dial->way->target.address,
                  detail);
        connect_next(dial);
    } else {
        fail(dial, detail, false);
    }
}

static void on_resolved(void *owner, const struct resolve_answer *answer)
{
    struct dial *dial = owner;
    dial->question = NULL;
    if (!dial->is_under_way) {
        return; /* it came too late for its attempt; the next one asks again */
    }
    if (answer->count == 0) {
        fail(dial, answer->error, false);
        return;
    }
    dial->addresses = *answer;
    dial->address_next = 0;
    connect_next(dial);
}

static void on_timeout(lws_sorted_usec_list_t *sul)
{
    struct dial *dial = lws_container_of(sul, struct dial, timer);
    static const char detail[] = "no connection within connect_timeout_ms";
    if (dial->ws == NULL) {
        fail(dial, detail, false);
    } else {
        give_up_address(dial);
        ws_abandon(&dial->ws);
        address_failed(dial, detail);
    }
}

static void on_opened(void *owner)
{
    struct dial *dial = owner;
    struct ws *ws = dial->ws;
    dial->ws = NULL;
    dial->is_under_way = false;
    lws_sul_cancel(&dial->timer);
    metrics_add(METRIC_CONNECTS, 1);
    dial->handler->opened(dial->owner, ws);
}

static void refused(struct dial *dial, const struct ws_ended *how)
{
    metrics_add(METRIC_CONNECTS_REFUSED, 1);
    const char *advice = "";
    if (how->code == 401) {
        advice = ": check username and password of this node";
    } else if (how->code == 403) {
        advice = ": this user may not do that; check ari.conf";
    } else if (how->code == 404) {
        advice = ": check the url's path and that res_ari is loaded";
    }
    char detail[sizeof how->detail + 80];
    snprintf(detail, sizeof detail, "Asterisk answered %s%s", how->detail, advice);
    /* Trying harder will not change a 401 or 403; a 404 or 500 may be an Asterisk that still
     * starts. */
    fail(dial, detail, how->code == 401 || how->code == 403);
}

static void on_ended(void *owner, const struct ws_ended *how)
{
    struct dial *dial = owner;
    if (how->end != WS_END_REFUSED) {
        give_up_address(dial);
    }
    dial->ws = NULL;
    if (how->end == WS_END_PROTOCOL_ERROR) {
        metrics_add(METRIC_PROTOCOL_ERRORS, 1);
    }
    if (how->end == WS_END_REFUSED) {
        refused(dial, how);
    } else {
        address_failed(dial, how->detail);
    }
}

/* Nothing else comes before it is open, and then it has another handler. */
static const struct ws_handler dial_ws_handler = {.opened = on_opened, .ended = on_ended};

void dial_init(struct dial *self, const struct link_environment *environment,
               const struct dial_handler *handler, void *owner, const char *label)
{
    *self = (struct dial){
        .environment = environment, .handler = handler, .owner = owner, .label = label};
}

void dial_begin(struct dial *self, struct link_way *way, uint32_t timeout_ms)
{
    self->way = way;
    self->is_under_way = true;
    self->may_have_taken = false;
    self->connect_by_ms = clock_monotonic_ms() + timeout_ms;
    time_out_in(self, timeout_ms);
    if (self->question == NULL && resolver_ask(self->environment->resolver, way->host, on_resolved,
                                               self, &self->question) != ARIZMQ_OK) {
        fail(self, "no thread to resolve the name in", false);
    }
}

bool dial_has_asked(const struct dial *self)
{
    return self->ws != NULL && ws_has_asked(self->ws);
}

void dial_cancel(struct dial *self)
{
    self->is_under_way = false;
    lws_sul_cancel(&self->timer);
    resolver_cancel(self->environment->resolver, &self->question);
    ws_abandon(&self->ws);
}

void dial_set_max_message_bytes(struct dial *self, uint64_t bytes)
{
    if (self->ws != NULL) {
        ws_set_max_message_bytes(self->ws, bytes);
    }
}
