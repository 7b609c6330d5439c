/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Any frames as what a gateway replies with to a question about history. The input is cut at each
 * NUL NUL: the first piece is the header, the next the body, the others topics, events and stamps.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zmq.h>

#include "arizmq/error.h"
#include "client/history_page.h"
#include "client/reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FRAMES_MAX = 64, AFTER = 5, EPOCH = 7 };

static void demand(int is_so, const char *what)
{
    if (!is_so) {
        fprintf(stderr, "not so: %s\n", what);
        abort();
    }
}

static size_t piece_length(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i + 1 < size; i++) {
        if (data[i] == 0 && data[i + 1] == 0) {
            return i;
        }
    }
    return size;
}

static size_t cut(const uint8_t *data, size_t size, zmq_msg_t *frames)
{
    size_t count = 0;
    while (count < FRAMES_MAX) {
        size_t length = piece_length(data, size);
        demand(zmq_msg_init_size(&frames[count], length) == 0, "memory");
        memcpy(zmq_msg_data(&frames[count++]), data, length);
        if (length == size) {
            break;
        }
        data += length + 2;
        size -= length + 2;
    }
    return count;
}

static void read_messages(const struct arizmq_reply *reply, const struct history_page *page)
{
    demand(page->last >= AFTER, "a page never goes back");
    demand(!page->is_more || page->last > AFTER, "a page that has another behind it leads on");
    demand(page->count * 3 == arizmq_reply_frames(reply), "every frame is counted");
    for (size_t i = 0; i < page->count; i++) {
        struct message message;
        if (history_page_message(reply, i, EPOCH, &message) == ARIZMQ_OK) {
            demand(message.stamp.epoch == EPOCH, "no message is of another run");
            demand(message.stamp.counts >= 1, "every message has a number");
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    zmq_msg_t *frames = calloc(FRAMES_MAX, sizeof *frames);
    demand(frames != NULL, "memory");
    size_t count = cut(data, size, frames);
    json_t *asked = json_pack("{s:s, s:s}", "request_id", "a", "transaction_id", "b");
    struct arizmq_reply *reply = NULL;
    const char *why = NULL;
    int rc = reply_read(frames, count, asked, &reply, &why);
    if (rc == ARIZMQ_OK) {
        struct history_page page;
        demand(arizmq_reply_status(reply) >= 100 && arizmq_reply_status(reply) <= 599, "a status");
        if (history_page_read(reply, AFTER, &page) == ARIZMQ_OK) {
            if (page.answer == HISTORY_PAGE) {
                read_messages(reply, &page);
            }
            demand(page.answer != HISTORY_COMPACTED || page.oldest > AFTER + 1, "it leads on");
        }
        arizmq_reply_destroy(&reply);
    } else {
        demand(rc == ARIZMQ_EPROTOCOL && why != NULL, "a refusal says why");
    }
    json_decref(asked);
    return 0;
}
