/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What the daemon takes of the machine's memory: little when idle, and no more after millions of
 * events than after the first ones. ARIZMQ_TEST_MILLIONS says how many millions; 2 without it.
 * Skipped under sanitizers, whose memory is not the daemon's.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "arizmq/error.h"
#include "arizmq/gaps.h"
#include "arizmq/stamp.h"
#include "flow/scene.h"
#include "harness/capture.h"

enum { IDLE_BYTES_MAX = 20000000, GROWTH_BYTES_MAX = 1 << 20, BATCH = 1000 };

int main(int argc, char **argv)
{
#ifdef SANITIZED
    (void)argc;
    (void)argv;
    printf("skipped: memory under -fsanitize=%s says nothing of the daemon's own\n", SANITIZED);
    return 77;
#else
    struct criterion_test_set *tests = criterion_initialize();
    int result = criterion_handle_args(argc, argv, true) && !criterion_run_all_tests(tests);
    criterion_finalize(tests);
    return result;
#endif
}

static uint64_t resident(const struct daemon *daemon)
{
    uint64_t bytes = 0;
    cr_assert_eq(process_resident_bytes(daemon->process, &bytes), ARIZMQ_OK);
    return bytes;
}

TestSuite(memory, .timeout = 800);

Test(memory, idle_is_small)
{
    struct fake *fake = scene_start_deaf_fake();
    struct daemon *daemon =
        scene_start_daemon("nodes:\n" FLOW_NODE FLOW_NODE_END
                           "publish:\n  - {view: events, endpoint: \"ipc://DIR/events\"}\n"
                           "  - {view: objects, endpoint: \"ipc://DIR/objects\"}\n"
                           "heartbeat_ms: 20\n",
                           "pbx1", fake->port, "replay");
    struct subscriber *subscriber = scene_subscribe_and_join(daemon->events_endpoint);
    scene_let_connect(fake, 1);
    for (int heartbeats = 0; heartbeats < 50;) {
        struct subscriber_message message;
        scene_receive(subscriber, &message);
        heartbeats += subscriber_message_is_heartbeat(&message);
        subscriber_message_clear(&message);
    }
    uint64_t bytes = resident(daemon);
    printf("idle: %.2f MB resident\n", (double)bytes / 1e6);
    cr_assert_lt(bytes, IDLE_BYTES_MAX, "%llu bytes", (unsigned long long)bytes);
    scene_stop_daemon(&daemon);
    subscriber_destroy(&subscriber);
    fake_stop(&fake);
}

/* A SUB socket that takes whatever comes; nothing is copied, so that it keeps up. */
struct drain {
    void *context;
    void *socket;
    uint64_t count; /* last count[0] */
};

static void drain_open(struct drain *drain, const char *endpoint)
{
    int none = 0;
    drain->context = zmq_ctx_new();
    drain->socket = zmq_socket(drain->context, ZMQ_SUB);
    zmq_setsockopt(drain->socket, ZMQ_RCVHWM, &none, sizeof none);
    zmq_setsockopt(drain->socket, ZMQ_LINGER, &none, sizeof none);
    cr_assert_eq(zmq_setsockopt(drain->socket, ZMQ_SUBSCRIBE, "", 0), 0);
    cr_assert_eq(zmq_connect(drain->socket, endpoint), 0);
}

/* Takes messages until the one with count[0] == until; none may be missing. */
static void drain_until(struct drain *drain, uint64_t until)
{
    int timeout_ms = FLOW_TIMEOUT_MS;
    zmq_setsockopt(drain->socket, ZMQ_RCVTIMEO, &timeout_ms, sizeof timeout_ms);
    while (drain->count < until) {
        struct arizmq_stamp stamp;
        zmq_msg_t frame;
        for (int i = 0; i < 3; i++) {
            zmq_msg_init(&frame);
            cr_assert_geq(zmq_msg_recv(&frame, drain->socket, 0), 0, "nothing after count %llu",
                          (unsigned long long)drain->count);
            if (i == 2) {
                cr_assert_eq(
                    arizmq_stamp_decode(zmq_msg_data(&frame), zmq_msg_size(&frame), &stamp), 0);
            }
            zmq_msg_close(&frame);
        }
        uint64_t expected = drain->count + !arizmq_gaps_is_heartbeat(&stamp);
        if (stamp.count[0] != expected) { /* cheaper than an assertion for each */
            cr_assert_fail("count[0] is %llu after %llu", (unsigned long long)stamp.count[0],
                           (unsigned long long)drain->count);
        }
        drain->count = stamp.count[0];
    }
}

/* The first lines of a recording: what is on the way at a time. A queue towards the subscriber is
 * memory by right, and so is what malloc() keeps of it; this bounds both. */
static void batch_write(const char *path)
{
    struct capture *capture = NULL;
    cr_assert_eq(capture_load(CAPTURES_DIR "/calls-1000-app.jsonl", &capture), ARIZMQ_OK);
    const struct capture_line *last = &capture->lines[BATCH - 1];
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    fwrite(capture->content, 1, (size_t)(last->text + last->length + 1 - capture->content), file);
    cr_assert_eq(fclose(file), 0);
    capture_destroy(&capture);
}

/* Events of as many channels as there are lines, none of which was ever seen before. */
static void batch_write_new(const char *path, unsigned long number)
{
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    for (int i = 0; i < BATCH; i++) {
        fprintf(file,
                "{\"type\":\"ChannelDtmfReceived\",\"digit\":\"1\",\"channel\":{\"id\":\"%lu.%d\","
                "\"name\":\"PJSIP/alice-%08lx\"},\"application\":\"replay\"}\n",
                1795444501 + number, i, number * BATCH + (unsigned long)i);
    }
    cr_assert_eq(fclose(file), 0);
}

static unsigned long millions_wanted(void)
{
    const char *text = getenv("ARIZMQ_TEST_MILLIONS");
    unsigned long wanted = text ? strtoul(text, NULL, 10) : 2;
    cr_assert(wanted >= 1 && wanted <= 1000, "ARIZMQ_TEST_MILLIONS: \"%s\"; allowed: 1 to 1000",
              text ? text : "");
    return wanted;
}

/* A daemon, a fake that plays batches, a drain that takes them. */
struct flood {
    struct fake *fake;
    struct daemon *daemon;
    struct drain events;
    char batch[96]; /* the file that is played */
};

static void flood_open(struct flood *flood, const char *config)
{
    *flood = (struct flood){.fake = scene_start_deaf_fake()};
    flood->daemon = scene_start_daemon(config, "pbx1", flood->fake->port, "replay");
    snprintf(flood->batch, sizeof flood->batch, "%s/batch.jsonl", flood->daemon->directory);
    drain_open(&flood->events, flood->daemon->events_endpoint);
    scene_await_metric(flood->daemon, "arizmq_subscriptions_total", 1);
    scene_let_connect(flood->fake, 1);
    drain_until(&flood->events, 2); /* NodeConnected, NodeReconciled */
}

static void flood_play(struct flood *flood)
{
    fake_do(flood->fake, "play %s app=replay", flood->batch);
    drain_until(&flood->events, flood->events.count + BATCH);
    cr_assert_not_null(fake_await_event(flood->fake, "play done", FLOW_TIMEOUT_MS));
}

static void flood_close(struct flood *flood)
{
    zmq_close(flood->events.socket);
    zmq_ctx_term(flood->events.context);
    scene_stop_daemon(&flood->daemon);
    fake_stop(&flood->fake);
}

static void expect_no_growth(uint64_t warm, uint64_t end)
{
    cr_assert_lt(end, warm + GROWTH_BYTES_MAX, "%llu bytes grew to %llu", (unsigned long long)warm,
                 (unsigned long long)end);
}

Test(memory, millions_of_events_leave_nothing_behind)
{
    unsigned long batches = millions_wanted() * 1000000 / BATCH;
    struct flood flood;
    /* So little history that it is full long before the first tenth is over. */
    flood_open(&flood,
               "nodes:\n" FLOW_NODE FLOW_NODE_END FLOW_VIEWS "history: {max_bytes: 4194304}\n");
    batch_write(flood.batch);
    uint64_t warm = 0;
    uint64_t counters = 0;
    int64_t started_ms = harness_now_ms();
    for (unsigned long i = 0; i < batches; i++) {
        flood_play(&flood);
        if (i == batches / 10) {
            warm = resident(flood.daemon);
            counters = scene_metric(flood.daemon, "arizmq_counters");
        }
    }
    uint64_t end = resident(flood.daemon);
    printf("%llu events, %.0f a second: %.2f MB resident after a tenth, %.2f at the end\n",
           (unsigned long long)flood.events.count,
           (double)flood.events.count * 1e3 / (double)(harness_now_ms() - started_ms),
           (double)warm / 1e6, (double)end / 1e6);
    cr_assert_eq(scene_metric(flood.daemon, "arizmq_events_total") + 2, flood.events.count);
    cr_assert_eq(scene_metric(flood.daemon, "arizmq_counters"), counters);
    expect_no_growth(warm, end);
    flood_close(&flood);
}

/* Calls come and go: once the tables of counters are full, new ids take the place of old ones. */
Test(memory, new_ids_take_the_place_of_old_ones)
{
    enum { WARM_BATCHES = 20, BATCHES = 200 };
    struct flood flood;
    flood_open(&flood,
               "nodes:\n" FLOW_NODE FLOW_NODE_END FLOW_VIEWS "limits: {max_counters: 5000}\n"
               "gateway: {endpoint: \"ipc://DIR/gateway\", max_objects: 5000, feed_bytes: 65536}\n"
               "state: {max_objects: 5000}\nhistory: {max_bytes: 4194304}\n");
    uint64_t warm = 0;
    for (unsigned long i = 0; i < BATCHES; i++) {
        batch_write_new(flood.batch, i);
        flood_play(&flood);
        if (i == WARM_BATCHES) {
            warm = resident(flood.daemon);
        }
    }
    uint64_t end = resident(flood.daemon);
    printf("new ids: %.2f MB resident after a tenth, %.2f at the end\n", (double)warm / 1e6,
           (double)end / 1e6);
    /* The deepest table of events, and three of objects, are full: between half of max_counters and
     * all of it. */
    uint64_t counters = scene_metric(flood.daemon, "arizmq_counters");
    cr_assert(counters >= 10000 && counters < 20100, "%llu", (unsigned long long)counters);
    cr_assert_gt(scene_metric(flood.daemon, "arizmq_counters_evicted_total"), 700000);
    expect_no_growth(warm, end);
    flood_close(&flood);
}
