/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Requests, good and bad: the header's members and the body. The URL is test_request_uri.c's.
 */
#include "request_helpers.h"

#include <stdio.h>

static const struct span no_frame = {NULL, 0};

Test(request, with_everything)
{
    struct request request = accept(
        "{'type':'RESTRequest','method':'POST','uri':'channels/1690.12/play','query_strings':"
        "{'media':'sound:hello-world'},'request_id':'7f3a','transaction_id':'t','node':'pbx1',"
        "'app':'ivr','timeout_ms':1,'content_type':'text/plain; charset=utf-8','message_body':"
        "'a\\nb','unknown':[1]}");
    cr_assert_str_eq(request.method, "POST");
    cr_assert_str_eq(request.uri, "channels/1690.12/play");
    cr_assert_str_eq(request.query, "media=sound%3Ahello-world");
    cr_assert_str_eq(request.request_id, "7f3a");
    cr_assert_str_eq(request.transaction_id, "t");
    cr_assert_str_eq(request.node, "pbx1");
    cr_assert_str_eq(request.app, "ivr");
    cr_assert_str_eq(request.content_type, "text/plain; charset=utf-8");
    cr_assert_eq(request.timeout_ms, 1);
    cr_assert_eq(request.body_length, 3);
    cr_assert_arr_eq(request.body, "a\nb", 3);
    request_release(&request);
    cr_assert_null(request.header);
    cr_assert_null(request.texts);
}

Test(request, with_the_least)
{
    struct request request = accept("{'method':'GET','uri':'channels'}");
    cr_assert_null(request.request_id);
    cr_assert_null(request.transaction_id);
    cr_assert_null(request.node);
    cr_assert_null(request.app);
    cr_assert_null(request.content_type);
    cr_assert_null(request.body);
    cr_assert_eq(request.body_length, 0);
    cr_assert_eq(request.timeout_ms, limits.timeout_ms);
    cr_assert_str_eq(request.query, "");
    request_release(&request);
}

Test(request, header_is_a_json_object)
{
    refuse("", "empty");
    refuse("{", "no JSON object");
    refuse("[]", "an array");
    refuse("'x'", "a string");
    refuse("7", "a number");
    refuse("null", "null");
    refuse("{'method':'GET','uri':'channels'}x", "byte");
    refuse("{'method':'GET','method':'GET','uri':'channels'}", "duplicate");
    refuse("{'method':'GET','uri':'channels','message_body':{'a':1,'a':2}}", "duplicate");
    refuse("{'method':'GET','uri':'a\\u0000b'}", "NUL");
    refuse("{'method':'GET','ur\\u0000i':'a'}", "NUL");
    refuse("{'method':'GET','uri':'\xff'}", "no JSON");
    refuse("{'method':'GET','uri':'\\ud800'}", "no JSON");
    refuse("{'method':'GET','uri':'a','timeout_ms':99999999999999999999}", "no JSON");
}

static void refuse_nul(const char *text, size_t length, const char *place)
{
    struct request request;
    struct request_refusal refusal;
    cr_assert_eq(read_bytes(text, length, no_frame, &request, &refusal), ARIZMQ_EINVALID);
    cr_assert_not_null(strstr(refusal.message, place), "%s", refusal.message);
    cr_assert_null(request.uri);
    request_release(&request);
}

Test(request, header_with_nul_bytes)
{
    static const char behind_member[] = "{\"method\":\"GET\",\"uri\":\"a\"\0}";
    static const char behind_real[] = "{\"x\":1.5\0,\"method\":\"GET\",\"uri\":\"a\"}";
    refuse_nul(behind_member, sizeof behind_member - 1, "NUL byte at byte 26:");
    refuse_nul(behind_real, sizeof behind_real - 1, "NUL byte at byte 9:");
}

Test(request, header_nested_too_deeply)
{
    static char text[60000];
    struct request request;
    struct request_refusal refusal;
    memset(text, '[', sizeof text);
    cr_assert_eq(read_bytes(text, sizeof text, no_frame, &request, &refusal), ARIZMQ_EINVALID);
    cr_assert_not_null(strstr(refusal.message, "nested too deeply"), "%s", refusal.message);
    request_release(&request);
}

Test(request, method)
{
    static const char *const good[] = {"GET", "POST", "PUT", "DELETE", "PATCH", "ABCDEFGHIJKLMNOP"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        char text[80];
        snprintf(text, sizeof text, "{'method':'%s','uri':'a'}", good[i]);
        struct request request = accept(text);
        cr_assert_str_eq(request.method, good[i]);
        cr_assert_eq(request_is_safe(&request), i == 0);
        request_release(&request);
    }
    refuse("{'uri':'a'}", "method is missing");
    refuse("{'method':'get','uri':'a'}", "\"get\": allowed are 1 to 16 upper case letters");
    refuse("{'method':'','uri':'a'}", "\"\"");
    refuse("{'method':'GET ','uri':'a'}", "\"GET \"");
    refuse("{'method':'GET\\r\\nX: y','uri':'a'}", "\"GET??X: y\"");
    refuse("{'method':'ABCDEFGHIJKLMNOPQ','uri':'a'}", "1 to 16");
    refuse("{'method':7,'uri':'a'}", "method is a number");
    refuse("{'method':null,'uri':'a'}", "method is null");
    refuse("{'method':['GET'],'uri':'a'}", "method is an array");
    refuse("{'method':{},'uri':'a'}", "method is an object");
    refuse("{'method':true,'uri':'a'}", "method is true or false");
}

Test(request, safe_methods)
{
    static const char *const safe[] = {"GET", "HEAD", "OPTIONS"};
    for (size_t i = 0; i < sizeof safe / sizeof safe[0]; i++) {
        struct request request = {.method = safe[i]};
        cr_assert(request_is_safe(&request));
    }
    cr_assert_not(request_is_safe(&(struct request){.method = "GETS"}));
}

Test(request, words)
{
    static const char *const words[] = {"request_id", "transaction_id", "node", "app"};
    char text[700];
    char most[REQUEST_ID_MAX + 1] = "";
    memset(most, 'x', REQUEST_ID_MAX);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        snprintf(text, sizeof text, "{'method':'GET','uri':'a','%s':'%s'}", words[i], most);
        struct request request = accept(text);
        request_release(&request);
        snprintf(text, sizeof text, "{'method':'GET','uri':'a','%s':'%sx'}", words[i], most);
        refuse(text, "has 257 bytes: allowed are 1 to 256");
        snprintf(text, sizeof text, "{'method':'GET','uri':'a','%s':''}", words[i]);
        refuse(text, words[i]);
        snprintf(text, sizeof text, "{'method':'GET','uri':'a','%s':7}", words[i]);
        refuse(text, "is a number: write a string");
        snprintf(text, sizeof text, "{'method':'GET','uri':'a','%s':'a\\u001fb'}", words[i]);
        refuse(text, "\"a?b\" has a control byte");
        snprintf(text, sizeof text, "{'method':'GET','uri':'a','%s':'a\\u007f'}", words[i]);
        refuse(text, "control byte");
    }
}

Test(request, timeout)
{
    struct request request = accept("{'method':'GET','uri':'a','timeout_ms':600000}");
    cr_assert_eq(request.timeout_ms, 600000);
    request_release(&request);
    request = accept("{'method':'GET','uri':'a','timeout_ms':5e3}");
    cr_assert_eq(request.timeout_ms, 5000);
    request_release(&request);
    refuse("{'method':'GET','uri':'a','timeout_ms':0}", "timeout_ms 0: allowed are whole");
    refuse("{'method':'GET','uri':'a','timeout_ms':-1}", "timeout_ms -1:");
    refuse("{'method':'GET','uri':'a','timeout_ms':600001}", "1 to 600000");
    refuse("{'method':'GET','uri':'a','timeout_ms':9223372036854775807}", "timeout_ms 9.2");
    refuse("{'method':'GET','uri':'a','timeout_ms':1e300}", "timeout_ms 1e+300:");
    refuse("{'method':'GET','uri':'a','timeout_ms':1.5}", "timeout_ms 1.5:");
    refuse("{'method':'GET','uri':'a','timeout_ms':'5'}", "is a string");
    refuse("{'method':'GET','uri':'a','timeout_ms':null}", "is null");
}

Test(request, what_a_reply_repeats_is_read_of_refused_ones_too)
{
    struct request request = refuse_with("{'request_id':'r','transaction_id':'t','uri':'a b?c=d',"
                                         "'query_strings':{'e':'f'},'method':'get'}",
                                         no_frame, REPLY_BAD_REQUEST, "method");
    cr_assert_str_eq(request.request_id, "r");
    cr_assert_str_eq(request.transaction_id, "t");
    cr_assert_str_eq(request.uri, "a%20b");
    request_release(&request);
    request = refuse_with("{'request_id':7,'uri':'a','method':'GET'}", no_frame, REPLY_BAD_REQUEST,
                          "request_id");
    cr_assert_null(request.request_id);
    cr_assert_str_eq(request.uri, "a");
    request_release(&request);
    request = refuse_with("{'request_id':'r','uri':'a','method':'GET','query_strings':7}", no_frame,
                          REPLY_BAD_REQUEST, "query_strings is a number");
    cr_assert_str_eq(request.uri, "a");
    request_release(&request);
}

static void check_body(const char *header, struct span frame, const char *content_type,
                       const char *expected)
{
    struct request request = accept_with(header, frame);
    cr_assert_eq(request.body_length, strlen(expected), "%s", header);
    if (expected[0] == '\0') {
        cr_assert_null(request.body);
        cr_assert_null(request.content_type);
    } else {
        cr_assert_arr_eq(request.body, expected, strlen(expected));
        cr_assert_str_eq(request.content_type, content_type);
    }
    request_release(&request);
}

Test(request, body)
{
    static const struct span frame = {"\1\2\3", 3};
    static const struct span empty = {"", 0};
    static const char json[] = "application/json";
    check_body("{'method':'PUT','uri':'a'}", frame, json, "\1\2\3");
    check_body("{'method':'PUT','uri':'a','content_type':'x/y'}", frame, "x/y", "\1\2\3");
    check_body("{'method':'PUT','uri':'a','content_type':'x/y'}", empty, NULL, "");
    check_body("{'method':'PUT','uri':'a','message_body':''}", empty, NULL, "");
    check_body("{'method':'PUT','uri':'a','message_body':'x'}", empty, json, "x");
    check_body("{'method':'PUT','uri':'a','message_body':'\\ud83d\\ude00'}", no_frame, json,
               "\xf0\x9f\x98\x80");
    /* As the client wrote it, white space and numbers and all. */
    check_body("{'message_body': { 'a' : [1.50, 1E2 ],\n'b':'\\u00e9' } ,'method':'PUT','uri':'a'}",
               no_frame, json, "{ \"a\" : [1.50, 1E2 ],\n\"b\":\"\\u00e9\" }");
    check_body("{'method':'PUT','uri':'a','message\\u005fbody':[ ]}", no_frame, json, "[ ]");
    check_body("{'x':{'message_body':{}},'method':'PUT','uri':'a','message_body':{'y':0}}",
               no_frame, json, "{\"y\":0}");
}

Test(request, body_refused)
{
    static const struct span frame = {"x", 1};
    struct request request =
        refuse_with("{'method':'PUT','uri':'a','message_body':''}", frame, REPLY_BAD_REQUEST,
                    "message_body and a second frame of 1 bytes");
    request_release(&request);
    request = refuse_with("{'method':'PUT','uri':'a','message_body':{}}", frame, REPLY_BAD_REQUEST,
                          "send one of them");
    request_release(&request);
    refuse("{'method':'PUT','uri':'a','message_body':null}", "message_body is null");
    refuse("{'method':'PUT','uri':'a','message_body':7}", "message_body is a number");
    refuse("{'method':'PUT','uri':'a','content_type':''}", "content_type");
    refuse("{'method':'PUT','uri':'a','content_type':' a'}", "content_type");
    refuse("{'method':'PUT','uri':'a','content_type':'a\\r\\nX-Y: z'}", "\"a??X-Y: z\"");
    refuse("{'method':'PUT','uri':'a','content_type':'\xc3\xa9'}", "visible ASCII");
    char text[256];
    snprintf(text, sizeof text, "{'method':'PUT','uri':'a','content_type':'%0129d'}", 0);
    refuse(text, "content_type");
}

Test(request, body_too_large)
{
    static char bytes[40961];
    static char text[45000];
    memset(bytes, 'x', sizeof bytes);
    struct span frame = {bytes, limits.max_body_bytes};
    struct request request = accept_with("{'method':'PUT','uri':'a'}", frame);
    cr_assert_eq(request.body_length, 40960);
    cr_assert_eq(request.body, bytes);
    request_release(&request);
    frame.length++;
    request = refuse_with("{'request_id':'r','method':'PUT','uri':'a'}", frame, REPLY_TOO_LARGE,
                          "40961 bytes: gateway.max_body_bytes allows 40960");
    cr_assert_str_eq(request.request_id, "r");
    request_release(&request);
    static const char *const forms[] = {"{'method':'PUT','uri':'a','message_body':'%.*s'}",
                                        "{'method':'PUT','uri':'a','message_body':['%.*s']}"};
    for (int i = 0; i < 2; i++) {
        int most = 40960 - 4 * i;
        snprintf(text, sizeof text, forms[i], most, bytes);
        request = accept(text);
        cr_assert_eq(request.body_length, 40960);
        request_release(&request);
        snprintf(text, sizeof text, forms[i], most + 1, bytes);
        request = refuse_with(text, no_frame, REPLY_TOO_LARGE, "40961");
        request_release(&request);
    }
}

Test(request, body_behind_too_many_members)
{
    static char text[4000];
    int used = snprintf(text, sizeof text, "{'method':'PUT','uri':'a'");
    for (int i = 0; i < SCAN_MEMBERS_MAX; i++) {
        used += snprintf(text + used, sizeof text - (size_t)used, ",'m%d':0", i);
    }
    snprintf(text + used, sizeof text - (size_t)used, ",'message_body':{}}");
    refuse(text, "behind more than 64 other members");
    snprintf(text + used, sizeof text - (size_t)used, ",'message_body':'x'}");
    struct request request = accept(text);
    cr_assert_eq(request.body_length, 1);
    request_release(&request);
}

static bool has_no_memory;
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
    return has_no_memory ? NULL : __real_malloc(size);
}

static void *json_allocate(size_t size)
{
    return has_no_memory ? NULL : malloc(size);
}

static void check_without_memory(void)
{
    static const char text[] = "{\"request_id\":\"r\",\"method\":\"GET\",\"uri\":\"a\"}";
    struct request request;
    struct request_refusal refusal;
    has_no_memory = true;
    int result =
        request_read((struct span){text, sizeof text - 1}, no_frame, &limits, &request, &refusal);
    has_no_memory = false;
    cr_assert_eq(result, ARIZMQ_EINVALID);
    cr_assert_eq(refusal.error, REPLY_OVERLOADED, "%s", refusal.message);
    cr_assert_not_null(strstr(refusal.message, "no memory"), "%s", refusal.message);
    cr_assert_null(request.uri);
    request_release(&request);
}

Test(request, without_memory_for_its_texts)
{
    check_without_memory();
}

Test(request, without_memory_for_its_json)
{
    json_set_alloc_funcs(json_allocate, free);
    check_without_memory();
}
