/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What tests of history begin with: a fake Asterisk, the daemon, a subscriber to everything in each
 * view, and a client of the gateway.
 */
#ifndef ARIZMQ_FLOW_HISTORY_STAGE_H
#define ARIZMQ_FLOW_HISTORY_STAGE_H

#include "flow/ask.h"
#include "flow/scene.h"

enum { HISTORY_STAGE_VIEWS = 2 };

extern const char *const history_stage_names[HISTORY_STAGE_VIEWS];

/* What the subscriber to one view has received, without heartbeats. */
struct history_record {
    struct subscriber *subscriber;
    struct subscriber_message *messages;
    size_t count;
    size_t capacity;
};

struct history_stage {
    unsigned max_requests; /* of the gateway; 0: the default. The rest begins empty. */

    struct fake *fake;
    struct daemon *daemon;
    struct history_record record[HISTORY_STAGE_VIEWS];
    struct asker *asker;
    uint64_t epoch; /* once something was recorded */
};

/* `history` are members of the configuration's `history`. The Asterisk is connected on return. */
void history_stage_open(struct history_stage *stage, const char *history);
/* Stops the daemon, unless it has been. */
void history_stage_close(struct history_stage *stage);

/* Receives in both views until heartbeats say that there is nothing up to `seq`. */
void history_stage_record(struct history_stage *stage, uint64_t seq);

#endif
