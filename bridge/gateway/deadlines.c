/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A wheel of lists, one for each tick of 10 ms; whatever is more than a turn of the wheel away
 * waits in its list for the turn that is meant. What a turn finds due is taken off the wheel before
 * the first callback, into a list of its own, so that a callback may change anything. Called by the
 * command thread's loop and by everything in it that waits. It allocates nothing but itself and
 * reads no clock.
 */
#include "gateway/deadlines.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>

#include <utlist.h>

#include "arizmq/error.h"

enum {
    SLOTS = 4096, /* a turn of the wheel: 41 s, more than most requests get */
    WORD_BITS = 64,
    WORDS = SLOTS / WORD_BITS,
};

struct deadlines {
    uint64_t tick;        /* the last that was looked at: what is on the wheel lies behind it */
    uint64_t used[WORDS]; /* a bit for each slot with a deadline */
    struct deadline *due; /* taken off the wheel by the turn that goes on */
    struct deadline *slots[SLOTS];
};

int deadlines_create(uint64_t now_ms, struct deadlines **out)
{
    struct deadlines *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return ARIZMQ_ENOMEM;
    }
    self->tick = now_ms / DEADLINES_TICK_MS;
    *out = self;
    return ARIZMQ_OK;
}

void deadlines_destroy(struct deadlines **self)
{
    free(*self);
    *self = NULL;
}

/* utlist: the first one's prev is the last one, so nothing in a list has none. */
static bool is_set(const struct deadline *deadline)
{
    return deadline->prev != NULL;
}

static void mark(struct deadlines *self, size_t slot)
{
    uint64_t bit = (uint64_t)1 << slot % WORD_BITS;
    if (self->slots[slot] != NULL) {
        self->used[slot / WORD_BITS] |= bit;
    } else {
        self->used[slot / WORD_BITS] &= ~bit;
    }
}

/* Off the wheel, or out of the list of those that are due. */
static void take_out(struct deadlines *self, struct deadline *deadline)
{
    if (deadline->tick <= self->tick) {
        DL_DELETE(self->due, deadline);
    } else {
        size_t slot = deadline->tick % SLOTS;
        DL_DELETE(self->slots[slot], deadline);
        mark(self, slot);
    }
    deadline->prev = NULL;
    deadline->next = NULL;
}

void deadlines_set(struct deadlines *self, struct deadline *deadline, uint64_t at_ms,
                   void (*passed)(struct deadline *self))
{
    deadlines_cancel(self, deadline);
    uint64_t tick = at_ms / DEADLINES_TICK_MS + (at_ms % DEADLINES_TICK_MS != 0);
    deadline->at_ms = at_ms;
    deadline->passed = passed;
    deadline->tick = tick > self->tick ? tick : self->tick + 1;
    size_t slot = deadline->tick % SLOTS;
    DL_APPEND(self->slots[slot], deadline);
    mark(self, slot);
}

void deadlines_cancel(struct deadlines *self, struct deadline *deadline)
{
    if (is_set(deadline)) {
        take_out(self, deadline);
    }
}

/* Takes off the wheel what its turn has come for. */
static void collect(struct deadlines *self, size_t slot, uint64_t tick)
{
    struct deadline *deadline = NULL;
    struct deadline *next = NULL;
    DL_FOREACH_SAFE(self->slots[slot], deadline, next)
    {
        if (deadline->tick <= tick) {
            /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): it is in there */
            DL_DELETE(self->slots[slot], deadline);
            DL_APPEND(self->due, deadline);
        }
    }
    mark(self, slot);
}

void deadlines_turn(struct deadlines *self, uint64_t now_ms)
{
    assert(self->due == NULL); /* no callback turns the wheel */
    uint64_t tick = now_ms / DEADLINES_TICK_MS;
    if (tick <= self->tick) {
        return;
    }
    uint64_t steps = tick - self->tick < SLOTS ? tick - self->tick : SLOTS;
    for (uint64_t step = 1; step <= steps; step++) {
        collect(self, (self->tick + step) % SLOTS, tick);
    }
    self->tick = tick;
    while (self->due != NULL) {
        struct deadline *deadline = self->due;
        take_out(self, deadline);
        deadline->passed(deadline);
    }
}

/* How many ticks until the next slot with a deadline, from 1; 0: there is none. */
static unsigned next_used(const struct deadlines *self)
{
    size_t first = (self->tick + 1) % SLOTS;
    size_t word = first / WORD_BITS;
    uint64_t bits = self->used[word] & UINT64_MAX << first % WORD_BITS;
    for (size_t i = 0; i <= WORDS; i++) {
        if (bits != 0) {
            size_t slot = word * WORD_BITS + (size_t)__builtin_ctzll(bits);
            return (unsigned)((slot + SLOTS - first) % SLOTS) + 1;
        }
        word = (word + 1) % WORDS;
        bits = self->used[word];
    }
    return 0;
}

int deadlines_wait_ms(const struct deadlines *self, uint64_t now_ms)
{
    unsigned ticks = next_used(self);
    if (ticks == 0) {
        return -1;
    }
    uint64_t at_ms = (self->tick + ticks) * DEADLINES_TICK_MS;
    uint64_t most_ms = (uint64_t)ticks * DEADLINES_TICK_MS; /* where now_ms went back */
    uint64_t wait_ms = at_ms > now_ms ? at_ms - now_ms : 0;
    return (int)(wait_ms < most_ms ? wait_ms : most_ms);
}
