/* SPDX-License-Identifier: MPL-2.0 */
/*
 * One endpoint of a subscriber as a machine with a few phases (listener_private.h): a message is
 * received, judged, what is missing before it is repaired or told to be lost, then it is handed
 * out. Each step goes through phases until there is something to hand out or to wait for. It never
 * waits itself: subscriber.c polls the sockets that it names.
 */
#include "client/listener.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"
#include "client/listener_private.h"

/* A subscriber that only awaits a heartbeat still lets others have their turn. */
enum { PASSED_OVER_MAX = 1000 };

static int open_gaps(struct listener *self)
{
    const struct arizmq_subscriber_options *options = self->options;
    int rc = arizmq_gaps_create(options->prefixes, options->prefixes_count, options->watched_max,
                                &self->gaps);
    if (rc != ARIZMQ_OK) {
        return rc;
    }
    unsigned count = 0;
    const struct arizmq_gaps_totals *totals = arizmq_gaps_totals(self->gaps, &count);
    self->heartbeats_cover_all = true;
    for (unsigned i = 0; i < count; i++) {
        self->heartbeats_cover_all = self->heartbeats_cover_all && totals[i].depth <= 1;
    }
    self->told = calloc(count, sizeof *self->told);
    self->repaired = calloc(count, sizeof *self->repaired);
    self->totals = calloc(count, sizeof *self->totals);
    return self->told == NULL || self->repaired == NULL || self->totals == NULL ? ARIZMQ_ENOMEM
                                                                                : ARIZMQ_OK;
}

static int open_gateway(struct listener *self)
{
    const struct arizmq_subscriber_options *options = self->options;
    if (self->endpoint->gateway == NULL) {
        return options->snapshot == NULL ? ARIZMQ_OK : ARIZMQ_EINVALID;
    }
    int rc = dealer_create(options->context, self->endpoint->gateway, options->max_reply_bytes,
                           &self->dealer);
    if (rc == ARIZMQ_OK) {
        const struct repair_options repair = {.view = options->view,
                                              .page_messages = options->page_messages,
                                              .timeout_ms = options->repair_timeout_ms,
                                              .dealer = self->dealer,
                                              .gaps = self->gaps};
        rc = repair_create(&repair, &self->repair);
    }
    if (rc == ARIZMQ_OK && options->snapshot != NULL) {
        rc = join_create(options->snapshot, self->dealer, options->repair_timeout_ms, &self->join);
    }
    return rc;
}

int listener_create(const struct arizmq_subscriber_options *options, unsigned index,
                    uint64_t created_us, struct listener **out)
{
    struct listener *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return ARIZMQ_ENOMEM;
    }
    self->options = options;
    self->endpoint = &options->endpoints[index];
    self->index = index;
    self->created_us = created_us;
    for (unsigned i = 0; i < MESSAGE_FRAMES; i++) {
        zmq_msg_init(&self->frames[i]);
    }
    int rc = open_gaps(self);
    if (rc == ARIZMQ_OK) {
        rc = open_gateway(self);
    }
    if (rc == ARIZMQ_OK) {
        rc = listener_open_socket(self);
    }
    if (rc != ARIZMQ_OK) {
        int error = errno;
        listener_destroy(&self);
        errno = error;
        return rc;
    }
    self->phase = self->join != NULL ? LISTENER_AWAITING : LISTENER_RECEIVING;
    *out = self;
    return ARIZMQ_OK;
}

void listener_destroy(struct listener **self_p)
{
    struct listener *self = *self_p;
    if (self == NULL) {
        return;
    }
    join_destroy(&self->join);
    repair_destroy(&self->repair);
    dealer_destroy(&self->dealer);
    listener_close_socket(self);
    for (unsigned i = 0; i < MESSAGE_FRAMES; i++) {
        zmq_msg_close(&self->frames[i]);
    }
    arizmq_gaps_destroy(&self->gaps);
    free(self->told);
    free(self->repaired);
    free(self->totals);
    free(self);
    *self_p = NULL;
}

static void begin_join(struct listener *self)
{
    uint64_t epoch = 0;
    gaps_epoch(self->gaps, &epoch);
    self->wants_join = false;
    join_begin(self->join, epoch);
    self->phase = LISTENER_JOINING;
}

/* Passes messages over until a heartbeat: everything up to it will be in the snapshot. */
static int await_heartbeat(struct listener *self)
{
    for (unsigned i = 0; i < PASSED_OVER_MAX; i++) {
        int rc = listener_receive(self);
        if (rc == ARIZMQ_ENOTFOUND) {
            return rc;
        }
        if (rc != ARIZMQ_OK || !arizmq_gaps_is_heartbeat(&self->pending.stamp)) {
            continue;
        }
        struct arizmq_gaps_result result;
        const struct message *heartbeat = &self->pending;
        gaps_forget_epoch(self->gaps);
        rc = arizmq_gaps_check(self->gaps, heartbeat->topic, heartbeat->topic_length,
                               heartbeat->event, heartbeat->event_length, &heartbeat->stamp,
                               &result);
        if (rc == ARIZMQ_OK) {
            self->bridge_was_met = true;
            begin_join(self);
            return ARIZMQ_OK;
        }
        if (rc == ARIZMQ_ENOMEM) {
            return rc;
        }
        self->unchecked++;
    }
    return ARIZMQ_OK;
}

static int step_join(struct listener *self, uint64_t now_ms, struct arizmq_message *out,
                     bool *has_message)
{
    int rc = join_step(self->join, now_ms, out);
    switch (rc) {
    case ARIZMQ_OK:
        *has_message = true;
        out->object.endpoint = self->index;
        return ARIZMQ_OK;
    case ARIZMQ_ENOTFOUND:
        return rc;
    case ARIZMQ_ECLOSED:
        self->joined_seq = join_seq(self->join);
        self->phase = LISTENER_RECEIVING;
        return ARIZMQ_OK;
    default:
        *out = (struct arizmq_message){.kind = ARIZMQ_MESSAGE_NOTICE,
                                       .notice = ARIZMQ_NOTICE_NO_SNAPSHOT,
                                       .detail = join_failure(self->join)};
        *has_message = self->options->notices;
        self->phase = LISTENER_AWAITING;
        return rc == ARIZMQ_ENOMEM ? rc : ARIZMQ_OK;
    }
}

static void fill_message(const struct message *message, struct arizmq_message *out)
{
    *out = (struct arizmq_message){.kind = arizmq_gaps_is_heartbeat(&message->stamp)
                                               ? ARIZMQ_MESSAGE_HEARTBEAT
                                               : ARIZMQ_MESSAGE_EVENT,
                                   .topic = message->topic,
                                   .topic_length = message->topic_length,
                                   .event = message->event,
                                   .event_length = message->event_length,
                                   .stamp = message->stamp};
}

/* What the snapshot says already is not handed out. */
static bool is_after_snapshot(const struct listener *self, const struct message *message)
{
    return self->join == NULL || message->stamp.seq > self->joined_seq;
}

static int step_repair(struct listener *self, uint64_t now_ms, struct arizmq_message *out,
                       bool *has_message)
{
    struct message message;
    int rc = repair_step(self->repair, now_ms, &message);
    if (rc != ARIZMQ_OK) {
        return rc;
    }
    const struct arizmq_gaps_totals *prefix =
        gaps_find_prefix(self->gaps, message.topic, message.topic_length);
    unsigned count = 0;
    self->repaired[prefix - arizmq_gaps_totals(self->gaps, &count)]++;
    *has_message = is_after_snapshot(self, &message);
    fill_message(&message, out);
    out->is_repaired = true;
    return ARIZMQ_OK;
}

static void deliver(struct listener *self, struct arizmq_message *out, bool *has_message)
{
    bool is_heartbeat = arizmq_gaps_is_heartbeat(&self->pending.stamp);
    self->phase = LISTENER_RECEIVING;
    if (self->wants_join) {
        begin_join(self);
    }
    *has_message =
        is_heartbeat ? self->options->heartbeats : is_after_snapshot(self, &self->pending);
    fill_message(&self->pending, out);
}

static int step_receive(struct listener *self)
{
    int rc = listener_receive(self);
    if (rc == ARIZMQ_OK) {
        self->phase = LISTENER_JUDGING;
    }
    return rc == ARIZMQ_EPROTOCOL ? ARIZMQ_OK : rc;
}

static int step_ending_run(struct listener *self, uint64_t now_ms, struct arizmq_message *out,
                           bool *has_message)
{
    int rc = self->run_is_asked_for ? step_repair(self, now_ms, out, has_message) : ARIZMQ_ECLOSED;
    if (rc == ARIZMQ_ECLOSED) {
        listener_end_run(self);
        return ARIZMQ_OK;
    }
    return rc;
}

/* One phase. Returns ARIZMQ_OK to go on, with *has_message where there is one; or what
 * listener_step() does. */
static int step_phase(struct listener *self, uint64_t now_ms, struct arizmq_message *out,
                      bool *has_message)
{
    switch (self->phase) {
    case LISTENER_AWAITING:
        return await_heartbeat(self);
    case LISTENER_JOINING:
        return step_join(self, now_ms, out, has_message);
    case LISTENER_RECEIVING:
        return step_receive(self);
    case LISTENER_JUDGING:
        return listener_judge(self, now_ms);
    case LISTENER_ENDING_RUN:
        return step_ending_run(self, now_ms, out, has_message);
    case LISTENER_REPAIRING: {
        int rc = step_repair(self, now_ms, out, has_message);
        return rc == ARIZMQ_ECLOSED ? listener_end_repair(self) : rc;
    }
    case LISTENER_TELLING:
        *has_message = listener_next_loss(self, out);
        self->wants_join = self->wants_join || (*has_message && self->join != NULL);
        self->phase = *has_message ? self->phase : self->after_telling;
        return ARIZMQ_OK;
    case LISTENER_DELIVERING:
        deliver(self, out, has_message);
        return ARIZMQ_OK;
    }
    return ARIZMQ_EIO;
}

/* What is to be told of the connection, or of messages that are none. */
static bool next_notice(struct listener *self, struct arizmq_message *out)
{
    *out = (struct arizmq_message){.kind = ARIZMQ_MESSAGE_NOTICE};
    if (self->told_connected != self->is_connected) {
        self->told_connected = self->is_connected;
        out->notice = self->is_connected ? ARIZMQ_NOTICE_CONNECTED : ARIZMQ_NOTICE_DISCONNECTED;
        out->detail = self->is_connected ? "connected" : "disconnected; trying again";
        return true;
    }
    if (self->foreign > 0 && !self->foreign_is_told) {
        self->foreign_is_told = true;
        out->notice = ARIZMQ_NOTICE_FOREIGN;
        snprintf(self->notice, sizeof self->notice,
                 "not a message of arizmqd (%u frames; expected 3, the third a stamp)",
                 self->foreign_frames);
        out->detail = self->notice;
        return true;
    }
    if (self->unchecked > 0 && !self->unchecked_is_told) {
        self->unchecked_is_told = true;
        out->notice = ARIZMQ_NOTICE_UNCHECKED;
        snprintf(self->notice, sizeof self->notice, "a stamp does not fit its topic \"%.*s\"",
                 (int)(self->pending.topic_length < 128 ? self->pending.topic_length : 128),
                 self->pending.topic);
        out->detail = self->notice;
        return true;
    }
    return false;
}

int listener_step(struct listener *self, uint64_t now_ms, struct arizmq_message *out)
{
    bool has_message = false;
    int rc = ARIZMQ_OK;
    listener_read_monitor(self);
    while (rc == ARIZMQ_OK && !has_message) {
        has_message = self->options->notices && next_notice(self, out);
        if (!has_message) {
            rc = step_phase(self, now_ms, out, &has_message);
        }
    }
    out->endpoint = self->index;
    return rc;
}

unsigned listener_poll_items(const struct listener *self, zmq_pollitem_t items[LISTENER_ITEMS])
{
    unsigned count = 0;
    items[count++] = (zmq_pollitem_t){.socket = self->monitor, .events = ZMQ_POLLIN};
    if (self->phase == LISTENER_RECEIVING || self->phase == LISTENER_AWAITING) {
        items[count++] = (zmq_pollitem_t){.socket = self->socket, .events = ZMQ_POLLIN};
    } else if (dealer_is_busy(self->dealer)) {
        dealer_poll_items(self->dealer, items + count);
        count += DEALER_ITEMS;
    }
    return count;
}

uint64_t listener_deadline_ms(const struct listener *self)
{
    switch (self->phase) {
    case LISTENER_JOINING:
        return dealer_deadline_ms(self->dealer);
    case LISTENER_ENDING_RUN:
    case LISTENER_REPAIRING:
        return repair_deadline_ms(self->repair);
    default:
        return UINT64_MAX;
    }
}

const struct arizmq_subscriber_totals *listener_totals(struct listener *self, unsigned *count)
{
    const struct arizmq_gaps_totals *totals = arizmq_gaps_totals(self->gaps, count);
    for (unsigned i = 0; i < *count; i++) {
        self->totals[i] = (struct arizmq_subscriber_totals){.prefix = totals[i].prefix,
                                                            .depth = totals[i].depth,
                                                            .received = totals[i].received,
                                                            .repaired = self->repaired[i],
                                                            .missing = totals[i].missing,
                                                            .started_anew = totals[i].started_anew};
    }
    return self->totals;
}

void listener_status(const struct listener *self, struct arizmq_subscriber_status *out)
{
    *out = (struct arizmq_subscriber_status){.is_connected = self->is_connected,
                                             .was_connected = self->was_connected,
                                             .is_repairing = self->phase == LISTENER_ENDING_RUN ||
                                                             self->phase == LISTENER_REPAIRING,
                                             .epoch = self->epoch,
                                             .seq = self->seq,
                                             .restarts = arizmq_gaps_restarts(self->gaps),
                                             .evicted = arizmq_gaps_evicted(self->gaps),
                                             .foreign = self->foreign,
                                             .unchecked = self->unchecked};
}
