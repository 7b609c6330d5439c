/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Nothing that comes over a WebSocket is unaccounted for: a peer sends messages that are published,
 * answer the bridge's own requests, are too large, or are no UTF-8 (which ends the connection), at
 * random and with memory running out at random. Each must be found in the link's tally, once, and
 * the identity must hold all the while. zmq_msg_init_size() of the bridge goes through
 * __wrap_zmq_msg_init_size(), which refuses memory now and then.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <zmq.h>

#include "arizmq/error.h"
#include "loop.h"
#include "node/link.h"
#include "node/nodes.h"
#include "node/resolve.h"
#include "ops/metrics.h"
#include "peer.h"
#include "pipeline.h"
#include "random_json.h"

enum { MAX_EVENT_BYTES = 1000, CONNECTIONS = 30, BATCHES = 20, BATCH_MAX = 20 };

static char *apps[] = {"other", "ivr"};
static struct config_node config_node = {
    .name = "pbx1",
    .username = "lab",
    .password = "secret",
    .apps = apps,
    .apps_count = 2,
    .connect_timeout_ms = 10000,
    .liveness_ms = 60000,
    .backoff_min_ms = 1,
    .backoff_max_ms = 2,
    .host = "127.0.0.1",
    .path = "/ari",
};
static struct config_publish publish = {
    .view = CONFIG_VIEW_EVENTS, .endpoint = "inproc://link-events", .sndhwm = 1000};
static struct config config = {
    .nodes = &config_node,
    .nodes_count = 1,
    .publish = &publish,
    .publish_count = 1,
    .limits = {.max_event_bytes = MAX_EVENT_BYTES,
               .max_counters = 1000,
               .heartbeat_first_tokens = 10},
    .stop_timeout_ms = 100,
};

static struct loop loop;
static struct peer peer;
static struct pipeline *pipeline;
static struct link_environment environment;
static struct link *subject;
static uint64_t random_state;

/* What has become of the messages sent so far, as the test knows it. */
static struct tally_sums model;

/* Events of the peer are longer than any topic, stamp and event of the bridge's own. */
enum { EVENT_BYTES_MIN = 400 };

int __real_zmq_msg_init_size(zmq_msg_t *message, size_t size);
int __wrap_zmq_msg_init_size(zmq_msg_t *message, size_t size);

int __wrap_zmq_msg_init_size(zmq_msg_t *message, size_t size)
{
    if (size >= EVENT_BYTES_MIN && random_below(&random_state, 10) == 0) {
        model.value[TALLY_REFUSED_MEMORY]++;
        model.value[TALLY_PUBLISHED]--;
        errno = ENOMEM;
        return -1;
    }
    return __real_zmq_msg_init_size(message, size);
}

static void on_wake(void *owner)
{
    (void)owner;
    if (environment.resolver != NULL) {
        resolver_deliver(environment.resolver);
    }
}

static void set_up(void)
{
    char error[256] = "";
    random_state = random_seed(20261123);
    peer_create(&peer, NULL);
    config_node.port = peer.port;
    loop_create(&loop, nodes_protocols, NULL);
    loop.wake = on_wake;
    cr_assert_eq(pipeline_create(&config, NULL, &pipeline, error, sizeof error), ARIZMQ_OK, "%s",
                 error);
    environment = (struct link_environment){.context = loop.context,
                                            .vhost = loop.vhost,
                                            .resolver = resolver_create(loop.context),
                                            .pipeline = pipeline,
                                            .config = &config};
    cr_assert_not_null(environment.resolver);
    cr_assert_eq(link_create(&environment, &environment.config->nodes[0], 0, 1, NULL, &subject),
                 ARIZMQ_OK);
}

static void tear_down(void)
{
    link_destroy(&subject);
    resolver_destroy(&environment.resolver);
    loop_destroy(&loop);
    pipeline_destroy(&pipeline, 0);
    peer_destroy(&peer);
}

TestSuite(link_events, .init = set_up, .fini = tear_down);

/* Sends a message of that many bytes in one frame, or in two. */
static void send_message(const char *begin, size_t length, const char *end)
{
    struct bytes out = {0};
    struct bytes text = {0};
    bytes_append(&text, begin, strlen(begin));
    while (text.length + strlen(end) < length) {
        bytes_append(&text, "x", 1);
    }
    bytes_append(&text, end, strlen(end));
    size_t first = (size_t)random_below(&random_state, 2 * text.length);
    if (first < text.length) {
        frame_append(&out, 0x01, text.data, first);
        frame_append(&out, 0x80, text.data + first, text.length - first);
    } else {
        frame_append(&out, 0x81, text.data, text.length);
    }
    peer_send(&peer, out.data, out.length);
    bytes_free(&out);
    bytes_free(&text);
}

static void send_event(void)
{
    static const char *const begins[] = {
        "{\"type\":\"ChannelVarset\",\"channel\":{\"id\":\"1.2\"},\"value\":\"",
        "{\"type\":\"RESTResponse\",\"request_id\":\"somebody's\",\"value\":\"",
        "{\"type\":\"Unknown\",\"value\":\"",
        "no JSON: ",
    };
    size_t length = EVENT_BYTES_MIN +
                    (size_t)random_below(&random_state, MAX_EVENT_BYTES - EVENT_BYTES_MIN + 1);
    model.value[TALLY_PUBLISHED]++;
    send_message(begins[random_below(&random_state, 4)], length, "\"}");
}

static void send_response(void)
{
    char text[128];
    snprintf(text, sizeof text,
             "{\"type\":\"RESTResponse\",\"request_id\":\"arizmq-%" PRIu64 "-1\"}",
             pipeline_epoch(pipeline));
    model.value[TALLY_RESPONSES]++;
    send_message(text, strlen(text), "");
}

static void send_any(void)
{
    model.value[TALLY_RECEIVED]++;
    switch (random_below(&random_state, 10)) {
    case 0:
        model.value[TALLY_REFUSED_SIZE]++;
        send_message("{\"type\":\"", 1 + MAX_EVENT_BYTES + random_below(&random_state, 3000),
                     "\"}");
        break;
    case 1:
        send_response();
        break;
    default:
        send_event();
        break;
    }
}

static struct tally_sums read_tally(void)
{
    struct tally_sums sums;
    tally_read(tally_find("pbx1", "ivr"), &sums);
    uint64_t ended = 0;
    for (unsigned i = TALLY_RECEIVED + 1; i < TALLY_ENTRIES; i++) {
        ended += sums.value[i];
    }
    cr_assert_eq(sums.value[TALLY_RECEIVED], ended);
    return sums;
}

static void turn(void)
{
    peer_turn(&peer);
    read_tally();
}

static void expect_model(void)
{
    LOOP_UNTIL(&loop, turn(), read_tally().value[TALLY_RECEIVED] >= model.value[TALLY_RECEIVED]);
    struct tally_sums sums = read_tally();
    for (unsigned i = 0; i < TALLY_ENTRIES; i++) {
        cr_assert_eq(sums.value[i], model.value[i], "entry %u is %" PRIu64 ", not %" PRIu64, i,
                     sums.value[i], model.value[i]);
    }
}

Test(link_events, each_message_ends_in_one_way)
{
    cr_assert_not_null(tally_find("pbx1", "ivr"), "it can be read before anything came");
    cr_assert_null(tally_find("pbx1", "other"));
    link_start(subject);
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        LOOP_UNTIL(&loop, turn(), peer_has_head(&peer));
        char *head = peer_take_head(&peer);
        peer_accept_websocket(&peer, head);
        free(head);
        for (unsigned k = 0; k < BATCHES; k++) {
            for (uint64_t left = 1 + random_below(&random_state, BATCH_MAX); left > 0; left--) {
                send_any();
            }
            expect_model();
        }
        if (i % 2 == 0) { /* the connection ends with it, and what follows is not looked at */
            model.value[TALLY_RECEIVED]++;
            model.value[TALLY_REFUSED_UTF8]++;
            send_message("{\"type\":\"\xff", 500, "\"}");
            send_message("{\"type\":\"", 500, "\"}");
            LOOP_UNTIL(&loop, turn(), peer.is_eof);
            expect_model();
        }
        peer_close(&peer);
        peer.in.length = 0;
    }
    for (unsigned i = 0; i < TALLY_ENTRIES; i++) {
        cr_assert_gt(model.value[i], 0, "a test without entry %u", i);
    }
    struct tally_sums sums = read_tally();
    cr_assert_eq(metrics_get(METRIC_EVENTS_REFUSED_SIZE), sums.value[TALLY_REFUSED_SIZE]);
    cr_assert_eq(metrics_get(METRIC_EVENTS_REFUSED_UTF8), sums.value[TALLY_REFUSED_UTF8]);
    cr_assert_eq(metrics_get(METRIC_EVENTS_REFUSED_MEMORY), sums.value[TALLY_REFUSED_MEMORY]);
    cr_assert_eq(metrics_get(METRIC_EVENTS_OWN_RESPONSES), sums.value[TALLY_RESPONSES]);
}
