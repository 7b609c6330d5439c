/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Any bytes as what an Asterisk answers: as the body from which owners are learned, and as a
 * RESTResponse. The first byte chooses, so that each input goes one way.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"
#include "gateway/learn.h"
#include "gateway/over_ws_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BODY_MAX = 100 };

static void demand(int is_so, const char *what)
{
    if (!is_so) {
        fprintf(stderr, "not so: %s\n", what);
        abort();
    }
}

static void learn(const char *text, size_t length)
{
    struct owners *owners = NULL;
    demand(owners_create(8, 8, 1, &owners) == ARIZMQ_OK, "owners");
    unsigned learned = learn_from_reply(owners, 0, text, length);
    demand(owners_count(owners) <= 8, "their bound holds");
    demand(owners_count(owners) <= learned, "what is known was learned");
    owners_destroy(&owners);
}

static void read_response(const char *text, size_t length)
{
    struct over_ws_text read;
    if (over_ws_text_read(text, length, BODY_MAX, &read) != ARIZMQ_OK) {
        return;
    }
    const struct exchange_answer *answer = &read.answer;
    demand(answer->outcome == EXCHANGE_ANSWERED, "it was answered");
    demand(answer->status_code >= 100 && answer->status_code <= 599, "a status");
    demand(answer->reason_phrase != NULL, "a reason, be it empty");
    demand(zmq_msg_size(answer->body) <= BODY_MAX, "the body's bound holds");
    over_ws_text_release(&read);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    /* A copy of exactly that size, so that a byte too far is seen. */
    char *text = malloc(size - 1);
    demand(text != NULL || size == 1, "memory");
    if (size > 1) {
        memcpy(text, data + 1, size - 1);
    }
    if (data[0] % 2 == 0) {
        learn(text, size - 1);
    } else {
        read_response(text, size - 1);
    }
    free(text);
    return 0;
}
