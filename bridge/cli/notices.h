/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What a bridge tells about itself, and what that means for the person at `arizmq sub`: events lost
 * before they reached the bridge, the view that is really published, a prefix that matches nothing.
 */
#ifndef ARIZMQ_CLI_NOTICES_H
#define ARIZMQ_CLI_NOTICES_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/message.h"
#include "cli/sub_options.h"

struct notices;

/* The topics of ArizmqGap and ArizmqRefused in the view, to be subscribed to beside the prefixes
 * that the user gave. */
enum { NOTICES_PREFIXES = 2 };
const char *const *notices_prefixes(enum message_view view);

/* Of one endpoint. Returns 0 or ARIZMQ_ENOMEM. Endpoint and options must outlive it. */
int notices_create(const char *endpoint, const struct sub_options *options, struct notices **out);
void notices_destroy(struct notices **self);

/* Takes note of a message; writes a line on standard error if it tells of a loss or comes from
 * another view than the options say. Returns whether the options ask for it to be shown. */
bool notices_take(struct notices *self, const struct message *message);

/* Writes a line on standard error about the prefixes under which nothing came so far, if any. */
void notices_tell_silence(const struct notices *self);

/* Events lost on their way to the bridge, as it told: ArizmqGap, ArizmqRefused. */
uint64_t notices_gaps(const struct notices *self);
uint64_t notices_refused(const struct notices *self);

/* One line on standard error for each prefix that looks like a mistake. */
void notices_warn_of_prefixes(const struct sub_options *options);

#endif
