/* SPDX-License-Identifier: MPL-2.0 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "cli/text.h"

static void expect_clean(const char *bytes, size_t length, const char *keep, const char *expected)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    text_write_clean(out, bytes, length, keep);
    fclose(out);
    cr_expect_str_eq(text, expected);
    free(text);
}

static void expect_member(const char *bytes, size_t length, const char *expected)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    text_write_member(out, "event", bytes, length);
    fclose(out);
    cr_expect_str_eq(text, expected);
    free(text);
}

Test(cli_text, plain_text_stays)
{
    expect_clean("Zoë ~ \xe2\x80\xa8", 10, "", "Zoë ~ \xe2\x80\xa8");
    expect_clean("", 0, "", "");
}

Test(cli_text, nothing_can_steer_a_terminal)
{
    expect_clean("a\x1b[31mb\x7f\r\n\0c", 12, "", "a\\x1b[31mb\\x7f\\x0d\\x0a\\x00c");
    expect_clean("\xc2\x9b"
                 "31m\xc2\x80\xc2\xa0",
                 9, "", "\\xc2\\x9b31m\\xc2\\x80\xc2\xa0");
}

Test(cli_text, stops_at_the_end_of_the_bytes)
{
    expect_clean("\xc2\x9b", 1, "", "\xc2");
}

Test(cli_text, keeps_line_feeds_where_asked)
{
    expect_clean("a\nb\r\0", 5, "\n", "a\nb\\x0d\\x00");
}

Test(cli_text, member_is_json_whatever_the_bytes)
{
    expect_member("a\"\\\n\0\xe2\x80\xa8", 8, "\"event\":\"a\\\"\\\\\\n\\u0000\xe2\x80\xa8\"");
    expect_member("", 0, "\"event\":\"\"");
    expect_member("\xff", 1, "\"event_base64\":\"/w==\"");
    expect_member("\xed\xa0\x80", 3, "\"event_base64\":\"7aCA\""); /* a lone surrogate */
}

Test(cli_text, long_bytes_become_one_line_of_base_64)
{
    char bytes[3000];
    memset(bytes, 0xff, sizeof bytes);
    char expected[4100] = "\"event_base64\":\"";
    size_t length = strlen(expected);
    memset(expected + length, '/', 4000);
    strcpy(expected + length + 4000, "\"");
    expect_member(bytes, sizeof bytes, expected);
}
