/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The scripted bridge of the subscriber's tests. It numbers and counts as the wire's description
 * says, keeps what it published, and answers from that; nothing of the daemon is in it.
 */
#include "bridge_double.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "arizmq/error.h"
#include "base/clock.h"

enum { TICK_MS = 2, QUIET_MS = 60 };

static void *open_socket(struct bridge *self, int type, char *endpoint, size_t size)
{
    const int none = 0;
    const int one = 1;
    void *socket = zmq_socket(self->context, type);
    cr_assert_not_null(socket);
    zmq_setsockopt(socket, ZMQ_LINGER, &none, sizeof none);
    zmq_setsockopt(socket, ZMQ_SNDHWM, &none, sizeof none);
    if (type == ZMQ_XPUB) {
        zmq_setsockopt(socket, ZMQ_XPUB_VERBOSE, &one, sizeof one);
    }
    const char *wanted = *endpoint != '\0' ? endpoint : "tcp://127.0.0.1:*";
    uint64_t until_ms = clock_monotonic_ms() + BRIDGE_WAIT_MS;
    while (zmq_bind(socket, wanted) != 0) { /* a listener is closed in the background */
        cr_assert_lt(clock_monotonic_ms(), until_ms, "%s: %s", wanted, zmq_strerror(zmq_errno()));
        zmq_poll(NULL, 0, TICK_MS);
    }
    cr_assert_eq(zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, endpoint, &size), 0);
    return socket;
}

struct bridge *bridge_create(uint64_t epoch)
{
    struct bridge *self = calloc(1, sizeof *self);
    cr_assert_not_null(self);
    self->context = zmq_ctx_new();
    self->epoch = epoch;
    self->oldest = 1;
    self->snapshot_status = 200;
    self->publisher =
        open_socket(self, ZMQ_XPUB, self->events_endpoint, sizeof self->events_endpoint);
    bridge_open_gateway(self);
    return self;
}

void bridge_open_gateway(struct bridge *self)
{
    self->gateway =
        open_socket(self, ZMQ_ROUTER, self->gateway_endpoint, sizeof self->gateway_endpoint);
}

void bridge_close_gateway(struct bridge *self)
{
    zmq_close(self->gateway);
    self->gateway = NULL;
}

void bridge_destroy(struct bridge **self_p)
{
    struct bridge *self = *self_p;
    if (self->gateway != NULL) {
        zmq_close(self->gateway);
    }
    zmq_close(self->publisher);
    zmq_ctx_term(self->context);
    free(self->kept);
    free(self);
    *self_p = NULL;
}

void bridge_restart(struct bridge *self, uint64_t epoch)
{
    self->epoch = epoch;
    self->seq = 0;
    self->counters_used = 0;
    self->oldest = 1;
}

static bool is_subscribed(const struct bridge *self, const char *prefix)
{
    for (unsigned i = 0; i < self->subscriptions_count; i++) {
        if (strcmp(self->subscriptions[i], prefix) == 0) {
            return true;
        }
    }
    return false;
}

static void await_prefix(struct bridge *self, const char *prefix)
{
    while (!is_subscribed(self, prefix)) {
        char frame[BRIDGE_TEXT_MAX + 1] = "";
        zmq_pollitem_t item = {.socket = self->publisher, .events = ZMQ_POLLIN};
        cr_assert_eq(zmq_poll(&item, 1, BRIDGE_WAIT_MS), 1, "nobody subscribed to \"%s\"", prefix);
        int length = zmq_recv(self->publisher, frame, sizeof frame - 1, 0);
        cr_assert(length > 0 && length < BRIDGE_TEXT_MAX);
        if (frame[0] == 1) {
            cr_assert_lt(self->subscriptions_count, BRIDGE_SUBSCRIPTIONS_MAX);
            memcpy(self->subscriptions[self->subscriptions_count++], frame + 1, sizeof frame - 1);
        }
    }
}

void bridge_await(struct bridge *self, ...)
{
    const char *prefix = NULL;
    va_list arguments;
    va_start(arguments, self);
    while ((prefix = va_arg(arguments, const char *)) != NULL) {
        await_prefix(self, prefix);
    }
    va_end(arguments);
}

static uint64_t *counter(struct bridge *self, const char *key, size_t length)
{
    for (unsigned i = 0; i < self->counters_used; i++) {
        if (strlen(self->counters[i].key) == length &&
            memcmp(self->counters[i].key, key, length) == 0) {
            return &self->counters[i].count;
        }
    }
    cr_assert_lt(self->counters_used, BRIDGE_KEYS_MAX);
    unsigned at = self->counters_used++;
    snprintf(self->counters[at].key, BRIDGE_TEXT_MAX, "%.*s", (int)length, key);
    self->counters[at].count = 0;
    return &self->counters[at].count;
}

void bridge_drop_counter(struct bridge *self, const char *tokens)
{
    *counter(self, tokens, strlen(tokens)) = 0;
}

/* Numbers a message of the event `self->seq`. */
static struct bridge_message make_message(struct bridge *self, const char *topic, const char *text)
{
    struct bridge_message message = {.epoch = self->epoch, .seq = self->seq};
    struct arizmq_stamp stamp = {
        .epoch = self->epoch, .seq = self->seq, .received_ns = 1000 + self->seq};
    stamp.count[stamp.counts++] = ++*counter(self, topic, 0);
    for (const char *slash = strchr(topic, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        stamp.count[stamp.counts++] = ++*counter(self, topic, (size_t)(slash - topic) + 1);
    }
    snprintf(message.topic, sizeof message.topic, "%s", topic);
    if (text != NULL) {
        snprintf(message.event, sizeof message.event, "%s", text);
    } else {
        snprintf(message.event, sizeof message.event, "{\"type\":\"T\",\"n\":%llu}",
                 (unsigned long long)self->seq);
    }
    message.stamp_length = arizmq_stamp_encode(&stamp, message.stamp);
    return message;
}

static void send_message(void *socket, const struct bridge_message *message, int last_flag)
{
    zmq_send(socket, message->topic, strlen(message->topic), ZMQ_SNDMORE);
    zmq_send(socket, message->event, strlen(message->event), ZMQ_SNDMORE);
    zmq_send(socket, message->stamp, message->stamp_length, last_flag);
}

static void keep_message(struct bridge *self, const struct bridge_message *message)
{
    if (self->kept_count == self->kept_room) {
        self->kept_room = self->kept_room * 2 + 64;
        self->kept = realloc(self->kept, self->kept_room * sizeof *self->kept);
        cr_assert_not_null(self->kept);
    }
    self->kept[self->kept_count++] = *message;
}

static void publish(struct bridge *self, const char *topic, const char *text, bool is_sent,
                    bool is_kept)
{
    struct bridge_message message = make_message(self, topic, text);
    if (is_kept) {
        keep_message(self, &message);
    }
    if (is_sent) {
        send_message(self->publisher, &message, 0);
    }
}

void bridge_publish_text(struct bridge *self, const char *topic, const char *text)
{
    self->seq++;
    publish(self, topic, text, true, true);
}

void bridge_publish(struct bridge *self, const char *topic)
{
    bridge_publish_text(self, topic, NULL);
}

void bridge_lose_text(struct bridge *self, const char *topic, const char *text)
{
    self->seq++;
    publish(self, topic, text, false, true);
}

void bridge_lose(struct bridge *self, const char *topic)
{
    bridge_lose_text(self, topic, NULL);
}

void bridge_forget(struct bridge *self, const char *topic)
{
    self->seq++;
    publish(self, topic, NULL, false, false);
}

void bridge_publish_again(struct bridge *self, const char *topic)
{
    publish(self, topic, NULL, true, true);
}

void bridge_lose_again(struct bridge *self, const char *topic)
{
    publish(self, topic, NULL, false, true);
}

void bridge_heartbeat(struct bridge *self)
{
    struct arizmq_stamp stamp = {.epoch = self->epoch, .seq = self->seq, .counts = 5};
    uint8_t bytes[ARIZMQ_STAMP_BYTES_MAX];
    json_t *counts = json_object();
    stamp.count[0] = *counter(self, "", 0);
    for (unsigned i = 0; i < self->counters_used; i++) {
        const char *key = self->counters[i].key;
        const char *slash = strchr(key, '/');
        if (slash != NULL && slash[1] == '\0') {
            json_object_setn_new(counts, key, (size_t)(slash - key),
                                 json_integer((json_int_t)self->counters[i].count));
        }
    }
    json_t *event = json_pack("{s:s, s:I, s:s, s:o}", "type", "ArizmqHeartbeat", "seq",
                              (json_int_t)self->seq, "view", "events", "counts", counts);
    char *text = json_dumps(event, JSON_COMPACT);
    zmq_send(self->publisher, "ArizmqHeartbeat/-/-/-/", 22, ZMQ_SNDMORE);
    zmq_send(self->publisher, text, strlen(text), ZMQ_SNDMORE);
    zmq_send(self->publisher, bytes, arizmq_stamp_encode(&stamp, bytes), 0);
    free(text);
    json_decref(event);
}

/* --- the gateway */

static uint64_t member_number(const json_t *query, const char *name, uint64_t otherwise)
{
    const json_t *value = json_object_get(query, name);
    return json_is_integer(value) ? (uint64_t)json_integer_value(value) : otherwise;
}

static void member_text(const json_t *object, const char *name, char *out, size_t size)
{
    const char *text = json_string_value(json_object_get(object, name));
    snprintf(out, size, "%s", text != NULL ? text : "");
}

static void note_question(struct bridge *self, const json_t *header)
{
    const json_t *query = json_object_get(header, "query_strings");
    struct bridge_question *question = &self->last;
    self->asked++;
    member_text(header, "uri", question->uri, sizeof question->uri);
    member_text(query, "view", question->view, sizeof question->view);
    member_text(query, "prefix", question->prefix, sizeof question->prefix);
    question->after = member_number(query, "after", 0);
    question->until = member_number(query, "until", UINT64_MAX);
    question->epoch = member_number(query, "epoch", self->epoch);
    question->limit = member_number(query, "limit", 1000);
}

/* Sends header, body and what follows is the caller's. */
static void send_header(struct bridge *self, json_t *header, const char *body, bool is_more)
{
    char *text = json_dumps(header, JSON_COMPACT);
    zmq_send(self->gateway, text, strlen(text), ZMQ_SNDMORE);
    zmq_send(self->gateway, body, strlen(body), is_more ? ZMQ_SNDMORE : 0);
    free(text);
    json_decref(header);
}

static json_t *make_header(int status, const char *error)
{
    json_t *header =
        json_pack("{s:s, s:i, s:s, s:s}", "type", "RESTResponse", "status_code", status,
                  "reason_phrase", status == 200 ? "OK" : "No", "source", "bridge");
    if (error != NULL) {
        json_object_set_new(header, "error", json_string(error));
    }
    return header;
}

static void refuse(struct bridge *self, int status, const char *error)
{
    json_t *header = make_header(status, error);
    json_object_set_new(header, "oldest", json_integer((json_int_t)self->oldest));
    json_object_set_new(header, "newest", json_integer((json_int_t)self->seq));
    json_object_set_new(header, "epoch", json_integer((json_int_t)self->epoch));
    send_header(self, header, "{\"message\":\"no\"}", false);
}

static bool is_asked_for(const struct bridge *self, const struct bridge_message *message)
{
    const struct bridge_question *question = &self->last;
    return message->epoch == question->epoch && message->seq > question->after &&
           message->seq <= question->until &&
           strncmp(message->topic, question->prefix, strlen(question->prefix)) == 0 &&
           self->mood != BRIDGE_HAS_NOTHING;
}

/* The messages of one page, whole events only; their number. */
static size_t choose_page(const struct bridge *self, const struct bridge_message **page,
                          uint64_t *last, bool *is_more)
{
    uint64_t limit = self->last.limit;
    size_t count = 0;
    limit = self->page_max != 0 && self->page_max < limit ? self->page_max : limit;
    *is_more = false;
    *last = self->last.epoch == self->epoch ? self->seq : UINT32_MAX;
    *last = *last > self->last.until ? self->last.until : *last;
    if (self->hidden_seq != 0 && *last >= self->hidden_seq) {
        *last = self->hidden_seq - 1;
    }
    for (size_t i = 0; i < self->kept_count; i++) {
        const struct bridge_message *message = &self->kept[i];
        if (!is_asked_for(self, message) || message->seq > *last) {
            continue;
        }
        if (count >= limit && page[count - 1]->seq != message->seq) {
            *last = page[count - 1]->seq;
            *is_more = true;
            break;
        }
        page[count++] = message;
    }
    return count;
}

static void answer_rot(struct bridge *self)
{
    static const uint8_t empty_stamp[64] = {0};
    json_t *header = make_header(200, NULL);
    struct bridge_message message = self->kept[self->kept_count - 1];
    uint64_t last = self->rot == ROT_NOWHERE ? self->last.after : self->seq;
    last = self->rot == ROT_BACK ? self->last.after - 1 : last;
    if (self->rot == ROT_NOT_JSON) {
        json_decref(header);
        zmq_send(self->gateway, "rot", 3, ZMQ_SNDMORE);
        zmq_send(self->gateway, "", 0, 0);
        return;
    }
    if (self->rot != ROT_NO_MEMBERS) {
        json_object_set_new(header, "last", json_integer((json_int_t)last));
        json_object_set_new(header, "more", json_boolean(self->rot == ROT_NOWHERE));
        json_object_set_new(header, "count", json_integer(self->rot == ROT_COUNT ? 2 : 1));
    }
    send_header(self, header, "", true);
    if (self->rot == ROT_STAMP) {
        message.stamp_length = 24;
    } else if (self->rot == ROT_EPOCH) {
        memcpy(message.stamp, empty_stamp, message.stamp_length);
    }
    send_message(self->gateway, &message, self->rot == ROT_FRAMES ? ZMQ_SNDMORE : 0);
    if (self->rot == ROT_FRAMES) {
        zmq_send(self->gateway, "", 0, 0);
    }
}

static void answer_history(struct bridge *self)
{
    if (self->last.epoch != self->epoch && !self->remembers_runs) {
        refuse(self, 409, "epoch_changed");
        return;
    }
    if (self->last.epoch == self->epoch && self->last.after + 1 < self->oldest) {
        refuse(self, 410, "compacted");
        return;
    }
    const struct bridge_message **page = calloc(self->kept_count + 1, sizeof *page);
    uint64_t last = 0;
    bool is_more = false;
    size_t count = choose_page(self, page, &last, &is_more);
    size_t times = self->doubles ? 2 : 1;
    json_t *header = make_header(200, NULL);
    json_object_set_new(header, "epoch", json_integer((json_int_t)self->last.epoch));
    json_object_set_new(header, "last", json_integer((json_int_t)last));
    json_object_set_new(header, "oldest", json_integer((json_int_t)self->oldest));
    json_object_set_new(header, "newest", json_integer((json_int_t)self->seq));
    json_object_set_new(header, "count", json_integer((json_int_t)(count * times)));
    json_object_set_new(header, "more", json_boolean(is_more));
    send_header(self, header, "", count > 0);
    for (size_t i = 0; i < count * times; i++) {
        send_message(self->gateway, page[i / times], i + 1 < count * times ? ZMQ_SNDMORE : 0);
    }
    free(page);
}

static void answer_snapshot(struct bridge *self)
{
    if (self->snapshot == NULL) {
        refuse(self, 404, "no_such_resource");
    } else {
        send_header(self, make_header(self->snapshot_status, NULL), self->snapshot, false);
    }
}

/* Reads a request after its routing frames; NULL where it is none. */
static json_t *receive_header(struct bridge *self, zmq_msg_t *identity)
{
    zmq_msg_t frame;
    json_t *header = NULL;
    zmq_msg_init(&frame);
    while (zmq_msg_more(identity) && zmq_msg_recv(&frame, self->gateway, 0) >= 0) {
        if (header == NULL && zmq_msg_size(&frame) > 0) {
            header = json_loadb(zmq_msg_data(&frame), zmq_msg_size(&frame), 0, NULL);
        }
        if (!zmq_msg_more(&frame)) {
            break;
        }
    }
    zmq_msg_close(&frame);
    return header;
}

static void answer(struct bridge *self)
{
    switch (self->mood) {
    case BRIDGE_IS_SILENT:
        break;
    case BRIDGE_REFUSES:
        refuse(self, self->status, self->error);
        break;
    case BRIDGE_TALKS_ROT:
        answer_rot(self);
        break;
    default:
        if (strcmp(self->last.uri, "arizmq/snapshot") == 0) {
            answer_snapshot(self);
        } else {
            answer_history(self);
        }
        break;
    }
}

void bridge_serve(struct bridge *self)
{
    while (self->gateway != NULL) {
        zmq_msg_t identity;
        zmq_msg_init(&identity);
        if (zmq_msg_recv(&identity, self->gateway, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(&identity);
            return;
        }
        json_t *header = receive_header(self, &identity);
        cr_assert(json_is_object(header), "a request is no JSON object");
        note_question(self, header);
        json_decref(header);
        if (self->mood != BRIDGE_IS_SILENT) {
            zmq_msg_send(&identity, self->gateway, ZMQ_SNDMORE);
            zmq_send(self->gateway, "", 0, ZMQ_SNDMORE);
        }
        answer(self);
        zmq_msg_close(&identity);
    }
}

/* --- waiting */

struct arizmq_message bridge_next(struct arizmq_subscriber *subscriber, ...)
{
    struct bridge *bridges[4];
    unsigned count = 0;
    va_list arguments;
    va_start(arguments, subscriber);
    while ((bridges[count] = va_arg(arguments, struct bridge *)) != NULL) {
        count++;
    }
    va_end(arguments);
    uint64_t until_ms = clock_monotonic_ms() + BRIDGE_WAIT_MS;
    for (;;) {
        struct arizmq_message message;
        int rc = arizmq_subscriber_receive(subscriber, TICK_MS, &message);
        if (rc == ARIZMQ_OK) {
            return message;
        }
        cr_assert_eq(rc, ARIZMQ_ETIMEOUT, "%d", rc);
        cr_assert_lt(clock_monotonic_ms(), until_ms, "no message came");
        for (unsigned i = 0; i < count; i++) {
            bridge_serve(bridges[i]);
        }
    }
}

void bridge_expect_nothing(struct arizmq_subscriber *subscriber, struct bridge *bridge)
{
    uint64_t until_ms = clock_monotonic_ms() + QUIET_MS;
    while (clock_monotonic_ms() < until_ms) {
        struct arizmq_message message;
        int rc = arizmq_subscriber_receive(subscriber, TICK_MS, &message);
        cr_assert_eq(rc, ARIZMQ_ETIMEOUT, "%d: kind %d, seq %llu, %s", rc, message.kind,
                     (unsigned long long)message.stamp.seq,
                     message.detail != NULL ? message.detail : "");
        bridge_serve(bridge);
    }
}

void bridge_expect(struct arizmq_subscriber *subscriber, struct bridge *bridge, const char *topic,
                   uint64_t seq, bool is_repaired)
{
    struct arizmq_message message = bridge_next(subscriber, bridge, NULL);
    cr_assert_eq(message.kind, ARIZMQ_MESSAGE_EVENT, "kind %d, %s; expected %s seq %llu",
                 message.kind, message.detail != NULL ? message.detail : "", topic,
                 (unsigned long long)seq);
    cr_assert_eq(message.stamp.seq, seq, "%.*s: seq %llu, expected %s seq %llu",
                 (int)message.topic_length, message.topic, (unsigned long long)message.stamp.seq,
                 topic, (unsigned long long)seq);
    cr_assert_eq(message.topic_length, strlen(topic));
    cr_assert_arr_eq(message.topic, topic, message.topic_length);
    cr_assert_eq(message.is_repaired, is_repaired, "seq %llu", (unsigned long long)seq);
}

struct arizmq_message bridge_expect_loss(struct arizmq_subscriber *subscriber,
                                         struct bridge *bridge, enum arizmq_loss loss,
                                         uint64_t missing, const char *prefix)
{
    struct arizmq_message message = bridge_next(subscriber, bridge, NULL);
    cr_assert_eq(message.kind, ARIZMQ_MESSAGE_LOSS, "kind %d, seq %llu", message.kind,
                 (unsigned long long)message.stamp.seq);
    cr_assert_eq(message.loss, loss, "%d: %s", message.loss, message.detail);
    cr_assert_eq(message.missing, missing, "%llu: %s", (unsigned long long)message.missing,
                 message.detail);
    if (prefix == NULL) {
        cr_assert_null(message.prefix);
    } else {
        cr_assert_str_eq(message.prefix, prefix);
    }
    return message;
}
