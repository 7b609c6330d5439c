/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What the script can let a WebSocket of fake_asterisk do.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "test_support.h"

TestSuite(fake_faults, .timeout = 120);

Test(fake_faults, reports_every_control_frame_and_answers_as_asterisk)
{
    struct fake *fake = test_start(NULL);
    struct client *client = client_open(fake->port, TARGET);
    struct frame frame;
    client_send_frame(client, true, FRAME_PING, "echo", 4);
    cr_assert(client_read_frame(client, &frame));
    cr_assert_eq(frame.opcode, FRAME_PONG);
    cr_assert_arr_eq(frame.payload, "echo", 4);
    client_send_frame(client, true, FRAME_PONG, "unasked", 7);
    cr_assert_not_null(fake_await_event(fake, "frame id=1 opcode=9 length=4", 20000));
    cr_assert_not_null(fake_await_event(fake, "frame id=1 opcode=10 length=7", 20000));
    fake_do(fake, "ping are you there");
    cr_assert(client_read_frame(client, &frame));
    cr_assert_eq(frame.opcode, FRAME_PING);
    cr_assert_eq(frame.length, 13);
    client_send_frame(client, true, FRAME_CLOSE, "\x0f\xa1", 2);
    test_expect_close(client, 4001);
    cr_assert(client_is_at_end(client));
    cr_assert_not_null(fake_await_event(fake, "closed id=1 app=ivr code=4001", 20000));
    const char *stats = fake_do(fake, "stats");
    cr_assert_eq(fake_number(stats, "pong"), 1);
    cr_assert_eq(fake_number(stats, "close"), 1);
    cr_assert_eq(fake_number(stats, "connections"), 0);
    client_destroy(&client);
    test_stop(&fake);
}

Test(fake_faults, refuses_what_asterisk_refuses)
{
    static const char big[65530];
    struct fake *fake = test_start(NULL);
    struct client *client = client_open(fake->port, TARGET);
    client_send_frame(client, true, 3, "", 0);
    test_expect_close(client, 1003);
    cr_assert(client_is_at_end(client));
    client_destroy(&client);
    client = client_open(fake->port, TARGET);
    client_send_frame(client, true, FRAME_TEXT, big, sizeof big);
    test_expect_close(client, 1009);
    client_destroy(&client);
    client = client_open(fake->port, TARGET);
    client_send_frame(client, true, FRAME_BINARY, "{}", 2);
    cr_assert_not_null(fake_await_event(fake, "binary id=3 length=2 ignored", 20000));
    client_send_frame(client, false, FRAME_TEXT, "{\"type\":", 8);
    client_send_frame(client, true, FRAME_CONTINUATION, "\"x\"}", 4);
    char *answer = client_read_text(client);
    cr_assert_not_null(strstr(answer, "Unknown request type."));
    free(answer);
    client_destroy(&client);
    test_stop(&fake);
}

Test(fake_faults, sends_texts_raw_bytes_and_fragments)
{
    struct fake *fake = test_start(NULL);
    struct client *client = client_open(fake->port, TARGET);
    struct frame frame;
    fake_do(fake, "send app=ivr {\"a\": \"b c\"}");
    test_expect_text(client, "{\"a\": \"b c\"}");
    fake_do(fake, "send-hex c1 02 68 69");
    cr_assert_arr_eq(client_read_bytes(client, 4), "\xc1\x02hi", 4);
    fake_do(fake, "fragment 3 {\"ab\":1}");
    cr_assert(client_read_frame(client, &frame));
    cr_assert(!frame.is_final && frame.opcode == FRAME_TEXT && frame.length == 3);
    cr_assert(client_read_frame(client, &frame));
    cr_assert(frame.is_final && frame.opcode == FRAME_CONTINUATION && frame.length == 5);
    cr_assert_arr_eq(frame.payload, "b\":1}", 5);
    fake_do(fake, "fragment-every abc");
    for (size_t i = 0; i < 3; i++) {
        cr_assert(client_read_frame(client, &frame));
        cr_assert_eq(frame.is_final, i == 2);
        cr_assert_eq(frame.opcode, i == 0 ? FRAME_TEXT : FRAME_CONTINUATION);
        cr_assert(frame.length == 1 && frame.payload[0] == "abc"[i]);
    }
    fake_do(fake, "fragment-with-ping 1 abc");
    static const unsigned opcodes[] = {FRAME_TEXT, FRAME_PING, FRAME_CONTINUATION};
    for (size_t i = 0; i < 3; i++) {
        cr_assert(client_read_frame(client, &frame));
        cr_assert_eq(frame.opcode, opcodes[i]);
    }
    fake_do(fake, "big 100000");
    char *text = client_read_text(client);
    cr_assert_eq(strlen(text), 100000);
    cr_assert_eq(strncmp(text, "{\"type\":\"ChannelUserevent\"", 26), 0);
    cr_assert_str_eq(text + 100000 - 20, "\"application\":\"ivr\"}");
    free(text);
    client_destroy(&client);
    test_stop(&fake);
}

Test(fake_faults, answers_bad_commands_with_an_error)
{
    static const char *const commands[] = {
        "sing",
        "send app=none x",
        "send-hex 1",
        "send-hex zz",
        "big 10",
        "big many",
        "cut",
        "close 99999",
        "status x",
        "status 500 pdf",
        "replace x",
        "remove",
        "precreate",
        "listen",
        "play /nonexistent",
        "play",
        "stop-play",
        "rest-status x y",
        "",
    };
    struct fake *fake = test_start(NULL);
    struct client *client = client_open(fake->port, TARGET);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        const char *answer = fake_command(fake, "%s", commands[i]);
        cr_assert_not_null(answer);
        cr_assert_eq(strncmp(answer, "error ", 6), 0, "\"%s\": %s", commands[i], answer);
    }
    cr_assert(client_is_silent(client, 0));
    client_destroy(&client);
    test_stop(&fake);
}

Test(fake_faults, ends_connections_in_every_way)
{
    struct fake *fake = test_start(NULL);
    struct client *client = client_open(fake->port, TARGET);
    fake_do(fake, "close 1001 going");
    struct frame frame;
    cr_assert(client_read_frame(client, &frame));
    cr_assert_eq(frame.opcode, FRAME_CLOSE);
    cr_assert_arr_eq(frame.payload, "\x03\xe9going", 7);
    client_send_frame(client, true, FRAME_CLOSE, "\x03\xe9", 2);
    cr_assert(client_is_at_end(client));
    cr_assert_not_null(fake_await_event(fake, "closed id=1 app=ivr code=1001", 20000));
    client_destroy(&client);

    client = client_open(fake->port, TARGET);
    fake_do(fake, "send last");
    fake_do(fake, "fin");
    test_expect_text(client, "last");
    errno = 0;
    cr_assert(client_is_at_end(client));
    cr_assert_neq(errno, ECONNRESET);
    client_destroy(&client);

    client = client_open(fake->port, TARGET);
    fake_do(fake, "rst");
    char byte;
    cr_assert_eq(recv(client->fd, &byte, 1, 0), -1);
    cr_assert_eq(errno, ECONNRESET);
    client_destroy(&client);

    client = client_open(fake->port, TARGET);
    struct client *other = client_open(fake->port, "/ari/events?app=other");
    cr_assert_eq(fake_number(fake_do(fake, "drop-all"), "connections"), 2);
    cr_assert(client_is_at_end(client) && client_is_at_end(other));
    client_destroy(&client);
    client_destroy(&other);
    test_stop(&fake);
}

/* The frame is announced, cut off, and a close frame stands where its payload should go on. */
static struct client *open_and_cut(struct fake *fake, size_t at)
{
    struct client *client = client_open(fake->port, TARGET_ALL);
    size_t length = (size_t)fake_number(fake_do(fake, "cut %zu", at), "length");
    const uint8_t *header = client_read_bytes(client, 4);
    cr_assert_eq(header[0], 0x81);
    cr_assert_eq(header[1], 126);
    cr_assert_eq((size_t)header[2] << 8 | header[3], length);
    cr_assert_gt(length, at + 4);
    cr_assert_eq(strncmp((const char *)client_read_bytes(client, at), "{\"type\":", 8), 0);
    cr_assert_arr_eq(client_read_bytes(client, 4), "\x88\x02\x03\xf3", 4);
    return client;
}

Test(fake_faults, is_half_dead_after_a_cut_until_the_client_speaks)
{
    struct fake *fake = test_start(NULL);
    struct client *client = open_and_cut(fake, 100);
    cr_assert(client_is_silent(client, 100));
    test_expect_application(fake, "ivr", 200);
    client_send_text(client, "{}");
    cr_assert(client_is_at_end(client));
    test_expect_application(fake, "ivr", 404);
    client_destroy(&client);

    client = open_and_cut(fake, 10);
    client_send_frame(client, true, FRAME_CLOSE, "\x03\xe8", 2);
    cr_assert(client_is_at_end(client));
    client_destroy(&client);

    client = open_and_cut(fake, 10);
    client_destroy(&client);
    cr_assert_not_null(fake_await_event(fake, "closed id=3", 20000));
    test_expect_application(fake, "ivr", 404);
    test_stop(&fake);
}

Test(fake_faults, is_stuck_for_good_when_half_dead_and_pinged)
{
    struct fake *fake = test_start(NULL);
    struct client *client = open_and_cut(fake, 100);
    client_send_frame(client, true, FRAME_PING, "", 0);
    cr_assert_not_null(fake_await_event(fake, "stuck id=1", 20000));
    client_send_text(client, "{}");
    cr_assert(client_is_silent(client, 100));
    shutdown(client->fd, SHUT_WR);
    cr_assert(client_is_silent(client, 100));
    test_expect_application(fake, "ivr", 200);
    /* A new connection takes the application over, and its end removes it. */
    struct client *next = client_open(fake->port, TARGET_ALL);
    cr_assert_not_null(fake_await_event(fake, "replaced id=1 app=ivr", 20000));
    client_send_frame(next, true, FRAME_CLOSE, "\x03\xe8", 2);
    test_expect_close(next, 1000);
    cr_assert(client_is_at_end(next));
    test_expect_application(fake, "ivr", 404);
    client_destroy(&next);
    client_destroy(&client);
    test_stop(&fake);
}

Test(fake_faults, stalls_both_ways_and_resumes)
{
    struct fake *fake = test_start(NULL);
    struct client *client = client_open(fake->port, TARGET);
    char request[128];
    snprintf(request, sizeof request, PING_REQUEST, 1);
    fake_do(fake, "stall");
    client_send_text(client, request);
    fake_do(fake, "send {}");
    cr_assert(client_is_silent(client, 100));
    fake_do(fake, "resume");
    test_expect_text(client, "{}");
    char *answer = client_read_text(client);
    cr_assert_not_null(strstr(answer, "\"request_id\":\"1\""));
    free(answer);
    client_destroy(&client);
    test_stop(&fake);
}

Test(fake_faults, answers_rest_in_order_after_the_delay)
{
    struct fake *fake = test_start(NULL);
    struct client *client = client_open(fake->port, TARGET);
    fake_do(fake, "rest-delay 60");
    int64_t start = harness_now_ms();
    for (int i = 0; i < 3; i++) {
        char request[128];
        snprintf(request, sizeof request, PING_REQUEST, i);
        client_send_text(client, request);
    }
    for (int i = 0; i < 3; i++) {
        char expected[64];
        snprintf(expected, sizeof expected, "\"request_id\":\"%d\"", i);
        char *answer = client_read_text(client);
        cr_assert_not_null(strstr(answer, expected));
        free(answer);
        cr_assert_geq(harness_now_ms() - start, 60 * (i + 1));
    }
    int status;
    start = harness_now_ms();
    free(test_get(fake, "/ari/asterisk/ping", &status));
    cr_assert_eq(status, 200);
    cr_assert_geq(harness_now_ms() - start, 60);
    client_destroy(&client);
    test_stop(&fake);
}

Test(fake_faults, answers_rest_with_a_scripted_status)
{
    struct fake *fake = test_start(NULL);
    int status;
    fake_do(fake, "rest-status applications/ 503");
    char *body = test_get(fake, "/ari/applications/ivr", &status);
    cr_assert_eq(status, 503);
    cr_assert_str_eq(body, "{\"message\":\"Service Unavailable\"}");
    free(body);
    free(test_get(fake, "/ari/applications", &status));
    cr_assert_eq(status, 200);
    fake_do(fake, "rest-status applications/ 0");
    test_expect_application(fake, "ivr", 404);
    test_stop(&fake);
}

Test(fake_faults, answers_upgrades_with_a_scripted_status)
{
    struct fake *fake = test_start(NULL);
    static const struct {
        const char *command;
        const char *status_line;
        const char *body_begins;
    } cases[] = {
        {"status 503 html", "HTTP/1.1 503 Service Unavailable", "<!DOCTYPE HTML"},
        {"status 403 json", "HTTP/1.1 403 Forbidden", "{\"message\":\"Forbidden\"}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fake_do(fake, "%s", cases[i].command);
        struct client *client = client_connect(fake->port);
        struct client_response response;
        client_request(client,
                       "GET " TARGET " HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
                       "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                       "Authorization: Basic bGFiOnNlY3JldA==\r\n\r\n",
                       &response);
        cr_assert_str_eq(response.status_line, cases[i].status_line);
        cr_assert_eq(strncmp(response.body, cases[i].body_begins, strlen(cases[i].body_begins)), 0);
        client_response_free(&response);
        client_destroy(&client);
    }
    cr_assert_not_null(fake_await_event(fake, "refused status=503 app=ivr", 20000));
    fake_do(fake, "status 0");
    struct client *client = client_open(fake->port, TARGET);
    client_destroy(&client);
    test_stop(&fake);
}

Test(fake_faults, stops_listening_and_starts_again_on_the_same_port)
{
    struct fake *fake = test_start(NULL);
    struct client *client = client_open(fake->port, TARGET);
    fake_do(fake, "stop-listening");
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    cr_assert_eq(getpeername(client->fd, (struct sockaddr *)&address, &length), 0);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&address, length), -1);
    cr_assert_eq(errno, ECONNREFUSED);
    fake_do(fake, "send {}");
    test_expect_text(client, "{}");
    cr_assert_eq(fake_number(fake_do(fake, "listen"), "port"), fake->port);
    struct client *next = client_open(fake->port, "/ari/events?app=next");
    client_destroy(&next);
    client_destroy(&client);
    test_stop(&fake);
}

Test(fake_faults, ends_with_its_input)
{
    struct fake *fake = test_start(NULL);
    struct client *client = client_open(fake->port, TARGET);
    cr_assert_eq(fake_stop(&fake), 0);
    cr_assert(client_is_at_end(client));
    client_destroy(&client);
}
