/* SPDX-License-Identifier: MPL-2.0 */
/*
 * One view's messages as one subscriber to all of them gets them from the first on: every stamp is
 * compared with the test's own count of every prefix. Each check fails the test with what is wrong.
 */
#ifndef ARIZMQ_FLOW_STREAM_H
#define ARIZMQ_FLOW_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "harness/subscriber.h"

struct stream;

/* view: "events" or "objects"; template: that of the view. */
struct stream *stream_create(const char *view, const char *template);
void stream_destroy(struct stream **self);

/* Takes the next message. A numbered one: its topic has as many tokens as the template, every
 * count is the last of that prefix plus one, seq is the last one plus one (in `objects`: not
 * smaller), received_ns is neither in the future nor before an earlier one's, the epoch is always
 * the same. A heartbeat: its stamp repeats, and its JSON tells exactly what was counted. */
void stream_check(struct stream *stream, const struct subscriber_message *message);

/* Counters may have left the bridge's tables: from now on any may begin at 1 again. */
void stream_may_begin_anew(struct stream *stream);

uint64_t stream_total(const struct stream *stream); /* numbered messages so far */
uint64_t stream_seq(const struct stream *stream);   /* of the last one */
uint64_t stream_epoch(const struct stream *stream);
/* Heartbeats so far. */
uint64_t stream_heartbeats(const struct stream *stream);

#endif
