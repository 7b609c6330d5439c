/* SPDX-License-Identifier: MPL-2.0 */
/*
 * One message as it came from the bridge, and which view it came from.
 */
#ifndef ARIZMQ_CLI_MESSAGE_H
#define ARIZMQ_CLI_MESSAGE_H

#include <stddef.h>

#include "arizmq/stamp.h"

enum message_view {
    MESSAGE_VIEW_EVENTS,  /* {type}/{app}/{node}/{id}/ */
    MESSAGE_VIEW_OBJECTS, /* {kind}/{id}/{type}/{node}/ */
};

/* The bytes are borrowed from the frames and end with nothing in particular. */
struct message {
    const char *topic;
    size_t topic_length;
    const char *event;
    size_t event_length;
    struct arizmq_stamp stamp;
};

#endif
