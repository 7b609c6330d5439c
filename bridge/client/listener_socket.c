/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The SUB socket of a listener: what it subscribes to, and three frames off it at a time.
 * listener.c calls it when it is ready for another message.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "arizmq/error.h"
#include "client/listener_private.h"
#include "client/monitor.h"

#define HEARTBEAT_WORD "ArizmqHeartbeat/"
#define STOPPING_WORD  "ArizmqStopping/"

static int subscribe(const struct listener *self, const char *topic)
{
    return zmq_setsockopt(self->socket, ZMQ_SUBSCRIBE, topic, strlen(topic));
}

/* Where the heartbeat's topic begins with `heartbeat`, that of ArizmqStopping begins so. */
static void stopping_topic(const char *heartbeat, char *out, size_t size)
{
    const char *word = strstr(heartbeat, HEARTBEAT_WORD);
    int before = word == NULL ? 0 : (int)(word - heartbeat);
    snprintf(out, size, "%.*s%s", before, heartbeat, word == NULL ? "" : STOPPING_WORD);
}

static const char *const heartbeats_of_views[] = {ARIZMQ_HEARTBEAT_EVENTS,
                                                  ARIZMQ_HEARTBEAT_OBJECTS};

static int subscribe_to_own(const struct listener *self, const char *heartbeat)
{
    char stopping[ARIZMQ_TOPIC_BYTES_MAX + 1];
    stopping_topic(heartbeat, stopping, sizeof stopping);
    return subscribe(self, heartbeat) != 0 || (*stopping != '\0' && subscribe(self, stopping) != 0);
}

/* Without a heartbeat that was named, those of both views: a topic that does not exist costs
 * nothing, and a heartbeat of the other view tells that it is the other one. */
static int subscribe_to_all(const struct listener *self)
{
    const struct arizmq_subscriber_options *options = self->options;
    int failures = 0;
    for (size_t i = 0; i < options->prefixes_count; i++) {
        failures += subscribe(self, options->prefixes[i]) != 0;
    }
    if (options->heartbeat != NULL) {
        return failures + subscribe_to_own(self, options->heartbeat);
    }
    for (size_t i = 0; i < sizeof heartbeats_of_views / sizeof *heartbeats_of_views; i++) {
        failures += subscribe_to_own(self, heartbeats_of_views[i]);
    }
    return failures;
}

bool listener_is_stopping(const struct listener *self, const struct message *message)
{
    const char *const *heartbeats = &self->options->heartbeat;
    size_t count = 1;
    if (*heartbeats == NULL) {
        heartbeats = heartbeats_of_views;
        count = sizeof heartbeats_of_views / sizeof *heartbeats_of_views;
    }
    for (size_t i = 0; i < count; i++) {
        char topic[ARIZMQ_TOPIC_BYTES_MAX + 1];
        stopping_topic(heartbeats[i], topic, sizeof topic);
        size_t length = strlen(topic);
        if (length > 0 && length <= message->topic_length &&
            memcmp(message->topic, topic, length) == 0) {
            return true;
        }
    }
    return false;
}

int listener_open_socket(struct listener *self)
{
    const int linger_ms = 0;
    void *context = self->options->context;
    self->socket = zmq_socket(context, ZMQ_SUB);
    if (self->socket == NULL ||
        zmq_setsockopt(self->socket, ZMQ_LINGER, &linger_ms, sizeof linger_ms) != 0 ||
        zmq_setsockopt(self->socket, ZMQ_RCVHWM, &self->options->rcvhwm,
                       sizeof self->options->rcvhwm) != 0) {
        return ARIZMQ_EIO;
    }
    self->monitor = monitor_open(context, self->socket);
    if (self->monitor == NULL || subscribe_to_all(self) != 0) {
        return ARIZMQ_EIO;
    }
    return zmq_connect(self->socket, self->endpoint->events) == 0 ? ARIZMQ_OK : ARIZMQ_EINVALID;
}

void listener_close_socket(struct listener *self)
{
    if (self->socket != NULL) {
        monitor_close(&self->monitor, self->socket);
        zmq_close(self->socket);
        self->socket = NULL;
    }
}

/* Reads one whole message into frames[], those beyond the last into the last one. Returns the
 * number of frames, 0 if none waits. */
static unsigned receive_frames(struct listener *self)
{
    unsigned count = 0;
    bool is_more = true;
    while (is_more) {
        zmq_msg_t *frame = &self->frames[count < MESSAGE_FRAMES ? count : MESSAGE_FRAMES - 1];
        if (zmq_msg_recv(frame, self->socket, ZMQ_DONTWAIT) < 0) {
            return count; /* the frames of a message come together: none waits */
        }
        is_more = zmq_msg_more(frame);
        count++;
    }
    return count;
}

int listener_receive(struct listener *self)
{
    unsigned frames = receive_frames(self);
    if (frames == 0) {
        return ARIZMQ_ENOTFOUND;
    }
    struct message *message = &self->pending;
    message->topic = zmq_msg_data(&self->frames[0]);
    message->topic_length = zmq_msg_size(&self->frames[0]);
    message->event = zmq_msg_data(&self->frames[1]);
    message->event_length = zmq_msg_size(&self->frames[1]);
    if (frames != MESSAGE_FRAMES ||
        arizmq_stamp_decode(zmq_msg_data(&self->frames[2]), zmq_msg_size(&self->frames[2]),
                            &message->stamp) != ARIZMQ_OK) {
        self->foreign_frames = self->foreign++ == 0 ? frames : self->foreign_frames;
        return ARIZMQ_EPROTOCOL;
    }
    self->epoch = message->stamp.epoch;
    self->seq = message->stamp.seq;
    return ARIZMQ_OK;
}

void listener_read_monitor(struct listener *self)
{
    enum monitor_event event = MONITOR_NOTHING;
    while ((event = monitor_read(self->monitor)) != MONITOR_NOTHING) {
        self->is_connected = event == MONITOR_SPEAKS;
        self->was_connected = self->was_connected || self->is_connected;
    }
}
