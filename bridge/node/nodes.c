/* SPDX-License-Identifier: MPL-2.0 */
/*
 * One link for each application of each configured Asterisk. service.c creates, starts and stops
 * them all; after that each looks after itself.
 */
#include "node/nodes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"
#include "node/link.h"
#include "node/rest.h"
#include "node/tls_host.h"
#include "node/ws.h"
#include "ops/metrics.h"

const struct lws_protocols *nodes_protocols[] = {&ws_raw_protocol, &ws_role_protocol,
                                                 &rest_protocol, NULL};

/* Of one node, in `links`. */
struct node_links {
    unsigned first;
    unsigned count;
};

struct nodes {
    struct link_environment environment;
    struct node_links *of_node;
    unsigned links_count;
    struct link **links;
};

static int create_links(struct nodes *nodes, unsigned node, struct tls_host *tls)
{
    nodes->of_node[node].first = nodes->links_count;
    for (unsigned i = 0; i < nodes->environment.config->nodes[node].apps_count; i++) {
        int result =
            link_create(&nodes->environment, node, i, tls, &nodes->links[nodes->links_count]);
        if (result != ARIZMQ_OK) {
            return result;
        }
        nodes->links_count++;
        nodes->of_node[node].count++;
    }
    return ARIZMQ_OK;
}

/* NULL where the node uses no TLS. */
static int create_tls(const struct nodes *nodes, const struct config_node *node,
                      struct tls_host **out, char *error, size_t error_size)
{
    *out = NULL;
    return node->use_tls ? tls_host_create(nodes->environment.context, node, nodes_protocols, out,
                                           error, error_size)
                         : ARIZMQ_OK;
}

static int create_node(struct nodes *nodes, unsigned index, char *error, size_t error_size)
{
    const struct config_node *node = &nodes->environment.config->nodes[index];
    struct tls_host *tls = NULL;
    int result = create_tls(nodes, node, &tls, error, error_size);
    if (result != ARIZMQ_OK) {
        return result;
    }
    result = create_links(nodes, index, tls);
    tls_host_release(&tls);
    if (result != ARIZMQ_OK) {
        snprintf(error, error_size, "node %s: no memory for its links", node->name);
    }
    return result;
}

int nodes_create(struct lws_context *context, struct lws_vhost *plain, const struct config *config,
                 struct pipeline *pipeline, struct feed *feed, struct nodes **out, char *error,
                 size_t error_size)
{
    unsigned links_max = 0;
    for (unsigned i = 0; i < config->nodes_count; i++) {
        links_max += config->nodes[i].apps_count;
    }
    struct nodes *nodes = calloc(1, sizeof *nodes);
    if (nodes != NULL) {
        nodes->environment = (struct link_environment){.context = context,
                                                       .vhost = plain,
                                                       .resolver = resolver_create(context),
                                                       .pipeline = pipeline,
                                                       .feed = feed,
                                                       .config = config};
        nodes->links = calloc(links_max + 1UL, sizeof(struct link *));
        nodes->of_node = calloc(config->nodes_count + 1UL, sizeof *nodes->of_node);
    }
    if (nodes == NULL || nodes->environment.resolver == NULL || nodes->links == NULL ||
        nodes->of_node == NULL) {
        snprintf(error, error_size, "no memory for %u links", links_max);
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
    metrics_set(METRIC_LINKS, nodes->links_count);
    *out = nodes;
    return ARIZMQ_OK;
}

void nodes_destroy(struct nodes **self)
{
    struct nodes *nodes = *self;
    *self = NULL;
    if (nodes == NULL) {
        return;
    }
    for (unsigned i = 0; i < nodes->links_count; i++) {
        link_destroy(&nodes->links[i]);
    }
    resolver_destroy(&nodes->environment.resolver);
    free(nodes->links);
    free(nodes->of_node);
    free(nodes);
}

void nodes_start(struct nodes *self)
{
    for (unsigned i = 0; i < self->links_count; i++) {
        link_start(self->links[i]);
    }
}

int nodes_hand_over(struct nodes *self, unsigned node, const struct config_node *to, char *error,
                    size_t error_size)
{
    struct tls_host *tls = NULL;
    int result = create_tls(self, to, &tls, error, error_size);
    const struct node_links *links = &self->of_node[node];
    for (unsigned i = 0; result == ARIZMQ_OK && i < links->count; i++) {
        result = link_hand_over(self->links[links->first + i], to, tls);
        if (result != ARIZMQ_OK) {
            snprintf(error, error_size, "node %s: no memory for another connection", to->name);
        }
    }
    tls_host_release(&tls);
    return result;
}

struct link *nodes_link(const struct nodes *self, unsigned node, unsigned application)
{
    if (node >= self->environment.config->nodes_count || application >= self->of_node[node].count) {
        return NULL;
    }
    return self->links[self->of_node[node].first + application];
}

void nodes_visit_links(const struct nodes *self, void (*visit)(void *owner, struct link *link),
                       void *owner)
{
    for (unsigned i = 0; i < self->links_count; i++) {
        visit(owner, self->links[i]);
    }
}

void nodes_stop(struct nodes *self)
{
    for (unsigned i = 0; i < self->links_count; i++) {
        link_stop(self->links[i]);
    }
}

void nodes_abort(struct nodes *self)
{
    for (unsigned i = 0; i < self->links_count; i++) {
        link_abort(self->links[i]);
    }
}

bool nodes_are_stopped(const struct nodes *self)
{
    for (unsigned i = 0; i < self->links_count; i++) {
        if (!link_is_stopped(self->links[i])) {
            return false;
        }
    }
    return true;
}

/* Over the node's first link that takes it. */
void nodes_send_command(void *self, const struct post_letter *letter)
{
    struct nodes *nodes = self;
    const struct node_links *links = &nodes->of_node[letter->node];
    for (unsigned i = 0; i < links->count; i++) {
        if (link_send_command(nodes->links[links->first + i], letter->number, letter->bytes,
                              letter->length) == ARIZMQ_OK) {
            return;
        }
    }
    feed_answer(nodes->environment.feed, letter->number, NULL, 0, false);
}

void nodes_wake(struct nodes *self)
{
    resolver_deliver(self->environment.resolver);
}
