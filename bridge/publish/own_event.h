/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The bridge's own events: JSON with the members that Asterisk's events have, types that begin with
 * Arizmq. Their shapes are in schemas/arizmq-events.schema.json.
 */
#ifndef ARIZMQ_PUBLISH_OWN_EVENT_H
#define ARIZMQ_PUBLISH_OWN_EVENT_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "event/scan.h"

/* A new object with type, application, timestamp and node; "-" stands for no application and for
 * no node. NULL if there is no memory, as with all Jansson calls. The caller adds members and hands
 * it to own_event_print(). */
json_t *own_event_create(const char *type, const char *application, const char *node,
                         uint64_t wall_ns);

/* Turns `json`, which it takes over, into text with SCAN_PADDING readable bytes behind *length.
 * The caller frees it with free(). NULL if there is no memory or `json` is NULL. */
char *own_event_print(json_t *json, size_t *length);

/* The same with one more member behind all others, whose value is JSON text and is put in as it is:
 * no byte of what Asterisk said of an object is changed. */
char *own_event_print_with(json_t *json, const char *member, struct span value, size_t *length);

#endif
