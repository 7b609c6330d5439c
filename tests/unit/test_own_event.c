/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The bridge's own events, with and without memory.
 */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "event/scan.h"
#include "publish/own_event.h"

static int is_memory_gone;

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

void *__wrap_calloc(size_t count, size_t size)
{
    return is_memory_gone ? NULL : __real_calloc(count, size);
}

Test(own_event, has_the_members_of_an_event_in_their_order)
{
    json_t *json = own_event_create("ArizmqGap", "ivr", "pbx1", 1795444501160000000);
    json_object_set_new(json, "reason", json_string("reconnected \"\u00e4\"\n"));
    size_t length = 0;
    char *text = own_event_print(json, &length);
    static const char wanted[] = "{\"type\":\"ArizmqGap\",\"application\":\"ivr\",\"timestamp\":"
                                 "\"2026-11-23T14:35:01.160+0000\",\"node\":\"pbx1\",\"reason\":"
                                 "\"reconnected \\\"\u00e4\\\"\\n\"}";
    cr_assert_eq(length, strlen(wanted));
    cr_assert_eq(memcmp(text, wanted, length), 0, "%.*s", (int)length, text);
    /* What the scan may read behind it is there, and nothing left over. */
    for (size_t i = 0; i < SCAN_PADDING; i++) {
        cr_assert_eq(text[length + i], 0);
    }
    struct scan scan;
    cr_assert_eq(scan_object(text, length, &scan), 0);
    cr_assert_eq(scan.count, 5);
    free(text);
}

Test(own_event, can_be_of_any_length)
{
    for (size_t size = 0; size < 300; size++) {
        char filler[301];
        memset(filler, 'f', size);
        filler[size] = '\0';
        json_t *json = own_event_create("ArizmqStopping", "-", "-", 0);
        json_object_set_new(json, "filler", json_string(filler));
        size_t length = 0;
        char *text = own_event_print(json, &length);
        json_t *back = json_loadb(text, length, 0, NULL);
        cr_assert_str_eq(json_string_value(json_object_get(back, "filler")), filler);
        cr_assert_str_eq(json_string_value(json_object_get(back, "application")), "-");
        json_decref(back);
        free(text);
    }
}

Test(own_event, is_none_where_it_cannot_be_made)
{
    size_t length = 77;
    cr_assert_null(own_event_create("ArizmqGap", "\xff", "pbx1", 0), "no UTF-8, no JSON");
    cr_assert_null(own_event_print(NULL, &length));
    json_t *json = own_event_create("ArizmqGap", "ivr", "pbx1", 0);
    is_memory_gone = 1;
    cr_assert_null(own_event_print(json, &length));
    is_memory_gone = 0;
    cr_assert_eq(length, 77);
}
