/* SPDX-License-Identifier: MPL-2.0 */
/*
 * One step after the other, each begun by the end of the one before: which process it is, what the
 * application hears of, the three lists, one question for each object that has no list, a pause in
 * which events on their way may arrive, and then one difference at a time. link_subscribe.c starts
 * it. Lists are read piece by piece, so that no turn of the loop takes long.
 */
#include "node/reconcile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"
#include "base/clock.h"
#include "node/link_private.h"
#include "node/reconcile_private.h"
#include "ops/log.h"
#include "ops/metrics.h"

enum {
    /* Events that Asterisk has sent before it answered a list may still be on their way. */
    SETTLE_MS = 500,
    PAUSE_MAX_MS = 300000,  /* between rounds that fail */
    ENTRIES_PER_TURN = 500, /* of the state, gone through in a turn */
};

/* In the order in which they are read. */
static const struct {
    const char *path;
    enum object_kind kind;
} lists[] = {
    {"channels", OBJECT_CHANNEL}, {"bridges", OBJECT_BRIDGE}, {"endpoints", OBJECT_ENDPOINT}};
enum { LISTS = sizeof lists / sizeof *lists };

/* Where one object is asked for. */
static const char *const places[OBJECT_KINDS] = {[OBJECT_PLAYBACK] = "playbacks",
                                                 [OBJECT_RECORDING] = "recordings/live",
                                                 [OBJECT_DEVICE] = "deviceStates"};

/* --- rounds */

static void on_round(lws_sorted_usec_list_t *sul)
{
    struct reconcile *reconcile = lws_container_of(sul, struct reconcile, timer);
    struct link *link = reconcile->link;
    if (!state_is_complete(link->source.state)) {
        reconcile_start(reconcile);
    } else {
        lws_sul_schedule(link->environment->context, 0, sul, on_round,
                         (lws_usec_t)link->node->liveness_ms * LWS_US_PER_MS);
    }
}

static void round_in(struct reconcile *reconcile, uint32_t wait_ms)
{
    lws_sul_schedule(reconcile->link->environment->context, 0, &reconcile->timer, on_round,
                     (lws_usec_t)wait_ms * LWS_US_PER_MS);
}

static void step_in(struct reconcile *reconcile, sul_cb_t step, lws_usec_t wait_us)
{
    lws_sul_schedule(reconcile->link->environment->context, 0, &reconcile->timer, step, wait_us);
}

/* What one object more may cost, in microseconds. */
static lws_usec_t pace_us(const struct reconcile *reconcile)
{
    return LWS_US_PER_SEC / reconcile->link->environment->config->state.reconcile_per_s;
}

static void end_round(struct reconcile *reconcile, bool is_whole)
{
    lws_sul_cancel(&reconcile->timer);
    rest_cancel(&reconcile->rest);
    elements_release(&reconcile->elements);
    heard_release(&reconcile->heard);
    state_compare_end(reconcile->link->source.state, is_whole);
}

/* The pause before the next round, which doubles from failure to failure. */
static uint32_t next_pause(struct reconcile *reconcile)
{
    uint32_t pause_ms = reconcile->pause_ms;
    reconcile->pause_ms = pause_ms * 2 < PAUSE_MAX_MS ? pause_ms * 2 : PAUSE_MAX_MS;
    return pause_ms;
}

static void fail_round(struct reconcile *reconcile, const char *path, const char *detail)
{
    uint32_t pause_ms = next_pause(reconcile);
    metrics_add(METRIC_RECONCILES_FAILED, 1);
    log_warning("reconcile_failed", "%s: GET %s: %s; its objects may differ; again in %u ms",
                reconcile->link->label, path, detail, pause_ms);
    end_round(reconcile, false);
    round_in(reconcile, pause_ms);
}

/* The same for an answer that is none to go on with. */
static void fail_answer(struct reconcile *reconcile, const char *path,
                        const struct rest_answer *answer)
{
    char detail[64];
    snprintf(detail, sizeof detail, "Asterisk answered %d", answer->status);
    fail_round(reconcile, path, answer->status == 0 ? answer->error : detail);
}

/* --- differences */

static void finish_round(struct reconcile *reconcile)
{
    struct link *link = reconcile->link;
    end_round(reconcile, !reconcile->is_unsure);
    bool is_complete = state_is_complete(link->source.state);
    reconcile_tell_end(reconcile, is_complete);
    if (is_complete) { /* from then on it is looked whether it still is */
        reconcile->pause_ms = link->node->liveness_ms;
        round_in(reconcile, link->node->liveness_ms);
    } else {
        round_in(reconcile, next_pause(reconcile));
    }
}

static void on_tell(lws_sorted_usec_list_t *sul)
{
    struct reconcile *reconcile = lws_container_of(sul, struct reconcile, timer);
    struct state_difference difference;
    switch (state_compare_next(reconcile->link->source.state, ENTRIES_PER_TURN, &difference)) {
    case STATE_COMPARE_DIFFERS:
        reconcile_tell_difference(reconcile, &difference);
        state_difference_release(&difference);
        step_in(reconcile, on_tell, pace_us(reconcile));
        break;
    case STATE_COMPARE_ON:
        step_in(reconcile, on_tell, 1);
        break;
    case STATE_COMPARE_DONE:
        finish_round(reconcile);
        break;
    }
}

/* --- asking */

/* Asks for PATH, relative to ARI's; `data` for a list. */
static void ask(struct reconcile *reconcile, const char *path, rest_data *data, rest_done *done)
{
    const struct link *link = reconcile->link;
    char *whole = NULL;
    int result = ARIZMQ_ENOMEM;
    if (asprintf(&whole, "%s/%s", link->node->path, path) >= 0) {
        result = data != NULL
                     ? rest_read(&link->way.target, whole,
                                 link->environment->config->gateway.answer_timeout_ms, data, done,
                                 reconcile, &reconcile->rest)
                     : rest_send(&link->way.target, "GET", whole, link->node->connect_timeout_ms,
                                 done, reconcile, &reconcile->rest);
        free(whole);
    }
    if (result != ARIZMQ_OK) {
        fail_round(reconcile, path, "no memory");
    }
}

static void on_ask_next(lws_sorted_usec_list_t *sul);

/* Another object that has to be asked for; else all is read. */
static void ask_next(struct reconcile *reconcile)
{
    step_in(reconcile, on_ask_next, pace_us(reconcile));
}

static void write_asked_path(const struct reconcile *reconcile, char *out, size_t size)
{
    char id[RECONCILE_ID_MAX + 1];
    char encoded[3 * RECONCILE_ID_MAX + 1];
    memcpy(id, reconcile->asked_id, reconcile->asked_length);
    id[reconcile->asked_length] = '\0';
    lws_urlencode(encoded, id, (int)sizeof encoded);
    snprintf(out, size, "%s/%s", places[reconcile->asked], encoded);
}

static void take_object(struct reconcile *reconcile, const struct rest_answer *answer)
{
    struct event event;
    bool hears_all = reconcile->link->way.hears_all;
    if (event_read_object_alone(&event, reconcile->asked,
                                (struct span){answer->body, answer->length}) != ARIZMQ_OK) {
        reconcile->is_unsure = true;
    } else if (hears_all || heard_object(&reconcile->heard, &event.objects[0])) {
        state_compare_listed(reconcile->link->source.state, &event.objects[0]);
    } else {
        state_compare_missing(reconcile->link->source.state, reconcile->asked,
                              (struct span){reconcile->asked_id, reconcile->asked_length});
    }
    event_release(&event);
}

static void on_object(void *owner, const struct rest_answer *answer)
{
    struct reconcile *reconcile = owner;
    char path[4 * RECONCILE_ID_MAX];
    reconcile->rest = NULL;
    write_asked_path(reconcile, path, sizeof path);
    if (answer->status == 0) {
        fail_answer(reconcile, path, answer);
        return;
    }
    if (answer->status == 200) {
        take_object(reconcile, answer);
    } else if (answer->status == 404) {
        state_compare_missing(reconcile->link->source.state, reconcile->asked,
                              (struct span){reconcile->asked_id, reconcile->asked_length});
    } else {
        log_warning("reconcile_unsure", "%s: GET %s: Asterisk answered %d", reconcile->link->label,
                    path, answer->status);
        reconcile->is_unsure = true;
    }
    ask_next(reconcile);
}

static void on_ask_next(lws_sorted_usec_list_t *sul)
{
    struct reconcile *reconcile = lws_container_of(sul, struct reconcile, timer);
    struct span id = {"", 0};
    if (!state_compare_ask(reconcile->link->source.state, &reconcile->asked, &id)) {
        step_in(reconcile, on_tell, (lws_usec_t)SETTLE_MS * LWS_US_PER_MS);
        return;
    }
    if (id.length > RECONCILE_ID_MAX || memchr(id.bytes, '\0', id.length) != NULL) {
        reconcile->is_unsure = true; /* no path can name it */
        ask_next(reconcile);
        return;
    }
    memcpy(reconcile->asked_id, id.bytes, id.length);
    reconcile->asked_length = id.length;
    char path[4 * RECONCILE_ID_MAX];
    write_asked_path(reconcile, path, sizeof path);
    ask(reconcile, path, NULL, on_object);
}

static bool on_element(void *owner, struct span text)
{
    struct reconcile *reconcile = owner;
    struct event event;
    bool is_fine = event_read_object_alone(&event, lists[reconcile->list].kind, text) == ARIZMQ_OK;
    if (is_fine &&
        (reconcile->link->way.hears_all || heard_object(&reconcile->heard, &event.objects[0]))) {
        state_compare_listed(reconcile->link->source.state, &event.objects[0]);
    }
    event_release(&event);
    return is_fine;
}

static bool on_list_data(void *owner, const char *bytes, size_t length)
{
    struct reconcile *reconcile = owner;
    return elements_take(&reconcile->elements, bytes, length) == ARIZMQ_OK;
}

static void on_list(void *owner, const struct rest_answer *answer);

static void read_list(struct reconcile *reconcile)
{
    elements_release(&reconcile->elements);
    elements_begin(&reconcile->elements, reconcile->link->way.target.max_message_bytes, on_element,
                   reconcile);
    ask(reconcile, lists[reconcile->list].path, on_list_data, on_list);
}

static void on_list(void *owner, const struct rest_answer *answer)
{
    struct reconcile *reconcile = owner;
    const char *path = lists[reconcile->list].path;
    reconcile->rest = NULL;
    if (answer->status != 200) {
        fail_answer(reconcile, path, answer);
    } else if (!elements_are_whole(&reconcile->elements)) {
        fail_round(reconcile, path, "the answer is no whole list");
    } else {
        state_compare_is_read(reconcile->link->source.state, lists[reconcile->list].kind);
        if (++reconcile->list < LISTS) {
            read_list(reconcile);
        } else {
            state_compare_lists_end(reconcile->link->source.state);
            ask_next(reconcile);
        }
    }
}

static void on_application(void *owner, const struct rest_answer *answer)
{
    struct reconcile *reconcile = owner;
    static const char path[] = "applications";
    reconcile->rest = NULL;
    if (answer->status != 200) {
        fail_answer(reconcile, path, answer);
    } else if (heard_read(answer->body, answer->length, &reconcile->heard) != ARIZMQ_OK) {
        fail_round(reconcile, path, "the answer is no application");
    } else {
        read_list(reconcile);
    }
}

static void on_info(void *owner, const struct rest_answer *answer)
{
    struct reconcile *reconcile = owner;
    const struct link *link = reconcile->link;
    static const char path[] = "asterisk/info?only=status";
    reconcile->rest = NULL;
    if (answer->status != 200) {
        fail_answer(reconcile, path, answer);
        return;
    }
    json_t *info = json_loadb(answer->body, answer->length, 0, NULL);
    const char *text =
        json_string_value(json_object_get(json_object_get(info, "status"), "startup_time"));
    bool is_fine = text != NULL && strlen(text) < RECONCILE_STARTUP_TIME_SIZE;
    if (is_fine) {
        reconcile_take_startup_time(reconcile, text);
    }
    json_decref(info);
    if (!is_fine) {
        fail_round(reconcile, path, "the answer has no startup_time");
    } else if (link->way.hears_all) {
        read_list(reconcile);
    } else if (rest_send(&link->way.target, "GET", link->way.application_path,
                         link->node->connect_timeout_ms, on_application, reconcile,
                         &reconcile->rest) != ARIZMQ_OK) {
        fail_round(reconcile, link->way.application_path, "no memory");
    }
}

/* --- life */

struct reconcile *reconcile_create(struct link *link)
{
    struct reconcile *reconcile = calloc(1, sizeof *reconcile);
    if (reconcile != NULL) {
        reconcile->link = link;
    }
    return reconcile;
}

void reconcile_destroy(struct reconcile **self)
{
    reconcile_stop(*self);
    free(*self);
    *self = NULL;
}

void reconcile_start(struct reconcile *self)
{
    struct link *link = self->link;
    if (link->source.state == NULL) {
        return;
    }
    end_round(self, false);
    self->pause_ms = self->pause_ms > 0 ? self->pause_ms : link->node->liveness_ms;
    self->is_restarted = false;
    self->is_unsure = false;
    self->list = 0;
    memset(self->count, 0, sizeof self->count);
    state_compare_begin(link->source.state, pipeline_seq(link->environment->pipeline));
    ask(self, "asterisk/info?only=status", NULL, on_info);
}

void reconcile_stop(struct reconcile *self)
{
    if (self != NULL) {
        end_round(self, false);
        self->pause_ms = 0;
    }
}
