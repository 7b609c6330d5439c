/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Any bytes as the body of a snapshot: each object that is read is one, and a state takes it.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"
#include "arizmq/state.h"
#include "client/snapshot_body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(int is_so, const char *what)
{
    if (!is_so) {
        fprintf(stderr, "not so: %s\n", what);
        abort();
    }
}

static void take(struct arizmq_state *state, const struct arizmq_object *object)
{
    const struct arizmq_message message = {.kind = ARIZMQ_MESSAGE_OBJECT, .object = *object};
    int rc = arizmq_state_apply(state, &message);
    demand(object->value_length >= 2, "a value is an object");
    demand(object->value[0] == '{' && object->value[object->value_length - 1] == '}',
           "a value is an object");
    struct arizmq_object found;
    if (rc == ARIZMQ_OK && strlen(object->id) < 1000) {
        demand(
            arizmq_state_find(state, object->kind, object->id, object->node, object->app, &found),
            "what was set is found");
        demand(found.value_length == object->value_length &&
                   memcmp(found.value, object->value, found.value_length) == 0,
               "and is what was set");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct arizmq_state_options options = {.max_objects = 8, .max_bytes = 4096};
    struct snapshot_body *body = NULL;
    struct arizmq_state *state = NULL;
    demand(arizmq_state_create(&options, &state) == ARIZMQ_OK, "a state");
    if (snapshot_body_create((const char *)data, size, &body) == ARIZMQ_OK) {
        struct span links = snapshot_body_links(body);
        const struct arizmq_message begin = {.kind = ARIZMQ_MESSAGE_SNAPSHOT_BEGIN,
                                             .event = links.bytes,
                                             .event_length = links.length};
        struct arizmq_object object;
        arizmq_state_apply(state, &begin);
        while (snapshot_body_next(body, &object) == ARIZMQ_OK) {
            take(state, &object);
        }
        struct span ended = snapshot_body_ended(body);
        const struct arizmq_message end = {.kind = ARIZMQ_MESSAGE_SNAPSHOT_END,
                                           .event = ended.bytes,
                                           .event_length = ended.length};
        arizmq_state_apply(state, &end);
        demand(arizmq_state_count(state, NULL) <= 8, "the bound holds");
        snapshot_body_destroy(&body);
    }
    arizmq_state_destroy(&state);
    return 0;
}
