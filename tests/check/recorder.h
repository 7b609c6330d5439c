/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The recorder: a subscriber that writes down what it gets, tells losses by the counters alone, and
 * where it is asked to, gets them back from the bridge's history. recorder.c (options, loop, end),
 * recorder_stream.c (one SUB socket), recorder_repair.c (GET arizmq/history).
 */
#ifndef ARIZMQ_CHECK_RECORDER_H
#define ARIZMQ_CHECK_RECORDER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <zmq.h>

#include "arizmq/gaps.h"
#include "record.h"

enum { RECORDER_PREFIXES_MAX = 32, RECORDER_STREAMS_MAX = 8 };

struct recorder {
    const char *name;
    const char *view; /* events or objects */
    const char *prefixes[RECORDER_PREFIXES_MAX];
    unsigned prefixes_count;
    bool repairs;
    bool is_books;       /* all of the view: the ledger takes what was published from it */
    unsigned slow_every; /* sleeps 1 ms after so many messages; 0: never */
    int rcvhwm;
    FILE *file;
    uint64_t stop_ns; /* wall clock when it was asked to stop; 0: not yet */
    uint64_t messages;
};

/* The number of an epoch, or of a link ("pbx1/ivr"), in the file; written when it is new. */
uint16_t recorder_epoch(struct recorder *recorder, uint64_t epoch);
uint16_t recorder_link(struct recorder *recorder, const char *name, size_t length);

uint64_t recorder_now_ms(void);
/* Ends the program with a line on stderr. */
void recorder_fail(const char *what, const char *why) __attribute__((noreturn));

/* --- recorder_stream.c: one endpoint */

/* Messages of one epoch that are here already, by count[0]. */
struct have {
    uint8_t *bits;
    size_t size;
};

struct repair;

struct stream {
    struct recorder *recorder;
    unsigned index;
    const char *endpoint;
    const char *gateway; /* NULL: nothing is repaired */
    void *socket;
    struct arizmq_gaps *gaps;
    struct repair *repair;
    struct have have;
    uint64_t epoch; /* 0: none yet */
    bool is_joined;
    uint64_t joined;  /* count[0] after which it is expected, in this epoch */
    bool has_stopped; /* the last event said that the bridge stops */
    bool has_ended;
    uint64_t heard_ms;
    bool has_beaten; /* a heartbeat came after the recorder was asked to stop */
};

void stream_open(struct stream *stream, void *context);
/* Takes what has come, some thousand messages at the most. True where there may be more. */
bool stream_read(struct stream *stream);
/* Whether nothing more is to be waited for; then it was written down. */
bool stream_may_end(struct stream *stream);
void stream_close(struct stream *stream);

/* Writes a message down, unless it came from history and is here already. Returns whether it was
 * written. */
bool stream_record(struct stream *stream, zmq_msg_t *topic, zmq_msg_t *event,
                   zmq_msg_t *stamp_frame, const struct arizmq_stamp *stamp, bool is_repaired);

/* Writes down what is lost for good: `missing` messages whose topics begin with `key`, from seq
 * after + 1 to until. */
void stream_lose(struct stream *stream, uint64_t epoch, const char *key, uint64_t after,
                 uint64_t until, uint64_t missing);

/* --- recorder_repair.c */

void repair_open(struct stream *stream, void *context);
void repair_close(struct stream *stream);
/* The socket to be polled; NULL: nothing is repaired. */
void *repair_socket(const struct stream *stream);
/* `missing` messages are to be got back; a `key` of NULL stands for all prefixes. */
void repair_add(struct stream *stream, const char *key, size_t key_length, uint64_t after,
                uint64_t until, uint64_t missing);
/* Takes answers and asks on. */
void repair_turn(struct stream *stream);
bool repair_is_idle(const struct stream *stream);

#endif
