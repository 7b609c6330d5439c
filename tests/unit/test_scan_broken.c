/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What is no JSON object: events cut short at every byte, and one example for each rule that scan.h
 * says is checked.
 */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"
#include "event/scan.h"
#include "recordings.h"
#include "scan_compare.h"

static int scan_text(const char *text, size_t length)
{
    const char *problem = scan_compare(text, length);
    cr_assert_null(problem, "%s: %.*s", problem, (int)length, text);
    char *copy = malloc(length + SCAN_PADDING);
    cr_assert_not_null(copy);
    memcpy(copy, text, length);
    memset(copy + length, '}', SCAN_PADDING);
    struct scan scan;
    int result = scan_object(copy, length, &scan);
    free(copy);
    return result;
}

static void truncate_line(const char *line, size_t length, void *context)
{
    json_t *met = context;
    json_t *event = json_loadb(line, length, 0, NULL);
    const char *type = json_string_value(json_object_get(event, "type"));
    cr_assert_not_null(type);
    /* A type's first event, and a long one: all of the others are cut the same way. */
    if (json_object_get(met, type) == NULL && length < 4096) {
        json_object_set_new(met, type, json_true());
        cr_assert_eq(scan_text(line, length), ARIZMQ_OK);
        for (size_t cut = 0; cut < length; cut++) {
            cr_assert_eq(scan_text(line, cut), ARIZMQ_EINVALID, "%.*s", (int)cut, line);
        }
    }
    if (json_object_get(met, "a long one") == NULL && length > 20000) {
        json_object_set_new(met, "a long one", json_true());
        for (size_t cut = 0; cut < length; cut += cut + 700 < length ? 61 : 1) {
            cr_assert_eq(scan_text(line, cut), ARIZMQ_EINVALID, "%.*s", (int)cut, line);
        }
    }
    json_decref(event);
}

Test(scan, refuses_an_event_cut_short_at_any_byte)
{
    json_t *met = json_object();
    recordings_each_event(truncate_line, met);
    cr_assert_eq(json_object_size(met), 46, "%zu", json_object_size(met));
    json_decref(met);
}

#define REFUSED_TEXT(text)                                                                         \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

static const struct {
    const char *text;
    size_t length;
} refused[] = {
    /* no object */
    REFUSED_TEXT(""),
    REFUSED_TEXT(" \n\t\r"),
    REFUSED_TEXT("null"),
    REFUSED_TEXT("\"{}\""),
    REFUSED_TEXT("[]"),
    REFUSED_TEXT("[{\"type\":\"A\"}]"),
    REFUSED_TEXT("17"),
    REFUSED_TEXT("type"),
    REFUSED_TEXT("\xEF\xBB\xBF{}"),
    REFUSED_TEXT("\0{}"),
    /* something before or behind it */
    REFUSED_TEXT("x{}"),
    REFUSED_TEXT("\"a\"{}"),
    REFUSED_TEXT(",{}"),
    REFUSED_TEXT("}{}"),
    REFUSED_TEXT("{}x"),
    REFUSED_TEXT("{}}"),
    REFUSED_TEXT("{}{}"),
    REFUSED_TEXT("{},"),
    REFUSED_TEXT("{}\0"),
    REFUSED_TEXT("{\"a\":1}\""),
    REFUSED_TEXT("{}\v"),
    /* keys */
    REFUSED_TEXT("{a:1}"),
    REFUSED_TEXT("{'a':1}"),
    REFUSED_TEXT("{1:1}"),
    REFUSED_TEXT("{null:1}"),
    REFUSED_TEXT("{[]:1}"),
    REFUSED_TEXT("{{}:1}"),
    REFUSED_TEXT("{:1}"),
    REFUSED_TEXT("{\"a\"\"b\":1}"),
    REFUSED_TEXT("{\"a\" b:1}"),
    REFUSED_TEXT("{b\"a\":1}"),
    REFUSED_TEXT("{\"a\":1,b:2}"),
    /* colons and commas */
    REFUSED_TEXT("{\"a\"}"),
    REFUSED_TEXT("{\"a\" 1}"),
    REFUSED_TEXT("{\"a\":}"),
    REFUSED_TEXT("{\"a\"::1}"),
    REFUSED_TEXT("{\"a\":1:2}"),
    REFUSED_TEXT("{\"a\",1}"),
    REFUSED_TEXT("{\"a\":1 \"b\":2}"),
    REFUSED_TEXT("{\"a\":1,,\"b\":2}"),
    REFUSED_TEXT("{\"a\":1,}"),
    REFUSED_TEXT("{,}"),
    REFUSED_TEXT("{,\"a\":1}"),
    REFUSED_TEXT("{:}"),
    REFUSED_TEXT("{\"a\":,}"),
    REFUSED_TEXT("{\"a\":\"b\" \"c\"}"),
    REFUSED_TEXT("{\"a\":{} {}}"),
    REFUSED_TEXT("{\"a\":{}{}}"),
    REFUSED_TEXT("{\"a\":[][]}"),
    REFUSED_TEXT("{\"a\":[1] 2 [3]}"),
    REFUSED_TEXT("{\"a\":{} \"b\" {}}"),
    REFUSED_TEXT("{\"a\":[]{\"type\":\"B\"}[]}"),
    REFUSED_TEXT("{\"a\":x[]}"),
    REFUSED_TEXT("{\"a\":[]x}"),
    /* what a value may begin with; literals */
    REFUSED_TEXT("{\"a\":x}"),
    REFUSED_TEXT("{\"a\":'b'}"),
    REFUSED_TEXT("{\"a\":True}"),
    REFUSED_TEXT("{\"a\":tru}"),
    REFUSED_TEXT("{\"a\":truex}"),
    REFUSED_TEXT("{\"a\":fals}"),
    REFUSED_TEXT("{\"a\":false1}"),
    REFUSED_TEXT("{\"a\":nul}"),
    REFUSED_TEXT("{\"a\":nulll}"),
    REFUSED_TEXT("{\"a\":NaN}"),
    REFUSED_TEXT("{\"a\":Infinity}"),
    REFUSED_TEXT("{\"a\":/**/1}"),
    REFUSED_TEXT("{\"a\":\0}"),
    REFUSED_TEXT("{\"a\":\v1}"),
    /* numbers */
    REFUSED_TEXT("{\"a\":01}"),
    REFUSED_TEXT("{\"a\":-}"),
    REFUSED_TEXT("{\"a\":+1}"),
    REFUSED_TEXT("{\"a\":.5}"),
    REFUSED_TEXT("{\"a\":5.}"),
    REFUSED_TEXT("{\"a\":1.e3}"),
    REFUSED_TEXT("{\"a\":1e}"),
    REFUSED_TEXT("{\"a\":1e+}"),
    REFUSED_TEXT("{\"a\":1e5.5}"),
    REFUSED_TEXT("{\"a\":0x10}"),
    REFUSED_TEXT("{\"a\":1 2}"),
    REFUSED_TEXT("{\"a\":--1}"),
    REFUSED_TEXT("{\"a\":-01}"),
    REFUSED_TEXT("{\"a\":1a}"),
    REFUSED_TEXT("{\"a\":-5\0}"),
    /* brackets */
    REFUSED_TEXT("{"),
    REFUSED_TEXT("}"),
    REFUSED_TEXT("{]"),
    REFUSED_TEXT("[}"),
    REFUSED_TEXT("{{}"),
    REFUSED_TEXT("{{}}"),
    REFUSED_TEXT("{\"a\":{}"),
    REFUSED_TEXT("{\"a\":[}"),
    REFUSED_TEXT("{\"a\":{]}"),
    REFUSED_TEXT("{\"a\":[}}"),
    REFUSED_TEXT("{\"a\":]}"),
    REFUSED_TEXT("{\"a\":[1]]}"),
    REFUSED_TEXT("{\"a\":{\"b\":[}}"),
    /* strings that do not end */
    REFUSED_TEXT("{\""),
    REFUSED_TEXT("{\"a"),
    REFUSED_TEXT("{\"a\\\":1}"),
    REFUSED_TEXT("{\"a\":\"}"),
    REFUSED_TEXT("{\"a\":\"b\\\"}"),
    REFUSED_TEXT("{\"a\":\"b\\\\\\\"}"),
    REFUSED_TEXT("{\"a\":\\\"b\"}"),
    REFUSED_TEXT("{\"a\":b\"c\"}"),
    REFUSED_TEXT("{\"a\":\"b\"c}"),
    REFUSED_TEXT("{\\\"a\":1}"),
};

Test(scan, refuses_what_breaks_the_grammar_of_the_outermost_object)
{
    char text[512];
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        cr_expect_eq(scan_text(refused[i].text, refused[i].length), ARIZMQ_EINVALID, "%s",
                     refused[i].text);
        /* The same behind space that takes it over a border. */
        for (size_t space = 50; space < 66; space++) {
            memset(text, ' ', space);
            memcpy(text + space, refused[i].text, refused[i].length);
            cr_expect_eq(scan_text(text, space + refused[i].length), ARIZMQ_EINVALID,
                         "%zu spaces and %s", space, refused[i].text);
        }
    }
}

/* What scan.h says it skips: readers of nested objects scan these themselves. */
Test(scan, does_not_look_into_nested_values)
{
    static const char *const skipped[] = {
        "{\"type\":\"A\",\"channel\":{\"id\" 5}}",
        "{\"type\":\"A\",\"args\":[1,,2]}",
        "{\"type\":\"A\",\"value\":\"\\q\"}",
    };
    for (size_t i = 0; i < sizeof skipped / sizeof skipped[0]; i++) {
        cr_expect_eq(scan_text(skipped[i], strlen(skipped[i])), ARIZMQ_OK, "%s", skipped[i]);
    }
}
