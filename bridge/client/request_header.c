/* SPDX-License-Identifier: MPL-2.0 */
/*
 * From a struct arizmq_request to the JSON header that the gateway reads. gateway.c calls it once
 * for each request; what is sent again is the same header.
 */
#include "client/request_header.h"

#include <stdint.h>
#include <stdio.h>
#include <sys/random.h>

#include "arizmq/error.h"

enum { UUID_BYTES = 16, UUID_SIZE = 37 };

/* RFC 4122, version 4. */
static int make_uuid(char out[UUID_SIZE])
{
    uint8_t random[UUID_BYTES];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) {
        return ARIZMQ_EIO;
    }
    random[6] = (uint8_t)((random[6] & 0x0f) | 0x40);
    random[8] = (uint8_t)((random[8] & 0x3f) | 0x80);
    size_t at = 0;
    for (unsigned i = 0; i < UUID_BYTES; i++) {
        bool begins_group = i == 4 || i == 6 || i == 8 || i == 10;
        at += (size_t)snprintf(out + at, UUID_SIZE - at, "%s%02x", begins_group ? "-" : "",
                               random[i]);
    }
    return ARIZMQ_OK;
}

static int set_text(json_t *header, const char *name, const char *text, const char **why)
{
    if (text == NULL) {
        return ARIZMQ_OK;
    }
    json_t *string = json_string(text);
    if (string == NULL) {
        *why = "its text is no UTF-8";
        return ARIZMQ_EINVALID;
    }
    return json_object_set_new(header, name, string) == 0 ? ARIZMQ_OK : ARIZMQ_ENOMEM;
}

/* As a list, in which a name may stand twice. */
static int set_query(json_t *header, const char *const *query, const char **why)
{
    json_t *list = json_array();
    int rc = list == NULL ? ARIZMQ_ENOMEM : ARIZMQ_OK;
    for (; rc == ARIZMQ_OK && query != NULL && query[0] != NULL; query += 2) {
        json_t *pair = json_object();
        if (query[1] == NULL) {
            *why = "a name in its query has no value";
            rc = ARIZMQ_EINVALID;
        }
        rc = rc == ARIZMQ_OK ? set_text(pair, "name", query[0], why) : rc;
        rc = rc == ARIZMQ_OK ? set_text(pair, "value", query[1], why) : rc;
        if (rc == ARIZMQ_OK && json_array_append(list, pair) != 0) {
            rc = ARIZMQ_ENOMEM;
        }
        json_decref(pair);
    }
    if (rc == ARIZMQ_OK && json_array_size(list) > 0 &&
        json_object_set(header, "query_strings", list) != 0) {
        rc = ARIZMQ_ENOMEM;
    }
    json_decref(list);
    return rc;
}

static int begin_header(const struct arizmq_request *request, json_t **out, const char **why)
{
    if (request->method == NULL || request->uri == NULL) {
        *why = "it has no method or no uri";
        return ARIZMQ_EINVALID;
    }
    if (request->members == NULL) {
        *out = json_object();
        return *out == NULL ? ARIZMQ_ENOMEM : ARIZMQ_OK;
    }
    json_t *members = json_loads(request->members, JSON_ALLOW_NUL, NULL);
    if (!json_is_object(members)) {
        json_decref(members);
        *why = "its members are no JSON object";
        return ARIZMQ_EINVALID;
    }
    *out = members;
    return ARIZMQ_OK;
}

static int set_id(json_t *header, const char *id, const char **why)
{
    char uuid[UUID_SIZE];
    if (id == NULL && json_is_string(json_object_get(header, "request_id"))) {
        return ARIZMQ_OK;
    }
    int rc = id == NULL ? make_uuid(uuid) : ARIZMQ_OK;
    return rc == ARIZMQ_OK ? set_text(header, "request_id", id != NULL ? id : uuid, why) : rc;
}

int request_header_make(const struct arizmq_request *request, json_t **out, const char **why)
{
    json_t *header = NULL;
    int rc = begin_header(request, &header, why);
    const struct {
        const char *name;
        const char *text;
    } texts[] = {{"method", request->method},
                 {"uri", request->uri},
                 {"node", request->node},
                 {"app", request->app},
                 {"content_type", request->content_type}};
    for (size_t i = 0; rc == ARIZMQ_OK && i < sizeof texts / sizeof *texts; i++) {
        rc = set_text(header, texts[i].name, texts[i].text, why);
    }
    if (rc == ARIZMQ_OK) {
        rc = set_query(header, request->query, why);
    }
    if (rc == ARIZMQ_OK) {
        rc = set_id(header, request->request_id, why);
    }
    uint32_t timeout_ms =
        request->timeout_ms != 0 ? request->timeout_ms : ARIZMQ_GATEWAY_TIMEOUT_MS;
    if (rc == ARIZMQ_OK &&
        json_object_set_new(header, "timeout_ms", json_integer(timeout_ms)) != 0) {
        rc = ARIZMQ_ENOMEM;
    }
    if (rc != ARIZMQ_OK) {
        json_decref(header);
        return rc;
    }
    *out = header;
    return ARIZMQ_OK;
}
