/* SPDX-License-Identifier: MPL-2.0 */
/*
 * fake_asterisk against what real ones answered: upgrade, recordings, REST over HTTP and over the
 * WebSocket.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/capture.h"
#include "test_support.h"

TestSuite(fake_asterisk, .timeout = 120);

static const char upgrade_headers[] = "Host: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

Test(fake_asterisk, answers_an_upgrade)
{
    struct fake *fake = test_start(NULL);
    struct client *client = client_connect(fake->port);
    char request[512];
    snprintf(request, sizeof request,
             "GET /ari/events?app=a,b&subscribeAll=true&api_key=lab:secret HTTP/1.1\r\n%s"
             "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: foo, ari\r\n"
             "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
             upgrade_headers);
    struct client_response response;
    client_request(client, request, &response);
    cr_assert_str_eq(response.status_line, "HTTP/1.1 101 Switching Protocols");
    char *accept = client_response_header(&response, "Sec-WebSocket-Accept");
    char *protocol = client_response_header(&response, "Sec-WebSocket-Protocol");
    cr_assert_str_eq(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    cr_assert_str_eq(protocol, "ari");
    cr_assert_null(client_response_header(&response, "Sec-WebSocket-Extensions"));
    cr_assert_not_null(
        fake_await_event(fake, "connected id=1 app=a,b subscribeAll=true auth=lab", 20000));
    free(accept);
    free(protocol);
    client_response_free(&response);
    client_destroy(&client);
    cr_assert_not_null(fake_await_event(fake, "closed id=1 app=a,b code=1006", 20000));
    test_stop(&fake);
}

Test(fake_asterisk, refuses_upgrades_as_asterisk_does)
{
    static const struct {
        const char *target;
        const char *headers;
        const char *status_line;
        const char *content_type;
    } cases[] = {
        {"/ari/events?app=ivr", "Sec-WebSocket-Version: 13\r\n", "HTTP/1.1 401 Unauthorized",
         "application/json"},
        {"/ari/events?app=ivr&api_key=lab:wrong", "Sec-WebSocket-Version: 13\r\n",
         "HTTP/1.1 401 Unauthorized", "application/json"},
        {"/ari/events?api_key=lab:secret", "Sec-WebSocket-Version: 13\r\n",
         "HTTP/1.1 400 Bad Request", "text/html"},
        {"/ari/events?app=&api_key=lab:secret", "Sec-WebSocket-Version: 13\r\n",
         "HTTP/1.1 500 Internal Server Error", "text/html"},
        {"/ari/events?app=ivr&api_key=lab:secret", "Sec-WebSocket-Version: 8\r\n",
         "HTTP/1.1 400 Bad Request", "text/html"},
        {"/ari/events?app=ivr&api_key=lab:secret",
         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: foo\r\n", "HTTP/1.1 400 Bad Request",
         "text/html"},
        {"/ari/ws?app=ivr&api_key=lab:secret", "Sec-WebSocket-Version: 13\r\n",
         "HTTP/1.1 400 Bad Request", "text/html"},
    };
    struct fake *fake = test_start(NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char request[512];
        struct client_response response;
        struct client *client = client_connect(fake->port);
        snprintf(request, sizeof request, "GET %s HTTP/1.1\r\n%s%s\r\n", cases[i].target,
                 upgrade_headers, cases[i].headers);
        client_request(client, request, &response);
        cr_assert_str_eq(response.status_line, cases[i].status_line, "%s", cases[i].target);
        char *content_type = client_response_header(&response, "Content-type");
        cr_assert_str_eq(content_type, cases[i].content_type, "%s", cases[i].target);
        free(content_type);
        client_response_free(&response);
        client_destroy(&client);
    }
    cr_assert_eq(fake_number(fake_do(fake, "stats"), "connects"), 0);
    test_stop(&fake);
}

static void play_and_compare(const char *path)
{
    struct capture *capture = NULL;
    cr_assert_eq(capture_load(path, &capture), 0);
    struct fake *fake = test_start(NULL);
    struct client *client = client_open(fake->port, TARGET_ALL);
    fake_do(fake, "play %s", path);
    for (size_t i = 0; i < capture->count; i++) {
        struct frame frame;
        cr_assert(client_read_frame(client, &frame));
        cr_assert(frame.is_final && frame.opcode == FRAME_TEXT, "frame %zu", i);
        cr_assert_eq(frame.length, capture->lines[i].length, "frame %zu", i);
        cr_assert_arr_eq(frame.payload, capture->lines[i].text, capture->lines[i].length,
                         "frame %zu", i);
    }
    const char *done = fake_await_event(fake, "play done", 20000);
    cr_assert_eq(fake_number(done, "frames"), (long long)capture->count);
    client_destroy(&client);
    capture_destroy(&capture);
    test_stop(&fake);
}

Test(fake_asterisk, plays_a_recording_byte_for_byte)
{
    play_and_compare(CAPTURES_DIR "/coverage.jsonl");
    play_and_compare(CAPTURES_DIR "/coverage-16.jsonl");
}

/* The recorded exchanges that an Asterisk without calls can repeat. */
static const char *const repeatable[] = {
    "info",
    "info only",
    "ping",
    "applications",
    "one application",
    "application 404",
    "subscribe",
    "subscribe bad scheme 400",
    "subscribe unknown 422",
    "unsubscribe 409",
    "no auth 401",
    "bad password 401",
    "api_key",
    "api_key wrong",
    "read-only user GET",
    "read-only user write 403",
    "unknown resource 404",
    "wrong method 405",
    "OPTIONS",
    "HEAD",
    "PATCH unknown method",
    "not ari",
    "trailing slash",
    "body over 40 kB (413)",
    "request line over 4 kB",
    "connection close asked",
    "events without upgrade",
    "CORS origin",
};

static bool is_repeatable(const char *name)
{
    for (size_t i = 0; i < sizeof repeatable / sizeof *repeatable; i++) {
        if (strcmp(repeatable[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* The recording masks credentials; which ones they were is in the exchange's name. */
static const char *credentials_of(const char *name)
{
    if (strcmp(name, "bad password 401") == 0) {
        return "Authorization: Basic bGFiOndyb25n\r\n"; /* lab:wrong */
    }
    if (strncmp(name, "read-only", strlen("read-only")) == 0) {
        return "Authorization: Basic cmVhZGVyOmxhYnBhc3M=\r\n"; /* reader:labpass */
    }
    return "Authorization: Basic bGFiOmxhYnBhc3M=\r\n"; /* lab:labpass */
}

static void request_append(struct bytes *request, const char *text)
{
    bytes_append(request, text, strlen(text));
}

static char *request_rebuild(json_t *exchange)
{
    struct bytes request = {0};
    const char *name = json_string_value(json_object_get(exchange, "name"));
    request_append(&request, json_string_value(json_object_get(exchange, "method")));
    request_append(&request, " ");
    request_append(&request, json_string_value(json_object_get(exchange, "target")));
    request_append(&request, " HTTP/1.1\r\n");
    size_t i;
    json_t *header;
    json_array_foreach(json_object_get(exchange, "request_headers"), i, header)
    {
        const char *text = json_string_value(header);
        if (strncmp(text, "Authorization:", strlen("Authorization:")) == 0) {
            request_append(&request, credentials_of(name));
        } else {
            request_append(&request, text);
            request_append(&request, "\r\n");
        }
    }
    request_append(&request, "\r\n");
    const char *body = json_string_value(json_object_get(exchange, "request_body"));
    request_append(&request, body ? body : "");
    bytes_append(&request, "", 1);
    return (char *)request.data;
}

/* Every recorded header that is told by the request alone must come back as it was. */
static void headers_compare(const char *name, json_t *recorded,
                            const struct client_response *response)
{
    static const char *const told_otherwise[] = {"Date:", "Content-Length:"};
    size_t i;
    json_t *header;
    json_array_foreach(recorded, i, header)
    {
        const char *text = json_string_value(header);
        bool is_told = true;
        for (size_t k = 0; k < 2; k++) {
            is_told = is_told && strncmp(text, told_otherwise[k], strlen(told_otherwise[k])) != 0;
        }
        if (is_told) {
            char *key = strndup(text, strcspn(text, ":"));
            char *value = client_response_header(response, key);
            cr_assert_not_null(value, "%s: no header %s", name, key);
            cr_assert_str_eq(value, text + strlen(key) + 2, "%s: header %s", name, key);
            free(key);
            free(value);
        }
    }
}

static void exchange_compare(const struct fake *fake, json_t *exchange)
{
    const char *name = json_string_value(json_object_get(exchange, "name"));
    struct client *client = client_connect(fake->port);
    struct client_response response;
    char *request = request_rebuild(exchange);
    client_request(client, request, &response);
    free(request);
    cr_assert_str_eq(response.status_line,
                     json_string_value(json_object_get(exchange, "status_line")), "%s", name);
    headers_compare(name, json_object_get(exchange, "response_headers"), &response);
    char *expected = strdup(json_string_value(json_object_get(exchange, "body")));
    test_normalise_times(expected);
    test_normalise_times(response.body);
    cr_assert_str_eq(response.body, expected, "%s", name);
    free(expected);
    client_response_free(&response);
    client_destroy(&client);
}

static void rest_compare(const char *path, const char *version)
{
    const char *const options[] = {"--version",        version,  "--password", "labpass",
                                   "--read-only-user", "reader", NULL};
    struct capture *capture = NULL;
    cr_assert_eq(capture_load(path, &capture), 0);
    struct fake *fake = test_start(options);
    struct client *events = client_connect(fake->port);
    char request[512];
    struct client_response response;
    snprintf(request, sizeof request,
             "GET /ari/events?app=lab&subscribeAll=true&api_key=lab:labpass HTTP/1.1\r\n%s"
             "Sec-WebSocket-Version: 13\r\n\r\n",
             upgrade_headers);
    client_request(events, request, &response);
    client_response_free(&response);
    cr_assert_not_null(fake_await_event(fake, "connected", 20000));
    size_t compared = 0;
    for (size_t i = 0; i < capture->count; i++) {
        json_t *exchange = json_loadb(capture->lines[i].text, capture->lines[i].length, 0, NULL);
        cr_assert_not_null(exchange);
        if (is_repeatable(json_string_value(json_object_get(exchange, "name")))) {
            exchange_compare(fake, exchange);
            compared++;
        }
        json_decref(exchange);
    }
    cr_assert_eq(compared, sizeof repeatable / sizeof *repeatable);
    client_destroy(&events);
    capture_destroy(&capture);
    test_stop(&fake);
}

Test(fake_asterisk, answers_rest_as_asterisk_22_did)
{
    rest_compare(CAPTURES_DIR "/rest.jsonl", "22");
}

Test(fake_asterisk, answers_rest_as_asterisk_16_did)
{
    rest_compare(CAPTURES_DIR "/rest-16.jsonl", "16");
}

Test(fake_asterisk, keeps_http_connections_and_counts_requests)
{
    struct fake *fake = test_start(NULL);
    struct client *client = client_connect(fake->port);
    for (int i = 0; i < 3; i++) {
        struct client_response response;
        client_request(client,
                       "GET /ari/asterisk/ping HTTP/1.1\r\nHost: x\r\n"
                       "Authorization: Basic bGFiOnNlY3JldA==\r\n\r\n",
                       &response);
        cr_assert_str_eq(response.status_line, "HTTP/1.1 200 OK");
        client_response_free(&response);
        cr_assert_not_null(
            fake_await_event(fake, "rest GET asterisk/ping via=http status=200", 20000));
    }
    cr_assert_eq(fake_number(fake_do(fake, "stats"), "rest"), 3);
    client_destroy(&client);
    test_stop(&fake);
}

/* A recorded RESTResponse whose request_id is this; malloc'd, times normalised. */
static char *recorded_response(const char *request_id)
{
    struct capture *capture = NULL;
    char *found = NULL;
    char key[64];
    snprintf(key, sizeof key, "\"request_id\":\"%s\"", request_id);
    cr_assert_eq(capture_load(CAPTURES_DIR "/outbound.jsonl", &capture), 0);
    for (size_t i = 0; i < capture->count && !found; i++) {
        char *line = strndup(capture->lines[i].text, capture->lines[i].length);
        if (strstr(line, key)) {
            found = line;
        } else {
            free(line);
        }
    }
    capture_destroy(&capture);
    cr_assert_not_null(found);
    test_normalise_times(found);
    return found;
}

Test(fake_asterisk, answers_rest_over_websocket_byte_for_byte)
{
    struct fake *fake = test_start(NULL);
    struct client *client = client_open(fake->port, "/ari/events?app=obapp1,obapp2");
    char *expected = recorded_response("rq1");
    client_send_text(client,
                     "{\"type\":\"RESTRequest\",\"transaction_id\":\"tx\",\"request_id\":\"rq1\","
                     "\"method\":\"GET\",\"uri\":\"asterisk/info\","
                     "\"query_strings\":[{\"name\":\"only\",\"value\":\"system\"}]}");
    char *answer = client_read_text(client);
    test_normalise_times(answer);
    cr_assert_str_eq(answer, expected);
    free(answer);
    free(expected);
    client_destroy(&client);
    test_stop(&fake);
}

/* Without a body the two members that tell of it are missing, and the order is the same. */
Test(fake_asterisk, answers_rest_without_a_body_with_the_recorded_members)
{
    struct fake *fake = test_start(NULL);
    struct client *client = client_open(fake->port, TARGET);
    char *expected_text = recorded_response("b");
    json_t *expected = json_loads(expected_text, 0, NULL);
    client_send_text(client, "{\"type\":\"RESTRequest\",\"request_id\":\"b\","
                             "\"method\":\"OPTIONS\",\"uri\":\"channels\"}");
    char *answer_text = client_read_text(client);
    json_t *answer = json_loads(answer_text, 0, NULL);
    void *member = json_object_iter(answer);
    for (void *each = json_object_iter(expected); each;
         each = json_object_iter_next(expected, each)) {
        cr_assert_not_null(member);
        cr_assert_str_eq(json_object_iter_key(member), json_object_iter_key(each));
        member = json_object_iter_next(answer, member);
    }
    cr_assert_null(member);
    cr_assert_eq(json_integer_value(json_object_get(answer, "status_code")), 204);
    json_decref(answer);
    json_decref(expected);
    free(answer_text);
    free(expected_text);
    client_destroy(&client);
    test_stop(&fake);
}

Test(fake_asterisk, answers_wrong_requests_over_websocket)
{
    static const struct {
        const char *request;
        int status;
        const char *reason;
        const char *message; /* NULL: no body */
    } cases[] = {
        {"not JSON", 400, "Failed to parse request message JSON", NULL},
        {"{\"type\":\"Other\"}", 400, "Bad request", "Unknown request type."},
        {"{\"type\":\"RESTRequest\",\"method\":\"get\",\"uri\":\"asterisk/ping\"}", 400,
         "Bad request", "Unknown or missing 'method' property."},
        {"{\"type\":\"RESTRequest\",\"method\":\"PATCH\",\"uri\":\"asterisk/ping\"}", 400,
         "Bad request", "Unknown or missing 'method' property."},
        {"{\"type\":\"RESTRequest\",\"method\":\"GET\",\"uri\":\"/asterisk/ping\"}", 405,
         "Method Not Allowed", "Invalid method"},
        {"{\"type\":\"RESTRequest\",\"method\":\"HEAD\",\"uri\":\"asterisk/ping\"}", 405,
         "Method Not Allowed", "Invalid method"},
        {"{\"type\":\"RESTRequest\",\"method\":\"GET\",\"uri\":\"ari/asterisk/ping\"}", 404,
         "Not Found", "Resource not found"},
        {"{\"type\":\"RESTRequest\",\"method\":\"GET\",\"uri\":\"events?app=x\"}", 400,
         "Bad Request", "Can't upgrade to websocket from a websocket"},
        {"{\"type\":\"RESTRequest\",\"method\":\"GET\",\"uri\":\"asterisk/ping\","
         "\"message_body\":\"{}\",\"content_type\":\"application/json; charset=utf-8\"}",
         400, "Bad request", "Unknown content type."},
        {"{\"type\":\"RESTRequest\",\"method\":\"POST\","
         "\"uri\":\"applications/ivr/subscription?eventSource=channel%3Anone\"}",
         422, "Unprocessable Entity", "Event source does not exist"},
    };
    struct fake *fake = test_start(NULL);
    struct client *client = client_open(fake->port, TARGET);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        client_send_text(client, cases[i].request);
        char *text = client_read_text(client);
        json_t *answer = json_loads(text, 0, NULL);
        const char *body = json_string_value(json_object_get(answer, "message_body"));
        char expected[128] = "";
        if (cases[i].message) {
            snprintf(expected, sizeof expected, "{\"message\":\"%s\"}", cases[i].message);
        }
        cr_assert_eq(json_integer_value(json_object_get(answer, "status_code")), cases[i].status,
                     "%s", cases[i].request);
        cr_assert_str_eq(json_string_value(json_object_get(answer, "reason_phrase")),
                         cases[i].reason, "%s", cases[i].request);
        cr_assert_str_eq(body ? body : "", expected, "%s", cases[i].request);
        json_decref(answer);
        free(text);
    }
    client_destroy(&client);
    test_stop(&fake);
}

Test(fake_asterisk, plays_as_fast_as_it_can)
{
    const char *const options[] = {"--recording", CAPTURES_DIR "/calls-1000-app.jsonl", NULL};
    struct fake *fake = test_start(options);
    struct client *client = client_open(fake->port, TARGET_ALL);
    fake_do(fake, "play loop=20");
    struct frame frame;
    for (int i = 0; i < 20 * 15000; i++) {
        cr_assert(client_read_frame(client, &frame));
    }
    const char *done = fake_await_event(fake, "play done", 20000);
    cr_assert_eq(fake_number(done, "frames"), 20 * 15000);
    cr_log_info("%lld frames/s", 20LL * 15000 * 1000000 / fake_number(done, "elapsed_us"));
    client_destroy(&client);
    test_stop(&fake);
}

Test(fake_asterisk, keeps_to_a_rate)
{
    struct fake *fake = test_start(NULL);
    struct client *client = client_open(fake->port, TARGET_ALL);
    fake_do(fake, "play %s/outbound.jsonl rate=200 loop=2", CAPTURES_DIR);
    struct frame frame;
    for (int i = 0; i < 88; i++) {
        cr_assert(client_read_frame(client, &frame));
    }
    const char *done = fake_await_event(fake, "play done", 20000);
    /* 88 frames at 200/s: the last is due after 87 intervals of 5 ms. */
    cr_assert_geq(fake_number(done, "elapsed_us"), 87 * 5000);
    client_destroy(&client);
    test_stop(&fake);
}
