/* SPDX-License-Identifier: MPL-2.0 */
/*
 * ArizmqHeartbeat: once a second in every view, so that a subscriber sees loss at the tail too. It
 * numbers and counts nothing.
 */
#ifndef ARIZMQ_PUBLISH_HEARTBEAT_H
#define ARIZMQ_PUBLISH_HEARTBEAT_H

#include <stdint.h>

#include "publish/view.h"

/* Publishes one heartbeat in `view`. `seq` is the last event's. At most `first_tokens_max` first
 * tokens are listed with their counts, latest first; counts_complete tells whether that is all. */
void heartbeat_publish(struct view *view, uint64_t epoch, uint64_t seq, uint32_t first_tokens_max);

#endif
