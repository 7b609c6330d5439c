/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The few facts of an event that a telephony person wants to see on one line.
 */
#ifndef ARIZMQ_CLI_FACTS_H
#define ARIZMQ_CLI_FACTS_H

#include <jansson.h>
#include <stdio.h>

/* Writes the facts of an event of that type, each with a space before it, cleaned for a terminal,
 * long values cut. Writes nothing if the event is no JSON object. */
void facts_write(FILE *out, const char *type, json_t *event);

#endif
