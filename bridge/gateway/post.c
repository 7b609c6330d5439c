/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Letters from the command thread to the event thread, in a queue without locks.
 * lws_cancel_service(), the only call of libwebsockets that is allowed from another thread, makes
 * the event thread look.
 */
#include "gateway/post.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>

#include "arizmq/error.h"
#include "base/queue.h"

struct post {
    struct queue *queue;
    struct lws_context *context;
    struct {
        post_reader *read;
        void *owner;
    } readers[POST_KINDS];
};

/* Begins each record; the bytes follow. Its size keeps them aligned. */
struct record {
    _Alignas(max_align_t) uint64_t number;
    unsigned kind; /* enum post_kind */
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

void post_set_reader(struct post *self, enum post_kind kind, post_reader *read, void *owner)
{
    self->readers[kind].read = read;
    self->readers[kind].owner = owner;
}

int post_send(struct post *self, enum post_kind kind, unsigned node, uint64_t number,
              const void *bytes, size_t length)
{
    assert(self->readers[kind].read != NULL);
    struct record record = {.number = number, .kind = (unsigned)kind, .node = node};
    struct queue_part parts[] = {{&record, sizeof record}, {bytes, length}};
    int result = queue_push(self->queue, parts, 2, 0);
    if (result == ARIZMQ_OK) {
        lws_cancel_service(self->context);
    }
    return result;
}

void post_take(struct post *self)
{
    size_t length = 0;
    const struct record *record = NULL;
    while (self != NULL && (record = queue_front(self->queue, &length)) != NULL) {
        struct post_letter letter = {.node = record->node,
                                     .number = record->number,
                                     .bytes = record + 1,
                                     .length = length - sizeof *record};
        self->readers[record->kind].read(self->readers[record->kind].owner, &letter);
        queue_pop(self->queue);
    }
}
