/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Text from the network, on its way to a person or into JSON.
 */
#ifndef ARIZMQ_CLI_TEXT_H
#define ARIZMQ_CLI_TEXT_H

#include <stddef.h>
#include <stdio.h>

/* Writes the bytes such that they cannot steer a terminal: control characters, those of C1 too, as
 * \xNN. Line feeds stay if `keep` has one ("\n"); keep "" keeps none. */
void text_write_clean(FILE *out, const char *bytes, size_t length, const char *keep);

/* Writes "name":"bytes" as JSON, or "name_base64":"…" where the bytes are no UTF-8. */
void text_write_member(FILE *out, const char *name, const char *bytes, size_t length);

#endif
