/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What became of every message that an Asterisk sent, for each node and application:
 *
 *     received = published + responses + refused (size, utf8, memory)
 *
 * Nothing stands beside that: the event path has no queue, what one read of a socket brought is
 * published, answered or refused before the next read. The two sides are counted in different
 * places, so that a message which is forgotten on its way shows.
 *
 * A tally belongs to the names, not to a connection: it goes on through reconnects, hand-overs and
 * reloads, and lives as long as the process. The event thread writes; any thread may read, without
 * a lock.
 */
#ifndef ARIZMQ_OPS_TALLY_H
#define ARIZMQ_OPS_TALLY_H

#include <stdint.h>
#include <stdio.h>

/* What is counted; after TALLY_RECEIVED the ways in which a message ends. */
enum tally_entry {
    TALLY_RECEIVED,       /* whole messages, those refused while they came in among them */
    TALLY_PUBLISHED,      /* numbered and handed to every view */
    TALLY_RESPONSES,      /* RESTResponses to the bridge's own requests */
    TALLY_REFUSED_SIZE,   /* larger than limits.max_event_bytes */
    TALLY_REFUSED_UTF8,   /* no UTF-8 */
    TALLY_REFUSED_MEMORY, /* no memory could be had */
    TALLY_ENTRIES,
};

struct tally;

struct tally_sums {
    uint64_t value[TALLY_ENTRIES];
};

/* Event thread: the tally of that node and application, which begins at zero where there was none
 * yet; the names are copied. NULL without memory. */
struct tally *tally_open(const char *node, const char *application);

/* Event thread: counts one message. TALLY_RECEIVED comes first, then the way in which it ended. */
void tally_add(struct tally *self, enum tally_entry entry);

/* NULL where that node and application have never been configured. */
const struct tally *tally_find(const char *node, const char *application);

/* All entries at one moment between two messages; where the event thread leaves no such moment for
 * long, TALLY_RECEIVED alone is ahead, by what came while they were read. */
void tally_read(const struct tally *self, struct tally_sums *out);

/* Writes all of them in Prometheus's text format, with the labels node and app. */
void tally_write(FILE *out);

#endif
