/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What the recorder's counters miss is asked for at GET arizmq/history, page by page, one gap after
 * the other, while the stream goes on. What history has no longer, or nobody answers for, is
 * written down as lost.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <utlist.h>

#include "arizmq/error.h"
#include "recorder.h"

enum { ANSWER_MS = 5000, ATTEMPTS_MAX = 3 };

struct gap {
    struct gap *prev;
    struct gap *next;
    uint64_t epoch;
    char key[ARIZMQ_TOPIC_BYTES_MAX + 1];
    bool is_of_all; /* of all prefixes, one of which after the other is asked for */
    unsigned prefix;
    uint64_t after;
    uint64_t until;
    uint64_t missing;
    uint64_t from; /* the next page comes after this */
};

struct repair {
    void *socket;
    struct gap *gaps; /* the first one is being asked for */
    bool is_asking;
    unsigned attempts;
    uint64_t asked_ms;
    uint64_t number; /* of the last request */
};

void repair_open(struct stream *stream, void *context)
{
    struct repair *repair = calloc(1, sizeof *repair);
    int no_linger = 0;
    int unlimited = 0;
    if (repair == NULL) {
        recorder_fail("repair", "no memory");
    }
    stream->repair = repair;
    if (stream->gateway == NULL) {
        return;
    }
    repair->socket = zmq_socket(context, ZMQ_DEALER);
    if (repair->socket == NULL ||
        zmq_setsockopt(repair->socket, ZMQ_LINGER, &no_linger, sizeof no_linger) ||
        zmq_setsockopt(repair->socket, ZMQ_RCVHWM, &unlimited, sizeof unlimited) ||
        zmq_connect(repair->socket, stream->gateway)) {
        recorder_fail(stream->gateway, zmq_strerror(zmq_errno()));
    }
}

void repair_close(struct stream *stream)
{
    if (stream->repair->socket != NULL) {
        zmq_close(stream->repair->socket);
    }
    free(stream->repair);
}

void *repair_socket(const struct stream *stream)
{
    return stream->repair->socket;
}

bool repair_is_idle(const struct stream *stream)
{
    return stream->repair->gaps == NULL;
}

/* The next prefix from `first` on of which a heartbeat can know, that is of one token at the most:
 * deeper counters tell of their losses themselves, later. The number of prefixes where there is
 * none. */
static unsigned next_prefix(const struct stream *stream, unsigned first)
{
    unsigned prefixes = 0;
    const struct arizmq_gaps_totals *totals = arizmq_gaps_totals(stream->gaps, &prefixes);
    while (first < prefixes && totals[first].depth > 1) {
        first++;
    }
    return first;
}

void repair_add(struct stream *stream, const char *key, size_t key_length, uint64_t after,
                uint64_t until, uint64_t missing)
{
    struct gap *gap = calloc(1, sizeof *gap);
    if (gap == NULL) {
        recorder_fail("repair", "no memory");
    }
    gap->epoch = stream->epoch;
    gap->is_of_all = key == NULL;
    if (key != NULL) {
        memcpy(gap->key, key, key_length);
    }
    gap->after = after;
    gap->until = until;
    gap->missing = missing;
    gap->from = after;
    gap->prefix = next_prefix(stream, 0);
    DL_APPEND(stream->repair->gaps, gap);
}

static void end_gap(struct stream *stream)
{
    struct repair *repair = stream->repair;
    struct gap *gap = repair->gaps;
    if (gap->missing > 0) {
        stream_lose(stream, gap->epoch, gap->key, gap->after, gap->until, gap->missing);
    }
    DL_DELETE(repair->gaps, gap);
    free(gap);
    repair->attempts = 0;
}

/* All that can be had under this prefix is here. */
static void end_prefix(struct stream *stream)
{
    struct gap *gap = stream->repair->gaps;
    unsigned prefixes = 0;
    arizmq_gaps_totals(stream->gaps, &prefixes);
    unsigned next = next_prefix(stream, gap->prefix + 1);
    if (gap->is_of_all && gap->missing > 0 && next < prefixes) {
        gap->prefix = next;
        gap->from = gap->after;
    } else {
        end_gap(stream);
    }
}

static void ask(struct stream *stream)
{
    struct repair *repair = stream->repair;
    struct gap *gap = repair->gaps;
    unsigned prefixes = 0;
    const struct arizmq_gaps_totals *totals = arizmq_gaps_totals(stream->gaps, &prefixes);
    char id[64];
    snprintf(id, sizeof id, "%s-%u-%" PRIu64 "-%" PRIu64, stream->recorder->name, stream->index,
             recorder_now_ms(), ++repair->number);
    json_t *header = json_pack(
        "{s:s, s:s, s:s, s:{s:s, s:s, s:I, s:I, s:I}}", "method", "GET", "uri", "arizmq/history",
        "request_id", id, "query_strings", "view", stream->endpoint, "prefix",
        gap->is_of_all ? totals[gap->prefix].prefix : gap->key, "after", (json_int_t)gap->from,
        "until", (json_int_t)gap->until, "epoch", (json_int_t)gap->epoch);
    char *text = json_dumps(header, JSON_COMPACT);
    json_decref(header);
    if (text == NULL) {
        recorder_fail("repair", "no memory");
    }
    repair->is_asking = zmq_send(repair->socket, text, strlen(text), ZMQ_DONTWAIT) >= 0;
    repair->asked_ms = recorder_now_ms();
    free(text);
}

/* --- the answer */

static void take_page_message(struct stream *stream, zmq_msg_t *frames)
{
    struct gap *gap = stream->repair->gaps;
    struct arizmq_stamp stamp;
    if (arizmq_stamp_decode(zmq_msg_data(&frames[2]), zmq_msg_size(&frames[2]), &stamp) !=
            ARIZMQ_OK ||
        stamp.epoch != gap->epoch || stamp.seq <= gap->from || stamp.seq > gap->until) {
        recorder_fail(stream->gateway, "history gave a message that was not asked for");
    }
    bool is_new = stream->epoch == gap->epoch &&
                  stream_record(stream, &frames[0], &frames[1], &frames[2], &stamp, true);
    if (is_new && gap->missing > 0) {
        gap->missing--;
    }
}

/* The number of a member; fails where there is none. */
static uint64_t number_of(const struct stream *stream, const json_t *header, const char *member)
{
    const json_t *number = json_object_get(header, member);
    if (!json_is_integer(number)) {
        recorder_fail(stream->gateway, member);
    }
    return (uint64_t)json_integer_value(number);
}

/* What the header says comes next, after its messages were taken. */
static void go_on(struct stream *stream, const json_t *header)
{
    struct gap *gap = stream->repair->gaps;
    const char *error = json_string_value(json_object_get(header, "error"));
    stream->repair->attempts = 0;
    if (error == NULL) {
        gap->from = number_of(stream, header, "last");
        if (!json_is_true(json_object_get(header, "more"))) {
            end_prefix(stream);
        }
        return;
    }
    if (strcmp(error, "compacted") == 0) {
        uint64_t oldest = number_of(stream, header, "oldest");
        if (oldest <= gap->from) {
            recorder_fail(stream->gateway, "compacted, and yet it has the position");
        }
        if (oldest <= gap->until) {
            gap->from = oldest - 1;
        } else {
            end_prefix(stream);
        }
    } else if (strcmp(error, "epoch_changed") == 0 || strcmp(error, "future") == 0) {
        end_prefix(stream);
    } else if (strcmp(error, "stopping") == 0 || strcmp(error, "overloaded") == 0) {
        stream->repair->is_asking = true; /* again a little later */
        stream->repair->asked_ms = recorder_now_ms() - ANSWER_MS + 100;
    } else {
        recorder_fail(stream->gateway, error);
    }
}

static bool receive_frame(struct stream *stream, zmq_msg_t *frame)
{
    zmq_msg_init(frame);
    return zmq_msg_recv(frame, stream->repair->socket, ZMQ_DONTWAIT) >= 0;
}

static bool more(struct stream *stream)
{
    int has_more = 0;
    size_t size = sizeof has_more;
    zmq_getsockopt(stream->repair->socket, ZMQ_RCVMORE, &has_more, &size);
    return has_more != 0;
}

/* Whether it answers the last request; the reply to one that was given up may come late. */
static bool is_awaited(const struct repair *repair, const json_t *header)
{
    const char *id = json_string_value(json_object_get(header, "request_id"));
    const char *number = id != NULL ? strrchr(id, '-') : NULL;
    return repair->is_asking && number != NULL && strtoull(number + 1, NULL, 10) == repair->number;
}

/* One reply: header, body, then three frames for each message. */
static bool take_reply(struct stream *stream)
{
    zmq_msg_t frames[3];
    if (!receive_frame(stream, &frames[0])) {
        return false;
    }
    json_t *header = json_loadb(zmq_msg_data(&frames[0]), zmq_msg_size(&frames[0]), 0, NULL);
    zmq_msg_close(&frames[0]);
    bool is_wanted = is_awaited(stream->repair, header);
    stream->repair->is_asking = stream->repair->is_asking && !is_wanted;
    if (more(stream) && receive_frame(stream, &frames[0])) {
        zmq_msg_close(&frames[0]);
    }
    while (more(stream)) {
        for (unsigned i = 0; i < 3; i++) {
            if (!receive_frame(stream, &frames[i])) {
                recorder_fail(stream->gateway, "a page ends in a message");
            }
        }
        if (is_wanted) {
            take_page_message(stream, frames);
        }
        for (unsigned i = 0; i < 3; i++) {
            zmq_msg_close(&frames[i]);
        }
    }
    if (is_wanted) {
        go_on(stream, header);
    }
    json_decref(header);
    return true;
}

void repair_turn(struct stream *stream)
{
    struct repair *repair = stream->repair;
    if (repair->socket == NULL) {
        return;
    }
    while (take_reply(stream)) {
    }
    if (repair->is_asking && recorder_now_ms() - repair->asked_ms > ANSWER_MS) {
        repair->is_asking = false;
        if (++repair->attempts == ATTEMPTS_MAX) {
            end_gap(stream);
        }
    }
    if (!repair->is_asking && repair->gaps != NULL) {
        ask(stream);
    }
}
