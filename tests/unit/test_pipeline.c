/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The path of an event from the bytes that a link hands over to a subscriber of each view.
 * zmq_msg_init_size() of the bridge goes through __wrap_zmq_msg_init_size(), so that memory can run
 * out.
 */
#include <criterion/criterion.h>
#include <czmq.h>
#include <string.h>

#include "arizmq/error.h"
#include "base/clock.h"
#include "ops/metrics.h"
#include "pipeline.h"
#include "publish/own_event.h"
#include "subscriber.h"

static int is_memory_gone;

/* Events fed when the last one began to be published. */
static struct feed *feed;
static uint64_t fed_before;

int __real_zmq_msg_init_size(zmq_msg_t *message, size_t size);
int __wrap_zmq_msg_init_size(zmq_msg_t *message, size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

int __wrap_zmq_msg_init_size(zmq_msg_t *message, size_t size)
{
    if (is_memory_gone) {
        errno = ENOMEM;
        return -1;
    }
    fed_before = feed != NULL ? feed_events(feed, 1) : 0;
    return __real_zmq_msg_init_size(message, size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return is_memory_gone ? NULL : __real_calloc(count, size);
}

static struct config_publish publish[2];
static struct config config;
static struct pipeline *pipeline;
static zsock_t *events;
static zsock_t *objects;

/* What the link was asked and told. */
static unsigned responses_asked;
static unsigned replacements_told;
static uint64_t replacement_seq;

static bool takes_response(void *owner, const struct event *event)
{
    cr_assert_eq(owner, &config);
    responses_asked++;
    return memmem(event->text.bytes, event->text.length, "\"arizmq-", 8) != NULL;
}

static void application_replaced(void *owner, const struct event *event)
{
    cr_assert_eq(owner, &config);
    cr_assert_eq(event->application.length, 3);
    replacements_told++;
    replacement_seq = pipeline_seq(pipeline);
}

static struct pipeline_source source = {
    .node = "pbx1",
    .node_index = 1,
    .takes_response = takes_response,
    .application_replaced = application_replaced,
    .owner = &config,
};

static uint64_t chosen_wall(void)
{
    return 1795444501160000123;
}

static void make_config(void)
{
    publish[0] = (struct config_publish){
        .view = CONFIG_VIEW_EVENTS, .endpoint = "inproc://events", .sndhwm = 1000};
    publish[1] = (struct config_publish){
        .view = CONFIG_VIEW_OBJECTS, .endpoint = "inproc://objects", .sndhwm = 1000};
    config = (struct config){
        .publish = publish,
        .publish_count = 2,
        .nodes_count = 2,
        .gateway = {.feed_bytes = 4096},
        .state = {.enabled = true, .max_objects = 100, .max_bytes = 1 << 20},
        .limits = {.max_event_bytes = 1 << 20, .max_counters = 1000, .heartbeat_first_tokens = 10},
    };
}

static void set_up(void)
{
    char error[256] = "";
    clock_set_wall_source(chosen_wall);
    make_config();
    cr_assert_eq(feed_create(&config, &feed), ARIZMQ_OK);
    cr_assert_eq(pipeline_create(&config, feed, &pipeline, error, sizeof error), ARIZMQ_OK, "%s",
                 error);
    source.tally = tally_open("pbx1", "ivr");
    cr_assert_not_null(source.tally);
    events = subscriber_connect(publish[0].endpoint, "");
    objects = subscriber_connect(publish[1].endpoint, "");
    while (metrics_get(METRIC_SUBSCRIPTIONS) < 2) {
        pipeline_read_subscriptions(pipeline);
    }
}

static void tear_down(void)
{
    zsock_destroy(&events);
    zsock_destroy(&objects);
    pipeline_destroy(&pipeline, 0);
    cr_assert_null(pipeline);
    pipeline_destroy(&pipeline, 0);
    feed_destroy(&feed);
}

TestSuite(pipeline, .init = set_up, .fini = tear_down);

static void receive_bytes(const char *text, size_t length)
{
    char *padded = malloc(length + SCAN_PADDING);
    cr_assert_not_null(padded);
    if (length > 0) {
        memcpy(padded, text, length);
    }
    memset(padded + length, '"', SCAN_PADDING);
    pipeline_receive(pipeline, &source, padded, length, 5000);
    memset(padded, 'X', length); /* the link reads the next message into it */
    free(padded);
}

static void receive(const char *text)
{
    receive_bytes(text, strlen(text));
}

/* The pipeline's part of what becomes of messages; unit.link_events has the whole. */
static void expect_tally(uint64_t received, uint64_t published, uint64_t responses,
                         uint64_t refused_memory)
{
    struct tally_sums sums;
    tally_read(source.tally, &sums);
    cr_assert_eq(sums.value[TALLY_RECEIVED], received);
    cr_assert_eq(sums.value[TALLY_PUBLISHED], published);
    cr_assert_eq(sums.value[TALLY_RESPONSES], responses);
    cr_assert_eq(sums.value[TALLY_REFUSED_MEMORY], refused_memory);
}

static const char start[] =
    "{\"type\":\"StasisStart\",\"channel\":{\"id\":\"1.2\"},\"application\":"
    "\"ivr\"}";
static const char end[] = "{\"type\":\"StasisEnd\",\"channel\":{\"id\":\"1.2\"},\"application\":"
                          "\"ivr\"}";

Test(pipeline, numbers_counts_and_stamps_in_every_view)
{
    cr_assert_eq(pipeline_epoch(pipeline), 1795444501160000);
    cr_assert_eq(pipeline_seq(pipeline), 0);
    receive(start);
    receive("{\"type\":\"Dial\",\"peer\":{\"id\":\"2\"},\"caller\":{\"id\":\"1.2\"}}");
    receive(end);
    cr_assert_eq(pipeline_seq(pipeline), 3);
    const struct received *received = EXPECT(events, "StasisStart/ivr/pbx1/1.2/", 1, 1, 1, 1, 1, 1);
    cr_assert_eq(received->stamp.epoch, 1795444501160000);
    cr_assert_eq(received->stamp.received_ns, 5000);
    cr_assert_str_eq(received->event, start);
    EXPECT(events, "Dial/-/pbx1/2/", 2, 2, 1, 1, 1, 1);
    EXPECT(events, "StasisEnd/ivr/pbx1/1.2/", 3, 3, 1, 1, 1, 1);
    received = EXPECT(objects, "channel/1.2/StasisStart/pbx1/", 1, 1, 1, 1, 1, 1);
    cr_assert_eq(received->stamp.epoch, 1795444501160000);
    cr_assert_str_eq(received->event, start);
    EXPECT(objects, "channel/2/Dial/pbx1/", 2, 2, 2, 1, 1, 1);
    EXPECT(objects, "channel/1.2/Dial/pbx1/", 2, 3, 3, 2, 1, 1);
    EXPECT(objects, "channel/1.2/StasisEnd/pbx1/", 3, 4, 4, 3, 1, 1);
    cr_assert_eq(metrics_get(METRIC_EVENTS), 3);
    cr_assert_eq(metrics_get(METRIC_MESSAGES), 7);
    cr_assert_eq(metrics_get(METRIC_EVENTS_UNKNOWN), 0);
}

static unsigned objects_fed;

static void on_object(void *owner, unsigned node, enum object_kind kind, const char *id,
                      size_t length, bool has_ended)
{
    cr_assert_eq(owner, &config);
    cr_assert_eq(node, 1);
    cr_assert_eq(kind, OBJECT_CHANNEL);
    cr_assert(length == 3 && memcmp(id, "1.2", 3) == 0);
    cr_assert_eq(has_ended, objects_fed == 1);
    objects_fed++;
}

static void on_link(void *owner, unsigned node, unsigned application, enum feed_link state,
                    const char *detail)
{
    cr_assert_fail("no link: %p %u %u %d %s", owner, node, application, (int)state, detail);
}

static unsigned answers_fed;

static void on_answer(void *owner, uint64_t number, char *text, size_t length, bool was_sent)
{
    cr_assert_eq(owner, &config);
    cr_assert_eq(number, answers_fed);
    cr_assert(text == NULL && length == 0 && !was_sent);
    answers_fed++;
}

static const struct feed_handler feed_handler = {
    .object = on_object, .link = on_link, .answer = on_answer};

/* Whoever sees the event may send a command at once. */
Test(pipeline, tells_the_command_thread_before_the_subscribers)
{
    receive(start);
    cr_assert_eq(fed_before, 1);
    receive(end);
    cr_assert_eq(fed_before, 2);
    feed_take(feed, &feed_handler, &config);
    cr_assert_eq(objects_fed, 2);
    /* What the bridge says itself and what answers its own requests teaches nothing. */
    pipeline_publish_own(pipeline, "pbx1", own_event_create("ArizmqGap", "ivr", "pbx1", 1));
    receive("{\"type\":\"RESTResponse\",\"request_id\":\"arizmq-1-1\"}");
    feed_take(feed, &feed_handler, &config);
    cr_assert_eq(objects_fed, 2);
    cr_assert_eq(feed_events(feed, 1), 2);
}

Test(pipeline, a_beat_hands_over_what_the_feed_held_back)
{
    enum { ANSWERS = 200 };
    for (unsigned i = 0; i < ANSWERS; i++) {
        feed_answer(feed, i, NULL, 0, false);
    }
    feed_take(feed, &feed_handler, &config);
    cr_assert_lt(answers_fed, ANSWERS, "it all fitted, which proves nothing");
    for (unsigned i = 0; i < 20; i++) {
        pipeline_beat(pipeline);
        feed_take(feed, &feed_handler, &config);
    }
    cr_assert_eq(answers_fed, ANSWERS);
}

#define TEXT(literal) literal, sizeof(literal) - 1

/* Whatever came, those bytes leave. */
Test(pipeline, sends_the_bytes_that_came)
{
    static const struct {
        const char *text;
        size_t length;
        const char *topic;
    } texts[] = {
        {TEXT(""), "ArizmqUnparsed/-/pbx1/-/"},
        {TEXT("\0\0"), "ArizmqUnparsed/-/pbx1/-/"},
        {TEXT("{\"type\":"), "ArizmqUnparsed/-/pbx1/-/"},
        {TEXT("[1, 2]"), "ArizmqUnparsed/-/pbx1/-/"},
        {TEXT("{\"type\":\"A\"}\xff"), "ArizmqUnparsed/-/pbx1/-/"},
        {TEXT(" {\"n\":1.50e1,\n \"type\" : \"A\\/B\"}\r\n"), "A%2FB/-/pbx1/-/"},
        {TEXT("{\"type\":\"New\",\"application\":\"\xff/\"}"), "New/%FF%2F/pbx1/-/"},
        {TEXT("{\"type\":\"New\",\"type\":\"\"}"), "-/-/pbx1/-/"},
    };
    size_t bytes = 0;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        receive_bytes(texts[i].text, texts[i].length);
        const struct received *received = subscriber_receive(events);
        cr_assert_str_eq(received->topic, texts[i].topic);
        cr_assert_eq(received->length, texts[i].length, "%s: %zu", texts[i].text, received->length);
        cr_assert_eq(memcmp(received->event, texts[i].text, texts[i].length), 0);
        cr_assert_eq(received->stamp.seq, i + 1);
        cr_assert_eq(received->stamp.count[0], i + 1);
        bytes += texts[i].length;
    }
    cr_assert_eq(metrics_get(METRIC_EVENT_BYTES), bytes);
    cr_assert_eq(metrics_get(METRIC_EVENTS_UNPARSED), 5);
    cr_assert_eq(metrics_get(METRIC_EVENTS_UNKNOWN), 3);
    /* None of them was of an object. */
    receive(start);
    EXPECT(objects, "channel/1.2/StasisStart/pbx1/", 9, 1, 1, 1, 1, 1);
}

Test(pipeline, does_not_publish_the_answers_to_its_own_requests)
{
    static const char foreign[] =
        "{\"type\":\"RESTResponse\",\"request_id\":\"q1\",\"application\":\"ivr\"}";
    receive("{\"type\":\"RESTResponse\",\"request_id\":\"arizmq-1\",\"application\":\"ivr\"}");
    cr_assert_eq(responses_asked, 1);
    cr_assert_eq(pipeline_seq(pipeline), 0);
    receive(foreign);
    cr_assert_eq(responses_asked, 2);
    receive("{\"type\":\"Other\",\"request_id\":\"arizmq-2\"}");
    cr_assert_eq(responses_asked, 2, "asked about something else");
    cr_assert_str_eq(EXPECT(events, "RESTResponse/ivr/pbx1/-/", 1, 1, 1, 1, 1, 1)->event, foreign);
    EXPECT(events, "Other/-/pbx1/-/", 2, 2, 1, 1, 1, 1);
    cr_assert_eq(metrics_get(METRIC_EVENTS), 3);
    cr_assert_eq(metrics_get(METRIC_EVENTS_OWN_RESPONSES), 1);
    expect_tally(3, 2, 1, 0);
}

Test(pipeline, tells_of_a_replaced_application_after_publishing_it)
{
    receive(start);
    receive("{\"type\":\"ApplicationReplaced\",\"application\":\"ivr\"}");
    cr_assert_eq(replacements_told, 1);
    cr_assert_eq(replacement_seq, 2);
    EXPECT(events, "StasisStart/ivr/pbx1/1.2/", 1, 1, 1, 1, 1, 1);
    EXPECT(events, "ApplicationReplaced/ivr/pbx1/-/", 2, 2, 1, 1, 1, 1);
}

/* Folds with the number that the event gets, before it is published. */
Test(pipeline, keeps_the_last_values_of_objects_and_tells_of_them)
{
    source.state = state_open(pipeline_state(pipeline), "pbx1", "ivr", false);
    cr_assert_not_null(source.state);
    receive(start);
    struct span held = {"", 0};
    struct span id = {"1.2", 3};
    cr_assert(state_find(source.state, OBJECT_CHANNEL, id, &held));
    json_t *json = own_event_create("ArizmqObjectFound", "ivr", "pbx1", clock_wall_ns());
    struct span value = {"{ \"id\":\"1.2\" , \"x\":1.0 }", 24};
    pipeline_publish_object(pipeline, &source, json, "channel", value);
    cr_assert(state_find(source.state, OBJECT_CHANNEL, id, &held));
    cr_assert_eq(held.length, value.length);
    cr_assert_eq(memcmp(held.bytes, value.bytes, held.length), 0, "not a byte is changed");
    EXPECT(events, "StasisStart/ivr/pbx1/1.2/", 1, 1, 1, 1, 1, 1);
    const struct received *received =
        EXPECT(events, "ArizmqObjectFound/ivr/pbx1/1.2/", 2, 2, 1, 1, 1, 1);
    cr_assert_not_null(strstr(received->event, ",\"channel\":{ \"id\":\"1.2\" , \"x\":1.0 }}"));
    EXPECT(objects, "channel/1.2/StasisStart/pbx1/", 1, 1, 1, 1, 1, 1);
    EXPECT(objects, "arizmq/-/ArizmqObjectFound/pbx1/", 2, 2, 1, 1, 1, 1);
    json = own_event_create("ArizmqObjectLost", "ivr", "pbx1", clock_wall_ns());
    pipeline_publish_object(pipeline, &source, json, "channel", value);
    cr_assert_not(state_find(source.state, OBJECT_CHANNEL, id, &held));
    state_close(&source.state);
}

Test(pipeline, publishes_its_own_events_under_topics_of_their_own)
{
    receive(start);
    json_t *json = own_event_create("ArizmqGap", "ivr", "pbx1", clock_wall_ns());
    /* As schemas have it; a member that looks like an object makes no object of it. */
    json_object_set_new(json, "channel", json_pack("{s:s}", "id", "1.2"));
    pipeline_publish_own(pipeline, "pbx1", json);
    pipeline_publish_own(pipeline, "-", own_event_create("ArizmqStopping", "-", "-", 7));
    EXPECT(events, "StasisStart/ivr/pbx1/1.2/", 1, 1, 1, 1, 1, 1);
    const struct received *received = EXPECT(events, "ArizmqGap/ivr/pbx1/-/", 2, 2, 1, 1, 1, 1);
    cr_assert_str_eq(received->event,
                     "{\"type\":\"ArizmqGap\",\"application\":\"ivr\",\"timestamp\":"
                     "\"2026-11-23T14:35:01.160+0000\",\"node\":\"pbx1\",\"channel\":{\"id\":"
                     "\"1.2\"}}");
    cr_assert_eq(received->stamp.received_ns, chosen_wall());
    EXPECT(events, "ArizmqStopping/-/-/-/", 3, 3, 1, 1, 1, 1);
    EXPECT(objects, "channel/1.2/StasisStart/pbx1/", 1, 1, 1, 1, 1, 1);
    EXPECT(objects, "arizmq/-/ArizmqGap/pbx1/", 2, 2, 1, 1, 1, 1);
    EXPECT(objects, "arizmq/-/ArizmqStopping/-/", 3, 3, 2, 2, 1, 1);
    cr_assert_eq(pipeline_seq(pipeline), 3);
    cr_assert_eq(metrics_get(METRIC_EVENTS), 1, "own events did not come from an Asterisk");
    cr_assert_eq(metrics_get(METRIC_EVENTS_UNKNOWN), 0);
}

static void expect_beat(zsock_t *socket, const char *topic, const char *view, uint64_t seq,
                        const char *counts)
{
    const struct received *beat = subscriber_receive(socket);
    cr_assert_str_eq(beat->topic, topic);
    cr_assert_eq(beat->stamp.seq, seq);
    cr_assert_eq(beat->stamp.received_ns, chosen_wall());
    json_t *json = json_loads(beat->event, 0, NULL);
    cr_assert_str_eq(json_string_value(json_object_get(json, "view")), view);
    char *text = json_dumps(json_object_get(json, "counts"), JSON_COMPACT | JSON_SORT_KEYS);
    cr_assert_str_eq(text, counts);
    cr_assert_eq((uint64_t)json_integer_value(json_object_get(json, "count")),
                 beat->stamp.count[0]);
    free(text);
    json_decref(json);
}

Test(pipeline, heartbeats_number_nothing)
{
    pipeline_beat(pipeline);
    receive(start);
    pipeline_beat(pipeline);
    pipeline_beat(pipeline);
    receive(end);
    cr_assert_eq(pipeline_seq(pipeline), 2);
    expect_beat(events, "ArizmqHeartbeat/-/-/-/", "events", 0, "{}");
    EXPECT(events, "StasisStart/ivr/pbx1/1.2/", 1, 1, 1, 1, 1, 1);
    expect_beat(events, "ArizmqHeartbeat/-/-/-/", "events", 1, "{\"StasisStart\":1}");
    expect_beat(events, "ArizmqHeartbeat/-/-/-/", "events", 1, "{\"StasisStart\":1}");
    EXPECT(events, "StasisEnd/ivr/pbx1/1.2/", 2, 2, 1, 1, 1, 1);
    expect_beat(objects, "arizmq/-/ArizmqHeartbeat/-/", "objects", 0, "{}");
    EXPECT(objects, "channel/1.2/StasisStart/pbx1/", 1, 1, 1, 1, 1, 1);
    expect_beat(objects, "arizmq/-/ArizmqHeartbeat/-/", "objects", 1, "{\"channel\":1}");
    expect_beat(objects, "arizmq/-/ArizmqHeartbeat/-/", "objects", 1, "{\"channel\":1}");
    EXPECT(objects, "channel/1.2/StasisEnd/pbx1/", 2, 2, 2, 2, 1, 1);
}

/* What could not be sent has a number and was counted, and so has the ArizmqRefused that was to
 * tell of it: the next message shows both. */
Test(pipeline, shows_a_loss_where_there_is_no_memory)
{
    receive(start);
    is_memory_gone = 1;
    receive(start);
    is_memory_gone = 0;
    receive(start);
    cr_assert_eq(metrics_get(METRIC_EVENTS_REFUSED_MEMORY), 1);
    cr_assert_eq(metrics_get(METRIC_MESSAGES_FAILED), 4);
    EXPECT(events, "StasisStart/ivr/pbx1/1.2/", 1, 1, 1, 1, 1, 1);
    EXPECT(events, "StasisStart/ivr/pbx1/1.2/", 4, 4, 3, 3, 3, 3);
    EXPECT(objects, "channel/1.2/StasisStart/pbx1/", 1, 1, 1, 1, 1, 1);
    EXPECT(objects, "channel/1.2/StasisStart/pbx1/", 4, 4, 3, 3, 3, 3);

    /* An own event that cannot even be printed is counted as one, a heartbeat is not. */
    json_t *json = own_event_create("ArizmqGap", "ivr", "pbx1", 1);
    is_memory_gone = 1;
    pipeline_publish_own(pipeline, "pbx1", json);
    pipeline_beat(pipeline);
    is_memory_gone = 0;
    cr_assert_eq(metrics_get(METRIC_EVENTS_REFUSED_MEMORY), 2);
    cr_assert_eq(metrics_get(METRIC_HEARTBEATS), 0);
    cr_assert_eq(metrics_get(METRIC_MESSAGES_FAILED), 8);
    receive(start);
    EXPECT(events, "StasisStart/ivr/pbx1/1.2/", 6, 6, 4, 4, 4, 4);
    expect_tally(4, 3, 0, 1);
}

Test(pipeline_create, names_what_cannot_be_bound, .init = make_config)
{
    char error[256] = "";
    publish[0].endpoint = "tcp://127.0.0.1:*";
    publish[1].endpoint = "carrier://pigeon";
    struct pipeline *none = NULL;
    cr_assert_eq(pipeline_create(&config, NULL, &none, error, sizeof error), ARIZMQ_EIO);
    cr_assert_str_eq(error, "publish[1]: cannot bind carrier://pigeon: Protocol not supported");
    cr_assert_null(none);

    publish[0].endpoint = "inproc://twice";
    publish[1].endpoint = "inproc://twice";
    cr_assert_eq(pipeline_create(&config, NULL, &none, error, sizeof error), ARIZMQ_EIO);
    cr_assert_str_eq(error, "publish[1]: cannot bind inproc://twice: Address already in use");

    publish[0].endpoint = "inproc://third";
    publish[1].topic = "{typ}/";
    cr_assert_eq(pipeline_create(&config, NULL, &none, error, sizeof error), ARIZMQ_EINVALID);
    cr_assert_str_eq(error, "publish[1]: \"{typ}/\" is no topic template");

    is_memory_gone = 1;
    cr_assert_eq(pipeline_create(&config, NULL, &none, error, sizeof error), ARIZMQ_ENOMEM);
    is_memory_gone = 0;
    cr_assert_str_eq(error, "no memory for the pipeline");
    cr_assert_null(none);

    /* Nothing of the failures stays: both can be bound as soon as libzmq's thread has closed them.
     */
    publish[1].topic = NULL;
    int result = ARIZMQ_EIO;
    while (result == ARIZMQ_EIO) {
        result = pipeline_create(&config, NULL, &none, error, sizeof error);
        cr_assert(result == ARIZMQ_OK || strstr(error, "Address already in use") != NULL, "%s",
                  error);
    }
    cr_assert_eq(result, ARIZMQ_OK);
    pipeline_destroy(&none, 0);
}
