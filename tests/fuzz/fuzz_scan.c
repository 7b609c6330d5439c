/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The scan on whatever libFuzzer makes up: both ways to classify agree, bytes behind the text do
 * not matter, and what Jansson reads as an object has the members that Jansson finds. An event
 * read from the same bytes must be possible, too.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "event/event.h"
#include "scan_compare.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *problem = scan_compare((const char *)data, size);
    if (problem != NULL) {
        fprintf(stderr, "%s\n", problem);
        abort();
    }
    char *text = calloc(1, size + SCAN_PADDING);
    if (text == NULL) {
        return 0;
    }
    if (size > 0) {
        memcpy(text, data, size);
    }
    struct event event;
    event_read(&event, text, size, "pbx1", 0);
    if (event.object_count > EVENT_OBJECTS_MAX || event.decoded_count > EVENT_DECODED_MAX) {
        abort();
    }
    event_release(&event);
    free(text);
    return 0;
}
