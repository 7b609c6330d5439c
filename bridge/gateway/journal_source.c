/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Two queues without locks, each with an eventfd. What goes through them is a pointer: the one side
 * allocates, the other frees. keep/journal.c stands at the one end, the history desk at the other.
 */
#include "gateway/journal_source.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "arizmq/error.h"
#include "base/queue.h"
#include "ops/log.h"

/* More than JOURNAL_QUESTIONS_MAX pointers, with what a queue adds to each. */
enum { QUEUE_BYTES = 8192 };

/* What the journal's thread hands over: an answer, or a status. */
struct delivery {
    uint64_t ticket;
    struct journal_status *status; /* NULL: it is an answer */
    struct history_answer answer;
};

struct journal_source {
    struct history_source for_desk;
    struct queue *questions;
    struct queue *deliveries;
    int questions_fd;
    int deliveries_fd;
    _Atomic unsigned questions_count;  /* asked and not taken yet */
    _Atomic unsigned deliveries_count; /* handed over and not collected */
    struct journal_status *status;     /* the command thread's */
};

/* --- what both sides do */

static void signal_fd(int fd)
{
    static const uint64_t one = 1;
    if (write(fd, &one, sizeof one) < 0 && errno != EAGAIN) {
        log_error("journal_source", "cannot write to an eventfd: %s", strerror(errno));
    }
}

static void reset_fd(int fd)
{
    uint64_t count = 0;
    if (read(fd, &count, sizeof count) < 0 && errno != EAGAIN) {
        log_error("journal_source", "cannot read an eventfd: %s", strerror(errno));
    }
}

/* Puts the pointer behind the others. */
static int push(struct queue *queue, _Atomic unsigned *count, int fd, void *pointer)
{
    struct queue_part part = {&pointer, sizeof pointer};
    int result = queue_push(queue, &part, 1, 0);
    if (result == ARIZMQ_OK) {
        atomic_fetch_add(count, 1);
        signal_fd(fd);
    }
    return result;
}

/* The first pointer, NULL where there is none. */
static void *pop(struct queue *queue, _Atomic unsigned *count)
{
    size_t length = 0;
    const void *record = queue_front(queue, &length);
    void *pointer = NULL;
    if (record != NULL) {
        memcpy(&pointer, record, sizeof pointer);
        queue_pop(queue);
        atomic_fetch_sub(count, 1);
    }
    return pointer;
}

/* --- the command thread */

/* The question's own copy of what the query borrows. */
static struct journal_question *copy_query(uint64_t ticket, const struct history_query *query)
{
    size_t view_bytes = strlen(query->view) + 1;
    struct journal_question *question =
        malloc(sizeof *question + view_bytes + query->prefix.length);
    if (question == NULL) {
        return NULL;
    }
    question->ticket = ticket;
    question->query = *query;
    question->query.texts = (struct query){0};
    memcpy(question->texts, query->view, view_bytes);
    memcpy(question->texts + view_bytes, query->prefix.bytes, query->prefix.length);
    question->query.view = question->texts;
    question->query.prefix.bytes = question->texts + view_bytes;
    return question;
}

void journal_question_free(struct journal_question *question)
{
    free(question);
}

static int ask(void *owner, uint64_t ticket, const struct history_query *query)
{
    struct journal_source *source = owner;
    if (atomic_load(&source->questions_count) >= JOURNAL_QUESTIONS_MAX) {
        return ARIZMQ_ETOOLARGE;
    }
    struct journal_question *question = copy_query(ticket, query);
    if (question == NULL) {
        return ARIZMQ_ENOMEM;
    }
    int result = push(source->questions, &source->questions_count, source->questions_fd, question);
    if (result != ARIZMQ_OK) {
        journal_question_free(question);
    }
    return result;
}

static uint64_t oldest(void *owner, uint64_t epoch)
{
    const struct journal_status *status = ((struct journal_source *)owner)->status;
    for (unsigned i = 0; status != NULL && i < status->runs_count; i++) {
        if (status->runs[i].epoch == epoch) {
            return status->runs[i].oldest;
        }
    }
    return UINT64_MAX;
}

static void collect(void *owner, struct history_desk *desk)
{
    struct journal_source *source = owner;
    struct delivery *delivery;
    reset_fd(source->deliveries_fd);
    while ((delivery = pop(source->deliveries, &source->deliveries_count)) != NULL) {
        if (delivery->status != NULL) {
            free(source->status);
            source->status = delivery->status;
        } else {
            history_desk_answer(desk, delivery->ticket, &delivery->answer);
        }
        free(delivery);
    }
    signal_fd(source->questions_fd); /* answers may have waited for room */
}

const struct history_source *journal_source_for_desk(const struct journal_source *self)
{
    return &self->for_desk;
}

const struct journal_status *journal_source_status(const struct journal_source *self)
{
    return self->status;
}

/* --- the journal's thread */

int journal_source_fd(const struct journal_source *self)
{
    return self->questions_fd;
}

struct journal_question *journal_source_next(struct journal_source *self)
{
    reset_fd(self->questions_fd);
    if (atomic_load(&self->deliveries_count) >= JOURNAL_ANSWERS_MAX) {
        return NULL;
    }
    return pop(self->questions, &self->questions_count);
}

static bool deliver(struct journal_source *source, struct delivery *delivery)
{
    if (push(source->deliveries, &source->deliveries_count, source->deliveries_fd, delivery) ==
        ARIZMQ_OK) {
        return true;
    }
    history_page_release(&delivery->answer.page);
    free(delivery->status);
    free(delivery);
    return false;
}

void journal_source_answer(struct journal_source *self, uint64_t ticket,
                           struct history_answer *answer)
{
    struct delivery *delivery = malloc(sizeof *delivery);
    if (delivery == NULL) {
        /* The request ends with its own deadline. */
        log_error("journal_answer_lost", "no memory to answer a request for history");
        history_page_release(&answer->page);
        return;
    }
    *delivery = (struct delivery){.ticket = ticket, .answer = *answer};
    answer->page = (struct history_page){0};
    deliver(self, delivery); /* the queue has room for more than JOURNAL_ANSWERS_MAX */
}

bool journal_source_tell(struct journal_source *self, struct journal_status *status)
{
    struct delivery *delivery = malloc(sizeof *delivery);
    if (delivery == NULL) {
        free(status);
        return false;
    }
    *delivery = (struct delivery){.status = status};
    return deliver(self, delivery);
}

/* --- life */

int journal_source_create(struct journal_source **out)
{
    struct journal_source *source = calloc(1, sizeof *source);
    if (source == NULL) {
        return ARIZMQ_ENOMEM;
    }
    source->questions_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    source->deliveries_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    source->for_desk = (struct history_source){.owner = source,
                                               .ask = ask,
                                               .oldest = oldest,
                                               .fd = source->deliveries_fd,
                                               .collect = collect};
    int result = source->questions_fd < 0 || source->deliveries_fd < 0 ? ARIZMQ_EIO : ARIZMQ_OK;
    if (result == ARIZMQ_OK) {
        result = queue_create(QUEUE_BYTES, &source->questions);
    }
    if (result == ARIZMQ_OK) {
        result = queue_create(QUEUE_BYTES, &source->deliveries);
    }
    if (result != ARIZMQ_OK) {
        journal_source_destroy(&source);
        return result;
    }
    *out = source;
    return ARIZMQ_OK;
}

void journal_source_destroy(struct journal_source **self)
{
    struct journal_source *source = *self;
    *self = NULL;
    if (source == NULL) {
        return;
    }
    struct journal_question *question;
    struct delivery *delivery;
    while (source->questions != NULL &&
           (question = pop(source->questions, &source->questions_count)) != NULL) {
        journal_question_free(question);
    }
    while (source->deliveries != NULL &&
           (delivery = pop(source->deliveries, &source->deliveries_count)) != NULL) {
        history_page_release(&delivery->answer.page);
        free(delivery->status);
        free(delivery);
    }
    queue_destroy(&source->questions);
    queue_destroy(&source->deliveries);
    if (source->questions_fd >= 0) {
        close(source->questions_fd);
    }
    if (source->deliveries_fd >= 0) {
        close(source->deliveries_fd);
    }
    free(source->status);
    free(source);
}
