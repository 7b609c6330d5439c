/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The wheel of deadlines against a plain array that knows when each is due, over hours of a time
 * that the test makes up.
 */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"
#include "gateway/deadlines.h"
#include "random_json.h"

static int is_out_of_memory;
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

void *__wrap_calloc(size_t count, size_t size)
{
    return is_out_of_memory ? NULL : __real_calloc(count, size);
}

static struct deadlines *must_create(uint64_t now_ms)
{
    struct deadlines *deadlines = NULL;
    cr_assert_eq(deadlines_create(now_ms, &deadlines), ARIZMQ_OK);
    return deadlines;
}

/* ---- one at a time ---- */

static unsigned calls;

static void count_call(struct deadline *deadline)
{
    (void)deadline;
    calls++;
}

Test(deadlines, is_called_once_and_not_before_its_time)
{
    for (uint64_t phase = 0; phase < 2 * DEADLINES_TICK_MS; phase++) {
        uint64_t start = 1000 + phase;
        struct deadlines *deadlines = must_create(start);
        struct deadline deadline = {0};
        calls = 0;
        deadlines_set(deadlines, &deadline, start + 57, count_call);
        cr_expect_eq(deadline.at_ms, start + 57);
        for (uint64_t now = start; now < start + 57; now++) {
            deadlines_turn(deadlines, now);
            cr_assert_eq(calls, 0, "%" PRIu64 " ms early", start + 57 - now);
        }
        deadlines_turn(deadlines, start + 57 + DEADLINES_TICK_MS - 1);
        cr_expect_eq(calls, 1);
        deadlines_turn(deadlines, start + 1000000);
        cr_expect_eq(calls, 1);
        cr_expect_eq(deadlines_wait_ms(deadlines, start + 1000000), -1);
        deadlines_destroy(&deadlines);
        cr_expect_null(deadlines);
    }
}

Test(deadlines, what_is_over_already_comes_with_the_next_tick)
{
    struct deadlines *deadlines = must_create(5003);
    struct deadline deadline = {0};
    calls = 0;
    deadlines_set(deadlines, &deadline, 0, count_call);
    deadlines_turn(deadlines, 5003);
    cr_expect_eq(calls, 0);
    cr_expect_eq(deadlines_wait_ms(deadlines, 5003), 7);
    deadlines_turn(deadlines, 5010);
    cr_expect_eq(calls, 1);
    deadlines_destroy(&deadlines);
}

Test(deadlines, set_again_is_moved_and_cancelled_is_not_called)
{
    struct deadlines *deadlines = must_create(0);
    struct deadline moved = {0};
    struct deadline cancelled = {0};
    struct deadline never_set = {0};
    calls = 0;
    deadlines_cancel(deadlines, &never_set);
    deadlines_set(deadlines, &moved, 100, count_call);
    deadlines_set(deadlines, &cancelled, 100, count_call);
    deadlines_set(deadlines, &moved, 900000, count_call);
    deadlines_cancel(deadlines, &cancelled);
    deadlines_cancel(deadlines, &cancelled);
    deadlines_turn(deadlines, 899999);
    cr_expect_eq(calls, 0);
    deadlines_turn(deadlines, 900000);
    cr_expect_eq(calls, 1);
    deadlines_set(deadlines, &moved, UINT64_MAX, count_call); /* never, in effect */
    deadlines_turn(deadlines, UINT64_MAX / 2);
    cr_expect_eq(calls, 1);
    deadlines_cancel(deadlines, &moved);
    cr_expect_eq(deadlines_wait_ms(deadlines, 0), -1);
    deadlines_destroy(&deadlines);
}

Test(deadlines, a_clock_that_goes_back_does_nothing)
{
    struct deadlines *deadlines = must_create(100000);
    struct deadline deadline = {0};
    calls = 0;
    deadlines_set(deadlines, &deadline, 100020, count_call);
    deadlines_turn(deadlines, 50);
    cr_expect_eq(calls, 0);
    int wait_ms = deadlines_wait_ms(deadlines, 50);
    cr_expect(wait_ms > 0 && wait_ms <= 20 + DEADLINES_TICK_MS, "%d", wait_ms);
    deadlines_turn(deadlines, 100020);
    cr_expect_eq(calls, 1);
    deadlines_destroy(&deadlines);
}

Test(deadlines, no_memory)
{
    struct deadlines *untouched = NULL;
    is_out_of_memory = 1;
    cr_expect_eq(deadlines_create(0, &untouched), ARIZMQ_ENOMEM);
    is_out_of_memory = 0;
    cr_expect_null(untouched);
    deadlines_destroy(&untouched);
}

/* Whatever the wheel is at: the wait ends at the deadline's tick, or earlier, but never now. */
Test(deadlines, wait_is_never_late_and_sleeps)
{
    for (uint64_t start = 0; start < 50000; start += 637) {
        for (uint64_t in = 1; in < 200000; in = in * 3 / 2 + 1) {
            struct deadlines *deadlines = must_create(start);
            struct deadline deadline = {0};
            calls = 0;
            deadlines_set(deadlines, &deadline, start + in, count_call);
            uint64_t now = start;
            unsigned turns = 0;
            for (; calls == 0; turns++) {
                int wait_ms = deadlines_wait_ms(deadlines, now);
                cr_assert_geq(wait_ms, 0);
                now += (uint64_t)wait_ms;
                deadlines_turn(deadlines, now);
            }
            cr_assert(now >= start + in && now < start + in + DEADLINES_TICK_MS);
            cr_assert_leq(turns, in / 40000 + 1, "woken %u times in %" PRIu64 " ms", turns, in);
            deadlines_destroy(&deadlines);
        }
    }
}

/* ---- against the model ---- */

enum { MANY = 300, STEPS = 60000 };

struct item {
    struct deadline deadline; /* first: a callback finds its item */
    bool is_set;
    uint64_t at_ms;
    uint64_t set_ms; /* when */
    unsigned turn;   /* in which; what is set in a turn is not called in it */
};

static struct {
    struct deadlines *deadlines;
    struct item items[MANY];
    uint64_t now_ms;
    uint64_t random;
    unsigned turn;
    bool is_turning;
    uint64_t called;
} model;

static void item_called(struct deadline *deadline);

static uint64_t random_span(void)
{
    static const uint64_t spans[] = {1, 15, 300, 5000, 41000, 90000, 700000};
    return random_below(&model.random, spans[random_below(&model.random, 7)]);
}

static void item_set(struct item *item)
{
    uint64_t back = random_below(&model.random, 8) == 0 ? random_span() : 0;
    item->at_ms = model.now_ms + random_span();
    item->at_ms -= back < item->at_ms ? back : item->at_ms;
    item->is_set = true;
    item->set_ms = model.now_ms;
    item->turn = model.is_turning ? model.turn : 0;
    deadlines_set(model.deadlines, &item->deadline, item->at_ms, item_called);
}

static void item_cancel(struct item *item)
{
    item->is_set = false;
    deadlines_cancel(model.deadlines, &item->deadline);
}

static void change_any(unsigned changes)
{
    for (unsigned i = 0; i < changes; i++) {
        struct item *item = &model.items[random_below(&model.random, MANY)];
        if (random_below(&model.random, 3) == 0) {
            item_cancel(item);
        } else {
            item_set(item);
        }
    }
}

static void item_called(struct deadline *deadline)
{
    struct item *item = (struct item *)(void *)deadline;
    cr_assert(model.is_turning);
    cr_assert(item->is_set, "called though cancelled, or twice");
    cr_assert_leq(item->at_ms, model.now_ms, "called early");
    cr_assert_neq(item->turn, model.turn, "set in this turn");
    cr_assert_eq(deadline->at_ms, item->at_ms);
    item->is_set = false;
    model.called++;
    memset(&item->deadline, 0, sizeof item->deadline); /* it may be reused, or gone */
    if (random_below(&model.random, 2) == 0) {
        item_set(item);
    }
    change_any((unsigned)random_below(&model.random, 4)); /* those due in this turn among them */
}

/* Nothing that should have been called is left. */
static void check_model(void)
{
    bool is_any_set = false;
    int wait_ms = deadlines_wait_ms(model.deadlines, model.now_ms);
    for (unsigned i = 0; i < MANY; i++) {
        const struct item *item = &model.items[i];
        if (!item->is_set) {
            continue;
        }
        is_any_set = true;
        uint64_t since = item->at_ms > item->set_ms ? item->at_ms : item->set_ms;
        cr_assert_lt(model.now_ms, since + DEADLINES_TICK_MS, "%u was not called in time", i);
        cr_assert_leq(model.now_ms + (uint64_t)wait_ms, since + DEADLINES_TICK_MS, "%u: late", i);
    }
    cr_assert_eq(wait_ms >= 0, is_any_set);
}

Test(deadlines, does_what_a_plain_array_does)
{
    model.random = random_seed(20261124);
    model.now_ms = random_below(&model.random, 1000000);
    model.deadlines = must_create(model.now_ms);
    for (unsigned step = 0; step < STEPS; step++) {
        change_any((unsigned)random_below(&model.random, 6));
        model.now_ms += random_span() / (1 + random_below(&model.random, 50));
        model.turn++;
        model.is_turning = true;
        deadlines_turn(model.deadlines, model.now_ms);
        model.is_turning = false;
        check_model();
    }
    cr_assert_gt(model.called, 10000, "only %" PRIu64, model.called);
    for (unsigned i = 0; i < MANY; i++) {
        item_cancel(&model.items[i]);
    }
    cr_expect_eq(deadlines_wait_ms(model.deadlines, model.now_ms), -1);
    deadlines_destroy(&model.deadlines);
}
