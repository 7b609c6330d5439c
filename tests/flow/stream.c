/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The test's own counting of a view, against which stamps and heartbeats are held. Called by the
 * flow tests for each message in the order of arrival; it receives nothing itself.
 */
#include "stream.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uthash.h>

#include "arizmq/gaps.h"

struct count {
    char *prefix; /* whole tokens, each with its slash */
    uint64_t value;
    UT_hash_handle hh;
};

struct stream {
    const char *view;
    unsigned tokens;
    struct count *counts;
    uint64_t first_tokens;
    uint64_t total;
    uint64_t seq;
    uint64_t epoch;
    uint64_t received_ns;
    uint64_t started_ns;
    uint64_t heartbeats;
    bool may_begin_anew;
};

static uint64_t wall_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

struct stream *stream_create(const char *view, const char *template)
{
    struct stream *stream = calloc(1, sizeof *stream);
    cr_assert_not_null(stream);
    stream->view = view;
    stream->started_ns = wall_ns();
    for (const char *at = template; *at; at++) {
        stream->tokens += *at == '/';
    }
    return stream;
}

void stream_destroy(struct stream **self)
{
    struct count *count;
    struct count *next;
    HASH_ITER(hh, (*self)->counts, count, next)
    {
        HASH_DEL((*self)->counts, count);
        free(count->prefix);
        free(count);
    }
    free(*self);
    *self = NULL;
}

static struct count *count_find(struct stream *stream, const char *prefix, size_t length)
{
    struct count *count = NULL;
    HASH_FIND(hh, stream->counts, prefix, length, count);
    return count;
}

static uint64_t *count_add(struct stream *stream, const char *prefix, size_t length)
{
    struct count *count = count_find(stream, prefix, length);
    if (!count) {
        count = calloc(1, sizeof *count);
        cr_assert_not_null(count);
        count->prefix = strndup(prefix, length);
        HASH_ADD_KEYPTR(hh, stream->counts, count->prefix, length, count);
    }
    ++count->value;
    return &count->value;
}

static void numbered_check(struct stream *stream, const struct subscriber_message *message)
{
    const struct arizmq_stamp *stamp = &message->stamp;
    stream->total++;
    cr_assert_eq(stamp->count[0], stream->total, "%s: count[0] of %s is %llu, not %llu",
                 stream->view, message->topic, (unsigned long long)stamp->count[0],
                 (unsigned long long)stream->total);
    const char *at = message->topic;
    for (unsigned depth = 1; depth <= stream->tokens; depth++) {
        at = strchr(at, '/');
        cr_assert_not_null(at, "%s: \"%s\" has too few tokens", stream->view, message->topic);
        at++;
        uint64_t *count = count_add(stream, message->topic, (size_t)(at - message->topic));
        if (stream->may_begin_anew && stamp->count[depth] == 1) {
            *count = 1;
        }
        uint64_t expected = *count;
        stream->first_tokens += depth == 1 && expected == 1;
        cr_assert_eq(stamp->count[depth], expected, "%s: count[%u] of %s is %llu, not %llu",
                     stream->view, depth, message->topic, (unsigned long long)stamp->count[depth],
                     (unsigned long long)expected);
    }
    cr_assert_eq(*at, '\0', "%s: \"%s\" has too many tokens", stream->view, message->topic);
    bool is_every_event = strcmp(stream->view, "events") == 0;
    cr_assert(is_every_event ? stamp->seq == stream->seq + 1 : stamp->seq >= stream->seq,
              "%s: seq %llu of %s comes after %llu", stream->view, (unsigned long long)stamp->seq,
              message->topic, (unsigned long long)stream->seq);
    cr_assert_geq(stamp->received_ns, stream->received_ns, "%s: %s was received before the last",
                  stream->view, message->topic);
    stream->received_ns = stamp->received_ns;
    stream->seq = stamp->seq;
}

static uint64_t member(const json_t *json, const char *name)
{
    const json_t *value = json_object_get(json, name);
    cr_assert(json_is_integer(value), "a heartbeat's \"%s\" is no integer", name);
    return (uint64_t)json_integer_value(value);
}

static void heartbeat_counts_check(struct stream *stream, json_t *counts)
{
    cr_assert_eq(json_object_size(counts), stream->first_tokens,
                 "%s: the heartbeat knows %zu first tokens, not %llu", stream->view,
                 json_object_size(counts), (unsigned long long)stream->first_tokens);
    const char *token;
    json_t *value;
    json_object_foreach(counts, token, value)
    {
        char prefix[600];
        int length = snprintf(prefix, sizeof prefix, "%s/", token);
        struct count *count = count_find(stream, prefix, (size_t)length);
        cr_assert_not_null(count, "%s: the heartbeat counts \"%s\", which never came", stream->view,
                           token);
        cr_assert_eq((uint64_t)json_integer_value(value), count->value,
                     "%s: the heartbeat counts %lld of \"%s\", not %llu", stream->view,
                     json_integer_value(value), token, (unsigned long long)count->value);
    }
}

static void heartbeat_check(struct stream *stream, const struct subscriber_message *message)
{
    const struct arizmq_stamp *stamp = &message->stamp;
    json_t *json = json_loadb(message->event, message->event_length, 0, NULL);
    cr_assert_not_null(json, "\"%s\" is no JSON", message->event);
    cr_assert_eq(json_object_size(json), 12, "\"%s\": not the twelve members", message->event);
    cr_assert_geq(member(json, "links"), member(json, "links_up"));
    cr_assert_geq(member(json, "links"), 1U);
    cr_assert_str_eq(json_string_value(json_object_get(json, "type")), "ArizmqHeartbeat");
    cr_assert_str_eq(json_string_value(json_object_get(json, "application")), "-");
    cr_assert_str_eq(json_string_value(json_object_get(json, "node")), "-");
    cr_assert_eq(json_string_length(json_object_get(json, "timestamp")), 28);
    cr_assert_str_eq(json_string_value(json_object_get(json, "view")), stream->view);
    cr_assert(json_is_true(json_object_get(json, "counts_complete")));
    cr_assert_eq(member(json, "epoch"), stamp->epoch);
    cr_assert_eq(member(json, "seq"), stamp->seq);
    cr_assert_eq(member(json, "count"), stamp->count[0]);
    cr_assert_eq(stamp->count[0], stream->total, "%s: a heartbeat says %llu, received were %llu",
                 stream->view, (unsigned long long)stamp->count[0],
                 (unsigned long long)stream->total);
    for (unsigned depth = 1; depth <= stream->tokens; depth++) {
        cr_assert_eq(stamp->count[depth], 0);
    }
    bool is_every_event = strcmp(stream->view, "events") == 0;
    cr_assert(is_every_event ? stamp->seq == stream->seq : stamp->seq >= stream->seq);
    heartbeat_counts_check(stream, json_object_get(json, "counts"));
    json_decref(json);
    stream->heartbeats++;
}

void stream_check(struct stream *stream, const struct subscriber_message *message)
{
    const struct arizmq_stamp *stamp = &message->stamp;
    cr_assert_eq(stamp->counts, stream->tokens + 1, "%s: %u counts", stream->view, stamp->counts);
    if (stream->epoch == 0) {
        stream->epoch = stamp->epoch;
    }
    cr_assert_eq(stamp->epoch, stream->epoch);
    cr_assert_geq(stamp->received_ns, stream->started_ns, "received before the test began");
    cr_assert_leq(stamp->received_ns, wall_ns(), "received in the future");
    if (arizmq_gaps_is_heartbeat(stamp)) { /* whatever the template */
        heartbeat_check(stream, message);
    } else {
        numbered_check(stream, message);
    }
}

void stream_may_begin_anew(struct stream *stream)
{
    stream->may_begin_anew = true;
}

uint64_t stream_total(const struct stream *stream)
{
    return stream->total;
}

uint64_t stream_seq(const struct stream *stream)
{
    return stream->seq;
}

uint64_t stream_epoch(const struct stream *stream)
{
    return stream->epoch;
}

uint64_t stream_heartbeats(const struct stream *stream)
{
    return stream->heartbeats;
}
