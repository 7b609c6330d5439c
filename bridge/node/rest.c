/* SPDX-License-Identifier: MPL-2.0 */
/*
 * One HTTP request to ARI through libwebsockets' client. Links use it to look at and mend their
 * application's subscriptions. libwebsockets calls rest_callback() in the event thread; the body is
 * collected up to the same bound that events have.
 */
#include "node/rest.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"
#include "node/ws_message.h"
#include "ops/metrics.h"

enum { READ_BYTES = 2048 };

struct rest_request {
    struct target target;
    rest_data *data; /* NULL: the body is collected */
    rest_done *done;
    void *owner;
    struct lws *wsi;
    lws_sorted_usec_list_t timer; /* the timeout, or the next turn of the loop for an early end */
    int is_opening;
    int has_body; /* the method takes one, so that its length has to be said */
    int status;
    struct ws_message body;
    char error[128];
};

static void request_free(struct rest_request *request)
{
    lws_sul_cancel(&request->timer);
    if (request->wsi != NULL) {
        lws_set_opaque_user_data(request->wsi, NULL);
        lws_set_timeout(request->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
    }
    ws_message_deinit(&request->body);
    free(request);
}

static void request_end(struct rest_request *request, int status, const char *error)
{
    struct rest_answer answer = {.status = status, .body = "", .error = error};
    enum ws_refusal refusal = ws_message_end(&request->body);
    if (status != 0 && refusal == WS_REFUSED_NOT) {
        answer.body = request->body.bytes; /* the padding behind it is zero */
        answer.length = request->body.length;
    } else if (status != 0) {
        answer.status = 0;
        answer.error = refusal == WS_REFUSED_SIZE
                           ? "the answer's body is larger than limits.max_event_bytes"
                           : "no memory for the answer's body";
    }
    if (answer.status == 0 || answer.status >= 400) {
        metrics_add(METRIC_REST_FAILURES, 1);
    }
    request->done(request->owner, &answer);
    request_free(request);
}

static void on_timer(lws_sorted_usec_list_t *sul)
{
    struct rest_request *request = lws_container_of(sul, struct rest_request, timer);
    request_end(request, 0, request->error[0] != '\0' ? request->error : "no answer in time");
}

int rest_send(const struct target *target, const char *method, const char *path,
              uint32_t timeout_ms, rest_done *done, void *owner, struct rest_request **out)
{
    struct rest_request *request = calloc(1, sizeof *request);
    if (request == NULL) {
        return ARIZMQ_ENOMEM;
    }
    request->target = *target;
    request->done = done;
    request->owner = owner;
    request->has_body = strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0;
    ws_message_init(&request->body, target->max_message_bytes);
    ws_message_begin(&request->body, false);
    char authority[TARGET_AUTHORITY_SIZE];
    struct lws_client_connect_info info = target_connect_info(target, path, authority);
    info.method = method;
    info.local_protocol_name = rest_protocol.name;
    info.opaque_user_data = request;
    info.pwsi = &request->wsi;
    metrics_add(METRIC_REST_REQUESTS, 1);
    request->is_opening = 1;
    struct lws *wsi = lws_client_connect_via_info(&info);
    request->is_opening = 0;
    uint64_t wait_us = (uint64_t)timeout_ms * LWS_US_PER_MS;
    if (wsi == NULL || request->error[0] != '\0') {
        request->wsi = NULL;
        wait_us = 1; /* it has failed already, which is told from the loop */
        if (request->error[0] == '\0') {
            snprintf(request->error, sizeof request->error, "cannot connect");
        }
    }
    lws_sul_schedule(target->context, 0, &request->timer, on_timer, (lws_usec_t)wait_us);
    *out = request;
    return ARIZMQ_OK;
}

int rest_read(const struct target *target, const char *path, uint32_t timeout_ms, rest_data *data,
              rest_done *done, void *owner, struct rest_request **out)
{
    /* Nothing comes before the next turn of the loop. */
    int result = rest_send(target, "GET", path, timeout_ms, done, owner, out);
    if (result == ARIZMQ_OK) {
        (*out)->data = data;
    }
    return result;
}

void rest_cancel(struct rest_request **request)
{
    if (*request != NULL) {
        request_free(*request);
        *request = NULL;
    }
}

static int append_headers(struct rest_request *request, unsigned char **at, unsigned char *end)
{
    const char *authorization = request->target.authorization;
    if (lws_add_http_header_by_token(request->wsi, WSI_TOKEN_HTTP_AUTHORIZATION,
                                     (const unsigned char *)authorization,
                                     (int)strlen(authorization), at, end) != 0) {
        return -1;
    }
    if (request->has_body && lws_add_http_header_content_length(request->wsi, 0, at, end) != 0) {
        return -1;
    }
    return 0;
}

static int read_body(struct lws *wsi)
{
    char buffer[LWS_PRE + READ_BYTES];
    char *start = buffer + LWS_PRE;
    int length = READ_BYTES;
    return lws_http_client_read(wsi, &start, &length) < 0 ? -1 : 0;
}

/* libwebsockets is done with the connection: tells the owner. `error` is NULL where the answer is
 * whole. */
static void connection_end(struct rest_request *request, const char *error)
{
    lws_set_opaque_user_data(request->wsi, NULL);
    request->wsi = NULL;
    if (request->is_opening && error != NULL) {
        snprintf(request->error, sizeof request->error, "%s", error);
        return; /* told by on_timer() */
    }
    request_end(request, error == NULL ? request->status : 0, error);
}

/* Whether the answer whose head has just been read ends with it. libwebsockets 4.1.6 waits for a
 * body after a 204, and leaves the connection open after Content-Length: 0. */
static bool has_no_body(const struct rest_request *request)
{
    char length[24];
    return request->status == HTTP_STATUS_NO_CONTENT ||
           (lws_hdr_copy(request->wsi, length, sizeof length, WSI_TOKEN_HTTP_CONTENT_LENGTH) > 0 &&
            strtoull(length, NULL, 10) == 0);
}

/* What may still come in the turn of the loop in which a request was cancelled; it would undo the
 * timeout that is to end the connection. */
static bool is_progress(enum lws_callback_reasons reason)
{
    return reason == LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER ||
           reason == LWS_CALLBACK_ESTABLISHED_CLIENT_HTTP ||
           reason == LWS_CALLBACK_RECEIVE_CLIENT_HTTP;
}

static int rest_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                         size_t length)
{
    (void)user;
    struct rest_request *request = lws_get_opaque_user_data(wsi);
    if (request == NULL) {
        return is_progress(reason) ? -1 : 0;
    }
    request->wsi = wsi;
    switch (reason) {
    case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER: {
        unsigned char **at = in;
        return append_headers(request, at, *at + length);
    }
    case LWS_CALLBACK_ESTABLISHED_CLIENT_HTTP:
        request->status = (int)lws_http_client_http_response(wsi);
        if (has_no_body(request)) {
            connection_end(request, NULL);
            return -1;
        }
        return 0;
    case LWS_CALLBACK_RECEIVE_CLIENT_HTTP:
        return read_body(wsi);
    case LWS_CALLBACK_RECEIVE_CLIENT_HTTP_READ:
        if (request->data == NULL || request->status != HTTP_STATUS_OK) {
            ws_message_append(&request->body, in, length);
        } else if (!request->data(request->owner, in, length)) {
            connection_end(request, "the answer's body was refused");
            return -1;
        }
        return 0;
    case LWS_CALLBACK_COMPLETED_CLIENT_HTTP:
        connection_end(request, NULL);
        return -1;
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
        connection_end(request, in != NULL ? in : "cannot connect");
        return 0;
    case LWS_CALLBACK_CLOSED_CLIENT_HTTP:
        connection_end(request, request->status == 0
                                    ? "the connection was closed without an answer"
                                    : "the connection was closed in the middle of the answer");
        return 0;
    default:
        return 0;
    }
}

const struct lws_protocols rest_protocol = {.name = "arizmq-rest", .callback = rest_callback};
