/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A virtual host of libwebsockets with a counter of its holders. nodes.c makes them, the ways of
 * the links (link_way.h) hold them.
 *
 * libwebsockets shares the TLS context among virtual hosts that name the same files, whatever is in
 * them by now. So where there are files the context is made here, and what they hold at that moment
 * counts.
 */
#include "node/tls_host.h"

#include <stdio.h>
#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "arizmq/error.h"
#include "base/tls.h"

struct tls_host {
    unsigned holders;
    struct lws_vhost *vhost;
    SSL_CTX *own; /* NULL: libwebsockets' */
};

/* A private CA is the only one that may vouch for the node. */
static bool load_authorities(SSL_CTX *own, const struct config_tls *tls)
{
    return tls->ca_file != NULL ? SSL_CTX_load_verify_locations(own, tls->ca_file, NULL) == 1
                                : SSL_CTX_set_default_verify_paths(own) == 1;
}

static bool load_certificate(SSL_CTX *own, const struct config_tls *tls)
{
    return tls->cert_file == NULL ||
           (SSL_CTX_use_certificate_chain_file(own, tls->cert_file) == 1 &&
            SSL_CTX_use_PrivateKey_file(own, tls->key_file, SSL_FILETYPE_PEM) == 1 &&
            SSL_CTX_check_private_key(own) == 1);
}

/* False where the files cannot be used. */
static bool create_own(struct tls_host *host, const struct config_tls *tls)
{
    if (tls->ca_file == NULL && tls->cert_file == NULL) {
        return true;
    }
    host->own = SSL_CTX_new(TLS_client_method());
    if (host->own == NULL) {
        return false;
    }
    SSL_CTX_set_options(host->own, SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_default_passwd_cb(host->own, tls_give_no_passphrase);
    bool is_loaded = load_authorities(host->own, tls) && load_certificate(host->own, tls);
    ERR_clear_error();
    return is_loaded;
}

static struct lws_vhost *create_vhost(struct lws_context *context, SSL_CTX *own,
                                      const struct lws_protocols **protocols)
{
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN,
        .vhost_name = "arizmqd-tls", /* kept by libwebsockets, so not a name of the node's own */
        .pprotocols = protocols,
        .provided_client_ssl_ctx = own,
        .options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT,
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
    if (create_own(host, &node->tls)) {
        host->vhost = create_vhost(context, host->own, protocols);
    }
    if (host->vhost == NULL) {
        snprintf(error, error_size,
                 "node %s: its TLS files cannot be used: ca_file %s, cert_file %s, key_file "
                 "%s; they must be readable PEM files that belong together",
                 node->name, node->tls.ca_file != NULL ? node->tls.ca_file : "(none)",
                 node->tls.cert_file != NULL ? node->tls.cert_file : "(none)",
                 node->tls.key_file != NULL ? node->tls.key_file : "(none)");
        SSL_CTX_free(host->own);
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
        SSL_CTX_free(host->own); /* connections that are still ending hold it themselves */
        free(host);
    }
}

struct lws_vhost *tls_host_vhost(const struct tls_host *self)
{
    return self->vhost;
}
