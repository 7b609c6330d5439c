/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The body of a reply to GET arizmq/snapshot, read object by object, each with its own bytes.
 */
#ifndef ARIZMQ_CLIENT_SNAPSHOT_BODY_H
#define ARIZMQ_CLIENT_SNAPSHOT_BODY_H

#include <stddef.h>
#include <stdint.h>

#include "arizmq/subscriber.h"
#include "event/scan.h"

struct snapshot_body;

/* Copies the body. Returns ARIZMQ_OK, ARIZMQ_EPROTOCOL where it is none, ARIZMQ_ENOMEM. */
int snapshot_body_create(const char *bytes, size_t length, struct snapshot_body **out);
void snapshot_body_destroy(struct snapshot_body **self);

uint64_t snapshot_body_epoch(const struct snapshot_body *self);
uint64_t snapshot_body_seq(const struct snapshot_body *self);
struct span snapshot_body_links(const struct snapshot_body *self); /* a JSON list */
struct span snapshot_body_ended(const struct snapshot_body *self); /* likewise, or empty */

/* The next object; what it points to is valid until the next call. Returns ARIZMQ_OK;
 * ARIZMQ_ENOTFOUND at the end; ARIZMQ_EPROTOCOL where what comes is none; ARIZMQ_ENOMEM. */
int snapshot_body_next(struct snapshot_body *self, struct arizmq_object *out);

#endif
