/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The journal's thread: in each turn it writes what history has, if it is time to, keeps the files
 * small, and answers a slice of what it was asked. service.c creates, starts and stops it. Whatever
 * the disk does, it holds up this thread and no other.
 */
#include "keep/journal.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "arizmq/error.h"
#include "base/clock.h"
#include "keep/journal_private.h"
#include "ops/log.h"
#include "ops/metrics.h"

enum {
    LOOK_EVERY_MS = 50, /* at the most; commit_ms where that is less */
    LOOK_OFTEN_MS = 5,  /* while events come, lest history lets them go */
    TIDY_EVERY_MS = 1000,
    NS_PER_MS = 1000000,
};

/* --- the store */

/* Another process had it, or the file was taken away. */
static void reopen(struct journal *journal)
{
    struct journal_error error;
    if (journal_store_open(journal->path, atomic_load(&journal->max_bytes), &journal->store,
                           &error) == ARIZMQ_OK) {
        journal->trouble.retry_at_ms = 0; /* writing says whether it works again */
    } else {
        journal_has_failed(journal, &error);
    }
}

/* Somebody has moved or deleted the file: what is written to it nobody would find. */
static void check_place(struct journal *journal)
{
    if (journal->store != NULL && !journal_store_is_in_place(journal->store)) {
        log_error("journal_moved", "%s was moved or deleted; a new one is begun", journal->path);
        journal_store_close(&journal->store);
        reopen(journal);
    }
}

static void tidy(struct journal *journal)
{
    struct journal_error error;
    uint64_t age_ns = atomic_load(&journal->max_age_ms) * NS_PER_MS;
    uint64_t now_ns = clock_wall_ns();
    journal_store_set_max_bytes(journal->store, atomic_load(&journal->max_bytes));
    if (journal_store_tidy(journal->store, now_ns > age_ns ? now_ns - age_ns : 0,
                           &journal->has_more_to_tidy, &error) != ARIZMQ_OK) {
        journal_has_not_tidied(journal, &error);
    }
}

/* --- those who ask */

static bool has_changed(const struct journal_status *a, const struct journal_status *b)
{
    bool is_same = a != NULL && a->runs_count == b->runs_count && strcmp(a->error, b->error) == 0;
    for (unsigned i = 0; is_same && i < a->runs_count; i++) {
        is_same = a->runs[i].run == b->runs[i].run && a->runs[i].oldest == b->runs[i].oldest &&
                  a->runs[i].has_ended == b->runs[i].has_ended;
    }
    return !is_same;
}

static struct journal_status *read_status(struct journal *journal, size_t *size)
{
    struct journal_error error;
    *size = sizeof(struct journal_status) + JOURNAL_RUNS_MAX * sizeof(struct journal_extent);
    struct journal_status *status = calloc(1, *size);
    if (status == NULL) {
        return NULL;
    }
    if (journal->trouble.is_failing) {
        snprintf(status->error, sizeof status->error, "%s", journal->trouble.error.text);
    }
    if (journal->store != NULL &&
        journal_store_list_runs(journal->store, status->runs, JOURNAL_RUNS_MAX, &status->runs_count,
                                &error) != ARIZMQ_OK) {
        metrics_add(METRIC_JOURNAL_READ_FAILURES, 1);
    }
    *size = sizeof *status + status->runs_count * sizeof *status->runs;
    metrics_set(METRIC_JOURNAL_RUNS, status->runs_count);
    return status;
}

/* Tells the command thread which runs there are and whether all is well, where that has changed. */
static void tell_status(struct journal *journal)
{
    size_t size = 0;
    struct journal_status *status = read_status(journal, &size);
    if (status == NULL || !has_changed(journal->status, status)) {
        free(status);
        return;
    }
    struct journal_status *copy = malloc(size);
    if (copy != NULL) {
        memcpy(copy, status, size);
    }
    if (copy == NULL || !journal_source_tell(journal->source, copy)) {
        free(status); /* it will be told with the next look */
        return;
    }
    free(journal->status);
    journal->status = status;
}

/* A slice of the question being answered, or of the next. True: there is more to do at once. */
static bool answer(struct journal *journal)
{
    struct journal_now now = {
        .store = journal->store,
        .history = journal->history,
        .stored = journal->stored,
        .reason = journal->trouble.is_failing ? journal->trouble.error.reason : JOURNAL_TRIMMED,
        .error = journal->trouble.error.text,
    };
    struct history_answer out;
    uint64_t ticket = 0;
    bool is_answered;
    if (journal->answer.question != NULL) {
        ticket = journal->answer.question->ticket;
        is_answered = journal_answer_go_on(&journal->answer, &now, &out);
    } else {
        struct journal_question *question = journal_source_next(journal->source);
        if (question == NULL) {
            return false;
        }
        ticket = question->ticket;
        is_answered = journal_answer_begin(&journal->answer, question, &now, &out);
    }
    if (is_answered) {
        journal_source_answer(journal->source, ticket, &out);
    }
    return true;
}

/* --- the loop */

static void signal_fd(int fd)
{
    static const uint64_t one = 1;
    if (write(fd, &one, sizeof one) < 0) {
        log_error("journal", "cannot write to an eventfd: %s", strerror(errno));
    }
}

/* Until it is time to look, somebody asks, or it is to stop. */
static void rest(const struct journal *journal, int wait_ms)
{
    struct pollfd fds[] = {
        {.fd = journal->wake_fd, .events = POLLIN},
        {.fd = journal_source_fd(journal->source), .events = POLLIN},
    };
    poll(fds, 2, wait_ms);
    uint64_t count = 0;
    if ((fds[0].revents & POLLIN) != 0 && read(journal->wake_fd, &count, sizeof count) < 0 &&
        errno != EAGAIN) {
        log_error("journal", "cannot read an eventfd: %s", strerror(errno));
    }
}

/* One turn. True: there is more to do at once. */
static bool turn(struct journal *journal)
{
    uint64_t now_ms = clock_monotonic_ms();
    bool has_more = false;
    if (journal->store == NULL && now_ms >= journal->trouble.retry_at_ms) {
        reopen(journal);
    }
    if (journal_is_due(journal, now_ms)) {
        has_more = journal_write_batch(journal);
    }
    if (journal->stored > 0 && !journal->run_is_told) {
        journal->run_is_told = true;
        tell_status(journal);
    }
    bool is_time = now_ms - journal->tidied_ms >= TIDY_EVERY_MS;
    if (journal->store != NULL && (is_time || has_more || journal->has_more_to_tidy)) {
        tidy(journal);
    }
    if (is_time) {
        journal->tidied_ms = now_ms;
        check_place(journal);
        journal_tell_holes(journal, false);
        metrics_set(METRIC_JOURNAL_BYTES,
                    journal->store != NULL ? journal_store_bytes(journal->store) : 0);
        tell_status(journal);
    }
    return answer(journal) || has_more || journal->has_more_to_tidy;
}

static bool is_complete(const struct journal *journal)
{
    return journal->store != NULL && journal->stored == history_newest(journal->history);
}

static bool is_over(const struct journal *journal)
{
    return atomic_load(&journal->is_stopping) &&
           (is_complete(journal) || clock_monotonic_ms() >= atomic_load(&journal->stop_by_ms));
}

/* Nothing will be published any more. */
static void end(struct journal *journal)
{
    struct journal_error error = journal->trouble.error;
    uint64_t missing = history_newest(journal->history) - journal->stored;
    if (missing > 0) {
        log_error("journal_incomplete",
                  "the last %" PRIu64 " events, behind seq %" PRIu64 ", are not in %s: %s", missing,
                  journal->stored, journal->path,
                  journal->trouble.is_failing ? error.text : "stop_timeout_ms was too short");
    } else if (journal_store_end_run(journal->store, clock_wall_ns(), &error) != ARIZMQ_OK) {
        log_error("journal_incomplete", "%s; all is in it, but not that this was the end",
                  error.text);
    }
    journal_tell_holes(journal, true);
    journal_answer_drop(&journal->answer);
    journal_store_close(&journal->store);
}

static void *run(void *argument)
{
    struct journal *journal = argument;
    pthread_setname_np(pthread_self(), "journal");
    bool has_more = false;
    uint64_t seen = 0;
    while (!is_over(journal)) {
        uint64_t newest = history_newest(journal->history);
        uint32_t look_ms = newest != seen ? LOOK_OFTEN_MS : LOOK_EVERY_MS;
        uint32_t commit_ms = atomic_load(&journal->commit_ms);
        rest(journal, has_more ? 0 : (int)(commit_ms < look_ms ? commit_ms : look_ms));
        seen = newest;
        has_more = turn(journal);
    }
    end(journal);
    signal_fd(journal->ended_fd);
    return NULL;
}

/* --- life */

void journal_set_config(struct journal *self, const struct config_journal *config)
{
    atomic_store(&self->max_bytes, config->max_bytes);
    atomic_store(&self->max_age_ms, config->max_age_ms);
    atomic_store(&self->commit_ms, config->commit_ms);
    metrics_set(METRIC_JOURNAL_MAX_BYTES, config->max_bytes);
    metrics_set(METRIC_JOURNAL_MAX_AGE_MS, config->max_age_ms);
    metrics_set(METRIC_JOURNAL_COMMIT_MS, config->commit_ms);
}

static void free_parts(struct journal *journal)
{
    journal_answer_drop(&journal->answer);
    journal_store_close(&journal->store);
    history_reader_destroy(&journal->reader);
    journal_batch_destroy(&journal->batch);
    journal_source_destroy(&journal->source);
    if (journal->wake_fd >= 0) {
        close(journal->wake_fd);
    }
    if (journal->ended_fd >= 0) {
        close(journal->ended_fd);
    }
    free(journal->status);
    free(journal->path);
    free(journal);
}

/* Opens the database, or leaves that to the thread, where it may wait. */
static int open_store(struct journal *journal, enum journal_lock lock, char *error,
                      size_t error_size)
{
    struct journal_error refused;
    int result = journal_store_open(journal->path, atomic_load(&journal->max_bytes),
                                    &journal->store, &refused);
    if (result == ARIZMQ_OK) {
        log_info("journal_opened", "%s has %" PRIu64 " bytes, and may have %" PRIu64, journal->path,
                 journal_store_bytes(journal->store), atomic_load(&journal->max_bytes));
    } else if (lock == JOURNAL_MAY_WAIT && refused.reason == JOURNAL_LOCKED) {
        journal_has_to_wait(journal, &refused);
        result = ARIZMQ_OK;
    } else {
        snprintf(error, error_size, "journal.path: %s", refused.text);
    }
    return result;
}

static int create_parts(struct journal *journal, const struct config_journal *config)
{
    journal->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    journal->ended_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    journal->path = strdup(config->path);
    journal->run = (struct journal_run){.epoch = history_epoch(journal->history),
                                        .started_ns = clock_wall_ns(),
                                        .views = journal->views};
    journal_set_config(journal, config);
    int result = journal->wake_fd < 0 || journal->ended_fd < 0 ? ARIZMQ_EIO : ARIZMQ_OK;
    if (result == ARIZMQ_OK) {
        result = journal->path != NULL ? journal_batch_create(0, &journal->batch) : ARIZMQ_ENOMEM;
    }
    if (result == ARIZMQ_OK) {
        result = journal_source_create(&journal->source);
    }
    return result == ARIZMQ_OK ? history_reader_create(journal->history, &journal->reader) : result;
}

struct journal_source *journal_source(const struct journal *self)
{
    return self != NULL ? self->source : NULL;
}

int journal_create(const struct config_journal *config, struct history *history,
                   enum journal_lock lock, struct journal **out, char *error, size_t error_size)
{
    snprintf(error, error_size, "journal.path: no memory for the journal %s", config->path);
    struct journal *journal = calloc(1, sizeof *journal);
    if (journal == NULL) {
        return ARIZMQ_ENOMEM;
    }
    journal->history = history;
    int result = create_parts(journal, config);
    if (result == ARIZMQ_OK) {
        result = open_store(journal, lock, error, error_size);
    }
    if (result != ARIZMQ_OK) {
        free_parts(journal);
        return result;
    }
    *out = journal;
    return ARIZMQ_OK;
}

int journal_start(struct journal *self)
{
    if (pthread_create(&self->thread, NULL, run, self) != 0) {
        return ARIZMQ_EIO;
    }
    self->is_started = true;
    return ARIZMQ_OK;
}

void journal_stop(struct journal *self, uint32_t within_ms)
{
    atomic_store(&self->stop_by_ms, clock_monotonic_ms() + within_ms);
    atomic_store(&self->is_stopping, true);
    signal_fd(self->wake_fd);
}

/* Until the time that the stop was given is over, and a moment for the end. */
static bool join(struct journal *journal)
{
    enum { MOMENT_MS = 100 };
    if (!atomic_load(&journal->is_stopping)) {
        journal_stop(journal, 0);
    }
    uint64_t until_ms = atomic_load(&journal->stop_by_ms) + MOMENT_MS;
    struct pollfd ended = {.fd = journal->ended_fd, .events = POLLIN};
    uint64_t now_ms;
    while (poll(&ended, 1, 0) == 0 && (now_ms = clock_monotonic_ms()) < until_ms) {
        poll(&ended, 1, (int)(until_ms - now_ms));
    }
    return (ended.revents & POLLIN) != 0 && pthread_join(journal->thread, NULL) == 0;
}

int journal_destroy(struct journal **self)
{
    struct journal *journal = *self;
    *self = NULL;
    if (journal == NULL) {
        return ARIZMQ_OK;
    }
    if (journal->is_started && !join(journal)) {
        log_error("journal_stuck", "%s: the disk does not answer; what is not in it is lost",
                  journal->path);
        return ARIZMQ_ETOOLARGE;
    }
    free_parts(journal);
    return ARIZMQ_OK;
}
