/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Messages of history as the frames of one reply: topic, event and stamp of each, as they were
 * published. Whoever answers GET arizmq/history fills one. A page belongs to one thread at a time,
 * and may be handed to another.
 */
#ifndef ARIZMQ_GATEWAY_HISTORY_PAGE_H
#define ARIZMQ_GATEWAY_HISTORY_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <zmq.h>

#include "gateway/history_query.h"
#include "keep/history.h"

/* Begins as {0}. */
struct history_page {
    zmq_msg_t *frames; /* three for each message */
    size_t frames_count;
    uint64_t messages;
    uint64_t event_bytes; /* of the second frames */
    uint64_t first;       /* seq of the first message; 0: none */

    /* Private. */
    size_t capacity;
    uint64_t topic_bytes;
    size_t event_begin; /* frames before the event that is being added */
};

/* Whether an event of `bytes` with so many of the messages wanted may come in, too. A page without
 * any message takes one event whatever its size. */
bool history_page_has_room(const struct history_page *self, const struct history_query *query,
                           unsigned messages, size_t bytes);

/* Whether the message is one of those wanted, but for its view. */
bool history_page_wants(const struct history_query *query, const struct history_message *message);

/* Begins the next event; its messages are added, and are all in or, after history_page_undo(), none
 * of them is. */
void history_page_begin(struct history_page *self);
int history_page_add(struct history_page *self, uint64_t epoch, const struct history_event *event,
                     const struct history_message *message); /* ARIZMQ_OK or ARIZMQ_ENOMEM */
void history_page_undo(struct history_page *self);

/* To be called when the page is complete, before its frames are handed to the socket: from then on
 * until libzmq has passed the last frame on, its bytes count as unread. Returns ARIZMQ_OK or
 * ARIZMQ_ENOMEM. */
int history_page_seal(struct history_page *self);

/* Bytes of all sealed pages that libzmq still has. */
uint64_t history_page_unread_bytes(void);

/* Closes what frames are left. */
void history_page_release(struct history_page *self);

#endif
