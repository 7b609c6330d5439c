/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Every message of one endpoint passes through notices_take(), called by source.c: the bridge's own
 * events about losses become a line on standard error, of heartbeats the last is kept, and of the
 * user's prefixes is noted which ones got something. It never writes to standard output.
 */
#include "cli/notices.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"
#include "arizmq/gaps.h"
#include "cli/text.h"

enum { TOKENS_SHOWN_MAX = 60 };

/* What topics of the bridge's own events begin with in the view objects. */
#define OWN_IN_OBJECTS "arizmq/-/"

static const char *const prefixes_of_view[][NOTICES_PREFIXES] = {
    [MESSAGE_VIEW_EVENTS] = {"ArizmqGap/", "ArizmqRefused/"},
    [MESSAGE_VIEW_OBJECTS] = {OWN_IN_OBJECTS "ArizmqGap/", OWN_IN_OBJECTS "ArizmqRefused/"},
};

struct notices {
    const char *endpoint;
    const struct sub_options *options;
    bool *has_come;    /* for each of the user's prefixes: something was shown for it */
    json_t *heartbeat; /* the last one; NULL: none came */
    uint64_t seq;      /* of the last heartbeat */
    uint64_t gaps;
    uint64_t refused;
    bool view_was_judged;
};

const char *const *notices_prefixes(enum message_view view)
{
    return prefixes_of_view[view];
}

int notices_create(const char *endpoint, const struct sub_options *options, struct notices **out)
{
    struct notices *self = calloc(1, sizeof *self);
    bool *has_come = calloc(options->prefixes_count, sizeof *has_come);
    if (self == NULL || has_come == NULL) {
        free(self);
        free(has_come);
        return ARIZMQ_ENOMEM;
    }
    *self = (struct notices){.endpoint = endpoint, .options = options, .has_come = has_come};
    *out = self;
    return ARIZMQ_OK;
}

void notices_destroy(struct notices **self_p)
{
    struct notices *self = *self_p;
    if (self != NULL) {
        json_decref(self->heartbeat);
        free(self->has_come);
        free(self);
        *self_p = NULL;
    }
}

static bool topic_begins_with(const struct message *message, const char *prefix)
{
    size_t length = strlen(prefix);
    return length <= message->topic_length && memcmp(message->topic, prefix, length) == 0;
}

/* Does the user's prefix ask for the message? One that covers all of the bridge's own events, or
 * everything, does not ask for heartbeats. */
static bool prefix_asks_for(const char *prefix, const struct message *message)
{
    if (!topic_begins_with(message, prefix)) {
        return false;
    }
    if (!arizmq_gaps_is_heartbeat(&message->stamp)) {
        return true;
    }
    size_t before = topic_begins_with(message, OWN_IN_OBJECTS) ? strlen(OWN_IN_OBJECTS) : 0;
    return strlen(prefix) >= before + strlen("ArizmqH");
}

/* Writes a member of the event on standard error, "-" where it has none. */
static void write_member(const char *before, json_t *event, const char *name)
{
    fputs(before, stderr);
    json_t *value = json_object_get(event, name);
    if (json_is_string(value)) {
        text_write_clean(stderr, json_string_value(value), json_string_length(value), "");
    } else if (json_is_integer(value)) {
        fprintf(stderr, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    } else {
        putc('-', stderr);
    }
}

static void write_origin(const struct notices *self, json_t *event)
{
    fprintf(stderr, "arizmq: %s:", self->endpoint);
    write_member(" node ", event, "node");
    write_member(", application ", event, "application");
}

static void tell_gap(struct notices *self, json_t *event)
{
    self->gaps++;
    write_origin(self, event);
    write_member(": events may be missing from ", event, "from");
    write_member(" to ", event, "to");
    write_member(" (", event, "reason");
    fputs(")\n", stderr);
}

static void tell_refused(struct notices *self, json_t *event)
{
    self->refused++;
    write_origin(self, event);
    write_member(": the bridge discarded an event: limit ", event, "limit");
    write_member(", size ", event, "size");
    fputs("\n", stderr);
}

static void judge_view(struct notices *self)
{
    static const char *const names[] = {
        [MESSAGE_VIEW_EVENTS] = "events", [MESSAGE_VIEW_OBJECTS] = "objects"};
    const char *wanted = names[self->options->style.view];
    json_t *view = json_object_get(self->heartbeat, "view");
    self->view_was_judged = true;
    if (json_is_string(view) && strcmp(json_string_value(view), wanted) != 0) {
        fprintf(stderr, "arizmq: %s: the bridge publishes the view ", self->endpoint);
        text_write_clean(stderr, json_string_value(view), json_string_length(view), "");
        fprintf(stderr, " here, not %s: set --view or --connect\n", wanted);
    }
}

static void take_heartbeat(struct notices *self, const struct message *message)
{
    json_t *heartbeat = json_loadb(message->event, message->event_length, 0, NULL);
    if (heartbeat == NULL) {
        return; /* the gap checker complains about it */
    }
    json_decref(self->heartbeat);
    self->heartbeat = heartbeat;
    self->seq = message->stamp.seq;
    if (!self->view_was_judged) {
        judge_view(self);
    }
}

static void take_own(struct notices *self, const struct message *message)
{
    const char *const *prefixes = notices_prefixes(self->options->style.view);
    bool is_gap = topic_begins_with(message, prefixes[0]);
    if (is_gap || topic_begins_with(message, prefixes[1])) {
        json_t *event = json_loadb(message->event, message->event_length, 0, NULL);
        if (is_gap) {
            tell_gap(self, event);
        } else {
            tell_refused(self, event);
        }
        json_decref(event);
    }
}

bool notices_take(struct notices *self, const struct message *message)
{
    bool is_heartbeat = arizmq_gaps_is_heartbeat(&message->stamp);
    if (is_heartbeat) {
        take_heartbeat(self, message);
    } else {
        take_own(self, message);
    }
    bool is_wanted = is_heartbeat && self->options->heartbeats;
    for (size_t i = 0; i < self->options->prefixes_count; i++) {
        if (prefix_asks_for(self->options->prefixes[i], message)) {
            self->has_come[i] = true;
            is_wanted = true;
        }
    }
    return is_wanted;
}

static int compare_names(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* Writes the first tokens of all that the bridge has sent, in alphabetical order. */
static void write_first_tokens(json_t *heartbeat)
{
    json_t *counts = json_object_get(heartbeat, "counts");
    size_t count = json_object_size(counts);
    const char **names = calloc(count + 1, sizeof *names);
    if (count == 0 || names == NULL) {
        fputs(count == 0 ? "nothing so far" : "something", stderr);
        free(names);
        return;
    }
    size_t i = 0;
    const char *name = NULL;
    json_t *value = NULL;
    json_object_foreach(counts, name, value)
    {
        names[i++] = name;
    }
    qsort(names, count, sizeof *names, compare_names);
    for (i = 0; i < count && i < TOKENS_SHOWN_MAX; i++) {
        fputs(i > 0 ? ", " : "", stderr);
        text_write_clean(stderr, names[i], strlen(names[i]), "");
    }
    if (count > TOKENS_SHOWN_MAX || json_is_false(json_object_get(heartbeat, "counts_complete"))) {
        fputs(", …", stderr);
    }
    free(names);
}

void notices_tell_silence(const struct notices *self)
{
    unsigned silent = 0;
    for (size_t i = 0; i < self->options->prefixes_count; i++) {
        if (self->has_come[i]) {
            continue;
        }
        if (silent++ == 0) {
            fprintf(stderr, "arizmq: %s: nothing under \"", self->endpoint);
        } else {
            fputs(", \"", stderr);
        }
        text_write_clean(stderr, self->options->prefixes[i], strlen(self->options->prefixes[i]),
                         "");
        fputs("\"", stderr);
    }
    if (silent == 0) {
        return;
    }
    if (self->heartbeat == NULL) {
        fputs(" yet, and no heartbeat of a bridge\n", stderr);
        return;
    }
    fprintf(stderr, " yet; the bridge is alive (seq %" PRIu64 ") and has sent ", self->seq);
    write_first_tokens(self->heartbeat);
    fputs("\n", stderr);
}

uint64_t notices_gaps(const struct notices *self)
{
    return self->gaps;
}

uint64_t notices_refused(const struct notices *self)
{
    return self->refused;
}

/* Why the prefix cannot be meant so, or NULL. */
static const char *find_mistake(const char *prefix, enum message_view view)
{
    static const char *const kinds[] = {"channel",  "bridge", "playback", "recording",
                                        "endpoint", "device", "arizmq"};
    if (*prefix == '/') {
        return "no topic begins with a slash";
    }
    if (strchr(prefix, '*') != NULL) {
        return "a prefix has no wildcards, * stands for itself; leave off the end instead";
    }
    size_t length = strcspn(prefix, "/");
    if (view == MESSAGE_VIEW_OBJECTS) {
        return *prefix >= 'A' && *prefix <= 'Z'
                   ? "topics of the view objects begin with a kind, such as channel/"
                   : NULL;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strlen(kinds[i]) == length && strncmp(prefix, kinds[i], length) == 0) {
            return "topics of the view events begin with a type, such as StasisStart/; for kinds "
                   "use --view objects";
        }
    }
    return NULL;
}

void notices_warn_of_prefixes(const struct sub_options *options)
{
    for (size_t i = 0; i < options->prefixes_count; i++) {
        const char *prefix = options->prefixes[i];
        const char *mistake = find_mistake(prefix, options->style.view);
        if (mistake != NULL) {
            fputs("arizmq: warning: prefix \"", stderr);
            text_write_clean(stderr, prefix, strlen(prefix), "");
            fprintf(stderr, "\": %s\n", mistake);
        }
    }
}
