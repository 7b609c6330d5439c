/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Other views and bounds while events flow. New views are bound before anything changes, so that an
 * endpoint that cannot be had leaves all as it was; then the next event goes to the views as they
 * are from now on. reload.c calls it between two events.
 */
#include "pipeline_private.h"

#include <stdio.h>
#include <stdlib.h>

#include "arizmq/error.h"
#include "ops/log.h"

struct pipeline_change {
    const struct config *config;            /* held */
    struct view *added[CONFIG_PUBLISH_MAX]; /* by publish; NULL: it is there already */
};

void pipeline_change_destroy(struct pipeline_change **self)
{
    if (*self == NULL) {
        return;
    }
    for (unsigned i = 0; i < CONFIG_PUBLISH_MAX; i++) {
        view_destroy(&(*self)->added[i], 0);
    }
    config_release(&(*self)->config);
    free(*self);
    *self = NULL;
}

int pipeline_prepare(struct pipeline *self, const struct reload_plan *plan,
                     struct pipeline_change **out, char *error, size_t error_size)
{
    snprintf(error, error_size, "no memory for the views");
    struct pipeline_change *change = calloc(1, sizeof *change);
    if (change == NULL) {
        return ARIZMQ_ENOMEM;
    }
    change->config = config_hold(plan->after);
    int result = ARIZMQ_OK;
    for (unsigned i = 0; result == ARIZMQ_OK && i < plan->after->publish_count; i++) {
        if (plan->view_from[i] < 0) {
            result =
                pipeline_create_view(self, plan->after, i, &change->added[i], error, error_size);
        }
    }
    if (result != ARIZMQ_OK) {
        pipeline_change_destroy(&change);
        return result;
    }
    *out = change;
    return ARIZMQ_OK;
}

void pipeline_commit(struct pipeline *self, struct pipeline_change **change,
                     const struct reload_plan *plan, int linger_ms)
{
    const struct config *config = (*change)->config;
    struct view *views[CONFIG_PUBLISH_MAX] = {NULL};
    for (unsigned i = 0; i < config->publish_count; i++) {
        int from = plan->view_from[i];
        if (from < 0) {
            views[i] = (*change)->added[i];
            (*change)->added[i] = NULL;
        } else {
            views[i] = self->views[from];
            self->views[from] = NULL;
            view_set_config(views[i], &config->publish[i], &config->limits);
        }
    }
    for (unsigned i = 0; i < self->views_count; i++) {
        if (self->views[i] != NULL) {
            log_info("view_closed", "view %s on %s is closed", view_name(self->views[i]),
                     view_endpoint(self->views[i]));
            view_destroy(&self->views[i], linger_ms);
        }
    }
    for (unsigned i = 0; i < CONFIG_PUBLISH_MAX; i++) {
        self->views[i] = views[i];
    }
    self->views_count = config->publish_count;
    history_set_config(self->history, &config->history);
    if (self->state != NULL) {
        state_set_config(self->state, &config->state);
    }
    const struct config *before = self->config;
    self->config = config_hold(config);
    config_release(&before);
    pipeline_change_destroy(change);
}
