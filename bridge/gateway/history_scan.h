/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Reads history in memory for one request, in slices: which messages it gets, and where its page
 * ends.
 */
#ifndef ARIZMQ_GATEWAY_HISTORY_SCAN_H
#define ARIZMQ_GATEWAY_HISTORY_SCAN_H

#include "gateway/history_page.h"
#include "gateway/history_query.h"
#include "keep/history.h"

struct history_scan {
    unsigned view;
    uint64_t after; /* where it began */
    uint64_t last;  /* up to here all was looked at */
    bool more;
    uint64_t behind_hole; /* HISTORY_SCAN_HOLE: the first seq that is held again */
    struct history_page page;
};

enum history_scan_result {
    HISTORY_SCAN_GOES_ON, /* the slice is used up */
    HISTORY_SCAN_DONE,    /* `page`, `last` and `more` are the answer */
    HISTORY_SCAN_GONE,    /* what follows `after` has been dropped, and the page is empty */
    HISTORY_SCAN_HOLE,    /* it was never kept, and the page is empty */
    HISTORY_SCAN_NO_MEMORY,
};

/* `view` is its number in history. */
void history_scan_begin(struct history_scan *self, unsigned view, uint64_t after);

/* One slice. `reader` rests when it returns. */
enum history_scan_result history_scan_go_on(struct history_scan *self,
                                            const struct history *history,
                                            struct history_reader *reader,
                                            const struct history_query *query);

#endif
