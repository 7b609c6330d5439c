/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Thousands of deadlines, each set and mostly cancelled: a wheel of lists, on which both cost the
 * same however many there are. Belongs to the command thread.
 */
#ifndef ARIZMQ_GATEWAY_DEADLINES_H
#define ARIZMQ_GATEWAY_DEADLINES_H

#include <stdint.h>

enum { DEADLINES_TICK_MS = 10 };

/* One deadline; a member of what it belongs to. All zero: not set. */
struct deadline {
    uint64_t at_ms;
    void (*passed)(struct deadline *self);
    struct deadline *prev, *next; /* utlist */
};

struct deadlines;

int deadlines_create(uint64_t now_ms, struct deadlines **out);
void deadlines_destroy(struct deadlines **self);

/* `passed` is called from deadlines_turn(), at most one tick after `at_ms` and never before it. Set
 * again: moved. */
void deadlines_set(struct deadlines *self, struct deadline *deadline, uint64_t at_ms,
                   void (*passed)(struct deadline *self));

/* Not set: nothing happens. */
void deadlines_cancel(struct deadlines *self, struct deadline *deadline);

/* Calls what has passed by `now_ms`; a callback may set and cancel any deadline. */
void deadlines_turn(struct deadlines *self, uint64_t now_ms);

/* Milliseconds until deadlines_turn() has something to do; -1: nothing is set. May be early, never
 * late. */
int deadlines_wait_ms(const struct deadlines *self, uint64_t now_ms);

#endif
