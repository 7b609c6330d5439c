/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Events for history whose every byte follows from their seq, so that whoever reads one can check
 * all of it. Used by the tests of history, and by those of threads, which know no Criterion.
 */
#ifndef ARIZMQ_TESTS_HISTORY_HELPERS_H
#define ARIZMQ_TESTS_HISTORY_HELPERS_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keep/history.h"

/* What an event is like. */
struct written {
    size_t size;       /* of its payload */
    unsigned messages; /* the i-th of view i % 2 */
};

enum { WRITTEN_COUNTS = 5 };

static inline uint64_t written_count(uint64_t seq, unsigned message, unsigned k)
{
    return seq * 1000 + message * 10 + k;
}

static inline uint64_t written_ns(uint64_t seq)
{
    return 1000000000U + seq;
}

/* The topic of a message; lengths vary, so that padding is met. */
static inline void written_topic(uint64_t seq, unsigned message, struct topic *out)
{
    int length =
        snprintf(out->bytes, sizeof out->bytes, "%s/%" PRIu64 "/%u/%.*s/",
                 message % 2 == 0 ? "even" : "odd", seq, message, (int)(seq % 9), "xxxxxxxxx");
    out->length = (size_t)length;
}

static inline unsigned char written_byte(uint64_t seq, size_t at)
{
    return (unsigned char)(seq * 31 + at);
}

static inline void written_payload(uint64_t seq, size_t size, zmq_msg_t *out)
{
    if (zmq_msg_init_size(out, size) != 0) {
        abort();
    }
    unsigned char *bytes = zmq_msg_data(out);
    for (size_t at = 0; at < size; at++) {
        bytes[at] = written_byte(seq, at);
    }
}

static inline void history_write_at(struct history *history, uint64_t seq, struct written what,
                                    uint64_t received_ns)
{
    zmq_msg_t payload;
    written_payload(seq, what.size, &payload);
    history_begin(history, seq, received_ns, &payload);
    for (unsigned i = 0; i < what.messages; i++) {
        struct topic topic;
        uint64_t count[WRITTEN_COUNTS];
        written_topic(seq, i, &topic);
        for (unsigned k = 0; k < WRITTEN_COUNTS; k++) {
            count[k] = written_count(seq, i, k);
        }
        history_add(history, (int)(i % 2), &topic, count, WRITTEN_COUNTS);
    }
    history_commit(history);
    zmq_msg_close(&payload);
}

static inline void history_write(struct history *history, uint64_t seq, struct written what)
{
    history_write_at(history, seq, what, written_ns(seq));
}

static inline const char *wrong_message(struct history_reader *reader, uint64_t seq, unsigned i)
{
    struct topic topic;
    struct history_message message;
    written_topic(seq, i, &topic);
    history_reader_message(reader, i, &message);
    if (message.view != i % 2 || message.counts != WRITTEN_COUNTS) {
        return "another view or number of counts";
    }
    if (message.topic.length != topic.length ||
        memcmp(message.topic.bytes, topic.bytes, topic.length) != 0) {
        return "another topic";
    }
    for (unsigned k = 0; k < message.counts; k++) {
        if (message.count[k] != written_count(seq, i, k)) {
            return "another count";
        }
    }
    return NULL;
}

/* What is wrong with an event that a reader has just given, NULL if it is as it was written. */
static inline const char *wrong_event(struct history_reader *reader,
                                      const struct history_event *event, struct written what)
{
    if (event->payload == NULL || event->messages != what.messages) {
        return "a hole, or another number of messages";
    }
    if (zmq_msg_size(event->payload) != what.size) {
        return "another size";
    }
    const unsigned char *bytes = zmq_msg_data(event->payload);
    for (size_t at = 0; at < what.size; at++) {
        if (bytes[at] != written_byte(event->seq, at)) {
            return "other bytes";
        }
    }
    for (unsigned i = 0; i < event->messages; i++) {
        const char *wrong = wrong_message(reader, event->seq, i);
        if (wrong != NULL) {
            return wrong;
        }
    }
    return NULL;
}

#endif
