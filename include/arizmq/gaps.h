/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A gap checker for subscribers: from the stamps of the messages that arrive it tells whether
 * messages were lost on the way.
 *
 *     struct arizmq_gaps *gaps = NULL;
 *     const char *const prefixes[] = {"StasisStart/ivr/", "Channel"};
 *     arizmq_gaps_create(prefixes, 2, ARIZMQ_GAPS_WATCHED_MAX, &gaps);
 *     …
 *     arizmq_stamp_decode(frame2, frame2_length, &stamp);
 *     arizmq_gaps_check(gaps, frame0, frame0_length, frame1, frame1_length, &stamp, &result);
 *     if (result.missing > 0) { messages are missing; see result.after_seq }
 *     …
 *     arizmq_gaps_destroy(&gaps);
 *
 * One checker belongs to one SUB socket that is connected to one endpoint: each view of each
 * bridge counts for itself. A checker is not safe to use from two threads at a time.
 *
 * Which counter is watched follows from the prefix. A prefix that ends at the k-th slash watches
 * count[k] of the stamp: the empty prefix count[0], "StasisStart/" count[1]. A prefix that ends
 * inside token k+1 watches count[k+1] of each distinct first k+1 tokens: "Channel" watches
 * count[1] of each type that begins so. Of overlapping prefixes only the widest is watched: ZeroMQ
 * delivers a message once however many prefixes match it, and what is lost under the narrower
 * prefix shows under the wider one too.
 *
 * Heartbeats show loss at the tail, after which no further message came. They carry the counts of
 * the whole view and of each first token, so they help prefixes of depth 0 and 1; loss at the tail
 * of a deeper prefix shows only when its next message arrives. To have them, subscribe to the
 * heartbeat's topic as well (ARIZMQ_HEARTBEAT_EVENTS, ARIZMQ_HEARTBEAT_OBJECTS) without naming it
 * to the checker. A heartbeat is also a base line: from then on loss is seen before the first
 * message of a first token, too.
 *
 * All this is about the way from the bridge to the subscriber. What was lost between Asterisk and
 * the bridge is told by the bridge's own events: subscribe to "ArizmqGap/" and "ArizmqRefused/"
 * (in the view objects to "arizmq/-/ArizmqGap/" …) as well, and name them to the checker like any
 * other prefix.
 */
#ifndef ARIZMQ_GAPS_H
#define ARIZMQ_GAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arizmq/stamp.h"

#ifdef __cplusplus
extern "C" {
#endif

/* No topic, hence no useful prefix, is longer. */
#define ARIZMQ_TOPIC_BYTES_MAX 512

/* What to subscribe to for the heartbeats of the two views. */
#define ARIZMQ_HEARTBEAT_EVENTS  "ArizmqHeartbeat/"
#define ARIZMQ_HEARTBEAT_OBJECTS "arizmq/-/ArizmqHeartbeat/"

/* A bound for arizmq_gaps_create() that suits most: some 20 MB when all are in use. */
#define ARIZMQ_GAPS_WATCHED_MAX 100000

struct arizmq_gaps;

/* What a message says about those before it, in the order of gravity. */
enum arizmq_gaps_verdict {
    ARIZMQ_GAPS_OK,           /* the last count plus one; a heartbeat: nothing is missing */
    ARIZMQ_GAPS_FIRST,        /* nothing is known about what came before */
    ARIZMQ_GAPS_REPEATED,     /* this message was seen before; the checker's state stays */
    ARIZMQ_GAPS_STARTED_ANEW, /* the bridge had dropped this counter (its tables are bounded) and it
                                 runs from 1 again: what was lost before that cannot be told */
    ARIZMQ_GAPS_GAP,          /* messages are missing */
    ARIZMQ_GAPS_RESTARTED,    /* another epoch: the bridge is another process than before. What was
                                 lost at the end of the old epoch cannot be told */
};

struct arizmq_gaps_result {
    enum arizmq_gaps_verdict verdict;
    bool is_heartbeat;
    unsigned prefix;    /* index for arizmq_gaps_totals(); of a heartbeat: the first one affected */
    size_t key_length;  /* the topic's first bytes that name the counter; of a heartbeat: 0 */
    uint64_t missing;   /* messages known to be lost; of RESTARTED and STARTED_ANEW: those since the
                           counter began. A message is counted as missing once. */
    uint64_t after_seq; /* the missing ones have a greater seq in the view events; where an event
                           gives several messages (the view objects) a greater or the same one, so
                           ask history there for what comes after after_seq - 1. 0: from the
                           epoch's start */
};

/* What was seen under one prefix so far. */
struct arizmq_gaps_totals {
    const char *prefix;    /* belongs to the checker */
    unsigned depth;        /* the watched counter is count[depth]; up to 1 heartbeats cover it */
    uint64_t received;     /* messages, without heartbeats and repeated ones */
    uint64_t missing;      /* messages known to be lost */
    uint64_t started_anew; /* how often a counter ran from 1 again within an epoch */
};

/* Creates a checker for a subscriber to prefixes[0..count), NUL-terminated strings that are copied.
 * At most watched_max counters are remembered; beyond that the least recently used is forgotten
 * (arizmq_gaps_evicted() counts them), and its next message is a FIRST again.
 *
 * Returns 0; ARIZMQ_EINVALID if count or watched_max is 0; ARIZMQ_ETOOLARGE if a prefix has more
 * than ARIZMQ_TOPIC_BYTES_MAX bytes or more than ARIZMQ_STAMP_TOKENS_MAX tokens, so that it matches
 * nothing; ARIZMQ_ENOMEM. The caller frees *out with arizmq_gaps_destroy(). */
int arizmq_gaps_create(const char *const *prefixes, size_t count, size_t watched_max,
                       struct arizmq_gaps **out);

void arizmq_gaps_destroy(struct arizmq_gaps **self);

/* Takes note of one message, in the order of arrival. The event is read only if the message is a
 * heartbeat; with event NULL a heartbeat tells about the whole view alone.
 *
 * Returns 0; ARIZMQ_ENOTFOUND if none of the prefixes matches the topic; ARIZMQ_EINVALID if topic
 * and stamp do not fit (fewer tokens or counts than the prefix has) or a heartbeat's event is not
 * what it should be; ARIZMQ_ENOMEM, then this message is not taken note of. */
int arizmq_gaps_check(struct arizmq_gaps *self, const char *topic, size_t topic_length,
                      const char *event, size_t event_length, const struct arizmq_stamp *stamp,
                      struct arizmq_gaps_result *out);

/* Heartbeats are not numbered: they alone have a count[1] of 0. Holds for every view and template.
 */
bool arizmq_gaps_is_heartbeat(const struct arizmq_stamp *stamp);

/* The watched prefixes, sorted by their bytes, without those that a wider one covers. The pointer
 * is valid until arizmq_gaps_destroy(); what it points to changes with every check. */
const struct arizmq_gaps_totals *arizmq_gaps_totals(const struct arizmq_gaps *self,
                                                    unsigned *count);

uint64_t arizmq_gaps_restarts(const struct arizmq_gaps *self); /* changes of the epoch */
uint64_t arizmq_gaps_evicted(const struct arizmq_gaps *self);  /* counters forgotten for room */
size_t arizmq_gaps_watched(const struct arizmq_gaps *self);    /* counters remembered now */

#ifdef __cplusplus
}
#endif

#endif
