/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What an ARI request does, whichever way it came: http.c brings those over HTTP, session.c text
 * messages. Status, reason and bodies are those of the recordings. Channels and bridges are in
 * objects.c; the lists of endpoints and device states are empty. It never writes to a socket.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake.h"

const char *rest_reason(int status)
{
    static const struct {
        int status;
        const char *reason;
    } reasons[] = {
        {200, "OK"},
        {201, "Created"},
        {204, "No Content"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {409, "Conflict"},
        {413, "Request Entity Too Large"},
        {422, "Unprocessable Entity"},
        {426, "Upgrade Required"},
        {429, "Too Many Requests"},
        {500, "Internal Server Error"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
    };
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
        if (reasons[i].status == status) {
            return reasons[i].reason;
        }
    }
    return "Error";
}

void rest_response_set_json(struct rest_response *response, int status, json_t *body)
{
    response->status = status;
    response->reason = rest_reason(status);
    response->content_type = "application/json";
    free(response->body);
    response->body = json_dumps(body, JSON_COMPACT);
    json_decref(body);
}

void rest_response_set_message(struct rest_response *response, int status, const char *reason,
                               const char *message)
{
    rest_response_set_json(response, status, json_pack("{s:s}", "message", message));
    response->reason = reason ? reason : rest_reason(status);
}

void rest_response_set_html(const struct fake *fake, struct rest_response *response, int status,
                            const char *text)
{
    const char *reason = rest_reason(status);
    /* The heading of a page repeats the title, as Asterisk's do. */
    char *body = NULL;
    if (asprintf(&body,
                 "<!DOCTYPE HTML PUBLIC \"-//IETF//DTD HTML 2.0//EN\">\r\n"
                 "<html><head>\r\n<title>%d %s</title>\r\n</head><body>\r\n"
                 "<h1>%s</h1>\r\n<p>%s</p>\r\n<hr />\r\n"
                 "<address>Asterisk/%s</address>\r\n</body></html>\r\n",
                 status, reason, reason, text, fake->version->full) < 0) {
        abort();
    }
    free(response->body);
    *response = (struct rest_response){
        .status = status, .reason = reason, .content_type = "text/html", .body = body};
}

void rest_response_set_big(struct rest_response *response, size_t bytes)
{
    static const char begin[] = "{\"big\":\"";
    static const char end[] = "\"}";
    size_t around = sizeof begin - 1 + sizeof end - 1;
    size_t filled = bytes > around ? bytes - around : 0;
    free(response->body);
    char *body = malloc(around + filled + 1);
    if (!body) {
        abort();
    }
    free(response->location);
    memcpy(body, begin, sizeof begin - 1);
    memset(body + sizeof begin - 1, 'x', filled);
    memcpy(body + sizeof begin - 1 + filled, end, sizeof end);
    *response = (struct rest_response){.status = 200,
                                       .reason = rest_reason(200),
                                       .content_type = "application/json",
                                       .body = body};
}

void rest_response_free(struct rest_response *response)
{
    free(response->location);
    free(response->body);
    *response = (struct rest_response){0};
}

static json_t *info_build(const struct fake *fake)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "os", "Linux", "kernel", "unknown",
                     "machine", "unknown", "options", "OPTIONAL_API, TEST_FRAMEWORK", "date",
                     fake->version->build_date, "user", "nobody");
}

static void handle_info(struct fake *fake, const struct rest_request *request, const char *name,
                        struct rest_response *response)
{
    (void)name;
    const struct fake_version *version = fake->version;
    json_t *all = json_pack(
        "{s:o, s:{s:s, s:s}, s:{s:s, s:s, s:{s:s, s:s}}, s:{s:s, s:s}}", "build", info_build(fake),
        "system", "version", version->full, "entity_id", version->entity_id, "config", "name", "",
        "default_language", "en", "setid", "user", "", "group", "", "status", "startup_time",
        fake->startup_time, "last_reload_time", fake->startup_time);
    const char *only = json_string_value(json_object_get(request->query, "only"));
    if (only) {
        json_t *chosen = json_object();
        const char *key;
        json_t *value;
        json_object_foreach(all, key, value)
        {
            char *list = strdup(only);
            char *rest = list;
            for (char *word; (word = strsep(&rest, ",")) != NULL;) {
                if (strcmp(word, key) == 0) {
                    json_object_set(chosen, key, value);
                }
            }
            free(list);
        }
        json_decref(all);
        all = chosen;
    }
    rest_response_set_json(response, 200, all);
}

static void handle_ping(struct fake *fake, const struct rest_request *request, const char *name,
                        struct rest_response *response)
{
    (void)request;
    (void)name;
    char time[32];
    fake_write_time(time);
    rest_response_set_json(response, 200,
                           json_pack("{s:s, s:s, s:s}", "ping", "pong", "timestamp", time,
                                     "asterisk_id", fake->version->entity_id));
}

static void handle_empty_list(struct fake *fake, const struct rest_request *request,
                              const char *name, struct rest_response *response)
{
    (void)fake;
    (void)request;
    (void)name;
    rest_response_set_json(response, 200, json_array());
}

static void handle_applications(struct fake *fake, const struct rest_request *request,
                                const char *name, struct rest_response *response)
{
    (void)request;
    (void)name;
    json_t *list = json_array();
    for (struct application *each = fake->applications; each; each = each->hh.next) {
        json_array_append_new(list, application_to_json(each));
    }
    rest_response_set_json(response, 200, list);
}

static void handle_application(struct fake *fake, const struct rest_request *request,
                               const char *name, struct rest_response *response)
{
    (void)request;
    struct application *application = application_find(fake, name);
    if (!application) {
        rest_response_set_message(response, 404, NULL, "Application not found");
        return;
    }
    rest_response_set_json(response, 200, application_to_json(application));
}

static void handle_subscription(struct fake *fake, const struct rest_request *request,
                                const char *name, struct rest_response *response)
{
    bool subscribe = strcmp(request->method, "POST") == 0;
    const char *list = json_string_value(json_object_get(request->query, "eventSource"));
    if (!list) {
        rest_response_set_message(response, 400, NULL, "Missing parameter eventSource");
        return;
    }
    struct application *application = application_find(fake, name);
    if (!application) {
        rest_response_set_message(response, 404, NULL, "Application not found");
        return;
    }
    switch (subscribe ? application_subscribe(application, list)
                      : application_unsubscribe(application, list)) {
    case APPLICATION_OK:
        rest_response_set_json(response, 200, application_to_json(application));
        break;
    case APPLICATION_NO_SOURCE:
        rest_response_set_message(response, 422, NULL,
                                  subscribe ? "Event source does not exist"
                                            : "Event source was not subscribed to");
        break;
    case APPLICATION_BAD_SCHEME:
        rest_response_set_message(response, 400, NULL, "Invalid event source URI scheme");
        break;
    }
}

static void handle_events(struct fake *fake, const struct rest_request *request, const char *name,
                          struct rest_response *response)
{
    (void)name;
    if (request->is_over_websocket) {
        rest_response_set_message(response, 400, NULL,
                                  "Can't upgrade to websocket from a websocket");
    } else {
        rest_response_set_html(fake, response, 426, "");
    }
}

static const struct rest_resource resources[] = {
    {"asterisk/info", "OPTIONS,GET", "GET", handle_info},
    {"asterisk/ping", "OPTIONS,GET", "GET", handle_ping},
    {"applications", "OPTIONS,GET", "GET", handle_applications},
    {"applications/*", "OPTIONS,GET", "GET", handle_application},
    {"applications/*/subscription", "OPTIONS,POST,DELETE", "POST", handle_subscription},
    {"applications/*/subscription", "OPTIONS,POST,DELETE", "DELETE", handle_subscription},
    {"endpoints", "OPTIONS,GET", "GET", handle_empty_list},
    {"deviceStates", "OPTIONS,GET", "GET", handle_empty_list},
    {"events", "OPTIONS,GET", "GET", handle_events},
    {0},
};

/* Compares segment by segment; on a match name[] is what stood for '*'. */
static bool resource_matches(const char *path, const char *uri, char *name, size_t name_size)
{
    name[0] = '\0';
    for (;;) {
        size_t path_length = strcspn(path, "/");
        size_t uri_length = strcspn(uri, "/");
        if (path_length == 1 && *path == '*' && uri_length > 0 && uri_length < name_size) {
            memcpy(name, uri, uri_length);
            name[uri_length] = '\0';
        } else if (path_length != uri_length || memcmp(path, uri, path_length) != 0) {
            return false;
        }
        path += path_length;
        uri += uri_length;
        if (*path != *uri) {
            return false;
        }
        if (!*path) {
            return true;
        }
        path++;
        uri++;
    }
}

static const struct rest_override *override_find(const struct fake *fake, const char *uri)
{
    for (const struct rest_override *each = fake->overrides; each; each = each->next) {
        if (each->body ? strcmp(uri, each->prefix) == 0
                       : strncmp(uri, each->prefix, strlen(each->prefix)) == 0) {
            return each;
        }
    }
    return NULL;
}

/* The resource with that method; else the last one that matches otherwise, or NULL. */
static const struct rest_resource *resource_find(const struct rest_request *request, char *name,
                                                 size_t name_size)
{
    const struct rest_resource *const tables[] = {resources, objects_resources};
    const struct rest_resource *known = NULL;
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        for (const struct rest_resource *each = tables[i]; each->path; each++) {
            if (!resource_matches(each->path, request->uri, name, name_size)) {
                continue;
            }
            known = each;
            if (strcmp(known->method, request->method) == 0) {
                return known;
            }
        }
    }
    return known;
}

static void handle_known_method(struct fake *fake, const struct rest_request *request,
                                struct rest_response *response)
{
    char name[256];
    const struct rest_resource *known = resource_find(request, name, sizeof name);
    if (known && strcmp(known->method, request->method) == 0) {
        known->handle(fake, request, name, response);
        return;
    }
    if (!known) {
        rest_response_set_message(response, 404, NULL, "Resource not found");
    } else if (strcmp(request->method, "OPTIONS") == 0) {
        *response = (struct rest_response){
            .status = 204, .reason = rest_reason(204), .allow = known->allow};
    } else {
        rest_response_set_message(response, 405, NULL, "Invalid method");
        response->allow = known->allow;
    }
}

void rest_handle(struct fake *fake, const struct rest_request *request,
                 struct rest_response *response)
{
    *response = (struct rest_response){0};
    const struct rest_override *override = override_find(fake, request->uri);
    size_t length = strlen(request->uri);
    if (override && override->body) {
        *response = (struct rest_response){.status = override->status,
                                           .reason = rest_reason(override->status),
                                           .content_type = "application/json",
                                           .body = strdup(override->body)};
    } else if (override) {
        rest_response_set_message(response, override->status, NULL, rest_reason(override->status));
    } else if (request->is_read_only && strcmp(request->method, "GET") != 0 &&
               strcmp(request->method, "OPTIONS") != 0) {
        rest_response_set_message(response, 403, NULL, "Write access denied");
    } else if (length > 0 && request->uri[length - 1] == '/') {
        char message[512];
        snprintf(message, sizeof message, "ARI URLs do not end with a slash. Try /ari/%.*s",
                 (int)(length - 1), request->uri);
        rest_response_set_message(response, 404, NULL, message);
    } else if (request->uri[0] == '/') {
        /* An empty first segment is the root itself, which knows no method. */
        rest_response_set_message(response, 405, NULL, "Invalid method");
    } else {
        handle_known_method(fake, request, response);
    }
    fake->stats.rest++;
    console_event("rest %s %s via=%s status=%d", request->method, request->uri,
                  request->is_over_websocket ? "ws" : "http", response->status);
}
