/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Learns owners from what a node answered. The shape of the JSON says what it is, not the
 * operation: so operations that do not exist yet teach as well. Belongs to the command thread.
 */
#ifndef ARIZMQ_GATEWAY_LEARN_H
#define ARIZMQ_GATEWAY_LEARN_H

#include <stddef.h>

#include "gateway/owners.h"

/* Looks for a channel, bridge, playback or (live or stored) recording in text[0..length): the
 * answer of `node`, one object or a list of them. `text` need not be valid JSON and needs no
 * padding behind it. A stored recording is findable from then on, but counts as ended. Returns how
 * many objects were learned. */
unsigned learn_from_reply(struct owners *owners, unsigned node, const char *text, size_t length);

#endif
