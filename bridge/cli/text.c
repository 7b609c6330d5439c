/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Text from the network is written out here. A caller's display name can hold anything, so what
 * goes to a terminal is cleaned first; what goes into JSON is escaped by Jansson. It loses no byte.
 */
#include "cli/text.h"

#include <czmq.h>
#include <jansson.h>
#include <stdbool.h>
#include <string.h>

void text_write_clean(FILE *out, const char *bytes, size_t length, const char *keep)
{
    const char *end = bytes + length;
    while (bytes < end) {
        unsigned char byte = (unsigned char)*bytes;
        bool is_c1 = byte == 0xc2 && bytes + 1 < end && ((unsigned char)bytes[1] & 0xe0) == 0x80;
        bool is_kept = byte != '\0' && strchr(keep, byte) != NULL;
        if (is_c1) {
            fprintf(out, "\\xc2\\x%02x", (unsigned char)*++bytes);
        } else if ((byte < 0x20 || byte == 0x7f) && !is_kept) {
            fprintf(out, "\\x%02x", byte);
        } else {
            putc(byte, out);
        }
        bytes++;
    }
}

void text_write_member(FILE *out, const char *name, const char *bytes, size_t length)
{
    json_t *string = json_stringn(bytes, length);
    if (string != NULL) {
        fprintf(out, "\"%s\":", name);
        json_dumpf(string, out, JSON_ENCODE_ANY);
        json_decref(string);
        return;
    }
    zarmour_t *armour = zarmour_new(); /* base 64 with padding, no line breaks */
    char *encoded = zarmour_encode(armour, (const byte *)bytes, length);
    fprintf(out, "\"%s_base64\":\"%s\"", name, encoded != NULL ? encoded : "");
    zstr_free(&encoded);
    zarmour_destroy(&armour);
}
