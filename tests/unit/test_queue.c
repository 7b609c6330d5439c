/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The queue in one thread: what goes in comes out, in order and whole, up to its bounds.
 * threads_queue.c has it between two threads.
 */
#include <criterion/criterion.h>
#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"
#include "base/queue.h"

enum { CAPACITY = 1024 };

static struct queue *queue;

static void set_up(void)
{
    cr_assert_eq(queue_create(CAPACITY, &queue), ARIZMQ_OK);
}

static void tear_down(void)
{
    queue_destroy(&queue);
    cr_assert_null(queue);
    queue_destroy(&queue);
}

TestSuite(queue, .init = set_up, .fini = tear_down);

/* Record `number` has its own length and bytes. */
static size_t make_record(unsigned number, size_t length_max, char *bytes)
{
    size_t length = (size_t)number * 7 % (length_max + 1);
    for (size_t i = 0; i < length; i++) {
        bytes[i] = (char)(number + i * 31);
    }
    return length;
}

static int push(unsigned number, size_t length_max, size_t reserve)
{
    char bytes[CAPACITY];
    size_t length = make_record(number, length_max, bytes);
    struct queue_part parts[] = {{bytes, length / 3}, {bytes + length / 3, length - length / 3}};
    return queue_push(queue, parts, 2, reserve);
}

static void assert_front(unsigned number, size_t length_max)
{
    char bytes[CAPACITY];
    size_t length = 0;
    const void *front = queue_front(queue, &length);
    cr_assert_not_null(front, "record %u", number);
    cr_assert_eq((uintptr_t)front % alignof(max_align_t), 0, "record %u", number);
    cr_assert_eq(length, make_record(number, length_max, bytes), "record %u", number);
    cr_assert_eq(memcmp(front, bytes, length), 0, "record %u", number);
}

static unsigned fill(size_t length_max, size_t reserve)
{
    unsigned count = 0;
    while (push(count, length_max, reserve) == ARIZMQ_OK) {
        count++;
        cr_assert_lt(count, CAPACITY);
    }
    return count;
}

Test(queue, is_empty_at_first)
{
    size_t length = 77;
    cr_assert_null(queue_front(queue, &length));
    cr_assert_eq(length, 77);
    cr_assert_eq(queue_used(queue), 0);
}

Test(queue, joins_the_parts_of_a_record_and_keeps_it_until_it_is_popped)
{
    struct queue_part parts[] = {{"chan", 4}, {NULL, 0}, {"nel", 3}};
    cr_assert_eq(queue_push(queue, parts, 3, 0), ARIZMQ_OK);
    cr_assert_eq(queue_push(queue, NULL, 0, 0), ARIZMQ_OK);
    for (unsigned i = 0; i < 2; i++) {
        size_t length = 0;
        const void *front = queue_front(queue, &length);
        cr_assert_eq(length, 7);
        cr_assert_eq(memcmp(front, "channel", 7), 0);
    }
    queue_pop(queue);
    size_t length = 77;
    cr_assert_not_null(queue_front(queue, &length));
    cr_assert_eq(length, 0);
    queue_pop(queue);
    cr_assert_null(queue_front(queue, &length));
    cr_assert_eq(queue_used(queue), 0);
}

/* Every length meets the end of the ring at every offset. */
Test(queue, keeps_records_whole_and_in_order_around_its_end)
{
    for (size_t length_max = 0; length_max <= CAPACITY / 2 - 2 * alignof(max_align_t);
         length_max += 5) {
        unsigned pushed = 0;
        unsigned popped = 0;
        while (popped < 300) {
            while (push(pushed, length_max, 0) == ARIZMQ_OK) {
                pushed++;
            }
            cr_assert_gt(pushed, popped, "up to %zu bytes, after %u", length_max, popped);
            cr_assert_leq(queue_used(queue), CAPACITY);
            /* One or more are left in it, so that the next ones lie elsewhere. */
            do {
                assert_front(popped++, length_max);
                queue_pop(queue);
            } while (popped + 1 < pushed);
        }
        while (popped < pushed) {
            assert_front(popped++, length_max);
            queue_pop(queue);
        }
        cr_assert_eq(queue_used(queue), 0);
    }
}

Test(queue, takes_its_capacity_and_no_more)
{
    unsigned count = fill(0, 0);
    cr_assert_eq(count, CAPACITY / alignof(max_align_t), "a record costs a few bytes: %u", count);
    cr_assert_eq(queue_used(queue), CAPACITY);
    size_t length = 0;
    cr_assert_not_null(queue_front(queue, &length));
    queue_pop(queue);
    cr_assert_eq(push(0, 0, 0), ARIZMQ_OK);
    cr_assert_eq(push(0, 0, 0), ARIZMQ_ETOOLARGE);
}

Test(queue, leaves_the_reserve)
{
    unsigned count = fill(0, CAPACITY / 4);
    cr_assert_eq(queue_used(queue), CAPACITY - CAPACITY / 4);
    cr_assert_eq(push(0, 0, CAPACITY / 4), ARIZMQ_ETOOLARGE);
    cr_assert_eq(push(0, 0, CAPACITY / 8), ARIZMQ_OK);
    cr_assert_gt(fill(0, 0), 0);
    cr_assert_eq(queue_used(queue), CAPACITY);
    cr_assert_gt(count, 0);
    cr_assert_eq(push(0, 0, SIZE_MAX), ARIZMQ_ETOOLARGE);
}

Test(queue, refuses_records_above_half_its_capacity_and_takes_others_wherever_it_stands)
{
    static char bytes[CAPACITY];
    size_t most = CAPACITY / 2 - alignof(max_align_t);
    size_t length = 0;
    for (unsigned offset = 0; offset < CAPACITY / alignof(max_align_t); offset++) {
        struct queue_part part = {bytes, most + 1};
        cr_assert_eq(queue_push(queue, &part, 1, 0), ARIZMQ_ETOOLARGE);
        part.length = most;
        cr_assert_eq(queue_push(queue, &part, 1, 0), ARIZMQ_OK, "at %u", offset);
        cr_assert_not_null(queue_front(queue, &length));
        cr_assert_eq(length, most);
        queue_pop(queue);
        cr_assert_eq(push(0, 0, 0), ARIZMQ_OK); /* one step on */
        assert_front(0, 0);
        queue_pop(queue);
    }
    struct queue_part parts[] = {{bytes, CAPACITY}, {bytes, SIZE_MAX}};
    cr_assert_eq(queue_push(queue, parts, 2, 0), ARIZMQ_ETOOLARGE);
    cr_assert_eq(queue_used(queue), 0);
}

Test(queue, of_no_or_impossible_capacity_is_refused)
{
    struct queue *none = NULL;
    cr_assert_eq(queue_create(CAPACITY - 1, &none), ARIZMQ_EINVALID);
    cr_assert_eq(queue_create(SIZE_MAX, &none), ARIZMQ_EINVALID);
    cr_assert_null(none);
}

Test(queue, may_be_destroyed_with_records_in_it)
{
    cr_assert_gt(fill(100, 0), 5);
}
