/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The bridge's own events, one link's life through: connected, lost in every way that a fake
 * Asterisk can lose it, back with a gap, refused events, another client, the end. What each of them
 * says is held against what happened, and all of them against their schema.
 */
#include <criterion/criterion.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "arizmq/error.h"
#include "flow/scene.h"

enum { MAX_EVENT_BYTES = 4096, SKIP = 77 };

struct life {
    struct fake *fake;
    struct daemon *daemon;
    struct subscriber *subscriber;
    struct stream *stream;
    FILE *own; /* every own event of both views, one in a line */
    char own_path[128];
    long long sent; /* events that the fake sent */
};

/* One of the bridge's own events. */
struct own {
    json_t *json;
    struct arizmq_stamp stamp;
};

static const char *text_of(const struct own *own, const char *member)
{
    const char *text = json_string_value(json_object_get(own->json, member));
    cr_assert_not_null(text, "no string \"%s\"", member);
    return text;
}

/* Milliseconds since 1970. */
static int64_t time_of(const struct own *own, const char *member)
{
    struct tm tm = {0};
    const char *text = text_of(own, member);
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    int ms = -1;
    cr_assert(rest && sscanf(rest, ".%3d+0000", &ms) == 1, "\"%s\" is no time", text);
    return (int64_t)timegm(&tm) * 1000 + ms;
}

static int64_t wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The next message that is no heartbeat; own events go into the file. */
static void life_receive(struct life *life, struct subscriber_message *out)
{
    for (bool is_heartbeat = true; is_heartbeat;) {
        scene_receive(life->subscriber, out);
        stream_check(life->stream, out);
        if (strncmp(out->topic, "Arizmq", strlen("Arizmq")) == 0) {
            fprintf(life->own, "%s\n", out->event);
        }
        is_heartbeat = subscriber_message_is_heartbeat(out);
        if (is_heartbeat) {
            subscriber_message_clear(out);
        }
    }
}

/* The next numbered message has to be this own event. */
static struct own life_expect(struct life *life, const char *type, const char *application)
{
    struct subscriber_message message;
    char topic[128];
    life_receive(life, &message);
    const char *node = strcmp(application, "-") == 0 ? "-" : "pbx1";
    snprintf(topic, sizeof topic, "%s/%s/%s/-/", type, application, node);
    cr_assert_str_eq(message.topic, topic, "instead of %s came %s %s", type, message.topic,
                     message.event);
    struct own own = {json_loadb(message.event, message.event_length, 0, NULL), message.stamp};
    subscriber_message_clear(&message);
    cr_assert_str_eq(text_of(&own, "type"), type);
    cr_assert_str_eq(text_of(&own, "application"), application);
    cr_assert_str_eq(text_of(&own, "node"), node);
    int64_t late_ms = (int64_t)(own.stamp.received_ns / 1000000) - time_of(&own, "timestamp");
    cr_assert(late_ms >= 0 && late_ms < 10000, "made %lld ms before it was numbered",
              (long long)late_ms);
    return own;
}

/* Sends an event and waits until it is through. Returns when it was received, in ms. */
static int64_t life_send(struct life *life)
{
    struct subscriber_message message;
    fake_do(
        life->fake,
        "send {\"type\":\"ChannelHold\",\"application\":\"replay\",\"channel\":{\"id\":\"%lld\"}}",
        ++life->sent);
    life_receive(life, &message);
    cr_assert_eq(strncmp(message.topic, "ChannelHold/", strlen("ChannelHold/")), 0, "%s",
                 message.topic);
    int64_t received_ms = (int64_t)(message.stamp.received_ns / 1000000);
    subscriber_message_clear(&message);
    return received_ms;
}

static int64_t life_expect_disconnected(struct life *life, const char *reason)
{
    struct own own = life_expect(life, "ArizmqNodeDisconnected", "replay");
    cr_assert_str_eq(text_of(&own, "reason"), reason, "\"%s\" (%s) instead of \"%s\"",
                     text_of(&own, "reason"), text_of(&own, "detail"), reason);
    cr_assert_str_not_empty(text_of(&own, "detail"));
    int64_t at_ms = time_of(&own, "timestamp");
    json_decref(own.json);
    return at_ms;
}

/* Connected again, then the gap, which begins between the last event before and the loss, and ends
 * not before the connection was up. */
static void life_expect_back(struct life *life, int64_t last_event_ms, int64_t lost_ms)
{
    struct own own = life_expect(life, "ArizmqNodeConnected", "replay");
    cr_assert(json_is_true(json_object_get(own.json, "reconnect")));
    cr_assert_geq(json_integer_value(json_object_get(own.json, "attempt")), 1);
    int64_t up_ms = time_of(&own, "timestamp");
    json_decref(own.json);
    own = life_expect(life, "ArizmqGap", "replay");
    int64_t from_ms = time_of(&own, "from");
    int64_t to_ms = time_of(&own, "to");
    cr_assert_str_eq(text_of(&own, "reason"), "reconnect");
    cr_assert(last_event_ms <= from_ms && from_ms <= lost_ms && lost_ms <= up_ms &&
                  up_ms <= to_ms && to_ms <= wall_ms(),
              "last event %lld, gap from %lld, lost %lld, up %lld, gap to %lld",
              (long long)last_event_ms, (long long)from_ms, (long long)lost_ms, (long long)up_ms,
              (long long)to_ms);
    json_decref(own.json);
}

static void life_begin(struct life *life)
{
    life->fake = scene_start_deaf_fake();
    life->daemon = scene_start_daemon(
        "nodes:\n"
        "  - {name: pbx1, url: \"ws://127.0.0.1:%u/ari\", username: lab, password: secret,\n"
        "     apps: [replay], backoff_min_ms: 10, backoff_max_ms: 20, liveness_ms: 3000,\n"
        "     replaced_retry_ms: 100}\n" FLOW_PUBLISH
        "heartbeat_ms: 100\nlimits: {max_event_bytes: %d}\n",
        life->fake->port, MAX_EVENT_BYTES);
    strcpy(life->own_path, "/tmp/arizmq-own-XXXXXX");
    int fd = mkstemp(life->own_path);
    cr_assert_geq(fd, 0);
    life->own = fdopen(fd, "w");
    life->stream = stream_create("events", FLOW_EVENTS_TOPIC);
    life->subscriber = scene_subscribe_and_join(life->daemon->events_endpoint);
    /* Some attempts fail before the first that does not. */
    for (int i = 0; i < 3; i++) {
        cr_assert_not_null(
            daemon_await_log(life->daemon, "node_connect_failed", NULL, FLOW_TIMEOUT_MS));
    }
    scene_let_connect(life->fake, 1);
    struct own own = life_expect(life, "ArizmqNodeConnected", "replay");
    cr_assert(json_is_false(json_object_get(own.json, "reconnect")));
    cr_assert_eq(own.stamp.seq, 1);
    cr_assert_eq((size_t)json_integer_value(json_object_get(own.json, "attempt")),
                 daemon_count_log(life->daemon, "node_connect_failed") + 1);
    json_decref(own.json);
}

/* The ways in which a connection is lost, what the fake is told for each, and the reason. */
static void life_lose(struct life *life)
{
    static const struct {
        const char *command;
        const char *reason;
    } losses[] = {
        {"close 1000 bye", "closed_by_peer"},
        {"close 1011", "closed_by_peer"},
        {"fin", "connection_lost"},
        {"rst", "connection_lost"},
        {"stall", "liveness"},
        {"cut 100", "frame_stalled"},
        {"send-hex 83 00", "protocol_error"},             /* a reserved opcode */
        {"send-hex 81 81 00000000 7b", "protocol_error"}, /* a server must not mask */
    };
    for (size_t i = 0; i < sizeof losses / sizeof *losses; i++) {
        int64_t last_event_ms = life_send(life);
        fake_do(life->fake, "%s", losses[i].command);
        int64_t lost_ms = life_expect_disconnected(life, losses[i].reason);
        if (strcmp(losses[i].reason, "liveness") == 0) {
            cr_assert_geq(lost_ms - last_event_ms, 2900, "given up after %lld ms",
                          (long long)(lost_ms - last_event_ms));
        }
        life_expect_back(life, last_event_ms, lost_ms);
    }
}

static void life_expect_refused(struct life *life, const char *limit, json_int_t allowed,
                                json_int_t size)
{
    struct own own = life_expect(life, "ArizmqRefused", "replay");
    cr_assert_str_eq(text_of(&own, "limit"), limit);
    const json_t *value = json_object_get(own.json, "allowed");
    cr_assert(allowed >= 0 ? json_integer_value(value) == allowed : json_is_null(value));
    cr_assert_eq(json_integer_value(json_object_get(own.json, "size")), size);
    json_decref(own.json);
}

static void life_refuse(struct life *life)
{
    life_send(life);
    fake_do(life->fake, "big %d", MAX_EVENT_BYTES + 1);
    life_expect_refused(life, "max_event_bytes", MAX_EVENT_BYTES, MAX_EVENT_BYTES + 1);
    fake_do(life->fake, "big %d", MAX_EVENT_BYTES);
    struct subscriber_message message;
    life_receive(life, &message);
    cr_assert_eq(message.event_length, MAX_EVENT_BYTES);
    subscriber_message_clear(&message);
    int64_t last_event_ms = life_send(life);
    fake_do(life->fake, "send-hex 81 03 22 ff 22");
    life_expect_refused(life, "utf8", -1, 3);
    int64_t lost_ms = life_expect_disconnected(life, "invalid_utf8");
    life_expect_back(life, last_event_ms, lost_ms);
}

/* Another client takes the application: the bridge stays away as long as that one is there, and
 * comes back when it is gone. */
static void life_replace(struct life *life)
{
    struct subscriber_message message;
    int64_t last_event_ms = life_send(life);
    fake_do(life->fake, "replace replay");
    life_receive(life, &message);
    cr_assert_str_eq(message.topic, "ApplicationReplaced/replay/pbx1/-/");
    subscriber_message_clear(&message);
    int64_t lost_ms = life_expect_disconnected(life, "replaced");
    size_t connected = fake_count_events(life->fake, "connected");
    for (int asked = 0; asked < 5; asked++) {
        cr_assert_not_null(fake_await_event(
            life->fake, "rest GET applications/replay via=http status=200", FLOW_TIMEOUT_MS));
    }
    cr_assert_eq(fake_count_events(life->fake, "connected"), connected, "a tug of war");
    cr_assert_eq(scene_metric(life->daemon, "arizmq_links_standby"), 1);
    fake_do(life->fake, "remove replay");
    life_expect_back(life, last_event_ms, lost_ms);
    cr_assert_eq(scene_metric(life->daemon, "arizmq_links_standby"), 0);
}

/* The last numbered event is ArizmqStopping, then a last heartbeat, then nothing. */
static void life_end(struct life *life)
{
    life_send(life);
    cr_assert_eq(process_signal(life->daemon->process, SIGTERM), ARIZMQ_OK);
    life_expect_disconnected(life, "stopping");
    struct own own = life_expect(life, "ArizmqStopping", "-");
    uint64_t last = own.stamp.seq;
    cr_assert_eq((uint64_t)json_integer_value(json_object_get(own.json, "seq")), last - 1);
    cr_assert_eq((uint64_t)json_integer_value(json_object_get(own.json, "epoch")), own.stamp.epoch);
    json_decref(own.json);
    struct subscriber_message message;
    scene_receive(life->subscriber, &message);
    stream_check(life->stream, &message);
    cr_assert(subscriber_message_is_heartbeat(&message), "not the heartbeat: %s", message.topic);
    cr_assert_eq(message.stamp.seq, last);
    subscriber_message_clear(&message);
    cr_assert_eq(process_wait(life->daemon->process, FLOW_TIMEOUT_MS), 0);
    cr_assert_eq(subscriber_receive(life->subscriber, 0, &message), ARIZMQ_ENOTFOUND);
}

/* Returns the status of the script that validates; its output is on the test's stderr then. */
static int life_validate(struct life *life)
{
    fclose(life->own);
    const char *const argv[] = {"/usr/bin/python3",
                                "-B",
                                TEST_SOURCE "/validate_own_events.py",
                                SCHEMAS "/arizmq-events.schema.json",
                                life->own_path,
                                NULL};
    struct process *process = NULL;
    cr_assert_eq(process_start(argv, &process), ARIZMQ_OK);
    int status = process_wait(process, FLOW_TIMEOUT_MS);
    if (status != 0) {
        process_dump(process);
    }
    process_destroy(&process);
    unlink(life->own_path);
    return status;
}

Test(own_events, tell_the_life_of_a_link, .timeout = 900)
{
    struct life life = {0};
    life_begin(&life);
    life_lose(&life);
    life_refuse(&life);
    life_replace(&life);
    life_end(&life);
    int status = life_validate(&life);
    scene_stop_daemon(&life.daemon);
    subscriber_destroy(&life.subscriber);
    stream_destroy(&life.stream);
    fake_stop(&life.fake);
    if (status == SKIP) {
        cr_skip_test("own events against their schema: see above");
    }
    cr_assert_eq(status, 0, "own events do not satisfy their schema");
}

static bool is_step_of_leaving(const char *line, const void *argument)
{
    (void)argument;
    return strncmp(line, "event rest DELETE ", strlen("event rest DELETE ")) == 0 ||
           (strncmp(line, "event frame ", strlen("event frame ")) == 0 &&
            strstr(line, " opcode=8 ") != NULL);
}

/* Closing while device states are on their way can lock an Asterisk up for good. */
Test(own_events, device_states_are_unsubscribed_before_the_close, .timeout = 600)
{
    static const char *const steps[] = {
        "event rest DELETE applications/replay/subscription via=http status=200",
        "event frame id="};
    struct fake *fake = scene_start_deaf_fake();
    struct daemon *daemon =
        scene_start_daemon("nodes:\n" FLOW_NODE ", subscribe_all: true" FLOW_NODE_END FLOW_PUBLISH,
                           "pbx1", fake->port, "replay");
    scene_let_connect(fake, 1);
    cr_assert_not_null(
        fake_await_event(fake, "rest GET applications/replay via=http", FLOW_TIMEOUT_MS));
    cr_assert_eq(process_signal(daemon->process, SIGTERM), ARIZMQ_OK);
    for (int i = 0; i < 2; i++) {
        const char *line = process_await_line(fake->process, PROCESS_STDOUT, is_step_of_leaving,
                                              NULL, FLOW_TIMEOUT_MS);
        cr_assert(line && strncmp(line, steps[i], strlen(steps[i])) == 0, "step %d is \"%s\"",
                  i + 1, line ? line : "missing");
    }
    scene_stop_daemon(&daemon);
    fake_stop(&fake);
}
