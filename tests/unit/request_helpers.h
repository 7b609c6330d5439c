/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Requests for the tests of request_read(): JSON written with ' for ", as it reads better in C.
 */
#ifndef ARIZMQ_TESTS_REQUEST_HELPERS_H
#define ARIZMQ_TESTS_REQUEST_HELPERS_H

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistr.h>

#include "arizmq/error.h"
#include "gateway/request.h"

static const struct config_gateway limits = {.timeout_ms = 5000,
                                             .max_timeout_ms = 600000,
                                             .max_request_bytes = 65536,
                                             .max_body_bytes = 40960,
                                             .max_request_line_bytes = 4096};

/* Reads a header of exactly `length` bytes, with nothing behind it, so that AddressSanitizer sees a
 * byte too many. */
static inline int read_bytes(const char *text, size_t length, struct span body,
                             struct request *request, struct request_refusal *refusal)
{
    char *copy = malloc(length + (length == 0));
    cr_assert_not_null(copy);
    memcpy(copy, text, length);
    memset(refusal, 0, sizeof *refusal);
    int result = request_read((struct span){copy, length}, body, &limits, request, refusal);
    free(copy);
    return result;
}

static inline int read_quoted(const char *text, struct span body, struct request *request,
                              struct request_refusal *refusal)
{
    char *json = strdup(text);
    cr_assert_not_null(json);
    for (char *at = json; *at != '\0'; at++) {
        *at = *at == '\'' ? '"' : *at;
    }
    int result = read_bytes(json, strlen(json), body, request, refusal);
    free(json);
    return result;
}

static inline struct request accept_with(const char *text, struct span body)
{
    struct request request;
    struct request_refusal refusal;
    int result = read_quoted(text, body, &request, &refusal);
    cr_assert_eq(result, ARIZMQ_OK, "%s: %s", text, refusal.message);
    cr_assert_null(strpbrk(request.uri, " \r\n"));
    return request;
}

static inline struct request accept(const char *text)
{
    return accept_with(text, (struct span){NULL, 0});
}

/* Refused, with `word` in the message. What is left of the request is returned. */
static inline struct request refuse_with(const char *text, struct span body, enum reply_error error,
                                         const char *word)
{
    struct request request;
    struct request_refusal refusal;
    int result = read_quoted(text, body, &request, &refusal);
    size_t length = strlen(refusal.message);
    cr_assert_eq(result, ARIZMQ_EINVALID, "%.100s was accepted", text);
    cr_assert_eq(refusal.error, error, "%.100s: %s", text, refusal.message);
    cr_assert_not_null(strstr(refusal.message, word), "%.100s: %s", text, refusal.message);
    cr_assert_null(strpbrk(refusal.message, "\r\n\t"), "%s", refusal.message);
    cr_assert_null(u8_check((const uint8_t *)refusal.message, length), "%s", refusal.message);
    cr_assert_lt(length, REQUEST_ERROR_SIZE - 1, "was cut: %s", refusal.message);
    return request;
}

static inline void refuse(const char *text, const char *word)
{
    struct request request = refuse_with(text, (struct span){NULL, 0}, REPLY_BAD_REQUEST, word);
    request_release(&request);
}

#endif
