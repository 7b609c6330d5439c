/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Joining exactly: a subscriber that is given a snapshot query gets first every object that there
 * is (SNAPSHOT_BEGIN, an OBJECT each, SNAPSHOT_END), then every event with a seq above the
 * snapshot's, and none twice.
 *
 *     const struct arizmq_snapshot_query query = {.kinds = "channels,bridges"};
 *     … options.snapshot = &query; …
 *
 * A snapshot at seq S is what the events up to S say: the last value of each object that has begun
 * and not ended. So who folds the events above S into it (state.h) always has what a snapshot taken
 * now would say. Where events were lost that could not be repaired, or the bridge was started anew,
 * another snapshot comes, after the LOSS, and the same holds again.
 *
 * Each endpoint has snapshots of its own. Where there is none to be had (nobody answers, or the
 * bridge says no) events wait for it, and a NOTICE tells each time that it is tried again.
 */
#ifndef ARIZMQ_SNAPSHOT_H
#define ARIZMQ_SNAPSHOT_H

#include "arizmq/subscriber.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What is NULL leaves nothing out. Events are not filtered by it. */
struct arizmq_snapshot_query {
    const char *kinds; /* a comma list of channels, bridges, playbacks, recordings, endpoints,
                          deviceStates */
    const char *node;
    const char *app;
};

#ifdef __cplusplus
}
#endif

#endif
