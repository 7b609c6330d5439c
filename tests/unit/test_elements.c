/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Lists cut at every byte, in one, two and many pieces: what comes of them does not depend on it.
 */
#include <criterion/criterion.h>

#include "elements_list.h"

enum { BOUND = 4096 };

/* Whole, in pieces of every length, and in two pieces cut at every byte. The caller's to release
 * is *whole. */
static void take_in_all_ways(const char *text, size_t length, struct list *whole)
{
    list_take(whole, text, length, BOUND, length, 1);
    cr_assert_not(whole->is_unpadded, "%.60s", text);
    for (size_t cut = 0; cut <= length; cut++) {
        struct list two = {.stop_at = whole->stop_at};
        struct list many = {.stop_at = whole->stop_at};
        list_take(&two, text, length, BOUND, cut, length + 1);
        list_take(&many, text, length, BOUND, 0, cut + 1);
        cr_assert(list_is_same(whole, &two), "%.60s: cut at %zu", text, cut);
        cr_assert(list_is_same(whole, &many), "%.60s: pieces of %zu", text, cut + 1);
        cr_assert_not(two.is_unpadded || many.is_unpadded);
        list_release(&two);
        list_release(&many);
    }
}

static void expect_element(const struct list *list, size_t number, const char *wanted)
{
    size_t at = 0;
    size_t length = 0;
    for (size_t i = 0;; i++) {
        cr_assert_lt(at, list->length, "no element %zu", number);
        memcpy(&length, list->text + at, sizeof length);
        at += sizeof length;
        if (i == number) {
            break;
        }
        at += length;
    }
    cr_expect_eq(length, strlen(wanted), "%.*s", (int)length, list->text + at);
    cr_expect_eq(strncmp(list->text + at, wanted, length), 0, "%.*s", (int)length, list->text + at);
}

Test(elements, lists_cut_at_every_byte)
{
    static const struct {
        const char *text;
        unsigned count;
        const char *elements[4];
    } rows[] = {
        {"[]", 0, {NULL}},
        {" \t\r\n[ \t\r\n] \t\r\n", 0, {NULL}},
        {"[{}]", 1, {"{}"}},
        {"[{},{}\n,\t{ } , {}]", 4, {"{}", "{}", "{ }", "{}"}},
        {"[{\"id\":\"1\",\"a\":{\"b\":[[],{\"c\":[{}]}]}},{\"id\":\"2\"}]",
         2,
         {"{\"id\":\"1\",\"a\":{\"b\":[[],{\"c\":[{}]}]}}", "{\"id\":\"2\"}"}},
        {"[{\"}]\":\"{[\"},{\"x\":\"],[\"}]", 2, {"{\"}]\":\"{[\"}", "{\"x\":\"],[\"}"}},
        {"[{\"q\":\"\\\"}\"},{\"b\":\"\\\\\"},{\"c\":\"\\\\\\\"]\"},{\"u\":\"\\u007d\\u0022\"}]",
         4,
         {"{\"q\":\"\\\"}\"}", "{\"b\":\"\\\\\"}", "{\"c\":\"\\\\\\\"]\"}",
          "{\"u\":\"\\u007d\\u0022\"}"}},
        {"[{\"name\":\"J\xc3\xbcrgen \xe2\x80\xa8\xf0\x9f\x93\x9e\"},{\"\xe2\x80\xa9\":1}]",
         2,
         {"{\"name\":\"J\xc3\xbcrgen \xe2\x80\xa8\xf0\x9f\x93\x9e\"}", "{\"\xe2\x80\xa9\":1}"}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct list list = {0};
        take_in_all_ways(rows[i].text, strlen(rows[i].text), &list);
        cr_expect_eq(list.result, ARIZMQ_OK, "%s", rows[i].text);
        cr_expect(list.is_whole, "%s", rows[i].text);
        cr_assert_eq(list.count, rows[i].count, "%s", rows[i].text);
        for (unsigned k = 0; k < rows[i].count; k++) {
            expect_element(&list, k, rows[i].elements[k]);
        }
        list_release(&list);
    }
}

Test(elements, what_is_no_list_of_objects)
{
    static const struct {
        const char *text;
        unsigned count; /* that came before it was noticed */
    } rows[] = {
        {"{}", 0},
        {"{\"message\":\"Application not found\"}", 0},
        {"null", 0},
        {"\"[]\"", 0},
        {"]", 0},
        {"[1]", 0},
        {"[[]]", 0},
        {"[\"x\"]", 0},
        {"[,{}]", 0},
        {"[}", 0},
        {"[{},]", 1},
        {"[{}{}]", 1},
        {"[{},,{}]", 1},
        {"[{} null]", 1},
        {"[{},null]", 1},
        {"[{}][{}]", 1},
        {"[{}] x", 1},
        {"[{}],", 1},
        {"\xef\xbb\xbf[]", 0},
        {"[{}]]", 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct list list = {0};
        take_in_all_ways(rows[i].text, strlen(rows[i].text), &list);
        cr_expect_eq(list.result, ARIZMQ_EINVALID, "%s", rows[i].text);
        cr_expect_eq(list.count, rows[i].count, "%s", rows[i].text);
        list_release(&list);
    }
    struct list list = {0};
    take_in_all_ways("[{}\0]", 5, &list); /* NUL is no space */
    cr_expect_eq(list.result, ARIZMQ_EINVALID);
    list_release(&list);
}

Test(elements, a_list_that_breaks_off_is_not_whole)
{
    static const char text[] = " [{\"a\":\"]\"} , {\"b\":[{}]}]";
    for (size_t length = 0; length < sizeof text - 1; length++) {
        struct list list = {0};
        take_in_all_ways(text, length, &list);
        cr_expect_eq(list.result, ARIZMQ_OK, "%zu", length);
        cr_expect_not(list.is_whole, "%zu", length);
        list_release(&list);
    }
}

Test(elements, no_more_than_is_wanted)
{
    for (size_t stop_at = 1; stop_at <= 3; stop_at++) {
        static const char text[] = "[{\"a\":1},{\"b\":2},{\"c\":3},{\"d\":4}]";
        struct list list = {.stop_at = stop_at};
        take_in_all_ways(text, sizeof text - 1, &list);
        cr_expect_eq(list.result, ARIZMQ_ECLOSED);
        cr_expect_eq(list.count, stop_at);
        cr_expect_not(list.is_whole);
        list_release(&list);
    }
}

/* [{},{"":"xxx…"}] whose second element has `length` bytes, for the caller to free. */
static char *list_with_element_of(size_t length, size_t *whole)
{
    *whole = length + 5;
    char *text = malloc(*whole + 1);
    cr_assert_not_null(text);
    memset(text, 'x', *whole);
    memcpy(text, "[{},{\"\":\"", 9);
    memcpy(text + *whole - 3, "\"}]", 4);
    return text;
}

Test(elements, an_element_up_to_its_bound)
{
    static const size_t pieces[] = {1, 2, 7, 1000, BOUND - 1, BOUND, BOUND + 1, 10 * BOUND};
    for (size_t over = 0; over <= 1; over++) {
        size_t length = 0;
        char *text = list_with_element_of(BOUND + over, &length);
        for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
            struct list list = {0};
            list_take(&list, text, length, BOUND, 0, pieces[i]);
            cr_expect_eq(list.result, over ? ARIZMQ_ETOOLARGE : ARIZMQ_OK, "%zu", pieces[i]);
            cr_expect_eq(list.count, 2 - over, "%zu", pieces[i]);
            cr_expect_eq(list.is_whole, !over);
            cr_expect_leq(list.room, (size_t)2 * (BOUND + SCAN_PADDING));
            list_release(&list);
        }
        free(text);
    }
    /* One that never ends is given up at the bound, in one piece and in many. */
    static char endless[100 * BOUND];
    memset(endless, '{', sizeof endless);
    endless[0] = '[';
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        struct list list = {0};
        list_take(&list, endless, sizeof endless, BOUND, 0, pieces[i]);
        cr_expect_eq(list.result, ARIZMQ_ETOOLARGE);
        cr_expect_leq(list.room, (size_t)2 * (BOUND + SCAN_PADDING));
        list_release(&list);
    }
}

static bool count_only(void *owner, struct span element)
{
    size_t *count = owner;
    (*count)++;
    return element.length == 11;
}

Test(elements, a_list_of_any_length_takes_no_more_memory_than_an_element)
{
    struct elements elements;
    size_t count = 0;
    elements_begin(&elements, BOUND, count_only, &count);
    cr_assert_eq(elements_take(&elements, "[", 1), ARIZMQ_OK);
    for (unsigned i = 0; i < 1000000; i++) {
        cr_assert_eq(elements_take(&elements, "{\"id\":\"xy\"},", 12), ARIZMQ_OK);
        cr_assert_leq(elements.room, 1024);
    }
    cr_assert_eq(elements_take(&elements, "{\"id\":\"xy\"}]", 12), ARIZMQ_OK);
    cr_expect(elements_are_whole(&elements));
    cr_expect_eq(count, 1000001);
    elements_release(&elements);
}

Test(elements, nesting_as_deep_as_there_is_room)
{
    enum { DEPTH = 100000 };
    static char text[2 * DEPTH + 2];
    text[0] = '[';
    for (size_t i = 0; i < DEPTH; i++) {
        text[1 + i] = i == 0 ? '{' : '[';
        text[2 * DEPTH - i] = i == 0 ? '}' : ']';
    }
    text[2 * DEPTH + 1] = ']';
    struct list list = {0};
    list_take(&list, text, sizeof text, 2UL * DEPTH, 0, 4093);
    cr_expect_eq(list.result, ARIZMQ_OK);
    cr_expect(list.is_whole);
    cr_expect_eq(list.count, 1);
    list_release(&list);
}

Test(elements, nothing_at_all)
{
    struct elements elements;
    elements_begin(&elements, BOUND, list_add, NULL);
    cr_expect_not(elements_are_whole(&elements));
    cr_expect_eq(elements_take(&elements, "", 0), ARIZMQ_OK);
    cr_expect_not(elements_are_whole(&elements));
    elements_release(&elements);
    elements_release(&elements); /* and twice is fine */
}
