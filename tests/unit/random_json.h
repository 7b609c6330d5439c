/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Random JSON texts that look for trouble, from a seed that makes them again.
 */
#ifndef ARIZMQ_TESTS_RANDOM_JSON_H
#define ARIZMQ_TESTS_RANDOM_JSON_H

#include <stddef.h>
#include <stdint.h>

enum { RANDOM_JSON_MAX = 65536 };

/* What is sanitized takes ten times as long, and tries so many times less. */
#ifdef SANITIZED
enum { RANDOM_LESS = 10 };
#else
enum { RANDOM_LESS = 1 };
#endif

struct random_json {
    uint64_t state; /* set it to the seed */
    size_t length;
    char text[RANDOM_JSON_MAX];
};

/* A number below `limit`, which is at least 1. */
uint64_t random_below(uint64_t *state, uint64_t limit);

/* The seed of a test: ARIZMQ_TEST_SEED of the environment, or `fallback` where it is not set. */
uint64_t random_seed(uint64_t fallback);

/* Makes the next text: always one valid JSON object, often with a type and an application. */
void random_json_make(struct random_json *self);

/* Changes, takes away or puts in a few bytes, preferably such as have a meaning in JSON. */
void random_json_break(struct random_json *self);

#endif
