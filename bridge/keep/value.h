/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The text of an object, shared by whoever holds it. It does not change while two hold it; any
 * thread may release.
 */
#ifndef ARIZMQ_KEEP_VALUE_H
#define ARIZMQ_KEEP_VALUE_H

#include <stdbool.h>
#include <stddef.h>

#include "event/scan.h"

struct value;

/* A copy of `text`, held once. NULL without memory. */
struct value *value_create(struct span text);

/* Makes it hold `text` instead, where nobody else holds it and it has room: then true. Else nothing
 * has changed. */
bool value_rewrite(struct value *self, struct span text);

/* Another hold; only for whoever holds it. Returns self. */
struct value *value_hold(struct value *self);

/* Any thread. The last one frees it; *self becomes NULL, and may be. */
void value_release(struct value **self);

/* Borrowed while it is held. */
struct span value_text(const struct value *self);

/* The memory that it takes, and that one for a text of that length would. */
size_t value_size(const struct value *self);
size_t value_size_for(size_t length);

#endif
