/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What is found between the state and what Asterisk lists: what is new, changed or lost, and that
 * whatever an event has told of meanwhile is left alone. Telling a difference is folding it.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"
#include "keep/state_compare.h"
#include "keep/state_walk.h"
#include "ops/metrics.h"
#include "random_json.h"
#include "state_model.h"

static struct state *state;
static struct state_link *link_under_test;
static uint64_t seq;
static uint64_t now_ns;
static char told[65536]; /* "+kind:id" new, "~" changed, "-" lost */

static void set_up(void)
{
    struct config_state config = {.enabled = true, .max_objects = 1000, .max_bytes = 1U << 20};
    cr_assert_eq(state_create(&config, &state), ARIZMQ_OK);
    link_under_test = state_open(state, "pbx1", "ivr", true);
    state_set_up(link_under_test, true);
    now_ns = 1795444501000000000U;
}

static void tear_down(void)
{
    state_close(&link_under_test);
    cr_assert_eq(state_bytes(state), 0, "%llu", (unsigned long long)state_bytes(state));
    state_destroy(&state);
}

TestSuite(state_compare, .init = set_up, .fini = tear_down);

static void send(enum model_act act, enum object_kind kind, unsigned id, unsigned version)
{
    struct model_event event = {act, kind, id, version, now_ns};
    model_send(link_under_test, &event, ++seq);
}

/* Asterisk lists it. */
static void list_text(enum object_kind kind, const char *text)
{
    size_t length = strlen(text);
    char *padded = calloc(1, length + SCAN_PADDING);
    memcpy(padded, text, length);
    struct event event;
    cr_assert_eq(event_read_object_alone(&event, kind, (struct span){padded, length}), ARIZMQ_OK);
    state_compare_listed(link_under_test, &event.objects[0]);
    event_release(&event);
    free(padded);
}

static void list(enum object_kind kind, unsigned id, unsigned version)
{
    struct model_event event = {.kind = kind, .id = id, .version = version};
    char value[MODEL_VALUE_MAX];
    model_write_value(&event, value);
    list_text(kind, value);
}

static void lists_end(void)
{
    state_compare_is_read(link_under_test, OBJECT_CHANNEL);
    state_compare_is_read(link_under_test, OBJECT_BRIDGE);
    state_compare_is_read(link_under_test, OBJECT_ENDPOINT);
    state_compare_lists_end(link_under_test);
}

static void fold_difference(const struct state_difference *difference)
{
    static const char *const members[OBJECT_KINDS] = {"channel",   "bridge",   "playback",
                                                      "recording", "endpoint", "device_state"};
    struct span value = value_text(difference->value);
    char *text = NULL;
    cr_assert_gt(asprintf(&text, "{\"type\":\"%s\",\"%s\":%.*s}",
                          difference->what == STATE_LOST ? "ArizmqObjectLost" : "ArizmqObjectFound",
                          members[difference->kind], (int)value.length, value.bytes),
                 0);
    model_send_text(link_under_test, text, ++seq, now_ns);
    free(text);
}

/* Tells the next difference; false where there is no more. */
static bool tell_one(void)
{
    struct state_difference difference;
    enum state_compare_found found = STATE_COMPARE_ON;
    while (found == STATE_COMPARE_ON) {
        found = state_compare_next(link_under_test, 3, &difference);
    }
    if (found == STATE_COMPARE_DONE) {
        return false;
    }
    size_t used = strlen(told);
    snprintf(told + used, sizeof told - used, "%c%s:%.*s ", "+~-"[difference.what],
             object_kind_names[difference.kind], (int)difference.id_length, difference.id);
    fold_difference(&difference);
    state_difference_release(&difference);
    return true;
}

static const char *tell(void)
{
    told[0] = '\0';
    while (tell_one()) {
    }
    return told;
}

static const char *compare_end(void)
{
    const char *all = tell();
    state_compare_end(link_under_test, true);
    return all;
}

Test(state_compare, tells_what_is_new_changed_and_lost)
{
    for (unsigned id = 1; id <= 3; id++) {
        send(MODEL_BEGIN, OBJECT_CHANNEL, id, 1);
    }
    send(MODEL_BEGIN, OBJECT_BRIDGE, 1, 1);
    send(MODEL_UPDATE, OBJECT_ENDPOINT, 1, 1);
    state_compare_begin(link_under_test, seq);
    list(OBJECT_CHANNEL, 1, 1);
    list(OBJECT_CHANNEL, 2, 2);
    list(OBJECT_CHANNEL, 4, 4);
    list(OBJECT_ENDPOINT, 2, 1);
    lists_end();
    cr_assert_str_eq(compare_end(), "~channel:2 +channel:4 +endpoint:PJSIP/2 -channel:3 -bridge:1 "
                                    "-endpoint:PJSIP/1 ");
    cr_assert(state_is_complete(link_under_test));
    /* The same once more: nothing. */
    state_compare_begin(link_under_test, seq);
    list(OBJECT_CHANNEL, 1, 1);
    list(OBJECT_CHANNEL, 2, 2);
    list(OBJECT_CHANNEL, 4, 4);
    list(OBJECT_ENDPOINT, 2, 1);
    lists_end();
    cr_assert_str_eq(compare_end(), "");
    cr_assert_eq(state_objects(state), 4);
}

Test(state_compare, the_same_written_otherwise_is_no_change)
{
    model_send_text(
        link_under_test,
        "{\"type\":\"BridgeCreated\",\"bridge\":{\"id\":\"b\",\"channels\":[\"1\",\"2\"],"
        "\"o\":{\"a\":1,\"b\":[]}}}",
        ++seq, now_ns);
    state_compare_begin(link_under_test, seq);
    list_text(OBJECT_BRIDGE,
              "{ \"o\" : {\"b\":[],\"a\":1}, \"channels\":[\"2\",\n\"1\"],\"id\":\"b\"}");
    lists_end();
    cr_assert_str_eq(compare_end(), "");
    state_compare_begin(link_under_test, seq);
    list_text(OBJECT_BRIDGE, "{\"id\":\"b\",\"channels\":[\"2\"],\"o\":{\"a\":1,\"b\":[]}}");
    lists_end();
    cr_assert_str_eq(compare_end(), "~bridge:b ");
}

Test(state_compare, what_an_event_tells_of_is_newer_than_any_list)
{
    for (unsigned id = 1; id <= 5; id++) {
        send(MODEL_BEGIN, OBJECT_CHANNEL, id, 1);
    }
    state_compare_begin(link_under_test, seq);
    send(MODEL_UPDATE, OBJECT_CHANNEL, 1, 2); /* before the list */
    send(MODEL_END, OBJECT_CHANNEL, 2, 2);
    send(MODEL_END, OBJECT_CHANNEL, 6, 2); /* never held */
    send(MODEL_BEGIN, OBJECT_CHANNEL, 7, 1);
    for (unsigned id = 1; id <= 6; id++) {
        list(OBJECT_CHANNEL, id, 9);
    }
    list(OBJECT_CHANNEL, 8, 9);
    list(OBJECT_CHANNEL, 9, 9);
    send(MODEL_UPDATE, OBJECT_CHANNEL, 3, 2); /* after it */
    send(MODEL_END, OBJECT_CHANNEL, 4, 2);
    send(MODEL_END, OBJECT_CHANNEL, 8, 2);
    send(MODEL_UPDATE, OBJECT_CHANNEL, 9, 3);
    lists_end();
    cr_assert_str_eq(compare_end(), "~channel:5 ");
    cr_assert_eq(state_objects(state), 5, "1, 3, 5, 7 and 9");
}

Test(state_compare, while_it_is_told_events_go_on)
{
    state_compare_begin(link_under_test, seq);
    for (unsigned id = 0; id < 4; id++) {
        list(OBJECT_CHANNEL, id, 1);
    }
    lists_end();
    told[0] = '\0';
    cr_assert(tell_one());
    send(MODEL_END, OBJECT_CHANNEL, 1, 2);
    send(MODEL_UPDATE, OBJECT_CHANNEL, 2, 2);
    while (tell_one()) {
    }
    cr_assert_str_eq(told, "+channel:0 +channel:3 ");
    state_compare_end(link_under_test, true);
    cr_assert_eq(state_objects(state), 3);
}

Test(state_compare, a_list_that_was_not_read_loses_nothing)
{
    send(MODEL_BEGIN, OBJECT_CHANNEL, 1, 1);
    send(MODEL_BEGIN, OBJECT_BRIDGE, 1, 1);
    state_compare_begin(link_under_test, seq);
    state_compare_is_read(link_under_test, OBJECT_CHANNEL);
    state_compare_lists_end(link_under_test);
    cr_assert_str_eq(tell(), "-channel:1 ");
    state_compare_end(link_under_test, false);
    cr_assert_not(state_is_complete(link_under_test));
}

Test(state_compare, asks_for_what_has_no_list)
{
    for (unsigned id = 1; id <= 3; id++) {
        send(MODEL_BEGIN, OBJECT_PLAYBACK, id, 1);
    }
    send(MODEL_BEGIN, OBJECT_RECORDING, 1, 1);
    send(MODEL_UPDATE, OBJECT_DEVICE, 1, 1);
    send(MODEL_BEGIN, OBJECT_CHANNEL, 1, 1);
    state_compare_begin(link_under_test, seq);
    send(MODEL_UPDATE, OBJECT_PLAYBACK, 3, 2); /* need not be asked for */
    list(OBJECT_CHANNEL, 1, 1);
    lists_end();
    enum object_kind kind = OBJECT_CHANNEL;
    struct span id;
    unsigned asked[OBJECT_KINDS] = {0};
    while (state_compare_ask(link_under_test, &kind, &id)) {
        asked[kind]++;
        if (kind == OBJECT_PLAYBACK && id.bytes[0] == '2') {
            state_compare_missing(link_under_test, kind, id);
        } else if (kind == OBJECT_PLAYBACK) {
            send(MODEL_END, OBJECT_PLAYBACK, 1, 2); /* before the answer */
            list(OBJECT_PLAYBACK, 1, 1);
        } else if (kind == OBJECT_DEVICE) {
            list(OBJECT_DEVICE, 1, 5);
        } /* about the recording nothing can be found out: it stays */
    }
    cr_assert_eq(asked[OBJECT_PLAYBACK], 2);
    cr_assert_eq(asked[OBJECT_RECORDING], 1);
    cr_assert_eq(asked[OBJECT_DEVICE], 1);
    cr_assert_eq(asked[OBJECT_CHANNEL] + asked[OBJECT_BRIDGE] + asked[OBJECT_ENDPOINT], 0);
    cr_assert_str_eq(compare_end(), "~device:1 -playback:2 ");
    cr_assert_eq(state_objects(state), 4);
}

Test(state_compare, given_up_it_leaves_nothing_behind)
{
    send(MODEL_BEGIN, OBJECT_CHANNEL, 1, 1);
    uint64_t bytes = state_bytes(state);
    state_compare_begin(link_under_test, seq);
    list(OBJECT_CHANNEL, 1, 2);
    list(OBJECT_CHANNEL, 2, 2);
    cr_assert_gt(state_bytes(state), bytes);
    state_compare_end(link_under_test, false);
    cr_assert_eq(state_bytes(state), bytes);
    cr_assert_eq(state_objects(state), 1);
    /* Another one begins in the middle of one. */
    state_compare_begin(link_under_test, seq);
    list(OBJECT_CHANNEL, 2, 2);
    state_compare_begin(link_under_test, seq);
    lists_end();
    cr_assert_str_eq(compare_end(), "-channel:1 ");
}

Test(state_compare, a_snapshot_shows_only_what_was_told)
{
    send(MODEL_BEGIN, OBJECT_CHANNEL, 1, 1);
    state_compare_begin(link_under_test, seq);
    list(OBJECT_CHANNEL, 1, 2);
    list(OBJECT_CHANNEL, 2, 2);
    lists_end();
    cr_assert_eq(state_walk_begin(state, 1, NULL, NULL, seq), ARIZMQ_OK);
    tell();
    struct snapshot *snapshot = state_walk_on(state, 1000);
    cr_assert_eq(snapshot->count, 1);
    struct span text = value_text(snapshot->items[0].value);
    cr_assert_not_null(memmem(text.bytes, text.length, "\"v\":1", 5));
    snapshot_destroy(&snapshot);
}

Test(state_compare, what_finds_no_room_makes_it_incomplete)
{
    struct config_state config = {.enabled = true, .max_objects = 2, .max_bytes = 1U << 20};
    state_set_config(state, &config);
    state_compare_begin(link_under_test, seq);
    for (unsigned id = 0; id < 4; id++) {
        list(OBJECT_CHANNEL, id, 1);
    }
    lists_end();
    cr_assert_str_eq(compare_end(), "+channel:0 +channel:1 ");
    cr_assert_not(state_is_complete(link_under_test));
    cr_assert_eq(metrics_get(METRIC_STATE_LEFT_OUT), 2);
}

Test(state_compare, complete_only_while_up_and_compared)
{
    cr_assert_not(state_is_complete(link_under_test));
    state_compare_begin(link_under_test, seq);
    lists_end();
    compare_end();
    cr_assert(state_is_complete(link_under_test));
    state_set_up(link_under_test, false);
    cr_assert_not(state_is_complete(link_under_test));
    state_set_up(link_under_test, true);
    cr_assert_not(state_is_complete(link_under_test), "it may have missed events");
    state_compare_begin(NULL, seq);
    state_compare_lists_end(NULL);
    state_compare_end(NULL, true);
}

/* --- an Asterisk that goes on living, whose events arrive some time later */

struct asterisk {
    bool exists[MODEL_IDS];
    unsigned version[MODEL_IDS];
    struct model_event on_way[4096];
    unsigned first, end;
};

/* Something happens to a channel; the event is on its way, unless nobody is connected. */
static void live(struct asterisk *self, uint64_t *random, bool is_connected)
{
    unsigned id = (unsigned)random_below(random, MODEL_IDS);
    bool ends = self->exists[id] && random_below(random, 3) == 0;
    struct model_event event = {.act = ends               ? MODEL_END
                                       : self->exists[id] ? MODEL_UPDATE
                                                          : MODEL_BEGIN,
                                .kind = OBJECT_CHANNEL,
                                .id = id,
                                .version = (unsigned)random_below(random, 100000)};
    self->exists[id] = !ends;
    self->version[id] = event.version;
    if (is_connected) {
        self->on_way[self->end++ % 4096] = event;
    }
}

static void arrive(struct asterisk *self, uint64_t *random, unsigned most)
{
    for (unsigned i = (unsigned)random_below(random, most + 1); i > 0 && self->first < self->end;
         i--) {
        struct model_event *event = &self->on_way[self->first++ % 4096];
        now_ns += 1000000;
        event->received_ns = now_ns;
        model_send(link_under_test, event, ++seq);
    }
}

/* Whatever happens between and during the steps: once all events have come, the state is what is.
 */
Test(state_compare, in_the_end_the_state_is_what_asterisk_has)
{
    static struct asterisk asterisk;
    uint64_t random = random_seed(3);
    for (unsigned round = 0; round < 3000; round++) {
        for (unsigned i = 0; i < 20; i++) { /* nobody is connected */
            live(&asterisk, &random, false);
        }
        asterisk.first = asterisk.end;
        state_gap(link_under_test);
        now_ns += random_below(&random, 20) * 1000000000U;
        live(&asterisk, &random, true);
        state_compare_begin(link_under_test, seq);
        for (unsigned i = (unsigned)random_below(&random, 5); i > 0; i--) {
            live(&asterisk, &random, true);
            arrive(&asterisk, &random, 2);
        }
        struct asterisk listed = asterisk; /* the list shows one moment */
        for (unsigned id = 0; id < MODEL_IDS; id++) {
            live(&asterisk, &random, true);
            arrive(&asterisk, &random, 2);
            if (listed.exists[id]) {
                list(OBJECT_CHANNEL, id, listed.version[id]);
            }
        }
        lists_end();
        arrive(&asterisk, &random, 4096);
        while (tell_one()) {
            live(&asterisk, &random, true);
            arrive(&asterisk, &random, 3);
        }
        state_compare_end(link_under_test, true);
        while (asterisk.first < asterisk.end) {
            arrive(&asterisk, &random, 10);
        }
        static struct model_link wanted;
        memset(&wanted, 0, sizeof wanted);
        for (unsigned id = 0; id < MODEL_IDS; id++) {
            struct model_event event = {
                .kind = OBJECT_CHANNEL, .id = id, .version = asterisk.version[id]};
            wanted.entry[OBJECT_CHANNEL][id].is_held = asterisk.exists[id];
            model_write_value(&event, wanted.entry[OBJECT_CHANNEL][id].value);
        }
        model_assert_link(&wanted, link_under_test);
        told[0] = '\0';
    }
}
