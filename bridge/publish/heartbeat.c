/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The heartbeat of a view: its JSON lists the count of every first token. The pipeline calls it
 * once a second for each view; it changes no counter.
 */
#include "publish/heartbeat.h"

#include <stdlib.h>

#include "base/clock.h"
#include "ops/metrics.h"
#include "publish/own_event.h"

struct first_tokens {
    json_t *counts;
    uint32_t left;
};

static int list_first_token(void *arg, const char *token, size_t length, uint64_t count)
{
    struct first_tokens *list = arg;
    if (list->left == 0) {
        return 1;
    }
    list->left--;
    return json_object_setn_new(list->counts, token, length - 1, json_integer((json_int_t)count));
}

static json_t *heartbeat_describe(const struct view *view, uint64_t epoch, uint64_t seq,
                                  uint32_t first_tokens_max, uint64_t wall_ns)
{
    const struct counters *counters = view_counters(view);
    struct first_tokens list = {.counts = json_object(), .left = first_tokens_max};
    int stopped = counters_each_first(counters, list_first_token, &list);
    json_t *json = own_event_create("ArizmqHeartbeat", "-", "-", wall_ns);
    json_t *members =
        json_pack("{s:I, s:I, s:s, s:I, s:o, s:b, s:I, s:I}", "epoch", (json_int_t)epoch, "seq",
                  (json_int_t)seq, "view", view_name(view), "count",
                  (json_int_t)counters_total(counters), "counts", list.counts, "counts_complete",
                  stopped == 0, "links", (json_int_t)metrics_get(METRIC_LINKS), "links_up",
                  (json_int_t)metrics_get(METRIC_LINKS_UP));
    if (json_object_update(json, members) != 0) {
        json_decref(json);
        json = NULL;
    }
    json_decref(members);
    return json;
}

void heartbeat_publish(struct view *view, uint64_t epoch, uint64_t seq, uint32_t first_tokens_max)
{
    uint64_t wall_ns = clock_wall_ns();
    size_t length = 0;
    char *text =
        own_event_print(heartbeat_describe(view, epoch, seq, first_tokens_max, wall_ns), &length);
    if (text == NULL) {
        metrics_add(METRIC_MESSAGES_FAILED, 1);
        return;
    }
    struct event event;
    event_read(&event, text, length, "-", wall_ns);
    event.is_own = true;
    view_publish_heartbeat(view, &event, seq);
    event_release(&event);
    free(text);
}
