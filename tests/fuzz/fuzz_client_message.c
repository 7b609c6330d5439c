/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Any frames as messages of a view, several in a row: the gap checker and the state take them. The
 * input is cut at each NUL NUL: numbers, topic and event by turns. Numbers are bytes; the last ones
 * are the counts.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"
#include "arizmq/gaps.h"
#include "arizmq/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct piece {
    const uint8_t *data;
    size_t size;
};

static void demand(int is_so, const char *what)
{
    if (!is_so) {
        fprintf(stderr, "not so: %s\n", what);
        abort();
    }
}

static struct piece take_piece(struct piece *rest)
{
    size_t length = 0;
    while (length < rest->size &&
           !(length + 1 < rest->size && rest->data[length] == 0 && rest->data[length + 1] == 0)) {
        length++;
    }
    struct piece piece = {rest->data, length};
    size_t skipped = length < rest->size ? length + 2 : length;
    rest->data += skipped;
    rest->size -= skipped;
    return piece;
}

static struct arizmq_stamp make_stamp(struct piece numbers)
{
    struct arizmq_stamp stamp = {.epoch = 1, .seq = 1, .received_ns = 1, .counts = 1};
    uint64_t *const members[] = {&stamp.epoch, &stamp.seq};
    for (size_t i = 0; i < numbers.size; i++) {
        if (i < 2) {
            *members[i] = numbers.data[i];
        } else if (i - 2 < ARIZMQ_STAMP_COUNTS_MAX) {
            stamp.count[i - 2] = numbers.data[i];
            stamp.counts = (unsigned)(i - 1);
        }
    }
    stamp.received_ns = stamp.seq * 1000000000;
    return stamp;
}

static void take_message(struct arizmq_gaps *gaps, struct arizmq_state *state, struct piece *rest)
{
    struct piece numbers = take_piece(rest);
    struct piece topic = take_piece(rest);
    struct piece event = take_piece(rest);
    struct arizmq_gaps_result result;
    const struct arizmq_message message = {.kind = ARIZMQ_MESSAGE_EVENT,
                                           .topic = (const char *)topic.data,
                                           .topic_length = topic.size,
                                           .event = (const char *)event.data,
                                           .event_length = event.size,
                                           .stamp = make_stamp(numbers)};
    uint8_t bytes[ARIZMQ_STAMP_BYTES_MAX];
    struct arizmq_stamp decoded;
    size_t length = arizmq_stamp_encode(&message.stamp, bytes);
    demand(arizmq_stamp_decode(bytes, length, &decoded) == ARIZMQ_OK, "a stamp is read again");
    arizmq_gaps_check(gaps, message.topic, topic.size, message.event, event.size, &message.stamp,
                      &result);
    demand(arizmq_gaps_watched(gaps) <= 4, "the bound of the checker holds");
    arizmq_state_apply(state, &message);
    demand(arizmq_state_count(state, NULL) <= 4, "the bound of the state holds");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *const prefixes[] = {"Channel", "StasisStart/ivr/", "ArizmqGap/"};
    const struct arizmq_state_options options = {.max_objects = 4, .max_bytes = 4096};
    struct arizmq_gaps *gaps = NULL;
    struct arizmq_state *state = NULL;
    struct piece rest = {data, size};
    demand(arizmq_gaps_create(prefixes, 3, 4, &gaps) == ARIZMQ_OK, "a checker");
    demand(arizmq_state_create(&options, &state) == ARIZMQ_OK, "a state");
    for (unsigned i = 0; i < 32 && rest.size > 0; i++) {
        take_message(gaps, state, &rest);
    }
    arizmq_gaps_destroy(&gaps);
    arizmq_state_destroy(&state);
    return 0;
}
