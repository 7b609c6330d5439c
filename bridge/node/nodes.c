/* SPDX-License-Identifier: MPL-2.0 */
/*
 * One link for each application of each configured Asterisk. service.c creates, starts and stops
 * them all; after that each looks after itself.
 */
#include "node/nodes_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "arizmq/error.h"
#include "node/rest.h"
#include "node/ws.h"
#include "ops/metrics.h"

const struct lws_protocols *nodes_protocols[] = {&ws_raw_protocol, &ws_role_protocol,
                                                 &rest_protocol, NULL};

int nodes_create_tls(const struct nodes *self, const struct config_node *node,
                     struct tls_host **out, char *error, size_t error_size)
{
    *out = NULL;
    return node->use_tls ? tls_host_create(self->environment.context, node, nodes_protocols, out,
                                           error, error_size)
                         : ARIZMQ_OK;
}

static int create_links(struct nodes *nodes, struct node_slot *slot, unsigned index)
{
    const struct config_node *node = &nodes->config->nodes[index];
    slot->name = strdup(node->name);
    slot->links = calloc(node->apps_count, sizeof(struct link *));
    int result = slot->name != NULL && slot->links != NULL ? ARIZMQ_OK : ARIZMQ_ENOMEM;
    while (result == ARIZMQ_OK && slot->count < node->apps_count) {
        result = link_create(&nodes->environment, node, index, slot->count, slot->tls,
                             &slot->links[slot->count]);
        slot->count += result == ARIZMQ_OK;
    }
    return result;
}

static int create_node(struct nodes *nodes, unsigned index, char *error, size_t error_size)
{
    const struct config_node *node = &nodes->config->nodes[index];
    struct node_slot *slot = &nodes->slots[index];
    nodes->slots_count = index + 1;
    slot->is_there = true;
    int result = nodes_create_tls(nodes, node, &slot->tls, error, error_size);
    if (result != ARIZMQ_OK) {
        return result;
    }
    result = create_links(nodes, slot, index);
    if (result != ARIZMQ_OK) {
        snprintf(error, error_size, "node %s: no memory for its links", node->name);
    }
    return result;
}

void nodes_show(const struct nodes *self)
{
    unsigned count = 0;
    for (unsigned i = 0; i < self->slots_count; i++) {
        count += self->slots[i].count;
    }
    metrics_set(METRIC_LINKS, count);
}

int nodes_create(struct lws_context *context, struct lws_vhost *plain, const struct config *config,
                 struct pipeline *pipeline, struct feed *feed, struct nodes **out, char *error,
                 size_t error_size)
{
    struct nodes *nodes = calloc(1, sizeof *nodes);
    if (nodes != NULL) {
        nodes->config = config_hold(config);
        nodes->environment = (struct link_environment){.context = context,
                                                       .vhost = plain,
                                                       .resolver = resolver_create(context),
                                                       .pipeline = pipeline,
                                                       .feed = feed,
                                                       .config = config};
        nodes->slots = calloc(CONFIG_SLOTS_MAX, sizeof *nodes->slots);
    }
    if (nodes == NULL || nodes->environment.resolver == NULL || nodes->slots == NULL) {
        snprintf(error, error_size, "no memory for the nodes");
        nodes_destroy(&nodes);
        return ARIZMQ_ENOMEM;
    }
    for (unsigned i = 0; i < config->nodes_count; i++) {
        int result = create_node(nodes, i, error, error_size);
        if (result != ARIZMQ_OK) {
            nodes_destroy(&nodes);
            return result;
        }
    }
    nodes_show(nodes);
    *out = nodes;
    return ARIZMQ_OK;
}

void nodes_end_parting(struct nodes *self, struct parting *parting)
{
    DL_DELETE(self->partings, parting);
    link_destroy(&parting->link);
    config_release(&parting->config);
    free(parting);
}

static void destroy_slot(struct node_slot *slot)
{
    for (unsigned i = 0; i < slot->count; i++) {
        link_destroy(&slot->links[i]);
    }
    tls_host_release(&slot->tls);
    free(slot->links);
    free(slot->name);
}

void nodes_destroy(struct nodes **self)
{
    struct nodes *nodes = *self;
    *self = NULL;
    if (nodes == NULL) {
        return;
    }
    for (unsigned i = 0; i < nodes->slots_count; i++) {
        destroy_slot(&nodes->slots[i]);
    }
    while (nodes->partings != NULL) {
        nodes_end_parting(nodes, nodes->partings);
    }
    resolver_destroy(&nodes->environment.resolver);
    free(nodes->slots);
    config_release(&nodes->config);
    free(nodes);
}

/* --- all links */

void nodes_visit_links(const struct nodes *self, void (*visit)(void *owner, struct link *link),
                       void *owner)
{
    for (unsigned i = 0; i < self->slots_count; i++) {
        for (unsigned k = 0; k < self->slots[i].count; k++) {
            visit(owner, self->slots[i].links[k]);
        }
    }
}

/* Those that are on their way out, too. */
static void visit_all(const struct nodes *nodes, void (*visit)(void *owner, struct link *link),
                      void *owner)
{
    nodes_visit_links(nodes, visit, owner);
    const struct parting *parting = NULL;
    DL_FOREACH(nodes->partings, parting)
    {
        visit(owner, parting->link);
    }
}

static void start(void *owner, struct link *link)
{
    (void)owner;
    link_start(link);
}

void nodes_start(struct nodes *self)
{
    nodes_visit_links(self, start, NULL);
}

int nodes_hand_over(struct nodes *self, unsigned node, const struct config_node *to, char *error,
                    size_t error_size)
{
    struct tls_host *tls = NULL;
    int result = nodes_create_tls(self, to, &tls, error, error_size);
    const struct node_slot *slot = &self->slots[node];
    for (unsigned i = 0; result == ARIZMQ_OK && i < slot->count; i++) {
        result = link_hand_over(slot->links[i], to, tls);
        if (result != ARIZMQ_OK) {
            snprintf(error, error_size, "node %s: no memory for another connection", to->name);
        }
    }
    tls_host_release(&tls);
    return result;
}

struct link *nodes_link(const struct nodes *self, unsigned node, unsigned application)
{
    if (node >= self->slots_count || application >= self->slots[node].count) {
        return NULL;
    }
    return self->slots[node].links[application];
}

static void stop(void *owner, struct link *link)
{
    (void)owner;
    link_stop(link);
}

void nodes_stop(struct nodes *self)
{
    visit_all(self, stop, NULL);
}

static void abort_link(void *owner, struct link *link)
{
    (void)owner;
    link_abort(link);
}

void nodes_abort(struct nodes *self)
{
    visit_all(self, abort_link, NULL);
}

static void count_running(void *owner, struct link *link)
{
    unsigned *running = owner;
    *running += !link_is_stopped(link);
}

bool nodes_are_stopped(const struct nodes *self)
{
    unsigned running = 0;
    visit_all(self, count_running, &running);
    return running == 0;
}

/* --- what the command thread posts */

/* Over the node's first link that takes it; where it has been removed, over those that it still
 * has: the command was posted before that was known there. */
static bool send_command(const struct nodes *nodes, const struct post_letter *letter)
{
    const struct node_slot *slot = &nodes->slots[letter->node];
    for (unsigned i = 0; i < slot->count; i++) {
        if (link_send_command(slot->links[i], letter->number, letter->bytes, letter->length) ==
            ARIZMQ_OK) {
            return true;
        }
    }
    const struct parting *parting = NULL;
    DL_FOREACH(nodes->partings, parting)
    {
        if (parting->slot == letter->node && !slot->is_there &&
            link_send_command(parting->link, letter->number, letter->bytes, letter->length) ==
                ARIZMQ_OK) {
            return true;
        }
    }
    return false;
}

void nodes_send_command(void *self, const struct post_letter *letter)
{
    struct nodes *nodes = self;
    if (!send_command(nodes, letter)) {
        feed_answer(nodes->environment.feed, letter->number, NULL, 0, false);
    }
}

void nodes_wake(struct nodes *self)
{
    resolver_deliver(self->environment.resolver);
}
