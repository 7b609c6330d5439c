/* SPDX-License-Identifier: MPL-2.0 */
/*
 * fault_proxy between a plain client and fake_asterisk.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "test_support.h"

static struct fake *fake;
static struct fake *proxy;
static struct client *client;

static void open_through_proxy(void)
{
    fake = test_start(NULL);
    proxy = fake_start_proxy(fake->port);
    cr_assert_not_null(proxy);
    client = client_open(proxy->port, TARGET);
    cr_assert_not_null(fake_await_event(proxy, "connected id=1", 20000));
}

static void close_all(void)
{
    client_destroy(&client);
    test_stop(&proxy);
    test_stop(&fake);
}

TestSuite(fault_proxy, .init = open_through_proxy, .fini = close_all, .timeout = 120);

Test(fault_proxy, forwards_both_ways_and_the_end)
{
    struct frame frame;
    client_send_frame(client, true, FRAME_PING, "x", 1);
    cr_assert(client_read_frame(client, &frame));
    cr_assert_eq(frame.opcode, FRAME_PONG);
    fake_do(fake, "big 1000000");
    char *text = client_read_text(client);
    cr_assert_eq(strlen(text), 1000000);
    free(text);
    const char *stats = fake_do(proxy, "stats");
    cr_assert_eq(fake_number(stats, "connections"), 1);
    cr_assert_gt(fake_number(stats, "up_bytes"), 100);
    cr_assert_gt(fake_number(stats, "down_bytes"), 1000000);
    fake_do(fake, "fin");
    cr_assert(client_is_at_end(client));
}

Test(fault_proxy, delays_one_direction)
{
    fake_do(proxy, "delay down 1500");
    int64_t start = harness_now_ms();
    fake_do(fake, "send {}");
    /* The other direction overtakes it. */
    client_send_frame(client, true, FRAME_PONG, "", 0);
    cr_assert_not_null(fake_await_event(fake, "frame", 1500));
    cr_assert(client_is_silent(client, 0));
    test_expect_text(client, "{}");
    cr_assert_geq(harness_now_ms() - start, 1500);
    fake_do(proxy, "clear");
    start = harness_now_ms();
    fake_do(fake, "send {}");
    test_expect_text(client, "{}");
    cr_assert_lt(harness_now_ms() - start, 1500);
}

Test(fault_proxy, slices_writes)
{
    fake_do(proxy, "slice down 7");
    fake_do(fake, "big 1000");
    char byte;
    cr_assert_eq(recv(client->fd, &byte, 1, MSG_PEEK), 1);
    char *text = client_read_text(client);
    cr_assert_eq(strlen(text), 1000);
    free(text);
    cr_assert_eq(fake_number(fake_do(proxy, "stats"), "connections"), 1);
}

Test(fault_proxy, stalls_and_resumes)
{
    fake_do(proxy, "stall");
    fake_do(fake, "send {}");
    cr_assert(client_is_silent(client, 100));
    fake_do(proxy, "resume");
    test_expect_text(client, "{}");
}

Test(fault_proxy, resets)
{
    cr_assert_eq(fake_number(fake_do(proxy, "reset"), "connections"), 1);
    char byte;
    cr_assert_eq(recv(client->fd, &byte, 1, 0), -1);
    cr_assert_eq(errno, ECONNRESET);
    cr_assert_not_null(fake_await_event(proxy, "closed id=1 why=reset", 20000));
    cr_assert_not_null(fake_await_event(fake, "closed id=1", 20000));
}

Test(fault_proxy, truncates_and_closes)
{
    fake_do(proxy, "truncate down 3");
    fake_do(fake, "send {\"a\":1}");
    cr_assert_arr_eq(client_read_bytes(client, 3), "\x81\x07{", 3);
    cr_assert(client_is_at_end(client));
    cr_assert_not_null(fake_await_event(proxy, "closed id=1 why=truncated", 20000));
}

Test(fault_proxy, truncates_and_holds)
{
    fake_do(proxy, "truncate-hold down 3");
    fake_do(fake, "send {\"a\":1}");
    cr_assert_arr_eq(client_read_bytes(client, 3), "\x81\x07{", 3);
    cr_assert(client_is_silent(client, 100));
    fake_do(fake, "fin");
    cr_assert(client_is_silent(client, 100));
    cr_assert_eq(fake_number(fake_do(proxy, "stats"), "connections"), 1);
}

Test(fault_proxy, swallows_everything_and_the_end)
{
    fake_do(proxy, "black-hole");
    fake_do(fake, "send {}");
    client_send_frame(client, true, FRAME_PING, "", 0);
    fake_do(fake, "fin");
    cr_assert(client_is_silent(client, 100));
    cr_assert_eq(fake_count_events(fake, "frame"), 0);
    /* A new connection is taken and never answered. */
    struct client *next = client_connect(proxy->port);
    client_send(next, "GET / HTTP/1.1\r\n\r\n", 18);
    cr_assert_not_null(fake_await_event(proxy, "connected id=2", 20000));
    cr_assert(client_is_silent(next, 100));
    client_destroy(&next);
}

Test(fault_proxy, refuses_until_cleared)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(proxy->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    fake_do(proxy, "refuse");
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof address), -1);
    cr_assert_eq(errno, ECONNREFUSED);
    fake_do(fake, "send {}");
    test_expect_text(client, "{}");
    fake_do(proxy, "clear");
    struct client *next = client_open(proxy->port, "/ari/events?app=next");
    client_destroy(&next);
}

Test(fault_proxy, resets_clients_when_the_target_is_away)
{
    fake_do(fake, "stop-listening");
    struct client *next = client_connect(proxy->port);
    cr_assert(client_is_at_end(next));
    cr_assert_not_null(fake_await_event(proxy, "closed id=2 why=target-unreachable", 20000));
    client_destroy(&next);
}

Test(fault_proxy, answers_bad_commands_with_an_error)
{
    static const char *const commands[] = {
        "sing", "delay", "delay down", "delay sideways 3", "slice x", "stall sideways", ""};
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        const char *answer = fake_command(proxy, "%s", commands[i]);
        cr_assert_not_null(answer);
        cr_assert_eq(strncmp(answer, "error ", 6), 0, "\"%s\": %s", commands[i], answer);
    }
}
