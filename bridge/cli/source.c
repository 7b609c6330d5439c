/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What the subscriber hands out of one bridge passes through source_take(), called by sub.c. The
 * library checks and repairs; here is kept what a person is to be told of it. It never writes to
 * standard output.
 */
#include "cli/source.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"
#include "arizmq/gaps.h"
#include "base/clock.h"
#include "cli/notices.h"
#include "cli/text.h"

enum { SILENT_AFTER_MS = 5000, DETAIL_SIZE = 512 };

struct source {
    struct arizmq_subscriber *subscriber;
    unsigned endpoint;
    const char *name; /* the endpoint's */
    const struct sub_options *options;
    struct notices *notices;
    uint64_t *reported; /* for each prefix of the subscriber: missing already told */
    uint64_t after_seq; /* the least of all losses since the last report */
    bool has_unreported_loss;
    char detail[DETAIL_SIZE]; /* why the last of them could not be repaired; "": nobody was asked */
    bool run_was_lost;        /* what was lost at the end of a run cannot be told */
    bool eviction_is_reported;
    uint64_t connected_ms; /* when, for the first time; 0: never */
    bool silence_was_told;
};

int source_create(struct arizmq_subscriber *subscriber, unsigned endpoint,
                  const struct sub_options *options, struct source **out)
{
    struct source *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return ARIZMQ_ENOMEM;
    }
    unsigned prefixes = 0;
    arizmq_subscriber_totals(subscriber, endpoint, &prefixes);
    self->subscriber = subscriber;
    self->endpoint = endpoint;
    self->name = options->endpoints[endpoint];
    self->options = options;
    self->reported = calloc(prefixes, sizeof *self->reported);
    int rc = self->reported == NULL ? ARIZMQ_ENOMEM
                                    : notices_create(self->name, options, &self->notices);
    if (rc != ARIZMQ_OK) {
        source_destroy(&self);
        return rc;
    }
    *out = self;
    return ARIZMQ_OK;
}

void source_destroy(struct source **self_p)
{
    struct source *self = *self_p;
    if (self != NULL) {
        notices_destroy(&self->notices);
        free(self->reported);
        free(self);
        *self_p = NULL;
    }
}

static struct arizmq_subscriber_status status_of(const struct source *self)
{
    struct arizmq_subscriber_status status;
    arizmq_subscriber_status(self->subscriber, self->endpoint, &status);
    return status;
}

static void tell(const struct source *self, const char *text, const char *more)
{
    fprintf(stderr, "arizmq: %s: ", self->name);
    text_write_clean(stderr, text, strlen(text), "");
    fprintf(stderr, "%s\n", more);
}

static void take_notice(struct source *self, const struct arizmq_message *message)
{
    switch (message->notice) {
    case ARIZMQ_NOTICE_CONNECTED:
        self->connected_ms = self->connected_ms != 0 ? self->connected_ms : clock_monotonic_ms();
        break;
    case ARIZMQ_NOTICE_DISCONNECTED:
        tell(self, message->detail, "");
        break;
    case ARIZMQ_NOTICE_FOREIGN:
        tell(self, message->detail, "; such are not shown");
        break;
    case ARIZMQ_NOTICE_UNCHECKED:
        tell(self, message->detail, "; such messages are shown but not checked for gaps");
        break;
    case ARIZMQ_NOTICE_NO_SNAPSHOT:
        fprintf(stderr, "arizmq: %s: no snapshot: ", self->name);
        text_write_clean(stderr, message->detail, strlen(message->detail), "");
        fputs("; trying again\n", stderr);
        break;
    }
}

static void take_loss(struct source *self, const struct arizmq_message *message)
{
    if (message->prefix == NULL) {
        self->run_was_lost = true;
        tell(self, message->detail, "");
        return;
    }
    if (!self->has_unreported_loss || message->after_seq < self->after_seq) {
        self->after_seq = message->after_seq;
    }
    self->has_unreported_loss = true;
    bool was_asked = message->loss != ARIZMQ_LOSS_NOT_ASKED;
    snprintf(self->detail, sizeof self->detail, "%s", was_asked ? message->detail : "");
}

bool source_take(struct source *self, const struct arizmq_message *message)
{
    switch (message->kind) {
    case ARIZMQ_MESSAGE_NOTICE:
        take_notice(self, message);
        return false;
    case ARIZMQ_MESSAGE_LOSS:
        take_loss(self, message);
        return false;
    case ARIZMQ_MESSAGE_EVENT:
    case ARIZMQ_MESSAGE_HEARTBEAT: {
        const struct message taken = {.topic = message->topic,
                                      .topic_length = message->topic_length,
                                      .event = message->event,
                                      .event_length = message->event_length,
                                      .stamp = message->stamp};
        return notices_take(self->notices, &taken);
    }
    case ARIZMQ_MESSAGE_OBJECT:
        return true;
    default:
        return false;
    }
}

bool source_is_unanswered(const struct source *self)
{
    return !status_of(self).was_connected;
}

void source_tell_silence(struct source *self)
{
    if (!source_is_unanswered(self)) {
        self->silence_was_told = true;
        notices_tell_silence(self->notices);
    }
}

void source_tell_long_silence(struct source *self, uint64_t now_ms)
{
    if (!self->silence_was_told && self->connected_ms != 0 &&
        now_ms - self->connected_ms >= SILENT_AFTER_MS) {
        source_tell_silence(self);
    }
}

static void report_missing(const struct source *self, const char *prefix, uint64_t missing)
{
    fprintf(stderr, "arizmq: %s: missing %" PRIu64 " under \"%s\" after seq %" PRIu64 "%s",
            self->name, missing, prefix, self->after_seq, *self->detail != '\0' ? ": " : "");
    text_write_clean(stderr, self->detail, strlen(self->detail), "");
    fputc('\n', stderr);
}

void source_report_new_gaps(struct source *self)
{
    if (!self->eviction_is_reported && status_of(self).evicted > 0) {
        self->eviction_is_reported = true;
        fprintf(stderr,
                "arizmq: %s: more than %d counters under these prefixes; gaps under those least "
                "recently used are not seen\n",
                self->name, ARIZMQ_GAPS_WATCHED_MAX);
    }
    if (!self->has_unreported_loss) {
        return;
    }
    self->has_unreported_loss = false;
    unsigned count = 0;
    const struct arizmq_subscriber_totals *totals =
        arizmq_subscriber_totals(self->subscriber, self->endpoint, &count);
    for (unsigned i = 0; i < count; i++) {
        if (totals[i].missing > self->reported[i]) {
            report_missing(self, totals[i].prefix, totals[i].missing - self->reported[i]);
            self->reported[i] = totals[i].missing;
        }
    }
}

/* Does the user want to know about the prefix? Always about what he asked for, else of losses. */
static bool totals_are_of_interest(const struct source *self,
                                   const struct arizmq_subscriber_totals *totals)
{
    if (totals->missing > 0 || totals->started_anew > 0) {
        return true;
    }
    for (size_t i = 0; i < self->options->prefixes_count; i++) {
        if (strncmp(self->options->prefixes[i], totals->prefix, strlen(totals->prefix)) == 0) {
            return true;
        }
    }
    return false;
}

static void report_prefix(const struct source *self, const struct arizmq_subscriber_totals *totals,
                          uint64_t restarts)
{
    fprintf(stderr,
            "arizmq: gaps: %s \"%s\": received %" PRIu64 ", missing %" PRIu64 ", restarts %" PRIu64
            ", counters started anew %" PRIu64,
            self->name, totals->prefix, totals->received, totals->missing, restarts,
            totals->started_anew);
    if (totals->repaired > 0) {
        fprintf(stderr, ", repaired %" PRIu64, totals->repaired);
    }
    fputs(totals->depth > 1 ? " (heartbeats do not cover it)\n" : "\n", stderr);
}

void source_report_totals(const struct source *self)
{
    const struct arizmq_subscriber_status status = status_of(self);
    unsigned count = 0;
    const struct arizmq_subscriber_totals *totals =
        arizmq_subscriber_totals(self->subscriber, self->endpoint, &count);
    for (unsigned i = 0; i < count; i++) {
        if (totals_are_of_interest(self, &totals[i])) {
            report_prefix(self, &totals[i], status.restarts);
        }
    }
    fprintf(stderr,
            "arizmq: gaps: %s: told by the bridge: ArizmqGap %" PRIu64 ", ArizmqRefused %" PRIu64
            "\n",
            self->name, notices_gaps(self->notices), notices_refused(self->notices));
    if (status.foreign > 0 || status.unchecked > 0) {
        fprintf(stderr, "arizmq: gaps: %s: not arizmqd's %" PRIu64 ", unchecked %" PRIu64 "\n",
                self->name, status.foreign, status.unchecked);
    }
}

bool source_has_losses(const struct source *self)
{
    if (notices_gaps(self->notices) > 0 || notices_refused(self->notices) > 0 ||
        self->run_was_lost) {
        return true;
    }
    unsigned count = 0;
    const struct arizmq_subscriber_totals *totals =
        arizmq_subscriber_totals(self->subscriber, self->endpoint, &count);
    for (unsigned i = 0; i < count; i++) {
        if (totals[i].missing > 0) {
            return true;
        }
    }
    return false;
}
