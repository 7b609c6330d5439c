/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A set of prefixes. The view changes it when it reads from its socket, a few times a second, and
 * asks for every message whether it is empty.
 */
#include "publish/subscriptions.h"

#include <stdlib.h>
#include <string.h>

/* A failed allocation must not end the process. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct subscription {
    UT_hash_handle hh;
    size_t length;
    char prefix[];
};

struct subscriptions {
    struct subscription *by_prefix;
    bool has_forgotten; /* some could not be kept: there may always be one more */
};

struct subscriptions *subscriptions_create(void)
{
    return calloc(1, sizeof(struct subscriptions));
}

void subscriptions_destroy(struct subscriptions **self)
{
    if (*self == NULL) {
        return;
    }
    struct subscription *subscription = NULL;
    struct subscription *next = NULL;
    HASH_ITER(hh, (*self)->by_prefix, subscription, next)
    {
        HASH_DEL((*self)->by_prefix, subscription);
        free(subscription);
    }
    free(*self);
    *self = NULL;
}

static struct subscription *find(const struct subscriptions *self, const void *prefix,
                                 size_t length)
{
    struct subscription *found = NULL;
    HASH_FIND(hh, self->by_prefix, prefix, length, found);
    return found;
}

void subscriptions_add(struct subscriptions *self, const void *prefix, size_t length)
{
    if (find(self, prefix, length) == NULL) {
        struct subscription *subscription = malloc(sizeof *subscription + length);
        if (subscription != NULL) {
            subscription->length = length;
            memcpy(subscription->prefix, prefix, length);
            HASH_ADD_KEYPTR(hh, self->by_prefix, subscription->prefix, length, subscription);
            if (subscription->hh.tbl == NULL) { /* uthash found no memory */
                free(subscription);
                subscription = NULL;
            }
        }
        self->has_forgotten = self->has_forgotten || subscription == NULL;
    }
}

void subscriptions_remove(struct subscriptions *self, const void *prefix, size_t length)
{
    struct subscription *found = find(self, prefix, length);
    if (found != NULL) {
        HASH_DEL(self->by_prefix, found);
        free(found);
    }
}

bool subscriptions_any(const struct subscriptions *self)
{
    return self->has_forgotten || self->by_prefix != NULL;
}
