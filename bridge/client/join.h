/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Getting a snapshot and handing it out.
 */
#ifndef ARIZMQ_CLIENT_JOIN_H
#define ARIZMQ_CLIENT_JOIN_H

#include "arizmq/snapshot.h"
#include "client/dealer.h"

struct join;

/* The query's texts are copied; the dealer must outlive it. Returns ARIZMQ_OK or ARIZMQ_ENOMEM. */
int join_create(const struct arizmq_snapshot_query *query, struct dealer *dealer,
                uint32_t timeout_ms, struct join **out);
void join_destroy(struct join **self);

/* Asks for a snapshot of this run of the bridge. Where that cannot be, join_step() says so. */
void join_begin(struct join *self, uint64_t epoch);

/* Returns ARIZMQ_OK with a message of the snapshot, valid until the next call; ARIZMQ_ENOTFOUND
 * where it waits for the dealer; ARIZMQ_ECLOSED after the last one; ARIZMQ_EPROTOCOL where there is
 * no snapshot to be had: join_failure() has a sentence; ARIZMQ_ENOMEM likewise. */
int join_step(struct join *self, uint64_t now_ms, struct arizmq_message *out);

const char *join_failure(const struct join *self);
uint64_t join_seq(const struct join *self); /* of the snapshot that was handed out */

#endif
