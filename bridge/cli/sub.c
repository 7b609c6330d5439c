/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The loop of `arizmq sub`: messages come from the sources and go to standard output. It ends
 * after --count, --timeout, a signal, or when the reader of the output is gone. Output is buffered
 * while messages are waiting and flushed before the loop waits, so no line is ever held back. While
 * the output is blocked nothing is read; what ZeroMQ then drops shows as a gap.
 */
#include "cli/sub.h"

#include <czmq.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arizmq/error.h"
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
    struct source **sources; /* one for each endpoint, in their order */
    size_t sources_count;
    int64_t started_ms;
    int64_t reported_ms;
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

static int sub_end(struct sub *self)
{
    self->has_ended = true;
    return -1; /* zloop's word for stop */
}

static int sub_fail(struct sub *self, const char *reason)
{
    fprintf(stderr, "arizmq: %s\n", reason);
    self->failure = EXIT_STATUS_FAILED;
    return sub_end(self);
}

/* Called when writing the output failed. */
static int sub_end_output(struct sub *self, int error)
{
    if (error == EPIPE || error == ECANCELED) {
        return sub_end(self);
    }
    char reason[256];
    snprintf(reason, sizeof reason, "cannot write the output: %s", strerror(error));
    return sub_fail(self, reason);
}

/* Writes up to a batch of what waits at the source. */
static int sub_drain(struct sub *self, struct source *source)
{
    for (unsigned i = 0; i < BATCH_MESSAGES; i++) {
        if (stop_is_asked) {
            return sub_end(self);
        }
        struct message message;
        bool is_wanted = false;
        int rc = source_receive(source, &message, &is_wanted);
        if (rc == ARIZMQ_ENOTFOUND) {
            break;
        }
        if (rc == ARIZMQ_ENOMEM) {
            return sub_fail(self, "no memory");
        }
        if (rc != ARIZMQ_OK || !is_wanted) {
            continue;
        }
        print_message(output_stream(self->output), &self->options->style, &message);
        if (output_error(self->output) != 0) {
            return sub_end_output(self, output_error(self->output));
        }
        if (++self->printed >= self->options->messages_max) {
            return sub_end(self);
        }
    }
    int error = output_flush(self->output);
    return error == 0 ? 0 : sub_end_output(self, error);
}

static int handle_messages(zloop_t *loop, zsock_t *socket, void *argument)
{
    (void)loop;
    struct sub *self = argument;
    for (size_t i = 0; i < self->sources_count; i++) {
        if (source_socket(self->sources[i]) == socket) {
            return sub_drain(self, self->sources[i]);
        }
    }
    return 0;
}

static int handle_monitor(zloop_t *loop, zsock_t *socket, void *argument)
{
    (void)loop;
    struct sub *self = argument;
    for (size_t i = 0; i < self->sources_count; i++) {
        if (source_monitor(self->sources[i]) == socket) {
            source_read_monitor(self->sources[i]);
        }
    }
    return 0;
}

/* A signal came, or the reader of the pipe on standard output is gone. */
static int handle_end(zloop_t *loop, zmq_pollitem_t *item, void *argument)
{
    (void)loop;
    (void)item;
    return sub_end(argument);
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

static int handle_tick(zloop_t *loop, int timer, void *argument)
{
    (void)loop;
    (void)timer;
    struct sub *self = argument;
    int64_t now_ms = zclock_mono();
    if (now_ms - self->reported_ms >= REPORT_INTERVAL_MS) {
        self->reported_ms = now_ms;
        for (size_t i = 0; i < self->sources_count; i++) {
            source_report_new_gaps(self->sources[i]);
        }
    }
    uint64_t elapsed_ms = (uint64_t)(now_ms - self->started_ms);
    if (elapsed_ms >= UNANSWERED_AFTER_MS && !self->unanswered_was_told) {
        self->unanswered_was_told = true;
        sub_tell_unanswered(self, "still trying");
    }
    for (size_t i = 0; i < self->sources_count && self->is_watched && self->printed == 0; i++) {
        source_tell_long_silence(self->sources[i]);
    }
    if (self->options->timeout_ms > 0 && elapsed_ms >= self->options->timeout_ms) {
        self->has_timed_out = true;
        sub_tell_unanswered(self, "time is up");
        bool is_too_little = self->printed < messages_wanted(self->options);
        for (size_t i = 0; i < self->sources_count && is_too_little; i++) {
            source_tell_silence(self->sources[i]);
        }
        return sub_end(self);
    }
    return 0;
}

/* A pipe whose reader goes away is noticed at once, not with the next message. */
static void watch_output(struct sub *self, zloop_t *loop)
{
    struct stat status;
    if (fstat(STDOUT_FILENO, &status) == 0 &&
        (S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode))) {
        zmq_pollitem_t output = {.fd = STDOUT_FILENO, .events = ZMQ_POLLERR};
        zloop_poller(loop, &output, handle_end, self);
        zloop_poller_set_tolerant(loop, &output);
    }
}

static void sub_loop(struct sub *self)
{
    zloop_t *loop = zloop_new();
    zloop_set_nonstop(loop, true); /* signals are ours, not CZMQ's */
    zmq_pollitem_t stop = {.fd = stop_eventfd, .events = ZMQ_POLLIN};
    zloop_poller(loop, &stop, handle_end, self);
    watch_output(self, loop);
    for (size_t i = 0; i < self->sources_count; i++) {
        zloop_reader(loop, source_monitor(self->sources[i]), handle_monitor, self);
        zloop_reader(loop, source_socket(self->sources[i]), handle_messages, self);
    }
    zloop_timer(loop, TICK_MS, 0, handle_tick, self);
    while (!self->has_ended) {
        zloop_start(loop); /* comes back early when a poll was interrupted */
    }
    zloop_destroy(&loop);
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

static int sub_open(struct sub *self)
{
    self->sources = calloc(self->options->endpoints_count, sizeof(struct source *));
    if (self->sources == NULL) {
        return ARIZMQ_ENOMEM;
    }
    for (size_t i = 0; i < self->options->endpoints_count; i++) {
        int rc = source_create(self->options->endpoints[i], self->options, &self->sources[i]);
        if (rc != ARIZMQ_OK) {
            return rc;
        }
        self->sources_count++;
    }
    return ARIZMQ_OK;
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
    zsys_init();
    zsys_handler_set(NULL);
    zsys_set_logstream(stderr);
    int rc = sub_open(&self);
    if (rc == ARIZMQ_OK) {
        rc = catch_signals();
    }
    if (rc == ARIZMQ_OK) {
        rc = output_create(STDOUT_FILENO, stop_eventfd, &self.output);
    }
    if (rc == ARIZMQ_OK) {
        self.started_ms = zclock_mono();
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
    output_destroy(&self.output);
    sub_options_clear(&options);
    if (stop_eventfd >= 0) {
        close(stop_eventfd);
    }
    return status;
}
