/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Sets the stage for the flow tests. Every function waits for what it says and fails the test when
 * that does not come; none of them waits for a time to pass.
 */
#include "scene.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arizmq/error.h"
#include "arizmq/gaps.h"

/* Whose log a failing test shows. */
static struct daemon *running;

/* Writes to the test's stderr what the daemon said and whether it still lives. */
static void show_daemon(void)
{
    if (!running) {
        return;
    }
    int status = process_wait(running->process, 0);
    process_dump(running->process);
    if (status == ARIZMQ_ENOTFOUND) {
        fprintf(stderr, "the daemon runs\n");
    } else {
        fprintf(stderr, "the daemon has ended with status %d\n", status);
    }
}

struct daemon *scene_start_daemon(const char *format, ...)
{
    char *config = NULL;
    va_list arguments;
    va_start(arguments, format);
    cr_assert_gt(vasprintf(&config, format, arguments), 0);
    va_end(arguments);
    struct daemon *daemon = daemon_start(&(struct daemon_options){.config = config});
    cr_assert_not_null(daemon);
    free(config);
    if (!daemon_await_log(daemon, "view_bound", NULL, FLOW_TIMEOUT_MS)) {
        process_dump(daemon->process);
        cr_assert_fail("the daemon did not bind its views");
    }
    running = daemon;
    return daemon;
}

void scene_stop_daemon(struct daemon **daemon)
{
    running = NULL;
    cr_assert_eq(daemon_stop(daemon, FLOW_TIMEOUT_MS), 0);
}

struct subscriber *scene_subscribe(const char *endpoint)
{
    struct subscriber *subscriber = subscriber_create(endpoint, "");
    cr_assert_not_null(subscriber);
    return subscriber;
}

struct subscriber *scene_subscribe_and_join(const char *endpoint)
{
    struct subscriber *subscriber = scene_subscribe(endpoint);
    cr_assert_eq(subscriber_join(subscriber, FLOW_TIMEOUT_MS), ARIZMQ_OK, "nothing came from %s",
                 endpoint);
    return subscriber;
}

struct fake *scene_start_deaf_fake(void)
{
    struct fake *fake = fake_start_asterisk(NULL);
    cr_assert_not_null(fake);
    fake_do(fake, "stop-listening");
    return fake;
}

void scene_let_connect(struct fake *fake, unsigned links)
{
    fake_do(fake, "listen");
    for (unsigned i = 0; i < links; i++) {
        cr_assert_not_null(fake_await_event(fake, "connected ", FLOW_TIMEOUT_MS),
                           "link %u of %u did not connect", i + 1, links);
    }
}

void scene_receive(struct subscriber *subscriber, struct subscriber_message *out)
{
    int result = subscriber_receive(subscriber, FLOW_TIMEOUT_MS, out);
    if (result != ARIZMQ_OK) {
        show_daemon();
    }
    cr_assert_eq(result, ARIZMQ_OK, "no message came (%d)", result);
}

void scene_await_quiet(struct subscriber *subscriber, struct stream *stream, uint64_t seq)
{
    for (bool is_quiet = false; !is_quiet;) {
        struct subscriber_message message;
        scene_receive(subscriber, &message);
        stream_check(stream, &message);
        is_quiet = arizmq_gaps_is_heartbeat(&message.stamp) && message.stamp.seq >= seq;
        cr_assert(strstr(message.event, "\"type\":\"Arizmq") != NULL, "one too many: %s %s",
                  message.topic, message.event);
        subscriber_message_clear(&message);
    }
}

uint64_t scene_metric(struct daemon *daemon, const char *name)
{
    static const char last[] = "# EOF";
    char prefix[128];
    snprintf(prefix, sizeof prefix, "%s ", name);
    cr_assert_eq(process_signal(daemon->process, SIGUSR1), ARIZMQ_OK);
    const char *end = process_await_line(daemon->process, PROCESS_STDERR, process_line_begins_with,
                                         last, FLOW_TIMEOUT_MS);
    cr_assert_not_null(end, "no dump of the metrics came");
    /* What earlier dumps said was handed out with them, but for the last. */
    const char *value = NULL;
    for (const char *line = value; line || !value;) {
        line = process_await_line(daemon->process, PROCESS_STDERR, process_line_begins_with, prefix,
                                  0);
        value = line ? line : value;
        cr_assert(line || value, "no metric %s", name);
    }
    return strtoull(value + strlen(prefix), NULL, 10);
}

void scene_await_metric(struct daemon *daemon, const char *name, uint64_t wanted)
{
    int64_t deadline = harness_now_ms() + FLOW_TIMEOUT_MS;
    for (uint64_t value; (value = scene_metric(daemon, name)) < wanted;) {
        cr_assert_lt(harness_now_ms(), deadline, "%s is %llu, not %llu", name,
                     (unsigned long long)value, (unsigned long long)wanted);
        usleep(10000);
    }
}
