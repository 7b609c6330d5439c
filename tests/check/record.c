/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Record files on their way out and in. The recorder writes them, the ledger reads them, mutate
 * changes them on purpose.
 */
#include "record.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

uint64_t record_hash(uint64_t hash, const void *bytes, size_t length)
{
    const char *at = bytes;
    hash ^= length * 0x9E3779B97F4A7C15U;
    while (length > 0) {
        uint64_t word = 0;
        size_t step = length < sizeof word ? length : sizeof word;
        memcpy(&word, at, step);
        hash = (hash ^ word) * 0xD6E8FEB86659FD93U;
        hash ^= hash >> 32;
        at += step;
        length -= step;
    }
    return hash;
}

uint64_t record_content(const char *topic, size_t topic_length, const char *event,
                        size_t event_length)
{
    return record_hash(record_hash(0, topic, topic_length), event, event_length);
}

static void give_up(const char *path, const char *why)
{
    fprintf(stderr, "%s: %s\n", path, why);
    exit(2);
}

void record_write(FILE *file, struct record *record, const void *text, size_t length)
{
    static const char zeros[8];
    size_t fill = text != NULL ? 8 - length % 8 : 0; /* so that the text ends with a NUL */
    record->text_bytes = (uint32_t)(length + fill);
    if (fwrite(record, sizeof *record, 1, file) != 1 ||
        (length > 0 && fwrite(text, length, 1, file) != 1) ||
        (fill > 0 && fwrite(zeros, fill, 1, file) != 1)) {
        give_up("record file", strerror(errno));
    }
}

void record_file_open(struct record_file *self, const char *path)
{
    *self = (struct record_file){.path = path};
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        give_up(path, strerror(errno));
    }
    self->length = (size_t)ftell(file);
    self->bytes = malloc(self->length + 1);
    rewind(file);
    if (self->bytes == NULL || fread(self->bytes, 1, self->length, file) != self->length) {
        give_up(path, "cannot be read");
    }
    fclose(file);
}

void record_file_close(struct record_file *self)
{
    free(self->bytes);
    self->bytes = NULL;
}

const struct record *record_next(const struct record_file *self, size_t *at, const char **text)
{
    if (*at == self->length) {
        return NULL;
    }
    const struct record *record = (const struct record *)(const void *)(self->bytes + *at);
    if (self->length - *at < sizeof *record ||
        self->length - *at - sizeof *record < record->text_bytes || record->text_bytes % 8 != 0) {
        give_up(self->path, "is cut off");
    }
    *text = self->bytes + *at + sizeof *record;
    *at += sizeof *record + record->text_bytes;
    return record;
}
