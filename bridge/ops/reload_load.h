/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Reads the configuration again, in a thread of its own: files may be slow, and the event thread
 * never waits for a disk.
 */
#ifndef ARIZMQ_OPS_RELOAD_LOAD_H
#define ARIZMQ_OPS_RELOAD_LOAD_H

#include <libwebsockets.h>

#include "ops/config.h"
#include "ops/reload_plan.h"

struct reload_load;

enum { RELOAD_ERROR_SIZE = 1024 };

/* What came of it. */
struct reload_loaded {
    int result;               /* ARIZMQ_OK; else `error` says why, in one line */
    struct config *config;    /* its nodes stand in slots; the callee's */
    struct reload_plan *plan; /* from the one that runs to it; the callee's */
    char error[RELOAD_ERROR_SIZE];
};

/* Begins. `source` is borrowed for the process's life; `running` is held; names[0..count) are those
 * of the slots (config_place_nodes()) and are copied. The event thread is woken
 * (lws_cancel_service()) when it is done. Returns ARIZMQ_OK, or ARIZMQ_ENOMEM where there is no
 * thread or no memory to be had. */
int reload_load_begin(struct lws_context *context, const struct config_source *source,
                      const struct config *running, const char *const *names, unsigned count,
                      struct reload_load **out);

/* Event thread: true where it is done; then *out is filled, and *self is freed and NULL. */
bool reload_load_take(struct reload_load **self, struct reload_loaded *out);

/* Nobody wants to know any more; the thread frees what it has when it is done. */
void reload_load_drop(struct reload_load **self);

#endif
