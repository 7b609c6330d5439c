/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The loop of `arizmq sub`: messages come from the subscriber and go to standard output. It ends
 * after --count, --timeout, a signal, or when the reader of the output is gone. Output is buffered
 * while messages are waiting and flushed before the loop waits, so no line is ever held back. While
 * the output is blocked nothing is read; what ZeroMQ then drops is repaired, or shows as a gap.
 */
#include "cli/sub.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include "arizmq/error.h"
#include "arizmq/snapshot.h"
#include "base/clock.h"
#include "cli/arguments.h"
#include "cli/exit_status.h"
#include "cli/notices.h"
#include "cli/output.h"
#include "cli/print.h"
#include "cli/source.h"
#include "cli/sub_options.h"

enum {
    BATCH_MESSAGES = 256,
    TICK_MS = 100,
    REPORT_INTERVAL_MS = 1000,
    UNANSWERED_AFTER_MS = 2000,
};

struct sub {
    const struct sub_options *options;
    struct output *output;
    struct arizmq_subscriber *subscriber;
    struct source **sources; /* one for each endpoint, in their order */
    size_t sources_count;
    uint64_t started_ms;
    uint64_t ticked_ms;
    uint64_t reported_ms;
    uint64_t printed;
    int failure;    /* enum exit_status of what went wrong, 0: nothing */
    bool has_ended; /* the loop is to stop, for whatever reason */
    bool has_timed_out;
    bool unanswered_was_told;
    bool is_watched; /* by a person at a terminal */
};

/* All that a signal handler can reach: an eventfd that the loop and the output wait for, and a flag
 * to look at between two messages. */
static int stop_eventfd = -1;
static volatile sig_atomic_t stop_is_asked;

static void handle_signal(int number)
{
    (void)number;
    int saved = errno;
    stop_is_asked = 1;
    const uint64_t one = 1;
    ssize_t written = write(stop_eventfd, &one, sizeof one);
    (void)written; /* the counter is full only if it was written to before */
    errno = saved;
}

/* A second signal of the kind has its default effect: a way out whatever happens. */
static int catch_signals(void)
{
    stop_eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (stop_eventfd < 0) {
        fprintf(stderr, "arizmq: eventfd: %s\n", strerror(errno));
        return ARIZMQ_EIO;
    }
    struct sigaction action = {.sa_handler = handle_signal, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    return ARIZMQ_OK;
}

static void sub_fail(struct sub *self, const char *reason)
{
    fprintf(stderr, "arizmq: %s\n", reason);
    self->failure = EXIT_STATUS_FAILED;
    self->has_ended = true;
}

/* Called when writing the output failed. */
static void sub_end_output(struct sub *self, int error)
{
    if (error == EPIPE || error == ECANCELED) {
        self->has_ended = true;
        return;
    }
    char reason[256];
    snprintf(reason, sizeof reason, "cannot write the output: %s", strerror(error));
    sub_fail(self, reason);
}

static void sub_print(struct sub *self, const struct arizmq_message *message)
{
    FILE *out = output_stream(self->output);
    const struct print_style *style = &self->options->style;
    if (message->kind == ARIZMQ_MESSAGE_OBJECT) {
        print_object(out, style, &message->object);
    } else {
        const struct message printed = {.topic = message->topic,
                                        .topic_length = message->topic_length,
                                        .event = message->event,
                                        .event_length = message->event_length,
                                        .stamp = message->stamp};
        print_message(out, style, &printed);
        self->printed++;
    }
    if (output_error(self->output) != 0) {
        sub_end_output(self, output_error(self->output));
    }
    self->has_ended = self->has_ended || self->printed >= self->options->messages_max;
}

/* Writes up to a batch of what waits. Returns whether more may be waiting. */
static bool sub_drain(struct sub *self)
{
    for (unsigned i = 0; i < BATCH_MESSAGES && !self->has_ended; i++) {
        if (stop_is_asked) { /* before a message is taken: one that was is counted, and written */
            self->has_ended = true;
            break;
        }
        struct arizmq_message message;
        int rc = arizmq_subscriber_receive(self->subscriber, 0, &message);
        if (rc == ARIZMQ_ETIMEOUT) {
            return false;
        } else if (rc != ARIZMQ_OK) {
            sub_fail(self, rc == ARIZMQ_ENOMEM ? "no memory" : zmq_strerror(zmq_errno()));
        } else if (source_take(self->sources[message.endpoint], &message)) {
            sub_print(self, &message);
        }
    }
    return !self->has_ended;
}

static void sub_tell_unanswered(const struct sub *self, const char *what_next)
{
    for (size_t i = 0; i < self->sources_count; i++) {
        if (source_is_unanswered(self->sources[i])) {
            fprintf(stderr, "arizmq: nobody answers at %s; %s\n", self->options->endpoints[i],
                    what_next);
        }
    }
}

static uint64_t messages_wanted(const struct sub_options *options)
{
    return options->messages_max == UINT64_MAX ? 1 : options->messages_max;
}

static void sub_time_out(struct sub *self)
{
    self->has_timed_out = true;
    self->has_ended = true;
    sub_tell_unanswered(self, "time is up");
    bool is_too_little = self->printed < messages_wanted(self->options);
    for (size_t i = 0; i < self->sources_count && is_too_little; i++) {
        source_tell_silence(self->sources[i]);
    }
}

static void sub_tick(struct sub *self, uint64_t now_ms)
{
    self->ticked_ms = now_ms;
    if (now_ms - self->reported_ms >= REPORT_INTERVAL_MS) {
        self->reported_ms = now_ms;
        for (size_t i = 0; i < self->sources_count; i++) {
            source_report_new_gaps(self->sources[i]);
        }
    }
    uint64_t elapsed_ms = now_ms - self->started_ms;
    if (elapsed_ms >= UNANSWERED_AFTER_MS && !self->unanswered_was_told) {
        self->unanswered_was_told = true;
        sub_tell_unanswered(self, "still trying");
    }
    for (size_t i = 0; i < self->sources_count && self->is_watched && self->printed == 0; i++) {
        source_tell_long_silence(self->sources[i], now_ms);
    }
    if (self->options->timeout_ms > 0 && elapsed_ms >= self->options->timeout_ms) {
        sub_time_out(self);
    }
}

/* A pipe whose reader goes away is noticed at once, not with the next message. */
static bool output_can_be_left(void)
{
    struct stat status;
    return fstat(STDOUT_FILENO, &status) == 0 &&
           (S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode));
}

/* Until there may be a message, the next tick, a signal, or the reader of the output leaves. */
static void sub_wait(struct sub *self, int subscriber_fd, bool watches_output)
{
    struct pollfd items[] = {{.fd = stop_eventfd, .events = POLLIN},
                             {.fd = subscriber_fd, .events = POLLIN},
                             {.fd = STDOUT_FILENO}};
    int error = output_flush(self->output);
    if (error != 0) {
        sub_end_output(self, error);
        return;
    }
    poll(items, watches_output ? 3 : 2, TICK_MS);
    self->has_ended = self->has_ended || items[0].revents != 0 || items[2].revents != 0;
}

static void sub_loop(struct sub *self)
{
    bool watches_output = output_can_be_left();
    int subscriber_fd = arizmq_subscriber_fd(self->subscriber);
    if (subscriber_fd < 0) {
        sub_fail(self, strerror(errno));
    }
    while (!self->has_ended) {
        bool is_more = sub_drain(self);
        uint64_t now_ms = clock_monotonic_ms();
        if (!self->has_ended && now_ms - self->ticked_ms >= TICK_MS) {
            sub_tick(self, now_ms);
        }
        if (!self->has_ended && !is_more) {
            sub_wait(self, subscriber_fd, watches_output);
        }
    }
}

/* After the loop: the last lines, the reports, the status. */
static int sub_finish(struct sub *self)
{
    if (output_error(self->output) == 0 && output_flush(self->output) != 0) {
        sub_end_output(self, output_error(self->output));
    }
    bool has_losses = false;
    for (size_t i = 0; i < self->sources_count; i++) {
        source_report_new_gaps(self->sources[i]);
        if (self->options->check_gaps) {
            source_report_totals(self->sources[i]);
            has_losses = source_has_losses(self->sources[i]) || has_losses;
        }
    }
    if (self->failure != 0) {
        return self->failure;
    }
    if (has_losses) {
        return EXIT_STATUS_MISSING;
    }
    bool is_too_little = self->printed < messages_wanted(self->options);
    return self->has_timed_out && is_too_little ? EXIT_STATUS_TIMEOUT : EXIT_STATUS_OK;
}

/* The user's prefixes, and those of what the bridge tells of itself: a lost ArizmqGap is a loss,
 * too.
 */
static const char **list_prefixes(const struct sub_options *options, size_t *count)
{
    *count = options->prefixes_count + NOTICES_PREFIXES;
    const char **prefixes = calloc(*count, sizeof *prefixes);
    if (prefixes != NULL) {
        memcpy(prefixes, options->prefixes, options->prefixes_count * sizeof *prefixes);
        memcpy(prefixes + options->prefixes_count, notices_prefixes(options->style.view),
               NOTICES_PREFIXES * sizeof *prefixes);
    }
    return prefixes;
}

static int refuse_endpoint(const struct sub_options *options)
{
    for (size_t i = 0; i < options->endpoints_count; i++) {
        if (!arguments_endpoint_is_allowed(options->endpoints[i])) {
            fprintf(stderr,
                    "arizmq: \"%s\" is no endpoint to connect to; allowed: tcp://HOST:PORT, "
                    "ipc://PATH\n",
                    options->endpoints[i]);
            return ARIZMQ_EINVALID;
        }
    }
    return ARIZMQ_OK;
}

static int create_subscriber(struct sub *self, struct arizmq_endpoint *endpoints,
                             const char **prefixes, size_t prefixes_count)
{
    static const struct arizmq_snapshot_query everything = {0};
    const struct sub_options *options = self->options;
    for (size_t i = 0; i < options->endpoints_count; i++) {
        endpoints[i].events = options->endpoints[i];
        endpoints[i].gateway = options->no_repair ? NULL : options->gateways[i];
    }
    const struct arizmq_subscriber_options wanted = {
        .prefixes = prefixes,
        .prefixes_count = prefixes_count,
        .endpoints = endpoints,
        .endpoints_count = options->endpoints_count,
        .view = options->style.view == MESSAGE_VIEW_EVENTS ? "events" : "objects",
        .heartbeats = true,
        .notices = true,
        .snapshot = options->snapshot ? &everything : NULL,
        .rcvhwm = options->rcvhwm};
    int rc = arizmq_subscriber_create(&wanted, &self->subscriber);
    if (rc == ARIZMQ_EINVALID) {
        fputs(
            "arizmq: an endpoint is none to connect to (allowed: tcp://HOST:PORT, ipc://PATH), or "
            "a prefix is no UTF-8:",
            stderr);
        for (size_t i = 0; i < options->endpoints_count; i++) {
            fprintf(stderr, " \"%s\"", options->endpoints[i]);
        }
        fputc('\n', stderr);
    } else if (rc == ARIZMQ_EIO) {
        fprintf(stderr, "arizmq: no socket: %s\n", zmq_strerror(zmq_errno()));
    }
    return rc;
}

static int open_subscriber(struct sub *self)
{
    size_t prefixes_count = 0;
    const char **prefixes = list_prefixes(self->options, &prefixes_count);
    struct arizmq_endpoint *endpoints = calloc(self->options->endpoints_count, sizeof *endpoints);
    int rc = ARIZMQ_ENOMEM;
    if (prefixes != NULL && endpoints != NULL) {
        rc = create_subscriber(self, endpoints, prefixes, prefixes_count);
    }
    free(prefixes);
    free(endpoints);
    return rc;
}

static int sub_open(struct sub *self)
{
    int rc = refuse_endpoint(self->options);
    if (rc == ARIZMQ_OK) {
        rc = open_subscriber(self);
    }
    self->sources = calloc(self->options->endpoints_count, sizeof(struct source *));
    if (rc == ARIZMQ_OK && self->sources == NULL) {
        rc = ARIZMQ_ENOMEM;
    }
    for (size_t i = 0; rc == ARIZMQ_OK && i < self->options->endpoints_count; i++) {
        rc = source_create(self->subscriber, (unsigned)i, self->options, &self->sources[i]);
        self->sources_count += rc == ARIZMQ_OK;
    }
    return rc;
}

int sub_run(int argc, char **argv)
{
    struct sub_options options;
    sub_options_parse(argc, argv, &options);
    notices_warn_of_prefixes(&options);
    struct sub self = {
        .options = &options,
        .is_watched = isatty(STDOUT_FILENO) || isatty(STDERR_FILENO),
    };
    int status = EXIT_STATUS_FAILED;
    int rc = sub_open(&self);
    if (rc == ARIZMQ_OK) {
        rc = catch_signals();
    }
    if (rc == ARIZMQ_OK) {
        rc = output_create(STDOUT_FILENO, stop_eventfd, &self.output);
    }
    if (rc == ARIZMQ_OK) {
        self.started_ms = clock_monotonic_ms();
        self.ticked_ms = self.started_ms;
        self.reported_ms = self.started_ms;
        sub_loop(&self);
        status = sub_finish(&self);
    } else if (rc == ARIZMQ_EINVALID) {
        status = EXIT_STATUS_USAGE;
    } else if (rc == ARIZMQ_ENOMEM) {
        fputs("arizmq: no memory\n", stderr);
    }
    for (size_t i = 0; i < self.sources_count; i++) {
        source_destroy(&self.sources[i]);
    }
    free(self.sources);
    arizmq_subscriber_destroy(&self.subscriber);
    output_destroy(&self.output);
    sub_options_clear(&options);
    if (stop_eventfd >= 0) {
        close(stop_eventfd);
    }
    return status;
}
