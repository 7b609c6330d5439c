/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Text of clients within the messages that answer them: whatever came, what is shown is short,
 * valid UTF-8 and one line.
 */
#ifndef ARIZMQ_GATEWAY_QUOTE_H
#define ARIZMQ_GATEWAY_QUOTE_H

#include <stdbool.h>
#include <stddef.h>

enum { QUOTE_TEXT_MAX = 80, QUOTE_SIZE = QUOTE_TEXT_MAX + 6 };

/* Writes text[0..length) in double quotes; "..." stands before the last of them where it was cut to
 * QUOTE_TEXT_MAX bytes. Control characters and bytes that are no UTF-8 become '?'. Returns `out`.
 */
const char *quote_text(const char *text, size_t length, char out[QUOTE_SIZE]);

/* Whether a byte below 0x20 or a DEL stands in text[0..length). */
bool quote_has_control(const char *text, size_t length);

#endif
