/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Receives what the bridge publishes, over libzmq alone, as any subscriber would. Called by tests.
 * It never skips a message by itself except where its declaration says so.
 */
#include "subscriber.h"

#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "arizmq/error.h"
#include "harness/process.h"

struct subscriber {
    void *context;
    void *socket;
};

struct subscriber *subscriber_create(const char *endpoint, const char *prefix)
{
    int unlimited = 0;
    int no_linger = 0;
    struct subscriber *subscriber = calloc(1, sizeof *subscriber);
    if (!subscriber) {
        return NULL;
    }
    subscriber->context = zmq_ctx_new();
    subscriber->socket = subscriber->context ? zmq_socket(subscriber->context, ZMQ_SUB) : NULL;
    if (!subscriber->socket ||
        zmq_setsockopt(subscriber->socket, ZMQ_RCVHWM, &unlimited, sizeof unlimited) ||
        zmq_setsockopt(subscriber->socket, ZMQ_LINGER, &no_linger, sizeof no_linger) ||
        subscriber_subscribe(subscriber, prefix) || zmq_connect(subscriber->socket, endpoint)) {
        subscriber_destroy(&subscriber);
    }
    return subscriber;
}

void subscriber_destroy(struct subscriber **self)
{
    struct subscriber *subscriber = *self;
    if (!subscriber) {
        return;
    }
    if (subscriber->socket) {
        zmq_close(subscriber->socket);
    }
    if (subscriber->context) {
        zmq_ctx_term(subscriber->context);
    }
    free(subscriber);
    *self = NULL;
}

int subscriber_subscribe(struct subscriber *subscriber, const char *prefix)
{
    return zmq_setsockopt(subscriber->socket, ZMQ_SUBSCRIBE, prefix, strlen(prefix)) ? ARIZMQ_EIO
                                                                                     : ARIZMQ_OK;
}

int subscriber_unsubscribe(struct subscriber *subscriber, const char *prefix)
{
    return zmq_setsockopt(subscriber->socket, ZMQ_UNSUBSCRIBE, prefix, strlen(prefix)) ? ARIZMQ_EIO
                                                                                       : ARIZMQ_OK;
}

static char *frame_copy(zmq_msg_t *frame)
{
    size_t length = zmq_msg_size(frame);
    char *copy = malloc(length + 1);
    if (!copy) {
        abort();
    }
    memcpy(copy, zmq_msg_data(frame), length);
    copy[length] = '\0';
    return copy;
}

int subscriber_receive(struct subscriber *subscriber, int timeout_ms,
                       struct subscriber_message *out)
{
    zmq_pollitem_t item = {.socket = subscriber->socket, .events = ZMQ_POLLIN};
    if (zmq_poll(&item, 1, timeout_ms) <= 0) {
        return ARIZMQ_ENOTFOUND;
    }
    struct subscriber_message message = {0};
    unsigned frames = 0;
    bool has_stamp = false;
    int more = 1;
    while (more) {
        zmq_msg_t frame;
        zmq_msg_init(&frame);
        if (zmq_msg_recv(&frame, subscriber->socket, 0) < 0) {
            zmq_msg_close(&frame);
            break;
        }
        if (frames == 0) {
            message.topic = frame_copy(&frame);
        } else if (frames == 1) {
            message.event = frame_copy(&frame);
            message.event_length = zmq_msg_size(&frame);
        } else if (frames == 2) {
            has_stamp = arizmq_stamp_decode(zmq_msg_data(&frame), zmq_msg_size(&frame),
                                            &message.stamp) == ARIZMQ_OK;
        }
        frames++;
        more = zmq_msg_more(&frame);
        zmq_msg_close(&frame);
    }
    if (frames != 3 || !has_stamp) {
        subscriber_message_clear(&message);
        return ARIZMQ_EINVALID;
    }
    *out = message;
    return ARIZMQ_OK;
}

void subscriber_message_clear(struct subscriber_message *message)
{
    free(message->topic);
    free(message->event);
    *message = (struct subscriber_message){0};
}

bool subscriber_message_is_heartbeat(const struct subscriber_message *message)
{
    static const char events_view[] = "ArizmqHeartbeat/";
    static const char other_views[] = "arizmq/-/ArizmqHeartbeat/";
    return strncmp(message->topic, events_view, sizeof events_view - 1) == 0 ||
           strncmp(message->topic, other_views, sizeof other_views - 1) == 0;
}

int subscriber_join(struct subscriber *subscriber, int timeout_ms)
{
    struct subscriber_message message;
    int result = subscriber_receive(subscriber, timeout_ms, &message);
    if (result == ARIZMQ_OK) {
        subscriber_message_clear(&message);
    }
    return result;
}

size_t subscriber_collect(struct subscriber *subscriber, size_t wanted, int timeout_ms,
                          struct subscriber_message *out)
{
    int64_t deadline = harness_now_ms() + timeout_ms;
    size_t count = 0;
    while (count < wanted) {
        int64_t left = deadline - harness_now_ms();
        if (subscriber_receive(subscriber, left > 0 ? (int)left : 0, &out[count])) {
            break;
        }
        if (subscriber_message_is_heartbeat(&out[count])) {
            subscriber_message_clear(&out[count]);
            if (left <= 0) {
                break;
            }
        } else {
            count++;
        }
    }
    return count;
}
