/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What the command thread hears of a link through its life: each change, each new reason, and
 * nothing twice. The peer is a socket of the test's own.
 */
#include <stdio.h>
#include <string.h>

#include "arizmq/error.h"
#include "gateway/feed.h"
#include "loop.h"
#include "node/link.h"
#include "node/nodes.h"
#include "node/resolve.h"
#include "peer.h"
#include "pipeline.h"

enum { TOLD_MAX = 16 };

static char *apps[] = {"other", "ivr"};
static struct config_node config_nodes[2] = {
    {.name = "pbx1"},
    {
        .name = "pbx2",
        .username = "lab",
        .password = "secret",
        .apps = apps,
        .apps_count = 2,
        .connect_timeout_ms = 10000,
        .liveness_ms = 60000,
        .backoff_min_ms = 5,
        .backoff_max_ms = 10,
        .on_replaced = CONFIG_ON_REPLACED_RECONNECT,
        .replaced_retry_ms = 20,
        .host = "127.0.0.1",
        .path = "/ari",
    },
};
static struct config_publish publish = {
    .view = CONFIG_VIEW_EVENTS, .endpoint = "inproc://link-tell", .sndhwm = 1000};
static struct config config = {
    .nodes = config_nodes,
    .nodes_count = 2,
    .publish = &publish,
    .publish_count = 1,
    .limits = {.max_event_bytes = 1 << 20, .max_counters = 1000, .heartbeat_first_tokens = 10},
    .gateway = {.feed_bytes = 65536},
    .stop_timeout_ms = 100,
};

static struct loop loop;
static struct peer peer;
static struct feed *feed;
static struct pipeline *pipeline;
static struct link_environment environment;
static struct link *subject;

static struct {
    enum feed_link state;
    char detail[FEED_DETAIL_MAX + 1];
} told[TOLD_MAX];
static unsigned told_count;
static unsigned told_seen;

static void on_link(void *owner, unsigned node, unsigned application, enum feed_link state,
                    const char *detail)
{
    cr_assert_null(owner);
    cr_assert_eq(node, 1);
    cr_assert_eq(application, 1);
    cr_assert_lt(told_count, TOLD_MAX, "%d %s", (int)state, detail);
    told[told_count].state = state;
    strcpy(told[told_count++].detail, detail);
}

static void turn(void)
{
    static const struct feed_handler handler = {.link = on_link};
    peer_turn(&peer);
    feed_take(feed, &handler, NULL);
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
    peer_create(&peer, NULL);
    config_nodes[1].port = peer.port;
    loop_create(&loop, nodes_protocols, NULL);
    loop.wake = on_wake;
    cr_assert_eq(feed_create(&config, &feed), ARIZMQ_OK);
    cr_assert_eq(pipeline_create(&config, feed, &pipeline, error, sizeof error), ARIZMQ_OK, "%s",
                 error);
    environment = (struct link_environment){.context = loop.context,
                                            .vhost = loop.vhost,
                                            .resolver = resolver_create(loop.context),
                                            .pipeline = pipeline,
                                            .feed = feed,
                                            .config = &config};
    cr_assert_not_null(environment.resolver);
    cr_assert_eq(link_create(&environment, &environment.config->nodes[1], 1, 1, NULL, &subject),
                 ARIZMQ_OK);
}

static void tear_down(void)
{
    link_destroy(&subject);
    resolver_destroy(&environment.resolver);
    loop_destroy(&loop);
    pipeline_destroy(&pipeline, 0);
    feed_destroy(&feed);
    peer_destroy(&peer);
}

TestSuite(link_tell, .init = set_up, .fini = tear_down);

static void expect_told(enum feed_link state, const char *detail)
{
    LOOP_UNTIL(&loop, turn(), told_count > told_seen);
    cr_assert_eq(told[told_seen].state, state, "%d %s", (int)told[told_seen].state,
                 told[told_seen].detail);
    cr_assert_str_eq(told[told_seen].detail, detail);
    told_seen++;
}

/* Waits for the link to connect and answers it. */
static void answer(const char *text)
{
    LOOP_UNTIL(&loop, turn(), peer_has_head(&peer));
    char *head = peer_take_head(&peer);
    if (text == NULL) {
        peer_accept_websocket(&peer, head);
    } else {
        peer_send_text(&peer, text);
        LOOP_UNTIL(&loop, turn(), peer.is_eof);
    }
    free(head);
}

/* Makes room for the next connection. */
static void hang_up(void)
{
    peer_close(&peer);
    peer.in.length = 0;
}

static void send_frame(unsigned first_byte, const char *payload)
{
    char frame[2 + 125];
    size_t length = strlen(payload);
    cr_assert_leq(length, 125);
    frame[0] = (char)first_byte;
    frame[1] = (char)length;
    memcpy(frame + 2, payload, length);
    peer_send(&peer, frame, length + 2);
}

static const char refusal[] = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n";

Test(link_tell, each_change_and_each_new_reason_once)
{
    link_start(subject);
    for (unsigned i = 0; i < 3; i++) { /* one reason */
        answer(refusal);
        hang_up();
    }
    expect_told(FEED_LINK_DOWN,
                "Asterisk answered 401 Unauthorized: check username and password of this node");
    answer(NULL);
    expect_told(FEED_LINK_UP, "");
    send_frame(0x88, "\x03\xe9");
    expect_told(FEED_LINK_DOWN, "closed_by_peer: close frame 1001");
    hang_up();
    answer(NULL);
    expect_told(FEED_LINK_UP, "");

    send_frame(0x81, "{\"type\":\"ApplicationReplaced\",\"application\":\"ivr\"}");
    expect_told(FEED_LINK_DOWN, "replaced: another client has taken the application");
    expect_told(FEED_LINK_STANDBY, "another client has taken the application");
    hang_up();
    expect_told(FEED_LINK_DOWN, "connecting again; another client had taken the application");
    answer(NULL);
    expect_told(FEED_LINK_UP, "");

    link_stop(subject);
    turn();
    cr_assert_gt(told_count, told_seen, "no command must be sent while the connection is closing");
    expect_told(FEED_LINK_DOWN, "stopping: the bridge is stopping");
    LOOP_UNTIL(&loop, turn(), link_is_stopped(subject));
    turn();
    cr_assert_eq(told_count, told_seen, "%s", told[told_seen].detail);
}

Test(link_tell, why_nobody_can_be_reached_and_that_it_stops)
{
    peer_stop_listening(&peer);
    link_start(subject);
    LOOP_UNTIL(&loop, turn(), told_count == 1);
    cr_assert_eq(told[0].state, FEED_LINK_DOWN);
    cr_assert_neq(told[0].detail[0], '\0');
    told_seen = 1;
    link_stop(subject);
    expect_told(FEED_LINK_DOWN, "stopping: the bridge is stopping");
    cr_assert(link_is_stopped(subject));
}
