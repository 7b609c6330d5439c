/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The usual case, the same bytes, costs no more than to compare them; else Jansson reads both.
 * state_compare.c asks about what Asterisk lists.
 */
#include "event/same.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

/* So deep are the values that are compared; deeper ones are compared in the order that they have.
 */
enum { DEPTH_MAX = 8 };

static int compare_texts(const void *a, const void *b)
{
    return strcmp(json_string_value(*(json_t *const *)a), json_string_value(*(json_t *const *)b));
}

static void sort_texts(json_t *array)
{
    size_t count = json_array_size(array);
    json_t **items = calloc(count + 1, sizeof(json_t *));
    if (items == NULL) {
        return; /* then the order counts, which at worst tells of a change that is none */
    }
    bool all_texts = true;
    for (size_t i = 0; i < count; i++) {
        items[i] = json_incref(json_array_get(array, i));
        all_texts = all_texts && json_is_string(items[i]);
    }
    if (all_texts) {
        qsort(items, count, sizeof(json_t *), compare_texts);
        json_array_clear(array);
    }
    for (size_t i = 0; i < count; i++) {
        if (all_texts) {
            json_array_append(array, items[i]);
        }
        json_decref(items[i]);
    }
    free(items);
}

static void sort(json_t *json, unsigned depth)
{
    const char *key = NULL;
    json_t *member = NULL;
    if (json_is_array(json)) {
        sort_texts(json);
    } else if (depth < DEPTH_MAX) {
        json_object_foreach(json, key, member)
        {
            sort(member, depth + 1);
        }
    }
}

bool same_json(struct span a, struct span b)
{
    if (a.length == b.length && memcmp(a.bytes, b.bytes, a.length) == 0) {
        return true;
    }
    json_t *left = json_loadb(a.bytes, a.length, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    json_t *right = json_loadb(b.bytes, b.length, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    sort(left, 0);
    sort(right, 0);
    bool is_same = left != NULL && right != NULL && json_equal(left, right) != 0;
    json_decref(left);
    json_decref(right);
    return is_same;
}
