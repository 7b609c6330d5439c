/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The counters of one view: how many messages shared each topic's first k tokens. They become
 * count[0] … count[L] of the stamp.
 *
 * Each depth has a table of its own with a bound of its own, so that a flood of new ids (the
 * deepest tokens) cannot push out the count of a rare type. Where a table is full, prefixes leave
 * that have not been published for long: of first tokens the one for the longest, of deeper ones
 * those after which half the bound of others were. They start at 1 again should they come back.
 */
#ifndef ARIZMQ_PUBLISH_COUNTERS_H
#define ARIZMQ_PUBLISH_COUNTERS_H

#include <stddef.h>
#include <stdint.h>

#include "event/topic.h"

struct counters;

/* Counters for topics of `tokens` tokens, at most `max` for each depth. Returns NULL if there is
 * no memory. */
struct counters *counters_create(unsigned tokens, uint32_t max);
void counters_destroy(struct counters **self);

/* Counts one message under `topic`, and writes count[0] … count[tokens] into `count`. A prefix for
 * which no memory can be had counts 1 each time: to a subscriber that looks like a loss, never
 * like none. */
void counters_count(struct counters *self, const struct topic *topic, uint64_t *count);

/* The hash by which the topic's first `depth` + 1 tokens are known, under `seed`. For tests. */
uint64_t counters_hash(uint64_t seed, const struct topic *topic, unsigned depth);

/* Another bound from now on. What is beyond it leaves with counters_trim(), which drops at most
 * `most`; to be called now and then. */
void counters_set_max(struct counters *self, uint32_t max);
void counters_trim(struct counters *self, uint32_t most);

/* count[0]: all messages. */
uint64_t counters_total(const struct counters *self);

/* Calls `visit` for the counter of each first token (with its '/'), latest first, until it returns
 * nonzero. Returns what the last call returned, 0 where there was none. */
int counters_each_first(const struct counters *self,
                        int (*visit)(void *arg, const char *token, size_t length, uint64_t count),
                        void *arg);

#endif
