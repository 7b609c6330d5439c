/* SPDX-License-Identifier: MPL-2.0 */
/*
 * JSON for over_ws.c: what Asterisk understands of a command, and what it answers. Its rules were
 * measured on 22.10: uri without a leading slash, the body as a string, two content types.
 */
#include "gateway/over_ws_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <unistr.h>

#include "arizmq/error.h"
#include "gateway/over_ws.h"

enum { OVERHEAD_BYTES = 512 }; /* of a RESTRequest, beside uri, query and body */

static bool is_one_of(const char *text, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(text, list[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* A body that claims to be JSON and is not gets another error there than over HTTP. */
static bool is_json(const char *body, size_t length)
{
    json_t *json = json_loadb(body, length, JSON_DECODE_ANY, NULL);
    json_decref(json);
    return json != NULL;
}

bool over_ws_can_carry(const struct exchange_order *order)
{
    static const char *const methods[] = {"GET", "POST", "PUT", "DELETE", "OPTIONS"};
    static const char json[] = "application/json";
    static const char *const types[] = {json, "application/x-www-form-urlencoded"};
    return is_one_of(order->method, methods, sizeof methods / sizeof *methods) &&
           (order->content_type == NULL ||
            is_one_of(order->content_type, types, sizeof types / sizeof *types)) &&
           strlen(order->uri) + strlen(order->query) + order->body_length + OVERHEAD_BYTES <=
               POST_TEXT_MAX &&
           (order->body_length == 0 ||
            (memchr(order->body, '\0', order->body_length) == NULL &&
             u8_check((const uint8_t *)order->body, order->body_length) == NULL &&
             (strcmp(order->content_type, json) != 0 || is_json(order->body, order->body_length))));
}

char *over_ws_text_write(const struct exchange_order *order, uint64_t number, size_t *length)
{
    char id[64];
    snprintf(id, sizeof id, POST_ID_PREFIX "%" PRIu64, number);
    char *uri = NULL;
    if (asprintf(&uri, "%s%s%s", order->uri, order->query[0] != '\0' ? "?" : "", order->query) <
        0) {
        return NULL;
    }
    json_t *json = json_pack("{s:s, s:s, s:s, s:s, s:s}", "type", "RESTRequest", "transaction_id",
                             "", "request_id", id, "method", order->method, "uri", uri);
    free(uri);
    if (order->body_length > 0) {
        json_object_set_new(json, "content_type", json_string(order->content_type));
        json_object_set_new(json, "message_body", json_stringn(order->body, order->body_length));
        /* Without either the command would be another one. */
        if (json_object_size(json) != 7) {
            json_decref(json);
            return NULL;
        }
    }
    char *text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    if (text != NULL) {
        *length = strlen(text);
    }
    return text;
}

static int take_body(const json_t *value, uint64_t max_bytes, zmq_msg_t *out)
{
    size_t length = json_string_length(value); /* 0 where it is none */
    if (length > max_bytes) {
        return ARIZMQ_ETOOLARGE;
    }
    if (zmq_msg_init_size(out, length) != 0) {
        return ARIZMQ_ENOMEM;
    }
    if (length > 0) {
        memcpy(zmq_msg_data(out), json_string_value(value), length);
    }
    return ARIZMQ_OK;
}

int over_ws_text_read(const char *text, size_t length, uint64_t max_bytes, struct over_ws_text *out)
{
    json_t *json = json_loadb(text, length, JSON_ALLOW_NUL, NULL);
    json_int_t status = json_integer_value(json_object_get(json, "status_code"));
    const json_t *body = json_object_get(json, "message_body");
    int result = status < 100 || status > 599 || (body != NULL && !json_is_string(body))
                     ? ARIZMQ_EINVALID
                     : take_body(body, max_bytes, &out->body);
    if (result != ARIZMQ_OK) {
        json_decref(json);
        return result;
    }
    const char *reason = json_string_value(json_object_get(json, "reason_phrase"));
    out->json = json;
    out->answer = (struct exchange_answer){
        .outcome = EXCHANGE_ANSWERED,
        .status_code = (int)status,
        .reason_phrase = reason != NULL ? reason : "",
        .content_type = json_string_value(json_object_get(json, "content_type")),
        .body = &out->body};
    return ARIZMQ_OK;
}

void over_ws_text_release(struct over_ws_text *text)
{
    zmq_msg_close(&text->body);
    json_decref(text->json);
}
