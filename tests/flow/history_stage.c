/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Sets the stage for the tests of history.
 */
#include "history_stage.h"

#include <criterion/criterion.h>
#include <stdlib.h>

enum { MAX_REQUESTS = 20000 };

const char *const history_stage_names[HISTORY_STAGE_VIEWS] = {"events", "objects"};

void history_stage_open(struct history_stage *stage, const char *history)
{
    unsigned most = stage->max_requests > 0 ? stage->max_requests : MAX_REQUESTS;
    stage->fake = scene_start_deaf_fake();
    stage->daemon =
        scene_start_daemon("nodes:\n" FLOW_NODE FLOW_NODE_END FLOW_PUBLISH
                           "gateway: {endpoint: \"ipc://DIR/gateway\", max_requests: %u,"
                           " max_requests_per_node: %u}\nheartbeat_ms: 100\nhistory: {%s}\n",
                           "pbx1", stage->fake->port, "replay", most, most, history);
    const char *endpoints[HISTORY_STAGE_VIEWS] = {stage->daemon->events_endpoint,
                                                  stage->daemon->objects_endpoint};
    for (unsigned i = 0; i < HISTORY_STAGE_VIEWS; i++) {
        stage->record[i].subscriber = scene_subscribe_and_join(endpoints[i]);
    }
    stage->asker = asker_create(stage->daemon->gateway_endpoint);
    scene_let_connect(stage->fake, 1);
}

void history_stage_close(struct history_stage *stage)
{
    for (unsigned i = 0; i < HISTORY_STAGE_VIEWS; i++) {
        subscriber_destroy(&stage->record[i].subscriber);
        for (size_t k = 0; k < stage->record[i].count; k++) {
            subscriber_message_clear(&stage->record[i].messages[k]);
        }
        free(stage->record[i].messages);
    }
    asker_destroy(&stage->asker);
    if (stage->daemon != NULL) {
        scene_stop_daemon(&stage->daemon);
    }
    fake_stop(&stage->fake);
}

static void record_add(struct history_record *record, struct subscriber_message *message)
{
    if (record->count == record->capacity) {
        record->capacity = record->capacity > 0 ? record->capacity * 2 : 4096;
        record->messages = realloc(record->messages, record->capacity * sizeof *message);
        cr_assert_not_null(record->messages);
    }
    record->messages[record->count++] = *message;
}

void history_stage_record(struct history_stage *stage, uint64_t seq)
{
    for (unsigned i = 0; i < HISTORY_STAGE_VIEWS; i++) {
        for (bool is_over = false; !is_over;) {
            struct subscriber_message message;
            scene_receive(stage->record[i].subscriber, &message);
            stage->epoch = message.stamp.epoch;
            if (!subscriber_message_is_heartbeat(&message)) {
                record_add(&stage->record[i], &message);
                continue;
            }
            is_over = message.stamp.seq >= seq;
            subscriber_message_clear(&message);
        }
    }
}
