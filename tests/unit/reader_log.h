/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A frame reader whose calls become lines of text, so that what two readers delivered can be
 * compared; and ways to cut the bytes that it is fed. Every piece is handed over in memory of
 * exactly its size.
 */
#ifndef ARIZMQ_TESTS_READER_LOG_H
#define ARIZMQ_TESTS_READER_LOG_H

#include <stdio.h>

#include "event/scan.h"
#include "frames.h"
#include "node/ws_reader.h"

struct reader_log {
    struct ws_reader reader;
    FILE *out;
    char *text; /* the lines; complete after reader_log_end() */
    size_t size;
    int code; /* of the first failure, else 0 */
    const char *error;
};

/* Short text as it is, other text as its length and a sum over it (FNV-1a). */
static inline void log_bytes(FILE *out, const char *what, const void *bytes, size_t length)
{
    const uint8_t *at = bytes;
    uint64_t sum = 14695981039346656037U;
    for (size_t i = 0; i < length; i++) {
        sum = (sum ^ at[i]) * 1099511628211U;
    }
    fprintf(out, "%s %zu %016llx\n", what, length, (unsigned long long)sum);
}

static inline void log_message(void *owner, const char *text, size_t length)
{
    struct reader_log *log = owner;
    volatile char last = 0;
    for (size_t i = length; i < length + SCAN_PADDING; i++) {
        last = text[i]; /* readable, whatever it is */
    }
    (void)last;
    log_bytes(log->out, "message", text, length);
}

static inline void log_refused(void *owner, enum ws_refusal why, uint64_t length)
{
    struct reader_log *log = owner;
    fprintf(log->out, "refused %s %llu\n",
            why == WS_REFUSED_SIZE   ? "size"
            : why == WS_REFUSED_UTF8 ? "utf8"
                                     : "memory",
            (unsigned long long)length);
}

static inline void log_control(void *owner, enum ws_opcode opcode, const uint8_t *payload,
                               size_t length)
{
    struct reader_log *log = owner;
    log_bytes(log->out,
              opcode == WS_PING    ? "ping"
              : opcode == WS_PONG  ? "pong"
              : opcode == WS_CLOSE ? "close"
                                   : "?",
              payload, length);
}

static inline void reader_log_begin(struct reader_log *log, uint64_t max_message_bytes)
{
    static const struct ws_reader_handler handler = {log_message, log_refused, log_control};
    *log = (struct reader_log){0};
    log->out = open_memstream(&log->text, &log->size);
    if (log->out == NULL) {
        abort();
    }
    ws_reader_init(&log->reader, &handler, log, max_message_bytes);
}

/* Closes the list of lines, so that log->text can be read. */
static inline void reader_log_end(struct reader_log *log)
{
    fclose(log->out);
    ws_reader_deinit(&log->reader);
}

static inline void reader_log_free(struct reader_log *log)
{
    free(log->text);
}

/* Feeds one piece; after a failure nothing more. */
static inline void reader_log_feed(struct reader_log *log, const uint8_t *bytes, size_t length)
{
    if (log->code != 0 || length == 0) {
        return;
    }
    uint8_t *piece = malloc(length);
    if (piece == NULL) {
        abort();
    }
    memcpy(piece, bytes, length);
    log->code = ws_reader_feed(&log->reader, piece, length, &log->error);
    free(piece);
}

static inline void reader_log_feed_by(struct reader_log *log, const struct bytes *stream,
                                      size_t piece)
{
    for (size_t at = 0; at < stream->length; at += piece) {
        size_t left = stream->length - at;
        reader_log_feed(log, stream->data + at, left < piece ? left : piece);
    }
}

#endif
