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

static struct lws_vhost *create_tls_vhost(struct lws_context *context,
                                          const struct config_node *node)
{
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN,
        .vhost_name = node->name,
        .pprotocols = nodes_protocols,
        .client_ssl_ca_filepath = node->tls.ca_file,
        .client_ssl_cert_filepath = node->tls.cert_file,
        .client_ssl_private_key_filepath = node->tls.key_file,
        /* A private CA is the only one that may vouch for the node. */
        .options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT |
                   (node->tls.ca_file != NULL ? LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS : 0),
    };
    struct lws_vhost *vhost = lws_create_vhost(context, &info);
    if (vhost != NULL && lws_init_vhost_client_ssl(&info, vhost) != 0) {
        return NULL; /* the context frees the vhost */
    }
    return vhost;
}

static int create_links(struct nodes *nodes, unsigned node, struct lws_vhost *vhost)
{
    nodes->of_node[node].first = nodes->links_count;
    for (unsigned i = 0; i < nodes->environment.config->nodes[node].apps_count; i++) {
        int result =
            link_create(&nodes->environment, node, i, vhost, &nodes->links[nodes->links_count]);
        if (result != ARIZMQ_OK) {
            return result;
        }
        nodes->links_count++;
        nodes->of_node[node].count++;
    }
    return ARIZMQ_OK;
}

static int create_node(struct nodes *nodes, unsigned index, struct lws_vhost *plain, char *error,
                       size_t error_size)
{
    const struct config_node *node = &nodes->environment.config->nodes[index];
    struct lws_vhost *vhost = plain;
    if (node->use_tls) {
        vhost = create_tls_vhost(nodes->environment.context, node);
        if (vhost == NULL) {
            snprintf(error, error_size,
                     "node %s: its TLS files cannot be used: ca_file %s, cert_file %s, key_file "
                     "%s; they must be readable PEM files that belong together",
                     node->name, node->tls.ca_file != NULL ? node->tls.ca_file : "(none)",
                     node->tls.cert_file != NULL ? node->tls.cert_file : "(none)",
                     node->tls.key_file != NULL ? node->tls.key_file : "(none)");
            return ARIZMQ_EINVALID;
        }
    }
    int result = create_links(nodes, index, vhost);
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
        int result = create_node(nodes, i, plain, error, error_size);
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
