/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What a heartbeat tells a gap checker: how far the whole view and each first token have counted.
 * Called by arizmq_gaps_check() about once a second, so it may parse JSON. It never evicts a
 * counter for one of which nothing was heard before.
 */
#include <jansson.h>
#include <string.h>

#include "arizmq/error.h"
#include "client/gaps_private.h"

/* Reads the member `counts`, an object of first token to count, into *out, which the caller frees
 * with json_decref(); NULL where the heartbeat has no such member. */
static int counts_parse(const char *event, size_t event_length, json_t **out)
{
    json_t *root = json_loadb(event, event_length, 0, NULL);
    json_t *counts = json_object_get(root, "counts");
    bool is_valid = json_is_object(root) && (counts == NULL || json_is_object(counts));
    const char *token = NULL;
    json_t *count = NULL;
    json_object_foreach(counts, token, count)
    {
        is_valid = is_valid && json_is_integer(count) && json_integer_value(count) >= 0 &&
                   strlen(token) < ARIZMQ_TOPIC_BYTES_MAX;
    }
    if (is_valid) {
        *out = json_incref(counts);
    }
    json_decref(root);
    return is_valid ? ARIZMQ_OK : ARIZMQ_EINVALID;
}

static int counts_apply(struct arizmq_gaps *self, json_t *counts, const struct arizmq_stamp *stamp,
                        struct gaps_pass *pass)
{
    bool all_are_watched = true;
    const char *token = NULL;
    json_t *value = NULL;
    json_object_foreach(counts, token, value)
    {
        char key[ARIZMQ_TOPIC_BYTES_MAX + 1];
        size_t key_length = (size_t)(stpcpy(stpcpy(key, token), "/") - key);
        const struct arizmq_gaps_totals *prefix = gaps_find_prefix(self, key, key_length);
        if (prefix == NULL) {
            continue;
        }
        bool starts_at_zero = self->zero_is_known || self->zero_is_known_of_first_tokens;
        if (!starts_at_zero && arizmq_gaps_watched(self) >= self->watched_max &&
            !gaps_watch_holds(self, key, key_length)) {
            all_are_watched = false;
            continue;
        }
        uint64_t count = (uint64_t)json_integer_value(value);
        const struct gaps_reading reading = {.key = key,
                                             .key_length = key_length,
                                             .prefix = (unsigned)(prefix - self->prefixes),
                                             .reached = count,
                                             .count = count,
                                             .seq = stamp->seq,
                                             .position = stamp->count[0]};
        uint64_t evicted_before = self->evicted;
        int rc = gaps_watch_read(self, &reading, pass);
        if (rc != ARIZMQ_OK) {
            return rc;
        }
        all_are_watched = all_are_watched && self->evicted == evicted_before;
    }
    self->zero_is_known_of_first_tokens = all_are_watched;
    return ARIZMQ_OK;
}

/* Reads the counters that the heartbeat names. */
static int counters_read(struct arizmq_gaps *self, const struct arizmq_stamp *stamp, json_t *counts,
                         struct gaps_pass *pass)
{
    if (self->prefixes[0].depth == 0) { /* the whole view; then it is the only prefix */
        const struct gaps_reading reading = {.key = "",
                                             .reached = stamp->count[0],
                                             .count = stamp->count[0],
                                             .seq = stamp->seq,
                                             .position = stamp->count[0]};
        return gaps_watch_read(self, &reading, pass);
    }
    return counts == NULL ? ARIZMQ_OK : counts_apply(self, counts, stamp, pass);
}

/* What holds after a heartbeat that was taken note of. */
static void base_line_draw(struct arizmq_gaps *self, uint64_t seq, bool has_counts)
{
    if (has_counts && !self->zero_is_known) {
        self->zero_seq = seq;
    }
    if (has_counts || self->prefixes[0].depth == 0) {
        self->heartbeat_seq = seq;
    }
}

int gaps_take_heartbeat(struct arizmq_gaps *self, const struct gaps_message *message,
                        struct gaps_pass *pass)
{
    json_t *counts = NULL;
    if (message->event != NULL && self->prefixes[0].depth != 0) {
        int rc = counts_parse(message->event, message->event_length, &counts);
        if (rc != ARIZMQ_OK) {
            return rc;
        }
    }
    pass->result = (struct arizmq_gaps_result){.is_heartbeat = true};
    int rc = ARIZMQ_OK;
    if (gaps_meet_epoch(self, message->stamp, pass)) {
        rc = counters_read(self, message->stamp, counts, pass);
        if (rc == ARIZMQ_OK && (pass->tell == NULL || pass->result.missing == 0)) {
            base_line_draw(self, message->stamp->seq, counts != NULL);
        }
    }
    json_decref(counts);
    return rc;
}
