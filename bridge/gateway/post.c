/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Letters from the command thread to the event thread, in a queue without locks.
 * lws_cancel_service(), the only call of libwebsockets that is allowed from another thread, makes
 * the event thread look.
 */
#include "gateway/post.h"

#include <stdlib.h>

#include "arizmq/error.h"
#include "base/queue.h"

struct post {
    struct queue *queue;
    struct lws_context *context;
};

/* Begins each record; the text follows. */
struct record {
    uint64_t number;
    unsigned node;
};

int post_create(const struct config *config, struct lws_context *context, struct post **out)
{
    struct post *post = calloc(1, sizeof *post);
    if (post == NULL) {
        return ARIZMQ_ENOMEM;
    }
    /* A record may fill half of a queue at the most. */
    enum { LEAST_BYTES = 4 * (POST_TEXT_MAX + 64) };
    size_t room = config->gateway.feed_bytes;
    post->context = context;
    if (queue_create(room > LEAST_BYTES ? room : LEAST_BYTES, &post->queue) != ARIZMQ_OK) {
        free(post);
        return ARIZMQ_ENOMEM;
    }
    *out = post;
    return ARIZMQ_OK;
}

void post_destroy(struct post **self)
{
    if (*self != NULL) {
        queue_destroy(&(*self)->queue);
        free(*self);
        *self = NULL;
    }
}

int post_send(struct post *self, unsigned node, uint64_t number, const char *text, size_t length)
{
    struct record record = {.number = number, .node = node};
    struct queue_part parts[] = {{&record, sizeof record}, {text, length}};
    int result = queue_push(self->queue, parts, 2, 0);
    if (result == ARIZMQ_OK) {
        lws_cancel_service(self->context);
    }
    return result;
}

void post_take(struct post *self, void (*deliver)(void *owner, const struct post_letter *letter),
               void *owner)
{
    size_t length = 0;
    const struct record *record = NULL;
    while (self != NULL && (record = queue_front(self->queue, &length)) != NULL) {
        struct post_letter letter = {.node = record->node,
                                     .number = record->number,
                                     .text = (const char *)(record + 1),
                                     .length = length - sizeof *record};
        deliver(owner, &letter);
        queue_pop(self->queue);
    }
}
