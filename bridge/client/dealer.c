/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The wire side of every request of this library: a DEALER socket, framed as REQ does it. gateway.c
 * waits for it, repair.c and join.c let a subscriber's poll do so. What is asked and what a body
 * means is theirs.
 */
#include "client/dealer.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"
#include "base/clock.h"
#include "client/monitor.h"
#include "client/reply.h"

enum { FAILURE_SIZE = 512, ENDPOINT_SHOWN = 256, TEXT_SHOWN = 80 };

struct dealer {
    void *context;
    char *endpoint;
    size_t max_reply_bytes;
    void *socket; /* NULL: not connected */
    void *monitor;
    json_t *header; /* of the request under way; NULL: none is */
    enum monitor_event progress;
    bool connection_is_lost; /* since the request left */
    uint64_t deadline_ms;
    uint64_t patience_ms;
    char failure[FAILURE_SIZE];
};

static void disconnect(struct dealer *self)
{
    if (self->socket != NULL) {
        monitor_close(&self->monitor, self->socket);
        zmq_close(self->socket);
        self->socket = NULL;
    }
    self->progress = MONITOR_NOTHING;
}

static int connect_anew(struct dealer *self)
{
    const int linger_ms = 0;
    const int unlimited = 0;
    disconnect(self);
    self->socket = zmq_socket(self->context, ZMQ_DEALER);
    if (self->socket == NULL) {
        return ARIZMQ_EIO;
    }
    int rc = ARIZMQ_EIO;
    if (zmq_setsockopt(self->socket, ZMQ_LINGER, &linger_ms, sizeof linger_ms) == 0 &&
        zmq_setsockopt(self->socket, ZMQ_RCVHWM, &unlimited, sizeof unlimited) == 0) {
        self->monitor = monitor_open(self->context, self->socket);
        if (self->monitor != NULL) {
            rc = zmq_connect(self->socket, self->endpoint) == 0 ? ARIZMQ_OK : ARIZMQ_EINVALID;
        }
    }
    if (rc != ARIZMQ_OK) {
        int error = zmq_errno();
        disconnect(self);
        errno = error;
    }
    return rc;
}

int dealer_create(void *context, const char *endpoint, size_t max_reply_bytes, struct dealer **out)
{
    struct dealer *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return ARIZMQ_ENOMEM;
    }
    self->context = context;
    self->max_reply_bytes = max_reply_bytes;
    self->endpoint = strdup(endpoint);
    int rc = self->endpoint == NULL ? ARIZMQ_ENOMEM : connect_anew(self);
    if (rc != ARIZMQ_OK) {
        int error = errno;
        dealer_destroy(&self);
        errno = error;
        return rc;
    }
    *out = self;
    return ARIZMQ_OK;
}

void dealer_destroy(struct dealer **self_p)
{
    struct dealer *self = *self_p;
    if (self != NULL) {
        disconnect(self);
        json_decref(self->header);
        free(self->endpoint);
        free(self);
        *self_p = NULL;
    }
}

__attribute__((format(printf, 2, 3))) static void explain(struct dealer *self, const char *format,
                                                          ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(self->failure, sizeof self->failure, format, arguments);
    va_end(arguments);
}

void dealer_give_up(struct dealer *self)
{
    if (self->header != NULL) {
        json_decref(self->header);
        self->header = NULL;
        disconnect(self);
    }
}

/* The request is over without a reply. */
static int fail(struct dealer *self, int rc)
{
    dealer_give_up(self);
    return rc;
}

static void read_monitor(struct dealer *self)
{
    enum monitor_event event = MONITOR_NOTHING;
    while ((event = monitor_read(self->monitor)) != MONITOR_NOTHING) {
        self->connection_is_lost =
            self->connection_is_lost || (event == MONITOR_LOST && self->progress == MONITOR_SPEAKS);
        /* Whoever accepts and hangs up without a word is there all the same. */
        bool was_mute = event == MONITOR_LOST && self->progress == MONITOR_CONNECTED;
        self->progress = was_mute ? MONITOR_CONNECTED : event;
        if (event == MONITOR_SPEAKS) {
            self->deadline_ms = clock_monotonic_ms() + self->patience_ms;
        }
    }
}

static int send_frames(struct dealer *self, const char *header, const void *body, size_t length)
{
    int more = body != NULL ? ZMQ_SNDMORE : 0;
    if (zmq_send(self->socket, "", 0, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0 ||
        zmq_send(self->socket, header, strlen(header), more | ZMQ_DONTWAIT) < 0 ||
        (body != NULL && zmq_send(self->socket, body, length, ZMQ_DONTWAIT) < 0)) {
        return ARIZMQ_EIO;
    }
    return ARIZMQ_OK;
}

int dealer_ask(struct dealer *self, json_t *header, const void *body, size_t body_length,
               uint32_t connect_ms, uint32_t patience_ms)
{
    self->failure[0] = '\0';
    self->connection_is_lost = false;
    self->patience_ms = patience_ms;
    if (self->socket != NULL) {
        read_monitor(self);
    }
    char *text = json_dumps(header, JSON_COMPACT);
    if (text == NULL) {
        explain(self, "no memory for the request");
        return ARIZMQ_ENOMEM;
    }
    int rc = ARIZMQ_OK;
    /* Over one that was lost meanwhile the reply might go astray. */
    if (self->socket == NULL || self->connection_is_lost) {
        rc = connect_anew(self);
    }
    self->connection_is_lost = false;
    if (rc == ARIZMQ_OK) {
        rc = send_frames(self, text, body, body_length);
    }
    free(text);
    if (rc != ARIZMQ_OK) {
        explain(self, "no socket for %.*s: %s", ENDPOINT_SHOWN, self->endpoint,
                zmq_strerror(zmq_errno()));
        disconnect(self);
        return ARIZMQ_EIO;
    }
    self->header = json_incref(header);
    self->deadline_ms =
        clock_monotonic_ms() + (self->progress == MONITOR_SPEAKS ? patience_ms : connect_ms);
    return ARIZMQ_OK;
}

bool dealer_is_busy(const struct dealer *self)
{
    return self->header != NULL;
}

void dealer_poll_items(const struct dealer *self, zmq_pollitem_t items[DEALER_ITEMS])
{
    items[0] = (zmq_pollitem_t){.socket = self->socket, .events = ZMQ_POLLIN};
    items[1] = (zmq_pollitem_t){.socket = self->monitor, .events = ZMQ_POLLIN};
}

uint64_t dealer_deadline_ms(const struct dealer *self)
{
    return self->deadline_ms;
}

/* The frames of one message as they come in. */
struct bundle {
    zmq_msg_t *frames;
    size_t count; /* that are kept */
    size_t room;
    size_t came;
    size_t bytes; /* of all that came, and what ZeroMQ needs for them */
};

/* Twice the room. Messages are moved, since a zmq_msg_t must not be copied. */
static bool bundle_grow(struct bundle *bundle)
{
    size_t room = bundle->room == 0 ? 4 : bundle->room * 2;
    zmq_msg_t *frames = calloc(room, sizeof *frames);
    if (frames == NULL) {
        return false;
    }
    for (size_t i = 0; i < bundle->count; i++) {
        zmq_msg_init(&frames[i]);
        zmq_msg_move(&frames[i], &bundle->frames[i]);
    }
    reply_free_frames(bundle->frames, bundle->count);
    bundle->frames = frames;
    bundle->room = room;
    return true;
}

/* Reads one whole message if one waits; keeps of it what is within the bound, and no delimiter.
 * Returns ARIZMQ_OK,
 * ARIZMQ_ENOTFOUND, ARIZMQ_ETOOLARGE or ARIZMQ_ENOMEM. */
static int bundle_receive(struct bundle *bundle, void *socket, size_t max_bytes)
{
    int rc = ARIZMQ_OK;
    bool is_more = true;
    while (is_more) {
        zmq_msg_t frame;
        zmq_msg_init(&frame);
        if (zmq_msg_recv(&frame, socket, ZMQ_DONTWAIT) < 0) {
            return ARIZMQ_ENOTFOUND; /* the first frame, or none: the others come with it */
        }
        is_more = zmq_msg_more(&frame);
        bool is_delimiter = bundle->came++ == 0 && zmq_msg_size(&frame) == 0;
        bundle->bytes += zmq_msg_size(&frame) + sizeof frame;
        if (rc == ARIZMQ_OK && bundle->bytes > max_bytes) {
            rc = ARIZMQ_ETOOLARGE;
        } else if (rc == ARIZMQ_OK && bundle->count == bundle->room && !bundle_grow(bundle)) {
            rc = ARIZMQ_ENOMEM;
        }
        if (rc == ARIZMQ_OK && !is_delimiter) {
            zmq_msg_init(&bundle->frames[bundle->count]);
            zmq_msg_move(&bundle->frames[bundle->count++], &frame);
        }
        zmq_msg_close(&frame);
    }
    return rc;
}

/* Says why, and shows the beginning of the header where it is text, as JSON has it: nothing in it
 * can steer a terminal. */
static void refuse(struct dealer *self, const char *why, const char *text, size_t length)
{
    size_t shown = length < TEXT_SHOWN ? length : TEXT_SHOWN;
    while (shown < length && shown > 0 && ((unsigned char)text[shown] & 0xc0) == 0x80) {
        shown--;
    }
    json_t *string = json_stringn(text, shown); /* NULL unless it is UTF-8 */
    char *quoted = string == NULL ? NULL : json_dumps(string, JSON_ENCODE_ANY);
    explain(self, "%.*s: the reply is not understood: %s", ENDPOINT_SHOWN, self->endpoint, why);
    if (quoted != NULL && shown > 0) {
        size_t used = strlen(self->failure);
        quoted[strlen(quoted) - 1] = '\0';
        snprintf(self->failure + used, sizeof self->failure - used, ": %s%s\"", quoted,
                 shown < length ? "…" : "");
    }
    free(quoted);
    json_decref(string);
}

/* From what came to a reply. */
static int bundle_read(struct dealer *self, struct bundle *bundle, struct arizmq_reply **out)
{
    char header[TEXT_SHOWN + 1] = "";
    size_t length = 0;
    if (bundle->count > 0) {
        length = zmq_msg_size(&bundle->frames[0]);
        length = length < sizeof header ? length : sizeof header;
        memcpy(header, zmq_msg_data(&bundle->frames[0]), length);
    }
    const char *why = NULL;
    int rc = reply_read(bundle->frames, bundle->count, self->header, out, &why);
    if (rc == ARIZMQ_EPROTOCOL) {
        refuse(self, why, header, length);
    } else if (rc == ARIZMQ_ENOMEM) {
        explain(self, "no memory for the reply");
    }
    return rc;
}

/* Takes the reply if it is there. */
static int receive(struct dealer *self, struct arizmq_reply **out)
{
    struct bundle bundle = {0};
    int rc = bundle_receive(&bundle, self->socket, self->max_reply_bytes);
    if (rc == ARIZMQ_ENOTFOUND) {
        return rc;
    }
    if (rc == ARIZMQ_OK) {
        rc = bundle_read(self, &bundle, out);
    } else {
        reply_free_frames(bundle.frames, bundle.count);
        if (rc == ARIZMQ_ETOOLARGE) {
            explain(self, "the reply of %.*s has %zu bytes; %zu are allowed", ENDPOINT_SHOWN,
                    self->endpoint, bundle.bytes, self->max_reply_bytes);
        } else {
            explain(self, "no memory for the reply");
        }
    }
    if (rc != ARIZMQ_OK) {
        return fail(self, rc);
    }
    json_decref(self->header);
    self->header = NULL;
    return ARIZMQ_OK;
}

static int fail_late(struct dealer *self)
{
    switch (self->progress) {
    case MONITOR_SPEAKS:
        explain(self, "no reply from %.*s within %llu ms", ENDPOINT_SHOWN, self->endpoint,
                (unsigned long long)self->patience_ms);
        return fail(self, ARIZMQ_ETIMEOUT);
    case MONITOR_CONNECTED:
        explain(self, "what answers at %.*s is no gateway of arizmqd", ENDPOINT_SHOWN,
                self->endpoint);
        return fail(self, ARIZMQ_EUNREACHABLE);
    default:
        explain(self, "nobody answers at %.*s", ENDPOINT_SHOWN, self->endpoint);
        return fail(self, ARIZMQ_EUNREACHABLE);
    }
}

int dealer_step(struct dealer *self, uint64_t now_ms, struct arizmq_reply **out)
{
    read_monitor(self);
    int rc = receive(self, out);
    if (rc != ARIZMQ_ENOTFOUND) {
        return rc;
    }
    if (self->connection_is_lost) {
        /* The reply would go to the routing id of the connection that is gone. */
        explain(self, "%.*s closed the connection before it replied", ENDPOINT_SHOWN,
                self->endpoint);
        return fail(self, ARIZMQ_ECLOSED);
    }
    return now_ms >= self->deadline_ms ? fail_late(self) : ARIZMQ_ENOTFOUND;
}

const char *dealer_failure(const struct dealer *self)
{
    return self->failure;
}
