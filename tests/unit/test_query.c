/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Queries, taken apart and decoded.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "arizmq/error.h"
#include "gateway/query.h"

#define TEXT(literal)                                                                              \
    {                                                                                              \
        literal, sizeof(literal) - 1                                                               \
    }

static void expect(struct query *query, struct span name, struct span value)
{
    struct span got_name = {NULL, 0};
    struct span got_value = {NULL, 0};
    cr_assert(query_next(query, &got_name, &got_value));
    cr_assert_eq(got_name.length, name.length, "%s", got_name.bytes);
    cr_assert_eq(memcmp(got_name.bytes, name.bytes, name.length + 1), 0, "%s", got_name.bytes);
    cr_assert_eq(got_value.length, value.length, "%s", got_value.bytes);
    cr_assert_eq(memcmp(got_value.bytes, value.bytes, value.length + 1), 0, "%s", got_value.bytes);
}

Test(query, names_and_values)
{
    static const struct {
        const char *text;
        struct span pairs[4][2];
    } rows[] = {
        {"", {{{NULL, 0}}}},
        {"&&", {{{NULL, 0}}}},
        {"a=b", {{TEXT("a"), TEXT("b")}}},
        {"a", {{TEXT("a"), TEXT("")}}},
        {"a&b&c", {{TEXT("a"), TEXT("")}, {TEXT("b"), TEXT("")}, {TEXT("c"), TEXT("")}}},
        {"=&=b", {{TEXT(""), TEXT("")}, {TEXT(""), TEXT("b")}}},
        {"a=b=c&&d=", {{TEXT("a"), TEXT("b=c")}, {TEXT("d"), TEXT("")}}},
        {"%61=%62%3d%26&c+d=e%2Bf%2bg+h",
         {{TEXT("a"), TEXT("b=&")}, {TEXT("c d"), TEXT("e+f+g h")}}},
        {"a=%00b%", {{TEXT("a"), TEXT("\0b%")}}},
        {"a=%4&b=%zz%4", {{TEXT("a"), TEXT("%4")}, {TEXT("b"), TEXT("%zz%4")}}},
        {"prefix=channel%2F1690.1%252F/", {{TEXT("prefix"), TEXT("channel/1690.1%2F/")}}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct query query;
        struct span name;
        struct span value;
        cr_assert_eq(query_begin(rows[i].text, &query), ARIZMQ_OK);
        for (size_t k = 0; k < 4 && rows[i].pairs[k][0].bytes != NULL; k++) {
            expect(&query, rows[i].pairs[k][0], rows[i].pairs[k][1]);
        }
        cr_assert_not(query_next(&query, &name, &value), "%s", rows[i].text);
        query_release(&query);
        query_release(&query);
    }
}
