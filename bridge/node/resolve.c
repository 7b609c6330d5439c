/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Host names to addresses. A link asks before each round of attempts to connect; getaddrinfo(3) may
 * take seconds, so each question has a thread of its own; a link has never more than one under way.
 * The thread touches nothing but its question and the list of answers.
 */
#include "node/resolve.h"

#include <netdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "arizmq/error.h"

struct resolve_question {
    struct resolve_question *next; /* in the list of answered ones */
    struct resolver *resolver;
    char *host;
    resolve_done *done;
    void *owner;
    int is_cancelled; /* guarded by the resolver's lock */
    struct resolve_answer answer;
};

struct resolver {
    struct lws_context *context;
    pthread_mutex_t lock; /* guards everything below */
    struct resolve_question *answered;
    unsigned under_way; /* threads that will still come for the lock */
    int is_closed;
};

struct resolver *resolver_create(struct lws_context *context)
{
    struct resolver *self = calloc(1, sizeof *self);
    if (self != NULL) {
        self->context = context;
        pthread_mutex_init(&self->lock, NULL);
    }
    return self;
}

static void question_free(struct resolve_question *question)
{
    free(question->host);
    free(question);
}

static void resolver_free(struct resolver *resolver)
{
    pthread_mutex_destroy(&resolver->lock);
    free(resolver);
}

void resolver_destroy(struct resolver **self)
{
    struct resolver *resolver = *self;
    *self = NULL;
    if (resolver == NULL) {
        return;
    }
    pthread_mutex_lock(&resolver->lock);
    struct resolve_question *question = NULL;
    struct resolve_question *next = NULL;
    LL_FOREACH_SAFE(resolver->answered, question, next)
    {
        question_free(question);
    }
    resolver->answered = NULL;
    resolver->is_closed = 1;
    int is_last = resolver->under_way == 0;
    pthread_mutex_unlock(&resolver->lock);
    if (is_last) { /* else the last thread frees it */
        resolver_free(resolver);
    }
}

static void look_up(const char *host, struct resolve_answer *out)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    int error = getaddrinfo(host, NULL, &hints, &list);
    if (error != 0) {
        out->error = gai_strerror(error);
        return;
    }
    for (struct addrinfo *at = list; at != NULL && out->count < RESOLVE_ADDRESSES_MAX;
         at = at->ai_next) {
        if (getnameinfo(at->ai_addr, at->ai_addrlen, out->address[out->count], INET6_ADDRSTRLEN,
                        NULL, 0, NI_NUMERICHOST) == 0) {
            out->count++;
        }
    }
    freeaddrinfo(list);
    if (out->count == 0) {
        out->error = "the name has no address";
    }
}

static void *question_thread(void *arg)
{
    struct resolve_question *question = arg;
    struct resolver *resolver = question->resolver;
    look_up(question->host, &question->answer);
    pthread_mutex_lock(&resolver->lock);
    resolver->under_way--;
    int is_last = resolver->is_closed && resolver->under_way == 0;
    if (resolver->is_closed) {
        question_free(question);
    } else {
        LL_APPEND(resolver->answered, question);
        /* Inside the lock: the context lives at least until the resolver is closed. */
        lws_cancel_service(resolver->context);
    }
    pthread_mutex_unlock(&resolver->lock);
    if (is_last) {
        resolver_free(resolver);
    }
    return NULL;
}

int resolver_ask(struct resolver *self, const char *host, resolve_done *done, void *owner,
                 struct resolve_question **out)
{
    struct resolve_question *question = calloc(1, sizeof *question);
    if (question == NULL) {
        return ARIZMQ_ENOMEM;
    }
    question->resolver = self;
    question->done = done;
    question->owner = owner;
    question->host = strdup(host);
    pthread_attr_t detached;
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    pthread_mutex_lock(&self->lock);
    self->under_way++;
    pthread_mutex_unlock(&self->lock);
    pthread_t thread;
    int failed = question->host == NULL ||
                 pthread_create(&thread, &detached, question_thread, question) != 0;
    pthread_attr_destroy(&detached);
    if (failed) {
        pthread_mutex_lock(&self->lock);
        self->under_way--;
        pthread_mutex_unlock(&self->lock);
        question_free(question);
        return ARIZMQ_ENOMEM;
    }
    *out = question;
    return ARIZMQ_OK;
}

void resolver_cancel(struct resolver *self, struct resolve_question **question)
{
    if (*question == NULL) {
        return;
    }
    pthread_mutex_lock(&self->lock);
    (*question)->is_cancelled = 1;
    pthread_mutex_unlock(&self->lock);
    *question = NULL;
}

void resolver_deliver(struct resolver *self)
{
    for (;;) {
        pthread_mutex_lock(&self->lock);
        struct resolve_question *question = self->answered;
        int is_cancelled = 0;
        if (question != NULL) {
            LL_DELETE(self->answered, question);
            is_cancelled = question->is_cancelled;
        }
        pthread_mutex_unlock(&self->lock);
        if (question == NULL) {
            return;
        }
        if (!is_cancelled) {
            question->done(question->owner, &question->answer);
        }
        question_free(question);
    }
}
