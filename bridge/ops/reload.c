/* SPDX-License-Identifier: MPL-2.0 */
/*
 * One reload at a time, step by step: read in a thread of its own (reload_load.c); prepare whatever
 * can fail, with nothing changed; then change all at once, between two events; wait until the
 * command thread goes by it; let what was removed end. What is wrong with a configuration shows
 * before anything is changed: then one line is logged, and everything stays as it was.
 */
#include "ops/reload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"
#include "base/clock.h"
#include "ops/file_limit.h"
#include "ops/log.h"
#include "ops/metrics.h"
#include "ops/reload_load.h"

enum {
    LINE_SIZE = 1900, /* what a log line has room for */
    PART_EVERY_MS = 10,
};

enum reload_state {
    RELOAD_IDLE,
    RELOAD_READING, /* the sources */
    RELOAD_TAKING,  /* it is in force here; the command thread has still to take it in */
    RELOAD_PARTING, /* what was removed has still to end */
};

struct reload {
    struct reload_parts parts;
    const struct config *config; /* in force; held */
    enum reload_state state;
    bool is_wanted_again;
    uint64_t number; /* of the last change that the command thread was handed */
    struct reload_load *load;
    lws_sorted_usec_list_t timer;
};

/* What each part has made ready. */
struct prepared {
    struct pipeline_change *pipeline;
    struct nodes_change *nodes;
    struct gateway_change *gateway;
};

int reload_create(const struct reload_parts *parts, const struct config *config,
                  struct reload **out)
{
    struct reload *reload = calloc(1, sizeof *reload);
    if (reload == NULL) {
        return ARIZMQ_ENOMEM;
    }
    reload->parts = *parts;
    reload->config = config_hold(config);
    *out = reload;
    return ARIZMQ_OK;
}

void reload_destroy(struct reload **self)
{
    struct reload *reload = *self;
    *self = NULL;
    if (reload != NULL) {
        lws_sul_cancel(&reload->timer);
        reload_load_drop(&reload->load);
        config_release(&reload->config);
        free(reload);
    }
}

static void refuse(const char *why)
{
    metrics_add(METRIC_RELOADS_REFUSED, 1);
    log_error("reload_refused", "%s", why);
}

/* --- reading */

static void begin(struct reload *reload)
{
    reload->is_wanted_again = false;
    const char *why_not = reload->parts.why_not(reload->parts.owner);
    if (why_not != NULL) {
        refuse(why_not);
        return;
    }
    const char **names = calloc(CONFIG_SLOTS_MAX, sizeof *names);
    int result = names != NULL ? ARIZMQ_OK : ARIZMQ_ENOMEM;
    if (result == ARIZMQ_OK) {
        unsigned count = nodes_names(reload->parts.nodes, names);
        result = reload_load_begin(reload->parts.context, reload->parts.source, reload->config,
                                   names, count, &reload->load);
    }
    free(names);
    if (result != ARIZMQ_OK) {
        refuse("no memory to read the configuration");
        return;
    }
    reload->state = RELOAD_READING;
}

void reload_begin(struct reload *self)
{
    if (self->state != RELOAD_IDLE) {
        self->is_wanted_again = true;
        log_debug("reload", "another one follows the one that is under way");
        return;
    }
    begin(self);
}

static void end(struct reload *reload)
{
    reload->state = RELOAD_IDLE;
    if (reload->is_wanted_again) {
        begin(reload);
    }
}

/* --- parting */

static void on_timer(lws_sorted_usec_list_t *sul)
{
    struct reload *reload = lws_container_of(sul, struct reload, timer);
    if (nodes_part(reload->parts.nodes)) {
        lws_sul_schedule(reload->parts.context, 0, sul, on_timer,
                         (lws_usec_t)PART_EVERY_MS * LWS_US_PER_MS);
    } else {
        end(reload);
    }
}

static void part(struct reload *reload)
{
    reload->state = RELOAD_PARTING;
    nodes_retire(reload->parts.nodes);
    lws_sul_schedule(reload->parts.context, 0, &reload->timer, on_timer, 1);
}

void reload_read_taken(void *self, const struct post_letter *letter)
{
    struct reload *reload = self;
    if (reload->state == RELOAD_TAKING && letter->number == reload->number) {
        part(reload);
    }
}

void reload_read_clear(void *self, const struct post_letter *letter)
{
    struct reload *reload = self;
    nodes_clear(reload->parts.nodes, letter->node);
}

/* --- prepare and commit */

static void drop(struct prepared *prepared)
{
    pipeline_change_destroy(&prepared->pipeline);
    nodes_change_destroy(&prepared->nodes);
    gateway_change_destroy(&prepared->gateway);
}

static int prepare(struct reload *reload, const struct reload_plan *plan, struct prepared *prepared,
                   char *error, size_t error_size)
{
    const struct reload_parts *parts = &reload->parts;
    int result = file_limit_check(plan->after, error, error_size);
    if (result == ARIZMQ_OK) {
        result = pipeline_prepare(parts->pipeline, plan, &prepared->pipeline, error, error_size);
    }
    if (result == ARIZMQ_OK) {
        result = nodes_prepare(parts->nodes, plan, &prepared->nodes, error, error_size);
    }
    if (result == ARIZMQ_OK && parts->gateway != NULL) {
        result = gateway_prepare(parts->gateway, plan, &prepared->gateway, error, error_size);
    }
    /* The last that may fail; what the feed is told from here on is told by the new slots. */
    if (result == ARIZMQ_OK && parts->gateway != NULL) {
        snprintf(error, error_size, "no memory to tell the command thread");
        result = gateway_commit(parts->gateway, &prepared->gateway, reload->number + 1);
    }
    return result;
}

static void commit(struct reload *reload, const struct reload_plan *plan, struct prepared *prepared)
{
    const struct reload_parts *parts = &reload->parts;
    reload->number++;
    nodes_commit(parts->nodes, &prepared->nodes, plan);
    pipeline_commit(parts->pipeline, &prepared->pipeline, plan,
                    (int)(plan->after->stop_timeout_ms / 4));
    config_release(&reload->config);
    reload->config = config_hold(plan->after);
    parts->applied(parts->owner, reload->config);
}

static void count(void)
{
    metrics_add(METRIC_RELOADS, 1);
    metrics_set(METRIC_LAST_RELOAD, clock_wall_ns() / 1000000000U);
}

/* In the more talkative of both levels, so that the line about a change of it is not lost. */
static void log_changes(const struct reload_plan *plan)
{
    char line[LINE_SIZE];
    if (plan->after->log_level > plan->before->log_level) {
        log_set_level((enum log_level)plan->after->log_level);
    }
    reload_plan_print(plan, line, sizeof line);
    log_info("reloaded", "%s", line[0] != '\0' ? line : "nothing has changed");
    reload_plan_print_restart(plan, line, sizeof line);
    if (line[0] != '\0') {
        log_warning("reload_needs_restart",
                    "the running values stay until the bridge is started again: %s", line);
    }
    log_set_level((enum log_level)plan->after->log_level);
}

static void carry_out(struct reload *reload, struct reload_loaded *loaded)
{
    struct prepared prepared = {0};
    int result = prepare(reload, loaded->plan, &prepared, loaded->error, sizeof loaded->error);
    if (result != ARIZMQ_OK) {
        drop(&prepared);
        refuse(loaded->error);
        end(reload);
        return;
    }
    count();
    log_changes(loaded->plan);
    commit(reload, loaded->plan, &prepared);
    if (reload->parts.gateway != NULL) {
        reload->state = RELOAD_TAKING;
    } else {
        part(reload);
    }
}

void reload_wake(struct reload *self)
{
    struct reload_loaded loaded;
    if (self->state != RELOAD_READING || !reload_load_take(&self->load, &loaded)) {
        return;
    }
    const char *why_not = self->parts.why_not(self->parts.owner);
    if (loaded.result != ARIZMQ_OK || why_not != NULL) {
        refuse(why_not != NULL ? why_not : loaded.error);
        end(self);
    } else if (reload_plan_is_empty(loaded.plan)) {
        count();
        log_changes(loaded.plan);
        end(self);
    } else {
        carry_out(self, &loaded);
    }
    reload_plan_destroy(&loaded.plan);
    config_destroy(&loaded.config);
}
