/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Topics: the first frame of every message. A template such as {type}/{app}/{node}/{id}/ is
 * compiled once; each event then fills it.
 */
#ifndef ARIZMQ_EVENT_TOPIC_H
#define ARIZMQ_EVENT_TOPIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arizmq/stamp.h"
#include "event/event.h"

enum {
    TOPIC_BYTES_MAX = 512, /* of a whole topic */
    TOPIC_TOKENS_MAX = ARIZMQ_STAMP_TOKENS_MAX,
    TOPIC_LITERAL_MAX = 64, /* of a literal token in a template */
    TOPIC_PADDING = 8,      /* room behind a topic, so that it can be read in words */
};

enum topic_field {
    TOPIC_LITERAL,
    TOPIC_TYPE, /* the event's type */
    TOPIC_APP,  /* its application, "-" where it has none */
    TOPIC_NODE, /* the configured name of the Asterisk it came from */
    TOPIC_KIND, /* the kind of the object that the message is about */
    TOPIC_ID,   /* that object's id, "-" where there is none */
};

struct topic_token {
    enum topic_field field;
    char literal[TOPIC_LITERAL_MAX + 1]; /* where field is TOPIC_LITERAL */
};

struct topic_template {
    unsigned count;
    struct topic_token tokens[TOPIC_TOKENS_MAX];
};

/* A written topic. */
struct topic {
    size_t length;
    unsigned tokens;
    uint16_t
        end[TOPIC_TOKENS_MAX]; /* end[k]: length of the first k + 1 tokens, each with its '/' */
    bool is_cut;               /* a token was shortened to keep the bound */
    char bytes[TOPIC_BYTES_MAX + TOPIC_PADDING];
};

/* Compiles a template: one to TOPIC_TOKENS_MAX tokens, each ended by '/', each one of {type} {app}
 * {node} {kind} {id} or a literal of [A-Za-z0-9._-]. Returns ARIZMQ_OK or ARIZMQ_EINVALID. */
int topic_template_compile(const char *text, struct topic_template *out);

/* Writes the topic of `event` as told of `object` (NULL: of no object). Cannot fail: whatever the
 * event holds, the result is at most TOPIC_BYTES_MAX bytes and has as many tokens as the template.
 *
 * In a token '/', '%', control bytes and bytes that are no valid UTF-8 are percent-encoded with
 * upper-case digits. An empty token is "-". A token that would leave less than 18 bytes for each
 * token after it is cut (never inside a character or an escape) and ended by '~' and the 16 hex
 * digits of FNV-1a (64 bit) over the whole encoded token. */
void topic_write(const struct topic_template *template, const struct event *event,
                 const struct event_object *object, struct topic *out);

#endif
