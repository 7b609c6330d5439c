/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Event type to the rules that tell where its objects' ids stand. The event path asks once for each
 * event; the scan then follows the rules. The table is constant data, generated from
 * schemas/objects.json at build time: nothing is allocated, nothing is initialised at run time.
 */
#include "event/objects.h"

#include <string.h>

#include "event/objects_hash.h"

/* objects_types (sorted by name), objects_types_count, objects_other, objects_slots and
 * OBJECTS_SLOTS_MASK */
#include "objects_table.inc"

const char *const object_kind_names[OBJECT_KINDS] = {
    [OBJECT_CHANNEL] = "channel",   [OBJECT_BRIDGE] = "bridge",
    [OBJECT_PLAYBACK] = "playback", [OBJECT_RECORDING] = "recording",
    [OBJECT_ENDPOINT] = "endpoint", [OBJECT_DEVICE] = "device",
};

const struct object_type *objects_find_type(const char *name, size_t length)
{
    if (length == 0 || length > UINT8_MAX) {
        return &objects_other;
    }
    /* A slot holds an index into objects_types plus 1. At most half of the slots are taken, so that
     * the walk always meets an empty one. */
    uint32_t slot = objects_hash_name(name, length) & OBJECTS_SLOTS_MASK;
    while (objects_slots[slot] != 0) {
        const struct object_type *type = &objects_types[objects_slots[slot] - 1];
        if (type->name_length == length && memcmp(type->name, name, length) == 0) {
            return type;
        }
        slot = (slot + 1) & OBJECTS_SLOTS_MASK;
    }
    return &objects_other;
}

const struct object_type *objects_all(size_t *count)
{
    *count = objects_types_count;
    return objects_types;
}
