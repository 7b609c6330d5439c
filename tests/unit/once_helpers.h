/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What the tests of once.c begin with: a small table, requests and replies that are always the
 * same.
 */
#ifndef ARIZMQ_TESTS_ONCE_HELPERS_H
#define ARIZMQ_TESTS_ONCE_HELPERS_H

#include <criterion/criterion.h>
#include <string.h>

#include "arizmq/error.h"
#include "gateway/once.h"
#include "ops/metrics.h"

static struct config_gateway config = {
    .once_window_ms = 1000, .once_max_requests = 10, .once_max_bytes = 1024};

static inline struct once *must_create(void)
{
    struct once *once = NULL;
    cr_assert_eq(once_create(&config, &once), ARIZMQ_OK);
    return once;
}

static inline struct request request_of(const char *request_id)
{
    return (struct request){.request_id = request_id,
                            .transaction_id = "t",
                            .uri = "channels",
                            .method = "POST",
                            .query = "endpoint=Local%2F1",
                            .node = "pbx1",
                            .app = "ivr",
                            .content_type = "application/json",
                            .body = "{\"a\":1}",
                            .body_length = 7,
                            .timeout_ms = 5000};
}

/* Looks up a request whose content is always the same. */
static inline enum once_verdict ask(struct once *once, const char *request_id, uint64_t now_ms)
{
    struct request request = request_of(request_id);
    struct once_entry *entry = NULL;
    return once_look_up(once, "", &request, now_ms, &entry);
}

static inline void store(struct once *once, const char *scope, const char *request_id,
                         int status_code, size_t body_length, uint64_t now_ms)
{
    char reason[] = "Special Reason"; /* gone when this returns, as the caller's texts are */
    char node[] = "pbx1";
    struct reply reply = {.source = "asterisk",
                          .status_code = status_code,
                          .reason_phrase = reason,
                          .content_type = "application/json",
                          .node = node,
                          .elapsed_ns = 123};
    zmq_msg_t body;
    cr_assert_eq(zmq_msg_init_size(&body, body_length), 0);
    memset(zmq_msg_data(&body), 'x', body_length);
    once_store(once, scope, request_id, &reply, &body, now_ms);
    cr_assert_eq(zmq_msg_size(&body), body_length, "it is the caller's");
    zmq_msg_close(&body);
    memset(reason, '?', sizeof reason);
    memset(node, '?', sizeof node);
}

/* Texts of the reply that store() makes, as they are counted: each with its NUL. */
enum { TEXTS_BYTES = 9 + 15 + 17 + 5 };

static inline const struct once_reply *must_be_answered(struct once *once, const char *request_id,
                                                        uint64_t now_ms)
{
    struct request request = request_of(request_id);
    struct once_entry *entry = NULL;
    cr_assert_eq(once_look_up(once, "", &request, now_ms, &entry), ONCE_ANSWERED, "%s", request_id);
    return once_reply(entry);
}

static inline void expect_reply(const struct once_reply *stored, int status_code,
                                size_t body_length)
{
    cr_expect_str_eq(stored->reply.source, "asterisk");
    cr_expect_eq(stored->reply.status_code, status_code);
    cr_expect_str_eq(stored->reply.reason_phrase, "Special Reason");
    cr_expect_str_eq(stored->reply.content_type, "application/json");
    cr_expect_str_eq(stored->reply.node, "pbx1");
    cr_expect_null(stored->reply.error);
    cr_expect_eq(stored->reply.elapsed_ns, 123);
    cr_assert_eq(zmq_msg_size(stored->body), body_length);
    for (size_t i = 0; i < body_length; i++) {
        cr_assert_eq(((const char *)zmq_msg_data(stored->body))[i], 'x');
    }
}

#endif
