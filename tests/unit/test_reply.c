/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Headers of replies and bodies of errors. Whether they fit the schema is tests/schema's.
 */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/reply.h"
#include "gateway/request.h"

static bool json_has_no_memory;

static void *allocate(size_t size)
{
    return json_has_no_memory ? NULL : malloc(size);
}

static void check(const struct reply *reply, const struct request *request, const char *expected)
{
    size_t length = 0;
    char *text = reply_print(reply, request, &length);
    cr_assert_not_null(text);
    cr_assert_str_eq(text, expected);
    cr_assert_eq(length, strlen(expected));
    free(text);
}

static const struct reply ping = {.source = "asterisk",
                                  .status_code = 200,
                                  .reason_phrase = "OK",
                                  .content_type = "application/json",
                                  .node = "pbx1",
                                  .elapsed_ns = 3200000};

Test(reply, repeats_what_the_request_said)
{
    struct request request = {.request_id = "7f3a", .transaction_id = "t", .uri = "asterisk/ping"};
    check(&ping, &request,
          "{\"type\":\"RESTResponse\",\"request_id\":\"7f3a\",\"transaction_id\":\"t\","
          "\"status_code\":200,\"reason_phrase\":\"OK\",\"content_type\":\"application/json\","
          "\"uri\":\"asterisk/ping\",\"node\":\"pbx1\",\"source\":\"asterisk\","
          "\"elapsed_ms\":3.2}");
}

Test(reply, leaves_out_what_is_not_known)
{
    struct reply reply = {.source = "bridge",
                          .status_code = 400,
                          .reason_phrase = "",
                          .error = "bad_request",
                          .elapsed_ns = 499};
    struct request refused = {.query = ""};
    static const char expected[] =
        "{\"type\":\"RESTResponse\",\"status_code\":400,\"reason_phrase\":\"\","
        "\"source\":\"bridge\",\"error\":\"bad_request\",\"elapsed_ms\":0.0}";
    check(&reply, NULL, expected);
    check(&reply, &refused, expected);
}

Test(reply, tells_microseconds)
{
    static const struct {
        uint64_t elapsed_ns;
        const char *text;
    } rows[] = {{0, ":0.0}"},        {500, ":0.001}"},
                {123456, ":0.123}"}, {999499, ":0.999}"},
                {999500, ":1.0}"},   {5000000000U, ":5000.0}"},
                {100000U, ":0.1}"},  {600000123456, ":600000.123}"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct reply reply = ping;
        size_t length;
        reply.elapsed_ns = rows[i].elapsed_ns;
        char *text = reply_print(&reply, NULL, &length);
        cr_assert_str_eq(strrchr(text, ':'), rows[i].text);
        free(text);
    }
}

Test(reply, is_json_whatever_asterisk_said)
{
    struct reply reply = ping;
    reply.reason_phrase = "a\xff\"\n\xc3(\xe2\x82";
    reply.content_type = "\xc3\xa9";
    size_t length;
    char *text = reply_print(&reply, NULL, &length);
    json_t *json = json_loadb(text, length, 0, NULL);
    cr_assert_not_null(json, "%s", text);
    cr_assert_str_eq(json_string_value(json_object_get(json, "reason_phrase")), "a?\"\n?(\?\?");
    cr_assert_str_eq(json_string_value(json_object_get(json, "content_type")), "\xc3\xa9");
    json_decref(json);
    free(text);
}

Test(reply, tells_where_in_history_it_stands)
{
    struct reply_position position = {.epoch = 1795444501160000, .oldest = 17, .newest = 1050};
    struct reply reply = {.source = "bridge",
                          .status_code = 410,
                          .reason_phrase = "Compacted",
                          .error = "compacted",
                          .position = &position};
    check(&reply, NULL,
          "{\"type\":\"RESTResponse\",\"status_code\":410,\"reason_phrase\":\"Compacted\","
          "\"source\":\"bridge\",\"error\":\"compacted\",\"epoch\":1795444501160000,"
          "\"oldest\":17,\"newest\":1050,\"elapsed_ms\":0.0}");
    reply = (struct reply){
        .source = "bridge", .status_code = 200, .reason_phrase = "OK", .position = &position};
    position.is_page = true;
    position.last = 1042;
    check(&reply, NULL,
          "{\"type\":\"RESTResponse\",\"status_code\":200,\"reason_phrase\":\"OK\","
          "\"source\":\"bridge\",\"epoch\":1795444501160000,\"last\":1042,\"oldest\":17,"
          "\"newest\":1050,\"count\":0,\"more\":false,\"elapsed_ms\":0.0}");
    position.first = 1040;
    position.count = UINT64_MAX;
    position.more = true;
    check(&reply, NULL,
          "{\"type\":\"RESTResponse\",\"status_code\":200,\"reason_phrase\":\"OK\","
          "\"source\":\"bridge\",\"epoch\":1795444501160000,\"first\":1040,\"last\":1042,"
          "\"oldest\":17,\"newest\":1050,\"count\":18446744073709551615,\"more\":true,"
          "\"elapsed_ms\":0.0}");
}

Test(reply, errors)
{
    cr_assert_eq(reply_error_status(REPLY_BAD_REQUEST), 400);
    cr_assert_str_eq(reply_error_word(REPLY_OUTCOME_UNKNOWN), "outcome_unknown");
    cr_assert_str_eq(reply_error_reason(REPLY_NODE_DOWN), "Node Down");
    size_t length;
    char *text = reply_print_error("node \"\xc3\xa9\" is\\ down\n", &length);
    cr_assert_str_eq(text, "{\"message\":\"node \\\"\xc3\xa9\\\" is\\\\ down\\n\"}");
    cr_assert_eq(length, strlen(text));
    free(text);
}

Test(reply, without_memory_is_none)
{
    size_t length = 7;
    struct reply reply = ping;
    reply.reason_phrase = "\"quoted\""; /* for which Jansson is needed */
    json_set_alloc_funcs(allocate, free);
    json_has_no_memory = true;
    cr_assert_null(reply_print(&reply, NULL, &length));
    cr_assert_null(reply_print_error("x", &length));
    cr_assert_eq(length, 7);
}
