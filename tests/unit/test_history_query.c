/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What GET arizmq/history may ask for, and what is said where it may not.
 */
#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

#include "arizmq/error.h"
#include "gateway/history_query.h"

static const struct config_history bounds = {.max_page_messages = 1000, .max_page_bytes = 50000};

static bool memory_is_gone;

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

void *__wrap_malloc(size_t size)
{
    return memory_is_gone ? NULL : __real_malloc(size);
}

Test(history_query, without_parameters)
{
    struct history_query query;
    struct request_refusal refusal;
    cr_assert_eq(history_query_read("", &bounds, &query, &refusal), ARIZMQ_OK);
    cr_assert_str_eq(query.view, "events");
    cr_assert_eq(query.prefix.length, 0);
    cr_assert_eq(query.after, 0);
    cr_assert_eq(query.until, UINT64_MAX);
    cr_assert_eq(query.epoch, 0);
    cr_assert_eq(query.limit, 1000);
    cr_assert_eq(query.page_bytes, 50000);
    history_query_release(&query);
}

Test(history_query, with_all_of_them)
{
    struct history_query query;
    struct request_refusal refusal;
    cr_assert_eq(history_query_read("limit=17&epoch=1795444501160000&until=1042&after=1040&"
                                    "prefix=channel/1690%2B1/&view=tcp://127.0.0.1:5556",
                                    &bounds, &query, &refusal),
                 ARIZMQ_OK);
    cr_assert_str_eq(query.view, "tcp://127.0.0.1:5556");
    cr_assert_eq(query.prefix.length, 15);
    cr_assert_eq(memcmp(query.prefix.bytes, "channel/1690+1/", 15), 0);
    cr_assert_eq(query.after, 1040);
    cr_assert_eq(query.until, 1042);
    cr_assert_eq(query.epoch, 1795444501160000);
    cr_assert_eq(query.limit, 17);
    history_query_release(&query);
}

Test(history_query, takes_extremes)
{
    static const struct {
        const char *text;
        uint64_t after, until, limit;
    } rows[] = {
        {"after=0&until=0&limit=1", 0, 0, 1},
        {"after=9223372036854775807&limit=1000", INT64_MAX, UINT64_MAX, 1000},
        {"until=9223372036854775807&limit=1001", 0, INT64_MAX, 1000},
        {"after=7&until=7&limit=9223372036854775807", 7, 7, 1000},
        {"after=007&prefix=&epoch=1", 7, UINT64_MAX, 1000},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct history_query query;
        struct request_refusal refusal;
        cr_assert_eq(history_query_read(rows[i].text, &bounds, &query, &refusal), ARIZMQ_OK, "%s",
                     rows[i].text);
        cr_assert_eq(query.after, rows[i].after);
        cr_assert_eq(query.until, rows[i].until);
        cr_assert_eq(query.limit, rows[i].limit);
        history_query_release(&query);
    }
}

Test(history_query, says_what_is_wrong)
{
    static const struct {
        const char *text;
        const char *message;
    } rows[] = {
        {"after=", "after \"\": allowed are whole numbers, 0 to 9223372036854775807"},
        {"after=x", "after \"x\": allowed are whole numbers, 0 to 9223372036854775807"},
        {"after=-1", "after \"-1\": allowed are whole numbers, 0 to 9223372036854775807"},
        {"until=1.5", "until \"1.5\": allowed are whole numbers, 0 to 9223372036854775807"},
        {"until=9223372036854775808",
         "until \"9223372036854775808\": allowed are whole numbers, 0 to 9223372036854775807"},
        {"until=99999999999999999999999999",
         "until \"99999999999999999999999999\": allowed are whole numbers, 0 to "
         "9223372036854775807"},
        {"limit=0", "limit \"0\": allowed are whole numbers, 1 to 9223372036854775807"},
        {"epoch=0", "epoch \"0\": allowed are whole numbers, 1 to 9223372036854775807"},
        {"limit=%00%ff", "limit \"?\?\": allowed are whole numbers, 1 to 9223372036854775807"},
        {"after=1&after=1", "after is there twice: write it once"},
        {"view=a&view=a", "view is there twice: write it once"},
        {"view=events%00", "view \"events?\" has a NUL byte: write a view's name or its endpoint"},
        {"after=7&until=6",
         "until 6 is below after, 7: write the last seq wanted, or leave it out"},
        {"prefx=a", "\"prefx\" is no parameter of arizmq/history: allowed are view, prefix, after, "
                    "until, epoch and limit"},
        {"prefix%00=a", "\"prefix?\" is no parameter of arizmq/history: allowed are view, prefix, "
                        "after, until, epoch and limit"},
        {"=1", "\"\" is no parameter of arizmq/history: allowed are view, prefix, after, until, "
               "epoch and limit"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct history_query query;
        struct request_refusal refusal;
        cr_assert_eq(history_query_read(rows[i].text, &bounds, &query, &refusal), ARIZMQ_EINVALID,
                     "%s", rows[i].text);
        cr_assert_str_eq(refusal.message, rows[i].message);
        cr_assert_eq(refusal.error, REPLY_BAD_REQUEST);
    }
}

Test(history_query, without_memory)
{
    struct history_query query;
    struct request_refusal refusal;
    memory_is_gone = true;
    int result = history_query_read("after=1", &bounds, &query, &refusal);
    memory_is_gone = false;
    cr_assert_eq(result, ARIZMQ_EINVALID);
    cr_assert_eq(refusal.error, REPLY_OVERLOADED);
}
