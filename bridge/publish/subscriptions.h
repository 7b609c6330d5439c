/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The prefixes that the subscribers of a view have asked for, as its XPUB socket tells them: each
 * once, however many subscribers it has. libzmq matches them; this is to know whether there are
 * any.
 */
#ifndef ARIZMQ_PUBLISH_SUBSCRIPTIONS_H
#define ARIZMQ_PUBLISH_SUBSCRIPTIONS_H

#include <stdbool.h>
#include <stddef.h>

struct subscriptions;

/* None at first. NULL without memory. */
struct subscriptions *subscriptions_create(void);
void subscriptions_destroy(struct subscriptions **self);

/* A prefix has a subscriber now. Where there is no memory for it, subscriptions_any() is true from
 * then on. */
void subscriptions_add(struct subscriptions *self, const void *prefix, size_t length);

/* A prefix has none any more. One that was never added changes nothing: libzmq passes on whatever a
 * peer takes back. */
void subscriptions_remove(struct subscriptions *self, const void *prefix, size_t length);

/* Whether anybody has subscribed to anything. */
bool subscriptions_any(const struct subscriptions *self);

#endif
