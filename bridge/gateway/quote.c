/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Makes text of clients fit to be shown. Called only where a request is refused, so that it need
 * not be quick.
 */
#include "gateway/quote.h"

#include <string.h>

#include <unistr.h>

static bool is_control(ucs4_t character)
{
    return character < 0x20 || (character >= 0x7f && character < 0xa0);
}

const char *quote_text(const char *text, size_t length, char out[QUOTE_SIZE])
{
    size_t used = 1;
    size_t at = 0;
    out[0] = '"';
    while (at < length) {
        ucs4_t character = 0;
        int size = u8_mbtoucr(&character, (const uint8_t *)text + at, length - at);
        bool is_shown = size > 0 && !is_control(character);
        size_t taken = size > 0 ? (size_t)size : 1;
        size_t wanted = is_shown ? taken : 1;
        if (used + wanted > QUOTE_TEXT_MAX + 1) {
            break;
        }
        memcpy(out + used, is_shown ? text + at : "?", wanted);
        used += wanted;
        at += taken;
    }
    memcpy(out + used, at < length ? "...\"" : "\"", at < length ? 5 : 2);
    return out;
}

bool quote_has_control(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (byte < 0x20 || byte == 0x7f) {
            return true;
        }
    }
    return false;
}
