/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Topics against a second, slow way to write them, for unit tests and for the fuzzer.
 */
#ifndef ARIZMQ_TESTS_TOPIC_COMPARE_H
#define ARIZMQ_TESTS_TOPIC_COMPARE_H

#include <stddef.h>
#include <stdint.h>

#include "event/topic.h"

/* FNV-1a, 64 bit, over bytes[0..length). */
uint64_t topic_compare_hash(const char *bytes, size_t length);

/* Writes the topic of `event` and `object` (NULL: none) with the template `text`, which is valid,
 * and demands what topic.h promises: the bytes, the tokens and their ends, the bound, and that
 * tokens which were not cut can be decoded. Returns NULL where all that holds, else what does not.
 * `out` is the topic as topic_write() wrote it. */
const char *topic_compare(const char *text, const struct event *event,
                          const struct event_object *object, struct topic *out);

#endif
