/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Puts a message together from its fragments, in memory that grows with what has arrived, never
 * with what a peer announces. Both WebSocket transports use it; messages that arrive whole in one
 * read do not come through here.
 */
#include "node/ws_message.h"

#include <stdlib.h>
#include <string.h>

#include <unistr.h>

#include "event/scan.h"

enum {
    CAPACITY_FIRST = 4096,
    CAPACITY_KEPT = 65536, /* a larger buffer is given back once its message is done */
};

void ws_message_init(struct ws_message *self, uint64_t max_bytes)
{
    *self = (struct ws_message){.max_bytes = max_bytes};
}

static void release(struct ws_message *self)
{
    free(self->bytes);
    self->bytes = NULL;
    self->length = 0;
    self->capacity = 0;
}

void ws_message_deinit(struct ws_message *self)
{
    release(self);
}

void ws_message_begin(struct ws_message *self, bool is_text)
{
    if (self->capacity > CAPACITY_KEPT) {
        release(self);
    }
    self->is_text = is_text;
    self->refusal = WS_REFUSED_NOT;
    self->total = 0;
    self->length = 0;
}

static bool reserve(struct ws_message *self, size_t wanted)
{
    if (wanted <= self->capacity) {
        return true;
    }
    size_t capacity = self->capacity == 0 ? CAPACITY_FIRST : self->capacity;
    while (capacity < wanted) {
        capacity *= 2;
    }
    char *bytes = realloc(self->bytes, capacity);
    if (bytes == NULL) {
        return false;
    }
    /* What lies behind the text is read by the scan, in blocks, so it must have a value. */
    memset(bytes + self->capacity, 0, capacity - self->capacity);
    self->bytes = bytes;
    self->capacity = capacity;
    return true;
}

static void refuse(struct ws_message *self, enum ws_refusal refusal)
{
    self->refusal = refusal;
    release(self);
}

void ws_message_append(struct ws_message *self, const char *bytes, size_t length)
{
    self->total += length;
    if (self->refusal != WS_REFUSED_NOT) {
        return; /* counted in total; told when the message ends */
    }
    if (self->total > self->max_bytes) {
        refuse(self, WS_REFUSED_SIZE);
        return;
    }
    if (!reserve(self, self->length + length + SCAN_PADDING)) {
        refuse(self, WS_REFUSED_MEMORY);
        return;
    }
    memcpy(self->bytes + self->length, bytes, length);
    self->length += length;
}

enum ws_refusal ws_message_end(struct ws_message *self)
{
    if (self->refusal == WS_REFUSED_NOT && !reserve(self, self->length + SCAN_PADDING)) {
        refuse(self, WS_REFUSED_MEMORY); /* an empty message still needs its padding */
    }
    if (self->refusal == WS_REFUSED_NOT && self->is_text &&
        !ws_text_is_utf8(self->bytes, self->length)) {
        refuse(self, WS_REFUSED_UTF8);
    }
    return self->refusal;
}

bool ws_text_is_utf8(const char *text, size_t length)
{
    /* Nearly all of Asterisk's text is ASCII: find the first byte that is not, eight at a time,
     * and check from there. */
    size_t at = 0;
    for (; at + 8 <= length; at += 8) {
        uint64_t word = 0;
        memcpy(&word, text + at, sizeof word);
        if ((word & 0x8080808080808080U) != 0) {
            break;
        }
    }
    return u8_check((const uint8_t *)text + at, length - at) == NULL;
}
