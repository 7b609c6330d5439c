/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A turn of the walk for each turn of the loop, in which sockets are read all the time. The
 * command thread asks for one snapshot at a time (snapshot_desk.c).
 */
#include "gateway/snapshot_walker.h"

#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"
#include "keep/state_walk.h"
#include "ops/log.h"
#include "ops/metrics.h"

/* Some 50 microseconds of work. */
enum { ENTRIES_PER_TURN = 500 };

struct snapshot_walker {
    struct lws_context *context;
    struct pipeline *pipeline;
    struct feed *feed;
    lws_sorted_usec_list_t next_turn;
    uint64_t number; /* of the letter that is being answered */
};

struct snapshot_walker *snapshot_walker_create(struct lws_context *context,
                                               struct pipeline *pipeline, struct feed *feed)
{
    struct snapshot_walker *walker = calloc(1, sizeof *walker);
    if (walker != NULL) {
        walker->context = context;
        walker->pipeline = pipeline;
        walker->feed = feed;
    }
    return walker;
}

void snapshot_walker_destroy(struct snapshot_walker **self)
{
    if (*self != NULL) {
        lws_sul_cancel(&(*self)->next_turn);
        free(*self);
        *self = NULL;
    }
}

static void discard(void *thing)
{
    struct snapshot *snapshot = thing;
    snapshot_destroy(&snapshot);
}

static void on_turn(lws_sorted_usec_list_t *sul)
{
    struct snapshot_walker *walker = lws_container_of(sul, struct snapshot_walker, next_turn);
    struct snapshot *snapshot = state_walk_on(pipeline_state(walker->pipeline), ENTRIES_PER_TURN);
    if (snapshot == NULL) {
        lws_sul_schedule(walker->context, 0, sul, on_turn, 1);
        return;
    }
    metrics_add(METRIC_SNAPSHOTS, 1);
    feed_hand(walker->feed, FEED_SNAPSHOT, walker->number, snapshot, discard);
}

void snapshot_walker_read(void *self, const struct post_letter *letter)
{
    struct snapshot_walker *walker = self;
    const struct snapshot_query *query = letter->bytes;
    const char *names = (const char *)(query + 1);
    const char *node = query->node_length > 0 ? names : NULL;
    const char *application = query->application_length > 0 ? names + query->node_length : NULL;
    int result = state_walk_begin(pipeline_state(walker->pipeline), query->kinds, node, application,
                                  pipeline_seq(walker->pipeline));
    if (result != ARIZMQ_OK) {
        log_warning("snapshot", "%s",
                    result == ARIZMQ_ENOMEM ? "no memory for a snapshot"
                                            : "asked for two snapshots at a time");
        feed_hand(walker->feed, FEED_SNAPSHOT, letter->number, NULL, discard);
        return;
    }
    walker->number = letter->number;
    lws_sul_schedule(walker->context, 0, &walker->next_turn, on_turn, 1);
}
