/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The views whose messages history keeps: the pipeline's views get a number each, requests name
 * them. The event thread adds, any thread looks up.
 */
#include <stdlib.h>
#include <string.h>

#include "keep/history_private.h"
#include "ops/log.h"

unsigned history_views(const struct history *self)
{
    return atomic_load_explicit(&self->views_count, memory_order_acquire);
}

int history_add_view(struct history *self, const char *name, const char *endpoint)
{
    if (self == NULL) {
        return -1;
    }
    unsigned count = history_views(self);
    for (unsigned i = 0; i < count; i++) {
        struct history_view *view = &self->views[i];
        if (atomic_load(&view->has_ended) && strcmp(view->name, name) == 0 &&
            strcmp(view->endpoint, endpoint) == 0) {
            atomic_store(&view->has_ended, false);
            return (int)i;
        }
    }
    if (count == HISTORY_VIEWS_MAX) {
        log_error("history", "view %s on %s is not kept: there have been %d views in this run",
                  name, endpoint, HISTORY_VIEWS_MAX);
        return -1;
    }
    struct history_view *view = &self->views[count];
    view->name = strdup(name);
    view->endpoint = strdup(endpoint);
    if (view->name == NULL || view->endpoint == NULL) {
        free(view->name);
        free(view->endpoint);
        log_error("history", "view %s on %s is not kept: no memory", name, endpoint);
        return -1;
    }
    size_t bytes = strlen(name) + strlen(endpoint) + 2 + 2 * HISTORY_MALLOC_BYTES;
    self->bytes += bytes;
    self->fixed_bytes += bytes;
    atomic_store_explicit(&self->views_count, count + 1, memory_order_release);
    history_show(self);
    return (int)count;
}

void history_end_view(struct history *self, int view)
{
    if (self != NULL && view >= 0) {
        atomic_store(&self->views[view].has_ended, true);
    }
}

int history_find_view(const struct history *self, const char *name_or_endpoint)
{
    unsigned count = history_views(self);
    int found = -1;
    for (unsigned i = 0; i < count; i++) {
        const struct history_view *view = &self->views[i];
        if (strcmp(view->name, name_or_endpoint) != 0 &&
            strcmp(view->endpoint, name_or_endpoint) != 0) {
            continue;
        }
        if (!atomic_load(&view->has_ended)) {
            return (int)i;
        }
        found = found < 0 ? (int)i : found;
    }
    return found;
}

const char *history_view_name(const struct history *self, unsigned view)
{
    return self->views[view].name;
}

const char *history_view_endpoint(const struct history *self, unsigned view)
{
    return self->views[view].endpoint;
}
