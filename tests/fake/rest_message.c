/* SPDX-License-Identifier: MPL-2.0 */
/*
 * REST over WebSocket (Asterisk 22): a text message of a client in, the RESTResponse's text out,
 * members in the recorded order. Called by session.c. Every message is answered, also one that is
 * no JSON; it never closes the connection.
 */
#include <stdlib.h>
#include <string.h>

#include "fake.h"

/* A number as an id comes back as "", as Asterisk takes strings only. */
static const char *message_string(json_t *message, const char *member)
{
    const char *value = json_string_value(json_object_get(message, member));
    return value ? value : "";
}

/* Percent-decodes in place; '+' is a space in a query only. */
static void uri_decode(char *text, bool is_query)
{
    if (is_query) {
        for (char *at = text; (at = strchr(at, '+')) != NULL;) {
            *at = ' ';
        }
    }
    size_t size = strlen(text) + 1;
    char *copy = strdup(text);
    lws_urldecode(text, copy, (int)size);
    free(copy);
}

static void query_add(json_t *query, const char *name, const char *value)
{
    if (!json_object_get(query, name)) {
        json_object_set_new(query, name, json_string(value));
    }
}

static void query_add_form(json_t *query, char *form)
{
    char *rest = form;
    for (char *pair; (pair = strsep(&rest, "&")) != NULL;) {
        char *value = pair;
        const char *name = strsep(&value, "=");
        char none[] = "";
        value = value ? value : none;
        char *name_copy = strdup(name);
        uri_decode(name_copy, true);
        uri_decode(value, true);
        query_add(query, name_copy, value);
        free(name_copy);
    }
}

/* Returns what is wrong with the list, NULL if nothing. */
static const char *query_add_list(json_t *query, json_t *list)
{
    if (!list || json_is_null(list)) {
        return NULL;
    }
    size_t i;
    json_t *pair;
    json_array_foreach(list, i, pair)
    {
        const char *name = json_string_value(json_object_get(pair, "name"));
        const char *value = json_string_value(json_object_get(pair, "value"));
        if (!name || !value) {
            return "Unable to parse 'query_strings' array.";
        }
        query_add(query, name, value);
    }
    return json_is_array(list) ? NULL : "Unable to parse 'query_strings' array.";
}

const char *rest_query_add_body(json_t *query, const char *content_type, const char *body)
{
    if (strcmp(content_type, "application/x-www-form-urlencoded") == 0) {
        char *form = strdup(body);
        query_add_form(query, form);
        free(form);
        return NULL;
    }
    if (strcmp(content_type, "application/json") != 0) {
        return "Unknown content type.";
    }
    json_t *parsed = json_loads(body, JSON_DECODE_ANY, NULL);
    if (!parsed) {
        return "Unable to parse 'message_body' as 'application/json'.";
    }
    const char *name;
    json_t *value;
    json_object_foreach(parsed, name, value)
    {
        if (json_is_string(value)) {
            query_add(query, name, json_string_value(value));
        }
    }
    json_decref(parsed);
    return NULL;
}

static const char *query_add_message_body(json_t *query, json_t *message)
{
    const char *body = message_string(message, "message_body");
    const char *content_type = message_string(message, "content_type");
    if (!*body) {
        return NULL;
    }
    return *content_type ? rest_query_add_body(query, content_type, body)
                         : "No 'content_type' for 'message_body'.";
}

static bool method_is_known(const char *method)
{
    static const char *const methods[] = {"GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS"};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        if (strcmp(method, methods[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* Fills the response; *uri is malloc'd, without its query. */
static void message_handle(struct fake *fake, const struct session *session, json_t *message,
                           char **uri, struct rest_response *response)
{
    const char *type = message_string(message, "type");
    *uri = strdup(message_string(message, "uri"));
    char *form = strchr(*uri, '?');
    if (form) {
        *form++ = '\0';
    }
    json_t *query = json_object();
    const char *error = NULL;
    if (!*type) {
        error = "No 'type' property.";
    } else if (strcmp(type, "RESTRequest") != 0) {
        error = "Unknown request type.";
    } else if (!**uri) {
        error = "Empty or missing 'uri' property.";
    } else if (!method_is_known(message_string(message, "method"))) {
        error = "Unknown or missing 'method' property.";
    } else {
        if (form) {
            query_add_form(query, form);
        }
        error = query_add_list(query, json_object_get(message, "query_strings"));
        error = error ? error : query_add_message_body(query, message);
    }
    if (error) {
        rest_response_set_message(response, 400, "Bad request", error);
        console_event("rest - %s via=ws status=400", **uri ? *uri : "-");
        fake->stats.rest++;
    } else {
        char *decoded = strdup(*uri);
        uri_decode(decoded, false);
        struct rest_request request = {.method = message_string(message, "method"),
                                       .uri = decoded,
                                       .query = query,
                                       .is_read_only = session->is_read_only,
                                       .is_over_websocket = true};
        rest_handle(fake, &request, response);
        free(decoded);
    }
    json_decref(query);
}

char *rest_handle_message(struct fake *fake, struct session *session, const char *text,
                          size_t length)
{
    struct rest_response response = {0};
    char *uri = NULL;
    json_t *message = json_loadb(text, length, 0, NULL);
    if (json_is_object(message)) {
        message_handle(fake, session, message, &uri, &response);
    } else {
        response.status = 400;
        response.reason = "Failed to parse request message JSON";
        console_event("rest - - via=ws status=400");
        fake->stats.rest++;
    }
    char time[32];
    fake_write_time(time);
    json_t *answer = json_pack(
        "{s:s, s:s, s:s, s:i, s:s, s:s, s:s*, s:s*, s:s, s:s, s:s}", "type", "RESTResponse",
        "transaction_id", message_string(message, "transaction_id"), "request_id",
        message_string(message, "request_id"), "status_code", response.status, "reason_phrase",
        response.reason, "uri", uri ? uri : "", "content_type", response.content_type,
        "message_body", response.body, "application", session->first_app, "timestamp", time,
        "asterisk_id", fake->version->entity_id);
    char *out = json_dumps(answer, JSON_COMPACT);
    json_decref(answer);
    json_decref(message);
    rest_response_free(&response);
    free(uri);
    return out;
}
