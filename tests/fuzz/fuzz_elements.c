/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A list cut in ways that the first two bytes choose: what comes of it must not depend on them.
 * What Jansson reads as a list of objects has the elements that Jansson finds.
 */
#include <jansson.h>

#include "elements_list.h"

enum { BOUND = 512 };

static void demand(int is_true, const char *what)
{
    if (!is_true) {
        fprintf(stderr, "not so: %s\n", what);
        abort();
    }
}

static bool is_list_of_objects(const json_t *json)
{
    size_t index = 0;
    json_t *item = NULL;
    json_array_foreach(json, index, item)
    {
        if (!json_is_object(item)) {
            return false;
        }
    }
    return json_is_array(json);
}

/* The elements that came must be the list's. */
static void compare(const struct list *list, const json_t *json)
{
    const char *at = list->text;
    demand(list->count == json_array_size(json), "as many as Jansson finds");
    for (size_t i = 0; i < list->count; i++) {
        size_t length = 0;
        memcpy(&length, at, sizeof length);
        at += sizeof length;
        json_t *element = json_loadb(at, length, JSON_ALLOW_NUL, NULL);
        demand(json_equal(element, json_array_get(json, i)), "the element that Jansson finds");
        json_decref(element);
        at += length;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    const char *text = (const char *)data + 2;
    size_t length = size - 2;
    struct list whole = {0};
    struct list cut = {0};
    list_take(&whole, text, length, BOUND, length, 1);
    list_take(&cut, text, length, BOUND, data[0], (size_t)data[1] + 1);
    demand(list_is_same(&whole, &cut), "the same, however it is cut");
    demand(!whole.is_unpadded && !cut.is_unpadded, "padding is zero");
    demand(whole.room <= 4 * BOUND && cut.room <= 4 * BOUND, "memory is bounded");
    demand(whole.result == ARIZMQ_OK || whole.result == ARIZMQ_EINVALID ||
               whole.result == ARIZMQ_ETOOLARGE,
           "the result is documented");
    json_t *json = json_loadb(text, length, JSON_ALLOW_NUL, NULL);
    if (json != NULL && whole.result != ARIZMQ_ETOOLARGE) {
        bool is_list = is_list_of_objects(json);
        demand((whole.result == ARIZMQ_OK && whole.is_whole) == is_list, "a list where it is one");
        if (is_list) {
            compare(&whole, json);
        }
    }
    json_decref(json);
    list_release(&whole);
    list_release(&cut);
    return 0;
}
