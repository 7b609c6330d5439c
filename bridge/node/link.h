/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A link: one application of one Asterisk, kept connected. Each has a WebSocket of its own, so that
 * each has its own filter, liveness and replacement.
 *
 * Belongs to the event thread.
 */
#ifndef ARIZMQ_NODE_LINK_H
#define ARIZMQ_NODE_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libwebsockets.h>

#include "gateway/feed.h"
#include "node/resolve.h"
#include "ops/config.h"
#include "pipeline.h"

struct link;
struct tls_host;

/* What all links share; borrowed for their life. */
struct link_environment {
    struct lws_context *context;
    struct lws_vhost *vhost; /* for connections without TLS */
    struct resolver *resolver;
    struct pipeline *pipeline;
    struct feed *feed; /* NULL: there is no gateway */
    const struct config *config;
};

/* A link for node->apps[application]; `node_index` is the node's slot. The environment and `node`
 * are borrowed for the link's life. `tls` holds the node's TLS settings, NULL for none. Returns
 * ARIZMQ_OK or ARIZMQ_ENOMEM. */
int link_create(const struct link_environment *environment, const struct config_node *node,
                unsigned node_index, unsigned application, struct tls_host *tls, struct link **out);

/* Ends the link at once if it has not been stopped. */
void link_destroy(struct link **self);

/* Connects, and from then on keeps trying for ever, with growing pauses. */
void link_start(struct link *self);

/* From now on the link lives by what `node` says, in place of what it was created with: the same
 * node and application under other credentials, at another address, with other times. `node` is
 * borrowed until the next such call or for the link's life; what was given before is not used any
 * more.
 *
 * A link that is up gets a successor: a second WebSocket of the same application is opened beside
 * the first. Once it is up, Asterisk sends it all that is new, and the first is kept until its late
 * events and answers are in, and then closed. Nothing is lost or doubled; the subscribers see
 * ArizmqNodeConnected with "handover": true, no ArizmqNodeDisconnected and no ArizmqGap. As long as
 * the successor cannot connect the first goes on, and the successor is tried again for ever. If the
 * first ends meanwhile, that is an end like any other. A link that is not up connects in the new
 * way as soon as it connects.
 *
 * A hand-over that is under way is replaced by a later one. Returns ARIZMQ_OK; or ARIZMQ_ENOMEM,
 * and then nothing has changed. */
int link_hand_over(struct link *self, const struct config_node *node, struct tls_host *tls);

/* As link_hand_over(), but where the link is up it is closed first, with all subscriptions of the
 * application, and then connects anew: for an application that must hear less than it did. What is
 * missed in between is told as ArizmqGap. */
int link_reconnect(struct link *self, const struct config_node *node, struct tls_host *tls);

/* From now on the link lives by the times and rules of `node`, which is the same node at the same
 * address and is borrowed in place of the one before: a pause that would be longer is cut short, a
 * standby follows the new rule. */
void link_set_node(struct link *self, const struct config_node *node);

/* The application's place in node->apps is another now; the command thread is told by it. */
void link_set_place(struct link *self, unsigned application);

/* limits.max_event_bytes, from the next message on. */
void link_set_max_event_bytes(struct link *self, uint64_t bytes);

const char *link_application(const struct link *self);

/* --- a link whose node or application has left the configuration */

/* It never connects again, and tells the command thread nothing more of itself; answers to commands
 * that were sent over it are still handed on. One that is not up ends at once; one that is goes on
 * until link_retire(), or until it ends by itself. `detail` is static text: what has been removed.
 */
void link_detach(struct link *self, const char *detail);

/* Begins its planned end, as link_stop() does. */
void link_retire(struct link *self);

/* It has stopped and is about to be destroyed. Tells of it as removed, where objects are still
 * known of it that nobody else has: it had lost its connection before, or late events have come
 * since it was told. */
void link_publish_gone(struct link *self);

/* Commands that were sent over it and have not been answered. */
bool link_has_commands(const struct link *self);

/* Another connection has the application now: late events are being waited for, then it closes by
 * itself. */
bool link_is_replaced(const struct link *self);

/* --- another bridge takes over */

/* This link is to take the application over from a bridge that still has it: its next connect is a
 * hand-over. */
void link_expect(struct link *self);

/* Events may be missing from then on (wall clock), though the link has not been there to miss them:
 * told as ArizmqGap now if it is up, else with its next connect. */
void link_missed_since(struct link *self, uint64_t since_ns);

/* Another bridge is to take the application over. From now on ApplicationReplaced makes no standby
 * and no ArizmqNodeDisconnected, and the connection is kept for late events and answers; a link
 * that is not up does not try to be. To be called again as long as link_ceded() is
 * LINK_CEDED_NOT_YET; ended by link_stop() or link_reclaim(). Returns ARIZMQ_OK or ARIZMQ_ENOMEM.
 */
int link_cede(struct link *self);

/* The other bridge has not taken over: what it did take is taken back, and the gap is told. */
void link_reclaim(struct link *self);

enum link_ceded {
    LINK_CEDED_NOT_YET, /* a connection is being made that Asterisk may know of already */
    LINK_CEDED_NOT,     /* it is up, or closing */
    LINK_CEDED_TAKEN,   /* another bridge has the application; late events may still come */
    LINK_CEDED_DONE,    /* they had their time */
    LINK_CEDED_DOWN,    /* it was not up, and is not going to be */
};

enum link_ceded link_ceded(const struct link *self);

/* Events may be missing since then (wall clock), and nobody has been told yet; 0: none. What
 * another bridge has taken is not missing. */
uint64_t link_owed_since_ns(const struct link *self);
/* --- the end */

/* Begins the planned end: device-state unsubscription, closing handshake; what is still on its way
 * is published. */
void link_stop(struct link *self);

/* The planned end takes too long: ends at once, and says so like any other end. */
void link_abort(struct link *self);

bool link_is_stopped(const struct link *self);

/* Sends the RESTRequest of command `number` (gateway/post.h); feed_answer() will tell what became
 * of it. Returns ARIZMQ_OK; or ARIZMQ_E… where it was not sent, and then nothing will be told. */
int link_send_command(struct link *self, uint64_t number, const char *text, size_t length);

#endif
