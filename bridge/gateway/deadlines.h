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
    uint64_t tick;                /* private: of the wheel, where it is */
};

struct deadlines;

/* Returns ARIZMQ_OK or ARIZMQ_ENOMEM. */
int deadlines_create(uint64_t now_ms, struct deadlines **out);

/* Touches none of those still set, which may be gone already; no callback is called. */
void deadlines_destroy(struct deadlines **self);

/* `passed` is called from deadlines_turn(), at most one tick after `at_ms` and never before it;
 * where `at_ms` is over already, at most one tick from now. It is not set any more by then, so that
 * it may be set again or freed. Set again: moved. */
void deadlines_set(struct deadlines *self, struct deadline *deadline, uint64_t at_ms,
                   void (*passed)(struct deadline *self));

/* Not set: nothing happens. */
void deadlines_cancel(struct deadlines *self, struct deadline *deadline);

/* Calls what has passed by `now_ms`; a callback may set and cancel any deadline, those due in the
 * same turn too. What it sets is called by a later turn, never by this one. A clock that went back
 * does nothing. */
void deadlines_turn(struct deadlines *self, uint64_t now_ms);

/* Milliseconds until deadlines_turn() has something to do; -1: nothing is set. May be early, never
 * late. */
int deadlines_wait_ms(const struct deadlines *self, uint64_t now_ms);

#endif
