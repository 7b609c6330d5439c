/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Requests for history that take the running daemon more than a turn, and so wait for each other:
 * each has one reply, whatever happens meanwhile.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "flow/history_stage.h"

enum { ASKED = 60, SCANNED_EVENTS_MIN = 40000 };

TestSuite(history_waiting, .timeout = 900);

/* Enough for a scan of many turns. */
static void fill(struct history_stage *stage)
{
    fake_do(stage->fake, "play %s/calls-1000-app.jsonl app=replay loop=3", CAPTURES_DIR);
    const char *end = fake_await_event(stage->fake, "play ", FLOW_TIMEOUT_MS);
    uint64_t frames = (uint64_t)fake_number(end, "frames");
    cr_assert_geq(frames, SCANNED_EVENTS_MIN);
    scene_await_metric(stage->daemon, "arizmq_seq", frames + 1);
    cr_assert_geq(scene_metric(stage->daemon, "arizmq_history_events"), SCANNED_EVENTS_MIN);
}

static void *ask_many(struct history_stage *stage, void *context, int timeout_ms)
{
    void *socket = zmq_socket(context, ZMQ_DEALER);
    int wait = FLOW_TIMEOUT_MS;
    int none = 0;
    zmq_setsockopt(socket, ZMQ_RCVTIMEO, &wait, sizeof wait);
    zmq_setsockopt(socket, ZMQ_LINGER, &none, sizeof none);
    cr_assert_eq(zmq_connect(socket, stage->daemon->gateway_endpoint), 0);
    for (int i = 0; i < ASKED; i++) {
        char text[256];
        int length = snprintf(text, sizeof text,
                              "{\"method\":\"GET\",\"uri\":\"arizmq/history?prefix=none\","
                              "\"request_id\":\"%d\",\"timeout_ms\":%d}",
                              i, timeout_ms);
        cr_assert_eq(zmq_send(socket, text, (size_t)length, 0), length);
    }
    return socket;
}

/* Each request has one reply. Counts those with `status`; all others are 200. */
static int count_replies(void *socket, int status)
{
    bool is_answered[ASKED] = {false};
    int count = 0;
    for (int i = 0; i < ASKED; i++) {
        char header[1024];
        char body[1024];
        int length = zmq_recv(socket, header, sizeof header, 0);
        cr_assert_gt(length, 0, "reply %d: %s", i, zmq_strerror(zmq_errno()));
        cr_assert_geq(zmq_recv(socket, body, sizeof body, 0), 0);
        json_t *json = json_loadb(header, (size_t)length, 0, NULL);
        int id = atoi(json_string_value(json_object_get(json, "request_id")));
        int code = (int)json_integer_value(json_object_get(json, "status_code"));
        cr_assert(code == 200 || code == status, "%.*s", length, header);
        cr_assert_not(is_answered[id]);
        is_answered[id] = true;
        count += code == status;
        json_decref(json);
    }
    char more[16];
    cr_assert_eq(zmq_recv(socket, more, sizeof more, ZMQ_DONTWAIT), -1);
    return count;
}

Test(history_waiting, who_waits_too_long_is_told)
{
    struct history_stage stage = {0};
    void *context = zmq_ctx_new();
    history_stage_open(&stage, "max_bytes: 67108864");
    fill(&stage);
    void *socket = ask_many(&stage, context, 1);
    cr_assert_gt(count_replies(socket, 429), 0, "all were answered within a millisecond");
    zmq_close(socket);
    socket = ask_many(&stage, context, FLOW_TIMEOUT_MS);
    cr_assert_eq(count_replies(socket, 429), 0);
    zmq_close(socket);
    zmq_ctx_term(context);
    history_stage_close(&stage);
}

Test(history_waiting, no_more_wait_than_may)
{
    struct history_stage stage = {.max_requests = 20};
    void *context = zmq_ctx_new();
    history_stage_open(&stage, "max_bytes: 67108864");
    fill(&stage);
    void *socket = ask_many(&stage, context, FLOW_TIMEOUT_MS);
    int refused = count_replies(socket, 429);
    cr_assert_gt(refused, 0);
    cr_assert_leq(refused, ASKED - 20);
    zmq_close(socket);
    zmq_ctx_term(context);
    history_stage_close(&stage);
}

Test(history_waiting, who_waits_is_answered_before_the_daemon_stops)
{
    struct history_stage stage = {0};
    void *context = zmq_ctx_new();
    history_stage_open(&stage, "max_bytes: 67108864");
    fill(&stage);
    void *socket = ask_many(&stage, context, FLOW_TIMEOUT_MS);
    scene_await_metric(stage.daemon, "arizmq_gateway_requests_total", ASKED);
    scene_stop_daemon(&stage.daemon);
    count_replies(socket, 503);
    zmq_close(socket);
    zmq_ctx_term(context);
    history_stage_close(&stage);
}
