/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What is published of a comparison: each difference, its end, and that another process was
 * reached than before. reconcile.c calls it.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "node/link_private.h"
#include "node/reconcile_private.h"
#include "ops/log.h"
#include "ops/metrics.h"
#include "publish/own_event.h"

/* As ARI names the member in which an object stands. */
static const char *const members[OBJECT_KINDS] = {
    [OBJECT_CHANNEL] = "channel",   [OBJECT_BRIDGE] = "bridge",
    [OBJECT_PLAYBACK] = "playback", [OBJECT_RECORDING] = "recording",
    [OBJECT_ENDPOINT] = "endpoint", [OBJECT_DEVICE] = "device_state"};

void reconcile_tell_difference(struct reconcile *self, const struct state_difference *difference)
{
    static const struct {
        const char *type;
        const char *change; /* of what is found */
        enum metric metric;
    } words[] = {
        [STATE_NEW] = {"ArizmqObjectFound", "new", METRIC_OBJECTS_FOUND},
        [STATE_CHANGED] = {"ArizmqObjectFound", "changed", METRIC_OBJECTS_CHANGED},
        [STATE_LOST] = {"ArizmqObjectLost", NULL, METRIC_OBJECTS_LOST},
    };
    const struct link *link = self->link;
    json_t *json = own_event_create(words[difference->what].type, link->application,
                                    link->node_name, clock_wall_ns());
    json_t *id = json_stringn(difference->id, difference->id_length);
    json_object_set_new(json, "kind", json_string(object_kind_names[difference->kind]));
    json_object_set_new(json, "id", id != NULL ? id : json_null());
    if (difference->what == STATE_LOST) {
        json_object_set_new(json, "reason", json_string(self->is_restarted ? "restart" : "absent"));
    } else {
        json_object_set_new(json, "change", json_string(words[difference->what].change));
    }
    metrics_add(words[difference->what].metric, 1);
    self->count[difference->what]++;
    pipeline_publish_object(link->environment->pipeline, &link->source, json,
                            members[difference->kind], value_text(difference->value));
}

void reconcile_tell_end(struct reconcile *self, bool is_complete)
{
    const struct link *link = self->link;
    metrics_add(METRIC_RECONCILES, 1);
    log_info("reconciled", "%s: %u new, %u changed, %u lost; %s", link->label,
             self->count[STATE_NEW], self->count[STATE_CHANGED], self->count[STATE_LOST],
             is_complete ? "complete" : "not complete");
    json_t *json = own_event_create("ArizmqNodeReconciled", link->application, link->node_name,
                                    clock_wall_ns());
    json_object_set_new(json, "found", json_integer(self->count[STATE_NEW]));
    json_object_set_new(json, "changed", json_integer(self->count[STATE_CHANGED]));
    json_object_set_new(json, "lost", json_integer(self->count[STATE_LOST]));
    json_object_set_new(json, "complete", json_boolean(is_complete));
    pipeline_publish_own(link->environment->pipeline, link->node_name, json);
}

void reconcile_take_startup_time(struct reconcile *self, const char *text)
{
    struct link *link = self->link;
    if (self->startup_time[0] != '\0' && strcmp(self->startup_time, text) != 0) {
        self->is_restarted = true;
        metrics_add(METRIC_NODES_RESTARTED, 1);
        log_warning("node_restarted",
                    "%s: Asterisk was started at %s; it was another one before, "
                    "started at %s",
                    link->label, text, self->startup_time);
        json_t *json = own_event_create("ArizmqNodeRestarted", link->application, link->node_name,
                                        clock_wall_ns());
        json_object_set_new(json, "startup_time", json_string(text));
        json_object_set_new(json, "previous", json_string(self->startup_time));
        pipeline_publish_own(link->environment->pipeline, link->node_name, json);
    }
    snprintf(self->startup_time, sizeof self->startup_time, "%s", text);
}
