/* SPDX-License-Identifier: MPL-2.0 */
/*
 * From the bytes of a JSON object to its members, in one pass and without a tree.
 *
 * The scan finds where the members of the outermost object begin and end. It checks that object's
 * own grammar (keys, colons, commas, what a value may begin with, literals and numbers, nothing
 * behind the end) and that as many brackets close as open and strings end; it does not check what
 * is in strings nor the grammar inside nested values, which it skips 64 bytes at a time. It reads,
 * and never writes, the given bytes.
 */
#ifndef ARIZMQ_EVENT_SCAN_H
#define ARIZMQ_EVENT_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The text handed to the scan must be readable (not necessarily meaningful) this far behind its
 * end, because it is read in blocks. */
enum { SCAN_PADDING = 64 };

/* Members remembered of one object; Asterisk's largest event has 21. `type` and
 * `application` are found however many come before them. */
enum { SCAN_MEMBERS_MAX = 64 };

/* Borrowed bytes. */
struct span {
    const char *bytes;
    size_t length;
};

struct scan_member {
    struct span key;   /* between the quotes, escapes as they stand */
    struct span value; /* the value's own text: a string with its quotes */
};

struct scan {
    unsigned count;
    unsigned dropped; /* members beyond SCAN_MEMBERS_MAX */
    bool has_escapes; /* a backslash stands somewhere in the text */
    struct scan_member members[SCAN_MEMBERS_MAX];
};

/* Scans text[0..length). Returns ARIZMQ_OK; or ARIZMQ_EINVALID where it is no JSON object, and
 * then `out` holds nothing of use. */
int scan_object(const char *text, size_t length, struct scan *out);

/* The same with nothing but what every machine of this kind has, and without vector instructions:
 * for machines that lack them, and to be compared with. */
int scan_object_baseline(const char *text, size_t length, struct scan *out);
int scan_object_portable(const char *text, size_t length, struct scan *out);

/* The value of the first member with this key of the object text[0..length), without looking at
 * what comes behind it; for objects that were skipped as part of another. Keys written with escapes
 * are understood. Returns ARIZMQ_OK; or ARIZMQ_EINVALID where there is none, or what comes before
 * it is no beginning of a JSON object. */
int scan_member(const char *text, size_t length, const char *key, size_t key_length,
                struct span *out);

/* The value of the last member with this key, as JSON parsers understand a repeated key; NULL
 * where there is none. Keys written with escapes are understood. */
const struct span *scan_find(const struct scan *scan, const char *key, size_t key_length);

#endif
