/* SPDX-License-Identifier: MPL-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arizmq/error.h"
#include "harness/capture.h"

static struct capture *load_text(const char *text, size_t length)
{
    char path[] = "/tmp/arizmq-capture-XXXXXX";
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, length), (ssize_t)length);
    close(fd);
    struct capture *capture = NULL;
    cr_assert_eq(capture_load(path, &capture), ARIZMQ_OK);
    unlink(path);
    return capture;
}

Test(capture, ends_lines_at_line_feeds_only)
{
    static const char text[] = "{\"a\":\"\xe2\x80\xa8\"}\n{\"b\":\"\r\xc2\x85\"}\n\n{}";
    struct capture *capture = load_text(text, sizeof text - 1);
    cr_assert_eq(capture->count, 4);
    cr_assert_eq(capture->lines[0].length, 11);
    cr_assert_arr_eq(capture->lines[0].text, "{\"a\":\"\xe2\x80\xa8\"}", 11);
    cr_assert_eq(capture->lines[1].length, 11);
    cr_assert_eq(capture->lines[2].length, 0);
    cr_assert_eq(capture->lines[3].length, 2);
    capture_destroy(&capture);
    cr_assert_null(capture);
}

Test(capture, takes_an_empty_file_and_refuses_a_missing_one)
{
    struct capture *capture = load_text("", 0);
    cr_assert_eq(capture->count, 0);
    capture_destroy(&capture);
    cr_assert_eq(capture_load("/nonexistent", &capture), ARIZMQ_ENOTFOUND);
}

Test(capture, loads_the_recordings)
{
    struct capture *capture = NULL;
    cr_assert_eq(capture_load(CAPTURES_DIR "/coverage.jsonl", &capture), ARIZMQ_OK);
    cr_assert_eq(capture->count, 3457);
    size_t bytes = 0;
    for (size_t i = 0; i < capture->count; i++) {
        cr_assert_eq(capture->lines[i].text[0], '{');
        cr_assert_eq(capture->lines[i].text[capture->lines[i].length - 1], '}');
        bytes += capture->lines[i].length + 1;
    }
    cr_assert_eq(bytes, capture->content_length);
    capture_destroy(&capture);
}
