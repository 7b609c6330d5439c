/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Where a request goes: to the node that owns what it names, to the one that the client names, to
 * the least loaded one, to all of them, or nowhere. A pure decision: it sends nothing and changes
 * nothing.
 */
#ifndef ARIZMQ_GATEWAY_ROUTE_H
#define ARIZMQ_GATEWAY_ROUTE_H

#include "gateway/fleet.h"
#include "gateway/mentions.h"
#include "gateway/owners.h"
#include "gateway/request.h"

enum route_verdict {
    ROUTE_TO_NODE,
    ROUTE_ASK_ALL, /* a GET of an object that nobody is known to have: every node that is up */
    ROUTE_REFUSED,
};

struct route {
    enum route_verdict verdict;
    unsigned node;                  /* ROUTE_TO_NODE; or the one node that a refusal is about */
    bool has_node;                  /* `node` is meant */
    struct request_refusal refusal; /* ROUTE_REFUSED */
};

/* Decides. In this order:
 * - `node` given: that one (404 no_such_node, 503 node_down), whatever else is known.
 * - One node configured: that one; Asterisk itself knows best what it has.
 * - Owners of the objects named, ids to be chosen not counted: all the same node: that one. An id
 *   known on two nodes, or ids of two nodes: 409 naming each with its node.
 * - An id to be chosen that is in use already: its node, which will say that it exists.
 * - An object named that nobody is known to have: ROUTE_ASK_ALL for safe methods, as long as any
 *   node is up; else 404 no_such_object, or where a node is down that may have it, 503 node_down
 *   naming it.
 * - Otherwise the node that is up with the fewest calls and commands under way, among
 *   those whose application mentions.app is up, where any node has that application configured
 *   (503 node_down where none of them is up). A request member `app` that no node has: 404
 *   no_such_node.
 */
void route_find(const struct fleet *fleet, const struct owners *owners,
                const struct request *request, const struct mentions *mentions, struct route *out);

#endif
