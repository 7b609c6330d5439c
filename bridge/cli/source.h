/* SPDX-License-Identifier: MPL-2.0 */
/*
 * One endpoint that `arizmq sub` listens to: its SUB socket, what is known of the connection, and
 * its gap checker. Each bridge counts for itself, so each has a socket and a checker of its own.
 */
#ifndef ARIZMQ_CLI_SOURCE_H
#define ARIZMQ_CLI_SOURCE_H

#include <czmq.h>
#include <stdbool.h>
#include <stdint.h>

#include "arizmq/gaps.h"
#include "cli/message.h"
#include "cli/sub_options.h"

struct source;

/* Creates the socket, subscribes and connects. Returns 0, or ARIZMQ_EINVALID if the endpoint is
 * none, ARIZMQ_ENOMEM or ARIZMQ_EIO, after one line about it on standard error. The endpoint and
 * the options must outlive the source. */
int source_create(const char *endpoint, const struct sub_options *options, struct source **out);
void source_destroy(struct source **self);

zsock_t *source_socket(struct source *self);  /* for polling only */
zsock_t *source_monitor(struct source *self); /* for polling only */

/* Takes the next message off the socket without waiting. Returns 0 and a message that is valid
 * until the next call, with *is_wanted saying whether the user asked to see it; ARIZMQ_ENOTFOUND if
 * none waits now; ARIZMQ_EINVALID if what came is no message of a bridge: that is counted and told
 * once; ARIZMQ_ENOMEM. */
int source_receive(struct source *self, struct message *out, bool *is_wanted);

/* Reads what the monitor has to say, one line on standard error where a person has to know. */
void source_read_monitor(struct source *self);

/* Whether nobody has answered at the endpoint so far. */
bool source_is_unanswered(const struct source *self);

/* Writes a line on standard error about prefixes under which nothing came, if somebody answered. */
void source_tell_silence(struct source *self);

/* The same, once, and not before somebody has answered for some seconds. */
void source_tell_long_silence(struct source *self);

/* Writes a line on standard error for each loss that was not reported yet. */
void source_report_new_gaps(struct source *self);

/* Writes the final report: one line for each prefix, one for what the bridge told. */
void source_report_totals(const struct source *self);

/* Whether anything is known to be lost, on the way here or before the bridge, or the bridge was
 * restarted, so that what was lost cannot be told. */
bool source_has_losses(const struct source *self);

#endif
