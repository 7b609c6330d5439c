/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The gateway's ROUTER socket. Every message of a client comes in through door_receive() and every
 * reply leaves through door_send(); the command thread calls both. It looks at frames, never into
 * them, and it never waits: a client that does not read loses its own replies and nobody else's.
 */
#include "gateway/door.h"

#include <czmq.h>

#include "arizmq/error.h"
#include "ops/log.h"
#include "ops/metrics.h"

/* libzmq ends the connection of a client that sends a frame larger than max_request_bytes times
 * this; up to there it gets an answer. */
enum { ANSWERED_SIZE_FACTOR = 16 };

/* Replies that may wait for one client: one for each request under way, and these refusals. libzmq
 * hears late of what its I/O thread has sent, so a smaller mark would drop replies of a client that
 * reads. */
enum { REFUSALS_WAITING_MAX = 1000 };

struct door {
    zsock_t *socket;
    void *handle; /* the libzmq socket within */
    size_t max_request_bytes;
    bool is_drained;
};

static int door_bind(struct door *door, const struct config_gateway *config)
{
    int max_requests = (int)config->max_requests; /* at most 1000000 */
    int64_t most = (int64_t)config->max_request_bytes * ANSWERED_SIZE_FACTOR;
    door->socket = zsock_new(ZMQ_ROUTER);
    if (door->socket == NULL) {
        return ARIZMQ_ENOMEM;
    }
    door->handle = zsock_resolve(door->socket);
    /* Without it libzmq knows no IPv6 address. */
    zsock_set_ipv6(door->socket, strchr(config->endpoint, '[') != NULL);
    zsock_set_router_mandatory(door->socket, 1);
    zsock_set_router_handover(door->socket, 1);
    zsock_set_sndhwm(door->socket, max_requests + REFUSALS_WAITING_MAX);
    zsock_set_rcvhwm(door->socket, max_requests);
    zmq_setsockopt(door->handle, ZMQ_MAXMSGSIZE, &most, sizeof most);
    /* A client whose machine is gone without a word is noticed after 90 seconds. */
    zsock_set_tcp_keepalive(door->socket, 1);
    zsock_set_tcp_keepalive_idle(door->socket, 60);
    zsock_set_tcp_keepalive_intvl(door->socket, 10);
    zsock_set_tcp_keepalive_cnt(door->socket, 3);
    return zsock_bind(door->socket, "%s", config->endpoint) < 0 ? ARIZMQ_EIO : ARIZMQ_OK;
}

int door_create(const struct config_gateway *config, struct door **out, char *error,
                size_t error_size)
{
    struct door *door = calloc(1, sizeof *door);
    int result = door == NULL ? ARIZMQ_ENOMEM : door_bind(door, config);
    if (result == ARIZMQ_EIO) {
        snprintf(error, error_size, "gateway.endpoint: cannot bind %s: %s", config->endpoint,
                 zmq_strerror(errno));
    } else if (result != ARIZMQ_OK) {
        snprintf(error, error_size, "gateway.endpoint: no memory for the socket on %s",
                 config->endpoint);
    }
    if (result != ARIZMQ_OK) {
        door_destroy(&door, 0);
        return result;
    }
    door->max_request_bytes = config->max_request_bytes;
    *out = door;
    return ARIZMQ_OK;
}

void door_destroy(struct door **self, int linger_ms)
{
    if (*self == NULL) {
        return;
    }
    if ((*self)->socket != NULL) {
        zsock_set_linger((*self)->socket, linger_ms);
        zsock_destroy(&(*self)->socket);
    }
    free(*self);
    *self = NULL;
}

const char *door_endpoint(const struct door *self)
{
    return zsock_endpoint(self->socket);
}

int door_fd(const struct door *self)
{
    int fd = -1;
    size_t size = sizeof fd;
    zmq_getsockopt(self->handle, ZMQ_FD, &fd, &size);
    return fd;
}

bool door_has_input(struct door *self)
{
    int events = 0;
    size_t size = sizeof events;
    return zmq_getsockopt(self->handle, ZMQ_EVENTS, &events, &size) == 0 &&
           (events & ZMQ_POLLIN) != 0;
}

bool door_is_drained(const struct door *self)
{
    return self->is_drained;
}

/* --- receiving */

/* Takes the next frame. Returns 1 where more of its message follow, 0 for the last, -1 for none. */
static int receive_frame(struct door *door, zmq_msg_t *frame)
{
    int result;
    zmq_msg_init(frame);
    do {
        result = zmq_msg_recv(frame, door->handle, ZMQ_DONTWAIT);
    } while (result < 0 && errno == EINTR);
    return result < 0 ? -1 : zmq_msg_more(frame);
}

/* The frames that may be a return path: up to the delimiter, or as many as may stand before it. */
struct door_front {
    unsigned count;
    bool has_delimiter; /* it is the last of them */
    int more;           /* as receive_frame() says */
    zmq_msg_t frame[DOOR_HOPS_MAX + 1];
};

static void receive_front(struct door *door, struct door_front *front)
{
    front->count = 0;
    front->has_delimiter = false;
    do {
        zmq_msg_t *frame = &front->frame[front->count];
        front->more = receive_frame(door, frame);
        if (front->more < 0) {
            return;
        }
        front->count++;
        /* An empty frame at the end is the body, or the header, of a request without delimiter. */
        front->has_delimiter = front->count > 1 && front->more > 0 && zmq_msg_size(frame) == 0;
    } while (front->more > 0 && !front->has_delimiter && front->count <= DOOR_HOPS_MAX);
}

/* Takes over the next frame of the request itself. Beyond the second they are only counted. */
static void take_frame(struct door_message *message, zmq_msg_t *frame)
{
    message->frames++;
    message->bytes += zmq_msg_size(frame);
    if (message->frames == 1) {
        zmq_msg_move(&message->header, frame);
    } else if (message->frames == 2) {
        zmq_msg_move(&message->body, frame);
        message->has_body = true;
    }
    zmq_msg_close(frame);
}

/* Shares the front out between path and request. */
static void take_front(struct door_message *message, struct door_front *front)
{
    struct door_path *path = &message->path;
    path->has_delimiter = front->has_delimiter;
    path->hops = front->has_delimiter ? front->count - 1 : 1;
    for (unsigned i = 0; i < front->count; i++) {
        if (i < path->hops) {
            zmq_msg_init(&path->hop[i]);
            zmq_msg_move(&path->hop[i], &front->frame[i]);
            zmq_msg_close(&front->frame[i]);
        } else if (front->has_delimiter) {
            zmq_msg_close(&front->frame[i]);
        } else {
            take_frame(message, &front->frame[i]);
        }
    }
}

static void drop_frame(zmq_msg_t *frame)
{
    zmq_msg_close(frame);
    zmq_msg_init(frame);
}

static enum door_verdict judge(const struct door *door, struct door_message *message)
{
    bool is_nothing = message->frames == 1 && message->bytes == 0 && !message->path.has_delimiter;
    if (message->frames == 0 || message->frames > 2 || is_nothing) {
        drop_frame(&message->header);
        drop_frame(&message->body);
        return DOOR_MALFORMED;
    }
    if (message->bytes > door->max_request_bytes) {
        drop_frame(&message->body);
        if (zmq_msg_size(&message->header) > door->max_request_bytes) {
            drop_frame(&message->header);
        }
        return DOOR_TOO_LARGE;
    }
    return DOOR_REQUEST;
}

enum door_verdict door_receive(struct door *self, struct door_message *out)
{
    struct door_front front;
    receive_front(self, &front);
    self->is_drained = front.count == 0;
    if (self->is_drained) {
        return DOOR_NOTHING;
    }
    *out = (struct door_message){0};
    zmq_msg_init(&out->header);
    zmq_msg_init(&out->body);
    take_front(out, &front);
    int more = front.more;
    while (more > 0) {
        zmq_msg_t frame;
        more = receive_frame(self, &frame);
        if (more >= 0) {
            take_frame(out, &frame);
        }
    }
    metrics_add(METRIC_GATEWAY_REQUESTS, 1);
    metrics_add(METRIC_GATEWAY_BYTES, out->bytes);
    if (more < 0) {
        metrics_add(METRIC_GATEWAY_NO_PATH, 1);
        log_warning("gateway_message_lost", "a message ended after its frame %u: %s; counted",
                    front.count + out->frames, zmq_strerror(errno));
        door_message_release(out);
        return DOOR_NO_PATH;
    }
    return judge(self, out);
}

void door_path_move(struct door_path *to, struct door_path *from)
{
    to->hops = from->hops;
    to->has_delimiter = from->has_delimiter;
    for (unsigned i = 0; i < from->hops; i++) {
        zmq_msg_init(&to->hop[i]);
        zmq_msg_move(&to->hop[i], &from->hop[i]);
        zmq_msg_close(&from->hop[i]);
    }
    from->hops = 0;
}

void door_path_release(struct door_path *path)
{
    for (unsigned i = 0; i < path->hops; i++) {
        zmq_msg_close(&path->hop[i]);
    }
    path->hops = 0;
}

void door_message_release(struct door_message *message)
{
    zmq_msg_close(&message->header);
    zmq_msg_close(&message->body);
    door_path_release(&message->path);
}

/* --- sending */

static void free_header(void *header, void *hint)
{
    (void)hint;
    free(header);
}

static bool send_frame(struct door *door, zmq_msg_t *frame, int more)
{
    int result;
    do {
        result = zmq_msg_send(frame, door->handle, more | ZMQ_DONTWAIT);
    } while (result < 0 && errno == EINTR);
    return result >= 0;
}

/* libzmq decides on the first hop whether the client is there and has room; what follows goes the
 * same way. */
static bool send_path(struct door *door, struct door_path *path)
{
    bool is_sent = true;
    for (unsigned i = 0; is_sent && i < path->hops; i++) {
        is_sent = send_frame(door, &path->hop[i], ZMQ_SNDMORE);
    }
    if (is_sent && path->has_delimiter) {
        zmq_msg_t delimiter;
        zmq_msg_init(&delimiter);
        is_sent = send_frame(door, &delimiter, ZMQ_SNDMORE);
    }
    return is_sent;
}

void door_send(struct door *self, struct door_path *path, char *header, size_t length,
               zmq_msg_t *body)
{
    zmq_msg_t first;
    zmq_msg_t last;
    self->is_drained = false; /* sending may take the signal of a new message off door_fd() */
    zmq_msg_init(&last);
    /* All memory is had before the first frame goes out: a message that began must be ended. */
    bool is_sent = true;
    if (zmq_msg_init_data(&first, header, length, free_header, NULL) != 0) {
        zmq_msg_init(&first);
        free(header);
        is_sent = false;
    }
    is_sent = is_sent && zmq_msg_copy(&last, body) == 0 && send_path(self, path) &&
              send_frame(self, &first, ZMQ_SNDMORE) && send_frame(self, &last, 0);
    zmq_msg_close(&first);
    zmq_msg_close(&last);
    door_path_release(path);
    metrics_add(is_sent ? METRIC_GATEWAY_REPLIES : METRIC_GATEWAY_UNDELIVERABLE, 1);
}
