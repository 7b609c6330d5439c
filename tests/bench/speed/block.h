/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A block of pre-built WebSocket frames with ARI events, sent again and again. What differs from
 * pass to pass is written over in place: the number of each event, its time, and in calls the ids,
 * so that each pass brings new channels, bridges, playbacks and recordings.
 *
 * Every event ends with ,"bench":"NNNNNNNNNN TTTTTTTTTTTTTTTTTTT"} (number from 1; CLOCK_MONOTONIC
 * in nanoseconds when it was sent, or zeros), which is where drain.c finds it whatever stands
 * between: an object's last member.
 */
#ifndef ARIZMQ_BENCH_BLOCK_H
#define ARIZMQ_BENCH_BLOCK_H

#include <stddef.h>
#include <stdint.h>

enum {
    BLOCK_EVENT_BYTES = 795, /* shorter events are filled up with channel variables */
    BLOCK_SEQ_DIGITS = 10,
    BLOCK_TIME_DIGITS = 19,
    BLOCK_TAIL_BYTES = BLOCK_SEQ_DIGITS + 1 + BLOCK_TIME_DIGITS + 2, /* with the quote and brace */
    BLOCK_CALLS_MAX = 900,
    BLOCK_IDS_MAX = 12,
};

struct block_frame {
    uint32_t offset;
    uint16_t length;
    uint16_t ids_count;
    uint16_t ids[BLOCK_IDS_MAX]; /* where in the frame the four digits of the pass stand */
};

struct block {
    uint8_t *bytes;
    size_t length;
    struct block_frame *frames;
    size_t count;
};

/* Calls that come, change and go, as recordings show them: 22 events of 16 types for each of so
 * many calls, 50 of them at a time. 1 to BLOCK_CALLS_MAX, rounded up to 50. NULL: no memory. */
struct block *block_create_calls(unsigned calls);
/* So many channels that stay, one ChannelStateChange of each in a pass. NULL: no memory. */
struct block *block_create_channels(unsigned channels);
void block_destroy(struct block **self);

/* Brings the frame of the event `seq` (from 1) up to date and returns it; frames of consecutive
 * numbers lie behind each other, except that after the last of the block comes the first. */
const struct block_frame *block_write(struct block *self, uint64_t seq, uint64_t sent_ns);

#endif
