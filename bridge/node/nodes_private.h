/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What nodes.c (life) and nodes_change.c (another configuration) share; nobody else includes this.
 */
#ifndef ARIZMQ_NODE_NODES_PRIVATE_H
#define ARIZMQ_NODE_NODES_PRIVATE_H

#include "node/link.h"
#include "node/nodes.h"
#include "node/tls_host.h"

/* Where a node stands, for as long as anything refers to it by its index. */
struct node_slot {
    char *name;    /* NULL: free */
    bool is_there; /* it is configured */
    bool is_clear; /* it is not, and the command thread does not refer to it any more */
    struct tls_host *tls;
    struct link **links; /* by application */
    unsigned count;
};

/* A link that is in the configuration no longer. */
struct parting {
    struct parting *prev, *next;
    struct link *link;
    const struct config *config; /* held: the last one that it was in */
    unsigned slot;
    bool is_moved;   /* another link has its application of that Asterisk from now on */
    bool is_retired; /* its planned end has begun */
    uint64_t by_ms;  /* monotonic: it begins by then; 0: the time has not begun yet */
};

struct nodes {
    struct link_environment environment;
    const struct config *config; /* held; that of the environment */
    struct node_slot *slots;     /* CONFIG_SLOTS_MAX */
    unsigned slots_count;        /* of these that may be in use */
    struct parting *partings;    /* utlist, the oldest first */
};

/* NULL where the node uses no TLS. Returns ARIZMQ_OK, or ARIZMQ_E… with one line in
 * error[error_size]. */
int nodes_create_tls(const struct nodes *self, const struct config_node *node,
                     struct tls_host **out, char *error, size_t error_size);

/* Sets the gauge of all links. */
void nodes_show(const struct nodes *self);

/* Ends it, if it has not ended, and frees. */
void nodes_end_parting(struct nodes *self, struct parting *parting);

#endif
