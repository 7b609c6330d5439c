/* SPDX-License-Identifier: MPL-2.0 */
/*
 * One view and a subscriber to it.
 */
#include <criterion/criterion.h>
#include <czmq.h>
#include <string.h>

#include "arizmq/error.h"
#include "ops/metrics.h"
#include "publish/heartbeat.h"
#include "publish/view.h"
#include "subscriber.h"

static const struct config_limits limits = {
    .max_event_bytes = 1 << 20, .max_counters = 100, .heartbeat_first_tokens = 1000};

enum { EPOCH = 1795444501 };

static struct view *make_view(const struct config_publish *config)
{
    struct view *view = NULL;
    cr_assert_eq(view_create(config, &limits, EPOCH, NULL, &view), ARIZMQ_OK, "%s: %s",
                 config->endpoint, zmq_strerror(errno));
    return view;
}

/* Until the view has heard of `subscriptions` in all. */
static void await_subscriptions(struct view *view, uint64_t subscriptions)
{
    while (metrics_get(METRIC_SUBSCRIPTIONS) < subscriptions) {
        view_read_subscriptions(view);
    }
}

static void publish(struct view *view, uint64_t seq, const char *text)
{
    static char padded[4096];
    size_t length = strlen(text);
    cr_assert_lt(length + SCAN_PADDING, sizeof padded);
    memcpy(padded, text, length);
    struct event event;
    event_read(&event, padded, length, "pbx1", 1000 + seq);
    event.seq = seq;
    zmq_msg_t payload;
    zmq_msg_init_size(&payload, length);
    memcpy(zmq_msg_data(&payload), text, length);
    view_publish(view, &event, &payload);
    zmq_msg_close(&payload);
    event_release(&event);
}

static const char dial[] = "{\"type\":\"Dial\",\"application\":\"ivr\",\"peer\":{\"id\":\"2\"},"
                           "\"caller\":{\"id\":\"1\"}}";

Test(view, of_events_sends_one_message)
{
    struct config_publish config = {
        .view = CONFIG_VIEW_EVENTS, .endpoint = "inproc://events", .sndhwm = 100};
    struct view *view = make_view(&config);
    cr_assert_str_eq(view_name(view), "events");
    cr_assert_str_eq(view_endpoint(view), "inproc://events");
    zsock_t *subscriber = subscriber_connect(view_endpoint(view), "");
    await_subscriptions(view, 1);
    publish(view, 7, dial);
    publish(view, 9, "{\"type\":\"Dial\",\"application\":\"ivr\"}");
    const struct received *received = EXPECT(subscriber, "Dial/ivr/pbx1/2/", 7, 1, 1, 1, 1, 1);
    cr_assert_str_eq(received->event, dial);
    cr_assert_eq(received->stamp.epoch, EPOCH);
    cr_assert_eq(received->stamp.received_ns, 1007);
    EXPECT(subscriber, "Dial/ivr/pbx1/-/", 9, 2, 2, 2, 2, 1);
    cr_assert_eq(metrics_get(METRIC_MESSAGES), 2);
    cr_assert_eq(metrics_get(METRIC_MESSAGES_FAILED), 0);
    zsock_destroy(&subscriber);
    view_destroy(&view, 0);
    cr_assert_null(view);
    view_destroy(&view, 0);
}

/* What nobody wants is counted all the same: the first subscriber sees where the counters are. Once
 * he has had a heartbeat he gets everything. */
Test(view, without_subscribers_sends_nothing)
{
    struct config_publish config = {
        .view = CONFIG_VIEW_EVENTS, .endpoint = "inproc://nobody", .sndhwm = 100};
    struct view *view = make_view(&config);
    publish(view, 1, dial);
    publish(view, 2, dial);
    cr_assert_eq(metrics_get(METRIC_MESSAGES), 0);
    cr_assert_eq(metrics_get(METRIC_MESSAGES_UNWANTED), 2);
    zsock_t *subscriber = subscriber_connect(view_endpoint(view), "");
    heartbeat_publish(view, EPOCH, 2, 1000);
    publish(view, 3, dial);
    cr_assert_str_eq(subscriber_receive(subscriber)->topic, "ArizmqHeartbeat/-/-/-/");
    EXPECT(subscriber, "Dial/ivr/pbx1/2/", 3, 3, 3, 3, 3, 3);
    cr_assert_eq(metrics_get(METRIC_MESSAGES), 2);
    cr_assert_eq(metrics_get(METRIC_MESSAGES_UNWANTED), 2);
    zsock_destroy(&subscriber);
    while (metrics_get(METRIC_UNSUBSCRIPTIONS) == 0) {
        view_read_subscriptions(view);
    }
    publish(view, 4, dial);
    cr_assert_eq(metrics_get(METRIC_MESSAGES_UNWANTED), 3);
    view_destroy(&view, 0);
}

Test(view, of_objects_sends_one_message_for_each)
{
    struct config_publish config = {
        .view = CONFIG_VIEW_OBJECTS, .endpoint = "inproc://objects", .sndhwm = 100};
    struct view *view = make_view(&config);
    cr_assert_str_eq(view_name(view), "objects");
    zsock_t *subscriber = subscriber_connect(view_endpoint(view), "");
    await_subscriptions(view, 1);
    publish(view, 1, dial);
    publish(view, 2, "{\"type\":\"Dial\"}"); /* of no object: no message, no count */
    publish(view, 3, "{\"type\":\"StasisStart\",\"channel\":{\"id\":\"2\"}}");
    cr_assert_str_eq(EXPECT(subscriber, "channel/2/Dial/pbx1/", 1, 1, 1, 1, 1, 1)->event, dial);
    cr_assert_str_eq(EXPECT(subscriber, "channel/1/Dial/pbx1/", 1, 2, 2, 1, 1, 1)->event, dial);
    EXPECT(subscriber, "channel/2/StasisStart/pbx1/", 3, 3, 3, 2, 1, 1);
    cr_assert_eq(metrics_get(METRIC_MESSAGES), 3);
    zsock_destroy(&subscriber);
    view_destroy(&view, 0);
}

Test(view, takes_a_template_of_the_configuration)
{
    struct config_publish config = {.view = CONFIG_VIEW_EVENTS,
                                    .endpoint = "inproc://own",
                                    .topic = "{node}/{kind}/x/",
                                    .sndhwm = 100};
    struct view *view = make_view(&config);
    zsock_t *subscriber = subscriber_connect(view_endpoint(view), "pbx1/");
    await_subscriptions(view, 1);
    publish(view, 1, dial);
    publish(view, 2, "no JSON");
    EXPECT(subscriber, "pbx1/channel/x/", 1, 1, 1, 1, 1);
    EXPECT(subscriber, "pbx1/-/x/", 2, 2, 2, 1, 1);
    zsock_destroy(&subscriber);
    view_destroy(&view, 0);
}

Test(view, counts_what_could_not_be_sent)
{
    struct config_publish config = {
        .view = CONFIG_VIEW_OBJECTS, .endpoint = "inproc://objects", .sndhwm = 100};
    struct view *view = make_view(&config);
    zsock_t *subscriber = subscriber_connect(view_endpoint(view), "");
    await_subscriptions(view, 1);
    struct event event;
    char padded[sizeof dial + SCAN_PADDING] = "";
    memcpy(padded, dial, sizeof dial);
    event_read(&event, padded, strlen(dial), "pbx1", 1);
    event.seq = 1;
    view_publish(view, &event, NULL);
    event_release(&event);
    cr_assert_eq(metrics_get(METRIC_MESSAGES_FAILED), 2);
    cr_assert_eq(metrics_get(METRIC_MESSAGES), 0);
    publish(view, 2, dial);
    EXPECT(subscriber, "channel/2/Dial/pbx1/", 2, 3, 3, 2, 2, 2);
    zsock_destroy(&subscriber);
    view_destroy(&view, 0);
}

Test(view, counts_topics_that_were_cut)
{
    struct config_publish config = {
        .view = CONFIG_VIEW_EVENTS, .endpoint = "inproc://events", .sndhwm = 100};
    struct view *view = make_view(&config);
    zsock_t *subscriber = subscriber_connect(view_endpoint(view), "");
    await_subscriptions(view, 1);
    char text[1024];
    snprintf(text, sizeof text, "{\"type\":\"StasisStart\",\"channel\":{\"id\":\"%0600d\"}}", 0);
    publish(view, 1, text);
    const struct received *received = subscriber_receive(subscriber);
    cr_assert_eq(strlen(received->topic), 512);
    cr_assert_str_eq(received->event, text);
    cr_assert_eq(metrics_get(METRIC_TOPICS_CUT), 1);
    zsock_destroy(&subscriber);
    view_destroy(&view, 0);
}

Test(view, heartbeat_lists_first_tokens_and_counts_nothing)
{
    struct config_publish config = {
        .view = CONFIG_VIEW_EVENTS, .endpoint = "inproc://events", .sndhwm = 100};
    struct view *view = make_view(&config);
    zsock_t *subscriber = subscriber_connect(view_endpoint(view), "");
    await_subscriptions(view, 1);
    heartbeat_publish(view, EPOCH, 0, 1000);
    const struct received *beat = subscriber_receive(subscriber);
    cr_assert_str_eq(beat->topic, "ArizmqHeartbeat/-/-/-/");
    json_t *json = json_loads(beat->event, 0, NULL);
    cr_assert_eq(json_object_size(json_object_get(json, "counts")), 0);
    cr_assert(json_is_true(json_object_get(json, "counts_complete")));
    json_decref(json);

    publish(view, 1, dial);
    publish(view, 2, "{\"type\":\"Sta\\/sis\"}");
    publish(view, 3, dial);
    for (unsigned i = 0; i < 3; i++) {
        subscriber_receive(subscriber);
    }
    for (uint32_t most = 0; most <= 3; most++) {
        heartbeat_publish(view, EPOCH, 3, most);
        beat = subscriber_receive(subscriber);
        cr_assert_str_eq(beat->topic, "ArizmqHeartbeat/-/-/-/");
        cr_assert_eq(beat->stamp.epoch, EPOCH);
        cr_assert_eq(beat->stamp.seq, 3);
        cr_assert_eq(beat->stamp.counts, 5);
        cr_assert_eq(beat->stamp.count[0], 3);
        for (unsigned k = 1; k < 5; k++) {
            cr_assert_eq(beat->stamp.count[k], 0);
        }
        json = json_loads(beat->event, JSON_REJECT_DUPLICATES, NULL);
        json_t *counts = json_object_get(json, "counts");
        cr_assert_eq(json_object_size(counts), most < 2 ? most : 2);
        cr_assert_eq(json_is_true(json_object_get(json, "counts_complete")), most >= 2);
        cr_assert_eq(json_integer_value(json_object_get(counts, "Dial")), most >= 1 ? 2 : 0);
        cr_assert_eq(json_integer_value(json_object_get(counts, "Sta%2Fsis")), most >= 2);
        cr_assert_eq(json_integer_value(json_object_get(json, "epoch")), EPOCH);
        cr_assert_eq(json_integer_value(json_object_get(json, "seq")), 3);
        cr_assert_eq(json_integer_value(json_object_get(json, "count")), 3);
        cr_assert_str_eq(json_string_value(json_object_get(json, "view")), "events");
        json_decref(json);
    }
    cr_assert_eq(metrics_get(METRIC_HEARTBEATS), 5);
    publish(view, 4, dial);
    EXPECT(subscriber, "Dial/ivr/pbx1/2/", 4, 4, 3, 3, 3, 3);
    zsock_destroy(&subscriber);
    view_destroy(&view, 0);
}

Test(view, counts_subscriptions_and_ignores_what_is_none)
{
    struct config_publish config = {
        .view = CONFIG_VIEW_EVENTS, .endpoint = "inproc://events", .sndhwm = 100};
    struct view *view = make_view(&config);
    zsock_t *first = subscriber_connect(view_endpoint(view), "StasisStart/");
    await_subscriptions(view, 1);
    zsock_t *talker = zsock_new(ZMQ_XSUB);
    zsock_set_linger(talker, 0);
    cr_assert_eq(zsock_connect(talker, "%s", view_endpoint(view)), 0);
    cr_assert_eq(zmq_send(zsock_resolve(talker), "\2hello", 6, 0), 6);
    while (metrics_get(METRIC_SUBSCRIBER_MESSAGES_IGNORED) == 0) {
        view_read_subscriptions(view);
    }
    zsock_set_unsubscribe(first, "StasisStart/");
    while (metrics_get(METRIC_UNSUBSCRIPTIONS) == 0) {
        view_read_subscriptions(view);
    }
    cr_assert_eq(metrics_get(METRIC_SUBSCRIPTIONS), 1);
    cr_assert_eq(metrics_get(METRIC_UNSUBSCRIPTIONS), 1);
    cr_assert_eq(metrics_get(METRIC_SUBSCRIBER_MESSAGES_IGNORED), 1);
    zsock_destroy(&first);
    zsock_destroy(&talker);
    view_destroy(&view, 0);
}

Test(view, tells_the_port_that_the_system_chose)
{
    struct config_publish config = {
        .view = CONFIG_VIEW_EVENTS, .endpoint = "tcp://127.0.0.1:*", .sndhwm = 100};
    struct view *view = make_view(&config);
    unsigned port = 0;
    cr_assert_eq(sscanf(view_endpoint(view), "tcp://127.0.0.1:%u", &port), 1, "%s",
                 view_endpoint(view));
    cr_assert_gt(port, 0);
    zsock_t *subscriber = subscriber_connect(view_endpoint(view), "Dial/");
    await_subscriptions(view, 1);
    publish(view, 1, "{\"type\":\"DialOther\"}");
    publish(view, 2, dial);
    cr_assert_str_eq(EXPECT(subscriber, "Dial/ivr/pbx1/2/", 2, 2, 1, 1, 1, 1)->event, dial);

    /* The same endpoint again: refused, and errno tells why. */
    struct config_publish taken = config;
    char endpoint[128];
    snprintf(endpoint, sizeof endpoint, "%s", view_endpoint(view));
    taken.endpoint = endpoint;
    struct view *second = view;
    cr_assert_eq(view_create(&taken, &limits, EPOCH, NULL, &second), ARIZMQ_EIO);
    cr_assert_eq(errno, EADDRINUSE, "%s", zmq_strerror(errno));
    cr_assert_eq(second, view, "written in spite of the error");
    zsock_destroy(&subscriber);
    view_destroy(&view, 0);
}

Test(view, refuses_a_bad_template_and_a_bad_endpoint)
{
    struct config_publish config = {.view = CONFIG_VIEW_EVENTS,
                                    .endpoint = "inproc://events",
                                    .topic = "{typ}/",
                                    .sndhwm = 100};
    struct view *view = NULL;
    cr_assert_eq(view_create(&config, &limits, EPOCH, NULL, &view), ARIZMQ_EINVALID);
    config.topic = NULL;
    config.endpoint = "carrier://pigeon";
    cr_assert_eq(view_create(&config, &limits, EPOCH, NULL, &view), ARIZMQ_EIO);
    cr_assert_eq(errno, EPROTONOSUPPORT, "%s", zmq_strerror(errno));
    cr_assert_null(view);
}
