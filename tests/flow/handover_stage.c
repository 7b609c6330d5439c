/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Puts node/nodes.c, the pipeline and a subscriber together without the daemon's main loop. What
 * the subscriber gets is counted as it comes, number by number.
 */
#include "flow/handover_stage.h"

#include <stdlib.h>
#include <string.h>

#include <czmq.h>

#include "arizmq/error.h"

static char *apps[] = {"ivr"};

static void on_wake(void *owner)
{
    struct stage *stage = owner;
    if (stage->nodes != NULL) {
        nodes_wake(stage->nodes);
        post_take(stage->post);
    }
}

static void configure(struct stage *stage)
{
    stage->publish = (struct config_publish){
        .view = CONFIG_VIEW_EVENTS, .endpoint = stage->endpoint, .sndhwm = 10000000};
    stage->node[0] = (struct config_node){
        .name = "pbx1",
        .username = "lab",
        .password = "secret",
        .apps = apps,
        .apps_count = 1,
        .subscribe_all = true,
        .subscribe_all_app = apps[0],
        .tls.verify = true,
        .connect_timeout_ms = 10000,
        .liveness_ms = 60000,
        .backoff_min_ms = 10,
        .backoff_max_ms = 20,
        .on_replaced = CONFIG_ON_REPLACED_WHEN_FREE,
        .replaced_retry_ms = 100,
        .rest = CONFIG_REST_WEBSOCKET,
        .host = "127.0.0.1",
        .port = stage->asterisk->port,
        .path = "/ari",
    };
    stage->config = (struct config){
        .nodes = stage->node,
        .nodes_count = 1,
        .publish = &stage->publish,
        .publish_count = 1,
        .limits = {.max_event_bytes = 1 << 20, .max_counters = 1000, .heartbeat_first_tokens = 10},
        .gateway = {.feed_bytes = 1 << 20, .answer_timeout_ms = 30000},
        .stop_timeout_ms = 5000,
    };
}

static void create_subscriber(struct stage *stage)
{
    stage->subscriber = subscriber_create(stage->endpoint, "");
    cr_assert_not_null(stage->subscriber);
    struct subscriber_message message;
    uint64_t since_ms = clock_monotonic_ms();
    do {
        cr_assert_lt(clock_monotonic_ms() - since_ms, LOOP_PATIENCE_MS, "no heartbeat came");
        pipeline_read_subscriptions(stage->pipeline);
        pipeline_beat(stage->pipeline);
    } while (subscriber_receive(stage->subscriber, 10, &message) != ARIZMQ_OK);
    subscriber_message_clear(&message);
}

void stage_create(struct stage *stage)
{
    char error[256] = "";
    *stage = (struct stage){.told = FEED_LINK_DOWN};
    zsys_handler_set(NULL);
    snprintf(stage->directory, sizeof stage->directory, "/tmp/arizmq-handover-XXXXXX");
    cr_assert_not_null(mkdtemp(stage->directory));
    snprintf(stage->endpoint, sizeof stage->endpoint, "ipc://%s/events", stage->directory);
    stage->asterisk = fake_start_asterisk(NULL);
    cr_assert_not_null(stage->asterisk);
    stage->proxy = fake_start_proxy(stage->asterisk->port);
    cr_assert_not_null(stage->proxy);
    stage->seen = calloc(STAGE_NUMBERS_MAX + 1, 1);
    configure(stage);
    loop_create(&stage->loop, (const struct lws_protocols *const *)nodes_protocols, NULL);
    stage->loop.wake = on_wake;
    stage->loop.owner = stage;
    cr_assert_eq(feed_create(&stage->config, &stage->feed), ARIZMQ_OK);
    cr_assert_eq(post_create(&stage->config, stage->loop.context, &stage->post), ARIZMQ_OK);
    cr_assert_eq(
        pipeline_create(&stage->config, stage->feed, &stage->pipeline, error, sizeof error),
        ARIZMQ_OK, "%s", error);
    cr_assert_eq(nodes_create(stage->loop.context, stage->loop.vhost, &stage->config,
                              stage->pipeline, stage->feed, &stage->nodes, error, sizeof error),
                 ARIZMQ_OK, "%s", error);
    post_set_reader(stage->post, POST_COMMAND, nodes_send_command, stage->nodes);
    create_subscriber(stage);
}

void stage_destroy(struct stage *stage)
{
    nodes_destroy(&stage->nodes);
    loop_destroy(&stage->loop);
    pipeline_destroy(&stage->pipeline, 0);
    feed_destroy(&stage->feed);
    post_destroy(&stage->post);
    subscriber_destroy(&stage->subscriber);
    free(stage->seen);
    cr_assert_eq(fake_stop(&stage->proxy), 0);
    cr_assert_eq(fake_stop(&stage->asterisk), 0);
    rmdir(stage->directory);
}

struct config_node *stage_next(struct stage *stage)
{
    stage->node[!stage->current] = stage->node[stage->current];
    return &stage->node[!stage->current];
}

void stage_hand_over(struct stage *stage)
{
    char error[256] = "";
    cr_assert_eq(
        nodes_hand_over(stage->nodes, 0, &stage->node[!stage->current], error, sizeof error),
        ARIZMQ_OK, "%s", error);
    /* Nobody may look at it any more. */
    memset(&stage->node[stage->current], 0xdd, sizeof *stage->node);
    stage->current = !stage->current;
}

/* --- what the subscriber gets */

static void take_number(struct stage *stage, uint64_t n)
{
    cr_assert(n >= 1 && n <= STAGE_NUMBERS_MAX, "number %llu", (unsigned long long)n);
    if (stage->seen[n]++ > 0) {
        stage->doubled++;
    } else {
        stage->numbers++;
    }
}

static void take_event(struct stage *stage, const json_t *event)
{
    const char *type = json_string_value(json_object_get(event, "type"));
    const json_t *serial = json_object_get(event, "serial");
    if (serial != NULL) {
        take_number(stage, (uint64_t)json_integer_value(serial));
    } else if (strcmp(type, "ArizmqNodeConnected") == 0) {
        if (json_is_true(json_object_get(event, "handover"))) {
            stage->handed_over++;
        } else {
            stage->connected++;
        }
    } else if (strcmp(type, "ArizmqNodeDisconnected") == 0) {
        stage->disconnected++;
        snprintf(stage->reason, sizeof stage->reason, "%s",
                 json_string_value(json_object_get(event, "reason")));
    }
    stage->gaps += strcmp(type, "ArizmqGap") == 0;
    stage->replaced += strcmp(type, "ApplicationReplaced") == 0;
}

static void take_messages(struct stage *stage)
{
    struct subscriber_message message;
    while (subscriber_receive(stage->subscriber, 0, &message) == ARIZMQ_OK) {
        if (!subscriber_message_is_heartbeat(&message)) {
            json_t *event = json_loadb(message.event, message.event_length, 0, NULL);
            cr_assert_not_null(event, "%s", message.event);
            take_event(stage, event);
            json_decref(event);
        }
        subscriber_message_clear(&message);
    }
}

/* --- what the command thread is told */

static void on_object(void *owner, unsigned node, enum object_kind kind, const char *id,
                      size_t length, bool has_ended)
{
    (void)owner, (void)node, (void)kind, (void)id, (void)length, (void)has_ended;
}

static void on_link(void *owner, unsigned node, unsigned application, enum feed_link state,
                    const char *detail)
{
    struct stage *stage = owner;
    cr_assert(node == 0 && application == 0);
    stage->told = state;
    snprintf(stage->told_detail, sizeof stage->told_detail, "%s", detail);
}

static void on_answer(void *owner, uint64_t number, char *text, size_t length, bool was_sent)
{
    struct stage *stage = owner;
    (void)length;
    (void)was_sent;
    stage->answered = number;
    stage->has_answer = text != NULL;
    free(text);
}

void stage_turn(struct stage *stage)
{
    static const struct feed_handler handler = {
        .object = on_object, .link = on_link, .answer = on_answer};
    take_messages(stage);
    feed_take(stage->feed, &handler, stage);
}

void stage_start(struct stage *stage)
{
    nodes_start(stage->nodes);
    STAGE_UNTIL(stage, stage->connected == 1);
}

void stage_send_command(struct stage *stage, uint64_t number, const char *text)
{
    cr_assert_eq(post_send(stage->post, POST_COMMAND, 0, number, text, strlen(text)), ARIZMQ_OK);
    STAGE_AWAIT(stage, stage->asterisk, "rest GET asterisk/ping via=ws");
}

void stage_flood(struct stage *stage, unsigned rate, unsigned late)
{
    fake_do(stage->asterisk, "flood %d %u ivr late=%u", STAGE_NUMBERS_MAX, rate, late);
}

uint64_t stage_end_flood(struct stage *stage)
{
    fake_do(stage->asterisk, "flood-stop");
    const char *event = fake_await_event(stage->asterisk, "flood stopped", LOOP_PATIENCE_MS);
    cr_assert_eq(fake_number(event, "dropped"), 0, "%s", event);
    return (uint64_t)fake_number(event, "events");
}

void stage_stop(struct stage *stage)
{
    nodes_stop(stage->nodes);
    STAGE_UNTIL(stage, nodes_are_stopped(stage->nodes));
}
