/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The numbered events that `flood` sends: calls that come, change and go, as recordings of real
 * ones show them. Each event follows from its application and serial number alone, bytes and all,
 * so that whoever checks what arrived can make it again.
 */
#ifndef ARIZMQ_FAKE_FLOOD_EVENT_H
#define ARIZMQ_FAKE_FLOOD_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    FLOOD_APP_MAX = 64,
    FLOOD_EVENT_MAX = 2048,
    FLOOD_OBJECTS_MAX = 2,
    FLOOD_ID_MAX = FLOOD_APP_MAX + 48,
};

/* Serial numbers go from 1 to this, which is some days of the clock in the events. */
#define FLOOD_SERIAL_MAX UINT64_C(1000000000)

struct flood_event {
    const char *type;
    unsigned objects;
    struct {
        const char *kind; /* as the view `objects` has it */
        char id[FLOOD_ID_MAX];
    } object[FLOOD_OBJECTS_MAX];
    size_t length;
    char text[FLOOD_EVENT_MAX];
};

/* `app` has at most FLOOD_APP_MAX bytes, without a quote, a backslash or a control byte;
 * `entity_id` is Asterisk's, of 17 bytes. The text ends with ,"application":"APP","serial":N}. */
void flood_event_make(const char *app, const char *entity_id, uint64_t serial,
                      struct flood_event *out);

/* Only the type and the objects. */
void flood_event_describe(const char *app, uint64_t serial, struct flood_event *out);

/* How many calls are alive at a time. */
enum { FLOOD_LANES = 50 };

/* The channel that is alive in that lane after the event `serial` (0: before the first) has
 * happened, as JSON text in out[FLOOD_EVENT_MAX]; false where none is. */
bool flood_channel_make(const char *app, uint64_t serial, unsigned lane, char *out);
/* The same for the bridge of that call. */
bool flood_bridge_make(const char *app, uint64_t serial, unsigned lane, char *out);

#endif
