/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Whether two texts tell the same.
 */
#ifndef ARIZMQ_EVENT_SAME_H
#define ARIZMQ_EVENT_SAME_H

#include <stdbool.h>

#include "event/scan.h"

/* Whether `a` and `b` are the same JSON value: however it is indented, in whatever order members
 * stand, and lists of texts (channels of a bridge, channel_ids of an endpoint) in whatever order.
 * Text that is no JSON is the same as nothing but the same bytes. */
bool same_json(struct span a, struct span b);

#endif
