/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What the journal does when the disk will not: it says so, once and then now and then, waits
 * longer after each attempt, and says when it is over and what is missing. The database stays open,
 * so that what is in it can be read.
 */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "keep/journal_private.h"
#include "ops/log.h"
#include "ops/metrics.h"

enum {
    PAUSE_MIN_MS = 100,
    PAUSE_MAX_MS = 5000,
    TELL_EVERY_MS = 60000, /* of a failure that goes on */
    TELL_AGAIN_MS = 10000, /* of another one, or of more holes */
    LATE_MS = 5000,        /* without a commit, though there is something to commit */
};

static bool is_to_be_told(const struct journal_trouble *trouble, enum journal_reason before,
                          uint64_t now_ms)
{
    uint64_t every_ms = trouble->is_told ? TELL_EVERY_MS : TELL_AGAIN_MS;
    return trouble->told_ms == 0 || now_ms - trouble->told_ms >= every_ms ||
           before != trouble->error.reason;
}

void journal_has_failed(struct journal *self, const struct journal_error *error)
{
    struct journal_trouble *trouble = &self->trouble;
    uint64_t now_ms = clock_monotonic_ms();
    enum journal_reason before = trouble->error.reason;
    metrics_add(METRIC_JOURNAL_FAILURES, 1);
    metrics_set(METRIC_JOURNAL_FAILING, 1);
    if (!trouble->is_failing) {
        trouble->is_failing = true;
        trouble->is_told = false;
        trouble->since_ms = now_ms;
        trouble->pause_ms = PAUSE_MIN_MS;
    }
    trouble->error = *error;
    trouble->retry_at_ms = now_ms + trouble->pause_ms;
    if (is_to_be_told(trouble, before, now_ms)) {
        log_error("journal_failed",
                  "%s; events are published as before, next try in %" PRIu64 " ms", error->text,
                  trouble->pause_ms);
        trouble->told_ms = now_ms;
        trouble->is_told = true;
    }
    if (!atomic_load(&self->is_stopping)) {
        trouble->pause_ms *= 2;
        trouble->pause_ms = trouble->pause_ms < PAUSE_MAX_MS ? trouble->pause_ms : PAUSE_MAX_MS;
    }
}

void journal_has_to_wait(struct journal *self, const struct journal_error *error)
{
    log_info("journal_waits", "%s is in use by another process; it is written once that lets go",
             self->path);
    self->trouble = (struct journal_trouble){.is_failing = true,
                                             .error = *error,
                                             .since_ms = clock_monotonic_ms(),
                                             .pause_ms = PAUSE_MIN_MS,
                                             .told_ms = clock_monotonic_ms(),
                                             .is_told = true};
    metrics_set(METRIC_JOURNAL_FAILING, 1);
}

void journal_has_written(struct journal *self)
{
    struct journal_trouble *trouble = &self->trouble;
    if (!trouble->is_failing) {
        journal_tell_holes(self, false);
        return;
    }
    trouble->is_failing = false;
    metrics_set(METRIC_JOURNAL_FAILING, 0);
    if (trouble->is_told) {
        log_info("journal_recovered",
                 "%s is written again after %" PRIu64 " ms; %" PRIu64 " events are missing in it",
                 self->path, clock_monotonic_ms() - trouble->since_ms, trouble->missed);
    }
    journal_tell_holes(self, true);
}

void journal_has_not_tidied(struct journal *self, const struct journal_error *error)
{
    struct journal_trouble *trouble = &self->trouble;
    uint64_t now_ms = clock_monotonic_ms();
    metrics_add(METRIC_JOURNAL_FAILURES, 1);
    if (trouble->tidy_told_ms == 0 || now_ms - trouble->tidy_told_ms >= TELL_EVERY_MS) {
        log_warning("journal_not_tidied", "%s; tried again every second", error->text);
        trouble->tidy_told_ms = now_ms;
    }
}

void journal_watch(struct journal *self)
{
    if (self == NULL) {
        return;
    }
    uint64_t now_ms = clock_monotonic_ms();
    uint64_t stored = metrics_get(METRIC_JOURNAL_STORED_SEQ);
    uint64_t newest = history_newest(self->history);
    metrics_set(METRIC_JOURNAL_LAG, newest - stored);
    if (stored != self->watched || stored == newest) {
        if (self->is_late) {
            log_info("journal_answers", "%s: the disk answers again", self->path);
        }
        self->watched = stored;
        self->watched_ms = now_ms;
        self->is_late = false;
    } else if (!self->is_late &&
               now_ms - self->watched_ms >= atomic_load(&self->commit_ms) + LATE_MS &&
               metrics_get(METRIC_JOURNAL_FAILING) == 0) {
        self->is_late = true;
        log_warning("journal_late",
                    "%s: the disk has not answered for %" PRIu64 " ms; %" PRIu64
                    " events wait for it, and are lost for it once history lets them go",
                    self->path, now_ms - self->watched_ms, newest - stored);
    }
}

void journal_tell_holes(struct journal *self, bool at_once)
{
    struct journal_trouble *trouble = &self->trouble;
    uint64_t now_ms = clock_monotonic_ms();
    bool is_due =
        at_once || trouble->hole_told_ms == 0 || now_ms - trouble->hole_told_ms >= TELL_AGAIN_MS;
    if (trouble->holes == 0 || !is_due) {
        return;
    }
    log_warning("journal_hole",
                "%" PRIu64 " events in %" PRIu64
                " ranges are missing in the journal and recorded as "
                "such; the last are seq %" PRIu64 " to %" PRIu64 " (%s)",
                trouble->missed, trouble->holes, trouble->last_hole.first, trouble->last_hole.last,
                journal_reason_word(trouble->last_hole.reason));
    trouble->holes = 0;
    trouble->missed = 0;
    trouble->hole_told_ms = now_ms;
}
