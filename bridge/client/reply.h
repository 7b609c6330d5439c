/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A reply of the gateway: its frames, and its header read.
 */
#ifndef ARIZMQ_CLIENT_REPLY_H
#define ARIZMQ_CLIENT_REPLY_H

#include <jansson.h>
#include <zmq.h>

#include "arizmq/gateway.h"

struct arizmq_reply {
    zmq_msg_t *frames; /* header, body, and what follows */
    size_t count;      /* 2 or more */
    json_t *header;    /* an object */
    int status_code;   /* 100 to 599 */
};

/* Makes a reply of frames[0..count), which it takes over in any case; `asked` is the header of the
 * request, whose ids the reply must not contradict. Returns ARIZMQ_OK; ARIZMQ_EPROTOCOL with *why a
 * few words, or ARIZMQ_ENOMEM. */
int reply_read(zmq_msg_t *frames, size_t count, const json_t *asked, struct arizmq_reply **out,
               const char **why);

/* Closes and frees frames[0..count). */
void reply_free_frames(zmq_msg_t *frames, size_t count);

#endif
