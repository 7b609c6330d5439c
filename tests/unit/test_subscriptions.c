/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Whether there are subscriptions, as they come and go.
 */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "publish/subscriptions.h"

/* Linked with --wrap=malloc. */
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

static bool has_no_memory;

void *__wrap_malloc(size_t size)
{
    return has_no_memory ? NULL : __real_malloc(size);
}

static struct subscriptions *subscriptions;

static void set_up(void)
{
    subscriptions = subscriptions_create();
    cr_assert_not_null(subscriptions);
}

static void tear_down(void)
{
    subscriptions_destroy(&subscriptions);
    cr_assert_null(subscriptions);
    subscriptions_destroy(&subscriptions);
}

TestSuite(subscriptions, .init = set_up, .fini = tear_down);

Test(subscriptions, come_and_go)
{
    cr_assert_not(subscriptions_any(subscriptions));
    subscriptions_add(subscriptions, "", 0);
    cr_assert(subscriptions_any(subscriptions));
    subscriptions_add(subscriptions, "Dial/\0x", 7);
    subscriptions_remove(subscriptions, "", 0);
    cr_assert(subscriptions_any(subscriptions));
    subscriptions_remove(subscriptions, "Dial/\0y", 7);
    subscriptions_remove(subscriptions, "Dial/", 5);
    cr_assert(subscriptions_any(subscriptions));
    subscriptions_remove(subscriptions, "Dial/\0x", 7);
    cr_assert_not(subscriptions_any(subscriptions));
}

/* A peer may take back what it never asked for: that must not hide somebody else's. */
Test(subscriptions, what_was_never_added_is_not_taken_away)
{
    subscriptions_remove(subscriptions, "Dial/", 5);
    cr_assert_not(subscriptions_any(subscriptions));
    subscriptions_add(subscriptions, "Channel", 7);
    subscriptions_remove(subscriptions, "Dial/", 5);
    subscriptions_remove(subscriptions, "", 0);
    cr_assert(subscriptions_any(subscriptions));
}

Test(subscriptions, added_twice_is_there_once)
{
    subscriptions_add(subscriptions, "Channel", 7);
    subscriptions_add(subscriptions, "Channel", 7);
    subscriptions_remove(subscriptions, "Channel", 7);
    cr_assert_not(subscriptions_any(subscriptions));
}

/* What cannot be kept must not be forgotten. */
Test(subscriptions, without_memory_there_is_always_one)
{
    subscriptions_add(subscriptions, "Channel", 7);
    has_no_memory = true;
    subscriptions_add(subscriptions, "Dial/", 5);
    has_no_memory = false;
    subscriptions_remove(subscriptions, "Channel", 7);
    cr_assert(subscriptions_any(subscriptions));
    subscriptions_remove(subscriptions, "Dial/", 5);
    cr_assert(subscriptions_any(subscriptions));
}
