/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A bounded queue of records from one thread to one other, without locks: neither side ever waits
 * for the other. What was written before a push is seen by whoever pops that record.
 */
#ifndef ARIZMQ_BASE_QUEUE_H
#define ARIZMQ_BASE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>

struct queue;

/* One piece of a record. Borrowed. */
struct queue_part {
    const void *bytes;
    size_t length;
};

/* Holds about `capacity` bytes of records (each costs a few bytes more than its own), at least
 * 1024; allocated at once. Returns ARIZMQ_OK, ARIZMQ_EINVALID or ARIZMQ_ENOMEM. */
int queue_create(size_t capacity, struct queue **out);

/* Both threads must be done with it. Records left in it are dropped unseen. */
void queue_destroy(struct queue **self);

/* The writing thread: puts one record, made of the parts in order, behind the others. Records whose
 * loss is worse than another's pass a smaller `reserve`: a record is refused where fewer than
 * `reserve` bytes would be left. One of more than half of the capacity is always refused; a smaller
 * one always fits into an empty queue. Returns ARIZMQ_OK; or ARIZMQ_ETOOLARGE where there is no
 * room. */
int queue_push(struct queue *self, const struct queue_part *parts, unsigned count, size_t reserve);

/* The writing thread: bytes in use, as far as it knows; the true number is never larger. */
size_t queue_used(const struct queue *self);

/* The reading thread: the oldest record, aligned as malloc() aligns; NULL where there is none. It
 * stays until queue_pop(). */
const void *queue_front(struct queue *self, size_t *length);

/* The reading thread: drops the record that queue_front() gave. */
void queue_pop(struct queue *self);

#endif
