/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Makes the frames of a reply to GET arizmq/history. Events are shared with history, and with other
 * pages; topics and stamps are written anew. While a page waits for a client that does not read,
 * it keeps its events in memory even when history has dropped them; so what waits is counted, and
 * the desk gives out no more pages when it is too much.
 */
#include "gateway/history_page.h"

#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"
#include "arizmq/stamp.h"
#include "ops/metrics.h"

enum {
    FRAMES_OF_MESSAGE = 3,
    FRAMES_MIN = 96,
    /* What a message takes beside its topic and event: three zmq_msg_t, the stamp, what malloc()
     * and libzmq add. */
    MESSAGE_BYTES = 3 * 64 + ARIZMQ_STAMP_BYTES_MAX + 2 * 56,
};

bool history_page_has_room(const struct history_page *self, const struct history_query *query,
                           unsigned messages, size_t bytes)
{
    return self->messages == 0 ||
           (self->messages + messages <= query->limit &&
            self->event_bytes + (uint64_t)messages * bytes <= query->page_bytes);
}

bool history_page_wants(const struct history_query *query, const struct history_message *message)
{
    return message->topic.length >= query->prefix.length &&
           memcmp(message->topic.bytes, query->prefix.bytes, query->prefix.length) == 0;
}

void history_page_begin(struct history_page *self)
{
    self->event_begin = self->frames_count;
}

static int grow(struct history_page *self)
{
    size_t capacity = self->capacity * 2;
    capacity = capacity < FRAMES_MIN ? FRAMES_MIN : capacity;
    zmq_msg_t *frames = malloc(capacity * sizeof *frames);
    if (frames == NULL) {
        return ARIZMQ_ENOMEM;
    }
    for (size_t i = 0; i < self->frames_count; i++) {
        zmq_msg_init(&frames[i]);
        zmq_msg_move(&frames[i], &self->frames[i]);
    }
    free(self->frames);
    self->frames = frames;
    self->capacity = capacity;
    return ARIZMQ_OK;
}

static int write_frame(zmq_msg_t *frame, const void *bytes, size_t length)
{
    if (zmq_msg_init_size(frame, length) != 0) {
        zmq_msg_init(frame);
        return ARIZMQ_ENOMEM;
    }
    memcpy(zmq_msg_data(frame), bytes, length);
    return ARIZMQ_OK;
}

static int write_stamp(zmq_msg_t *frame, uint64_t epoch, const struct history_event *event,
                       const struct history_message *message)
{
    struct arizmq_stamp stamp = {.epoch = epoch,
                                 .seq = event->seq,
                                 .received_ns = event->received_ns,
                                 .counts = message->counts};
    uint8_t bytes[ARIZMQ_STAMP_BYTES_MAX];
    memcpy(stamp.count, message->count, message->counts * sizeof stamp.count[0]);
    return write_frame(frame, bytes, arizmq_stamp_encode(&stamp, bytes));
}

int history_page_add(struct history_page *self, uint64_t epoch, const struct history_event *event,
                     const struct history_message *message)
{
    if (self->frames_count + FRAMES_OF_MESSAGE > self->capacity && grow(self) != ARIZMQ_OK) {
        return ARIZMQ_ENOMEM;
    }
    zmq_msg_t *frame = &self->frames[self->frames_count];
    int result = write_frame(&frame[0], message->topic.bytes, message->topic.length);
    zmq_msg_init(&frame[1]);
    if (zmq_msg_copy(&frame[1], event->payload) != 0) {
        result = ARIZMQ_ENOMEM;
    }
    if (write_stamp(&frame[2], epoch, event, message) != ARIZMQ_OK) {
        result = ARIZMQ_ENOMEM;
    }
    self->frames_count += FRAMES_OF_MESSAGE;
    self->messages++;
    self->event_bytes += zmq_msg_size(&frame[1]);
    self->topic_bytes += zmq_msg_size(&frame[0]);
    if (self->first == 0) {
        self->first = event->seq;
    }
    return result;
}

void history_page_undo(struct history_page *self)
{
    while (self->frames_count > self->event_begin) {
        zmq_msg_t *frame = &self->frames[self->frames_count - FRAMES_OF_MESSAGE];
        self->topic_bytes -= zmq_msg_size(&frame[0]);
        self->event_bytes -= zmq_msg_size(&frame[1]);
        self->messages--;
        self->frames_count -= FRAMES_OF_MESSAGE;
        for (unsigned i = 0; i < FRAMES_OF_MESSAGE; i++) {
            zmq_msg_close(&frame[i]);
        }
    }
    self->first = self->frames_count > 0 ? self->first : 0;
}

/* libzmq's I/O thread, or whoever closes the last frame without having sent it. */
static void on_passed_on(void *bytes, void *hint)
{
    metrics_add_shared(METRIC_HISTORY_UNREAD_BYTES, -(uint64_t)(uintptr_t)hint);
    free(bytes);
}

int history_page_seal(struct history_page *self)
{
    if (self->frames_count == 0) {
        return ARIZMQ_OK;
    }
    zmq_msg_t *last = &self->frames[self->frames_count - 1];
    size_t length = zmq_msg_size(last);
    uint64_t all = self->event_bytes + self->topic_bytes + self->messages * MESSAGE_BYTES;
    void *bytes = malloc(length);
    zmq_msg_t sealed;
    if (bytes == NULL) {
        return ARIZMQ_ENOMEM;
    }
    memcpy(bytes, zmq_msg_data(last), length);
    if (zmq_msg_init_data(&sealed, bytes, length, on_passed_on, (void *)(uintptr_t)all) != 0) {
        free(bytes);
        return ARIZMQ_ENOMEM;
    }
    metrics_add_shared(METRIC_HISTORY_UNREAD_BYTES, all);
    zmq_msg_move(last, &sealed);
    zmq_msg_close(&sealed);
    return ARIZMQ_OK;
}

uint64_t history_page_unread_bytes(void)
{
    return metrics_get(METRIC_HISTORY_UNREAD_BYTES);
}

void history_page_release(struct history_page *self)
{
    for (size_t i = 0; i < self->frames_count; i++) {
        zmq_msg_close(&self->frames[i]);
    }
    free(self->frames);
    *self = (struct history_page){0};
}
