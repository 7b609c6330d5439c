/* SPDX-License-Identifier: MPL-2.0 */
/*
 * One endpoint that `arizmq sub` listens to, as a person is told of it: losses, the connection,
 * what the bridge says of itself.
 */
#ifndef ARIZMQ_CLI_SOURCE_H
#define ARIZMQ_CLI_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "arizmq/subscriber.h"
#include "cli/sub_options.h"

struct source;

/* Of the endpoint with that index. Returns 0 or ARIZMQ_ENOMEM. All that is given must outlive it.
 */
int source_create(struct arizmq_subscriber *subscriber, unsigned endpoint,
                  const struct sub_options *options, struct source **out);
void source_destroy(struct source **self);

/* Takes note of what the subscriber has handed out, one line on standard error where a person has
 * to know. Returns whether the user asked to see it; only messages with frames and objects are. */
bool source_take(struct source *self, const struct arizmq_message *message);

/* Whether nobody has answered at the endpoint so far. */
bool source_is_unanswered(const struct source *self);

/* Writes a line on standard error about prefixes under which nothing came, if somebody answered. */
void source_tell_silence(struct source *self);

/* The same, once, and not before somebody has answered for some seconds. */
void source_tell_long_silence(struct source *self, uint64_t now_ms);

/* Writes a line on standard error for each loss that was not reported yet. */
void source_report_new_gaps(struct source *self);

/* Writes the final report: one line for each prefix, one for what the bridge told. */
void source_report_totals(const struct source *self);

/* Whether anything is known to be lost, on the way here or before the bridge, or the bridge was
 * restarted and what was lost at the end of its run cannot be told. */
bool source_has_losses(const struct source *self);

#endif
