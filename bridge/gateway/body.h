/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Bodies of replies that the bridge makes itself, as ZeroMQ messages.
 */
#ifndef ARIZMQ_GATEWAY_BODY_H
#define ARIZMQ_GATEWAY_BODY_H

#include <stddef.h>

#include <zmq.h>

/* Makes a message of malloc()ed text, which it takes over, without copying. Returns ARIZMQ_OK or
 * ARIZMQ_ENOMEM; then `text` is freed and *out is not written. */
int body_from_text(char *text, size_t length, zmq_msg_t *out);

/* Makes the body of one of the bridge's own errors; an empty one where there is no memory. */
void body_from_error(const char *message, zmq_msg_t *out);

#endif
