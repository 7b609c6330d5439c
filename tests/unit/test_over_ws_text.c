/* SPDX-License-Identifier: MPL-2.0 */
/*
 * RESTRequests as Asterisk wants them, RESTResponses as it sends them, and what of a command does
 * not fit into either.
 */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"
#include "gateway/over_ws.h"
#include "gateway/over_ws_text.h"

static const struct exchange_order ping = {.method = "GET", .uri = "asterisk/ping", .query = ""};

static json_t *write_and_read(const struct exchange_order *order)
{
    size_t length = 0;
    char *text = over_ws_text_write(order, 18446744073709551615U, &length);
    cr_assert_not_null(text);
    cr_assert_eq(length, strlen(text));
    json_t *json = json_loadb(text, length, 0, NULL);
    cr_assert_not_null(json, "%s", text);
    free(text);
    return json;
}

static void expect_member(const json_t *json, const char *name, const char *value)
{
    const char *actual = json_string_value(json_object_get(json, name));
    cr_assert_not_null(actual, "%s", name);
    cr_assert_str_eq(actual, value, "%s", name);
}

Test(over_ws_text, request_without_body)
{
    json_t *json = write_and_read(&ping);
    expect_member(json, "type", "RESTRequest");
    expect_member(json, "request_id", POST_ID_PREFIX "18446744073709551615");
    expect_member(json, "method", "GET");
    expect_member(json, "uri", "asterisk/ping");
    cr_assert_null(json_object_get(json, "message_body"));
    cr_assert_null(json_object_get(json, "content_type"));
    json_decref(json);
}

Test(over_ws_text, request_with_query_and_body)
{
    static const char body[] = "{\"variables\":{\"A\":\"\xc3\xbc \\\" \xe2\x80\xa8\"}}\n";
    struct exchange_order order = {.method = "POST",
                                   .uri = "channels/a%2Fb",
                                   .query = "app=ivr&endpoint=Local%2Fx",
                                   .content_type = "application/json",
                                   .body = body,
                                   .body_length = strlen(body)};
    cr_assert(over_ws_can_carry(&order));
    json_t *json = write_and_read(&order);
    expect_member(json, "uri", "channels/a%2Fb?app=ivr&endpoint=Local%2Fx");
    expect_member(json, "content_type", "application/json");
    expect_member(json, "message_body", body);
    json_decref(json);
}

Test(over_ws_text, what_it_can_carry)
{
    static char large[POST_TEXT_MAX];
    memset(large, ' ', sizeof large);
    large[0] = '1';
    static const char form[] = "application/x-www-form-urlencoded";
    static const char json[] = "application/json";
    const struct {
        const char *method;
        const char *content_type;
        const char *body;
        size_t length;
        bool is_fine;
    } orders[] = {
        {"GET", NULL, NULL, 0, true},
        {"OPTIONS", NULL, NULL, 0, true},
        {"DELETE", json, "{}", 2, true},
        {"PUT", form, "a=b", 3, true},
        {"HEAD", NULL, NULL, 0, false},
        {"PATCH", NULL, NULL, 0, false},
        {"get", NULL, NULL, 0, false},
        {"POST", "application/json; charset=utf-8", "{}", 2, false},
        {"POST", "audio/wav", "RIFF", 4, false},
        {"POST", json, "{\"a\":", 5, false},
        {"POST", form, "\xff\xfe", 2, false},
        {"POST", json, "a\0b", 3, false},
        {"POST", json, large, sizeof large, false},
        {"POST", json, large, 60000, true},
    };
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
        struct exchange_order order = ping;
        order.method = orders[i].method;
        order.content_type = orders[i].content_type;
        order.body = orders[i].body;
        order.body_length = orders[i].length;
        cr_expect_eq(over_ws_can_carry(&order), orders[i].is_fine, "row %zu", i);
    }
}

static int read_text(const char *text, uint64_t max_bytes, struct over_ws_text *out)
{
    return over_ws_text_read(text, strlen(text), max_bytes, out);
}

Test(over_ws_text, response)
{
    struct over_ws_text read;
    cr_assert_eq(read_text("{\"type\":\"RESTResponse\",\"request_id\":\"x\",\"status_code\":404,"
                           "\"reason_phrase\":\"Variable Not Found\",\"content_type\":"
                           "\"application/json\",\"message_body\":\"{\\\"message\\\":\\\"\\u00fc"
                           "\\u0000\\\"}\"}",
                           100, &read),
                 ARIZMQ_OK);
    static const char body[] = "{\"message\":\"\xc3\xbc\0\"}";
    cr_expect_eq(read.answer.outcome, EXCHANGE_ANSWERED);
    cr_expect_eq(read.answer.status_code, 404);
    cr_expect_str_eq(read.answer.reason_phrase, "Variable Not Found");
    cr_expect_str_eq(read.answer.content_type, "application/json");
    cr_assert_eq(zmq_msg_size(read.answer.body), sizeof body - 1);
    cr_expect_arr_eq(zmq_msg_data(read.answer.body), body, sizeof body - 1);
    over_ws_text_release(&read);
}

Test(over_ws_text, response_without_body)
{
    struct over_ws_text read;
    cr_assert_eq(read_text("{\"status_code\":204}", 0, &read), ARIZMQ_OK);
    cr_expect_str_eq(read.answer.reason_phrase, "");
    cr_expect_null(read.answer.content_type);
    cr_expect_eq(zmq_msg_size(read.answer.body), 0);
    over_ws_text_release(&read);
}

Test(over_ws_text, what_is_no_response)
{
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "{}",
        "\"x\"",
        "{\"status_code\":\"200\"}",
        "{\"status_code\":99}",
        "{\"status_code\":600}",
        "{\"status_code\":-1}",
        "{\"status_code\":200,\"message_body\":{}}",
    };
    struct over_ws_text read;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        cr_expect_eq(read_text(texts[i], 100, &read), ARIZMQ_EINVALID, "%s", texts[i]);
    }
    cr_expect_eq(read_text("{\"status_code\":200,\"message_body\":\"1234\"}", 3, &read),
                 ARIZMQ_ETOOLARGE);
}
