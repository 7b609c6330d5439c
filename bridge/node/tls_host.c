/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A virtual host of libwebsockets with a counter of its holders. nodes.c makes them, the ways of
 * the links (link_way.h) hold them.
 */
#include "node/tls_host.h"

#include <stdio.h>
#include <stdlib.h>

#include "arizmq/error.h"

struct tls_host {
    unsigned holders;
    struct lws_vhost *vhost;
};

static struct lws_vhost *create_vhost(struct lws_context *context, const struct config_node *node,
                                      const struct lws_protocols **protocols)
{
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN,
        .vhost_name = "arizmqd-tls", /* kept by libwebsockets, so not a name of the node's own */
        .pprotocols = protocols,
        .client_ssl_ca_filepath = node->tls.ca_file,
        .client_ssl_cert_filepath = node->tls.cert_file,
        .client_ssl_private_key_filepath = node->tls.key_file,
        /* A private CA is the only one that may vouch for the node. */
        .options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT |
                   (node->tls.ca_file != NULL ? LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS : 0),
    };
    struct lws_vhost *vhost = lws_create_vhost(context, &info);
    if (vhost != NULL && lws_init_vhost_client_ssl(&info, vhost) != 0) {
        lws_vhost_destroy(vhost);
        return NULL;
    }
    return vhost;
}

int tls_host_create(struct lws_context *context, const struct config_node *node,
                    const struct lws_protocols **protocols, struct tls_host **out, char *error,
                    size_t error_size)
{
    struct tls_host *host = calloc(1, sizeof *host);
    if (host == NULL) {
        snprintf(error, error_size, "node %s: no memory for its TLS settings", node->name);
        return ARIZMQ_ENOMEM;
    }
    host->holders = 1;
    host->vhost = create_vhost(context, node, protocols);
    if (host->vhost == NULL) {
        snprintf(error, error_size,
                 "node %s: its TLS files cannot be used: ca_file %s, cert_file %s, key_file "
                 "%s; they must be readable PEM files that belong together",
                 node->name, node->tls.ca_file != NULL ? node->tls.ca_file : "(none)",
                 node->tls.cert_file != NULL ? node->tls.cert_file : "(none)",
                 node->tls.key_file != NULL ? node->tls.key_file : "(none)");
        free(host);
        return ARIZMQ_EINVALID;
    }
    *out = host;
    return ARIZMQ_OK;
}

struct tls_host *tls_host_hold(struct tls_host *self)
{
    if (self != NULL) {
        self->holders++;
    }
    return self;
}

void tls_host_release(struct tls_host **self)
{
    struct tls_host *host = *self;
    *self = NULL;
    if (host != NULL && --host->holders == 0) {
        lws_vhost_destroy(host->vhost);
        free(host);
    }
}

struct lws_vhost *tls_host_vhost(const struct tls_host *self)
{
    return self->vhost;
}
