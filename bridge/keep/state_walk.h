/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A snapshot of the state while it goes on changing: what the walk has not come to yet and is about
 * to change is taken as it is; what is new is left out. So it shows one moment, though it takes
 * many turns of the loop, none of them long. One at a time.
 *
 * Belongs to the event thread.
 */
#ifndef ARIZMQ_KEEP_STATE_WALK_H
#define ARIZMQ_KEEP_STATE_WALK_H

#include <stdint.h>

#include "keep/snapshot.h"
#include "keep/state.h"

/* Begins the snapshot of this moment: of `kinds` (bit 1 << enum object_kind), and of the links of
 * that node and that application only, where they are not NULL. `seq` is that of the last event
 * folded. Returns ARIZMQ_OK; ARIZMQ_ETOOLARGE where one is under way; or ARIZMQ_ENOMEM. */
int state_walk_begin(struct state *self, unsigned kinds, const char *node, const char *application,
                     uint64_t seq);

/* Goes on over `entries` more. Returns the snapshot, which is the caller's, when it is done; else
 * NULL. One must have been begun. */
struct snapshot *state_walk_on(struct state *self, unsigned entries);

/* Gives it up, if one is under way. */
void state_walk_abort(struct state *self);

#endif
