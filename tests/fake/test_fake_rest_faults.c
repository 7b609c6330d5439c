/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What the script can let an HTTP connection of fake_asterisk do.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test_support.h"

TestSuite(fake_rest_faults, .timeout = 120);

static void send_request(struct client *client, const char *method, const char *uri)
{
    char request[256];
    int length = snprintf(request, sizeof request,
                          "%s /ari/%s HTTP/1.1\r\nHost: x\r\n"
                          "Authorization: Basic bGFiOnNlY3JldA==\r\n\r\n",
                          method, uri);
    client_send(client, request, (size_t)length);
}

/* Reads `text` and nothing else. */
static void expect_bytes(struct client *client, const char *text)
{
    const uint8_t *bytes = client_read_bytes(client, strlen(text));
    cr_assert_not_null(bytes);
    cr_assert_arr_eq(bytes, text, strlen(text));
}

Test(fake_rest_faults, holds_answers_back_until_told)
{
    struct fake *fake = test_start(NULL);
    fake_do(fake, "rest-stall asterisk/");
    struct client *stalled[2] = {client_connect(fake->port), client_connect(fake->port)};
    for (int i = 0; i < 2; i++) {
        send_request(stalled[i], "GET", "asterisk/ping");
        cr_assert_not_null(
            fake_await_event(fake, "rest GET asterisk/ping via=http status=200", 20000));
    }
    int status = 0;
    free(test_get(fake, "/ari/channels", &status));
    cr_assert_eq(status, 200, "others are answered");
    cr_assert(client_is_silent(stalled[0], 50));
    client_destroy(&stalled[1]);
    struct client *third = client_connect(fake->port);
    send_request(third, "GET", "asterisk/info");
    cr_assert_not_null(fake_await_event(fake, "rest GET asterisk/info", 20000));
    fake_do(fake, "rest-resume");
    expect_bytes(stalled[0], "HTTP/1.1 200 OK\r\n");
    expect_bytes(third, "HTTP/1.1 200 OK\r\n");
    free(test_get(fake, "/ari/asterisk/ping", &status));
    cr_assert_eq(status, 200, "it stalls no more");
    cr_assert_eq(fake_number(fake_do(fake, "rest-resume"), "answers"), 0);
    client_destroy(&stalled[0]);
    client_destroy(&third);
    test_stop(&fake);
}

/* Everything up to the end, NUL-terminated, malloc'd. */
static char *read_to_end(struct client *client)
{
    struct bytes all = {0};
    while (!client_is_at_end(client)) {
        bytes_append(&all, client_read_bytes(client, 1), 1);
    }
    bytes_append(&all, "", 1);
    char *text = strdup((const char *)all.data);
    bytes_free(&all);
    return text;
}

static void expect_close(struct fake *fake, const char *point, const char *event, bool has_head,
                         bool has_body)
{
    fake_do(fake, "rest-close asterisk/ping %s 1", point);
    struct client *client = client_connect(fake->port);
    send_request(client, "GET", "asterisk/ping");
    char *text = read_to_end(client);
    cr_assert_not_null(fake_await_event(fake, event, 20000));
    const char *end = strstr(text, "\r\n\r\n");
    cr_assert_eq(strncmp(text, "HTTP/1.1 200 OK", 15) == 0, has_head, "%s: %s", point, text);
    cr_assert_eq(end != NULL, has_body, "%s: %s", point, text);
    cr_assert(!has_body || (end[4] == '{' && strchr(end, '}') == NULL), "%s: %s", point, text);
    free(text);
    client_destroy(&client);
    int status = 0;
    free(test_get(fake, "/ari/asterisk/ping", &status));
    cr_assert_eq(status, 200, "%s: only once", point);
}

Test(fake_rest_faults, closes_at_each_point)
{
    struct fake *fake = test_start(NULL);
    expect_close(fake, "before", "rest-closed GET asterisk/ping before", false, false);
    cr_assert_eq(fake_count_events(fake, "rest GET"), 1, "before: the request is not handled");
    expect_close(fake, "after-request", "rest GET asterisk/ping via=http", false, false);
    expect_close(fake, "in-head", "rest GET asterisk/ping via=http", true, false);
    expect_close(fake, "in-body", "rest GET asterisk/ping via=http", true, true);
    cr_assert_eq(strncmp(fake_command(fake, "rest-close x here"), "error", 5), 0);
    cr_assert_eq(strncmp(fake_command(fake, "rest-close"), "error", 5), 0);
    test_stop(&fake);
}

Test(fake_rest_faults, answers_as_large_as_told)
{
    static const char end[] = "x\"}";
    struct fake *fake = test_start(NULL);
    int status = 0;
    fake_do(fake, "rest-big asterisk/info 20000000");
    char *body = test_get(fake, "/ari/asterisk/info", &status);
    cr_assert_eq(status, 200);
    cr_assert_eq(strlen(body), 20000000);
    cr_assert_str_eq(body + 20000000 - strlen(end), end);
    free(body);
    fake_do(fake, "rest-big asterisk/info 0");
    body = test_get(fake, "/ari/asterisk/info", &status);
    cr_assert_lt(strlen(body), 2000);
    free(body);
    test_stop(&fake);
}

Test(fake_rest_faults, floods_with_headers)
{
    enum { BYTES = 1000000 };
    struct fake *fake = test_start(NULL);
    int status = 0;
    fake_do(fake, "rest-flood asterisk/info");
    struct client *client = client_connect(fake->port);
    send_request(client, "GET", "asterisk/info");
    expect_bytes(client, "HTTP/1.1 200 OK\r\nX-Flood: ");
    const uint8_t *bytes = client_read_bytes(client, BYTES);
    cr_assert_not_null(bytes);
    cr_assert_null(memmem(bytes, BYTES, "\r\n\r\n", 4), "the head has ended");
    client_destroy(&client);
    fake_do(fake, "rest-flood asterisk/info off");
    free(test_get(fake, "/ari/asterisk/info", &status));
    cr_assert_eq(status, 200);
    test_stop(&fake);
}

Test(fake_rest_faults, closes_idle_connections)
{
    struct fake *fake = test_start(NULL);
    struct client_response response;
    static const char request[] = "GET /ari/asterisk/ping HTTP/1.1\r\nHost: x\r\n"
                                  "Authorization: Basic bGFiOnNlY3JldA==\r\n\r\n";
    fake_do(fake, "rest-idle-ms 300");
    struct client *client = client_connect(fake->port);
    for (int i = 0; i < 3; i++) { /* it is kept between requests */
        client_request(client, request, &response);
        client_response_free(&response);
    }
    cr_assert(client_is_silent(client, 50));
    cr_assert(client_is_at_end(client));
    client_destroy(&client);
    test_stop(&fake);
}
