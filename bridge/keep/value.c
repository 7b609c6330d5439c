/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Text with a count of those who hold it. The state has one for each object (state.c), a snapshot
 * holds the same ones on, in another thread.
 */
#include "keep/value.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    STEP = 64,             /* capacities are multiples of it, so that a text may grow a little */
    WASTE_MAX = 8,         /* a text may fill one in so many bytes of its room, not less */
    ALLOCATION_BYTES = 16, /* what malloc() takes for itself */
};

struct value {
    _Atomic uint32_t holds;
    size_t length;
    size_t capacity;
    char bytes[];
};

static size_t capacity_for(size_t length)
{
    return (length + STEP - 1) / STEP * STEP;
}

struct value *value_create(struct span text)
{
    size_t capacity = capacity_for(text.length);
    struct value *value = malloc(sizeof *value + capacity);
    if (value == NULL) {
        return NULL;
    }
    atomic_init(&value->holds, 1);
    value->length = text.length;
    value->capacity = capacity;
    memcpy(value->bytes, text.bytes, text.length);
    return value;
}

bool value_rewrite(struct value *self, struct span text)
{
    /* Where we are the only one, nobody can become another. What the last other one read of it came
     * before its release. */
    if (atomic_load_explicit(&self->holds, memory_order_acquire) != 1 ||
        text.length > self->capacity || self->capacity / WASTE_MAX > capacity_for(text.length)) {
        return false;
    }
    memcpy(self->bytes, text.bytes, text.length);
    self->length = text.length;
    return true;
}

struct value *value_hold(struct value *self)
{
    atomic_fetch_add_explicit(&self->holds, 1, memory_order_relaxed);
    return self;
}

void value_release(struct value **self)
{
    struct value *value = *self;
    *self = NULL;
    if (value != NULL && atomic_fetch_sub_explicit(&value->holds, 1, memory_order_acq_rel) == 1) {
        free(value);
    }
}

struct span value_text(const struct value *self)
{
    return (struct span){self->bytes, self->length};
}

size_t value_size(const struct value *self)
{
    return sizeof *self + self->capacity + ALLOCATION_BYTES;
}

size_t value_size_for(size_t length)
{
    return sizeof(struct value) + capacity_for(length) + ALLOCATION_BYTES;
}
