/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What the gateway asks a node when it comes up: its version, and the lists of its channels and
 * bridges, so that their owner is known though no event told of them. Belongs to the command
 * thread.
 */
#ifndef ARIZMQ_GATEWAY_CENSUS_H
#define ARIZMQ_GATEWAY_CENSUS_H

#include <stdbool.h>

#include "gateway/fleet.h"
#include "gateway/owners.h"
#include "gateway/transport.h"

struct census;

/* All borrowed. Returns ARIZMQ_OK or ARIZMQ_ENOMEM. */
int census_create(struct fleet *fleet, struct owners *owners, struct transport *transport,
                  struct census **out);

/* The transport must not call back any more. */
void census_destroy(struct census **self);

/* The node has come up: asks it. One that is being asked already is asked again afterwards. */
void census_begin(struct census *self, unsigned node);

/* The node has been removed: it is asked nothing more. A question that is under way goes on, as
 * census_is_asking() tells; its answer is passed over. */
void census_forget(struct census *self, unsigned node);
bool census_is_asking(const struct census *self, unsigned node);

#endif
