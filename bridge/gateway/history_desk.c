/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The life of a GET arizmq/history: its query is read; what memory cannot have is refused, or left
 * to the source; the rest is read by history_scan.c, one request after the other, a slice in each
 * turn. Most requests are for a few messages and are answered at once.
 */
#include "gateway/history_desk.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "arizmq/error.h"
#include "gateway/history_scan.h"
#include "gateway/quote.h"
#include "ops/metrics.h"

struct history_job {
    struct history_query query;
    struct history_scan scan;
    uint64_t ticket; /* while the source has it; 0 before */
    history_done *done;
    void *owner;
    struct history_job *prev, *next; /* of desk->reading or desk->away */
};

struct history_desk {
    const struct config_history *config;
    struct history *history;
    const struct history_source *source;
    struct history_reader *reader;
    struct history_job *reading; /* utlist: the first is being read, the others wait */
    struct history_job *away;    /* utlist: the source has them */
    uint64_t tickets;
};

static void show_bounds(const struct config_history *config)
{
    metrics_set(METRIC_HISTORY_MAX_UNREAD_BYTES, config->max_unread_bytes);
    metrics_set(METRIC_HISTORY_MAX_PAGE_MESSAGES, config->max_page_messages);
    metrics_set(METRIC_HISTORY_MAX_PAGE_BYTES, config->max_page_bytes);
}

int history_desk_create(const struct config_history *config, struct history *history,
                        const struct history_source *source, struct history_desk **out)
{
    struct history_desk *desk = calloc(1, sizeof *desk);
    if (desk == NULL) {
        return ARIZMQ_ENOMEM;
    }
    desk->config = config;
    desk->history = history;
    desk->source = source;
    int result = history_reader_create(history, &desk->reader);
    if (result != ARIZMQ_OK) {
        free(desk);
        return result;
    }
    show_bounds(config);
    *out = desk;
    return ARIZMQ_OK;
}

static void free_job(struct history_job *job)
{
    history_page_release(&job->scan.page);
    history_query_release(&job->query);
    free(job);
}

void history_desk_drop(struct history_desk *self, struct history_job *job)
{
    if (job->ticket > 0) {
        DL_DELETE(self->away, job);
    } else {
        DL_DELETE(self->reading, job);
    }
    free_job(job);
}

void history_desk_set_config(struct history_desk *self, const struct config_history *config)
{
    self->config = config;
    show_bounds(config);
}

void history_desk_destroy(struct history_desk **self)
{
    struct history_desk *desk = *self;
    *self = NULL;
    if (desk == NULL) {
        return;
    }
    while (desk->reading != NULL) {
        history_desk_drop(desk, desk->reading);
    }
    while (desk->away != NULL) {
        history_desk_drop(desk, desk->away);
    }
    history_reader_destroy(&desk->reader);
    free(desk);
}

/* --- answers */

/* Where history stands now. */
static struct reply_position read_position(const struct history_desk *desk)
{
    /* In this order, or `newest` might be before what is not the oldest any more. */
    uint64_t oldest = history_oldest(desk->history);
    return (struct reply_position){.epoch = history_epoch(desk->history),
                                   .oldest = oldest,
                                   .newest = history_newest(desk->history)};
}

/* Frees the job, which is in no list. */
static void finish(struct history_job *job, struct history_answer *answer)
{
    if (!answer->is_refused && history_page_seal(&answer->page) != ARIZMQ_OK) {
        answer->is_refused = true;
        answer->refusal = (struct request_refusal){REPLY_OVERLOADED, "no memory: ask again"};
    }
    if (!answer->is_refused) {
        metrics_add(METRIC_HISTORY_PAGES, 1);
        metrics_add(METRIC_HISTORY_MESSAGES, answer->page.messages);
    } else if (answer->refusal.error == REPLY_COMPACTED) {
        metrics_add(METRIC_HISTORY_COMPACTED, 1);
    }
    job->done(job->owner, answer);
    history_page_release(&answer->page);
    free_job(job);
}

__attribute__((format(printf, 4, 5))) static void refuse(const struct history_desk *desk,
                                                         struct history_job *job,
                                                         enum reply_error error, const char *format,
                                                         ...)
{
    struct history_answer answer = {.is_refused = true,
                                    .refusal = {.error = error},
                                    .has_position = true,
                                    .position = read_position(desk)};
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(answer.refusal.message, sizeof answer.refusal.message, format, arguments);
    va_end(arguments);
    finish(job, &answer);
}

static void refuse_view(const struct history_desk *desk, struct history_job *job)
{
    char quoted[QUOTE_SIZE];
    refuse(desk, job, REPLY_NO_SUCH_VIEW,
           "there is no view %s: write the name or the endpoint of one that GET arizmq/info lists",
           quote_text(job->query.view, strlen(job->query.view), quoted));
}

static void refuse_compacted(const struct history_desk *desk, struct history_job *job,
                             uint64_t oldest)
{
    struct history_answer answer = {.is_refused = true,
                                    .refusal = {.error = REPLY_COMPACTED},
                                    .has_position = true,
                                    .position = read_position(desk)};
    if (answer.position.oldest < oldest) {
        answer.position.oldest = oldest;
    }
    snprintf(answer.refusal.message, sizeof answer.refusal.message,
             "what follows %" PRIu64 " is kept no longer; the oldest that can be had is %" PRIu64,
             job->query.after, answer.position.oldest);
    finish(job, &answer);
}

static void give_page(struct history_desk *desk, struct history_job *job)
{
    struct history_answer answer = {.has_position = true, .position = read_position(desk)};
    struct reply_position *position = &answer.position;
    position->is_page = true;
    position->first = job->scan.page.first;
    position->last = job->scan.last;
    position->count = job->scan.page.messages;
    position->more = job->scan.more;
    /* What was read may have come after the position was. */
    position->newest = position->newest < position->last ? position->last : position->newest;
    answer.page = job->scan.page;
    job->scan.page = (struct history_page){0};
    finish(job, &answer);
}

/* --- requests */

/* Whether the source takes what memory does not have; then the job is away. */
static bool ask_source(struct history_desk *desk, struct history_job *job)
{
    if (desk->source == NULL ||
        !desk->source->ask(desk->source->owner, desk->tickets + 1, &job->query)) {
        return false;
    }
    job->ticket = ++desk->tickets;
    DL_APPEND(desk->away, job);
    return true;
}

/* One slice of the job, which is in no list. Returns false where it was answered. */
static bool read_on(struct history_desk *desk, struct history_job *job)
{
    switch (history_scan_go_on(&job->scan, desk->history, desk->reader, &job->query)) {
    case HISTORY_SCAN_GOES_ON:
        DL_PREPEND(desk->reading, job);
        return true;
    case HISTORY_SCAN_DONE:
        give_page(desk, job);
        break;
    case HISTORY_SCAN_GONE:
        if (ask_source(desk, job)) {
            return true;
        }
        refuse_compacted(desk, job, 0);
        break;
    case HISTORY_SCAN_HOLE:
        refuse_compacted(desk, job, job->scan.behind_hole);
        break;
    case HISTORY_SCAN_NO_MEMORY:
        refuse(desk, job, REPLY_OVERLOADED, "no memory: ask again");
        break;
    }
    return false;
}

/* Begins with a job that is in no list. Returns it where it goes on, NULL where it was answered. */
static struct history_job *begin(struct history_desk *desk, struct history_job *job)
{
    const struct history_query *query = &job->query;
    uint64_t epoch = history_epoch(desk->history);
    uint64_t begun = history_begun(desk->history);
    if (query->epoch != 0 && query->epoch != epoch) {
        if (ask_source(desk, job)) {
            return job;
        }
        refuse(desk, job, REPLY_EPOCH_CHANGED,
               "epoch %" PRIu64 " is not this run of the bridge, which is %" PRIu64, query->epoch,
               epoch);
        return NULL;
    }
    int view = history_find_view(desk->history, query->view);
    if (view < 0) {
        refuse_view(desk, job);
        return NULL;
    }
    if (query->after > begun) {
        refuse(desk, job, REPLY_FUTURE, "after %" PRIu64 ": the newest event is %" PRIu64,
               query->after, begun);
        return NULL;
    }
    history_scan_begin(&job->scan, (unsigned)view, query->after);
    /* One after the other, so that there is one unfinished page at the most. */
    if (desk->reading == NULL) {
        return read_on(desk, job) ? job : NULL;
    }
    DL_APPEND(desk->reading, job);
    return job;
}

static void refuse_at_once(const struct request_refusal *refusal, history_done *done, void *owner)
{
    struct history_answer answer = {.is_refused = true, .refusal = *refusal};
    done(owner, &answer);
}

struct history_job *history_desk_ask(struct history_desk *self, const char *query,
                                     history_done *done, void *owner)
{
    struct request_refusal refusal = {REPLY_OVERLOADED, "no memory: ask again"};
    uint64_t unread = history_page_unread_bytes();
    if (unread > self->config->max_unread_bytes) {
        snprintf(refusal.message, sizeof refusal.message,
                 "%" PRIu64 " bytes of earlier replies wait to be read by their clients "
                 "(history.max_unread_bytes is %" PRIu64 "): ask again later",
                 unread, self->config->max_unread_bytes);
        refuse_at_once(&refusal, done, owner);
        return NULL;
    }
    struct history_job *job = calloc(1, sizeof *job);
    if (job == NULL) {
        refuse_at_once(&refusal, done, owner);
        return NULL;
    }
    if (history_query_read(query, self->config, &job->query, &refusal) != ARIZMQ_OK) {
        free(job);
        refuse_at_once(&refusal, done, owner);
        return NULL;
    }
    job->done = done;
    job->owner = owner;
    return begin(self, job);
}

bool history_desk_is_busy(const struct history_desk *self)
{
    return self->reading != NULL;
}

void history_desk_turn(struct history_desk *self)
{
    struct history_job *job = self->reading;
    if (job != NULL) {
        DL_DELETE(self->reading, job);
        read_on(self, job);
    }
}

void history_desk_answer(struct history_desk *self, uint64_t ticket, struct history_answer *answer)
{
    struct history_job *job = NULL;
    DL_SEARCH_SCALAR(self->away, job, ticket, ticket);
    if (job == NULL) {
        history_page_release(&answer->page);
        return;
    }
    DL_DELETE(self->away, job);
    finish(job, answer);
}
