/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Small steps that many tests of fake_asterisk take. It holds no test itself.
 */
#include "test_support.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fake *test_start(const char *const *options)
{
    struct fake *fake = fake_start_asterisk(options);
    cr_assert_not_null(fake);
    return fake;
}

void test_stop(struct fake **fake)
{
    cr_assert_eq(fake_stop(fake), 0);
}

char *test_get(const struct fake *fake, const char *target, int *status)
{
    char request[512];
    struct client_response response;
    snprintf(request, sizeof request,
             "GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Basic bGFiOnNlY3JldA==\r\n\r\n", target);
    struct client *client = client_connect(fake->port);
    client_request(client, request, &response);
    client_destroy(&client);
    *status = (int)strtol(response.status_line + strlen("HTTP/1.1 "), NULL, 10);
    char *body = strdup(response.body);
    client_response_free(&response);
    return body;
}

void test_expect_application(const struct fake *fake, const char *name, int expected)
{
    char target[128];
    int status;
    snprintf(target, sizeof target, "/ari/applications/%s", name);
    free(test_get(fake, target, &status));
    cr_assert_eq(status, expected, "application %s", name);
}

void test_normalise_times(char *text)
{
    static const char pattern[] = "dddd-dd-ddTdd:dd:dd.ddd+dddd";
    size_t pattern_length = sizeof pattern - 1;
    for (char *at = text; strlen(at) >= pattern_length; at++) {
        size_t i = 0;
        while (i < pattern_length &&
               (pattern[i] == 'd' ? isdigit((unsigned char)at[i]) != 0 : at[i] == pattern[i])) {
            i++;
        }
        if (i == pattern_length) {
            *at = 'T';
            memmove(at + 1, at + pattern_length, strlen(at + pattern_length) + 1);
        }
    }
}

void test_expect_text(struct client *client, const char *expected)
{
    char *text = client_read_text(client);
    cr_assert_str_eq(text, expected);
    free(text);
}

void test_expect_close(struct client *client, int code)
{
    struct frame frame;
    cr_assert(client_read_frame(client, &frame), "the connection ended without a close frame");
    cr_assert_eq(frame.opcode, FRAME_CLOSE);
    cr_assert_eq(frame.length, 2);
    cr_assert_eq(frame.payload[0] << 8 | frame.payload[1], code);
}
