/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The bridge's own events as JSON text: what the pipeline publishes beside Asterisk's events. A few
 * a minute and a heartbeat a second, so Jansson builds them.
 */
#include "publish/own_event.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

json_t *own_event_create(const char *type, const char *application, const char *node,
                         uint64_t wall_ns)
{
    char timestamp[CLOCK_TIMESTAMP_SIZE];
    clock_format_timestamp(wall_ns, timestamp);
    return json_pack("{s:s, s:s, s:s, s:s}", "type", type, "application", application, "timestamp",
                     timestamp, "node", node);
}

char *own_event_print(json_t *json, size_t *length)
{
    size_t wanted = json_dumpb(json, NULL, 0, JSON_COMPACT);
    char *text = wanted == 0 ? NULL : calloc(1, wanted + SCAN_PADDING);
    if (text != NULL) {
        *length = json_dumpb(json, text, wanted, JSON_COMPACT);
    }
    json_decref(json);
    return text;
}

char *own_event_print_with(json_t *json, const char *member, struct span value, size_t *length)
{
    size_t used = 0;
    char *first = own_event_print(json, &used);
    size_t size = used + strlen(member) + value.length + sizeof ",\"\":}";
    char *text = first != NULL ? calloc(1, size + SCAN_PADDING) : NULL;
    if (text != NULL) {
        used--; /* its last } */
        used = (size_t)snprintf(text, size, "%.*s,\"%s\":", (int)used, first, member);
        memcpy(text + used, value.bytes, value.length);
        text[used + value.length] = '}';
        *length = used + value.length + 1;
    }
    free(first);
    return text;
}
