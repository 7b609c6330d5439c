/* SPDX-License-Identifier: MPL-2.0 */
/*
 * From the query of a GET arizmq/snapshot to a struct. snapshot_desk.c calls it for each. What it
 * does not know it refuses: a parameter with a slip in its name would otherwise bring another
 * answer than was meant.
 */
#include "gateway/snapshot_ask.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "arizmq/error.h"
#include "gateway/quote.h"
#include "gateway/snapshot_print.h"

enum parameter { PARAMETER_KINDS, PARAMETER_NODE, PARAMETER_APP, PARAMETERS_COUNT };

static const char *const names[PARAMETERS_COUNT] = {
    [PARAMETER_KINDS] = "kinds", [PARAMETER_NODE] = "node", [PARAMETER_APP] = "app"};

__attribute__((format(printf, 3, 4))) static bool
refuse(struct request_refusal *refusal, enum reply_error error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(refusal->message, sizeof refusal->message, format, arguments);
    va_end(arguments);
    refusal->error = error;
    return false;
}

static bool span_is(struct span span, const char *text)
{
    return span.length == strlen(text) && memcmp(span.bytes, text, span.length) == 0;
}

static bool read_kind(struct span name, struct snapshot_ask *out, struct request_refusal *refusal)
{
    for (unsigned kind = 0; kind < OBJECT_KINDS; kind++) {
        if (span_is(name, snapshot_kind_names[kind])) {
            out->kinds |= 1U << kind;
            return true;
        }
    }
    char quoted[QUOTE_SIZE];
    return refuse(refusal, REPLY_BAD_REQUEST,
                  "kinds: %s is none of channels, bridges, playbacks, recordings, endpoints, "
                  "deviceStates",
                  quote_text(name.bytes, name.length, quoted));
}

static bool read_kinds(struct span value, struct snapshot_ask *out, struct request_refusal *refusal)
{
    out->kinds = 0;
    const char *end = value.bytes + value.length;
    for (const char *at = value.bytes;;) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        const char *stop = comma != NULL ? comma : end;
        if (!read_kind((struct span){at, (size_t)(stop - at)}, out, refusal)) {
            return false;
        }
        if (comma == NULL) {
            return true;
        }
        at = comma + 1;
    }
}

static bool read_parameter(struct span name, struct span value, unsigned *seen,
                           struct snapshot_ask *out, struct request_refusal *refusal)
{
    char quoted[QUOTE_SIZE];
    unsigned i = 0;
    while (i < PARAMETERS_COUNT && !span_is(name, names[i])) {
        i++;
    }
    if (i == PARAMETERS_COUNT) {
        return refuse(refusal, REPLY_BAD_REQUEST,
                      "%s is no parameter of arizmq/snapshot: allowed are kinds, node and app",
                      quote_text(name.bytes, name.length, quoted));
    }
    if ((*seen & 1U << i) != 0) {
        return refuse(refusal, REPLY_BAD_REQUEST, "%s is there twice: write it once", names[i]);
    }
    *seen |= 1U << i;
    if (i == PARAMETER_KINDS) {
        return read_kinds(value, out, refusal);
    }
    if (memchr(value.bytes, '\0', value.length) != NULL) {
        return refuse(refusal, REPLY_BAD_REQUEST, "%s %s has a NUL byte", names[i],
                      quote_text(value.bytes, value.length, quoted));
    }
    *(i == PARAMETER_NODE ? &out->node : &out->application) = value.bytes;
    return true;
}

static bool has_app(const struct config_node *node, const char *app)
{
    for (unsigned i = 0; i < node->apps_count; i++) {
        if (strcmp(node->apps[i], app) == 0) {
            return true;
        }
    }
    return false;
}

/* Whether there is such a link; a name with a slip in it would bring an empty answer. */
static bool check_names(const struct config *config, const struct snapshot_ask *ask,
                        struct request_refusal *refusal)
{
    bool has_node = ask->node == NULL;
    for (unsigned i = 0; i < config->nodes_count; i++) {
        const struct config_node *node = &config->nodes[i];
        if (!config_has_node(config, i) ||
            (ask->node != NULL && strcmp(node->name, ask->node) != 0)) {
            continue;
        }
        has_node = true;
        if (ask->application == NULL || has_app(node, ask->application)) {
            return true;
        }
    }
    char quoted[QUOTE_SIZE];
    if (!has_node) {
        return refuse(refusal, REPLY_NO_SUCH_NODE, "there is no node %s",
                      quote_text(ask->node, strlen(ask->node), quoted));
    }
    if (ask->application == NULL) {
        return true; /* no node is configured */
    }
    quote_text(ask->application, strlen(ask->application), quoted);
    return ask->node != NULL
               ? refuse(refusal, REPLY_NO_SUCH_NODE, "node %s has no application %s", ask->node,
                        quoted)
               : refuse(refusal, REPLY_NO_SUCH_NODE, "no node has the application %s", quoted);
}

int snapshot_ask_read(const char *text, const struct config *config, struct snapshot_ask *out,
                      struct request_refusal *refusal)
{
    *out = (struct snapshot_ask){.kinds = (1U << OBJECT_KINDS) - 1};
    if (query_begin(text, &out->texts) != ARIZMQ_OK) {
        refuse(refusal, REPLY_OVERLOADED, "there is no memory for the request: try again");
        return ARIZMQ_EINVALID;
    }
    unsigned seen = 0;
    bool is_good = true;
    struct span name;
    struct span value;
    while (is_good && query_next(&out->texts, &name, &value)) {
        is_good = read_parameter(name, value, &seen, out, refusal);
    }
    if (!is_good || !check_names(config, out, refusal)) {
        snapshot_ask_release(out);
        return ARIZMQ_EINVALID;
    }
    return ARIZMQ_OK;
}

void snapshot_ask_release(struct snapshot_ask *self)
{
    query_release(&self->texts);
}
