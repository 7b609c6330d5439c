/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Makes the events through flood_event.c, brings them to one size, puts frames around them, and
 * notes where their ids stand. generator.c calls block_write() for each event that it sends.
 */
#include "block.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../fake/flood_event.h"
#include "../../fake/frame.h"

#define APP    "bench"
#define ENTITY "02:00:00:00:00:22"
/* A call's number has eight digits: a one, four of the pass, three of the call. */
#define FIRST_SERIAL (UINT64_C(10000000) * STEPS)

enum { STEPS = 22, UP_STEP = 5, FRAME_MAX = FLOOD_EVENT_MAX + 256, PASSES = 10000 };

static const char id_prefix[] = APP ".1";

static void put_digits(uint8_t *out, uint64_t value, unsigned digits)
{
    for (unsigned i = digits; i > 0; i--) {
        out[i - 1] = (uint8_t)('0' + value % 10);
        value /= 10;
    }
}

/* Fills the event up with channel variables and ends it with the number. Returns its length. */
static size_t finish(const struct flood_event *event, char *out)
{
    static const char tail[] = ",\"bench\":\"0000000000 0000000000000000000\"}";
    static const char begin[] = ",\"channelvars\":{\"VAR0\":\"\"}";
    size_t length = event->length - 1; /* without the brace */
    memcpy(out, event->text, length);
    size_t whole = length + sizeof tail - 1;
    if (whole + sizeof begin - 1 <= BLOCK_EVENT_BYTES) {
        size_t left = BLOCK_EVENT_BYTES - whole - (sizeof begin - 1);
        length += (size_t)sprintf(out + length, ",\"channelvars\":{\"VAR0\":\"");
        for (unsigned i = 1; left >= 40; i++) { /* a variable takes 20 bytes and what is in it */
            int more = sprintf(out + length, "a value\",\"VAR%u\":\"", i);
            length += (size_t)more;
            left -= (size_t)more;
        }
        memset(out + length, 'v', left);
        length += left;
        length += (size_t)sprintf(out + length, "\"}");
    }
    memcpy(out + length, tail, sizeof tail - 1);
    return length + sizeof tail - 1;
}

static bool note_ids(struct block_frame *frame, const uint8_t *bytes)
{
    const uint8_t *at = bytes;
    const uint8_t *end = bytes + frame->length;
    const size_t prefix = sizeof id_prefix - 1;
    while ((at = memmem(at, (size_t)(end - at), id_prefix, prefix)) != NULL) {
        if (frame->ids_count == BLOCK_IDS_MAX) {
            return false;
        }
        frame->ids[frame->ids_count++] = (uint16_t)(at + prefix - bytes);
        at += prefix;
    }
    return true;
}

static bool add(struct block *block, uint64_t serial, bool has_new_ids)
{
    struct flood_event event;
    char text[FRAME_MAX];
    flood_event_make(APP, ENTITY, serial, &event);
    size_t length = finish(&event, text);
    struct block_frame *frame = &block->frames[block->count++];
    uint8_t *bytes = block->bytes + block->length;
    size_t header = frame_write_header(bytes, true, FRAME_TEXT, length);
    memcpy(bytes + header, text, length);
    frame->offset = (uint32_t)block->length;
    frame->length = (uint16_t)(header + length);
    block->length += frame->length;
    return !has_new_ids || note_ids(frame, bytes);
}

static struct block *create(size_t frames)
{
    struct block *block = calloc(1, sizeof *block);
    if (block != NULL) {
        block->frames = calloc(frames, sizeof *block->frames);
        block->bytes = malloc(frames * FRAME_MAX);
        if (block->frames == NULL || block->bytes == NULL) {
            block_destroy(&block);
        }
    }
    return block;
}

struct block *block_create_calls(unsigned calls)
{
    size_t frames = (size_t)(calls + FLOOD_LANES - 1) / FLOOD_LANES * FLOOD_LANES * STEPS;
    struct block *block = create(frames);
    for (size_t i = 0; block != NULL && i < frames; i++) {
        if (!add(block, FIRST_SERIAL + i + 1, true)) {
            block_destroy(&block);
        }
    }
    return block;
}

struct block *block_create_channels(unsigned channels)
{
    struct block *block = create(channels);
    for (uint64_t i = 0; block != NULL && i < channels; i++) {
        uint64_t first = i / FLOOD_LANES * FLOOD_LANES * STEPS;
        add(block, first + UP_STEP * FLOOD_LANES + i % FLOOD_LANES + 1, false);
    }
    return block;
}

void block_destroy(struct block **self)
{
    if (*self != NULL) {
        free((*self)->frames);
        free((*self)->bytes);
        free(*self);
        *self = NULL;
    }
}

const struct block_frame *block_write(struct block *self, uint64_t seq, uint64_t sent_ns)
{
    struct block_frame *frame = &self->frames[(seq - 1) % self->count];
    uint8_t *bytes = self->bytes + frame->offset;
    uint8_t *tail = bytes + frame->length - BLOCK_TAIL_BYTES;
    put_digits(tail, seq, BLOCK_SEQ_DIGITS);
    put_digits(tail + BLOCK_SEQ_DIGITS + 1, sent_ns, sent_ns > 0 ? BLOCK_TIME_DIGITS : 1);
    uint64_t pass = (seq - 1) / self->count % PASSES;
    for (unsigned i = 0; i < frame->ids_count; i++) {
        put_digits(bytes + frame->ids[i], pass, 4);
    }
    return frame;
}
