/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The counters against a model that remembers every prefix in a plain array, and without memory:
 * what the counters and uthash allocate goes through __wrap_malloc() and __wrap_calloc().
 * test_counter_table.c has the tables of what is deeper than the first token.
 */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "ops/metrics.h"
#include "publish/counters.h"
#include "random_json.h"

/* How many allocations may still succeed. */
static unsigned allocations_left = UINT32_MAX;

static int may_allocate(void)
{
    if (allocations_left == 0) {
        return 0;
    }
    allocations_left -= allocations_left != UINT32_MAX;
    return 1;
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

void *__wrap_malloc(size_t size)
{
    return may_allocate() ? __real_malloc(size) : NULL;
}

/* The compiler makes one of uthash's malloc() and memset(). */
void *__wrap_calloc(size_t count, size_t size)
{
    return may_allocate() ? __real_calloc(count, size) : NULL;
}

static struct topic topic_of(const char *text)
{
    struct topic topic = {.length = strlen(text)};
    cr_assert_leq(topic.length, TOPIC_BYTES_MAX);
    memset(topic.bytes, 0x5a, sizeof topic.bytes); /* the padding means nothing */
    memcpy(topic.bytes, text, topic.length);
    for (size_t i = 0; i < topic.length; i++) {
        if (text[i] == '/') {
            topic.end[topic.tokens++] = (uint16_t)(i + 1);
        }
    }
    return topic;
}

/* Counts `text` and demands count[0] … of `wanted`, which ends with 0. */
static void count(struct counters *counters, const char *text, const uint64_t *wanted)
{
    struct topic topic = topic_of(text);
    uint64_t got[ARIZMQ_STAMP_COUNTS_MAX];
    memset(got, 0xff, sizeof got);
    counters_count(counters, &topic, got);
    for (unsigned i = 0; i <= topic.tokens; i++) {
        cr_assert_eq(got[i], wanted[i], "%s: count[%u] is %" PRIu64 ", not %" PRIu64, text, i,
                     got[i], wanted[i]);
    }
    if (topic.tokens < ARIZMQ_STAMP_TOKENS_MAX) {
        cr_assert_eq(got[topic.tokens + 1], UINT64_MAX, "more counts than tokens");
    }
}

#define COUNT(counters, text, ...) count(counters, text, (const uint64_t[]){__VA_ARGS__, 0})

Test(counters, count_every_prefix)
{
    struct counters *counters = counters_create(4, 100);
    cr_assert_eq(counters_total(counters), 0);
    COUNT(counters, "StasisStart/ivr/pbx1/1/", 1, 1, 1, 1, 1);
    COUNT(counters, "StasisStart/ivr/pbx1/1/", 2, 2, 2, 2, 2);
    COUNT(counters, "StasisStart/ivr/pbx1/2/", 3, 3, 3, 3, 1);
    COUNT(counters, "StasisStart/ivr/pbx2/1/", 4, 4, 4, 1, 1);
    COUNT(counters, "StasisEnd/ivr/pbx1/1/", 5, 1, 1, 1, 1);
    COUNT(counters, "StasisStart/ivr2/pbx1/1/", 6, 5, 1, 1, 1);
    COUNT(counters, "StasisStart/ivr/pbx1/1/", 7, 6, 5, 4, 3);
    /* Tokens that differ in their slashes only. */
    COUNT(counters, "a/bc/d/e/", 8, 1, 1, 1, 1);
    COUNT(counters, "ab/c/d/e/", 9, 1, 1, 1, 1);
    COUNT(counters, "a/b/cd/e/", 10, 2, 1, 1, 1);
    COUNT(counters, "a/b/c/de/", 11, 3, 2, 1, 1);
    cr_assert_eq(counters_total(counters), 11);
    counters_destroy(&counters);
    cr_assert_null(counters);
    counters_destroy(&counters);
}

/* Lengths around the words by which the hash goes, up to the longest topic. */
Test(counters, tell_prefixes_of_every_length_apart)
{
    struct counters *counters = counters_create(2, 10000);
    char text[TOPIC_BYTES_MAX + 1];
    uint64_t total = 0;
    for (unsigned round = 1; round <= 2; round++) {
        for (int length = 1; length <= TOPIC_BYTES_MAX - 3; length++) {
            snprintf(text, sizeof text, "%0*d/y/", length, 0);
            total++;
            COUNT(counters, text, total, round, round);
        }
    }
    cr_assert_eq(strlen(text), TOPIC_BYTES_MAX);
    counters_destroy(&counters);
}

Test(counters, start_again_at_one_when_they_come_back)
{
    uint64_t evicted = metrics_get(METRIC_COUNTERS_EVICTED);
    uint64_t held = metrics_get(METRIC_COUNTERS);
    struct counters *counters = counters_create(2, 4);
    COUNT(counters, "t/1/", 1, 1, 1);
    COUNT(counters, "t/2/", 2, 2, 1);
    COUNT(counters, "t/1/", 3, 3, 2);
    COUNT(counters, "t/3/", 4, 4, 1); /* 1 and 2 are the elder ones now */
    COUNT(counters, "t/1/", 5, 5, 3); /* and 1 is not */
    cr_assert_eq(metrics_get(METRIC_COUNTERS_EVICTED), evicted);
    cr_assert_eq(metrics_get(METRIC_COUNTERS), held + 4); /* t/ and three ids */
    COUNT(counters, "t/4/", 6, 6, 1); /* 2 goes, after which 3, 1 and 4 were used */
    cr_assert_eq(metrics_get(METRIC_COUNTERS_EVICTED), evicted + 1);
    COUNT(counters, "t/3/", 7, 7, 2);
    COUNT(counters, "t/2/", 8, 8, 1); /* 1 goes */
    COUNT(counters, "t/4/", 9, 9, 2);
    COUNT(counters, "t/1/", 10, 10, 1);
    cr_assert_eq(metrics_get(METRIC_COUNTERS_EVICTED), evicted + 3);
    counters_destroy(&counters);
    cr_assert_eq(metrics_get(METRIC_COUNTERS), held);
}

/* The first tokens are few and known by name: what leaves is what was not used for the longest. */
Test(counters, of_first_tokens_the_oldest_leaves)
{
    uint64_t evicted = metrics_get(METRIC_COUNTERS_EVICTED);
    struct counters *counters = counters_create(1, 2);
    COUNT(counters, "1/", 1, 1);
    COUNT(counters, "2/", 2, 1);
    COUNT(counters, "1/", 3, 2);
    COUNT(counters, "3/", 4, 1); /* pushes 2 out, which was used longer ago than 1 */
    cr_assert_eq(metrics_get(METRIC_COUNTERS_EVICTED), evicted + 1);
    COUNT(counters, "1/", 5, 3);
    COUNT(counters, "2/", 6, 1); /* 3 goes */
    COUNT(counters, "3/", 7, 1); /* 1 goes */
    COUNT(counters, "2/", 8, 2);
    COUNT(counters, "1/", 9, 1);
    cr_assert_eq(metrics_get(METRIC_COUNTERS_EVICTED), evicted + 4);
    counters_destroy(&counters);
}

Test(counters, are_bounded_at_each_depth_alone)
{
    struct counters *counters = counters_create(2, 3);
    char text[32];
    COUNT(counters, "rare/x/", 1, 1, 1);
    for (unsigned i = 1; i <= 1000; i++) {
        snprintf(text, sizeof text, "often/%u/", i);
        COUNT(counters, text, i + 1, i, 1);
    }
    COUNT(counters, "rare/x/", 1002, 2, 1);
    counters_destroy(&counters);
}

Test(counters, work_with_room_for_one)
{
    struct counters *counters = counters_create(1, 1);
    COUNT(counters, "a/", 1, 1);
    COUNT(counters, "a/", 2, 2);
    COUNT(counters, "b/", 3, 1);
    COUNT(counters, "a/", 4, 1);
    counters_destroy(&counters);
    counters = counters_create(2, 1);
    COUNT(counters, "t/a/", 1, 1, 1);
    COUNT(counters, "t/a/", 2, 2, 2);
    COUNT(counters, "t/b/", 3, 3, 1);
    COUNT(counters, "t/a/", 4, 4, 1);
    counters_destroy(&counters);
}

enum { MODEL_MAX = 4096 };

/* One depth: prefixes, latest last. `used` is which use of all that was. */
struct model {
    char prefix[MODEL_MAX][48];
    uint64_t count[MODEL_MAX];
    unsigned size;
};

/* Counts `got` for a prefix. At the first depth it is exactly what the `max` latest ones give. Of
 * deeper ones those are kept after which fewer than half of `max` others were used, and none after
 * which `max` others were: in between it may be kept or not. */
static void model_count(struct model *model, bool is_first, unsigned max, const char *prefix,
                        uint64_t got)
{
    unsigned at = 0;
    while (at < model->size && strcmp(model->prefix[at], prefix) != 0) {
        at++;
    }
    bool is_known = at < model->size;
    unsigned others = is_known ? model->size - 1 - at : 0; /* used after it */
    uint64_t before = is_known ? model->count[at] : 0;
    unsigned surely = is_first ? max : max > 1 ? max / 2 : 1;
    if (is_known && others < surely) {
        cr_assert_eq(got, before + 1, "%s: %" PRIu64 " after %" PRIu64, prefix, got, before);
    } else if (is_known && others < max && !is_first) {
        cr_assert(got == before + 1 || got == 1, "%s: %" PRIu64 " after %" PRIu64, prefix, got,
                  before);
    } else {
        cr_assert_eq(got, 1, "%s: %" PRIu64, prefix, got);
    }
    if (is_known) {
        model->size--;
        memmove(model->prefix[at], model->prefix[at + 1], (model->size - at) * 48);
        memmove(&model->count[at], &model->count[at + 1], (model->size - at) * sizeof before);
    }
    strcpy(model->prefix[model->size], prefix);
    model->count[model->size++] = got;
}

static uint64_t chosen_wall_ns;

static uint64_t chosen_wall(void)
{
    return chosen_wall_ns;
}

/* The seed of the hash comes from the wall clock; what is counted must not depend on it. */
Test(counters, count_as_the_model_does_whatever_the_seed)
{
    static const uint64_t seeds[] = {0, 1, UINT64_MAX, 1795444501160000000};
    static const unsigned maxima[] = {1, 2, 7, 60, 300, MODEL_MAX};
    static struct model models[3];
    clock_set_wall_source(chosen_wall);
    uint64_t state = random_seed(0xC0);
    for (unsigned run = 0; run < sizeof maxima / sizeof maxima[0]; run++) {
        chosen_wall_ns = seeds[run % 4];
        memset(models, 0, sizeof models);
        struct counters *counters = counters_create(3, maxima[run]);
        uint64_t held = metrics_get(METRIC_COUNTERS);
        for (uint64_t total = 1; total <= 20000; total++) {
            char text[48];
            unsigned numbers[3] = {(unsigned)random_below(&state, 4),
                                   (unsigned)random_below(&state, 5),
                                   (unsigned)random_below(&state, 50)};
            snprintf(text, sizeof text, "token%u/token%u/token%u/", numbers[0], numbers[1],
                     numbers[2]);
            struct topic topic = topic_of(text);
            uint64_t got[ARIZMQ_STAMP_COUNTS_MAX];
            counters_count(counters, &topic, got);
            cr_assert_eq(got[0], total);
            for (unsigned depth = 0; depth < 3; depth++) {
                char prefix[48];
                snprintf(prefix, sizeof prefix, "%.*s", (int)topic.end[depth], text);
                model_count(&models[depth], depth == 0, maxima[run], prefix, got[depth + 1]);
            }
            cr_assert_leq(metrics_get(METRIC_COUNTERS), held + 3UL * maxima[run]);
        }
        counters_destroy(&counters);
        cr_assert_eq(metrics_get(METRIC_COUNTERS), held);
    }
    clock_set_wall_source(NULL);
}

struct listing {
    char text[512];
    unsigned stop_after;
};

static int list(void *arg, const char *token, size_t length, uint64_t value)
{
    struct listing *listing = arg;
    size_t used = strlen(listing->text);
    snprintf(listing->text + used, sizeof listing->text - used, "%.*s=%" PRIu64 " ", (int)length,
             token, value);
    return --listing->stop_after == 0 ? 42 : 0;
}

Test(counters, list_first_tokens_latest_first)
{
    struct counters *counters = counters_create(2, 3);
    struct listing listing = {.stop_after = 100};
    cr_assert_eq(counters_each_first(counters, list, &listing), 0);
    cr_assert_str_eq(listing.text, "");
    COUNT(counters, "a/1/", 1, 1, 1);
    COUNT(counters, "b/1/", 2, 1, 1);
    COUNT(counters, "a/2/", 3, 2, 1);
    COUNT(counters, "c/2/", 4, 1, 1);
    COUNT(counters, "a/2/", 5, 3, 2);
    cr_assert_eq(counters_each_first(counters, list, &listing), 0);
    cr_assert_str_eq(listing.text, "a/=3 c/=1 b/=1 ");
    COUNT(counters, "d/2/", 6, 1, 1);
    listing = (struct listing){.stop_after = 2};
    cr_assert_eq(counters_each_first(counters, list, &listing), 42);
    cr_assert_str_eq(listing.text, "d/=1 a/=3 ");
    counters_destroy(&counters);
}

/* Without memory a new prefix counts 1 each time; those known go on, and so does the total. */
Test(counters, show_a_loss_where_there_is_no_memory)
{
    /* Allocations that may succeed before the first failure: of the first token the counter itself
     * and two of uthash, of the second one its table. */
    for (unsigned allowed = 0; allowed < 6; allowed++) {
        struct counters *counters = counters_create(2, 1000);
        allocations_left = allowed;
        struct topic topic = topic_of("a/b/");
        uint64_t got[3];
        counters_count(counters, &topic, got);
        cr_assert_eq(got[0], 1);
        cr_assert_eq(got[1], 1);
        cr_assert_eq(got[2], 1);
        counters_count(counters, &topic, got);
        cr_assert_eq(got[0], 2);
        cr_assert_eq(got[1], allowed >= 3 ? 2 : 1, "%u", allowed);
        cr_assert_eq(got[2], allowed >= 4 ? 2 : 1, "%u", allowed);
        allocations_left = UINT32_MAX;
        counters_count(counters, &topic, got);
        cr_assert_eq(got[0], 3);
        counters_count(counters, &topic, got);
        cr_assert_gt(got[2], 1);
        counters_destroy(&counters);
    }
}

/* A table is enlarged as it fills. A prefix that would have needed it is not remembered, and
 * nothing else is lost. */
Test(counters, go_on_when_a_table_cannot_grow)
{
    struct counters *counters = counters_create(2, 100000);
    COUNT(counters, "t/first/", 1, 1, 1);
    unsigned refused = 0;
    allocations_left = 0;
    for (unsigned i = 0; i < 3000; i++) {
        char text[32];
        snprintf(text, sizeof text, "t/%u/", i);
        struct topic topic = topic_of(text);
        uint64_t got[3];
        counters_count(counters, &topic, got);
        cr_assert_eq(got[2], 1);
        counters_count(counters, &topic, got);
        refused += got[2] == 1;
        cr_assert_eq(got[0], 2 * i + 3);
        cr_assert(got[2] == 1 || got[2] == 2);
    }
    allocations_left = UINT32_MAX;
    cr_assert_gt(refused, 0);
    cr_assert_lt(refused, 3000);
    COUNT(counters, "t/first/", 6002, 6002, 2);
    counters_destroy(&counters);
}

Test(counters, are_not_made_without_memory)
{
    allocations_left = 0;
    cr_assert_null(counters_create(4, 100));
    allocations_left = UINT32_MAX;
}
