/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What pipeline.c (the path of an event) and pipeline_change.c (other views) share; nobody else
 * includes this.
 */
#ifndef ARIZMQ_PIPELINE_PRIVATE_H
#define ARIZMQ_PIPELINE_PRIVATE_H

#include "pipeline.h"
#include "publish/view.h"

struct pipeline {
    const struct config *config; /* held */
    struct feed *feed;           /* NULL: no gateway */
    struct history *history;     /* NULL: no gateway */
    struct state *state;         /* NULL: none is kept (state.enabled) */
    uint64_t epoch;
    uint64_t seq;
    unsigned views_count;
    struct view *views[CONFIG_PUBLISH_MAX];
    /* The types that the bridge itself reacts to, as the object table knows them. */
    const struct object_type *rest_response;
    const struct object_type *application_replaced;
};

/* The view of config->publish[i]. Returns ARIZMQ_OK, or ARIZMQ_E… with one line that names the
 * endpoint and the reason in error[error_size]. */
int pipeline_create_view(struct pipeline *self, const struct config *config, unsigned i,
                         struct view **out, char *error, size_t error_size);

#endif
