/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The scan against Jansson, for unit tests and for the fuzzer.
 */
#ifndef ARIZMQ_TESTS_SCAN_COMPARE_H
#define ARIZMQ_TESTS_SCAN_COMPARE_H

#include <stddef.h>

/* Scans text[0..length) with and without vector instructions, each with two kinds of bytes behind
 * the text, and demands one and the same result; and demands of it what Jansson says of the text:
 * an object that Jansson reads has these members and no other, and so have the objects in it.
 * Returns NULL where all that holds, else what does not. */
const char *scan_compare(const char *text, size_t length);

#endif
