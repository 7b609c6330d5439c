/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A request's path, query and body pass through here on their way to the router, which asks the
 * owners for every id that is found. Where to look is in mentions_table.c. Texts are decoded as
 * Asterisk decodes them (a plus sign is a space, in a path, too) into one buffer; the request is
 * not changed.
 */
#include "gateway/mentions.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>

#include "arizmq/error.h"
#include "event/scan.h"
#include "gateway/mentions_table.h"
#include "gateway/query.h"

struct reader {
    struct mentions *out;
    char *free; /* of out->texts: what is decoded next goes here */
    const struct mentions_collection *collection; /* NULL: unknown */
    struct span action;                           /* MENTIONS_ALL until another is read */
    bool is_post;
    const char *path_app;
    const char *parameter_app;
};

static bool span_is(struct span span, const char *text)
{
    return strlen(text) == span.length && memcmp(span.bytes, text, span.length) == 0;
}

static void add(struct reader *reader, unsigned kind, struct span id, bool is_chosen, bool is_guess)
{
    struct mentions *out = reader->out;
    if (id.length == 0) {
        return; /* "channel:" is all channels, and no node's own */
    }
    if (out->count == MENTIONS_MAX) {
        out->dropped++;
        return;
    }
    out->item[out->count++] = (struct mention){kind, id.bytes, id.length, is_chosen, is_guess};
}

/* --- Texts: each ends with a NUL byte, for which there is room, since in the request a separator
 * or a quote stands behind each. */

static struct span keep(struct reader *reader, const char *bytes, size_t length)
{
    struct span kept = {reader->free, length};
    memmove(reader->free, bytes, length);
    reader->free[length] = '\0';
    reader->free += length + 1;
    return kept;
}

static struct span decode_percent(struct reader *reader, struct span raw)
{
    return keep(reader, reader->free, query_decode(raw, reader->free));
}

/* `raw` with its quotes. Returns false where it is no string. */
static bool decode_json(struct reader *reader, struct span raw, struct span *out)
{
    if (raw.length < 2 || raw.bytes[0] != '"') {
        return false;
    }
    if (memchr(raw.bytes, '\\', raw.length) == NULL) {
        *out = keep(reader, raw.bytes + 1, raw.length - 2);
        return true;
    }
    json_t *text = json_loadb(raw.bytes, raw.length, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    if (text != NULL) {
        *out = keep(reader, json_string_value(text), json_string_length(text));
    }
    json_decref(text);
    return text != NULL;
}

/* --- Path */

static struct span next_segment(const char **at)
{
    struct span segment = {*at, strcspn(*at, "/")};
    *at += segment.length;
    *at += **at == '/';
    return segment;
}

static const struct mentions_collection *find_collection(struct span name, struct span second)
{
    for (size_t i = 0; i < mentions_collections_count; i++) {
        const struct mentions_collection *collection = &mentions_collections[i];
        if (span_is(name, collection->name) &&
            (collection->second == NULL || span_is(second, collection->second))) {
            return collection;
        }
    }
    return NULL;
}

static bool is_word(const struct mentions_collection *collection, struct span segment)
{
    for (unsigned i = 0; i < MENTIONS_WORDS_MAX && collection->words[i] != NULL; i++) {
        if (span_is(segment, collection->words[i])) {
            return true;
        }
    }
    return collection->role == MENTIONS_WORD;
}

/* What stands behind an action is an id by the table, or may be one of an operation to come. */
static void read_member(struct reader *reader, struct span segment)
{
    for (size_t i = 0; i < mentions_members_count; i++) {
        const struct mentions_member *member = &mentions_members[i];
        if (strcmp(member->collection, reader->collection->name) == 0 &&
            span_is(reader->action, member->action)) {
            add(reader, member->kind, segment, member->is_chosen && reader->is_post, false);
            return;
        }
    }
    add(reader, MENTION_ANY_KIND, segment, false, true);
}

static void read_rest(struct reader *reader, const char *at)
{
    while (*at != '\0') {
        add(reader, MENTION_ANY_KIND, decode_percent(reader, next_segment(&at)), false, true);
    }
}

/* The path behind a collection's name: {id}, {id}/{action}, {id}/{action}/{member}, or {word}. */
static void read_in_collection(struct reader *reader, const char *at)
{
    const struct mentions_collection *collection = reader->collection;
    if (*at == '\0') {
        return;
    }
    struct span first = decode_percent(reader, next_segment(&at));
    if (is_word(collection, first)) {
        reader->action = first;
        return; /* what an event is called, and the like */
    }
    bool is_itself = *at == '\0';
    if (collection->role == MENTIONS_APP) {
        reader->path_app = first.bytes;
    } else {
        add(reader, collection->kind, first, collection->is_chosen && reader->is_post && is_itself,
            false);
    }
    reader->action = (struct span){MENTIONS_ITSELF, strlen(MENTIONS_ITSELF)};
    if (!is_itself) {
        reader->action = decode_percent(reader, next_segment(&at));
    }
    if (*at != '\0') {
        read_member(reader, decode_percent(reader, next_segment(&at)));
    }
    read_rest(reader, at);
}

static void read_path(struct reader *reader, const char *uri)
{
    const char *at = uri;
    struct span name = decode_percent(reader, next_segment(&at));
    const char *behind_name = at;
    struct span second = decode_percent(reader, next_segment(&at));
    reader->collection = find_collection(name, second);
    reader->free -= second.length + 1; /* it is read again as what it is */
    if (reader->collection == NULL) {
        read_rest(reader, behind_name);
    } else if (reader->collection->role != MENTIONS_PLAIN) {
        read_in_collection(reader, reader->collection->second == NULL ? behind_name : at);
    }
}

/* --- Parameters */

static const struct mentions_parameter *find_parameter(const struct reader *reader,
                                                       struct span name)
{
    for (size_t i = 0; i < mentions_parameters_count; i++) {
        const struct mentions_parameter *parameter = &mentions_parameters[i];
        if (!span_is(name, parameter->name)) {
            continue;
        }
        if (parameter->collection == NULL ||
            (reader->collection != NULL &&
             strcmp(parameter->collection, reader->collection->name) == 0 &&
             span_is(reader->action, parameter->action))) {
            return parameter;
        }
    }
    return NULL;
}

static bool is_app(const struct reader *reader, struct span name)
{
    return span_is(name, "app") ||
           (reader->collection != NULL && reader->collection->role == MENTIONS_WORD &&
            span_is(name, "application"));
}

static void add_value(struct reader *reader, const struct mentions_parameter *parameter,
                      struct span value)
{
    unsigned kind = parameter->kind;
    if (parameter->form == MENTIONS_SOURCES) {
        const char *colon = memchr(value.bytes, ':', value.length);
        size_t scheme = colon == NULL ? 0 : (size_t)(colon - value.bytes);
        struct span name = {value.bytes, scheme};
        if (span_is(name, object_kind_names[OBJECT_CHANNEL])) {
            kind = OBJECT_CHANNEL;
        } else if (span_is(name, object_kind_names[OBJECT_BRIDGE])) {
            kind = OBJECT_BRIDGE;
        } else {
            return; /* an endpoint or a device, which every node may have */
        }
        value = (struct span){colon + 1, value.length - scheme - 1};
    }
    bool is_guess = parameter->collection == NULL || (parameter->is_chosen && !reader->is_post);
    add(reader, kind, value, parameter->is_chosen && !is_guess, is_guess);
}

/* A value of a query, which may be a list. */
static void add_list(struct reader *reader, const struct mentions_parameter *parameter,
                     struct span value)
{
    if (parameter->form == MENTIONS_ONE) {
        add_value(reader, parameter, value);
        return;
    }
    while (value.length > 0) {
        const char *comma = memchr(value.bytes, ',', value.length);
        size_t length = comma == NULL ? value.length : (size_t)(comma - value.bytes);
        add_value(reader, parameter, (struct span){value.bytes, length});
        length += comma != NULL;
        value = (struct span){value.bytes + length, value.length - length};
    }
}

/* name=value&name=value: a query, or a body that is a form. */
static void read_form(struct reader *reader, struct span form)
{
    while (form.length > 0) {
        const char *end = memchr(form.bytes, '&', form.length);
        size_t length = end == NULL ? form.length : (size_t)(end - form.bytes);
        const char *equals = memchr(form.bytes, '=', length);
        size_t name_length = equals == NULL ? length : (size_t)(equals - form.bytes);
        struct span value = {form.bytes + name_length, length - name_length};
        if (equals != NULL) {
            value = (struct span){equals + 1, value.length - 1};
        }
        struct span name = decode_percent(reader, (struct span){form.bytes, name_length});
        const struct mentions_parameter *parameter = find_parameter(reader, name);
        bool names_app = is_app(reader, name);
        reader->free -= name.length + 1;
        if (parameter != NULL) {
            add_list(reader, parameter, decode_percent(reader, value));
        } else if (names_app) {
            reader->parameter_app = decode_percent(reader, value).bytes;
        }
        length += end != NULL;
        form = (struct span){form.bytes + length, form.length - length};
    }
}

/* A JSON array of strings. */
static void read_json_list(struct reader *reader, const struct mentions_parameter *parameter,
                           struct span list)
{
    json_t *json = json_loadb(list.bytes, list.length, JSON_ALLOW_NUL, NULL);
    size_t index = 0;
    json_t *item = NULL;
    json_array_foreach(json, index, item)
    {
        if (json_is_string(item)) {
            add_value(reader, parameter,
                      keep(reader, json_string_value(item), json_string_length(item)));
        }
    }
    json_decref(json);
}

static void read_json_member(struct reader *reader, const struct scan_member *member)
{
    struct span key = {member->key.bytes - 1, member->key.length + 2};
    struct span name;
    struct span text;
    if (!decode_json(reader, key, &name)) {
        return; /* Asterisk refuses what is no JSON */
    }
    const struct mentions_parameter *parameter = find_parameter(reader, name);
    if (parameter != NULL && decode_json(reader, member->value, &text)) {
        add_value(reader, parameter, text); /* with Asterisk, a comma divides only queries */
    } else if (parameter != NULL && member->value.bytes[0] == '[') {
        read_json_list(reader, parameter, member->value);
    } else if (is_app(reader, name) && decode_json(reader, member->value, &text)) {
        reader->parameter_app = text.bytes;
    }
}

static int read_json(struct reader *reader, struct span body)
{
    char *padded = malloc(body.length + SCAN_PADDING);
    if (padded == NULL) {
        return ARIZMQ_ENOMEM;
    }
    memcpy(padded, body.bytes, body.length);
    memset(padded + body.length, 0, SCAN_PADDING);
    struct scan scan;
    if (scan_object(padded, body.length, &scan) == ARIZMQ_OK) {
        for (unsigned i = 0; i < scan.count; i++) {
            read_json_member(reader, &scan.members[i]);
        }
        reader->out->dropped += scan.dropped;
    }
    free(padded);
    return ARIZMQ_OK;
}

/* Without its parameters, such as "; charset=utf-8". */
static bool content_type_is(const char *content_type, const char *wanted)
{
    size_t length = strcspn(content_type, "; \t");
    return length == strlen(wanted) && strncasecmp(content_type, wanted, length) == 0;
}

static int read_body(struct reader *reader, const struct request *request)
{
    struct span body = {request->body, request->body_length};
    if (body.length == 0 || request->content_type == NULL) {
        return ARIZMQ_OK;
    }
    if (content_type_is(request->content_type, "application/json")) {
        return read_json(reader, body);
    }
    if (content_type_is(request->content_type, "application/x-www-form-urlencoded")) {
        read_form(reader, body);
    }
    return ARIZMQ_OK;
}

int mentions_read(const struct request *request, struct mentions *out)
{
    size_t query_length = strlen(request->query);
    /* No text grows when decoded, and the three begin anew. */
    char *texts = malloc(strlen(request->uri) + query_length + request->body_length + 4);
    if (texts == NULL) {
        return ARIZMQ_ENOMEM;
    }
    out->count = 0;
    out->dropped = 0;
    out->texts = texts;
    struct reader reader = {.out = out,
                            .free = texts,
                            .is_post = strcmp(request->method, "POST") == 0,
                            .action = {MENTIONS_ALL, strlen(MENTIONS_ALL)}};
    read_path(&reader, request->uri);
    read_form(&reader, (struct span){request->query, query_length});
    int result = read_body(&reader, request);
    if (result != ARIZMQ_OK) {
        mentions_release(out);
        return result;
    }
    out->app = reader.parameter_app != NULL ? reader.parameter_app : reader.path_app;
    if (request->app != NULL) {
        out->app = request->app;
    }
    return ARIZMQ_OK;
}

void mentions_release(struct mentions *mentions)
{
    free(mentions->texts);
    mentions->texts = NULL;
}
