/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The objects that a request names: in its path, its query and its JSON body. Which collection
 * holds which kind, and which parameters hold ids, is a table in mentions_table.c, taken from ARI's
 * api-docs; a path segment behind an unknown collection is looked at too, as an id of any kind.
 */
#ifndef ARIZMQ_GATEWAY_MENTIONS_H
#define ARIZMQ_GATEWAY_MENTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "event/objects.h"
#include "gateway/request.h"

enum { MENTIONS_MAX = 64, MENTION_ANY_KIND = OBJECT_KINDS };

struct mention {
    unsigned kind;  /* enum object_kind, or MENTION_ANY_KIND where the place does not tell */
    const char *id; /* percent-decoded, not terminated */
    size_t length;
    bool is_chosen; /* the id that the client chooses for what the command is to create, such as
                       channelId of POST channels; or may choose: the last segment of
                       POST bridges/{id} */
    bool is_guess;  /* found where ids are not expected for certain; counts only if it is known */
};

struct mentions {
    unsigned count;
    unsigned dropped; /* beyond MENTIONS_MAX; or members of a body beyond SCAN_MEMBERS_MAX */
    const char *app;  /* the Stasis application that the request names: its member `app`, else
                         the parameter `app` (of events/…: `application`), else that of
                         applications/{app}; NULL: none */
    struct mention item[MENTIONS_MAX];
    char *texts; /* private: owner of the decoded texts */
};

/* Returns ARIZMQ_OK or ARIZMQ_ENOMEM. mentions_release() frees. */
int mentions_read(const struct request *request, struct mentions *out);

void mentions_release(struct mentions *mentions);

#endif
