/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A link under another configuration: what changes without another connection, and a link that is
 * in the configuration no longer. nodes_change.c calls it when a reload has come through; what
 * needs another connection is in link_successor.c.
 */
#include "node/link_private.h"

/* The pause that the link is in was chosen by other bounds. */
static void shorten_pause(struct link *link)
{
    if (link->retry_delay_ms > link->node->backoff_max_ms) {
        link_retry_later(link, true);
    }
}

static void stand_by_anew(struct link *link, const struct config_node *before)
{
    if (before->on_replaced == link->node->on_replaced &&
        before->replaced_retry_ms == link->node->replaced_retry_ms) {
        return;
    }
    lws_sul_cancel(&link->timer);
    rest_cancel(&link->rest);
    link_close_stand_by(link);
}

void link_set_node(struct link *self, const struct config_node *node)
{
    const struct config_node *before = self->node;
    self->node = node;
    link_prepare_retry(self);
    switch (self->state) {
    case LINK_UP:
        if (node->liveness_ms != before->liveness_ms) {
            link_watch_again(self);
        }
        break;
    case LINK_WAITING:
        shorten_pause(self);
        break;
    case LINK_STANDBY:
        stand_by_anew(self, before);
        break;
    default:
        break;
    }
}

void link_set_place(struct link *self, unsigned application)
{
    self->application_index = application;
}

void link_set_max_event_bytes(struct link *self, uint64_t bytes)
{
    self->way.target.max_message_bytes = bytes;
    if (self->ws != NULL) {
        ws_set_max_message_bytes(self->ws, bytes);
    }
    dial_set_max_message_bytes(&self->dial, bytes);
    link_successor_set_max_event_bytes(self, bytes);
}

const char *link_application(const struct link *self)
{
    return self->application;
}

void link_detach(struct link *self, const char *detail)
{
    link_tell_nothing(self, detail);
    self->is_stopping = true;
    link_successor_destroy(self);
    if (self->state != LINK_UP && self->state != LINK_CLOSING) {
        link_retire(self);
    }
}

void link_retire(struct link *self)
{
    link_end(self, LINK_REMOVED, self->removed_detail);
}

bool link_has_commands(const struct link *self)
{
    return self->commands != NULL;
}

bool link_is_replaced(const struct link *self)
{
    return self->is_replaced;
}
