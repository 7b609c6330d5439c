/* SPDX-License-Identifier: MPL-2.0 */
/*
 * One XPUB socket and its topic template. The pipeline hands it every event; it writes the topics,
 * counts, stamps, puts into history and sends. It never waits for a subscriber and never copies an
 * event's bytes.
 */
#include "publish/view.h"

#include <czmq.h>

#include "arizmq/error.h"
#include "arizmq/stamp.h"
#include "event/topic.h"
#include "ops/log.h"
#include "ops/metrics.h"
#include "publish/subscriptions.h"

/* Taken in at one turn; a flood of subscriptions waits in libzmq and holds back no event. */
enum {
    SUBSCRIPTIONS_PER_TURN = 10000,
    /* No topic is longer, so no prefix need be; a subscriber that sends more is disconnected. */
    SUBSCRIPTION_BYTES_MAX = TOPIC_BYTES_MAX + 1,
    COUNTERS_TRIMMED_MAX = 10000, /* with each heartbeat; a millisecond or two */
};

struct view {
    const struct config_publish *config;
    uint64_t epoch;
    struct history *history; /* NULL: there is none */
    int number;              /* in history; -1: not kept there */
    zsock_t *socket;
    void *handle; /* the libzmq socket within */
    struct topic_template template;
    struct counters *counters;
    struct subscriptions *subscriptions;
};

static int view_bind(struct view *view)
{
    view->socket = zsock_new(ZMQ_XPUB);
    if (view->socket == NULL) {
        return ARIZMQ_ENOMEM;
    }
    /* Without it libzmq knows no IPv6 address. */
    zsock_set_ipv6(view->socket, strchr(view->config->endpoint, '[') != NULL);
    zsock_set_sndhwm(view->socket, view->config->sndhwm);
    /* A subscriber whose machine is gone without a word is noticed after 90 seconds. */
    zsock_set_tcp_keepalive(view->socket, 1);
    zsock_set_tcp_keepalive_idle(view->socket, 60);
    zsock_set_tcp_keepalive_intvl(view->socket, 10);
    zsock_set_tcp_keepalive_cnt(view->socket, 3);
    zsock_set_maxmsgsize(view->socket, SUBSCRIPTION_BYTES_MAX);
    if (zsock_bind(view->socket, "%s", view->config->endpoint) < 0) {
        return ARIZMQ_EIO;
    }
    view->handle = zsock_resolve(view->socket);
    return ARIZMQ_OK;
}

int view_create(const struct config_publish *config, const struct config_limits *limits,
                uint64_t epoch, struct history *history, struct view **out)
{
    struct view *view = calloc(1, sizeof *view);
    if (view == NULL) {
        return ARIZMQ_ENOMEM;
    }
    view->config = config;
    view->epoch = epoch;
    view->number = -1;
    const char *topic = config->topic != NULL ? config->topic : config_view_topic(config->view);
    int result = topic_template_compile(topic, &view->template);
    if (result == ARIZMQ_OK) {
        view->counters = counters_create(view->template.count, limits->max_counters);
        view->subscriptions = subscriptions_create();
        result =
            view->counters == NULL || view->subscriptions == NULL ? ARIZMQ_ENOMEM : view_bind(view);
    }
    if (result != ARIZMQ_OK) {
        int bind_error = errno;
        view_destroy(&view, 0);
        errno = bind_error;
        return result;
    }
    view->history = history;
    view->number = history_add_view(history, view_name(view), config->endpoint);
    *out = view;
    return ARIZMQ_OK;
}

void view_destroy(struct view **self, int linger_ms)
{
    if (*self == NULL) {
        return;
    }
    history_end_view((*self)->history, (*self)->number);
    if ((*self)->socket != NULL) {
        zsock_set_linger((*self)->socket, linger_ms);
        zsock_destroy(&(*self)->socket);
    }
    counters_destroy(&(*self)->counters);
    subscriptions_destroy(&(*self)->subscriptions);
    free(*self);
    *self = NULL;
}

void view_set_config(struct view *self, const struct config_publish *config,
                     const struct config_limits *limits)
{
    self->config = config;
    counters_set_max(self->counters, limits->max_counters);
}

void view_tidy(struct view *self)
{
    counters_trim(self->counters, COUNTERS_TRIMMED_MAX);
}

const char *view_name(const struct view *self)
{
    return config_view_name(self->config->view);
}

const char *view_endpoint(const struct view *self)
{
    return zsock_endpoint(self->socket);
}

const struct counters *view_counters(const struct view *self)
{
    return self->counters;
}

/* A message of its own for bytes[0..length); returns 0, or -1 without memory. */
static int copy_frame(zmq_msg_t *frame, const void *bytes, size_t length)
{
    if (zmq_msg_init_size(frame, length) != 0) {
        zmq_msg_init(frame);
        return -1;
    }
    memcpy(zmq_msg_data(frame), bytes, length);
    return 0;
}

/* Sends the three frames. `payload` is used up. All memory is had before the first frame goes out:
 * a message that began must be ended, or the next one would be taken for its rest. */
static void view_send(struct view *view, const struct topic *topic, zmq_msg_t *payload,
                      const struct arizmq_stamp *stamp)
{
    uint8_t bytes[ARIZMQ_STAMP_BYTES_MAX];
    zmq_msg_t first;
    zmq_msg_t last;
    int failed = copy_frame(&first, topic->bytes, topic->length);
    failed |= copy_frame(&last, bytes, arizmq_stamp_encode(stamp, bytes));
    if (failed != 0 || zmq_msg_send(&first, view->handle, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0 ||
        zmq_msg_send(payload, view->handle, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0 ||
        zmq_msg_send(&last, view->handle, ZMQ_DONTWAIT) < 0) {
        zmq_msg_close(&first);
        zmq_msg_close(payload);
        zmq_msg_close(&last);
        metrics_add(METRIC_MESSAGES_FAILED, 1);
        return;
    }
    metrics_add(METRIC_MESSAGES, 1);
}

static void view_publish_one(struct view *view, const struct event *event,
                             const struct event_object *object, zmq_msg_t *payload)
{
    struct topic topic;
    topic_write(&view->template, event, object, &topic);
    if (topic.is_cut) {
        metrics_add(METRIC_TOPICS_CUT, 1);
    }
    struct arizmq_stamp stamp = {
        .epoch = view->epoch,
        .seq = event->seq,
        .received_ns = event->received_ns,
        .counts = view->template.count + 1,
    };
    counters_count(view->counters, &topic, stamp.count);
    history_add(view->history, view->number, &topic, stamp.count, stamp.counts);
    if (!subscriptions_any(view->subscriptions)) {
        metrics_add(METRIC_MESSAGES_UNWANTED, 1);
        return;
    }
    zmq_msg_t shared;
    zmq_msg_init(&shared);
    if (payload == NULL || zmq_msg_copy(&shared, payload) != 0) {
        metrics_add(METRIC_MESSAGES_FAILED, 1);
        return;
    }
    view_send(view, &topic, &shared, &stamp);
}

/* The bridge's own events begin with arizmq/-/ in views that are told by object. In others the
 * topic of one that tells of an object has its id. */
static const struct event_object own_object = {
    .kind = "arizmq", .part = {{.bytes = "-", .length = 1}}, .parts = 1};

void view_publish(struct view *self, const struct event *event, zmq_msg_t *payload)
{
    bool by_object = self->config->view == CONFIG_VIEW_OBJECTS;
    if (event->is_own && (by_object || event->object_count == 0)) {
        view_publish_one(self, event, &own_object, payload);
        return;
    }
    if (by_object) {
        for (unsigned i = 0; i < event->object_count; i++) {
            view_publish_one(self, event, &event->objects[i], payload);
        }
        return;
    }
    view_publish_one(self, event, event->object_count > 0 ? &event->objects[0] : NULL, payload);
}

void view_publish_heartbeat(struct view *self, const struct event *event, uint64_t seq)
{
    struct topic topic;
    topic_write(&self->template, event, &own_object, &topic);
    struct arizmq_stamp stamp = {
        .epoch = self->epoch,
        .seq = seq,
        .received_ns = event->received_ns,
        .counts = self->template.count + 1,
        .count = {counters_total(self->counters)},
    };
    zmq_msg_t payload;
    if (zmq_msg_init_size(&payload, event->text.length) != 0) {
        metrics_add(METRIC_MESSAGES_FAILED, 1);
        return;
    }
    memcpy(zmq_msg_data(&payload), event->text.bytes, event->text.length);
    view_send(self, &topic, &payload, &stamp);
    metrics_add(METRIC_HEARTBEATS, 1);
    /* Whoever has got it may rely on getting all that follows: from here on he is known. */
    view_read_subscriptions(self);
}

void view_read_subscriptions(struct view *self)
{
    zmq_msg_t frame;
    zmq_msg_init(&frame);
    for (unsigned i = 0; i < SUBSCRIPTIONS_PER_TURN; i++) {
        if (zmq_msg_recv(&frame, self->handle, ZMQ_DONTWAIT) < 0) {
            break;
        }
        const unsigned char *bytes = zmq_msg_data(&frame);
        size_t length = zmq_msg_size(&frame);
        bool subscribes = length > 0 && bytes[0] == 1;
        if (length > 0 && bytes[0] <= 1) {
            (subscribes ? subscriptions_add : subscriptions_remove)(self->subscriptions, bytes + 1,
                                                                    length - 1);
            metrics_add(subscribes ? METRIC_SUBSCRIPTIONS : METRIC_UNSUBSCRIPTIONS, 1);
            log_debug("subscription", "%s: prefix \"%.*s\" %s", view_name(self), (int)(length - 1),
                      (const char *)bytes + 1, subscribes ? "has a subscriber" : "has none now");
        } else {
            metrics_add(METRIC_SUBSCRIBER_MESSAGES_IGNORED, 1);
        }
    }
    zmq_msg_close(&frame);
}
