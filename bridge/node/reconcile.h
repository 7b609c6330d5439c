/* SPDX-License-Identifier: MPL-2.0 */
/*
 * After a connect: what has become of the objects while no events came? Asterisk is asked what it
 * has, that is compared with the state (keep/state_compare.h), and the differences are published:
 *
 *     ArizmqNodeRestarted     where it is another process than before
 *     ArizmqObjectFound       new, or changed
 *     ArizmqObjectLost        absent; where it was restarted, that is the reason
 *     ArizmqNodeReconciled    how many of them there were
 *
 * It begins again, after a growing pause, where Asterisk does not answer or the link is found to be
 * incomplete for another reason. One for each link; part of it, in the event thread. Nothing waits.
 */
#ifndef ARIZMQ_NODE_RECONCILE_H
#define ARIZMQ_NODE_RECONCILE_H

struct link;
struct reconcile;

/* `link` is borrowed for its life. NULL without memory. */
struct reconcile *reconcile_create(struct link *link);
void reconcile_destroy(struct reconcile **self);

/* The link is up and hears all it should, but its state may differ from what Asterisk has: begins,
 * from the beginning if it is under way. Without a state nothing happens. */
void reconcile_start(struct reconcile *self);

/* The connection ends: gives up what is under way. `self` may be NULL. */
void reconcile_stop(struct reconcile *self);

#endif
