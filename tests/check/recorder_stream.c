/* SPDX-License-Identifier: MPL-2.0 */
/*
 * One SUB socket of the recorder: its messages, what the gap checker of libarizmq says to each, and
 * the records of both. recorder.c calls it in turn with the others.
 */
#include "recorder.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "arizmq/error.h"

enum {
    READ_MAX = 2000,
    SILENT_MS = 15000, /* a stopping recorder waits no longer for a heartbeat */
};

void stream_open(struct stream *stream, void *context)
{
    struct recorder *recorder = stream->recorder;
    int no_linger = 0;
    int retry_ms = 20;
    const char *beat =
        strcmp(recorder->view, "events") == 0 ? ARIZMQ_HEARTBEAT_EVENTS : ARIZMQ_HEARTBEAT_OBJECTS;
    stream->socket = zmq_socket(context, ZMQ_SUB);
    if (stream->socket == NULL ||
        zmq_setsockopt(stream->socket, ZMQ_RCVHWM, &recorder->rcvhwm, sizeof recorder->rcvhwm) ||
        zmq_setsockopt(stream->socket, ZMQ_LINGER, &no_linger, sizeof no_linger) ||
        zmq_setsockopt(stream->socket, ZMQ_RECONNECT_IVL, &retry_ms, sizeof retry_ms)) {
        recorder_fail(stream->endpoint, zmq_strerror(zmq_errno()));
    }
    for (unsigned i = 0; i < recorder->prefixes_count; i++) {
        const char *prefix = recorder->prefixes[i];
        zmq_setsockopt(stream->socket, ZMQ_SUBSCRIBE, prefix, strlen(prefix));
    }
    /* Last: where a heartbeat comes, the bridge knows the prefixes. */
    zmq_setsockopt(stream->socket, ZMQ_SUBSCRIBE, beat, strlen(beat));
    if (arizmq_gaps_create(recorder->prefixes, recorder->prefixes_count, ARIZMQ_GAPS_WATCHED_MAX,
                           &stream->gaps) != ARIZMQ_OK ||
        zmq_connect(stream->socket, stream->endpoint) != 0) {
        recorder_fail(stream->endpoint, "cannot be subscribed to");
    }
    stream->heard_ms = recorder_now_ms();
    repair_open(stream, context);
}

void stream_close(struct stream *stream)
{
    repair_close(stream);
    zmq_close(stream->socket);
    arizmq_gaps_destroy(&stream->gaps);
    free(stream->have.bits);
}

/* Notes that this message is here; returns whether it was not. */
static bool have_add(struct have *have, uint64_t number)
{
    size_t byte = (size_t)(number / 8);
    uint8_t bit = (uint8_t)(1U << number % 8);
    if (byte >= have->size) {
        size_t size = byte * 2 + 4096;
        uint8_t *bits = realloc(have->bits, size);
        if (bits == NULL) {
            recorder_fail("have", "no memory");
        }
        memset(bits + have->size, 0, size - have->size);
        have->bits = bits;
        have->size = size;
    }
    bool is_new = (have->bits[byte] & bit) == 0;
    have->bits[byte] |= bit;
    return is_new;
}

/* The number after the last `name` in the text, which ends with it; 0: there is none. */
static uint32_t read_serial(const char *event, size_t length)
{
    static const char name[] = ",\"serial\":";
    enum { DIGITS_MAX = 10 };
    size_t at = length;
    if (length < 2 || event[--at] != '}') {
        return 0;
    }
    uint32_t serial = 0;
    uint32_t scale = 1;
    while (at > 0 && length - at <= DIGITS_MAX && event[at - 1] >= '0' && event[at - 1] <= '9') {
        serial += scale * (uint32_t)(event[--at] - '0');
        scale *= 10;
    }
    size_t name_length = sizeof name - 1;
    bool is_there = at >= name_length && memcmp(event + at - name_length, name, name_length) == 0;
    return is_there ? serial : 0;
}

/* Whether the topic has so many tokens before the one wanted, which is then *out. */
static bool find_token(const char *topic, size_t length, unsigned before, const char **out,
                       size_t *out_length)
{
    const char *end = topic + length;
    for (;; before--) {
        const char *slash = memchr(topic, '/', (size_t)(end - topic));
        if (slash == NULL) {
            return false;
        }
        if (before == 0) {
            *out = topic;
            *out_length = (size_t)(slash - topic);
            return true;
        }
        topic = slash + 1;
    }
}

/* NODE/APP of an event of the flood, whose application stands before its serial number. */
static uint16_t find_link(struct stream *stream, zmq_msg_t *topic, const char *event, size_t length)
{
    static const char name[] = "\"application\":\"";
    char link[160];
    bool is_events = strcmp(stream->recorder->view, "events") == 0;
    const char *node = NULL;
    size_t node_length = 0;
    if (!find_token(zmq_msg_data(topic), zmq_msg_size(topic), is_events ? 2 : 3, &node,
                    &node_length)) {
        return 0;
    }
    size_t tail = length < 128 ? length : 128;
    const char *app = memmem(event + length - tail, tail, name, sizeof name - 1);
    if (app == NULL || node_length > 64) {
        return 0;
    }
    app += sizeof name - 1;
    const char *end = memchr(app, '"', (size_t)(event + length - app));
    int used = snprintf(link, sizeof link, "%.*s/%.*s", (int)node_length, node,
                        end != NULL ? (int)(end - app) : 0, app);
    return recorder_link(stream->recorder, link, (size_t)used);
}

static void write_other(struct stream *stream, struct record *record, zmq_msg_t *topic,
                        zmq_msg_t *event)
{
    size_t topic_length = zmq_msg_size(topic);
    size_t length = topic_length + 1 + zmq_msg_size(event);
    char *text = calloc(1, length + 1);
    if (text == NULL) {
        recorder_fail("message", "no memory");
    }
    memcpy(text, zmq_msg_data(topic), topic_length);
    memcpy(text + topic_length + 1, zmq_msg_data(event), zmq_msg_size(event));
    record->kind = RECORD_OTHER;
    record_write(stream->recorder->file, record, text, length + 1);
    free(text);
}

static struct record begin_record(struct stream *stream, enum record_kind kind, uint64_t epoch,
                                  uint64_t seq)
{
    return (struct record){.kind = (uint8_t)kind,
                           .endpoint = (uint8_t)stream->index,
                           .seq = (uint32_t)seq,
                           .epoch = recorder_epoch(stream->recorder, epoch)};
}

bool stream_record(struct stream *stream, zmq_msg_t *topic, zmq_msg_t *event,
                   zmq_msg_t *stamp_frame, const struct arizmq_stamp *stamp, bool is_repaired)
{
    bool is_new = have_add(&stream->have, stamp->count[0]);
    if (is_repaired && (!is_new || stamp->count[0] <= stream->joined)) {
        return false;
    }
    const char *bytes = zmq_msg_data(event);
    size_t length = zmq_msg_size(event);
    struct record record = begin_record(stream, RECORD_MESSAGE, stamp->epoch, stamp->seq);
    record.repaired = is_repaired;
    record.counts = (uint8_t)stamp->counts;
    for (unsigned i = 0; i < stamp->counts && i < RECORD_COUNTS; i++) {
        record.count[i] = (uint32_t)stamp->count[i];
    }
    record.content = record_content(zmq_msg_data(topic), zmq_msg_size(topic), bytes, length);
    record.stamp = record_hash(0, zmq_msg_data(stamp_frame), zmq_msg_size(stamp_frame));
    record.serial = read_serial(bytes, length);
    record.link = record.serial > 0 ? find_link(stream, topic, bytes, length) : 0;
    if (record.link > 0) {
        record_write(stream->recorder->file, &record, NULL, 0);
    } else {
        write_other(stream, &record, topic, event);
    }
    stream->recorder->messages++;
    return true;
}

void stream_lose(struct stream *stream, uint64_t epoch, const char *key, uint64_t after,
                 uint64_t until, uint64_t missing)
{
    struct record record = begin_record(stream, RECORD_LOST, epoch, after);
    record.serial = (uint32_t)until;
    record.count[0] = (uint32_t)missing;
    record_write(stream->recorder->file, &record, key, strlen(key));
}

/* Several messages of one event share its seq, so the first and the last of what is missing may
 * have those of their neighbours. */
static void told_missing(struct stream *stream, const struct arizmq_gaps_result *result,
                         const char *topic, uint64_t until)
{
    uint64_t after = result->after_seq > 0 ? result->after_seq - 1 : 0;
    const char *key = result->is_heartbeat ? NULL : topic;
    if (stream->gateway != NULL) {
        repair_add(stream, key, result->key_length, after, until, result->missing);
        return;
    }
    char text[ARIZMQ_TOPIC_BYTES_MAX + 1] = "";
    if (key != NULL) {
        memcpy(text, key, result->key_length);
    }
    stream_lose(stream, stream->epoch, text, after, until, result->missing);
}

/* Another process of the bridge: everything that it publishes is expected. */
static void enter_epoch(struct stream *stream, uint64_t epoch)
{
    if (stream->epoch != 0) {
        memset(stream->have.bits, 0, stream->have.size);
        struct record record = begin_record(stream, RECORD_JOINED, epoch, 0);
        record_write(stream->recorder->file, &record, NULL, 0);
    }
    stream->epoch = epoch;
    stream->joined = 0;
    stream->has_stopped = false;
}

/* From the first heartbeat on everything is expected. The books begin with the first message of any
 * kind, and with what came before it: `before` messages. */
static void join(struct stream *stream, const struct arizmq_stamp *stamp, uint64_t before)
{
    struct record record = begin_record(stream, RECORD_JOINED, stamp->epoch, 0);
    if (!stream->recorder->is_books) {
        stream->joined = before;
        record.seq = (uint32_t)stamp->seq;
        record.count[0] = (uint32_t)before;
    }
    record_write(stream->recorder->file, &record, NULL, 0);
    stream->is_joined = true;
    have_add(&stream->have, 0);
    printf("joined %u\n", stream->index);
    if (stream->recorder->is_books && before > 0) {
        struct arizmq_gaps_result result = {.is_heartbeat = true, .missing = before};
        told_missing(stream, &result, NULL, stamp->seq);
    }
}

static void take_heartbeat(struct stream *stream, zmq_msg_t *frames,
                           const struct arizmq_stamp *stamp)
{
    bool is_first = !stream->is_joined;
    stream->has_beaten |=
        stream->recorder->stop_ns != 0 && stamp->received_ns >= stream->recorder->stop_ns;
    if (is_first) {
        join(stream, stamp, stamp->count[0]);
    }
    struct record record = begin_record(stream, RECORD_HEARTBEAT, stamp->epoch, stamp->seq);
    record.count[0] = (uint32_t)stamp->count[0];
    record_write(stream->recorder->file, &record, NULL, 0);
    struct arizmq_gaps_result result;
    if (arizmq_gaps_check(stream->gaps, zmq_msg_data(&frames[0]), zmq_msg_size(&frames[0]),
                          zmq_msg_data(&frames[1]), zmq_msg_size(&frames[1]), stamp,
                          &result) != ARIZMQ_OK) {
        recorder_fail(stream->endpoint, "the gap checker does not take a heartbeat");
    }
    if (!is_first && result.missing > 0) {
        told_missing(stream, &result, NULL, stamp->seq);
    }
}

static void take_event(struct stream *stream, zmq_msg_t *frames, const struct arizmq_stamp *stamp)
{
    static const char stopping[] = "{\"type\":\"ArizmqStopping\"";
    const char *topic = zmq_msg_data(&frames[0]);
    const char *event = zmq_msg_data(&frames[1]);
    size_t length = zmq_msg_size(&frames[1]);
    stream->has_stopped =
        length > sizeof stopping && memcmp(event, stopping, sizeof stopping - 1) == 0;
    if (!stream->is_joined) {
        join(stream, stamp, stamp->count[0] - 1);
    }
    struct arizmq_gaps_result result;
    if (arizmq_gaps_check(stream->gaps, topic, zmq_msg_size(&frames[0]), event, length, stamp,
                          &result) != ARIZMQ_OK) {
        recorder_fail(stream->endpoint, "the gap checker does not take a message");
    }
    if (result.missing > 0) {
        told_missing(stream, &result, topic, stamp->seq);
    }
    stream_record(stream, &frames[0], &frames[1], &frames[2], stamp, false);
}

static void take_message(struct stream *stream, zmq_msg_t *frames)
{
    struct arizmq_stamp stamp;
    if (arizmq_stamp_decode(zmq_msg_data(&frames[2]), zmq_msg_size(&frames[2]), &stamp) !=
        ARIZMQ_OK) {
        recorder_fail(stream->endpoint, "a message without a stamp");
    }
    bool is_heartbeat = arizmq_gaps_is_heartbeat(&stamp);
    if (!stream->is_joined && !is_heartbeat && !stream->recorder->is_books) {
        return;
    }
    stream->heard_ms = recorder_now_ms();
    if (stamp.epoch != stream->epoch) {
        enter_epoch(stream, stamp.epoch);
    }
    if (is_heartbeat) {
        take_heartbeat(stream, frames, &stamp);
    } else {
        take_event(stream, frames, &stamp);
    }
}

static void rest(const struct recorder *recorder)
{
    if (recorder->slow_every > 0 && recorder->messages % recorder->slow_every == 0) {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

bool stream_read(struct stream *stream)
{
    for (unsigned i = 0; i < READ_MAX; i++) {
        zmq_msg_t frames[3];
        unsigned count = 0;
        bool has_more = true;
        for (; count < 3 && has_more; count++) {
            zmq_msg_init(&frames[count]);
            if (zmq_msg_recv(&frames[count], stream->socket, ZMQ_DONTWAIT) < 0) {
                zmq_msg_close(&frames[count]);
                break;
            }
            has_more = zmq_msg_more(&frames[count]) != 0;
        }
        if (count == 0) {
            return false;
        }
        if (count != 3 || has_more) {
            recorder_fail(stream->endpoint, "a message that has not three frames");
        }
        take_message(stream, frames);
        for (unsigned k = 0; k < count; k++) {
            zmq_msg_close(&frames[k]);
        }
        rest(stream->recorder);
    }
    return true;
}

bool stream_may_end(struct stream *stream)
{
    if (stream->has_ended) {
        return true;
    }
    bool is_silent = recorder_now_ms() - stream->heard_ms > SILENT_MS;
    if (stream->recorder->stop_ns == 0 || !repair_is_idle(stream) ||
        !(stream->has_beaten || stream->has_stopped || is_silent || !stream->is_joined)) {
        return false;
    }
    const char *why = stream->has_beaten    ? "heartbeat"
                      : stream->has_stopped ? "stopped"
                      : stream->is_joined   ? "silent"
                                            : "never joined";
    struct record record = begin_record(stream, RECORD_ENDED, stream->epoch, 0);
    record_write(stream->recorder->file, &record, why, strlen(why));
    stream->has_ended = true;
    return true;
}
