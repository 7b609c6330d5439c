/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The hash by which the object table is laid out (schemas/objects_generate.c) and read
 * (objects.c). It looks at the length and four bytes only; a collision costs one more comparison,
 * never a wrong answer. Private to these two.
 */
#ifndef ARIZMQ_EVENT_OBJECTS_HASH_H
#define ARIZMQ_EVENT_OBJECTS_HASH_H

#include <stddef.h>
#include <stdint.h>

/* `length` is at least 1. The names share long beginnings (Channel, Bridge), so the bytes are taken
 * from the middle and the end. Use the low bits. */
static inline uint32_t objects_hash_name(const char *name, size_t length)
{
    const unsigned char *bytes = (const unsigned char *)name;
    uint32_t hash = (uint32_t)length;
    hash = hash * 31 + bytes[0];
    hash = hash * 31 + bytes[length / 2];
    hash = hash * 31 + bytes[length * 3 / 4];
    hash = hash * 31 + bytes[length - 1];
    return hash ^ (hash >> 15) ^ (hash >> 8);
}

#endif
