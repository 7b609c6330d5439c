/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The way to one application of one Asterisk: address, credentials, TLS, paths. A link has one;
 * where it is handed over to another connection there are two for a while. Belongs to the event
 * thread.
 */
#ifndef ARIZMQ_NODE_LINK_WAY_H
#define ARIZMQ_NODE_LINK_WAY_H

#include <stdbool.h>

#include "node/link.h"
#include "node/target.h"
#include "node/tls_host.h"

/* Owns all that it points to, but for what is said to be borrowed. May be moved. */
struct link_way {
    char *host;
    char *address; /* that it was last connected to, numeric; room for INET6_ADDRSTRLEN bytes */
    char *authorization;
    char *events_path;      /* of the WebSocket, with its query */
    char *application_path; /* /ari/applications/NAME */
    char *subscribe_path;   /* its subscription to everything */
    char *unsubscribe_path; /* its subscription to device states */
    bool hears_all;         /* the application has subscribe_all */
    struct tls_host *tls;   /* NULL: none */
    struct target target;   /* of the above */
};

/* The way to `application` that `node` describes; holds `tls`, which is NULL without TLS. Returns
 * ARIZMQ_OK or ARIZMQ_ENOMEM. Nothing of `node` is borrowed. */
int link_way_create(const struct link_environment *environment, const struct config_node *node,
                    const char *application, struct tls_host *tls, struct link_way *out);

/* Connections and requests that use it must have ended. Leaves it empty; an empty one is fine. */
void link_way_release(struct link_way *self);

#endif
