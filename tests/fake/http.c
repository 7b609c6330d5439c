/* SPDX-License-Identifier: MPL-2.0 */
/*
 * HTTP as libwebsockets delivers it: ARI requests with their authentication, and the upgrade to a
 * WebSocket. Called by libwebsockets; requests go to rest.c, accepted upgrades to session.c. It
 * never sees a WebSocket frame.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <utlist.h>

#include "fake.h"

enum {
    REQUEST_LINE_MAX = 4096,
    BODY_MAX = 40960,
    APP_NAME_MAX = 70,
};

/* libwebsockets keeps one of these, zeroed at first, for each connection. */
struct connection {
    struct lws *wsi;
    struct session *session; /* after the upgrade */
    char *uri;               /* relative to /ari/; NULL outside */
    const char *method;
    json_t *query;
    struct bytes body; /* the first BODY_MAX bytes of it, and a NUL */
    size_t body_length;
    struct rest_response response;
    bool is_waiting; /* for the scripted delay, or for `rest-resume` */
    bool is_flooding;
    enum http_fault_kind fault;
    lws_sorted_usec_list_t timer; /* the delay */
    struct connection *prev_stalled;
    struct connection *next_stalled;
};

size_t http_connection_size(void)
{
    return sizeof(struct connection);
}

static struct fake *fake_of(struct lws *wsi)
{
    return lws_context_user(lws_get_context(wsi));
}

/* 22 takes the first value of a name that comes twice, 16 the last. */
static json_t *query_read(struct lws *wsi)
{
    bool takes_last = fake_of(wsi)->version->number == 16;
    json_t *query = json_object();
    char pair[REQUEST_LINE_MAX + 1];
    for (int i = 0; lws_hdr_copy_fragment(wsi, pair, sizeof pair, WSI_TOKEN_HTTP_URI_ARGS, i) >= 0;
         i++) {
        char *value = strchr(pair, '=');
        if (value) {
            *value++ = '\0';
        }
        if (takes_last || !json_object_get(query, pair)) {
            json_object_set_new(query, pair, json_string(value ? value : ""));
        }
    }
    return query;
}

/* The user who is logged in by "user:password"; NULL for nobody. */
static const char *credentials_user(const struct fake *fake, const char *credentials)
{
    const char *users[] = {fake->username, fake->read_only_username};
    for (size_t i = 0; i < sizeof users / sizeof *users; i++) {
        size_t length = users[i] ? strlen(users[i]) : 0;
        if (users[i] && strncmp(credentials, users[i], length) == 0 && credentials[length] == ':' &&
            strcmp(credentials + length + 1, fake->password) == 0) {
            return users[i];
        }
    }
    return NULL;
}

static const char *request_user(struct lws *wsi, json_t *query)
{
    struct fake *fake = fake_of(wsi);
    char *authorization = http_header_copy(wsi, WSI_TOKEN_HTTP_AUTHORIZATION);
    const char *user = NULL;
    if (authorization && strncasecmp(authorization, "Basic ", 6) == 0) {
        char decoded[1024];
        int n = lws_b64_decode_string(authorization + 6, decoded, sizeof decoded - 1);
        if (n >= 0) {
            decoded[n] = '\0';
            user = credentials_user(fake, decoded);
        }
    }
    free(authorization);
    const char *api_key = json_string_value(json_object_get(query, "api_key"));
    return user ? user : api_key ? credentials_user(fake, api_key) : NULL;
}

static void connection_leave_stalled(struct connection *connection)
{
    if (connection->prev_stalled) {
        struct fake *fake = fake_of(connection->wsi);
        DL_DELETE2(fake->stalled, connection, prev_stalled, next_stalled);
        connection->prev_stalled = NULL;
    }
}

static void connection_clear(struct connection *connection)
{
    lws_sul_cancel(&connection->timer);
    connection_leave_stalled(connection);
    free(connection->uri);
    json_decref(connection->query);
    bytes_free(&connection->body);
    rest_response_free(&connection->response);
    *connection = (struct connection){.session = connection->session};
}

/* After an answer: libwebsockets has freed the connection's data by then. */
struct idle {
    struct lws *wsi; /* this is its opaque data */
    lws_sorted_usec_list_t timer;
};

static void idle_end(struct lws *wsi)
{
    struct idle *idle = lws_get_opaque_user_data(wsi);
    if (idle) {
        lws_sul_cancel(&idle->timer);
        lws_set_opaque_user_data(wsi, NULL);
        free(idle);
    }
}

static void idle_is_over(lws_sorted_usec_list_t *timer)
{
    const struct idle *idle = lws_container_of(timer, struct idle, timer);
    lws_set_timeout(idle->wsi, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_ASYNC);
}

static void idle_begin(struct lws *wsi)
{
    struct fake *fake = fake_of(wsi);
    struct idle *idle = fake->rest_idle_ms > 0 ? calloc(1, sizeof *idle) : NULL;
    if (idle) {
        idle->wsi = wsi;
        lws_set_opaque_user_data(wsi, idle);
        lws_sul_schedule(fake->lws, 0, &idle->timer, idle_is_over,
                         (lws_usec_t)fake->rest_idle_ms * 1000);
    }
}

/* Frees what belongs to `connection`, and maybe that itself. */
static int connection_answer(struct lws *wsi, struct connection *connection)
{
    int failed = http_response_write(wsi, &connection->response, connection->fault);
    connection_clear(connection);
    if (failed || lws_http_transaction_completed(wsi)) {
        return -1;
    }
    idle_begin(wsi);
    return 0;
}

static void delay_is_over(lws_sorted_usec_list_t *timer)
{
    struct connection *connection = lws_container_of(timer, struct connection, timer);
    lws_callback_on_writable(connection->wsi);
}

/* The answer is ready, and the script wants it to wait. */
static void connection_wait(struct fake *fake, struct connection *connection)
{
    connection->is_waiting = true;
    lws_set_timeout(connection->wsi, NO_PENDING_TIMEOUT, 0);
    if (connection->fault == HTTP_FAULT_STALL) {
        DL_APPEND2(fake->stalled, connection, prev_stalled, next_stalled);
    } else {
        lws_sul_schedule(fake->lws, 0, &connection->timer, delay_is_over,
                         (lws_usec_t)fake->rest_delay_ms * 1000);
    }
}

unsigned http_resume(struct fake *fake)
{
    unsigned count = 0;
    struct connection *connection;
    struct connection *next;
    DL_FOREACH_SAFE2(fake->stalled, connection, next, next_stalled)
    {
        connection_leave_stalled(connection);
        lws_callback_on_writable(connection->wsi);
        count++;
    }
    return count;
}

static int connection_flood(struct lws *wsi, struct connection *connection)
{
    bool is_first = !connection->is_flooding;
    connection->is_flooding = true;
    lws_set_timeout(wsi, NO_PENDING_TIMEOUT, 0);
    return http_response_flood(wsi, is_first);
}

static int connection_writeable(struct lws *wsi, struct connection *connection)
{
    if (connection->is_flooding) {
        return connection_flood(wsi, connection);
    }
    return connection->is_waiting && !connection->prev_stalled ? connection_answer(wsi, connection)
                                                               : 0;
}

/* Does what the script says of this URI, apart from what http_response_write() does. */
static void connection_take_fault(struct fake *fake, struct connection *connection)
{
    size_t bytes = 0;
    connection->fault = http_fault_take(fake, connection->uri, &bytes);
    if (connection->fault == HTTP_FAULT_BIG) {
        rest_response_set_big(&connection->response, bytes);
    }
}

static void connection_read_body(struct connection *connection, const void *data, size_t length)
{
    connection->body_length += length;
    if (connection->body_length <= BODY_MAX) {
        bytes_append(&connection->body, data, length);
    }
}

/* Parameters may stand in the body. One that cannot be read is left alone, as by Asterisk, whose
 * operations then miss what they need. */
static void connection_read_parameters(struct lws *wsi, struct connection *connection)
{
    char *content_type = http_header_copy(wsi, WSI_TOKEN_HTTP_CONTENT_TYPE);
    if (content_type && connection->body.length > 0) {
        content_type[strcspn(content_type, "; ")] = '\0';
        bytes_append(&connection->body, "", 1);
        rest_query_add_body(connection->query, content_type, (const char *)connection->body.data);
    }
    free(content_type);
}

/* The request is whole: does what it says, answers now or after the scripted delay. */
static int connection_complete(struct lws *wsi, struct connection *connection)
{
    struct fake *fake = fake_of(wsi);
    const char *user = request_user(wsi, connection->query);
    struct rest_response *response = &connection->response;
    if (!connection->uri) {
        rest_response_set_html(fake, response, 404,
                               "The requested URL was not found on this server.");
    } else if (!user) {
        rest_response_set_message(response, 401, NULL, "Authentication required");
    } else if (connection->body_length > BODY_MAX) {
        rest_response_set_message(response, 413, NULL, "Request body too large");
        response->is_last = true;
    } else {
        connection_read_parameters(wsi, connection);
        struct rest_request request = {.method = connection->method,
                                       .uri = connection->uri,
                                       .query = connection->query,
                                       .is_read_only = user == fake->read_only_username};
        rest_handle(fake, &request, response);
        connection_take_fault(fake, connection);
    }
    if (response->status == 401 || response->status == 413) {
        console_event("rest %s %s via=http status=%d", connection->method, connection->uri,
                      response->status);
    }
    if (connection->fault == HTTP_FAULT_FLOOD) {
        return connection_flood(wsi, connection);
    }
    if (connection->fault != HTTP_FAULT_STALL && fake->rest_delay_ms == 0) {
        return connection_answer(wsi, connection);
    }
    connection_wait(fake, connection);
    return 0;
}

static const char *request_method(struct lws *wsi)
{
    static const struct {
        enum lws_token_indexes token;
        const char *name;
    } methods[] = {
        {WSI_TOKEN_GET_URI, "GET"},         {WSI_TOKEN_POST_URI, "POST"},
        {WSI_TOKEN_PUT_URI, "PUT"},         {WSI_TOKEN_DELETE_URI, "DELETE"},
        {WSI_TOKEN_OPTIONS_URI, "OPTIONS"}, {WSI_TOKEN_PATCH_URI, "PATCH"},
        {WSI_TOKEN_HEAD_URI, "HEAD"},
    };
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        if (lws_hdr_total_length(wsi, methods[i].token) > 0) {
            return methods[i].name;
        }
    }
    return "UNKNOWN";
}

static void connection_begin(struct lws *wsi, struct connection *connection, const char *path)
{
    connection_clear(connection);
    idle_end(wsi);
    connection->wsi = wsi;
    connection->method = request_method(wsi);
    connection->query = query_read(wsi);
    if (strncmp(path, "/ari/", 5) == 0) {
        connection->uri = strdup(path + 5);
    }
}

static int connection_request(struct lws *wsi, struct connection *connection, const char *path)
{
    int line_length = (int)strlen(path) + lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_URI_ARGS);
    connection_begin(wsi, connection, path);
    if (connection->uri && http_fault_closes_before(fake_of(wsi), connection->uri)) {
        console_event("rest-closed %s %s before", connection->method, connection->uri);
        return -1;
    }
    if (line_length > REQUEST_LINE_MAX) {
        rest_response_set_html(fake_of(wsi), &connection->response, 400, "Request line too long");
        connection->response.is_last = true;
        connection_answer(wsi, connection);
        return -1;
    }
    char *length = http_header_copy(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH);
    bool has_body = length && strtoul(length, NULL, 10) > 0;
    free(length);
    bool body_follows = has_body && (strcmp(connection->method, "POST") == 0 ||
                                     strcmp(connection->method, "PUT") == 0);
    return body_follows ? 0 : connection_complete(wsi, connection);
}

static void upgrade_begin(struct lws *wsi, struct connection *connection)
{
    char *path = http_header_copy(wsi, WSI_TOKEN_GET_URI);
    connection_begin(wsi, connection, path ? path : "");
    free(path);
}

/* NULL when the names are fine, else what the error page says; *status is its status. */
static const char *apps_check(const struct fake *fake, const char *apps, int *status)
{
    if (!apps) {
        *status = 400;
        return "HTTP request is missing param: [app]";
    }
    const char *wrong = NULL;
    char *list = strdup(apps);
    char *rest = list;
    for (char *name; (name = strsep(&rest, ",")) != NULL;) {
        bool is_empty = !*name;
        bool is_too_long = strlen(name) > APP_NAME_MAX && fake->version->number != 16;
        if (is_empty || is_too_long) {
            *status = is_empty && fake->version->number == 16 ? 400 : 500;
            wrong = "Failed to register the application";
        }
    }
    free(list);
    return wrong;
}

/* Is `ari` in the offered list, or nothing offered at all? */
static bool subprotocol_is_fine(struct lws *wsi)
{
    char *offered = http_header_copy(wsi, WSI_TOKEN_PROTOCOL);
    bool is_fine = !offered;
    char *rest = offered;
    for (char *name; rest && (name = strsep(&rest, ", ")) != NULL;) {
        is_fine = is_fine || strcmp(name, "ari") == 0;
    }
    free(offered);
    return is_fine;
}

/* Fills the response and returns true when the upgrade is not to be. */
static bool upgrade_is_refused(struct lws *wsi, struct connection *connection)
{
    struct fake *fake = fake_of(wsi);
    struct rest_response *response = &connection->response;
    char *version = http_header_copy(wsi, WSI_TOKEN_VERSION);
    const char *apps = json_string_value(json_object_get(connection->query, "app"));
    int status = 0;
    const char *wrong = apps_check(fake, apps, &status);
    if (fake->upgrade_status) {
        status = fake->upgrade_status;
        if (fake->upgrade_status_is_html) {
            rest_response_set_html(fake, response, status, "");
        } else {
            rest_response_set_message(response, status, NULL, rest_reason(status));
        }
    } else if (!request_user(wsi, connection->query)) {
        rest_response_set_message(response, 401, NULL, "Authentication required");
    } else if (!connection->uri || strcmp(connection->uri, "events") != 0) {
        rest_response_set_html(fake, response, connection->uri ? 400 : 404,
                               "The requested URL was not found on this server.");
    } else if (!version || strcmp(version, "13") != 0 || !subprotocol_is_fine(wsi)) {
        rest_response_set_html(fake, response, 400, "");
    } else if (wrong) {
        rest_response_set_html(fake, response, status, wrong);
    }
    free(version);
    return response->status != 0;
}

/* Before the upgrade libwebsockets has no place for our data yet, so `connection` is the caller's
 * own and what the headers say is read again afterwards. */
static int upgrade_confirm(struct lws *wsi)
{
    struct fake *fake = fake_of(wsi);
    struct connection connection = {0};
    upgrade_begin(wsi, &connection);
    int result = 0;
    if (upgrade_is_refused(wsi, &connection)) {
        const char *apps = json_string_value(json_object_get(connection.query, "app"));
        fake->stats.refused++;
        console_event("refused status=%d app=%s", connection.response.status, apps ? apps : "-");
        /* A positive value means: answered, go on with the next request. */
        result = http_response_write(wsi, &connection.response, HTTP_FAULT_NONE) ? -1 : 1;
    }
    connection_clear(&connection);
    return result;
}

static int upgrade_done(struct lws *wsi, struct connection *connection)
{
    upgrade_begin(wsi, connection);
    const char *apps = json_string_value(json_object_get(connection->query, "app"));
    const char *all = json_string_value(json_object_get(connection->query, "subscribeAll"));
    const char *user = request_user(wsi, connection->query);
    bool subscribe_all = all && (strcasecmp(all, "true") == 0 || strcasecmp(all, "yes") == 0 ||
                                 strcmp(all, "1") == 0);
    connection->session = session_create(fake_of(wsi), wsi, apps, subscribe_all, user);
    bool failed = !connection->session;
    connection_clear(connection);
    return failed ? -1 : 0;
}

int http_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                  size_t length)
{
    struct connection *connection = user;
    switch (reason) {
    case LWS_CALLBACK_HTTP:
        return connection_request(wsi, connection, in);
    case LWS_CALLBACK_HTTP_BODY:
        connection_read_body(connection, in, length);
        return 0;
    case LWS_CALLBACK_HTTP_BODY_COMPLETION:
        /* It comes for an empty body, too, where the answer is held back. */
        return connection->is_waiting || connection->is_flooding
                   ? 0
                   : connection_complete(wsi, connection);
    case LWS_CALLBACK_HTTP_WRITEABLE:
        return connection_writeable(wsi, connection);
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
        return upgrade_confirm(wsi);
    case LWS_CALLBACK_ESTABLISHED:
        return upgrade_done(wsi, connection);
    case LWS_CALLBACK_CLOSED:
        if (connection->session) {
            session_drop_websocket(connection->session);
            connection->session = NULL;
        }
        return 0;
    case LWS_CALLBACK_CLOSED_HTTP:
        idle_end(wsi);
        /* fall through */
    case LWS_CALLBACK_HTTP_DROP_PROTOCOL:
    case LWS_CALLBACK_WS_SERVER_DROP_PROTOCOL:
        if (connection) {
            connection_clear(connection);
        }
        return 0;
    default:
        return 0;
    }
}
