/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Bounds that a reload changes under a running bridge: what is beyond a smaller one leaves, and a
 * larger one holds for those who are there.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include <zmq.h>

#include "flow/reload_stage.h"

TestSuite(reload_bounds, .timeout = 900);

static struct stage stage;

/* So many numbered events; returns once the subscriber has all of them. */
static void flood(unsigned events)
{
    uint64_t before = stage.numbers;
    fake_do(stage.fake[0], "flood %u 20000 ivr", events);
    STAGE_UNTIL(&stage, stage.numbers == before + events);
}

/* --- sndhwm */

static uint64_t seq_of(zmq_msg_t *stamp)
{
    const unsigned char *bytes = zmq_msg_data(stamp);
    uint64_t seq = 0;
    for (unsigned i = 8; i < 16; i++) {
        seq = seq << 8 | bytes[i];
    }
    return seq;
}

/* Reads what the socket has, up to a heartbeat that knows of all that the stage's subscriber has
 * got; returns how many numbered events were among it. */
static unsigned read_all(void *socket)
{
    unsigned events = 0;
    bool is_over = false;
    while (!is_over) {
        zmq_msg_t frames[3];
        for (unsigned i = 0; i < 3; i++) {
            zmq_msg_init(&frames[i]);
            cr_assert_geq(zmq_msg_recv(&frames[i], socket, 0), 0, "%s", zmq_strerror(zmq_errno()));
        }
        static const char heartbeat[] = "ArizmqHeartbeat/";
        bool is_heartbeat = zmq_msg_size(&frames[0]) >= sizeof heartbeat - 1 &&
                            memcmp(zmq_msg_data(&frames[0]), heartbeat, sizeof heartbeat - 1) == 0;
        bool is_own = memcmp(zmq_msg_data(&frames[0]), "Arizmq", 6) == 0;
        events += !is_own;
        is_over = is_heartbeat && seq_of(&frames[2]) >= stream_seq(stage.stream);
        for (unsigned i = 0; i < 3; i++) {
            zmq_msg_close(&frames[i]);
        }
        stage_listen(&stage, 0);
    }
    return events;
}

#define WITH_MORE                                                                                  \
    STAGE_A "publish:\n" STAGE_EVENTS                                                              \
            "  - {view: events, endpoint: \"ipc://DIR/more\", sndhwm: %d}\n" STAGE_REST

/* A subscriber that does not read while events come may be as far behind as the mark says that the
 * view began with; another one in the file takes nothing from it, nor from the bridge when it
 * leaves. */
Test(reload_bounds, another_sndhwm_disturbs_nobody)
{
    enum { EVENTS = 20000, SMALL = 50, LARGE = 100000 };
    static const int marks[] = {LARGE, SMALL, LARGE};
    stage_open(&stage, 1);
    stage_start(&stage, STAGE_A "publish:\n" STAGE_EVENTS STAGE_REST, stage.fake[0]->port);
    stage_reload(&stage, WITH_MORE, stage.fake[0]->port, LARGE);
    void *context = zmq_ctx_new();
    void *socket = zmq_socket(context, ZMQ_SUB);
    int one = 1;
    int patience_ms = FLOW_TIMEOUT_MS;
    char endpoint[160];
    snprintf(endpoint, sizeof endpoint, "ipc://%s/more", stage.daemon->directory);
    cr_assert_eq(zmq_setsockopt(socket, ZMQ_RCVHWM, &one, sizeof one), 0);
    cr_assert_eq(zmq_setsockopt(socket, ZMQ_RCVTIMEO, &patience_ms, sizeof patience_ms), 0);
    cr_assert_eq(zmq_setsockopt(socket, ZMQ_SUBSCRIBE, "", 0), 0);
    cr_assert_eq(zmq_connect(socket, endpoint), 0);
    read_all(socket);
    for (unsigned i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        if (i > 0) {
            stage_reload(&stage, WITH_MORE, stage.fake[0]->port, marks[i]);
            read_all(socket);
        }
        flood(EVENTS);
        unsigned events = read_all(socket);
        cr_assert_eq(events, EVENTS, "round %u: %u", i, events);
    }
    zmq_close(socket);
    zmq_ctx_term(context);
    stage_close(&stage);
}

/* --- tables */

#define WITH_BOUNDS STAGE_A "publish:\n" STAGE_EVENTS STAGE_REST "%s\n"

static void expect_at_most(const char *metric, uint64_t most)
{
    STAGE_UNTIL(&stage, scene_metric(stage.daemon, metric) <= most);
}

Test(reload_bounds, counters_beyond_a_smaller_bound_leave)
{
    enum { DEPTHS = 4, COUNTERS = 100 };
    stage_open(&stage, 1);
    stage_start(&stage, WITH_BOUNDS, stage.fake[0]->port, "");
    flood(20000);
    uint64_t before = scene_metric(stage.daemon, "arizmq_counters");
    cr_assert_gt(before, DEPTHS * COUNTERS);
    stream_may_begin_anew(stage.stream);
    stage_reload(&stage, WITH_BOUNDS, stage.fake[0]->port, "limits: {max_counters: 100}");
    expect_at_most("arizmq_counters", DEPTHS * COUNTERS);
    cr_assert_gt(scene_metric(stage.daemon, "arizmq_counters_evicted_total"), 0);
    cr_assert_eq(scene_metric(stage.daemon, "arizmq_counters_max"), COUNTERS);
    stage_reload(&stage, WITH_BOUNDS, stage.fake[0]->port, "");
    flood(20000);
    cr_assert_gt(scene_metric(stage.daemon, "arizmq_counters"), DEPTHS * COUNTERS);
    stage_close(&stage);
}

Test(reload_bounds, history_follows_its_bounds)
{
    enum { SMALL = 1000000 };
    stage_open(&stage, 1);
    stage_start(&stage, WITH_BOUNDS, stage.fake[0]->port, "");
    flood(20000);
    cr_assert_gt(scene_metric(stage.daemon, "arizmq_history_bytes"), SMALL);
    stage_reload(&stage, WITH_BOUNDS, stage.fake[0]->port, "history: {max_bytes: 1000000}");
    expect_at_most("arizmq_history_bytes", SMALL);
    cr_assert_gt(scene_metric(stage.daemon, "arizmq_history_trimmed_total"), 0);
    stage_reload(&stage, WITH_BOUNDS, stage.fake[0]->port, "");
    flood(20000);
    cr_assert_gt(scene_metric(stage.daemon, "arizmq_history_bytes"), SMALL);
    stage_reload(&stage, WITH_BOUNDS, stage.fake[0]->port, "history: {max_age_ms: 1000}");
    expect_at_most("arizmq_history_events", 100); /* what came in the last second, and heartbeats */
    stage_close(&stage);
}

static void create_channels(unsigned first, unsigned last)
{
    for (unsigned i = first; i <= last; i++) {
        char uri[96];
        snprintf(uri, sizeof uri, "channels/kept-%u?endpoint=Local/1&app=ivr", i);
        cr_assert_eq(stage_ask(&stage, "POST", uri, "a", NULL), 200);
    }
}

/* What is held stays beyond a smaller bound; what is new is left out, until the bound is larger. */
Test(reload_bounds, state_follows_its_bounds)
{
    stage_open(&stage, 1);
    stage_start(&stage, WITH_BOUNDS, stage.fake[0]->port, "");
    create_channels(1, 10);
    STAGE_UNTIL(&stage, scene_metric(stage.daemon, "arizmq_state_objects") >= 10);
    uint64_t held = scene_metric(stage.daemon, "arizmq_state_objects");
    stage_reload(&stage, WITH_BOUNDS, stage.fake[0]->port, "state: {max_objects: 5}");
    cr_assert_eq(scene_metric(stage.daemon, "arizmq_state_max_objects"), 5);
    create_channels(11, 12);
    scene_await_metric(stage.daemon, "arizmq_state_left_out_total", 1);
    cr_assert_eq(scene_metric(stage.daemon, "arizmq_state_objects"), held);
    stage_reload(&stage, WITH_BOUNDS, stage.fake[0]->port, "state: {max_objects: 1000}");
    create_channels(13, 14);
    scene_await_metric(stage.daemon, "arizmq_state_objects", held + 2);
    stage_close(&stage);
}
