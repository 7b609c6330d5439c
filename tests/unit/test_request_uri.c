/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Requests, good and bad: uri and query_strings.
 */
#include "request_helpers.h"

#include <stdio.h>

static char text[8192];

static const char *with_uri(const char *uri)
{
    snprintf(text, sizeof text, "{'request_id':'r','method':'GET','uri':'%s'}", uri);
    return text;
}

static const char *with_query(const char *uri, const char *query_strings)
{
    snprintf(text, sizeof text, "{'method':'GET','uri':'%s','query_strings':%s}", uri,
             query_strings);
    return text;
}

static void check_uri(const char *uri, const char *path, const char *query)
{
    struct request request = accept(with_uri(uri));
    cr_assert_str_eq(request.uri, path);
    cr_assert_str_eq(request.query, query);
    request_release(&request);
}

static void check_query(const char *query_strings, const char *query)
{
    struct request request = accept(with_query("a", query_strings));
    cr_assert_str_eq(request.query, query);
    request_release(&request);
}

static void refuse_uri(const char *uri, const char *word)
{
    struct request request =
        refuse_with(with_uri(uri), (struct span){NULL, 0}, REPLY_BAD_REQUEST, word);
    cr_assert_null(request.uri);
    cr_assert_str_eq(request.request_id, "r");
    request_release(&request);
}

Test(request_uri, goes_out_as_it_may_stand_in_a_url)
{
    check_uri("channels", "channels", "");
    check_uri("channels/1690.12/play", "channels/1690.12/play", "");
    check_uri("arizmq/info", "arizmq/info", "");
    check_uri("arizona", "arizona", "");
    check_uri("channels/ari/x", "channels/ari/x", "");
    check_uri("endpoints/PJSIP/sip:+49(1)@h;x=1,2!$*~_-.",
              "endpoints/PJSIP/sip:+49(1)@h;x=1,2!$*~_-.", "");
    check_uri("a b/\xc3\xa9<>^`{|}[]\\\"", "a%20b/%C3%A9%3C%3E%5E%60%7B%7C%7D%5B%5D%22", "");
    check_uri("deviceStates/Stasis%3ax/a%2Fb%5c", "deviceStates/Stasis%3ax/a%2Fb%5c", "");
    check_uri("a/.../..b/b../.c/%2e%2e%2e", "a/.../..b/b../.c/%2e%2e%2e", "");
    check_uri("a/\\u0085", "a/%C2%85", "");
}

Test(request_uri, with_a_query)
{
    check_uri("a?", "a", "");
    check_uri("a?b=c&d=%20+e", "a", "b=c&d=%20+e");
    check_uri("a?b=c d\xc3\xa9[]/?..//:@", "a", "b=c%20d%C3%A9%5B%5D/?..//:@");
    check_uri("a?u=http://x/ari/", "a", "u=http://x/ari/");
}

Test(request_uri, refused)
{
    refuse("{'method':'GET'}", "uri is missing");
    refuse("{'method':'GET','uri':7}", "uri is a number");
    refuse_uri("", "uri has no path");
    refuse_uri("?a=b", "uri has no path");
    refuse_uri("/channels", "uri \"/channels\" begins with a slash");
    refuse_uri("http://h/ari/channels", "\"http://h/ari/channels\" is a whole URL");
    refuse_uri("x+y-z.1://h", "whole URL");
    refuse_uri("://h", "whole URL");
    refuse_uri("//h/channels", "whole URL");
    refuse_uri("ari/channels", "begins with ari/");
    refuse_uri("ari", "begins with ari/");
    refuse_uri("a#b", "fragment");
    refuse_uri("a?b#c", "fragment");
    refuse_uri("a\\\\b", "backslash");
    refuse_uri("a\\r\\nX: y", "\"a??X: y\" has a control byte");
    refuse_uri("a\\u007f", "control byte");
    refuse_uri("a?b=\\n", "control byte");
    refuse_uri("a\\tb", "control byte");
}

Test(request_uri, segments_refused)
{
    static const char *const dots[] = {
        ".",       "..",          "../x",     "a/../b", "a/./b",  "a/..",         "a/%2e%2e/b",
        "a/%2E.",  "a/.%2e/b",    "%2e%2e/a", "a/%2e",  "a/..?b", "a/x%2F..%2fy", "..%2f..%2fetc",
        "a/%2f..", "a/%2e%2e%2f", "a/.%2Fb",
    };
    for (size_t i = 0; i < sizeof dots / sizeof dots[0]; i++) {
        refuse_uri(dots[i], "has a segment . or ..");
    }
    refuse_uri("channels//x", "two slashes");
    refuse_uri("a/b//", "two slashes");
    refuse_uri("channels/", "ends with a slash");
    refuse_uri("channels/?a=b", "ends with a slash");
}

Test(request_uri, escapes_refused)
{
    static const char *const controls[] = {"a%0d%0aX", "a%0A",    "a%00",    "a%1f",
                                           "a%7F",     "a?b=%0D", "a?%00=c", "a/%0d/b"};
    static const char *const bad[] = {"a%",       "a%4", "a%4/b", "a%zz",  "a%4g",       "a%%41",
                                      "a?b=100%", "%",   "a%-1",  "a% 41", "a%4\xc3\xa9"};
    for (size_t i = 0; i < sizeof controls / sizeof controls[0]; i++) {
        refuse_uri(controls[i], "control byte as an escape");
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        refuse_uri(bad[i], "percent sign that begins no escape");
    }
}

Test(request_uri, shown_short_and_whole)
{
    char uri[600] = "/";
    for (int i = 0; i < 100; i++) {
        strcat(uri, "\xe2\x82\xac"); /* three bytes: 80 do not end with one */
    }
    struct request request = refuse_with(with_uri(uri), (struct span){NULL, 0}, REPLY_BAD_REQUEST,
                                         "\xe2\x82\xac...\" begins with a slash");
    request_release(&request);
}

Test(request_uri, query_strings)
{
    check_query("{}", "");
    check_query("[]", "");
    check_query("{'a':'b','c':''}", "a=b&c=");
    check_query("{'z':'1','a':'2','m':'3'}", "z=1&a=2&m=3");
    check_query("{'media':['sound:a','sound:b']}", "media=sound%3Aa%2Csound%3Ab");
    check_query("{'media':['x']}", "media=x");
    check_query("{'media':[]}", "media=");
    check_query(
        "[{'name':'a','value':'b'},{'value':'d','name':'c','x':0},{'name':'a','value':'e'}]",
        "a=b&c=d&a=e");
    check_query("[{'name':'a','value':['b','c']},{'name':'d','value':false}]", "a=b%2Cc&d=false");
    check_query("{'a&b=c':'d&e=f%20+?#/\\\\ \\r\\n'}",
                "a%26b%3Dc=d%26e%3Df%2520%2B%3F%23%2F%5C%20%0D%0A");
    check_query("{'\xc3\xa9':'\xf0\x9f\x98\x80~_-.'}", "%C3%A9=%F0%9F%98%80~_-.");
    struct request request = accept(with_query("a?b=c", "{'d':'e'}"));
    cr_assert_str_eq(request.query, "b=c&d=e");
    request_release(&request);
    request = accept(with_query("a?", "{'d':'e'}"));
    cr_assert_str_eq(request.query, "d=e");
    request_release(&request);
    request = accept(with_query("a?b", "{}"));
    cr_assert_str_eq(request.query, "b");
    request_release(&request);
}

Test(request_uri, query_numbers)
{
    check_query("{'a':0,'b':-1,'c':9223372036854775807,'d':-9223372036854775808}",
                "a=0&b=-1&c=9223372036854775807&d=-9223372036854775808");
    check_query("{'a':30.0,'b':1e1,'c':-0.0,'d':9007199254740992.0}",
                "a=30&b=10&c=0&d=9007199254740992");
    check_query("{'a':0.1,'b':1.5e-7,'c':1e300,'d':-2.5}", "a=0.1&b=1.5e-07&c=1e%2B300&d=-2.5");
    /* These take 16 and 17 digits. */
    check_query("{'a':0.1234567890123456,'b':0.30000000000000004}",
                "a=0.1234567890123456&b=0.30000000000000004");
    check_query("{'a':true,'b':false}", "a=true&b=false");
}

Test(request_uri, query_strings_refused)
{
    refuse(with_query("a", "'b=c'"), "query_strings is a string: write an object");
    refuse(with_query("a", "null"), "query_strings is null");
    refuse(with_query("a", "{'b':null}"), "query_strings: \"b\" is null: allowed are");
    refuse(with_query("a", "{'b':{}}"), "\"b\" is an object");
    refuse(with_query("a", "{'b':['c',1]}"), "the list of \"b\" has a number in it");
    refuse(with_query("a", "{'b':[['c']]}"), "the list of \"b\" has an array in it");
    refuse(with_query("a", "{'':'c'}"), "\"\" is no name");
    refuse(with_query("a", "{'b\\r\\n':'c'}"), "\"b??\" is no name");
    refuse(with_query("a", "['b']"), "item 1 is no");
    refuse(with_query("a", "[{'name':'b','value':'c'},{'name':'d'}]"), "item 2 is no");
    refuse(with_query("a", "[{'name':7,'value':'c'}]"), "item 1 is no");
    refuse(with_query("a", "[{'name':'d','value':null}]"), "\"d\" is null");
}

/* "GET /ari/a?b=x... HTTP/1.1" of `length` bytes. */
static const char *with_line(size_t length)
{
    static char query[8000];
    size_t value = length - strlen("GET /ari/a?b= HTTP/1.1");
    memset(query, 'x', value);
    query[value] = '\0';
    snprintf(text, sizeof text, "{'method':'GET','uri':'a','query_strings':{'b':'%s'}}", query);
    return text;
}

Test(request_uri, line_too_long)
{
    struct request request = accept(with_line(limits.max_request_line_bytes));
    request_release(&request);
    request = refuse_with(with_line(limits.max_request_line_bytes + 1), (struct span){NULL, 0},
                          REPLY_TOO_LARGE,
                          "would have 4097 bytes: gateway.max_request_line_bytes allows 4096");
    request_release(&request);
    static char uri[6000];
    memset(uri, 'x', sizeof uri - 1);
    request = refuse_with(with_uri(uri), (struct span){NULL, 0}, REPLY_TOO_LARGE, "6017");
    request_release(&request);
}
