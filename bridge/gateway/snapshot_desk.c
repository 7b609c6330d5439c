/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The life of a GET arizmq/snapshot: its query is read; it joins those that wait for the same, or
 * begins a group of its own; when the group's turn comes the event thread is asked, what it hands
 * over is printed a slice in each turn, and the whole group gets the same text.
 */
#include "gateway/snapshot_desk.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "arizmq/error.h"
#include "gateway/snapshot_ask.h"
#include "gateway/snapshot_print.h"
#include "gateway/snapshot_walker.h"

struct group;

struct snapshot_job {
    struct group *group;
    snapshot_done *done;
    void *owner;
    struct snapshot_job *prev, *next;
};

/* Requests for the same. */
struct group {
    struct snapshot_ask ask;
    struct snapshot_job *jobs; /* utlist; may be empty: all were dropped */
    struct group *prev, *next;
};

struct snapshot_desk {
    const struct config *config;
    struct post *post;
    uint64_t epoch;
    struct group *waiting; /* utlist */
    struct group *current; /* the one that the event thread is asked for, or that is printed */
    uint64_t number;       /* of its letter */
    bool is_asked;         /* the letter has been sent */
    bool is_printing;
    struct snapshot_print print;
};

/* Of earlier snapshots: bytes that ZeroMQ holds because clients have not read them. Its threads
 * subtract. */
static _Atomic uint64_t unread_bytes;

struct snapshot_desk *snapshot_desk_create(const struct config *config, struct post *post,
                                           uint64_t epoch)
{
    struct snapshot_desk *desk = calloc(1, sizeof *desk);
    if (desk != NULL) {
        desk->config = config;
        desk->post = post;
        desk->epoch = epoch;
    }
    return desk;
}

void snapshot_desk_set_config(struct snapshot_desk *self, const struct config *config)
{
    self->config = config;
}

static void free_group(struct group *group)
{
    snapshot_ask_release(&group->ask);
    free(group);
}

static void drop_jobs(struct group *group)
{
    struct snapshot_job *job = NULL;
    struct snapshot_job *next = NULL;
    DL_FOREACH_SAFE(group->jobs, job, next)
    {
        free(job);
    }
    group->jobs = NULL;
}

void snapshot_desk_destroy(struct snapshot_desk **self)
{
    struct snapshot_desk *desk = *self;
    *self = NULL;
    if (desk == NULL) {
        return;
    }
    if (desk->current != NULL) {
        DL_PREPEND(desk->waiting, desk->current);
    }
    while (desk->waiting != NULL) {
        struct group *group = desk->waiting;
        DL_DELETE(desk->waiting, group);
        drop_jobs(group);
        free_group(group);
    }
    snapshot_print_end(&desk->print);
    free(desk);
}

/* --- answers */

/* Answers everybody in the group, which is in no list, and frees it. */
static void finish(struct group *group, const struct snapshot_answer *answer)
{
    while (group->jobs != NULL) {
        struct snapshot_job *job = group->jobs;
        DL_DELETE(group->jobs, job);
        job->done(job->owner, answer);
        free(job);
    }
    free_group(group);
}

static void finish_current(struct snapshot_desk *desk, const struct snapshot_answer *answer)
{
    struct group *group = desk->current;
    desk->current = NULL;
    desk->is_asked = false;
    desk->is_printing = false;
    snapshot_print_end(&desk->print);
    finish(group, answer);
}

__attribute__((format(printf, 3, 4))) static void
refuse_current(struct snapshot_desk *desk, enum reply_error error, const char *format, ...)
{
    struct snapshot_answer answer = {.is_refused = true, .refusal = {.error = error}};
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(answer.refusal.message, sizeof answer.refusal.message, format, arguments);
    va_end(arguments);
    finish_current(desk, &answer);
}

/* --- asking the event thread */

static uint32_t length_of(const char *name)
{
    return name != NULL ? (uint32_t)strlen(name) + 1 : 0;
}

static int send_letter(struct snapshot_desk *desk, const struct snapshot_ask *ask)
{
    struct snapshot_query query = {.kinds = ask->kinds,
                                   .node_length = length_of(ask->node),
                                   .application_length = length_of(ask->application)};
    size_t length = sizeof query + query.node_length + query.application_length;
    char *bytes = malloc(length);
    if (bytes == NULL) {
        return ARIZMQ_ENOMEM;
    }
    memcpy(bytes, &query, sizeof query);
    if (ask->node != NULL) {
        memcpy(bytes + sizeof query, ask->node, query.node_length);
    }
    if (ask->application != NULL) {
        memcpy(bytes + sizeof query + query.node_length, ask->application,
               query.application_length);
    }
    int result = post_send(desk->post, POST_SNAPSHOT, 0, ++desk->number, bytes, length);
    free(bytes);
    return result;
}

/* Asks for the next group, if none is under way. */
static void begin_next(struct snapshot_desk *desk)
{
    while (desk->current == NULL && desk->waiting != NULL) {
        struct group *group = desk->waiting;
        DL_DELETE(desk->waiting, group);
        if (group->jobs != NULL) {
            desk->current = group;
            break;
        }
        free_group(group);
    }
    if (desk->current == NULL || desk->is_asked) {
        return;
    }
    desk->is_asked = true;
    if (send_letter(desk, &desk->current->ask) != ARIZMQ_OK) {
        refuse_current(desk, REPLY_OVERLOADED,
                       "no room between the threads (gateway.feed_bytes): ask again");
    }
}

void snapshot_desk_take(struct snapshot_desk *self, uint64_t number, struct snapshot *snapshot)
{
    if (self->current == NULL || self->is_printing || number != self->number) {
        snapshot_destroy(&snapshot); /* of nobody who still waits */
        return;
    }
    if (snapshot == NULL || self->current->jobs == NULL) {
        snapshot_destroy(&snapshot);
        refuse_current(self, REPLY_OVERLOADED, "no memory for the snapshot: ask again");
        return;
    }
    uint64_t max_bytes = self->config->gateway.max_reply_bytes;
    switch (snapshot_print_begin(&self->print, snapshot, self->current->ask.kinds, self->epoch,
                                 max_bytes)) {
    case ARIZMQ_OK:
        self->is_printing = true;
        break;
    case ARIZMQ_ETOOLARGE:
        refuse_current(self, REPLY_TOO_LARGE,
                       "the snapshot is larger than gateway.max_reply_bytes, %" PRIu64
                       ": ask for some kinds, or for one node or app",
                       max_bytes);
        break;
    default:
        refuse_current(self, REPLY_OVERLOADED, "no memory for the snapshot: ask again");
        break;
    }
}

static void free_text(void *text, void *length)
{
    atomic_fetch_sub(&unread_bytes, (uint64_t)(uintptr_t)length);
    free(text);
}

/* As body_from_text(), and counted until everybody has read it. */
static int make_body(char *text, size_t length, zmq_msg_t *out)
{
    if (zmq_msg_init_data(out, text, length, free_text, (void *)(uintptr_t)length) != 0) {
        free(text);
        return ARIZMQ_ENOMEM;
    }
    atomic_fetch_add(&unread_bytes, length);
    return ARIZMQ_OK;
}

void snapshot_desk_turn(struct snapshot_desk *self)
{
    char *text = NULL;
    size_t length = 0;
    begin_next(self);
    if (!self->is_printing || !snapshot_print_on(&self->print, &text, &length)) {
        return;
    }
    zmq_msg_t body;
    if (make_body(text, length, &body) != ARIZMQ_OK) {
        refuse_current(self, REPLY_OVERLOADED, "no memory for the snapshot: ask again");
        return;
    }
    struct snapshot_answer answer = {.body = &body};
    finish_current(self, &answer);
    zmq_msg_close(&body);
}

bool snapshot_desk_is_busy(const struct snapshot_desk *self)
{
    return self->is_printing || (self->current == NULL && self->waiting != NULL);
}

/* --- requests */

static bool is_same_name(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static struct group *find_waiting(const struct snapshot_desk *desk, const struct snapshot_ask *ask)
{
    struct group *group = NULL;
    DL_FOREACH(desk->waiting, group)
    {
        if (group->ask.kinds == ask->kinds && is_same_name(group->ask.node, ask->node) &&
            is_same_name(group->ask.application, ask->application)) {
            return group;
        }
    }
    return NULL;
}

/* The group to wait in; takes `ask` over. NULL without memory. */
static struct group *join(struct snapshot_desk *desk, struct snapshot_ask *ask)
{
    struct group *group = find_waiting(desk, ask);
    if (group != NULL) {
        snapshot_ask_release(ask);
        return group;
    }
    group = calloc(1, sizeof *group);
    if (group == NULL) {
        snapshot_ask_release(ask);
        return NULL;
    }
    group->ask = *ask;
    DL_APPEND(desk->waiting, group);
    return group;
}

static struct snapshot_job *refuse_at_once(const struct request_refusal *refusal,
                                           snapshot_done *done, void *owner)
{
    struct snapshot_answer answer = {.is_refused = true, .refusal = *refusal};
    done(owner, &answer);
    return NULL;
}

struct snapshot_job *snapshot_desk_ask(struct snapshot_desk *self, const char *query,
                                       snapshot_done *done, void *owner)
{
    struct request_refusal refusal = {
        REPLY_NO_SUCH_RESOURCE, "this bridge keeps no last values of objects (state.enabled)"};
    struct snapshot_ask ask;
    if (!self->config->state.enabled ||
        snapshot_ask_read(query, self->config, &ask, &refusal) != ARIZMQ_OK) {
        return refuse_at_once(&refusal, done, owner);
    }
    refusal = (struct request_refusal){REPLY_OVERLOADED, "no memory: ask again"};
    uint64_t unread = atomic_load(&unread_bytes);
    bool is_full = unread > self->config->gateway.max_reply_bytes;
    if (is_full) {
        snprintf(refusal.message, sizeof refusal.message,
                 "%" PRIu64 " bytes of earlier snapshots wait to be read by their clients "
                 "(gateway.max_reply_bytes is %" PRIu64 "): ask again later",
                 unread, self->config->gateway.max_reply_bytes);
    }
    struct snapshot_job *job = is_full ? NULL : calloc(1, sizeof *job);
    if (job == NULL) {
        snapshot_ask_release(&ask);
        return refuse_at_once(&refusal, done, owner);
    }
    struct group *group = join(self, &ask);
    if (group == NULL) {
        free(job);
        return refuse_at_once(&refusal, done, owner);
    }
    *job = (struct snapshot_job){.group = group, .done = done, .owner = owner};
    DL_APPEND(group->jobs, job);
    return job; /* the event thread is asked in this turn of the loop */
}

void snapshot_desk_drop(struct snapshot_desk *self, struct snapshot_job *job)
{
    (void)self; /* a group that nobody waits in is noticed when its turn comes */
    DL_DELETE(job->group->jobs, job);
    free(job);
}
