/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The snapshot of a subscriber that joins exactly: asks GET arizmq/snapshot and turns the body into
 * messages. When to ask, and which events come after it, is the listener's affair.
 */
#include "client/join.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"
#include "client/snapshot_body.h"

enum join_stage { JOIN_ASKING, JOIN_REFUSED, JOIN_BEGIN, JOIN_OBJECTS, JOIN_ENDED };

struct join {
    json_t *question;
    struct dealer *dealer;
    uint32_t timeout_ms;
    uint64_t epoch;
    uint64_t seq;
    enum join_stage stage;
    struct snapshot_body *body;
    char failure[512];
};

static json_t *make_question(const struct arizmq_snapshot_query *query, uint32_t timeout_ms)
{
    json_t *texts = json_object();
    const struct {
        const char *name;
        const char *text;
    } members[] = {{"kinds", query->kinds}, {"node", query->node}, {"app", query->app}};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        if (members[i].text != NULL) {
            json_object_set_new(texts, members[i].name, json_string(members[i].text));
        }
    }
    return json_pack("{s:s, s:s, s:o, s:I}", "method", "GET", "uri", "arizmq/snapshot",
                     "query_strings", texts, "timeout_ms", (json_int_t)timeout_ms);
}

int join_create(const struct arizmq_snapshot_query *query, struct dealer *dealer,
                uint32_t timeout_ms, struct join **out)
{
    struct join *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return ARIZMQ_ENOMEM;
    }
    *self = (struct join){.dealer = dealer,
                          .timeout_ms = timeout_ms,
                          .stage = JOIN_ENDED,
                          .question = make_question(query, timeout_ms)};
    if (self->question == NULL) {
        free(self);
        return ARIZMQ_ENOMEM;
    }
    *out = self;
    return ARIZMQ_OK;
}

void join_destroy(struct join **self_p)
{
    struct join *self = *self_p;
    if (self != NULL) {
        snapshot_body_destroy(&self->body);
        json_decref(self->question);
        free(self);
        *self_p = NULL;
    }
}

static int fail(struct join *self, int rc, const char *why)
{
    snprintf(self->failure, sizeof self->failure, "%s", why);
    self->stage = JOIN_ENDED;
    snapshot_body_destroy(&self->body);
    return rc == ARIZMQ_ENOMEM ? rc : ARIZMQ_EPROTOCOL;
}

void join_begin(struct join *self, uint64_t epoch)
{
    snapshot_body_destroy(&self->body);
    self->epoch = epoch;
    int rc = dealer_ask(self->dealer, self->question, NULL, 0, self->timeout_ms, self->timeout_ms);
    self->stage = rc == ARIZMQ_OK ? JOIN_ASKING : JOIN_REFUSED;
}

static int read_reply(struct join *self, const struct arizmq_reply *reply)
{
    char why[128];
    if (arizmq_reply_status(reply) != 200) {
        const char *error = arizmq_reply_text(reply, "error");
        snprintf(why, sizeof why, "the gateway answered %d %.64s", arizmq_reply_status(reply),
                 error != NULL ? error : "");
        return fail(self, ARIZMQ_EPROTOCOL, why);
    }
    size_t length = 0;
    const char *bytes = arizmq_reply_body(reply, &length);
    int rc = snapshot_body_create(bytes, length, &self->body);
    if (rc != ARIZMQ_OK) {
        return fail(self, rc,
                    rc == ARIZMQ_ENOMEM ? "no memory for the snapshot"
                                        : "what the gateway answered is no snapshot");
    }
    if (snapshot_body_epoch(self->body) != self->epoch) {
        return fail(self, ARIZMQ_EPROTOCOL,
                    "the snapshot is of another run of the bridge than the events");
    }
    self->seq = snapshot_body_seq(self->body);
    self->stage = JOIN_BEGIN;
    return ARIZMQ_OK;
}

static int take_reply(struct join *self, uint64_t now_ms)
{
    struct arizmq_reply *reply = NULL;
    int rc = dealer_step(self->dealer, now_ms, &reply);
    if (rc == ARIZMQ_ENOTFOUND) {
        return rc;
    }
    rc = rc == ARIZMQ_OK ? read_reply(self, reply) : fail(self, rc, dealer_failure(self->dealer));
    arizmq_reply_destroy(&reply);
    return rc;
}

/* A message of the snapshot; the rest of it is the caller's. */
static struct arizmq_message make_message(const struct join *self, enum arizmq_message_kind kind)
{
    return (struct arizmq_message){.kind = kind, .stamp = {.epoch = self->epoch, .seq = self->seq}};
}

static int next_object(struct join *self, struct arizmq_message *out)
{
    struct arizmq_message message = make_message(self, ARIZMQ_MESSAGE_OBJECT);
    int rc = snapshot_body_next(self->body, &message.object);
    if (rc == ARIZMQ_ENOTFOUND) {
        struct span ended = snapshot_body_ended(self->body);
        self->stage = JOIN_ENDED;
        message = make_message(self, ARIZMQ_MESSAGE_SNAPSHOT_END);
        message.event = ended.bytes;
        message.event_length = ended.length;
        rc = ARIZMQ_OK;
    }
    if (rc != ARIZMQ_OK) {
        return fail(self, rc,
                    rc == ARIZMQ_ENOMEM ? "no memory for an object of the snapshot"
                                        : "the snapshot has an object that is none");
    }
    *out = message;
    return ARIZMQ_OK;
}

int join_step(struct join *self, uint64_t now_ms, struct arizmq_message *out)
{
    if (self->stage == JOIN_ASKING) {
        int rc = take_reply(self, now_ms);
        if (rc != ARIZMQ_OK) {
            return rc;
        }
    }
    switch (self->stage) {
    case JOIN_REFUSED:
        return fail(self, ARIZMQ_EPROTOCOL, dealer_failure(self->dealer));
    case JOIN_BEGIN: {
        struct span links = snapshot_body_links(self->body);
        *out = make_message(self, ARIZMQ_MESSAGE_SNAPSHOT_BEGIN);
        out->event = links.bytes;
        out->event_length = links.length;
        self->stage = JOIN_OBJECTS;
        return ARIZMQ_OK;
    }
    case JOIN_OBJECTS:
        return next_object(self, out);
    default:
        snapshot_body_destroy(&self->body); /* the last message pointed into it */
        return ARIZMQ_ECLOSED;
    }
}

const char *join_failure(const struct join *self)
{
    return self->failure;
}

uint64_t join_seq(const struct join *self)
{
    return self->seq;
}
