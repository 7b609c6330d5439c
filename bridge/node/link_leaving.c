/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A connection that a successor has taken over from: kept until what is still on its way over it
 * has come, then closed without a word to the subscribers. Late events are published as they come,
 * the answers to commands that were sent over it are handed on. The application belongs to the
 * successor now, so its subscriptions are not touched, unless that is connected to another
 * Asterisk: then this one is left as link_close.c leaves it. Made by link_successor.c.
 *
 * That nothing is missing is proven by ApplicationReplaced, or else by the close frame that answers
 * ours: Asterisk wrote whatever came before it on the same connection. Where neither comes, events
 * may have been lost, and that is told.
 *
 * How long it may take is measured in silence, not in time: a bridge that is behind with reading
 * has the last events of this connection still before it.
 */
#include <stdlib.h>

#include <utlist.h>

#include "arizmq/error.h"
#include "base/clock.h"
#include "node/link_private.h"
#include "ops/log.h"
#include "ops/metrics.h"

enum {
    LEAVING_MAX = 4, /* for one link; each is a session of Asterisk's */
    TICK_MS = 100,
    /* Ticks of silence. Now and then an event still arrives on the old connection after
     * ApplicationReplaced, which an eventFilter may keep back. */
    LINGER_TICKS = 10,
    REPLACED_TICKS = 50,
    HANDSHAKE_TICKS = 10,
    /* Of a phase, whatever comes: where the other connection is to another Asterisk, events go on
     * coming over this one. */
    PHASE_TICKS_MAX = 300,
};

struct link_leaving {
    struct link_leaving *prev, *next;
    struct link *link;
    struct link_way way;
    struct ws *ws;
    struct link_command *commands;
    struct rest_request *rest;
    struct pipeline_source source;
    lws_sorted_usec_list_t timer;
    uint64_t heard_wall_ns;
    /* Without ApplicationReplaced, events may be missing since then; 0: none */
    uint64_t unsure_since_ns;
    uint64_t answers_by_ms; /* monotonic: answers are not waited for longer */
    bool has_heard;         /* bytes came since the last tick */
    unsigned silent_ticks;  /* the last ones, without any */
    unsigned phase_ticks;   /* all of this phase */
    bool is_replaced;       /* ApplicationReplaced has come */
    bool has_lingered;      /* late events are not waited for any longer */
    bool is_elsewhere;      /* the successor is connected to another address */
    bool is_closing;
};

static void on_tick(lws_sorted_usec_list_t *sul);

static void tick_again(struct link_leaving *leaving)
{
    lws_sul_schedule(leaving->link->environment->context, 0, &leaving->timer, on_tick,
                     (lws_usec_t)TICK_MS * LWS_US_PER_MS);
}

/* What is waited for now is waited for from now on. */
static void begin_phase(struct link_leaving *leaving)
{
    leaving->silent_ticks = 0;
    leaving->phase_ticks = 0;
    tick_again(leaving);
}

static void leaving_free(struct link_leaving *leaving)
{
    struct link *link = leaving->link;
    lws_sul_cancel(&leaving->timer);
    rest_cancel(&leaving->rest);
    ws_abandon(&leaving->ws);
    link_drop_commands(link, &leaving->commands);
    DL_DELETE(link->leaving, leaving);
    link->leaving_count--;
    metrics_set(METRIC_LINKS_LEAVING, metrics_get(METRIC_LINKS_LEAVING) - 1);
    link_way_release(&leaving->way);
    free(leaving);
}

/* What came is not known to be all. */
static void tell_unproven(const struct link_leaving *leaving, const char *detail)
{
    log_warning("handover_unproven",
                "%s: the connection that was handed over may not have delivered all: %s",
                leaving->link->label, detail);
    bool is_older = leaving->unsure_since_ns != 0 && !leaving->is_replaced;
    link_missed_since(leaving->link, is_older ? leaving->unsure_since_ns : leaving->heard_wall_ns);
}

static void on_unsubscribed(void *owner, const struct rest_answer *answer)
{
    struct link_leaving *leaving = owner;
    leaving->rest = NULL;
    link_note_unsubscribed(leaving->link, answer);
    begin_phase(leaving);
    ws_close(leaving->ws, WS_CODE_NORMAL);
}

/* Nobody has taken the application from this connection. */
static bool has_application(const struct link_leaving *leaving)
{
    return leaving->is_elsewhere && !leaving->is_replaced;
}

/* Of another Asterisk, events came as long as this connection was there: what they told of is not
 * the link's any more. And where it was the same under another address, the link lacks the device
 * states now. Both are found out. */
static void finish(struct link_leaving *leaving)
{
    struct link *link = leaving->link;
    bool must_check = has_application(leaving);
    leaving_free(leaving);
    if (must_check) {
        state_doubt(link->source.state);
        link_subscribe_check(link);
    }
}

static void leave(struct link_leaving *leaving)
{
    if (leaving->is_closing) {
        return;
    }
    leaving->is_closing = true;
    begin_phase(leaving);
    if (!has_application(leaving) || !leaving->way.hears_all ||
        link_unsubscribe(&leaving->way, leaving->way.unsubscribe_path, on_unsubscribed, leaving,
                         &leaving->rest) != ARIZMQ_OK) {
        ws_close(leaving->ws, WS_CODE_NORMAL);
    }
}

static void leave_if_done(struct link_leaving *leaving)
{
    if (!leaving->has_lingered || leaving->link->is_ceding) {
        return;
    }
    if (leaving->commands == NULL || clock_monotonic_ms() >= leaving->answers_by_ms) {
        leave(leaving);
    }
}

static void give_up(struct link_leaving *leaving)
{
    if (!leaving->is_replaced) {
        tell_unproven(leaving, "its close was not answered");
    }
    finish(leaving);
}

/* Between two ticks the loop has read what there was, however late they are. */
static void on_tick(lws_sorted_usec_list_t *sul)
{
    struct link_leaving *leaving = lws_container_of(sul, struct link_leaving, timer);
    leaving->silent_ticks = leaving->has_heard ? 0 : leaving->silent_ticks + 1;
    leaving->has_heard = false;
    leaving->phase_ticks++;
    unsigned wanted = leaving->is_closing    ? HANDSHAKE_TICKS
                      : leaving->is_replaced ? LINGER_TICKS
                                             : REPLACED_TICKS;
    bool is_over = leaving->rest == NULL &&
                   (leaving->silent_ticks >= wanted || leaving->phase_ticks >= PHASE_TICKS_MAX);
    if (is_over && leaving->is_closing) {
        give_up(leaving);
        return;
    }
    tick_again(leaving);
    if (is_over || leaving->has_lingered) {
        leaving->has_lingered = true;
        leave_if_done(leaving);
    }
}

/* --- what the WebSocket tells */

static void on_message(void *owner, const char *text, size_t length, uint64_t received_ns)
{
    struct link_leaving *leaving = owner;
    link_take_message(leaving->link, &leaving->source, text, length, received_ns);
}

static void on_refused(void *owner, enum ws_refusal why, uint64_t length)
{
    struct link_leaving *leaving = owner;
    link_take_refused(leaving->link, why, length);
}

static void on_heard(void *owner, uint64_t received_ns)
{
    struct link_leaving *leaving = owner;
    leaving->heard_wall_ns = received_ns;
    leaving->has_heard = true;
}

static void on_ended(void *owner, const struct ws_ended *how)
{
    struct link_leaving *leaving = owner;
    leaving->ws = NULL;
    if (how->end == WS_END_PROTOCOL_ERROR) {
        metrics_add(METRIC_PROTOCOL_ERRORS, 1);
    }
    /* A close frame comes after everything else; any other end may have cut something off. */
    bool is_whole = how->end == WS_END_CLOSED ||
                    (leaving->is_replaced && (leaving->has_lingered || leaving->is_closing));
    if (leaving->unsure_since_ns != 0 && !leaving->is_replaced) {
        tell_unproven(leaving, "an earlier connection may have taken the application from it");
    } else if (is_whole) {
        log_debug("handover_done", "%s: the connection that was handed over is closed",
                  leaving->link->label);
    } else {
        tell_unproven(leaving, how->detail);
    }
    finish(leaving);
}

static const struct ws_handler leaving_ws_handler = {
    .message = on_message, .refused = on_refused, .heard = on_heard, .ended = on_ended};

/* --- what the pipeline asks */

static bool on_response(void *owner, const struct event *event)
{
    struct link_leaving *leaving = owner;
    struct span request_id;
    if (!link_response_id(event, &request_id)) {
        return false;
    }
    if (link_watch_takes_response(leaving->link, &request_id)) {
        return true;
    }
    if (!link_command_takes_response(leaving->link, &leaving->commands, &request_id, event)) {
        return false;
    }
    leave_if_done(leaving);
    return true;
}

static void on_application_replaced(void *owner, const struct event *event)
{
    struct link_leaving *leaving = owner;
    if (link_is_of_application(leaving->link, event) && !leaving->is_replaced) {
        leaving->is_replaced = true;
        if (!leaving->is_closing) {
            begin_phase(leaving);
        }
    }
}

/* --- life */

struct link_leaving *link_leaving_create(struct link *link)
{
    struct link_leaving *leaving = calloc(1, sizeof *leaving);
    if (leaving != NULL) {
        leaving->link = link;
    }
    return leaving;
}

void link_leaving_begin(struct link_leaving *self, bool is_replaced, uint64_t unsure_since_ns,
                        bool is_elsewhere)
{
    struct link *link = self->link;
    self->way = link->way;
    self->ws = link->ws;
    self->commands = link->commands;
    self->heard_wall_ns = link->heard_wall_ns;
    self->unsure_since_ns = unsure_since_ns;
    self->is_replaced = is_replaced;
    self->is_elsewhere = is_elsewhere;
    self->answers_by_ms =
        clock_monotonic_ms() + link->environment->config->gateway.answer_timeout_ms;
    self->source = link->source;
    self->source.takes_response = on_response;
    self->source.application_replaced = on_application_replaced;
    self->source.owner = self;
    link->way = (struct link_way){0};
    link->ws = NULL;
    link->commands = NULL;
    ws_set_handler(self->ws, &leaving_ws_handler, self);
    DL_APPEND(link->leaving, self);
    link->leaving_count++;
    metrics_add(METRIC_LINKS_LEAVING, 1);
    begin_phase(self);
}

bool link_leaving_has_lingered(const struct link *link)
{
    const struct link_leaving *leaving = NULL;
    DL_FOREACH(link->leaving, leaving)
    {
        if (!leaving->has_lingered) {
            return false;
        }
    }
    return true;
}

int link_leaving_send_command(struct link *link, uint64_t number, const char *text, size_t length)
{
    if (link->leaving == NULL) {
        return ARIZMQ_ECLOSED;
    }
    struct link_leaving *last = link->leaving->prev; /* as utlist has it */
    return link_command_send(&last->commands, last->ws, number, text, length);
}

void link_leaving_go_on(struct link *link)
{
    struct link_leaving *leaving = NULL;
    struct link_leaving *next = NULL;
    DL_FOREACH_SAFE(link->leaving, leaving, next)
    {
        leave_if_done(leaving);
    }
}

bool link_leaving_is_full(const struct link *link)
{
    return link->leaving_count >= LEAVING_MAX;
}

void link_leaving_hurry(struct link *link)
{
    struct link_leaving *leaving = NULL;
    struct link_leaving *next = NULL;
    DL_FOREACH_SAFE(link->leaving, leaving, next)
    {
        leave(leaving);
    }
}

void link_leaving_abort(struct link *link)
{
    while (link->leaving != NULL) {
        leaving_free(link->leaving);
    }
}
