/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Writes the header of a reply, and the body of the bridge's own errors. The gateway calls it for
 * each reply, Asterisk's and its own. It never fails for what Asterisk said: text that is no UTF-8
 * is shown as far as it is.
 */
#include "gateway/reply.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <unistr.h>

#include "gateway/request.h"

#define REPLY_ROW(identifier, status, word, reason) {status, word, reason},
static const struct {
    int status;
    const char *word;
    const char *reason;
} errors[] = {REPLY_ERRORS(REPLY_ROW)};
#undef REPLY_ROW

int reply_error_status(enum reply_error error)
{
    return errors[error].status;
}

const char *reply_error_word(enum reply_error error)
{
    return errors[error].word;
}

const char *reply_error_reason(enum reply_error error)
{
    return errors[error].reason;
}

/* A JSON string of `text`; bytes that are no UTF-8 become '?'. NULL without memory. */
static json_t *make_string(const char *text)
{
    size_t length = strlen(text);
    if (u8_check((const uint8_t *)text, length) == NULL) {
        return json_stringn_nocheck(text, length);
    }
    char *copy = strdup(text);
    if (copy == NULL) {
        return NULL;
    }
    const uint8_t *bad;
    while ((bad = u8_check((const uint8_t *)copy, length)) != NULL) {
        copy[bad - (const uint8_t *)copy] = '?';
    }
    json_t *string = json_stringn_nocheck(copy, length);
    free(copy);
    return string;
}

/* NULL: the member is left out. Returns whether there was memory. */
static bool put_text(json_t *json, const char *name, const char *text)
{
    return text == NULL || json_object_set_new_nocheck(json, name, make_string(text)) == 0;
}

/* Milliseconds with three decimals; the nearest double is printed as they are with 15 digits. */
static double elapsed_ms(uint64_t elapsed_ns)
{
    return (double)((elapsed_ns + 500) / 1000) / 1000.0;
}

/* Takes `json` over. */
static char *print(json_t *json, bool is_complete, size_t *length)
{
    char *text = NULL;
    if (json != NULL && is_complete) {
        text = json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(15));
    }
    json_decref(json);
    if (text != NULL) {
        *length = strlen(text);
    }
    return text;
}

char *reply_print(const struct reply *reply, const struct request *request, size_t *length)
{
    static const struct request unknown;
    const struct request *of = request != NULL ? request : &unknown;
    json_t *json = json_object();
    bool is_complete =
        put_text(json, "type", "RESTResponse") && put_text(json, "request_id", of->request_id) &&
        put_text(json, "transaction_id", of->transaction_id) &&
        json_object_set_new_nocheck(json, "status_code", json_integer(reply->status_code)) == 0 &&
        put_text(json, "reason_phrase", reply->reason_phrase) &&
        put_text(json, "content_type", reply->content_type) && put_text(json, "uri", of->uri) &&
        put_text(json, "node", reply->node) && put_text(json, "source", reply->source) &&
        put_text(json, "error", reply->error) &&
        json_object_set_new_nocheck(json, "elapsed_ms", json_real(elapsed_ms(reply->elapsed_ns))) ==
            0;
    return print(json, is_complete, length);
}

char *reply_print_error(const char *message, size_t *length)
{
    json_t *json = json_object();
    return print(json, put_text(json, "message", message), length);
}
