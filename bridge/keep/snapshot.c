/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A list of values that are held. The walk fills it in the event thread; the command thread prints
 * it and lets it go.
 */
#include "keep/snapshot.h"

#include <stdlib.h>

struct snapshot *snapshot_create(unsigned links, size_t items)
{
    struct snapshot *snapshot = calloc(1, sizeof *snapshot);
    if (snapshot == NULL) {
        return NULL;
    }
    snapshot->links = calloc(links + 1UL, sizeof *snapshot->links);
    /* Not cleared: what is not used should not become memory. */
    snapshot->items = malloc((items + 1) * sizeof *snapshot->items);
    if (snapshot->links == NULL || snapshot->items == NULL) {
        snapshot_destroy(&snapshot);
    }
    return snapshot;
}

void snapshot_destroy(struct snapshot **self)
{
    struct snapshot *snapshot = *self;
    *self = NULL;
    if (snapshot == NULL) {
        return;
    }
    for (size_t i = 0; i < snapshot->count; i++) {
        value_release(&snapshot->items[i].value);
    }
    for (unsigned i = 0; i < snapshot->links_count; i++) {
        free(snapshot->links[i].node);
        free(snapshot->links[i].application);
    }
    free(snapshot->links);
    free(snapshot->items);
    free(snapshot);
}
