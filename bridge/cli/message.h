/* SPDX-License-Identifier: MPL-2.0 */
/*
 * One message as it came from the bridge, and which view it came from.
 */
#ifndef ARIZMQ_CLI_MESSAGE_H
#define ARIZMQ_CLI_MESSAGE_H

#include "client/message.h"

enum message_view {
    MESSAGE_VIEW_EVENTS,  /* {type}/{app}/{node}/{id}/ */
    MESSAGE_VIEW_OBJECTS, /* {kind}/{id}/{type}/{node}/ */
};

#endif
