/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What a message that arrived says about those before it, and what is done about it: nothing, a
 * repair, the end of a run, or losses to be told of. listener.c calls listener_judge() for each
 * message and carries out the phase that it decides on. No socket is touched here.
 */
#include <stdio.h>
#include <string.h>

#include "arizmq/error.h"
#include "client/listener_private.h"

/* With more prefixes than this, only those are asked about under which something is missing. */
enum { PREFIXES_ASKED_MAX = 16 };

static struct gaps_message checked(const struct message *message)
{
    return (struct gaps_message){.topic = message->topic,
                                 .topic_length = message->topic_length,
                                 .event = message->event,
                                 .event_length = message->event_length,
                                 .stamp = &message->stamp};
}

static bool pending_is_heartbeat(const struct listener *self)
{
    return arizmq_gaps_is_heartbeat(&self->pending.stamp);
}

static bool view_is_events(const struct listener *self)
{
    return strcmp(self->options->view, "events") == 0;
}

/* Where an event gives several messages, some of those with seq `known` may be missing. */
static void want(struct listener *self, unsigned prefix, uint64_t known)
{
    repair_want(self->repair, prefix, known - (known > 0 && !view_is_events(self)));
}

/* For the checker, to tell of what is missing. */
static void want_missing(void *argument, unsigned prefix, uint64_t after_seq, uint64_t missing)
{
    (void)missing;
    want(argument, prefix, after_seq);
}

static void want_nothing(void *argument, unsigned prefix, uint64_t after_seq, uint64_t missing)
{
    (void)argument, (void)prefix, (void)after_seq, (void)missing;
}

/* Wants what is not known to be there, under every prefix: what went missing together comes in its
 * order then. A prefix for which it would be much is left out, unless `cost_is_no_matter`. Returns
 * whether none was. */
static bool want_unknown(struct listener *self, bool cost_is_no_matter)
{
    unsigned count = 0;
    bool is_all = true;
    arizmq_gaps_totals(self->gaps, &count);
    for (unsigned i = 0; i < count; i++) {
        uint64_t known = 0;
        bool is_cheap = gaps_known_up_to(self->gaps, i, &known);
        if (is_cheap || cost_is_no_matter) {
            want(self, i, known);
        }
        is_all = is_all && (is_cheap || cost_is_no_matter);
    }
    return is_all;
}

static void lose(struct listener_loss *loss, enum arizmq_loss reason, const char *detail)
{
    *loss = (struct listener_loss){.is_due = true, .loss = reason};
    snprintf(loss->detail, sizeof loss->detail, "%s", detail);
}

static void lose_end_of_run(struct listener *self, const char *why)
{
    char detail[LISTENER_DETAIL_SIZE];
    snprintf(detail, sizeof detail,
             "the bridge was started anew; what was lost at the end of its run before cannot be "
             "told%s%.256s%s",
             *why == '\0' ? "" : " (", why, *why == '\0' ? "" : ")");
    lose(&self->unknown, ARIZMQ_LOSS_RESTART, detail);
}

/* The first message of this endpoint: where the stream begins. */
static void meet_bridge(struct listener *self)
{
    const struct arizmq_stamp *stamp = &self->pending.stamp;
    const struct arizmq_endpoint *endpoint = self->endpoint;
    self->bridge_was_met = true;
    if (endpoint->resume_epoch != 0) {
        gaps_resume_epoch(self->gaps, endpoint->resume_epoch, endpoint->resume_seq);
        self->is_resuming = true;
    } else if (stamp->epoch > self->created_us && !self->options->from_now) {
        gaps_begin_epoch(self->gaps, stamp->epoch);
    }
}

static void begin_repair_before_pending(struct listener *self, uint64_t now_ms)
{
    const struct arizmq_stamp *stamp = &self->pending.stamp;
    bool is_message = !pending_is_heartbeat(self);
    /* Of the view events nothing else has the pending event's seq. */
    bool is_before = is_message && stamp->seq > 0 && view_is_events(self);
    const struct repair_task task = {.epoch = stamp->epoch,
                                     .until = stamp->seq - is_before,
                                     .before_position = stamp->count[0] + !is_message,
                                     .takes_first = self->is_resuming};
    repair_begin(self->repair, &task, now_ms);
}

/* The pending message is of another run. Before it comes the rest of the run before, where it is
 * not known to have ended well. */
static void leave_run(struct listener *self, uint64_t now_ms)
{
    uint64_t epoch = 0;
    gaps_epoch(self->gaps, &epoch);
    self->phase = LISTENER_ENDING_RUN;
    if (self->has_ended || self->repair == NULL) {
        return;
    }
    const struct repair_task task = {.epoch = epoch,
                                     .until = REPAIR_TO_THE_END,
                                     .before_position = UINT64_MAX,
                                     .takes_first = self->is_resuming};
    repair_begin(self->repair, &task, now_ms);
    self->run_is_asked_for = true;
    if (!want_unknown(self, self->is_resuming)) {
        lose_end_of_run(self, "");
    }
}

/* Tells of what is lost, if anything is, and goes on. */
static void tell_then(struct listener *self, enum listener_phase next)
{
    self->telling = 0;
    self->after_telling = next;
    self->phase = LISTENER_TELLING;
}

void listener_end_run(struct listener *self)
{
    enum arizmq_loss loss;
    const char *detail = "";
    if (self->run_is_asked_for && !repair_is_complete(self->repair, &loss, &detail)) {
        lose_end_of_run(self, detail);
    } else if (!self->run_is_asked_for && !self->has_ended) {
        lose_end_of_run(self, "");
    }
    lose(&self->counted, ARIZMQ_LOSS_NOT_KEPT, "history has fewer messages than were published");
    self->run_is_asked_for = false;
    self->is_resuming = false;
    self->is_stopping = false;
    self->has_ended = false;
    self->joined_seq = 0;
    self->lost_after_seq = 0;
    if (self->join != NULL || self->options->from_now) {
        gaps_forget_epoch(self->gaps);
    } else {
        gaps_begin_epoch(self->gaps, self->pending.stamp.epoch);
    }
    tell_then(self, self->join != NULL ? LISTENER_AWAITING : LISTENER_JUDGING);
}

/* The checker takes note of the pending message, whatever it shows to be missing: that is lost. */
static int settle(struct listener *self)
{
    const struct gaps_message message = checked(&self->pending);
    struct gaps_pass pass = {0};
    int rc = gaps_take(self->gaps, &message, &pass);
    if (rc != ARIZMQ_OK) {
        return rc;
    }
    self->has_ended = self->is_stopping && pass.result.is_heartbeat && self->heartbeats_cover_all &&
                      pass.result.missing == 0;
    tell_then(self, LISTENER_DELIVERING);
    return ARIZMQ_OK;
}

int listener_end_repair(struct listener *self)
{
    enum arizmq_loss loss = ARIZMQ_LOSS_NOT_KEPT;
    const char *detail = "";
    bool is_complete = repair_is_complete(self->repair, &loss, &detail);
    lose(&self->counted, is_complete ? ARIZMQ_LOSS_NOT_KEPT : loss,
         is_complete ? "history has fewer messages than were published" : detail);
    if (self->is_resuming && !is_complete) {
        lose(&self->unknown, loss, detail);
    }
    int rc = settle(self);
    self->is_resuming = self->is_resuming && rc != ARIZMQ_OK;
    return rc;
}

/* The first message after a program's last end, in the same run: all in between is wanted, and of
 * no counter is known where it stood. */
static void resume_run(struct listener *self)
{
    if (self->repair != NULL) {
        want_unknown(self, true);
        self->phase = LISTENER_REPAIRING;
    } else {
        lose(&self->unknown, ARIZMQ_LOSS_NOT_ASKED, "no gateway was given to ask for them");
        self->is_resuming = false;
        tell_then(self, LISTENER_JUDGING);
    }
}

static bool is_of_this_run(const struct listener *self)
{
    uint64_t epoch = 0;
    return gaps_epoch(self->gaps, &epoch) && epoch == self->pending.stamp.epoch;
}

/* The checker took note of the message, or would not. */
static int act_on(struct listener *self, const struct arizmq_gaps_result *result, uint64_t now_ms)
{
    self->lost_after_seq = result->after_seq;
    if (result->verdict == ARIZMQ_GAPS_RESTARTED) {
        leave_run(self, now_ms);
    } else if (result->verdict == ARIZMQ_GAPS_REPEATED && !result->is_heartbeat) {
        self->phase = LISTENER_RECEIVING;
    } else if (result->missing == 0) {
        self->has_ended = self->is_stopping && result->is_heartbeat && self->heartbeats_cover_all;
        self->phase = LISTENER_DELIVERING;
    } else if (self->repair == NULL) {
        lose(&self->counted, ARIZMQ_LOSS_NOT_ASKED, "no gateway was given to ask for them");
        return settle(self);
    } else {
        unsigned count = 0;
        arizmq_gaps_totals(self->gaps, &count);
        if (count <= PREFIXES_ASKED_MAX) {
            want_unknown(self, false);
        }
        self->phase = LISTENER_REPAIRING;
    }
    return ARIZMQ_OK;
}

static int ask_checker(struct listener *self, uint64_t now_ms)
{
    const struct gaps_message message = checked(&self->pending);
    struct gaps_pass pass = {.tell = self->repair != NULL ? want_missing : want_nothing,
                             .argument = self};
    int rc = gaps_take(self->gaps, &message, &pass);
    switch (rc) {
    case ARIZMQ_OK:
        return act_on(self, &pass.result, now_ms);
    case ARIZMQ_ENOTFOUND: /* no prefix asks for it: ArizmqStopping */
        self->phase = LISTENER_RECEIVING;
        return ARIZMQ_OK;
    case ARIZMQ_EINVALID:
        self->unchecked++;
        self->phase = LISTENER_DELIVERING;
        return ARIZMQ_OK;
    default:
        return rc;
    }
}

int listener_judge(struct listener *self, uint64_t now_ms)
{
    if (!self->bridge_was_met) {
        meet_bridge(self);
    }
    self->is_stopping = self->is_stopping || listener_is_stopping(self, &self->pending);
    if (self->repair != NULL) {
        begin_repair_before_pending(self, now_ms);
    }
    if (self->is_resuming && is_of_this_run(self)) {
        resume_run(self);
        return ARIZMQ_OK;
    }
    return ask_checker(self, now_ms);
}

static struct arizmq_message make_loss(const struct listener *self,
                                       const struct listener_loss *loss)
{
    return (struct arizmq_message){
        .kind = ARIZMQ_MESSAGE_LOSS,
        .stamp = {.epoch = self->pending.stamp.epoch, .seq = self->pending.stamp.seq},
        .loss = loss->loss,
        .detail = loss->detail};
}

bool listener_next_loss(struct listener *self, struct arizmq_message *out)
{
    if (self->unknown.is_due) {
        self->unknown.is_due = false;
        *out = make_loss(self, &self->unknown);
        return true;
    }
    unsigned count = 0;
    const struct arizmq_gaps_totals *totals = arizmq_gaps_totals(self->gaps, &count);
    for (; self->telling < count; self->telling++) {
        const struct arizmq_gaps_totals *total = &totals[self->telling];
        uint64_t told = self->told[self->telling];
        if (total->missing > told) {
            self->told[self->telling] = total->missing;
            *out = make_loss(self, &self->counted);
            out->missing = total->missing - told;
            out->prefix = total->prefix;
            out->after_seq = self->lost_after_seq;
            return true;
        }
    }
    return false;
}
