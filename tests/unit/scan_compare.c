/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Decides whether the scan understood a text. test_scan.c hands over recorded, generated and broken
 * texts, fuzz_scan.c whatever libFuzzer makes up. Each copy of a text is allocated with exactly
 * SCAN_PADDING bytes behind it, so that AddressSanitizer sees a read beyond.
 */
#include "scan_compare.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"
#include "event/scan.h"

/* What is behind the text: once all that could mean something, once nothing that could. */
static const char *const paddings[] = {"\"}\\]{:[,", "        "};

static char *copy_padded(const char *text, size_t length, const char *padding)
{
    char *copy = malloc(length + SCAN_PADDING);
    if (copy == NULL) {
        abort();
    }
    if (length > 0) {
        memcpy(copy, text, length);
    }
    for (size_t i = 0; i < SCAN_PADDING; i++) {
        copy[length + i] = padding[i % 8];
    }
    return copy;
}

static int spans_agree(struct span a, const char *text_a, struct span b, const char *text_b)
{
    return a.length == b.length && a.bytes - text_a == b.bytes - text_b;
}

static const char *compare_scans(const struct scan *a, const char *text_a, const struct scan *b,
                                 const char *text_b)
{
    if (a->count != b->count || a->dropped != b->dropped || a->has_escapes != b->has_escapes) {
        return "count, dropped or has_escapes differ between two scans of one text";
    }
    for (unsigned i = 0; i < a->count; i++) {
        if (!spans_agree(a->members[i].key, text_a, b->members[i].key, text_b) ||
            !spans_agree(a->members[i].value, text_a, b->members[i].value, text_b)) {
            return "members differ between two scans of one text";
        }
    }
    return NULL;
}

static const char *compare_object(const char *text, size_t length, json_t *object);

static const char *compare_value(const struct span *value, json_t *wanted)
{
    if (value == NULL) {
        return "a member is not found";
    }
    json_t *got = json_loadb(value->bytes, value->length, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    int same = got != NULL && json_equal(got, wanted);
    json_decref(got);
    if (!same) {
        return "a member has another value";
    }
    return json_is_object(wanted) ? compare_object(value->bytes, value->length, wanted) : NULL;
}

static const char *compare_members(const struct scan *scan, json_t *object)
{
    const char *key = NULL;
    json_t *wanted = NULL;
    json_object_foreach(object, key, wanted)
    {
        int always = strcmp(key, "type") == 0 || strcmp(key, "application") == 0;
        if (scan->dropped == 0 || always) {
            const char *problem = compare_value(scan_find(scan, key, strlen(key)), wanted);
            if (problem != NULL) {
                return problem;
            }
        }
    }
    if ((json_object_get(object, "type") == NULL && scan_find(scan, "type", 4) != NULL) ||
        (json_object_get(object, "no such key") == NULL &&
         scan_find(scan, "no such key", 11) != NULL)) {
        return "a member is found that is not there";
    }
    return NULL;
}

/* `text` lies within a padded text. */
static const char *compare_object(const char *text, size_t length, json_t *object)
{
    struct scan scan;
    if (scan_object(text, length, &scan) != ARIZMQ_OK) {
        return "an object that Jansson reads is refused";
    }
    if (scan.count + scan.dropped < json_object_size(object)) {
        return "there are fewer members than Jansson finds";
    }
    return compare_members(&scan, object);
}

/* The first member of each key is what scan_member() finds, where no key has another spelling. */
static const char *compare_first(const char *text, size_t length, const struct scan *scan)
{
    for (unsigned i = 0; !scan->has_escapes && scan->dropped == 0 && i < scan->count; i++) {
        struct span key = scan->members[i].key;
        unsigned first = 0;
        while (scan->members[first].key.length != key.length ||
               memcmp(scan->members[first].key.bytes, key.bytes, key.length) != 0) {
            first++;
        }
        struct span value;
        if (scan_member(text, length, key.bytes, key.length, &value) != ARIZMQ_OK ||
            value.bytes != scan->members[first].value.bytes ||
            value.length != scan->members[first].value.length) {
            return "a member is not found by itself";
        }
    }
    struct span value;
    bool is_there = scan->dropped > 0 || scan_find(scan, "no such key", 11) != NULL;
    return !is_there && scan_member(text, length, "no such key", 11, &value) == ARIZMQ_OK
               ? "a member is found that is not there"
               : NULL;
}

/* Scans both copies of the text in each way. */
static const char *compare_ways(char *const copies[2], size_t length, int *result)
{
    static int (*const ways[])(const char *, size_t, struct scan *) = {
        scan_object, scan_object_baseline, scan_object_portable};
    enum { WAYS = sizeof ways / sizeof *ways };
    struct scan scans[2 * WAYS];
    int results[2 * WAYS];
    for (unsigned i = 0; i < 2 * WAYS; i++) {
        results[i] = ways[i % WAYS](copies[i / WAYS], length, &scans[i]);
    }
    for (unsigned i = 1; i < 2 * WAYS; i++) {
        const char *problem = results[i] != results[0] ? "one scan accepts what another refuses"
                                                       : compare_scans(&scans[0], copies[0],
                                                                       &scans[i], copies[i / WAYS]);
        if (problem != NULL) {
            return problem;
        }
    }
    *result = results[0];
    if (*result == ARIZMQ_OK) {
        return compare_first(copies[0], length, &scans[0]);
    }
    return *result == ARIZMQ_OK || *result == ARIZMQ_EINVALID ? NULL : "an undeclared error";
}

const char *scan_compare(const char *text, size_t length)
{
    char *copies[2] = {copy_padded(text, length, paddings[0]),
                       copy_padded(text, length, paddings[1])};
    int result = ARIZMQ_OK;
    const char *problem = compare_ways(copies, length, &result);
    /* Jansson overlooks a NUL behind a number, so of texts with a NUL its word does not count. */
    if (problem == NULL && memchr(copies[0], '\0', length) == NULL) {
        json_t *json = json_loadb(copies[0], length, JSON_ALLOW_NUL, NULL);
        if (json_is_object(json)) {
            problem = compare_object(copies[0], length, json);
        } else if (json != NULL && result == ARIZMQ_OK) {
            problem = "what is no object is accepted";
        }
        json_decref(json);
    }
    free(copies[0]);
    free(copies[1]);
    return problem;
}
