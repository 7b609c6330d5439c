/* SPDX-License-Identifier: MPL-2.0 */
/*
 * daemon.h with a stand-in for the daemon: a shell that logs its configuration as
 * lines of the daemon's log and ends on SIGTERM with a status of its own.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arizmq/error.h"
#include "harness/daemon.h"

static char stand_in[] = "/tmp/arizmq-standin-XXXXXX";

static void stand_in_write(void)
{
    static const char script[] =
        "#!/bin/sh\n"
        "trap 'echo \"2026-11-23T14:35:01.160Z info stopped: bye\" >&2; exit 5' TERM\n"
        "[ \"$1\" = -c ] || exit 9\n"
        "while IFS= read -r line; do\n"
        "  echo \"2026-11-23T14:35:01.160Z info config: $line\" >&2\n"
        "done < \"$2\"\n"
        "echo \"2026-11-23T14:35:01.160Z info started: $3\" >&2\n"
        "while :; do sleep 0.05; done\n";
    int fd = mkstemp(stand_in);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, script, sizeof script - 1), (ssize_t)sizeof script - 1);
    fchmod(fd, 0700);
    close(fd);
}

static void stand_in_remove(void)
{
    unlink(stand_in);
}

TestSuite(daemon, .init = stand_in_write, .fini = stand_in_remove, .timeout = 60);

Test(daemon, is_given_its_configuration_and_stopped)
{
    static const char *const arguments[] = {"--more", NULL};
    struct daemon_options options = {
        .nodes = {{.name = "pbx1", .port = 8088, .apps = "ivr", .subscribe_all = true},
                  {.name = "pbx2",
                   .url = "ws://[::1]:1/ari",
                   .apps = "a, b",
                   .extra = "    liveness_ms: 1000\n"}},
        .extra = "heartbeat_ms: 100\n",
        .program = stand_in,
        .arguments = arguments};
    struct daemon *daemon = daemon_start(&options);
    cr_assert_not_null(daemon);
    cr_assert_not_null(daemon_await_log(daemon, "started", "--more", HARNESS_TIMEOUT_MS));
    static const char *const lines[] = {
        "url: ws://127.0.0.1:8088/ari",
        "username: lab",
        "password: secret",
        "apps: [ivr]",
        "subscribe_all: true",
        "url: ws://[::1]:1/ari",
        "apps: [a, b]",
        "liveness_ms: 1000",
        "heartbeat_ms: 100",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        cr_assert_not_null(daemon_await_log(daemon, "config", lines[i], 0), "%s", lines[i]);
    }
    cr_assert_not_null(daemon_await_log(daemon, "config", daemon->events_endpoint, 0));
    cr_assert_not_null(daemon_await_log(daemon, "config", daemon->gateway_endpoint, 0));
    cr_assert_null(daemon_await_log(daemon, "conf", NULL, 0));
    cr_assert_eq(daemon_count_log(daemon, "started"), 1);
    char directory[64];
    snprintf(directory, sizeof directory, "%s", daemon->directory);
    cr_assert_eq(access(directory, F_OK), 0);
    cr_assert_eq(daemon_stop(&daemon, HARNESS_TIMEOUT_MS), 5);
    cr_assert_null(daemon);
    cr_assert_neq(access(directory, F_OK), 0);
}

Test(daemon, takes_a_whole_configuration)
{
    struct daemon_options options = {.config = "a: DIR/x\nb: DIR/y\n", .program = stand_in};
    struct daemon *daemon = daemon_start(&options);
    char expected[128];
    snprintf(expected, sizeof expected, "a: %s/x", daemon->directory);
    cr_assert_not_null(daemon_await_log(daemon, "config", expected, HARNESS_TIMEOUT_MS));
    snprintf(expected, sizeof expected, "b: %s/y", daemon->directory);
    cr_assert_not_null(daemon_await_log(daemon, "config", expected, HARNESS_TIMEOUT_MS));
    snprintf(expected, sizeof expected, "gateway: {endpoint: \"ipc://%s/gateway\"}",
             daemon->directory);
    cr_assert_not_null(daemon_await_log(daemon, "config", expected, HARNESS_TIMEOUT_MS));
    cr_assert_eq(daemon_stop(&daemon, HARNESS_TIMEOUT_MS), 5);
}

Test(daemon, leaves_the_gateway_to_a_test_that_says_what_it_is)
{
    const struct daemon_options options[] = {
        {.config = "a: b\ngateway: {enabled: false}\n", .program = stand_in},
        {.nodes = {{.name = "pbx1", .port = 1, .apps = "ivr"}},
         .extra = "gateway: {enabled: false}\n",
         .program = stand_in}};
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        struct daemon *daemon = daemon_start(&options[i]);
        cr_assert_not_null(daemon_await_log(daemon, "started", NULL, HARNESS_TIMEOUT_MS));
        cr_assert_not_null(daemon_await_log(daemon, "config", "gateway: {enabled: false}", 0));
        cr_assert_null(daemon_await_log(daemon, "config", "gateway: {endpoint", 0));
        cr_assert_eq(daemon_stop(&daemon, HARNESS_TIMEOUT_MS), 5);
    }
}
