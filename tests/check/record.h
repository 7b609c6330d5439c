/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Record files: what a recorder got, message by message, and what a checker reads back. A file is a
 * row of records of fixed size, some followed by text. The byte order is the machine's.
 */
#ifndef ARIZMQ_CHECK_RECORD_H
#define ARIZMQ_CHECK_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum record_kind {
    RECORD_SUBSCRIBER = 1, /* the first: JSON text, see recorder.c */
    RECORD_EPOCH,     /* text: the epoch's number, decimal; epochs count from 1 in their order */
    RECORD_LINK,      /* text: NODE/APP; links count from 1 in their order */
    RECORD_MESSAGE,   /* an event of the flood */
    RECORD_OTHER,     /* another one; text: its topic, a NUL, its bytes */
    RECORD_HEARTBEAT, /* seq and count[0] of its stamp */
    RECORD_JOINED,    /* after this seq and count[0] everything is expected */
    RECORD_LOST,      /* told by the counters, and not repaired */
    RECORD_ENDED,     /* text: why no more comes */
};

enum { RECORD_COUNTS = 5 };

struct record {
    uint8_t kind;     /* enum record_kind */
    uint8_t repaired; /* of messages: 1 where it came from history */
    uint8_t endpoint; /* which of the subscriber's, from 0 */
    uint8_t counts;
    uint32_t text_bytes; /* of text behind the record, in multiples of 8, filled up with NULs, one
                            at least */
    uint32_t seq;        /* RECORD_LOST: they come after this one */
    uint32_t serial;     /* RECORD_MESSAGE: the flood's; RECORD_LOST: they come up to this seq */
    uint32_t count[RECORD_COUNTS]; /* as in the stamp; RECORD_LOST: count[0] are lost */
    uint16_t link;                 /* RECORD_MESSAGE */
    uint16_t epoch;
    uint64_t content; /* hash of topic and event */
    uint64_t stamp;   /* hash of the stamp's bytes */
};

/* Hashes bytes[0..length), going on from `hash`; 0 to begin. */
uint64_t record_hash(uint64_t hash, const void *bytes, size_t length);
/* What record.content is for a message. */
uint64_t record_content(const char *topic, size_t topic_length, const char *event,
                        size_t event_length);

/* Writes one record with its text (NULL: none); sets record->text_bytes. Ends the program when that
 * fails: a test without its records is none. */
void record_write(FILE *file, struct record *record, const void *text, size_t length);

/* A whole file in memory. */
struct record_file {
    const char *path;
    char *bytes;
    size_t length;
};

/* Ends the program with a line on stderr where the file cannot be read, or is cut off. */
void record_file_open(struct record_file *self, const char *path);
void record_file_close(struct record_file *self);

/* The record at *at, and its text; *at goes on to the next one. NULL at the end. */
const struct record *record_next(const struct record_file *self, size_t *at, const char **text);

#endif
