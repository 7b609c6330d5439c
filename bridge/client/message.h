/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The three frames of a published message, whichever way they came.
 */
#ifndef ARIZMQ_CLIENT_MESSAGE_H
#define ARIZMQ_CLIENT_MESSAGE_H

#include <stddef.h>

#include "arizmq/stamp.h"

enum { MESSAGE_FRAMES = 3 };

/* The bytes are borrowed from the frames and end with nothing in particular. */
struct message {
    const char *topic;
    size_t topic_length;
    const char *event;
    size_t event_length;
    struct arizmq_stamp stamp;
};

#endif
