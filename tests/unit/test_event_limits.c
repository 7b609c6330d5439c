/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Events that mention more objects than there is room for. No Asterisk's event does, so that the
 * test brings an object table of its own, in place of the one in objects.c.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "event/event.h"

enum { RULES = 20 };

const char *const object_kind_names[OBJECT_KINDS] = {"channel",   "bridge",   "playback",
                                                     "recording", "endpoint", "device"};

static struct object_rule rules[RULES];
static struct object_type type = {.rules_count = RULES, .rules = rules};

const struct object_type *objects_find_type(const char *name, size_t length)
{
    static char names[RULES][4];
    (void)name;
    (void)length;
    for (unsigned i = 0; i < RULES; i++) {
        int used = snprintf(names[i], sizeof names[i], "m%u", i);
        rules[i] = (struct object_rule){
            .kind = OBJECT_ENDPOINT,
            .form = OBJECT_FORM_ENDPOINT,
            .depth = 1,
            .path = {{.name = names[i], .length = (uint8_t)used}},
        };
    }
    return &type;
}

/* `members` endpoints, member i with the resource i % `different`; each text has escapes. */
static struct event read_event(unsigned members, unsigned different, char text[4096])
{
    size_t used = (size_t)snprintf(text, 4096, "{\"type\":\"\\u0054\",\"application\":\"\\/\"");
    for (unsigned i = 0; i < members; i++) {
        used += (size_t)snprintf(text + used, 4096 - used,
                                 ",\"m%u\":{\"technology\":\"\\/\",\"resource\":\"\\/%u\"}", i,
                                 i % different);
    }
    used += (size_t)snprintf(text + used, 4096 - used, "}");
    cr_assert_lt(used + SCAN_PADDING, 4096);
    struct event event;
    event_read(&event, text, used, "pbx1", 1);
    return event;
}

Test(event_limits, counts_the_objects_beyond_the_sixteenth)
{
    for (unsigned members = 0; members <= RULES; members++) {
        char text[4096] = "";
        struct event event = read_event(members, RULES, text);
        unsigned kept = members < EVENT_OBJECTS_MAX ? members : EVENT_OBJECTS_MAX;
        cr_assert_eq(event.object_count, kept);
        cr_assert_eq(event.objects_dropped, members - kept);
        for (unsigned i = 0; i < kept; i++) {
            char resource[8];
            snprintf(resource, sizeof resource, "/%u", i);
            cr_assert_eq(event.objects[i].part[1].length, strlen(resource));
            cr_assert_eq(memcmp(event.objects[i].part[1].bytes, resource, strlen(resource)), 0);
            cr_assert_eq(event.objects[i].part[0].length, 1);
        }
        cr_assert_eq(event.type.length, 1);
        cr_assert_eq(*event.type.bytes, 'T');
        event_release(&event);
    }
}

Test(event_limits, drops_none_that_is_named_already)
{
    char text[4096] = "";
    struct event event = read_event(17, 16, text);
    cr_assert_eq(event.object_count, EVENT_OBJECTS_MAX);
    cr_assert_eq(event.objects_dropped, 0);
    event_release(&event);
}
