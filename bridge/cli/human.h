/* SPDX-License-Identifier: MPL-2.0 */
/*
 * One line for a person: when, what, where, which object, and its facts.
 */
#ifndef ARIZMQ_CLI_HUMAN_H
#define ARIZMQ_CLI_HUMAN_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "cli/message.h"

/* Writes the line, newline included. `event` is the message's event parsed, NULL if it is no JSON.
 * Times are local. */
void human_write(FILE *out, const struct message *message, enum message_view view, json_t *event,
                 bool use_color);

/* Writes the local time of day, HH:MM:SS.mmm. */
void human_write_time(FILE *out, uint64_t received_ns);

#endif
