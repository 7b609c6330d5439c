/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A node's connections under another configuration. What is on the wire stays where it is: the
 * connections that it is on are closed once it is answered. gateway.c calls it when a reload has
 * come through.
 */
#include "gateway/http_private.h"

#include <assert.h>

#include <utlist.h>

/* What was not sent goes over the new connections, in its order. */
static void move_unsent(struct http_node *from, struct http_node *to)
{
    for (unsigned i = 0; i < from->handles_count; i++) {
        struct http_request *request = from->handles[i]->request;
        if (request != NULL && request->sends == 0) { /* it was connecting */
            http_request_detach(request);
            request->connects = 0;
            DL_APPEND(from->queue, request);
            from->queued++;
        }
    }
    while (from->queue != NULL) {
        struct http_request *request = from->queue;
        http_unqueue(request);
        request->node = to;
        DL_APPEND(to->queue, request);
        to->queued++;
    }
}

void http_set_node(struct http *self, unsigned slot, struct http_node *node)
{
    assert(slot < CONFIG_SLOTS_MAX);
    struct http_node *before = self->nodes[slot];
    self->nodes[slot] = node;
    self->slots = slot >= self->slots ? slot + 1 : self->slots;
    if (before != NULL) {
        move_unsent(before, node);
        DL_APPEND(self->replaced, before); /* http_turn() destroys it when nothing is under way */
    }
}

void http_change_node(struct http *self, unsigned slot, const struct config_node *config)
{
    struct http_node *node = self->nodes[slot];
    config_node_release(&node->config);
    node->config = config_node_hold(config);
    http_node_set_connections(node); /* in place: it needs no memory */
}

void http_clear_node(struct http *self, unsigned slot)
{
    if (slot < self->slots) {
        http_node_destroy(&self->nodes[slot]);
    }
}

void http_set_config(struct http *self, const struct config *config)
{
    config_hold(config);
    config_release(&self->config);
    self->config = config;
}
