/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Gap checking for a subscriber: every message that arrives passes through arizmq_gaps_check(),
 * which finds the prefix and the counter it belongs to and compares. Heartbeats go on to
 * gaps_heartbeat.c. It never talks to a socket and never keeps a message.
 */
#include "arizmq/gaps.h"

#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"
#include "client/gaps_private.h"

/* Tokens of a prefix, the unfinished one included: which count[] it watches. */
static unsigned prefix_depth(const char *prefix)
{
    unsigned depth = 0;
    char last = '/';
    for (; *prefix != '\0'; prefix++) {
        last = *prefix;
        depth += last == '/';
    }
    return depth + (last != '/');
}

static bool text_begins_with(const char *text, size_t text_length, const char *prefix)
{
    size_t length = strlen(prefix);
    return length <= text_length && memcmp(text, prefix, length) == 0;
}

static int compare_prefixes(const void *left, const void *right)
{
    const struct arizmq_gaps_totals *a = left;
    const struct arizmq_gaps_totals *b = right;
    return strcmp(a->prefix, b->prefix);
}

/* Drops every prefix that begins with another one. In sorted order it comes after that one. */
static void prefixes_drop_covered(struct arizmq_gaps *self)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < self->prefixes_count; i++) {
        const char *prefix = self->prefixes[i].prefix;
        if (kept > 0 && text_begins_with(prefix, strlen(prefix), self->prefixes[kept - 1].prefix)) {
            free((char *)prefix);
        } else {
            self->prefixes[kept++] = self->prefixes[i];
        }
    }
    self->prefixes_count = kept;
}

int arizmq_gaps_create(const char *const *prefixes, size_t count, size_t watched_max,
                       struct arizmq_gaps **out)
{
    if (count == 0 || watched_max == 0) {
        return ARIZMQ_EINVALID;
    }
    for (size_t i = 0; i < count; i++) {
        if (strlen(prefixes[i]) > ARIZMQ_TOPIC_BYTES_MAX ||
            prefix_depth(prefixes[i]) > ARIZMQ_STAMP_TOKENS_MAX) {
            return ARIZMQ_ETOOLARGE;
        }
    }
    struct arizmq_gaps *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return ARIZMQ_ENOMEM;
    }
    self->watched_max = watched_max;
    self->prefixes = calloc(count, sizeof *self->prefixes);
    for (size_t i = 0; self->prefixes != NULL && i < count; i++) {
        char *prefix = strdup(prefixes[i]);
        if (prefix == NULL) {
            break;
        }
        self->prefixes[self->prefixes_count++] =
            (struct arizmq_gaps_totals){.prefix = prefix, .depth = prefix_depth(prefix)};
    }
    if (self->prefixes_count < count) {
        arizmq_gaps_destroy(&self);
        return ARIZMQ_ENOMEM;
    }
    qsort(self->prefixes, count, sizeof *self->prefixes, compare_prefixes);
    prefixes_drop_covered(self);
    *out = self;
    return ARIZMQ_OK;
}

void arizmq_gaps_destroy(struct arizmq_gaps **self_p)
{
    struct arizmq_gaps *self = *self_p;
    if (self == NULL) {
        return;
    }
    gaps_watch_clear(self);
    for (unsigned i = 0; i < self->prefixes_count; i++) {
        free((char *)self->prefixes[i].prefix);
    }
    free(self->prefixes);
    free(self);
    *self_p = NULL;
}

/* Is `prefix` in sorted order not after the topic, or its beginning? */
static bool prefix_is_up_to(const char *prefix, const char *topic, size_t topic_length)
{
    size_t length = strlen(prefix);
    int order = memcmp(prefix, topic, length < topic_length ? length : topic_length);
    return order < 0 || (order == 0 && length <= topic_length);
}

struct arizmq_gaps_totals *gaps_find_prefix(const struct arizmq_gaps *self, const char *topic,
                                            size_t topic_length)
{
    /* No prefix is the beginning of another, so only the last one up to the topic can match. */
    unsigned low = 0;
    unsigned high = self->prefixes_count;
    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        if (prefix_is_up_to(self->prefixes[middle].prefix, topic, topic_length)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == 0 || !text_begins_with(topic, topic_length, self->prefixes[low - 1].prefix)) {
        return NULL;
    }
    return &self->prefixes[low - 1];
}

/* Enters an epoch of which nothing is known but that up to `first_seq` nothing is missed. */
static void epoch_enter(struct arizmq_gaps *self, uint64_t epoch, uint64_t first_seq)
{
    self->restarts += self->an_epoch_was_met && self->epoch != epoch;
    self->an_epoch_was_met = true;
    gaps_watch_clear(self);
    self->epoch = epoch;
    self->epoch_is_known = true;
    self->zero_is_known = false;
    self->zero_is_known_of_first_tokens = false;
    self->zero_seq = 0;
    self->first_seq = first_seq;
    self->heartbeat_seq = 0;
}

void gaps_begin_epoch(struct arizmq_gaps *self, uint64_t epoch)
{
    epoch_enter(self, epoch, 0);
    self->zero_is_known = true; /* the subscription is older than the epoch */
}

void gaps_resume_epoch(struct arizmq_gaps *self, uint64_t epoch, uint64_t seq)
{
    epoch_enter(self, epoch, seq);
}

void gaps_forget_epoch(struct arizmq_gaps *self)
{
    gaps_watch_clear(self);
    self->epoch_is_known = false;
}

bool gaps_meet_epoch(struct arizmq_gaps *self, const struct arizmq_stamp *stamp,
                     struct gaps_pass *pass)
{
    if (!self->epoch_is_known) {
        epoch_enter(self, stamp->epoch, stamp->seq);
    } else if (self->epoch != stamp->epoch) {
        pass->result.verdict = ARIZMQ_GAPS_RESTARTED;
        if (pass->tell != NULL) {
            return false;
        }
        gaps_begin_epoch(self, stamp->epoch);
    }
    return true;
}

bool gaps_epoch(const struct arizmq_gaps *self, uint64_t *epoch)
{
    *epoch = self->epoch;
    return self->epoch_is_known;
}

bool gaps_known_up_to(const struct arizmq_gaps *self, unsigned prefix, uint64_t *seq)
{
    const char *text = self->prefixes[prefix].prefix;
    size_t length = strlen(text);
    bool is_one_counter = length == 0 || text[length - 1] == '/';
    bool is_told_by_heartbeats = self->prefixes[prefix].depth <= 1;
    uint64_t base = self->first_seq;
    if (is_told_by_heartbeats && self->heartbeat_seq > base) {
        base = self->heartbeat_seq;
    }
    uint64_t last = 0;
    if (is_one_counter && gaps_watch_seq(self, text, length, &last) && last > base) {
        base = last;
    }
    *seq = base;
    return self->epoch_is_known && (is_one_counter || is_told_by_heartbeats);
}

/* Finds the end of the topic's first `tokens` tokens, slash included. */
static int topic_find_end(const char *topic, size_t topic_length, unsigned tokens, size_t *out)
{
    size_t end = 0;
    for (unsigned i = 0; i < tokens; i++) {
        const char *slash = memchr(topic + end, '/', topic_length - end);
        if (slash == NULL) {
            return ARIZMQ_EINVALID;
        }
        end = (size_t)(slash - topic) + 1;
    }
    *out = end;
    return ARIZMQ_OK;
}

bool arizmq_gaps_is_heartbeat(const struct arizmq_stamp *stamp)
{
    return stamp->counts > 1 && stamp->count[1] == 0;
}

int gaps_take(struct arizmq_gaps *self, const struct gaps_message *message, struct gaps_pass *pass)
{
    const struct arizmq_stamp *stamp = message->stamp;
    if (arizmq_gaps_is_heartbeat(stamp)) {
        return gaps_take_heartbeat(self, message, pass);
    }
    const struct arizmq_gaps_totals *prefix =
        gaps_find_prefix(self, message->topic, message->topic_length);
    if (prefix == NULL) {
        return ARIZMQ_ENOTFOUND;
    }
    unsigned depth = prefix->depth;
    size_t key_length = 0;
    if (message->topic_length > ARIZMQ_TOPIC_BYTES_MAX || stamp->counts <= depth ||
        stamp->count[depth] == 0 ||
        topic_find_end(message->topic, message->topic_length, depth, &key_length) != ARIZMQ_OK) {
        return ARIZMQ_EINVALID;
    }
    const struct gaps_reading reading = {.key = message->topic,
                                         .key_length = key_length,
                                         .prefix = (unsigned)(prefix - self->prefixes),
                                         .reached = stamp->count[depth] - 1,
                                         .count = stamp->count[depth],
                                         .seq = stamp->seq,
                                         .position = stamp->count[0]};
    pass->result = (struct arizmq_gaps_result){.prefix = reading.prefix, .key_length = key_length};
    return gaps_meet_epoch(self, stamp, pass) ? gaps_watch_read(self, &reading, pass) : ARIZMQ_OK;
}

int arizmq_gaps_check(struct arizmq_gaps *self, const char *topic, size_t topic_length,
                      const char *event, size_t event_length, const struct arizmq_stamp *stamp,
                      struct arizmq_gaps_result *out)
{
    const struct gaps_message message = {.topic = topic,
                                         .topic_length = topic_length,
                                         .event = event,
                                         .event_length = event_length,
                                         .stamp = stamp};
    struct gaps_pass pass = {0};
    int rc = gaps_take(self, &message, &pass);
    if (rc == ARIZMQ_OK) {
        *out = pass.result;
    }
    return rc;
}

const struct arizmq_gaps_totals *arizmq_gaps_totals(const struct arizmq_gaps *self, unsigned *count)
{
    *count = self->prefixes_count;
    return self->prefixes;
}

uint64_t arizmq_gaps_restarts(const struct arizmq_gaps *self)
{
    return self->restarts;
}

uint64_t arizmq_gaps_evicted(const struct arizmq_gaps *self)
{
    return self->evicted;
}
