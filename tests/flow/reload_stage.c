/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Sets the stage for the tests of reloads, and keeps account of what the subscriber gets.
 */
#include "reload_stage.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"

static char *print(const char *format, va_list arguments)
{
    char *text = NULL;
    cr_assert_geq(vasprintf(&text, format, arguments), 0);
    return text;
}

void stage_open(struct stage *stage, unsigned fakes)
{
    *stage = (struct stage){.seen = calloc(STAGE_NUMBERS_MAX, 1)};
    cr_assert_not_null(stage->seen);
    for (unsigned i = 0; i < fakes; i++) {
        stage->fake[i] = fake_start_asterisk(NULL);
        cr_assert_not_null(stage->fake[i]);
        fake_do(stage->fake[i], "stop-listening");
    }
}

void stage_start(struct stage *stage, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *config = print(format, arguments);
    va_end(arguments);
    stage->stream = stream_create("events", FLOW_EVENTS_TOPIC);
    stage->daemon = scene_start_daemon("%s", config);
    free(config);
    stage->subscriber = scene_subscribe_and_join(stage->daemon->events_endpoint);
    stage->asker = asker_create(stage->daemon->gateway_endpoint);
    for (unsigned i = 0; i < STAGE_FAKES && stage->fake[i] != NULL; i++) {
        fake_do(stage->fake[i], "listen");
    }
    stage_await_up(stage, "a");
}

void stage_close(struct stage *stage)
{
    free(stage->seen);
    asker_destroy(&stage->asker);
    subscriber_destroy(&stage->subscriber);
    stream_destroy(&stage->stream);
    scene_stop_daemon(&stage->daemon);
    for (unsigned i = 0; i < STAGE_FAKES && stage->fake[i] != NULL; i++) {
        cr_assert_eq(fake_stop(&stage->fake[i]), 0);
    }
}

/* --- the file */

static void write_text(struct stage *stage, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s.new", stage->daemon->config_path);
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    for (const char *at; (at = strstr(text, "DIR")) != NULL; text = at + strlen("DIR")) {
        fwrite(text, 1, (size_t)(at - text), file);
        fputs(stage->daemon->directory, file);
    }
    fputs(text, file);
    cr_assert_eq(fclose(file), 0);
    cr_assert_eq(rename(path, stage->daemon->config_path), 0);
}

void stage_write(struct stage *stage, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = print(format, arguments);
    va_end(arguments);
    write_text(stage, text);
    free(text);
}

void stage_hang_up(struct stage *stage)
{
    cr_assert_eq(process_signal(stage->daemon->process, SIGHUP), ARIZMQ_OK);
}

/* Goes on listening meanwhile, so that the subscriber's queue stays short. */
static const char *await_log(struct stage *stage, const char *event, const char *text)
{
    const char *line = NULL;
    STAGE_UNTIL(stage, (line = daemon_await_log(stage->daemon, event, text, 0)) != NULL);
    return line;
}

const char *stage_reload(struct stage *stage, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = print(format, arguments);
    va_end(arguments);
    write_text(stage, text);
    free(text);
    stage_hang_up(stage);
    return await_log(stage, "reloaded", NULL);
}

void stage_expect_reload(struct stage *stage, const char *text)
{
    stage_hang_up(stage);
    const char *line = await_log(stage, "reloaded", NULL);
    cr_assert_not_null(strstr(line, text), "%s, not %s", text, line);
}

void stage_expect_refusal(struct stage *stage, const char *text)
{
    stage_hang_up(stage);
    const char *line = await_log(stage, "reload_refused", NULL);
    cr_assert_not_null(strstr(line, text), "%s, not %s", text, line);
}

/* --- events */

static void take_own(struct stage *stage, const struct subscriber_message *message)
{
    json_t *own = json_loadb(message->event, message->event_length, 0, NULL);
    const char *type = json_string_value(json_object_get(own, "type"));
    const char *node = json_string_value(json_object_get(own, "node"));
    const char *reason = json_string_value(json_object_get(own, "reason"));
    bool is_end = strcmp(type, "ArizmqNodeDisconnected") == 0;
    bool is_gap = strcmp(type, "ArizmqGap") == 0;
    stage->gaps += is_gap;
    stage->disturbances += (is_end || is_gap) && strcmp(node, "a") == 0;
    if (is_end) {
        snprintf(stage->reason, sizeof stage->reason, "%s", reason);
    }
    if (is_end && strcmp(reason, "removed") == 0) {
        snprintf(stage->removed, sizeof stage->removed, "%s", node);
    }
    if (strcmp(type, "ArizmqNodeConnected") == 0) {
        bool is_handover = json_is_true(json_object_get(own, "handover"));
        stage->handovers += is_handover;
        stage->connects += !is_handover;
    }
    json_decref(own);
}

static void take(struct stage *stage, const struct subscriber_message *message)
{
    stream_check(stage->stream, message);
    if (strncmp(message->topic, "Arizmq", 6) == 0) {
        take_own(stage, message);
        return;
    }
    static const char mark[] = "\"application\":\"ivr\",\"serial\":";
    const char *at = strstr(message->event, mark);
    if (at == NULL) {
        return;
    }
    uint64_t serial = strtoull(at + sizeof mark - 1, NULL, 10);
    cr_assert(serial > 0 && serial < STAGE_NUMBERS_MAX);
    bool is_again = stage->seen[serial]++ > 0;
    stage->doubled += is_again;
    stage->numbers += !is_again;
    stage->unordered += serial < stage->serial;
    stage->serial = serial > stage->serial ? serial : stage->serial;
}

void stage_listen(struct stage *stage, int timeout_ms)
{
    struct subscriber_message message;
    while (subscriber_receive(stage->subscriber, timeout_ms, &message) == ARIZMQ_OK) {
        take(stage, &message);
        subscriber_message_clear(&message);
        timeout_ms = 0;
    }
}

void stage_flood(struct stage *stage, unsigned rate)
{
    fake_do(stage->fake[0], "flood 10000000 %u ivr", rate);
}

void stage_end_flood(struct stage *stage)
{
    fake_do(stage->fake[0], "flood-stop");
    const char *line = fake_await_event(stage->fake[0], "flood stopped", FLOW_TIMEOUT_MS);
    cr_assert_not_null(line);
    uint64_t last = (uint64_t)fake_number(line, "events");
    cr_assert_eq(fake_number(line, "dropped"), 0, "%s", line);
    STAGE_UNTIL(stage, stage->numbers == last);
    cr_assert_eq(stage->serial, last);
    cr_assert_eq(stage->doubled, 0);
}

/* --- commands */

int stage_ask(struct stage *stage, const char *method, const char *uri, const char *node,
              char error[32])
{
    char id[32];
    snprintf(id, sizeof id, "stage-%u", ++stage->asked);
    asker_send(stage->asker, method, uri, node, id);
    struct answer answer;
    asker_receive(stage->asker, id, &answer);
    int status = (int)answer_number(&answer, "status_code");
    if (error != NULL) {
        snprintf(error, 32, "%s", answer_error(&answer));
    }
    answer_clear(&answer);
    return status;
}

void stage_ask_until(struct stage *stage, const char *method, const char *uri, const char *node,
                     int status)
{
    STAGE_UNTIL(stage, stage_ask(stage, method, uri, node, NULL) == status);
}

static json_t *get_own(struct stage *stage, const char *uri)
{
    struct answer answer;
    asker_get(stage->asker, &answer, "%s", uri);
    json_t *body =
        json_loadb(zmq_msg_data(&answer.frame[0]), zmq_msg_size(&answer.frame[0]), 0, NULL);
    cr_assert_not_null(body);
    answer_clear(&answer);
    return body;
}

static bool node_is_up(struct stage *stage, const char *name)
{
    json_t *body = get_own(stage, "arizmq/nodes");
    size_t index = 0;
    json_t *node = NULL;
    bool is_up = false;
    json_array_foreach(json_object_get(body, "nodes"), index, node)
    {
        if (strcmp(json_string_value(json_object_get(node, "name")), name) != 0) {
            continue;
        }
        is_up = true;
        size_t place = 0;
        json_t *app = NULL;
        json_array_foreach(json_object_get(node, "apps"), place, app)
        {
            const char *state = json_string_value(json_object_get(app, "state"));
            is_up = is_up && strcmp(state, "up") == 0;
        }
    }
    json_decref(body);
    return is_up;
}

void stage_await_up(struct stage *stage, const char *node)
{
    STAGE_UNTIL(stage, node_is_up(stage, node));
}

long long stage_reloads(struct stage *stage, const char *member)
{
    json_t *body = get_own(stage, "arizmq/info");
    const json_t *value = json_object_get(json_object_get(body, "reloads"), member);
    long long number = json_is_integer(value) ? json_integer_value(value) : -1;
    json_decref(body);
    return number;
}
