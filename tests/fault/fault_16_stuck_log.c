/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Fault 16: whoever reads the daemon's stderr has stopped reading. The log loses lines, and says
 * how many; events, heartbeats and the stop do not wait for it.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "fault.h"
#include "harness/fake.h"

TestSuite(fault_16, .timeout = 120);

/* A dump of the metrics is over 10 kB, a pipe takes 64: the harness reads stderr only when asked.
 */
enum { DUMPS = 20 };

static void receive_until(struct subscriber *subscriber, const char *topic)
{
    for (;;) {
        struct subscriber_message message;
        cr_assert_eq(subscriber_receive(subscriber, HARNESS_TIMEOUT_MS, &message), 0, "no %s",
                     topic);
        bool is_it = strncmp(message.topic, topic, strlen(topic)) == 0;
        subscriber_message_clear(&message);
        if (is_it) {
            return;
        }
    }
}

Test(fault_16, nothing_waits_for_the_log)
{
    struct fake *asterisk = fake_start_asterisk(NULL);
    struct daemon_options options = {
        .nodes = {{.name = "pbx1", .port = asterisk->port, .apps = "ivr"}}};
    struct daemon *daemon = daemon_start(&options);
    cr_assert_not_null(daemon);
    struct subscriber *subscriber = subscriber_create(daemon->events_endpoint, "");
    cr_assert_not_null(subscriber);
    fake_await_event(asterisk, "connected", HARNESS_TIMEOUT_MS);
    cr_assert_eq(subscriber_join(subscriber, HARNESS_TIMEOUT_MS), 0);
    for (int i = 0; i < DUMPS; i++) {
        process_signal(daemon->process, SIGUSR1);
        receive_until(subscriber, "ArizmqHeartbeat/"); /* so that each signal is taken by itself */
    }
    fake_do(asterisk, "send {\"type\":\"StasisStart\",\"application\":\"ivr\"}");
    receive_until(subscriber, "StasisStart/ivr/pbx1/-/");
    receive_until(subscriber, "ArizmqHeartbeat/");
    process_signal(daemon->process, SIGTERM);
    receive_until(subscriber, "ArizmqStopping/");
    cr_assert_eq(process_wait(daemon->process, HARNESS_TIMEOUT_MS), 0);

    /* The pipe was full, or this test has shown nothing. */
    cr_assert_lt(process_count_lines(daemon->process, PROCESS_STDERR, process_line_begins_with,
                                     "# HELP arizmq_events_total"),
                 DUMPS);
    subscriber_destroy(&subscriber);
    daemon_stop(&daemon, HARNESS_TIMEOUT_MS);
    fake_stop(&asterisk);
}
