/* SPDX-License-Identifier: MPL-2.0 */
/*
 * An application's subscriptions from any bytes: what has been read hears of every id that it
 * lists, whole or nothing is taken, and questions about any object are answered.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"
#include "node/heard.h"

static void demand(int is_true, const char *what)
{
    if (!is_true) {
        fprintf(stderr, "not so: %s\n", what);
        abort();
    }
}

/* Every id that is listed is heard of. */
static void ask_for_ids(const struct heard *heard, enum object_kind kind, const json_t *list)
{
    size_t index = 0;
    json_t *item = NULL;
    json_array_foreach(list, index, item)
    {
        demand(json_is_string(item), "ids are strings");
        const char *id = json_string_value(item);
        struct event_object object = {.kind = object_kind_names[kind], .parts = 1};
        object.part[0] = (struct span){id, strlen(id)};
        const char *slash = kind == OBJECT_ENDPOINT ? strchr(id, '/') : NULL;
        if (slash != NULL) {
            object.parts = 2;
            object.part[0].length = (size_t)(slash - id);
            object.part[1] = (struct span){slash + 1, strlen(slash + 1)};
        }
        bool is_endpoint_id = slash != NULL && strlen(id) <= 2048;
        if (kind != OBJECT_ENDPOINT || is_endpoint_id) {
            demand(heard->all[kind] || heard_object(heard, &object), "what is listed is heard of");
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *exact = malloc(size > 0 ? size : 1);
    demand(exact != NULL, "there is memory");
    if (size > 0) {
        memcpy(exact, data, size);
    }
    struct heard heard;
    memset(&heard, 0x5a, sizeof heard);
    struct heard before = heard;
    int result = heard_read(exact, size, &heard);
    demand(result == ARIZMQ_OK || result == ARIZMQ_EINVALID, "the result is documented");
    if (result == ARIZMQ_EINVALID) {
        demand(memcmp(&heard, &before, sizeof heard) == 0, "nothing is written without success");
        heard = (struct heard){{false}, {NULL}};
    } else {
        json_t *json = json_loadb(exact, size, 0, NULL);
        ask_for_ids(&heard, OBJECT_CHANNEL, json_object_get(json, "channel_ids"));
        ask_for_ids(&heard, OBJECT_BRIDGE, json_object_get(json, "bridge_ids"));
        ask_for_ids(&heard, OBJECT_ENDPOINT, json_object_get(json, "endpoint_ids"));
        ask_for_ids(&heard, OBJECT_DEVICE, json_object_get(json, "device_names"));
        json_decref(json);
    }
    /* The same bytes as what ARI says of a playback, and as an id. */
    struct event_object object = {.kind = object_kind_names[OBJECT_PLAYBACK], .parts = 1};
    object.part[0] = (struct span){exact, size};
    object.value = object.part[0];
    for (enum object_kind kind = 0; kind < OBJECT_KINDS; kind++) {
        object.kind = object_kind_names[kind];
        object.parts = kind == OBJECT_ENDPOINT ? 2 : 1;
        object.part[1] = object.parts == 2 ? object.part[0] : (struct span){NULL, 0};
        bool is_heard = heard_object(&heard, &object);
        demand(is_heard || !heard_everything(&heard) || kind == OBJECT_KINDS,
               "who hears everything hears of this");
    }
    heard_release(&heard);
    heard_release(&heard); /* an empty one is fine */
    free(exact);
    return 0;
}
