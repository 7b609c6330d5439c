/* SPDX-License-Identifier: MPL-2.0 */
/*
 * FNV-1a, 64 bit: for tables of our own and for shortened topics. No protection against somebody
 * who looks for collisions.
 */
#ifndef ARIZMQ_BASE_HASH_H
#define ARIZMQ_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* Where a hash starts. */
static const uint64_t hash_fnv1a_start = 14695981039346656037U;

/* `hash` continued over bytes[0..length). */
static inline uint64_t hash_fnv1a(uint64_t hash, const char *bytes, size_t length)
{
    static const uint64_t prime = 1099511628211U;
    for (size_t i = 0; i < length; i++) {
        hash = (hash ^ (unsigned char)bytes[i]) * prime;
    }
    return hash;
}

#endif
