/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The TLS settings of a node, as a libwebsockets virtual host. All ways to the node share it; with
 * the last of them it goes, so that a node whose settings change does not leave the old ones
 * behind. Belongs to the event thread.
 */
#ifndef ARIZMQ_NODE_TLS_HOST_H
#define ARIZMQ_NODE_TLS_HOST_H

#include <stddef.h>

#include <libwebsockets.h>

#include "ops/config.h"

struct tls_host;

/* Reads the TLS files of `node`, whose links will use the libwebsockets protocols `protocols`.
 * Returns ARIZMQ_OK; ARIZMQ_ENOMEM; or ARIZMQ_EINVALID where the files cannot be used, with one
 * line that names them in error[error_size]. tls_host_release() frees. */
int tls_host_create(struct lws_context *context, const struct config_node *node,
                    const struct lws_protocols **protocols, struct tls_host **out, char *error,
                    size_t error_size);

/* Another holder. NULL is fine: no TLS. */
struct tls_host *tls_host_hold(struct tls_host *self);

/* *self becomes NULL; the last holder's release destroys. Connections that use it must have ended,
 * or been abandoned; must come before the context is destroyed. */
void tls_host_release(struct tls_host **self);

struct lws_vhost *tls_host_vhost(const struct tls_host *self);

#endif
