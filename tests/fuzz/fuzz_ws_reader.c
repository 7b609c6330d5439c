/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The frame reader on any bytes: it must say the same whether they come in one piece or in the
 * pieces that the input asks for. The input's first byte is the number of cuts, modulo 8; two bytes
 * for each say where; the rest is what the server sends.
 */
#include <stdlib.h>
#include <string.h>

#include "reader_log.h"

enum { CUTS_MAX = 7, MAX_BYTES = 300 };

static int compare_cuts(const void *left, const void *right)
{
    size_t a = *(const size_t *)left;
    size_t b = *(const size_t *)right;
    return (a > b) - (a < b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t count = size > 0 ? data[0] % (CUTS_MAX + 1) : 0;
    if (size < 1 + 2 * count) {
        return 0;
    }
    const uint8_t *stream = data + 1 + 2 * count;
    size_t length = size - 1 - 2 * count;
    size_t cuts[CUTS_MAX + 1];
    for (size_t i = 0; i < count; i++) {
        size_t at = (size_t)(data[1 + 2 * i] << 8 | data[2 + 2 * i]);
        cuts[i] = at % (length + 1);
    }
    cuts[count] = length;
    qsort(cuts, count, sizeof *cuts, compare_cuts);

    struct reader_log whole;
    reader_log_begin(&whole, MAX_BYTES);
    reader_log_feed(&whole, stream, length);
    bool is_between = ws_reader_is_between_messages(&whole.reader);
    reader_log_end(&whole);

    struct reader_log pieces;
    reader_log_begin(&pieces, MAX_BYTES);
    size_t at = 0;
    for (size_t i = 0; i <= count; i++) {
        reader_log_feed(&pieces, stream + at, cuts[i] - at);
        at = cuts[i];
        if (pieces.reader.message.capacity > 8192) {
            abort(); /* more than the bound asks for */
        }
    }
    bool is_still_between = ws_reader_is_between_messages(&pieces.reader);
    reader_log_end(&pieces);

    if (whole.code != pieces.code || strcmp(whole.text, pieces.text) != 0 ||
        (whole.code != 0 && (whole.error == NULL || strcmp(whole.error, pieces.error) != 0)) ||
        (whole.code == 0 && is_between != is_still_between)) {
        fprintf(stderr, "in one piece (%d):\n%sin pieces (%d):\n%s", whole.code, whole.text,
                pieces.code, pieces.text);
        abort();
    }
    reader_log_free(&whole);
    reader_log_free(&pieces);
    return 0;
}
