/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The ROUTER socket: takes the frames of requests apart into return path, header and body, and puts
 * replies together. It knows nothing of what is in them. Belongs to the command thread, but for
 * creation.
 */
#ifndef ARIZMQ_GATEWAY_DOOR_H
#define ARIZMQ_GATEWAY_DOOR_H

#include <stdbool.h>
#include <stddef.h>

#include <zmq.h>

#include "ops/config.h"

struct door;

/* Routing ids before the delimiter: one of the client, one more for each proxy on the way. */
enum { DOOR_HOPS_MAX = 8 };

/* The way back to a client. Its own copy of the routing ids; free with door_path_release(). */
struct door_path {
    unsigned hops;
    bool has_delimiter; /* an empty frame stood between routing ids and header, as REQ sends it */
    zmq_msg_t hop[DOOR_HOPS_MAX];
};

enum door_verdict {
    DOOR_NOTHING,   /* no message waits */
    DOOR_REQUEST,   /* header, and body if has_body */
    DOOR_TOO_LARGE, /* path is good; more than gateway.max_request_bytes. The body was dropped;
                       so was the header where it alone is too large */
    DOOR_MALFORMED, /* path is good; the frames are no request: none, or too many, all dropped */
    DOOR_NO_PATH,   /* nobody can be answered; it was counted */
};

/* One message, in the order in which its frames came: routing ids, perhaps a delimiter, header,
 * perhaps a body. The delimiter is the first empty frame among the first DOOR_HOPS_MAX + 1 that is
 * not the last; where there is none, one routing id is the whole path, as with a DEALER. Freed by
 * door_message_release(). */
struct door_message {
    struct door_path path;
    zmq_msg_t header;
    zmq_msg_t body;
    bool has_body;   /* there was a body frame, which may be empty */
    unsigned frames; /* behind the return path */
    size_t bytes;    /* of these */
};

/* Binds config->gateway.endpoint: ZMQ_ROUTER_MANDATORY, ZMQ_ROUTER_HANDOVER, marks of
 * gateway.max_requests, ZMQ_MAXMSGSIZE of 16 times max_request_bytes so that what is only somewhat
 * too large can still be answered; a client that sends a larger frame is disconnected by libzmq
 * without an answer. Returns ARIZMQ_OK; else ARIZMQ_E… with one line in
 * error[error_size] that names the endpoint and the reason. */
int door_create(const struct config_gateway *config, struct door **out, char *error,
                size_t error_size);

/* Replies not sent yet get up to `linger_ms`. */
void door_destroy(struct door **self, int linger_ms);

/* The address that was bound; tells the port where the configuration left it to the system. */
const char *door_endpoint(const struct door *self);

/* Readable when something may have changed (ZMQ_FD: edge-triggered; see door_has_input()). */
int door_fd(const struct door *self);

/* Whether a message waits. To be asked after every send, before waiting for door_fd(). */
bool door_has_input(struct door *self);

/* Nothing waited when it was last looked, and nothing was sent since: door_fd() will tell of the
 * next message, and door_has_input() need not be asked. */
bool door_is_drained(const struct door *self);

/* Takes one message, never waits. For DOOR_NOTHING and DOOR_NO_PATH there is nothing to release. */
enum door_verdict door_receive(struct door *self, struct door_message *out);

/* Moves the path of a message out of it, to keep it; `to` holds none. */
void door_path_move(struct door_path *to, struct door_path *from);

void door_message_release(struct door_message *message);
void door_path_release(struct door_path *path);

/* Further frames of a reply, behind the body. They are the caller's; those that were sent are empty
 * afterwards. */
struct door_frames {
    zmq_msg_t *frame;
    size_t count;
};

/* Sends a reply: header[0..length), which it takes over (malloc()ed), the body frame, whose content
 * it shares and leaves to the caller, and `rest`, NULL for none. `path` is used up and released.
 * Never waits. A client that is gone, or goes meanwhile, or has stopped reading, gets nothing:
 * counted, METRIC_GATEWAY_UNDELIVERABLE. */
void door_send(struct door *self, struct door_path *path, char *header, size_t length,
               zmq_msg_t *body, const struct door_frames *rest);

#endif
