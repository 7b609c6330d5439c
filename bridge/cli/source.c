/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Messages of one bridge enter the tool here: three frames off the SUB socket, the stamp decoded,
 * the gap checker told. sub.c calls it when the socket has something. It never writes to standard
 * output; what it has to say about losses and the connection goes to standard error.
 */
#include "cli/source.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "arizmq/error.h"
#include "cli/arguments.h"
#include "cli/notices.h"
#include "cli/text.h"

enum { FRAMES = 3, SILENT_AFTER_MS = 5000 };

struct source {
    const char *endpoint;
    const struct sub_options *options;
    zsock_t *socket;
    zactor_t *monitor;
    struct arizmq_gaps *gaps; /* knows the prefixes of the user and those of the notices */
    struct notices *notices;
    zmq_msg_t frames[FRAMES];
    uint64_t *reported; /* for each prefix of the checker: missing already told */
    uint64_t reported_restarts;
    uint64_t after_seq; /* the least of all losses since the last report */
    uint64_t foreign;   /* messages that are none of a bridge's */
    uint64_t unchecked; /* shown, but their stamp does not fit their topic */
    bool has_unreported_loss;
    bool eviction_is_reported;
    bool was_connected;
    int64_t connected_ms; /* when, for the first time */
    bool silence_was_told;
    bool has_received; /* since the connection was lost the last time */
};

/* Subscribes before connecting, so that the bridge hears of all prefixes at once. */
static int open_socket(struct source *self, const struct sub_options *options)
{
    self->socket = zsock_new(ZMQ_SUB);
    self->monitor = self->socket == NULL ? NULL : zactor_new(zmonitor, self->socket);
    if (self->monitor == NULL) {
        fprintf(stderr, "arizmq: no socket for %s: %s\n", self->endpoint, zmq_strerror(errno));
        return ARIZMQ_EIO;
    }
    zstr_sendx(self->monitor, "LISTEN", "CONNECTED", "DISCONNECTED", NULL);
    zstr_send(self->monitor, "START");
    zsock_wait(self->monitor);
    zsock_set_rcvhwm(self->socket, options->rcvhwm);
    zsock_set_linger(self->socket, 0);
    for (size_t i = 0; i < options->prefixes_count; i++) {
        zsock_set_subscribe(self->socket, options->prefixes[i]);
    }
    const char *const *own = notices_prefixes(options->style.view);
    for (size_t i = 0; i < NOTICES_PREFIXES; i++) {
        zsock_set_subscribe(self->socket, own[i]);
    }
    /* Those of the other view too: they tell that it is the other one. */
    zsock_set_subscribe(self->socket, ARIZMQ_HEARTBEAT_EVENTS);
    zsock_set_subscribe(self->socket, ARIZMQ_HEARTBEAT_OBJECTS);
    if (!arguments_endpoint_is_allowed(self->endpoint) ||
        zsock_connect(self->socket, "%s", self->endpoint) != 0) {
        fprintf(
            stderr,
            "arizmq: \"%s\" is no endpoint to connect to; allowed: tcp://HOST:PORT, ipc://PATH\n",
            self->endpoint);
        return ARIZMQ_EINVALID;
    }
    return ARIZMQ_OK;
}

/* The checker counts everything that is subscribed to, heartbeats excepted: a lost ArizmqGap is a
 * loss as well. */
static int open_gaps(struct source *self, const struct sub_options *options)
{
    size_t count = options->prefixes_count + NOTICES_PREFIXES;
    const char **prefixes = calloc(count, sizeof *prefixes);
    self->reported = calloc(count, sizeof *self->reported);
    int rc = ARIZMQ_ENOMEM;
    if (prefixes != NULL && self->reported != NULL) {
        memcpy(prefixes, options->prefixes, options->prefixes_count * sizeof *prefixes);
        memcpy(prefixes + options->prefixes_count, notices_prefixes(options->style.view),
               NOTICES_PREFIXES * sizeof *prefixes);
        rc = arizmq_gaps_create(prefixes, count, ARIZMQ_GAPS_WATCHED_MAX, &self->gaps);
    }
    free(prefixes);
    return rc;
}

int source_create(const char *endpoint, const struct sub_options *options, struct source **out)
{
    struct source *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return ARIZMQ_ENOMEM;
    }
    self->endpoint = endpoint;
    self->options = options;
    for (unsigned i = 0; i < FRAMES; i++) {
        zmq_msg_init(&self->frames[i]);
    }
    int rc = open_gaps(self, options);
    if (rc == ARIZMQ_OK) {
        rc = notices_create(endpoint, options, &self->notices);
    }
    if (rc == ARIZMQ_OK) {
        rc = open_socket(self, options);
    }
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
    if (self == NULL) {
        return;
    }
    for (unsigned i = 0; i < FRAMES; i++) {
        zmq_msg_close(&self->frames[i]);
    }
    zactor_destroy(&self->monitor);
    zsock_destroy(&self->socket);
    arizmq_gaps_destroy(&self->gaps);
    notices_destroy(&self->notices);
    free(self->reported);
    free(self);
    *self_p = NULL;
}

zsock_t *source_socket(struct source *self)
{
    return self->socket;
}

zsock_t *source_monitor(struct source *self)
{
    return zactor_sock(self->monitor);
}

/* Reads one whole message into frames[], those beyond FRAMES into the last one. Returns the number
 * of frames, 0 if none waits. */
static unsigned receive_frames(struct source *self)
{
    void *handle = zsock_resolve(self->socket);
    unsigned count = 0;
    do {
        unsigned slot = count < FRAMES ? count : FRAMES - 1;
        int rc = 0;
        do {
            rc = zmq_msg_recv(&self->frames[slot], handle, ZMQ_DONTWAIT);
        } while (rc < 0 && errno == EINTR);
        if (rc < 0) {
            return count;
        }
        count++;
    } while (zmq_msg_more(&self->frames[count <= FRAMES ? count - 1 : FRAMES - 1]));
    return count;
}

static int refuse(struct source *self, unsigned frames)
{
    if (self->foreign++ == 0) {
        fprintf(stderr,
                "arizmq: %s: not a message of arizmqd (%u frames, the third of %zu bytes; expected "
                "3, with a stamp); such are not shown\n",
                self->endpoint, frames,
                frames < FRAMES ? 0 : zmq_msg_size(&self->frames[FRAMES - 1]));
    }
    return ARIZMQ_EINVALID;
}

static int check_gaps(struct source *self, const struct message *message)
{
    struct arizmq_gaps_result result;
    int rc = arizmq_gaps_check(self->gaps, message->topic, message->topic_length, message->event,
                               message->event_length, &message->stamp, &result);
    if (rc == ARIZMQ_ENOMEM) {
        return rc;
    }
    if (rc != ARIZMQ_OK) {
        if (self->unchecked++ == 0) {
            fprintf(stderr, "arizmq: %s: a stamp does not fit its topic \"", self->endpoint);
            text_write_clean(stderr, message->topic, message->topic_length, "");
            fputs("\"; such messages are shown but not checked for gaps\n", stderr);
        }
        return ARIZMQ_OK;
    }
    bool is_loss = result.missing > 0 || result.verdict == ARIZMQ_GAPS_RESTARTED;
    if (is_loss && (!self->has_unreported_loss || result.after_seq < self->after_seq)) {
        self->after_seq = result.after_seq;
        self->has_unreported_loss = true;
    }
    return ARIZMQ_OK;
}

int source_receive(struct source *self, struct message *out, bool *is_wanted)
{
    unsigned frames = receive_frames(self);
    if (frames == 0) {
        return ARIZMQ_ENOTFOUND;
    }
    struct message message = {.topic = zmq_msg_data(&self->frames[0]),
                              .topic_length = zmq_msg_size(&self->frames[0]),
                              .event = zmq_msg_data(&self->frames[1]),
                              .event_length = zmq_msg_size(&self->frames[1])};
    if (frames != FRAMES ||
        arizmq_stamp_decode(zmq_msg_data(&self->frames[2]), zmq_msg_size(&self->frames[2]),
                            &message.stamp) != ARIZMQ_OK) {
        return refuse(self, frames);
    }
    self->has_received = true;
    int rc = check_gaps(self, &message);
    if (rc == ARIZMQ_OK) {
        *is_wanted = notices_take(self->notices, &message);
        *out = message;
    }
    return rc;
}

void source_read_monitor(struct source *self)
{
    zmsg_t *report = zmsg_recv(self->monitor);
    char *event = report == NULL ? NULL : zmsg_popstr(report);
    if (event != NULL && streq(event, "CONNECTED")) {
        self->connected_ms = self->was_connected ? self->connected_ms : zclock_mono();
        self->was_connected = true;
    } else if (event != NULL && streq(event, "DISCONNECTED") && self->has_received) {
        /* Without a message in between it is a peer that speaks no ZeroMQ: every attempt ends so.
         */
        fprintf(stderr, "arizmq: %s: disconnected; trying again\n", self->endpoint);
        self->has_received = false;
    }
    zstr_free(&event);
    zmsg_destroy(&report);
}

void source_tell_silence(struct source *self)
{
    if (self->was_connected) {
        self->silence_was_told = true;
        notices_tell_silence(self->notices);
    }
}

void source_tell_long_silence(struct source *self)
{
    if (!self->silence_was_told && zclock_mono() - self->connected_ms >= SILENT_AFTER_MS) {
        source_tell_silence(self);
    }
}

bool source_is_unanswered(const struct source *self)
{
    return !self->was_connected;
}

void source_report_new_gaps(struct source *self)
{
    if (!self->eviction_is_reported && arizmq_gaps_evicted(self->gaps) > 0) {
        self->eviction_is_reported = true;
        fprintf(stderr,
                "arizmq: %s: more than %d counters under these prefixes; gaps under those least "
                "recently used are not seen\n",
                self->endpoint, ARIZMQ_GAPS_WATCHED_MAX);
    }
    if (!self->has_unreported_loss) {
        return;
    }
    self->has_unreported_loss = false;
    if (arizmq_gaps_restarts(self->gaps) > self->reported_restarts) {
        self->reported_restarts = arizmq_gaps_restarts(self->gaps);
        fprintf(stderr,
                "arizmq: %s: the bridge was restarted; what was lost at the end of its run before "
                "cannot be told\n",
                self->endpoint);
    }
    unsigned count = 0;
    const struct arizmq_gaps_totals *totals = arizmq_gaps_totals(self->gaps, &count);
    for (unsigned i = 0; i < count; i++) {
        if (totals[i].missing > self->reported[i]) {
            fprintf(stderr, "arizmq: %s: missing %" PRIu64 " under \"%s\" after seq %" PRIu64 "\n",
                    self->endpoint, totals[i].missing - self->reported[i], totals[i].prefix,
                    self->after_seq);
            self->reported[i] = totals[i].missing;
        }
    }
}

/* Does the user want to know about the prefix? Always about what he asked for, else of losses. */
static bool totals_are_of_interest(const struct source *self,
                                   const struct arizmq_gaps_totals *totals)
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

void source_report_totals(const struct source *self)
{
    unsigned count = 0;
    const struct arizmq_gaps_totals *totals = arizmq_gaps_totals(self->gaps, &count);
    for (unsigned i = 0; i < count; i++) {
        if (!totals_are_of_interest(self, &totals[i])) {
            continue;
        }
        fprintf(stderr,
                "arizmq: gaps: %s \"%s\": received %" PRIu64 ", missing %" PRIu64
                ", restarts %" PRIu64 ", counters started anew %" PRIu64 "%s\n",
                self->endpoint, totals[i].prefix, totals[i].received, totals[i].missing,
                arizmq_gaps_restarts(self->gaps), totals[i].started_anew,
                totals[i].depth > 1 ? " (heartbeats do not cover it)" : "");
    }
    fprintf(stderr,
            "arizmq: gaps: %s: told by the bridge: ArizmqGap %" PRIu64 ", ArizmqRefused %" PRIu64
            "\n",
            self->endpoint, notices_gaps(self->notices), notices_refused(self->notices));
    if (self->foreign > 0 || self->unchecked > 0) {
        fprintf(stderr, "arizmq: gaps: %s: not arizmqd's %" PRIu64 ", unchecked %" PRIu64 "\n",
                self->endpoint, self->foreign, self->unchecked);
    }
}

bool source_has_losses(const struct source *self)
{
    if (notices_gaps(self->notices) > 0 || notices_refused(self->notices) > 0 ||
        arizmq_gaps_restarts(self->gaps) > 0) {
        return true;
    }
    unsigned count = 0;
    const struct arizmq_gaps_totals *totals = arizmq_gaps_totals(self->gaps, &count);
    for (unsigned i = 0; i < count; i++) {
        if (totals[i].missing > 0) {
            return true;
        }
    }
    return false;
}
