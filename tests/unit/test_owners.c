/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Who owns what: the rules one by one, then thousands of random operations beside a model that
 * keeps everything in a plain array; without memory, too.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"
#include "gateway/owners.h"
#include "ops/metrics.h"
#include "owners_model.h"

/* How many allocations of the owners may still succeed. */
static unsigned allocations_left = UINT32_MAX;

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

static bool may_allocate(void)
{
    if (allocations_left == 0) {
        return false;
    }
    allocations_left -= allocations_left != UINT32_MAX;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return may_allocate() ? __real_malloc(size) : NULL;
}

void *__wrap_calloc(size_t count, size_t size)
{
    return may_allocate() ? __real_calloc(count, size) : NULL;
}

static struct owners *new_owners(uint32_t max)
{
    struct owners *owners = NULL;
    cr_assert_eq(owners_create(max, max, 6, &owners), ARIZMQ_OK);
    return owners;
}

static void learn(struct owners *owners, unsigned node, const char *id)
{
    owners_learn(owners, node, OBJECT_CHANNEL, id, strlen(id));
}

static void end(struct owners *owners, unsigned node, const char *id)
{
    owners_end(owners, node, OBJECT_CHANNEL, id, strlen(id));
}

static void claim(struct owners *owners, unsigned node, const char *id)
{
    owners_claim(owners, node, OBJECT_CHANNEL, id, strlen(id));
}

static void release(struct owners *owners, unsigned node, const char *id, bool failed)
{
    owners_release(owners, node, OBJECT_CHANNEL, id, strlen(id), failed);
}

/* "0,2" for an object on two nodes, "0 ended" for one that has ended, "" for an unknown one. */
static const char *where_of(struct owners *owners, enum object_kind kind, const char *id)
{
    static char text[64];
    struct owners_found found;
    owners_find(owners, kind, id, strlen(id), &found);
    text[0] = '\0';
    for (unsigned i = 0; i < found.count; i++) {
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%u", i > 0 ? "," : "",
                 found.node[i]);
    }
    snprintf(text + strlen(text), sizeof text - strlen(text), "%s",
             found.has_ended ? " ended" : "");
    return text;
}

static const char *where(struct owners *owners, const char *id)
{
    return where_of(owners, OBJECT_CHANNEL, id);
}

Test(owners, kinds_and_ids_are_apart)
{
    struct owners *owners = new_owners(100);
    learn(owners, 1, "a");
    owners_learn(owners, 2, OBJECT_BRIDGE, "a", 1);
    owners_learn(owners, 3, OBJECT_RECORDING, "x\0y", 3);
    cr_assert_str_eq(where(owners, "a"), "1");
    cr_assert_str_eq(where_of(owners, OBJECT_BRIDGE, "a"), "2");
    cr_assert_str_eq(where_of(owners, OBJECT_PLAYBACK, "a"), "");
    cr_assert_str_eq(where(owners, "A"), "");
    cr_assert_str_eq(where(owners, ""), "");
    cr_assert_str_eq(where_of(owners, OBJECT_RECORDING, "x"), "");
    struct owners_found found;
    owners_find(owners, OBJECT_RECORDING, "x\0y", 3, &found);
    cr_assert_eq(found.count, 1);
    cr_assert_eq(found.node[0], 3);
    cr_assert_eq(owners_count(owners), 3);
    cr_assert_eq(metrics_get(METRIC_OWNERS), 3);
    cr_assert_eq(metrics_get(METRIC_OWNERS_MAX), 100);
    owners_destroy(&owners);
    cr_assert_null(owners);
    owners_destroy(&owners);
}

Test(owners, a_long_id)
{
    struct owners *owners = new_owners(10);
    static char id[100001];
    memset(id, 'i', sizeof id - 1);
    learn(owners, 4, id);
    cr_assert_str_eq(where(owners, id), "4");
    id[sizeof id - 2] = 'j';
    cr_assert_str_eq(where(owners, id), "");
    owners_destroy(&owners);
}

Test(owners, an_ended_object_stays_findable)
{
    struct owners *owners = new_owners(10);
    learn(owners, 1, "a");
    end(owners, 1, "a");
    cr_assert_str_eq(where(owners, "a"), "1 ended");
    end(owners, 2, "never seen alive");
    cr_assert_str_eq(where(owners, "never seen alive"), "2 ended");
    learn(owners, 1, "a");
    cr_assert_str_eq(where(owners, "a"), "1");
    owners_destroy(&owners);
}

Test(owners, a_new_life_replaces_an_ended_one)
{
    struct owners *owners = new_owners(10);
    learn(owners, 1, "a");
    end(owners, 1, "a");
    learn(owners, 2, "a");
    cr_assert_str_eq(where(owners, "a"), "2");
    end(owners, 2, "a");
    cr_assert_str_eq(where(owners, "a"), "2 ended");
    owners_destroy(&owners);
}

Test(owners, two_that_live_are_both_named)
{
    struct owners *owners = new_owners(10);
    learn(owners, 2, "a");
    learn(owners, 1, "a");
    learn(owners, 2, "a");
    cr_assert_str_eq(where(owners, "a"), "2,1", "in the order in which they were learned");
    end(owners, 2, "a");
    cr_assert_str_eq(where(owners, "a"), "1");
    learn(owners, 1, "a");
    end(owners, 1, "a");
    cr_assert_str_eq(where(owners, "a"), "2,1 ended");
    cr_assert_eq(owners_count(owners), 1);
    owners_destroy(&owners);
}

Test(owners, nodes_of_one_object_are_bounded)
{
    struct owners *owners = new_owners(10);
    for (unsigned node = 0; node < OWNERS_OF_ONE_MAX; node++) {
        learn(owners, node, "a");
    }
    learn(owners, 4, "a");
    cr_assert_str_eq(where(owners, "a"), "0,1,2,3");
    cr_assert_eq(owners_calls(owners, 4), 0);
    cr_assert_eq(metrics_get(METRIC_OWNERS_FORGOTTEN), 1);
    end(owners, 0, "a");
    learn(owners, 4, "a");
    cr_assert_str_eq(where(owners, "a"), "1,2,3,4", "the ended one made room");
    cr_assert_eq(metrics_get(METRIC_OWNERS_FORGOTTEN), 1);
    owners_destroy(&owners);
}

Test(owners, claims_nest)
{
    struct owners *owners = new_owners(10);
    claim(owners, 1, "a");
    claim(owners, 1, "a");
    cr_assert_str_eq(where(owners, "a"), "1");
    cr_assert_eq(owners_calls(owners, 1), 0, "as yet no call");
    release(owners, 1, "a", true);
    cr_assert_str_eq(where(owners, "a"), "1");
    release(owners, 1, "a", true);
    cr_assert_str_eq(where(owners, "a"), "");
    cr_assert_eq(owners_count(owners), 0);
    release(owners, 1, "a", true);

    claim(owners, 1, "a");
    learn(owners, 1, "a");
    cr_assert_eq(owners_calls(owners, 1), 1);
    release(owners, 1, "a", true);
    cr_assert_str_eq(where(owners, "a"), "1", "it was learned");

    claim(owners, 1, "b");
    release(owners, 1, "b", false);
    cr_assert_str_eq(where(owners, "b"), "1", "the command succeeded");
    owners_destroy(&owners);
}

Test(owners, a_claim_and_what_ended)
{
    struct owners *owners = new_owners(10);
    learn(owners, 1, "a");
    end(owners, 1, "a");
    claim(owners, 2, "a");
    cr_assert_str_eq(where(owners, "a"), "2");
    release(owners, 2, "a", true);
    cr_assert_str_eq(where(owners, "a"), "1 ended", "the claim came to nothing");
    claim(owners, 1, "a");
    cr_assert_str_eq(where(owners, "a"), "1");
    release(owners, 1, "a", true);
    cr_assert_str_eq(where(owners, "a"), "1 ended");
    claim(owners, 2, "a");
    learn(owners, 2, "a");
    release(owners, 2, "a", false);
    end(owners, 2, "a");
    cr_assert_str_eq(where(owners, "a"), "2 ended");
    owners_destroy(&owners);
}

Test(owners, room_goes_to_the_living)
{
    struct owners *owners = new_owners(3);
    learn(owners, 0, "a");
    learn(owners, 0, "b");
    learn(owners, 0, "c");
    end(owners, 0, "c");
    end(owners, 0, "b");
    learn(owners, 0, "d"); /* c ended before b */
    cr_assert_str_eq(where(owners, "c"), "");
    cr_assert_str_eq(where(owners, "b"), "0 ended");
    learn(owners, 0, "e");
    cr_assert_str_eq(where(owners, "b"), "");
    cr_assert_eq(metrics_get(METRIC_OWNERS_EVICTED), 0);
    learn(owners, 0, "a"); /* seen again: d is the oldest now */
    learn(owners, 0, "f");
    cr_assert_str_eq(where(owners, "d"), "");
    cr_assert_str_eq(where(owners, "a"), "0");
    cr_assert_eq(metrics_get(METRIC_OWNERS_EVICTED), 1);
    cr_assert_eq(owners_count(owners), 3);
    cr_assert_eq(owners_calls(owners, 0), 3);
    owners_destroy(&owners);
}

Test(owners, the_ended_have_a_bound_of_their_own)
{
    struct owners *owners = NULL;
    cr_assert_eq(owners_create(10, 2, 1, &owners), ARIZMQ_OK);
    learn(owners, 0, "a");
    learn(owners, 0, "b");
    learn(owners, 0, "c");
    end(owners, 0, "b");
    end(owners, 0, "a");
    end(owners, 0, "c"); /* b ended first */
    cr_assert_str_eq(where(owners, "b"), "");
    cr_assert_str_eq(where(owners, "a"), "0 ended");
    learn(owners, 0, "a"); /* lives again, and makes room */
    end(owners, 0, "d");
    cr_assert_str_eq(where(owners, "c"), "0 ended");
    cr_assert_str_eq(where(owners, "d"), "0 ended");
    cr_assert_eq(owners_count(owners), 3);
    cr_assert_eq(metrics_get(METRIC_OWNERS_EVICTED), 0);
    owners_destroy(&owners);
}

Test(owners, calls_are_live_channels)
{
    struct owners *owners = new_owners(10);
    learn(owners, 1, "a");
    learn(owners, 1, "a");
    learn(owners, 1, "b");
    owners_learn(owners, 1, OBJECT_BRIDGE, "c", 1);
    cr_assert_eq(owners_calls(owners, 1), 2);
    cr_assert_eq(owners_calls(owners, 0), 0);
    end(owners, 1, "a");
    end(owners, 1, "a");
    cr_assert_eq(owners_calls(owners, 1), 1);
    owners_destroy(&owners);
}

Test(owners, a_census_ends_what_it_did_not_find)
{
    struct owners *owners = new_owners(20);
    learn(owners, 1, "a");
    learn(owners, 1, "b");
    learn(owners, 2, "b");
    learn(owners, 2, "c");
    owners_learn(owners, 1, OBJECT_BRIDGE, "d", 1);
    claim(owners, 1, "e");
    owners_end_census(owners, 1, OBJECT_CHANNEL);
    cr_assert_eq(owners_calls(owners, 1), 2, "none was begun");

    owners_begin_census(owners, 1, OBJECT_CHANNEL);
    learn(owners, 1, "a");
    learn(owners, 1, "f");
    owners_end_census(owners, 1, OBJECT_CHANNEL);
    cr_assert_str_eq(where(owners, "a"), "1");
    cr_assert_str_eq(where(owners, "b"), "2");
    cr_assert_str_eq(where(owners, "c"), "2");
    cr_assert_str_eq(where(owners, "e"), "1", "it is only about to be made");
    cr_assert_str_eq(where(owners, "f"), "1");
    cr_assert_str_eq(where_of(owners, OBJECT_BRIDGE, "d"), "1");
    cr_assert_eq(owners_calls(owners, 1), 2);

    owners_begin_census(owners, 1, OBJECT_CHANNEL);
    owners_end_census(owners, 1, OBJECT_CHANNEL);
    cr_assert_str_eq(where(owners, "a"), "1 ended");
    cr_assert_eq(owners_calls(owners, 1), 0);
    owners_destroy(&owners);
}

Test(owners, a_node_that_is_removed_is_forgotten)
{
    struct owners *owners = new_owners(100);
    learn(owners, 1, "lives");
    learn(owners, 1, "on two");
    learn(owners, 2, "on two");
    learn(owners, 2, "ended on two");
    learn(owners, 1, "ended on two");
    end(owners, 1, "ended on two");
    learn(owners, 1, "ended");
    end(owners, 1, "ended");
    claim(owners, 1, "claimed");
    owners_learn(owners, 1, OBJECT_RECORDING, "r", 1);
    owners_begin_census(owners, 1, OBJECT_CHANNEL);
    owners_forget_node(owners, 1);
    cr_assert_eq(owners_count(owners), 2);
    cr_assert_eq(owners_calls(owners, 1), 0);
    cr_assert_str_eq(where(owners, "lives"), "");
    cr_assert_str_eq(where(owners, "on two"), "2");
    cr_assert_str_eq(where(owners, "ended on two"), "2");
    cr_assert_str_eq(where(owners, "ended"), "");
    cr_assert_str_eq(where(owners, "claimed"), "");
    cr_assert_str_eq(where_of(owners, OBJECT_RECORDING, "r"), "");
    /* What comes late is passed over, and is no failure to remember. */
    uint64_t forgotten = metrics_get(METRIC_OWNERS_FORGOTTEN);
    learn(owners, 1, "late");
    end(owners, 1, "lives");
    claim(owners, 1, "late");
    release(owners, 1, "claimed", true);
    owners_end_census(owners, 1, OBJECT_CHANNEL);
    cr_assert_eq(owners_count(owners), 2);
    cr_assert_eq(metrics_get(METRIC_OWNERS_FORGOTTEN), forgotten);
    /* Another node has its place later. */
    owners_admit_node(owners, 1);
    learn(owners, 1, "new");
    cr_assert_str_eq(where(owners, "new"), "1");
    cr_assert_eq(owners_calls(owners, 1), 1);
    owners_destroy(&owners);
}

Test(owners, smaller_bounds_are_reached_step_by_step)
{
    struct owners *owners = new_owners(100);
    char name[16];
    for (unsigned i = 0; i < 60; i++) {
        snprintf(name, sizeof name, "%u", i);
        learn(owners, 1, name);
        if (i % 2 == 0) {
            end(owners, 1, name);
        }
    }
    uint64_t evicted = metrics_get(METRIC_OWNERS_EVICTED);
    owners_set_bounds(owners, 20, 10);
    cr_assert_eq(owners_count(owners), 60);
    owners_trim(owners, 5);
    cr_assert_eq(owners_count(owners), 55);
    learn(owners, 1, "another");
    cr_assert_leq(owners_count(owners), 55, "what is new takes the place of another");
    owners_trim(owners, 1000);
    cr_assert_eq(owners_count(owners), 20);
    cr_assert_str_eq(where(owners, "another"), "1");
    cr_assert_str_eq(where(owners, "59"), "1");
    cr_assert_str_eq(where(owners, "1"), "");
    cr_assert_eq(metrics_get(METRIC_OWNERS_EVICTED) - evicted, 11, "live ones only");
    cr_assert_eq(metrics_get(METRIC_OWNERS_MAX), 20);
    owners_set_bounds(owners, 1000, 500);
    owners_trim(owners, 1000);
    cr_assert_eq(owners_count(owners), 20);
    owners_destroy(&owners);
}

Test(owners, without_memory_nothing_breaks)
{
    struct owners *owners = NULL;
    allocations_left = 1;
    cr_assert_eq(owners_create(10, 10, 2, &owners), ARIZMQ_ENOMEM);
    cr_assert_null(owners);
    allocations_left = UINT32_MAX;
    owners = new_owners(10);
    for (unsigned left = 0; left < 3; left++) { /* the object, uthash's table, its buckets */
        allocations_left = left;
        learn(owners, 1, "a");
        allocations_left = UINT32_MAX;
        cr_assert_str_eq(where(owners, "a"), "");
        cr_assert_eq(owners_count(owners), 0);
        cr_assert_eq(metrics_get(METRIC_OWNERS_FORGOTTEN), left + 1);
    }
    learn(owners, 1, "a");
    allocations_left = 0;
    learn(owners, 2, "a");
    allocations_left = UINT32_MAX;
    cr_assert_str_eq(where(owners, "a"), "1");
    owners_destroy(&owners);
}

/* Every object that can be named, in both. */
static void compare(const struct owners *owners, const struct model *model, unsigned step)
{
    for (unsigned kind = 0; kind < MODEL_KINDS; kind++) {
        for (unsigned id = 0; id < MODEL_IDS; id++) {
            char name[16];
            size_t length = (size_t)snprintf(name, sizeof name, "id-%u", id);
            struct owners_found got;
            struct owners_found wanted;
            owners_find(owners, kind, name, length, &got);
            model_find(model, kind, id, &wanted);
            cr_assert_eq(got.count, wanted.count, "step %u: kind %u %s on %u nodes, not %u", step,
                         kind, name, got.count, wanted.count);
            cr_assert_eq(got.has_ended, wanted.has_ended, "step %u: %s", step, name);
            for (unsigned i = 0; i < got.count; i++) {
                cr_assert_eq(got.node[i], wanted.node[i], "step %u: kind %u %s", step, kind, name);
            }
        }
    }
    for (unsigned node = 0; node < MODEL_NODES; node++) {
        cr_assert_eq(owners_calls(owners, node), model_calls(model, node), "step %u", step);
    }
    cr_assert_eq(owners_count(owners), model->count, "step %u", step);
}

static void random_step(struct owners *owners, struct model *model)
{
    unsigned node = (unsigned)rand() % MODEL_NODES;
    unsigned kind = (unsigned)rand() % MODEL_KINDS;
    unsigned id = (unsigned)rand() % MODEL_IDS;
    char name[16];
    size_t length = (size_t)snprintf(name, sizeof name, "id-%u", id);
    if (rand() % 200 == 0) {
        owners_forget_node(owners, node);
        model_forget(model, node);
        return;
    }
    if (rand() % 50 == 0) {
        owners_admit_node(owners, node);
        model_admit(model, node);
        return;
    }
    switch (rand() % 20) {
    case 0:
        owners_begin_census(owners, node, kind);
        model_begin_census(model, node, kind);
        break;
    case 1:
        owners_end_census(owners, node, kind);
        model_end_census(model, node, kind);
        break;
    case 2:
    case 3:
    case 4:
        owners_claim(owners, node, kind, name, length);
        model_claim(model, node, kind, id);
        break;
    case 5:
    case 6:
    case 7:
    case 8: {
        bool failed = rand() % 2 == 0;
        owners_release(owners, node, kind, name, length, failed);
        model_release(model, node, kind, id, failed);
        break;
    }
    case 9:
    case 10:
    case 11:
    case 12:
    case 13:
        owners_end(owners, node, kind, name, length);
        model_end(model, node, kind, id);
        break;
    default:
        owners_learn(owners, node, kind, name, length);
        model_learn(model, node, kind, id);
        break;
    }
}

Test(owners, does_what_the_model_does)
{
    for (unsigned round = 0; round < 20; round++) {
        srand(round);
        uint32_t max = round % 4 == 0 ? 1000 : 5 * (round % 4);
        struct owners *owners = NULL;
        cr_assert_eq(owners_create(max, max, MODEL_NODES, &owners), ARIZMQ_OK);
        static struct model model;
        model_init(&model, max);
        uint64_t evicted_before = metrics_get(METRIC_OWNERS_EVICTED);
        for (unsigned step = 0; step < 4000; step++) {
            random_step(owners, &model);
            compare(owners, &model, step);
        }
        cr_assert_eq(metrics_get(METRIC_OWNERS_EVICTED) - evicted_before, model.evicted);
        owners_destroy(&owners);
    }
}
