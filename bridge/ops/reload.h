/* SPDX-License-Identifier: MPL-2.0 */
/*
 * SIGHUP: the configuration is read again, and what has changed is carried out while events flow.
 * Belongs to the event thread and never waits.
 */
#ifndef ARIZMQ_OPS_RELOAD_H
#define ARIZMQ_OPS_RELOAD_H

#include <libwebsockets.h>

#include "gateway/gateway.h"
#include "node/nodes.h"
#include "ops/config.h"
#include "pipeline.h"

struct reload;

/* All borrowed for the reload's life. */
struct reload_parts {
    struct lws_context *context;
    const struct config_source *source; /* for the process's life */
    struct pipeline *pipeline;
    struct nodes *nodes;
    struct gateway *gateway; /* NULL: there is none */
    /* Why there can be no reload now, as the end of a line; NULL: there can. */
    const char *(*why_not)(void *owner);
    /* `config` is in force from now on; whoever keeps it holds it. */
    void (*applied)(void *owner, const struct config *config);
    void *owner;
};

/* `config` is what runs; it is held. Returns ARIZMQ_OK or ARIZMQ_ENOMEM. */
int reload_create(const struct reload_parts *parts, const struct config *config,
                  struct reload **out);
void reload_destroy(struct reload **self);

/* Begins one. Where one is under way, another follows it, with what the sources say then. */
void reload_begin(struct reload *self);

/* To be called on LWS_CALLBACK_EVENT_WAIT_CANCELLED: what was being read may be there. */
void reload_wake(struct reload *self);

/* The readers of POST_CONFIG_TAKEN and POST_NODE_CLEAR; `self` is a struct reload. */
void reload_read_taken(void *self, const struct post_letter *letter);
void reload_read_clear(void *self, const struct post_letter *letter);

#endif
