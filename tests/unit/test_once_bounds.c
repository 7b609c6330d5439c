/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The bounds of what is remembered of request ids, and what happens without memory: what once.c and
 * uthash allocate goes through the wrappers here.
 */
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "once_helpers.h"

/* How many allocations, or calls of OpenSSL, may still succeed. */
static unsigned allocations_left = UINT32_MAX;

static bool may_allocate(void)
{
    if (allocations_left == 0) {
        return false;
    }
    allocations_left -= allocations_left != UINT32_MAX;
    return true;
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
EVP_MD_CTX *__real_EVP_MD_CTX_new(void);
EVP_MD_CTX *__wrap_EVP_MD_CTX_new(void);
int __real_EVP_DigestInit_ex2(EVP_MD_CTX *context, const EVP_MD *type, const OSSL_PARAM *params);
int __wrap_EVP_DigestInit_ex2(EVP_MD_CTX *context, const EVP_MD *type, const OSSL_PARAM *params);

void *__wrap_malloc(size_t size)
{
    return may_allocate() ? __real_malloc(size) : NULL;
}

void *__wrap_calloc(size_t count, size_t size)
{
    return may_allocate() ? __real_calloc(count, size) : NULL;
}

EVP_MD_CTX *__wrap_EVP_MD_CTX_new(void)
{
    return may_allocate() ? __real_EVP_MD_CTX_new() : NULL;
}

int __wrap_EVP_DigestInit_ex2(EVP_MD_CTX *context, const EVP_MD *type, const OSSL_PARAM *params)
{
    return may_allocate() ? __real_EVP_DigestInit_ex2(context, type, params) : 0;
}

Test(once_bounds, beyond_the_count_the_one_answered_longest_ago_leaves)
{
    struct once *once = must_create();
    char id[8];
    for (int i = 0; i < 10; i++) {
        snprintf(id, sizeof id, "%d", i);
        cr_expect_eq(ask(once, id, 0), ONCE_NEW);
    }
    /* All are under way: more are taken in, and none leaves. */
    cr_expect_eq(ask(once, "10", 0), ONCE_NEW);
    cr_expect_eq(ask(once, "11", 0), ONCE_NEW);
    cr_expect_eq(once_count(once), 12);
    cr_expect_eq(metrics_get(METRIC_ONCE_EVICTED), 0);
    store(once, "", "7", 200, 0, 1);
    store(once, "", "3", 200, 0, 2);
    store(once, "", "5", 200, 0, 3);
    store(once, "", "1", 200, 0, 4);
    cr_expect_eq(ask(once, "12", 5), ONCE_NEW); /* back to ten: 7, 3 and 5 leave */
    cr_expect_eq(metrics_get(METRIC_ONCE_EVICTED), 3);
    cr_expect_eq(once_count(once), 10);
    must_be_answered(once, "1", 6);
    cr_expect_eq(ask(once, "0", 6), ONCE_UNDER_WAY);
    cr_expect_eq(ask(once, "7", 6), ONCE_NEW); /* 1 leaves */
    cr_expect_eq(metrics_get(METRIC_ONCE_EVICTED), 4);
    cr_expect_eq(once_bytes(once), 0);
    store(once, "", "3", 200, 9, 7); /* of one that has left */
    cr_expect_eq(once_bytes(once), 0);
    once_destroy(&once);
}

Test(once_bounds, beyond_the_bytes_the_one_answered_longest_ago_leaves)
{
    struct once *once = must_create();
    char id[8];
    for (int i = 0; i < 4; i++) {
        snprintf(id, sizeof id, "%d", i);
        cr_expect_eq(ask(once, id, 0), ONCE_NEW);
        store(once, "", id, 200, 256 - TEXTS_BYTES, (uint64_t)i);
    }
    cr_expect_eq(once_bytes(once), 1024);
    cr_expect_eq(once_count(once), 4);
    cr_expect_eq(ask(once, "x", 5), ONCE_NEW);
    store(once, "", "x", 200, 257 - TEXTS_BYTES, 5);
    cr_expect_eq(metrics_get(METRIC_ONCE_EVICTED), 2);
    cr_expect_eq(once_bytes(once), 2 * 256 + 257);
    cr_expect_eq(ask(once, "1", 6), ONCE_NEW);
    must_be_answered(once, "2", 6);
    must_be_answered(once, "x", 6);
    once_destroy(&once);
}

Test(once_bounds, a_body_beyond_the_bound_is_left_out)
{
    struct once *once = must_create();
    cr_expect_eq(ask(once, "small", 0), ONCE_NEW);
    store(once, "", "small", 200, 1, 0);
    cr_expect_eq(ask(once, "large", 0), ONCE_NEW);
    store(once, "", "large", 200, 1025, 0);
    const struct once_reply *stored = must_be_answered(once, "large", 1);
    cr_expect_eq(stored->reply.status_code, 200);
    cr_expect_null(stored->reply.content_type);
    cr_expect_eq(zmq_msg_size(stored->body), 0);
    cr_expect_eq(metrics_get(METRIC_ONCE_INCOMPLETE), 1);
    must_be_answered(once, "small", 1); /* nobody had to leave for it */
    /* One that just fits pushes all others out, though its texts do not fit any more. */
    cr_expect_eq(ask(once, "fits", 2), ONCE_NEW);
    store(once, "", "fits", 200, 1024, 2);
    expect_reply(must_be_answered(once, "fits", 3), 200, 1024);
    cr_expect_eq(once_count(once), 1);
    cr_expect_eq(metrics_get(METRIC_ONCE_EVICTED), 2);
    cr_expect_eq(metrics_get(METRIC_ONCE_INCOMPLETE), 1);
    once_destroy(&once);
}

Test(once_bounds, holds_as_many_as_it_may)
{
    enum { MANY = 20000 };
    config.once_max_requests = MANY;
    config.once_max_bytes = 1 << 30;
    struct once *once = must_create();
    char id[16];
    for (uint64_t i = 0; i < 2 * MANY; i++) {
        snprintf(id, sizeof id, "%" PRIu64, i);
        cr_assert_eq(ask(once, id, i), ONCE_NEW);
        store(once, "", id, 200, 0, 1);
    }
    cr_expect_eq(once_count(once), MANY);
    cr_expect_eq(metrics_get(METRIC_ONCE_EVICTED), MANY);
    cr_expect_eq(once_bytes(once), (uint64_t)MANY * TEXTS_BYTES);
    once_expire(once, 1001);
    cr_expect_eq(once_count(once), 0);
    cr_expect_eq(once_bytes(once), 0);
    once_destroy(&once);
}

Test(once_bounds, smaller_bounds_hold_at_once)
{
    struct once *once = must_create();
    char id[8];
    for (int i = 0; i < 4; i++) {
        snprintf(id, sizeof id, "%d", i);
        cr_expect_eq(ask(once, id, 0), ONCE_NEW);
        store(once, "", id, 200, 256 - TEXTS_BYTES, (uint64_t)i);
    }
    cr_expect_eq(ask(once, "under way", 5), ONCE_NEW);
    struct config_gateway smaller = config;
    smaller.once_max_requests = 3;
    once_set_config(once, &smaller);
    cr_expect_eq(once_count(once), 3);
    must_be_answered(once, "2", 6);
    must_be_answered(once, "3", 6);
    smaller.once_max_bytes = 300;
    once_set_config(once, &smaller);
    cr_expect_eq(once_count(once), 2);
    smaller.once_max_bytes = 200; /* the last one stays, however large */
    once_set_config(once, &smaller);
    must_be_answered(once, "3", 6);
    cr_expect_eq(ask(once, "under way", 6), ONCE_UNDER_WAY);
    cr_expect_eq(metrics_get(METRIC_ONCE_EVICTED), 3);
    smaller.once_window_ms = 1;
    once_set_config(once, &smaller);
    once_expire(once, 100);
    cr_expect_eq(once_count(once), 1);
    once_destroy(&once);
}

Test(once_bounds, without_memory_there_is_no_table)
{
    struct once *untouched = NULL;
    for (unsigned left = 0; left < 2; left++) {
        allocations_left = left;
        cr_expect_eq(once_create(&config, &untouched), ARIZMQ_ENOMEM, "%u", left);
        cr_expect_null(untouched);
    }
    allocations_left = UINT32_MAX;
}

Test(once_bounds, without_memory_a_request_is_not_taken_in)
{
    struct once *once = must_create();
    unsigned left = 0;
    enum once_verdict verdict = ONCE_NO_MEMORY;
    for (; verdict == ONCE_NO_MEMORY; left++) {
        cr_expect_eq(once_count(once), 0);
        allocations_left = left;
        verdict = ask(once, "1", 0);
        allocations_left = UINT32_MAX;
    }
    cr_expect_eq(verdict, ONCE_NEW);
    cr_expect_geq(left, 5, "digest, entry and two of uthash failed, not %u", left - 1);
    allocations_left = 0;
    cr_expect_eq(ask(once, "1", 0), ONCE_NO_MEMORY); /* whether it is the same cannot be told */
    allocations_left = UINT32_MAX;
    cr_expect_eq(ask(once, "1", 0), ONCE_UNDER_WAY);
    once_destroy(&once);
}

/* Stores a reply for which there is no memory, but for its body. */
static void store_without_memory(struct once *once, const char *request_id)
{
    struct reply reply = {.source = "asterisk", .status_code = 200, .reason_phrase = "OK"};
    zmq_msg_t body;
    zmq_msg_init(&body);
    allocations_left = 0;
    once_store(once, "", request_id, &reply, &body, 10);
    allocations_left = UINT32_MAX;
    zmq_msg_close(&body);
}

Test(once_bounds, without_memory_a_command_still_runs_once)
{
    struct once *once = must_create();
    cr_expect_eq(ask(once, "1", 0), ONCE_NEW);
    store_without_memory(once, "1");
    const struct once_reply *stored = must_be_answered(once, "1", 11);
    cr_expect_str_eq(stored->reply.source, "bridge");
    cr_expect_eq(stored->reply.status_code, 504);
    cr_expect_str_eq(stored->reply.error, "outcome_unknown");
    cr_expect_eq(zmq_msg_size(stored->body), 0);
    cr_expect_eq(metrics_get(METRIC_ONCE_INCOMPLETE), 1);
    store(once, "", "1", 201, 3, 12); /* there is memory again */
    expect_reply(must_be_answered(once, "1", 13), 201, 3);
    store_without_memory(once, "1"); /* a late one that cannot be kept */
    expect_reply(must_be_answered(once, "1", 14), 201, 3);
    cr_expect_eq(metrics_get(METRIC_ONCE_INCOMPLETE), 2);
    cr_expect_eq(once_bytes(once), 3 + TEXTS_BYTES);
    once_destroy(&once);
}
