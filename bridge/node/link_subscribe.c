/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Does the link hear all it should? Asterisk silently ignores subscribeAll=true where the
 * application exists already (a channel is in it, or an old connection is not yet gone). So after
 * each connect the application's subscriptions are read, and asked for where they are missing. The
 * gap that a lost connection has left is told at once, one that a missing subscription has left
 * when it is there. Called by link.c.
 */
#include <stdio.h>
#include <string.h>

#include "arizmq/error.h"
#include "base/clock.h"
#include "node/heard.h"
#include "node/link_private.h"
#include "ops/log.h"
#include "ops/metrics.h"
#include "publish/own_event.h"

static void check(struct link *link);

/* Events may have been missed since complete_until_ns; from now on none are. */
static void publish_gap(struct link *link, const char *reason)
{
    if (link->complete_until_ns == 0) {
        return;
    }
    uint64_t now = clock_wall_ns();
    char from[CLOCK_TIMESTAMP_SIZE];
    char to[CLOCK_TIMESTAMP_SIZE];
    clock_format_timestamp(link->complete_until_ns, from);
    clock_format_timestamp(now, to);
    link->complete_until_ns = 0;
    json_t *json = own_event_create("ArizmqGap", link->application, link->node_name, now);
    json_object_set_new(json, "from", json_string(from));
    json_object_set_new(json, "to", json_string(to));
    json_object_set_new(json, "reason", json_string(reason));
    metrics_add(METRIC_GAPS, 1);
    log_warning("gap", "%s: events between %s and %s may be missing (%s)", link->label, from, to,
                reason);
    pipeline_publish_own(link->environment->pipeline, link->node_name, json);
    state_gap(link->source.state);
}

void link_missed_since(struct link *self, uint64_t since_ns)
{
    /* Where a gap is open already, it will be told when it ends. */
    bool is_open = self->complete_until_ns != 0;
    if (!is_open || since_ns < self->complete_until_ns) {
        self->complete_until_ns = since_ns;
    }
    if (!is_open && self->state == LINK_UP) {
        publish_gap(self, "reconnect");
        reconcile_start(self->reconcile);
    }
}

static bool hears_everything(const struct rest_answer *answer)
{
    struct heard heard;
    if (heard_read(answer->body, answer->length, &heard) != ARIZMQ_OK) {
        return false;
    }
    bool all = heard_everything(&heard);
    heard_release(&heard);
    return all;
}

/* It hears all it should. Where it went from one connection to another without missing anything,
 * what is known is still right. */
static void start_reconcile(struct link *link)
{
    if (!state_is_complete(link->source.state)) {
        reconcile_start(link->reconcile);
    }
}

static void on_recheck(lws_sorted_usec_list_t *sul)
{
    struct link *link = lws_container_of(sul, struct link, recheck);
    check(link);
}

/* It could not be found out, or not be mended: the stream goes on as it is, and is checked again.
 */
static void check_failed(struct link *link, const char *what, const struct rest_answer *answer)
{
    if (answer->status == 0) {
        log_warning("subscribe_all_unsure",
                    "%s: %s: %s; events may be missing; trying again in "
                    "%u ms",
                    link->label, what, answer->error, link->node->liveness_ms);
    } else {
        log_warning("subscribe_all_unsure",
                    "%s: %s: Asterisk answered %d; events may be missing; "
                    "trying again in %u ms",
                    link->label, what, answer->status, link->node->liveness_ms);
    }
    lws_sul_schedule(link->environment->context, 0, &link->recheck, on_recheck,
                     (lws_usec_t)link->node->liveness_ms * LWS_US_PER_MS);
}

static void on_mended(void *owner, const struct rest_answer *answer)
{
    struct link *link = owner;
    link->rest = NULL;
    if (answer->status != 200 || !hears_everything(answer)) {
        check_failed(link, "subscribing to everything", answer);
        return;
    }
    metrics_add(METRIC_SUBSCRIBE_ALL_MENDED, 1);
    log_info("subscribe_all_mended", "%s: Asterisk had ignored subscribeAll; subscribed over REST",
             link->label);
    publish_gap(link, "subscribe_all");
    reconcile_start(link->reconcile);
}

static void mend(struct link *link)
{
    if (rest_send(&link->way.target, "POST", link->way.subscribe_path,
                  link->node->connect_timeout_ms, on_mended, link, &link->rest) != ARIZMQ_OK) {
        check_failed(link, "subscribing to everything",
                     &(struct rest_answer){.error = "no memory"});
    }
}

static void on_checked(void *owner, const struct rest_answer *answer)
{
    struct link *link = owner;
    link->rest = NULL;
    if (answer->status != 200) {
        check_failed(link, "reading the application's subscriptions", answer);
    } else if (!hears_everything(answer)) {
        link->complete_until_ns = link->opened_wall_ns;
        mend(link);
    } else {
        start_reconcile(link);
    }
}

static void check(struct link *link)
{
    if (rest_send(&link->way.target, "GET", link->way.application_path,
                  link->node->connect_timeout_ms, on_checked, link, &link->rest) != ARIZMQ_OK) {
        check_failed(link, "reading the application's subscriptions",
                     &(struct rest_answer){.error = "no memory"});
    }
}

static void look(struct link *link)
{
    if (link->way.hears_all) {
        check(link);
    } else {
        start_reconcile(link);
    }
}

void link_subscribe_start(struct link *self)
{
    self->opened_wall_ns = clock_wall_ns();
    publish_gap(self, "reconnect");
    look(self);
}

void link_subscribe_check(struct link *self)
{
    bool is_under_way = self->rest != NULL;
    if (self->state == LINK_UP && !is_under_way) {
        lws_sul_cancel(&self->recheck);
        look(self);
    }
}

void link_subscribe_stop(struct link *self)
{
    reconcile_stop(self->reconcile);
    lws_sul_cancel(&self->recheck);
    rest_cancel(&self->rest);
}
