/* SPDX-License-Identifier: MPL-2.0 */
/*
 * One request to the gateway of arizmqd and its reply, for the commands that ask for something.
 */
#ifndef ARIZMQ_CLI_CLIENT_H
#define ARIZMQ_CLI_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <zmq.h>

/* Everything is borrowed. */
struct client_request {
    const char *endpoint;
    json_t *header;   /* with method, uri, request_id and timeout_ms */
    const void *body; /* NULL: no body frame */
    size_t body_length;
    unsigned retries; /* further attempts, each with a new socket and the same frames */
};

/* A reply that was understood; client_reply_release() frees. */
struct client_reply {
    zmq_msg_t body_frame;
    json_t *header;  /* an object, with what follows checked */
    int status_code; /* 100 to 599 */
};

/* Sends the request and waits for the reply: for each attempt timeout_ms and CLIENT_GRACE_MS, so
 * that the bridge is the first to say that time is up; less where nobody answers at the endpoint.
 * Returns 0 and the reply; or, after one line about it on standard error, ARIZMQ_EINVALID if the
 * endpoint is none, ARIZMQ_ENOTFOUND if no reply came, ARIZMQ_EIO if what came is none or ZeroMQ
 * failed, ARIZMQ_ENOMEM. */
enum { CLIENT_GRACE_MS = 1000, CLIENT_CONNECT_MS = 3000, CLIENT_TIMEOUT_MS = 5000 };
int client_exchange(const struct client_request *request, struct client_reply *out);

void client_reply_release(struct client_reply *reply);

/* From here on SIGINT and SIGTERM end the process at once and quietly, as they do by default, but
 * also where it is the first of a container; a reader of standard output that goes away does not
 * end it. */
void client_prepare_signals(void);

/* A new request_id, a UUID, for free(); NULL without memory. */
char *client_make_id(void);

/* The string member of a reply's header; `otherwise` where it has none. */
const char *client_reply_text(const struct client_reply *reply, const char *name,
                              const char *otherwise);

/* Bytes of the body, not terminated. */
const char *client_reply_body(const struct client_reply *reply, size_t *length);

/* The exit status that tells the reply's class: 0 for 2xx, else the first digit. */
int client_reply_exit_status(const struct client_reply *reply);

/* Writes the status line to standard error: "200 OK (pbx1, 3.2 ms)". */
void client_reply_write_status(const struct client_reply *reply);

/* Flushes standard output. Returns whether everything was written or its reader went away; says
 * what went wrong otherwise. */
bool client_finish_output(void);

#endif
