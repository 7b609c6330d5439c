/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What a link tells others of itself: the gauges, the command thread (gateway/feed.h) and, where a
 * connection has ended, the subscribers. The other parts of the link call it at each change; the
 * command thread hears only what is new to it, and hears it before the subscribers do.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "node/link_private.h"
#include "ops/log.h"
#include "ops/metrics.h"
#include "publish/own_event.h"

static const char *const reason_words[] = {
    [LINK_CLOSED_BY_PEER] = "closed_by_peer",
    [LINK_CONNECTION_LOST] = "connection_lost",
    [LINK_LIVENESS] = "liveness",
    [LINK_FRAME_STALLED] = "frame_stalled",
    [LINK_PROTOCOL_ERROR] = "protocol_error",
    [LINK_INVALID_UTF8] = "invalid_utf8",
    [LINK_REPLACED] = "replaced",
    [LINK_STOPPING] = "stopping",
    [LINK_REMOVED] = "removed",
    [LINK_RELOAD] = "reload",
};

static void tell(struct link *link, enum feed_link state, const char *detail)
{
    char shortened[sizeof link->told_detail];
    snprintf(shortened, sizeof shortened, "%s", detail);
    if (state == link->told && strcmp(shortened, link->told_detail) == 0) {
        return; /* nothing new */
    }
    if (link->removed_detail != NULL) {
        return; /* the command thread does not know its place any more */
    }
    link->told = state;
    memcpy(link->told_detail, shortened, sizeof shortened);
    feed_link_state(link->environment->feed, link->node_index, link->application_index, state,
                    shortened);
}

void link_tell_down(struct link *self, const char *detail)
{
    tell(self, FEED_LINK_DOWN, detail);
}

void link_tell_handover(struct link *self, const char *detail)
{
    char text[sizeof self->told_detail];
    snprintf(text, sizeof text, "hand-over: %s", detail);
    tell(self, FEED_LINK_UP, text);
}

void link_tell_end(struct link *self, enum link_reason reason, const char *detail)
{
    char text[sizeof self->told_detail];
    snprintf(text, sizeof text, "%s: %s", reason_words[reason], detail);
    tell(self, FEED_LINK_DOWN, text);
}

/* A link that has left the configuration is not counted any more. */
static void count(enum link_state state, bool is_so)
{
    static const struct {
        enum link_state state;
        enum metric gauge;
    } gauges[] = {{LINK_UP, METRIC_LINKS_UP}, {LINK_STANDBY, METRIC_LINKS_STANDBY}};
    for (size_t i = 0; i < sizeof gauges / sizeof gauges[0]; i++) {
        if (state == gauges[i].state) {
            uint64_t value = metrics_get(gauges[i].gauge);
            metrics_set(gauges[i].gauge, is_so ? value + 1 : value - 1);
        }
    }
}

void link_tell_nothing(struct link *self, const char *removed_detail)
{
    count(self->state, false);
    self->removed_detail = removed_detail;
}

void link_set_state(struct link *self, enum link_state state)
{
    if (self->removed_detail == NULL) {
        count(self->state, false);
        count(state, true);
    }
    self->state = state;
    state_set_up(self->source.state, state == LINK_UP);
    if (state != LINK_UP && state != LINK_CLOSING) {
        link_drop_commands(self, &self->commands);
    }
    if (state == LINK_UP) {
        tell(self, FEED_LINK_UP, "");
    } else if (state == LINK_STANDBY) {
        tell(self, FEED_LINK_STANDBY, "another client has taken the application");
    } else if (state == LINK_CEDED && self->is_taken) {
        tell(self, FEED_LINK_STANDBY, "another bridge has taken the application over");
    }
}

static bool is_planned(enum link_reason reason)
{
    return reason == LINK_STOPPING || reason == LINK_REMOVED || reason == LINK_RELOAD;
}

/* Who folds the events forgets the link's objects with `removed`, and so does the state. */
static void publish(struct link *link, enum link_reason reason, const char *detail)
{
    json_t *json = own_event_create("ArizmqNodeDisconnected", link->application, link->node_name,
                                    clock_wall_ns());
    json_object_set_new(json, "reason", json_string(reason_words[reason]));
    json_object_set_new(json, "detail", json_string(detail));
    pipeline_publish_own(link->environment->pipeline, link->node_name, json);
    if (reason == LINK_REMOVED) {
        state_leave(link->source.state);
    }
}

void link_publish_gone(struct link *self)
{
    struct state_link *state = self->source.state;
    if (self->removed_detail != NULL && !state_is_shared(state) && state_holds_any(state)) {
        publish(self, LINK_REMOVED, self->removed_detail);
    }
}

void link_publish_disconnected(struct link *self, enum link_reason reason, const char *detail)
{
    if (self->removed_detail != NULL && reason != LINK_STOPPING) { /* however it ended */
        /* The objects are those of the link that has come in its place, too. */
        bool is_there_again = state_is_shared(self->source.state);
        reason = is_there_again ? LINK_RELOAD : LINK_REMOVED;
        detail = is_there_again ? "it was removed from the configuration, which has it again"
                                : self->removed_detail;
    }
    metrics_add(METRIC_DISCONNECTS, 1);
    log_write(is_planned(reason) ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, "node_disconnected",
              "%s: %s: %s", self->label, reason_words[reason], detail);
    link_tell_end(self, reason, detail);
    link_mark_incomplete(self);
    /* A connection that outlived the pause before it was a good one. */
    if (clock_monotonic_ms() - self->up_since_ms > self->retry_delay_ms) {
        self->retry_count = 0;
    }
    publish(self, reason, detail);
}
