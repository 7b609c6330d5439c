/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Every message that `arizmq sub` shows passes through print_message(), which writes it in the form
 * asked for. The JSON form carries the event's bytes as they came: it parses them only to know that
 * they are JSON, and never writes what Jansson made of them.
 */
#include "cli/print.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cli/facts.h"
#include "cli/human.h"
#include "cli/pretty.h"
#include "cli/text.h"

static void write_stamp(FILE *out, const struct arizmq_stamp *stamp)
{
    fprintf(out,
            "\"stamp\":{\"epoch\":%" PRIu64 ",\"seq\":%" PRIu64 ",\"received_ns\":%" PRIu64
            ",\"count\":[",
            stamp->epoch, stamp->seq, stamp->received_ns);
    for (unsigned i = 0; i < stamp->counts; i++) {
        fprintf(out, "%s%" PRIu64, i > 0 ? "," : "", stamp->count[i]);
    }
    fputs("]}", out);
}

/* Writes JSON text as it is, on one line. In JSON a line break can stand only between tokens, where
 * a space means the same. */
static void write_json_on_one_line(FILE *out, const char *bytes, size_t length)
{
    const char *end = bytes + length;
    while (bytes < end) {
        const char *stop = bytes;
        while (stop < end && *stop != '\n' && *stop != '\r') {
            stop++;
        }
        fwrite(bytes, 1, (size_t)(stop - bytes), out);
        if (stop < end) {
            putc(' ', out);
            stop++;
        }
        bytes = stop;
    }
}

static void print_json(FILE *out, const struct message *message)
{
    json_t *event = pretty_parse(message->event, message->event_length);
    putc('{', out);
    text_write_member(out, "topic", message->topic, message->topic_length);
    putc(',', out);
    write_stamp(out, &message->stamp);
    putc(',', out);
    if (event != NULL) {
        fputs("\"event\":", out);
        write_json_on_one_line(out, message->event, message->event_length);
    } else {
        text_write_member(out, "event", message->event, message->event_length);
    }
    fputs("}\n", out);
    json_decref(event);
}

static void print_pretty(FILE *out, const struct print_style *style, const struct message *message)
{
    const char *bold = style->use_color ? "\033[1m" : "";
    const char *plain = style->use_color ? "\033[0m" : "";
    fprintf(out, "%stopic %s", bold, plain);
    text_write_clean(out, message->topic, message->topic_length, "");
    fprintf(out, "\n%sstamp %sepoch %" PRIu64 " seq %" PRIu64 " received_ns %" PRIu64 " (", bold,
            plain, message->stamp.epoch, message->stamp.seq, message->stamp.received_ns);
    human_write_time(out, message->stamp.received_ns);
    fputs(") count", out);
    for (unsigned i = 0; i < message->stamp.counts; i++) {
        fprintf(out, " %" PRIu64, message->stamp.count[i]);
    }
    putc('\n', out);
    json_t *event = pretty_parse(message->event, message->event_length);
    char *text =
        event == NULL
            ? NULL
            : json_dumps(event, JSON_INDENT(2) | JSON_ENCODE_ANY | JSON_REAL_PRECISION(17));
    if (text != NULL) {
        text_write_clean(out, text, strlen(text), "\n");
    } else {
        text_write_clean(out, message->event, message->event_length, "");
    }
    fputs("\n\n", out);
    free(text);
    json_decref(event);
}

static void print_human(FILE *out, const struct print_style *style, const struct message *message)
{
    json_t *event = pretty_parse(message->event, message->event_length);
    human_write(out, message, style->view, event, style->use_color);
    json_decref(event);
}

void print_message(FILE *out, const struct print_style *style, const struct message *message)
{
    switch (style->form) {
    case PRINT_FORM_HUMAN:
        print_human(out, style, message);
        break;
    case PRINT_FORM_JSON:
        print_json(out, message);
        break;
    case PRINT_FORM_PRETTY:
        print_pretty(out, style, message);
        break;
    case PRINT_FORM_TOPICS:
        text_write_clean(out, message->topic, message->topic_length, "");
        putc('\n', out);
        break;
    }
}

static void print_object_json(FILE *out, const struct arizmq_object *object)
{
    const char *const members[][2] = {
        {"kind", object->kind}, {"id", object->id}, {"node", object->node}, {"app", object->app}};
    json_t *value = pretty_parse(object->value, object->value_length);
    fputs("{\"object\":{", out);
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        text_write_member(out, members[i][0], members[i][1], strlen(members[i][1]));
        putc(',', out);
    }
    fprintf(out, "\"epoch\":%" PRIu64 ",\"seq\":%" PRIu64 ",", object->epoch, object->seq);
    if (value != NULL) {
        fputs("\"value\":", out);
        write_json_on_one_line(out, object->value, object->value_length);
    } else {
        text_write_member(out, "value", object->value, object->value_length);
    }
    fputs("}}\n", out);
    json_decref(value);
}

/* "object channel/1690.12" and where it is. */
static void write_object_name(FILE *out, const struct arizmq_object *object)
{
    const char *const words[] = {object->kind, "/", object->id};
    fputs("object ", out);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        text_write_clean(out, words[i], strlen(words[i]), "");
    }
}

static void write_object_place(FILE *out, const struct arizmq_object *object)
{
    putc(' ', out);
    text_write_clean(out, object->node, strlen(object->node), "");
    putc(' ', out);
    text_write_clean(out, object->app, strlen(object->app), "");
}

/* The facts that an event with this object would show. */
static void write_object_facts(FILE *out, const struct arizmq_object *object)
{
    bool is_device = strcmp(object->kind, "device") == 0;
    json_t *value = pretty_parse(object->value, object->value_length);
    json_t *event = json_pack("{s:o}", is_device ? "device_state" : object->kind, value);
    if (event != NULL) {
        facts_write(out, "", event);
    }
    json_decref(event);
}

static void write_object_value(FILE *out, const struct arizmq_object *object)
{
    json_t *value = pretty_parse(object->value, object->value_length);
    char *text =
        value == NULL
            ? NULL
            : json_dumps(value, JSON_INDENT(2) | JSON_ENCODE_ANY | JSON_REAL_PRECISION(17));
    if (text != NULL) {
        text_write_clean(out, text, strlen(text), "\n");
    } else {
        text_write_clean(out, object->value, object->value_length, "");
    }
    free(text);
    json_decref(value);
}

void print_object(FILE *out, const struct print_style *style, const struct arizmq_object *object)
{
    if (style->form == PRINT_FORM_JSON) {
        print_object_json(out, object);
        return;
    }
    write_object_name(out, object);
    if (style->form == PRINT_FORM_HUMAN) {
        write_object_place(out, object);
        write_object_facts(out, object);
    } else if (style->form == PRINT_FORM_PRETTY) {
        write_object_place(out, object);
        putc('\n', out);
        write_object_value(out, object);
        putc('\n', out);
    }
    putc('\n', out);
}
