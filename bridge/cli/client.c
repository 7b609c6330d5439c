/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The wire side of `arizmq req` and `arizmq nodes`: a request leaves through a DEALER socket,
 * framed as REQ does it, and its reply comes back; each attempt has a socket of its own, so that an
 * answer to an earlier one cannot be taken for it. What is in a body is the command's affair.
 * Nothing here writes to standard output.
 */
#include "cli/client.h"

#include <czmq.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arizmq/error.h"
#include "cli/arguments.h"
#include "cli/text.h"

enum { FRAMES_MAX = 3 }; /* delimiter, header, body */

/* How far an attempt has come. */
enum progress { PROGRESS_NONE, PROGRESS_CONNECTED, PROGRESS_SPEAKS, PROGRESS_LOST, PROGRESS_REPLY };

struct attempt {
    const struct client_request *request;
    const char *header; /* text of request->header */
    void *socket;
    void *monitor;
    enum progress progress;
    int64_t deadline_ms;
    int64_t patience_ms; /* from the handshake on */
    zmq_msg_t frames[FRAMES_MAX];
    unsigned frames_count; /* may be more than are kept */
};

static void handle_signal(int number)
{
    raise(number);       /* its default effect, which ends the loop of a shell, too */
    _exit(128 + number); /* the first process of a container survives that */
}

void client_prepare_signals(void)
{
    struct sigaction action = {.sa_handler = handle_signal,
                               .sa_flags = (int)(SA_RESETHAND | SA_NODEFER)};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

char *client_make_id(void)
{
    zuuid_t *uuid = zuuid_new();
    char *text = uuid == NULL ? NULL : strdup(zuuid_str_canonical(uuid));
    zuuid_destroy(&uuid);
    return text;
}

static void attempt_close(struct attempt *self)
{
    for (unsigned i = 0; i < FRAMES_MAX; i++) {
        zmq_msg_close(&self->frames[i]);
    }
    if (self->monitor != NULL) {
        zmq_close(self->monitor);
    }
    if (self->socket != NULL) {
        zmq_close(self->socket);
    }
}

/* The monitor tells why no reply comes. */
static int open_monitor(struct attempt *self, void *context, unsigned number)
{
    char name[64];
    snprintf(name, sizeof name, "inproc://client-monitor-%u", number);
    const int events = ZMQ_EVENT_CONNECTED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED;
    self->monitor = zmq_socket(context, ZMQ_PAIR);
    return self->monitor != NULL && zmq_socket_monitor(self->socket, name, events) == 0 &&
                   zmq_connect(self->monitor, name) == 0
               ? ARIZMQ_OK
               : ARIZMQ_EIO;
}

static int send_request(const struct attempt *self)
{
    const struct client_request *request = self->request;
    int more = request->body != NULL ? ZMQ_SNDMORE : 0;
    if (zmq_send(self->socket, "", 0, ZMQ_SNDMORE) < 0 ||
        zmq_send(self->socket, self->header, strlen(self->header), more) < 0 ||
        (more != 0 && zmq_send(self->socket, request->body, request->body_length, 0) < 0)) {
        return ARIZMQ_EIO;
    }
    return ARIZMQ_OK;
}

/* Returns 0, ARIZMQ_EINVALID if the endpoint is none, or ARIZMQ_EIO with errno. */
static int attempt_open(struct attempt *self, void *context, unsigned number)
{
    const int linger_ms = 0;
    self->socket = zmq_socket(context, ZMQ_DEALER);
    if (self->socket == NULL ||
        zmq_setsockopt(self->socket, ZMQ_LINGER, &linger_ms, sizeof linger_ms) != 0 ||
        open_monitor(self, context, number) != ARIZMQ_OK) {
        return ARIZMQ_EIO;
    }
    if (!arguments_endpoint_is_allowed(self->request->endpoint) ||
        zmq_connect(self->socket, self->request->endpoint) != 0) {
        return ARIZMQ_EINVALID;
    }
    return send_request(self);
}

static void read_monitor(struct attempt *self)
{
    zmq_msg_t frame;
    zmq_msg_init(&frame);
    uint16_t event = 0;
    if (zmq_msg_recv(&frame, self->monitor, ZMQ_DONTWAIT) >= (int)sizeof event) {
        memcpy(&event, zmq_msg_data(&frame), sizeof event);
        while (zmq_msg_more(&frame) && zmq_msg_recv(&frame, self->monitor, 0) >= 0) {
        }
    }
    zmq_msg_close(&frame);
    if (event == ZMQ_EVENT_CONNECTED) {
        self->progress = PROGRESS_CONNECTED;
    } else if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
        self->progress = PROGRESS_SPEAKS;
        self->deadline_ms = zclock_mono() + self->patience_ms;
    } else if (event == ZMQ_EVENT_DISCONNECTED && self->progress == PROGRESS_SPEAKS) {
        /* The reply would go to the routing id of the connection that is gone. */
        self->progress = PROGRESS_LOST;
    }
}

/* Takes one message; frames beyond FRAMES_MAX go into the last slot. */
static void receive(struct attempt *self)
{
    unsigned slot = 0;
    self->frames_count = 0;
    do {
        slot = self->frames_count < FRAMES_MAX ? self->frames_count : FRAMES_MAX - 1;
        if (zmq_msg_recv(&self->frames[slot], self->socket, ZMQ_DONTWAIT) < 0) {
            return;
        }
        self->frames_count++;
    } while (zmq_msg_more(&self->frames[slot]));
    self->progress = PROGRESS_REPLY;
}

/* Until there is a reply, or none can come any more, or time is up. */
static int attempt_wait(struct attempt *self)
{
    while (self->progress != PROGRESS_REPLY && self->progress != PROGRESS_LOST) {
        int64_t left_ms = self->deadline_ms - zclock_mono();
        if (left_ms <= 0) {
            break;
        }
        zmq_pollitem_t items[] = {{.socket = self->socket, .events = ZMQ_POLLIN},
                                  {.socket = self->monitor, .events = ZMQ_POLLIN}};
        if (zmq_poll(items, 2, (long)left_ms) < 0 && errno != EINTR) {
            return ARIZMQ_EIO;
        }
        if (items[0].revents != 0) {
            receive(self);
        } else if (items[1].revents != 0) {
            read_monitor(self);
        }
    }
    return ARIZMQ_OK;
}

static const char *member_text(const json_t *header, const char *name, const char *otherwise)
{
    const char *text = json_string_value(json_object_get(header, name));
    return text != NULL ? text : otherwise;
}

/* Why there is no reply; then, where it was the last attempt, what that means. */
static void tell_no_reply(const struct attempt *self, unsigned left)
{
    const struct client_request *request = self->request;
    const char *id = member_text(request->header, "request_id", "");
    switch (self->progress) {
    case PROGRESS_NONE:
        fprintf(stderr, "arizmq: nobody answers at %s", request->endpoint);
        break;
    case PROGRESS_CONNECTED:
        fprintf(stderr, "arizmq: what answers at %s is no gateway of arizmqd", request->endpoint);
        break;
    case PROGRESS_LOST:
        fprintf(stderr, "arizmq: %s closed the connection before it replied", request->endpoint);
        break;
    default:
        fprintf(stderr, "arizmq: no reply from %s within %lld ms", request->endpoint,
                (long long)self->patience_ms);
        break;
    }
    if (left > 0) {
        fputs("; trying again with the same request_id\n", stderr);
    } else if (self->progress == PROGRESS_NONE || self->progress == PROGRESS_CONNECTED) {
        fputc('\n', stderr);
    } else {
        fputs("; whether the request was carried out is not known, the same again with "
              "--request-id=",
              stderr);
        text_write_clean(stderr, id, strlen(id), "");
        fputs(" will not do it twice\n", stderr);
    }
}

/* Shows the beginning of `value` where it is text. */
static int refuse_reply(const struct attempt *self, const char *reason, const char *value,
                        size_t length)
{
    enum { SHOWN_MAX = 80 };
    json_t *text = json_stringn(value, length); /* NULL unless it is UTF-8 */
    fprintf(stderr, "arizmq: %s: the reply is not understood: %s", self->request->endpoint, reason);
    if (text != NULL) {
        size_t shown = length < SHOWN_MAX ? length : SHOWN_MAX;
        while (shown < length && shown > 0 && ((unsigned char)value[shown] & 0xc0) == 0x80) {
            shown--;
        }
        fputs(": \"", stderr);
        text_write_clean(stderr, value, shown, "");
        fputs(shown < length ? "…\"" : "\"", stderr);
        json_decref(text);
    }
    fputc('\n', stderr);
    return ARIZMQ_EIO;
}

/* Checks what came and takes it out of the attempt. */
static int read_reply(struct attempt *self, struct client_reply *out)
{
    bool has_delimiter = zmq_msg_size(&self->frames[0]) == 0;
    unsigned frames = self->frames_count - has_delimiter;
    if (frames != 2) {
        char reason[80];
        snprintf(reason, sizeof reason, "frames: %u; expected 2, header and body", frames);
        return refuse_reply(self, reason, NULL, 0);
    }
    zmq_msg_t *frame = &self->frames[has_delimiter];
    const char *text = zmq_msg_data(frame);
    size_t length = zmq_msg_size(frame);
    json_t *header = json_loadb(text, length, JSON_ALLOW_NUL, NULL);
    int rc = ARIZMQ_OK;
    const json_t *status = json_object_get(header, "status_code");
    const char *asked = member_text(self->request->header, "request_id", "");
    const char *id = member_text(header, "request_id", asked);
    if (!json_is_object(header)) {
        rc = refuse_reply(self, "its header is no JSON object", text, length);
    } else if (!json_is_integer(status) || json_integer_value(status) < 100 ||
               json_integer_value(status) > 599) {
        rc = refuse_reply(self, "its header has no status_code from 100 to 599", text, length);
    } else if (strcmp(id, asked) != 0) {
        rc = refuse_reply(self, "it is the reply to another request_id", id, strlen(id));
    }
    if (rc != ARIZMQ_OK) {
        json_decref(header);
        return rc;
    }
    out->header = header;
    out->status_code = (int)json_integer_value(status);
    zmq_msg_init(&out->body_frame);
    zmq_msg_move(&out->body_frame, frame + 1);
    return ARIZMQ_OK;
}

static int attempt_run(const struct client_request *request, const char *header, void *context,
                       unsigned number, struct client_reply *out)
{
    json_int_t timeout_ms = json_integer_value(json_object_get(request->header, "timeout_ms"));
    struct attempt self = {.request = request,
                           .header = header,
                           .patience_ms = timeout_ms + CLIENT_GRACE_MS,
                           .deadline_ms = zclock_mono() + CLIENT_CONNECT_MS};
    for (unsigned i = 0; i < FRAMES_MAX; i++) {
        zmq_msg_init(&self.frames[i]);
    }
    int rc = attempt_open(&self, context, number);
    if (rc == ARIZMQ_OK) {
        rc = attempt_wait(&self);
    }
    if (rc == ARIZMQ_EINVALID) {
        fprintf(stderr,
                "arizmq: \"%s\" is no endpoint to connect to; allowed: tcp://HOST:PORT, "
                "ipc://PATH\n",
                request->endpoint);
    } else if (rc == ARIZMQ_EIO) {
        fprintf(stderr, "arizmq: no socket for %s: %s\n", request->endpoint, zmq_strerror(errno));
    } else if (self.progress == PROGRESS_REPLY) {
        rc = read_reply(&self, out);
    } else {
        rc = ARIZMQ_ENOTFOUND;
        tell_no_reply(&self, request->retries - number);
    }
    attempt_close(&self);
    return rc;
}

int client_exchange(const struct client_request *request, struct client_reply *out)
{
    int rc = ARIZMQ_ENOTFOUND;
    void *context = zmq_ctx_new();
    char *header = json_dumps(request->header, JSON_COMPACT);
    if (context == NULL || header == NULL) {
        fputs("arizmq: no memory\n", stderr);
        rc = ARIZMQ_ENOMEM;
    }
    for (unsigned i = 0; rc == ARIZMQ_ENOTFOUND && i <= request->retries; i++) {
        rc = attempt_run(request, header, context, i, out);
    }
    free(header);
    if (context != NULL) {
        zmq_ctx_term(context);
    }
    return rc;
}

void client_reply_release(struct client_reply *reply)
{
    zmq_msg_close(&reply->body_frame);
    json_decref(reply->header);
    reply->header = NULL;
}

const char *client_reply_text(const struct client_reply *reply, const char *name,
                              const char *otherwise)
{
    return member_text(reply->header, name, otherwise);
}

const char *client_reply_body(const struct client_reply *reply, size_t *length)
{
    zmq_msg_t *frame = (zmq_msg_t *)&reply->body_frame; /* libzmq's readers are not const */
    *length = zmq_msg_size(frame);
    return zmq_msg_data(frame);
}

int client_reply_exit_status(const struct client_reply *reply)
{
    int digit = reply->status_code / 100;
    return digit == 2 ? 0 : digit;
}

void client_reply_write_status(const struct client_reply *reply)
{
    const char *const words[] = {client_reply_text(reply, "node", ""),
                                 client_reply_text(reply, "error", "")};
    const char *reason = client_reply_text(reply, "reason_phrase", "");
    const json_t *elapsed = json_object_get(reply->header, "elapsed_ms");
    const char *before = " (";
    fprintf(stderr, "%d%s", reply->status_code, *reason != '\0' ? " " : "");
    text_write_clean(stderr, reason, strlen(reason), "");
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (*words[i] != '\0') {
            fputs(before, stderr);
            text_write_clean(stderr, words[i], strlen(words[i]), "");
            before = ", ";
        }
    }
    if (json_is_number(elapsed)) {
        double ms = json_number_value(elapsed);
        fprintf(stderr, "%s%.*f ms", before, ms < 1 ? 2 : 1, ms);
        before = ", ";
    }
    fputs(*before == ',' ? ")\n" : "\n", stderr);
}

bool client_finish_output(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout)) {
        return true;
    }
    if (errno == EPIPE) {
        return true;
    }
    fprintf(stderr, "arizmq: cannot write the output: %s\n", strerror(errno));
    return false;
}
