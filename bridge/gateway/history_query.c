/* SPDX-License-Identifier: MPL-2.0 */
/*
 * From the query of a GET arizmq/history to a struct. history_desk.c calls it for each. What it
 * does not know it refuses: a parameter with a slip in its name would otherwise bring another
 * answer than was meant.
 */
#include "gateway/history_query.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "arizmq/error.h"
#include "gateway/quote.h"

/* Seqs and epochs are JSON integers elsewhere, which have 63 bits with most readers. */
#define NUMBER_MAX ((uint64_t)INT64_MAX)

enum parameter {
    PARAMETER_VIEW,
    PARAMETER_PREFIX,
    PARAMETER_AFTER,
    PARAMETER_UNTIL,
    PARAMETER_EPOCH,
    PARAMETER_LIMIT,
    PARAMETERS_COUNT,
};

static const struct {
    const char *name;
    uint64_t min; /* of numbers */
    size_t offset;
} parameters[PARAMETERS_COUNT] = {
    [PARAMETER_VIEW] = {"view", 0, 0},
    [PARAMETER_PREFIX] = {"prefix", 0, 0},
    [PARAMETER_AFTER] = {"after", 0, offsetof(struct history_query, after)},
    [PARAMETER_UNTIL] = {"until", 0, offsetof(struct history_query, until)},
    [PARAMETER_EPOCH] = {"epoch", 1, offsetof(struct history_query, epoch)},
    [PARAMETER_LIMIT] = {"limit", 1, offsetof(struct history_query, limit)},
};

__attribute__((format(printf, 2, 3))) static bool refuse(struct request_refusal *refusal,
                                                         const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(refusal->message, sizeof refusal->message, format, arguments);
    va_end(arguments);
    refusal->error = REPLY_BAD_REQUEST;
    return false;
}

static bool read_number(enum parameter parameter, struct span value, struct history_query *out,
                        struct request_refusal *refusal)
{
    uint64_t number = 0;
    bool is_number = value.length > 0;
    for (size_t i = 0; i < value.length && is_number; i++) {
        unsigned digit = (unsigned char)value.bytes[i] - (unsigned)'0';
        is_number = digit <= 9 && number <= (NUMBER_MAX - digit) / 10;
        number = number * 10 + digit;
    }
    if (!is_number || number < parameters[parameter].min) {
        char quoted[QUOTE_SIZE];
        return refuse(refusal, "%s %s: allowed are whole numbers, %" PRIu64 " to %" PRIu64,
                      parameters[parameter].name, quote_text(value.bytes, value.length, quoted),
                      parameters[parameter].min, NUMBER_MAX);
    }
    memcpy((char *)out + parameters[parameter].offset, &number, sizeof number);
    return true;
}

static bool read_view(struct span value, struct history_query *out, struct request_refusal *refusal)
{
    if (memchr(value.bytes, '\0', value.length) != NULL) {
        char quoted[QUOTE_SIZE];
        return refuse(refusal, "view %s has a NUL byte: write a view's name or its endpoint",
                      quote_text(value.bytes, value.length, quoted));
    }
    out->view = value.bytes;
    return true;
}

static bool read_parameter(struct span name, struct span value, unsigned *seen,
                           struct history_query *out, struct request_refusal *refusal)
{
    char quoted[QUOTE_SIZE];
    unsigned i = 0;
    while (i < PARAMETERS_COUNT && (strlen(parameters[i].name) != name.length ||
                                    memcmp(parameters[i].name, name.bytes, name.length) != 0)) {
        i++;
    }
    if (i == PARAMETERS_COUNT) {
        return refuse(refusal,
                      "%s is no parameter of arizmq/history: allowed are view, prefix, after, "
                      "until, epoch and limit",
                      quote_text(name.bytes, name.length, quoted));
    }
    if ((*seen & 1U << i) != 0) {
        return refuse(refusal, "%s is there twice: write it once", parameters[i].name);
    }
    *seen |= 1U << i;
    switch ((enum parameter)i) {
    case PARAMETER_VIEW:
        return read_view(value, out, refusal);
    case PARAMETER_PREFIX:
        out->prefix = value;
        return true;
    default:
        return read_number((enum parameter)i, value, out, refusal);
    }
}

int history_query_read(const char *text, const struct config_history *bounds,
                       struct history_query *out, struct request_refusal *refusal)
{
    *out = (struct history_query){.view = "events",
                                  .prefix = {"", 0},
                                  .until = UINT64_MAX,
                                  .limit = bounds->max_page_messages,
                                  .page_bytes = bounds->max_page_bytes};
    if (query_begin(text, &out->texts) != ARIZMQ_OK) {
        refuse(refusal, "there is no memory for the request: try again");
        refusal->error = REPLY_OVERLOADED;
        return ARIZMQ_EINVALID;
    }
    unsigned seen = 0;
    bool is_good = true;
    struct span name;
    struct span value;
    while (is_good && query_next(&out->texts, &name, &value)) {
        is_good = read_parameter(name, value, &seen, out, refusal);
    }
    if (is_good && out->until < out->after) {
        is_good = refuse(refusal,
                         "until %" PRIu64 " is below after, %" PRIu64
                         ": write the last seq wanted, or leave it out",
                         out->until, out->after);
    }
    if (!is_good) {
        history_query_release(out);
        return ARIZMQ_EINVALID;
    }
    if (out->limit > bounds->max_page_messages) {
        out->limit = bounds->max_page_messages;
    }
    return ARIZMQ_OK;
}

void history_query_release(struct history_query *query)
{
    query_release(&query->texts);
}
