/* SPDX-License-Identifier: MPL-2.0 */
/*
 * One request over libcurl: the options that are its own, the answer as it comes, the outcome. curl
 * sends a request again, whatever its method, where a kept connection ends without an answer; here
 * that is allowed once to safe methods, and to others only where nothing of them was written.
 * Bodies are collected once and handed over without a copy.
 */
#include "gateway/http_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "arizmq/error.h"
#include "base/clock.h"
#include "ops/metrics.h"

enum { BODY_MIN_BYTES = 1024 };

void http_request_free(struct http_request *request)
{
    free(request->body);
    free(request);
}

/* --- Sending */

/* Bytes of it that were written to connections. */
static long count_written(const struct http_request *request)
{
    long bytes = 0;
    curl_easy_getinfo(request->handle->easy, CURLINFO_REQUEST_SIZE, &bytes);
    return bytes;
}

/* How often it was sent, without a last time of which not a byte was written. */
static unsigned count_sends(const struct http_request *request)
{
    bool was_written = request->sends > 0 && count_written(request) > request->written;
    return request->sends > 0 && !was_written ? request->sends - 1 : request->sends;
}

bool http_request_may_be_sent(const struct http_request *request)
{
    return count_sends(request) < (request->is_safe ? 2U : 1U);
}

static void list_sent(struct http_request *request)
{
    struct http_node *node = request->node;
    if (request->sends > 0) {
        DL_DELETE(node->sent, request);
        node->on_wire--;
    }
    request->sent_ms = clock_monotonic_ms();
    DL_APPEND(node->sent, request);
    node->on_wire++;
}

/* Called before each sending. A repetition goes to a new connection, since the others that were
 * kept may have ended, too. */
int http_request_before_sending(void *owner, char *peer, char *local, int peer_port, int local_port)
{
    (void)peer;
    (void)local;
    (void)peer_port;
    (void)local_port;
    struct http_handle *handle = owner;
    struct http_request *request = handle->request;
    long connects = 0;
    curl_easy_getinfo(handle->easy, CURLINFO_NUM_CONNECTS, &connects);
    if (connects > request->connects) {
        metrics_add(METRIC_HTTP_CONNECTS, 1);
        request->connects = connects;
    }
    if (!http_request_may_be_sent(request)) {
        return CURL_PREREQFUNC_ABORT;
    }
    if (curl_easy_setopt(handle->easy, CURLOPT_FRESH_CONNECT, 1L) != CURLE_OK) {
        return CURL_PREREQFUNC_ABORT;
    }
    unsigned sends = count_sends(request);
    if (request->sends == 0) {
        metrics_add(METRIC_HTTP_REQUESTS, 1);
    } else if (sends > 0) {
        metrics_add(METRIC_HTTP_RETRIES, 1);
    }
    list_sent(request);
    request->sends = sends + 1;
    request->written = count_written(request);
    return CURL_PREREQFUNC_OK;
}

/* RFC 9110, 8.6: these say that they have no body. */
static bool has_length_always(const char *method)
{
    return strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 ||
           strcmp(method, "PATCH") == 0;
}

static CURLcode set_method(struct http_handle *handle, const struct exchange_order *order)
{
    CURL *easy = handle->easy;
    CURLcode code = curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
    if (code == CURLE_OK && strcmp(order->method, "HEAD") == 0) {
        code = curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    }
    if (code == CURLE_OK && (order->body_length > 0 || has_length_always(order->method))) {
        code = curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)order->body_length);
        if (code == CURLE_OK) {
            code = curl_easy_setopt(easy, CURLOPT_POSTFIELDS,
                                    order->body_length > 0 ? order->body : "");
        }
    }
    if (code == CURLE_OK && strcmp(handle->method, order->method) != 0) {
        code = curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, order->method);
        snprintf(handle->method, sizeof handle->method, "%s", order->method);
    }
    return code;
}

static CURLcode set_headers(struct http_handle *handle, const struct exchange_order *order)
{
    struct curl_slist *first = &handle->node->headers[0];
    free(handle->content_type_line);
    handle->content_type_line = NULL;
    if (order->content_type != NULL) {
        if (asprintf(&handle->content_type_line, "Content-Type: %s", order->content_type) < 0) {
            handle->content_type_line = NULL;
            return CURLE_OUT_OF_MEMORY;
        }
        handle->content_type.data = handle->content_type_line;
        handle->content_type.next = first->next;
        first = &handle->content_type;
    }
    return curl_easy_setopt(handle->easy, CURLOPT_HTTPHEADER, first);
}

/* The target goes out as it is, byte for byte: curl takes only the host from its URL. */
static CURLcode set_target(struct http_handle *handle, const struct exchange_order *order)
{
    char *target = NULL;
    if (asprintf(&target, "%s/%s%s%s", handle->node->config->path, order->uri,
                 order->query[0] != '\0' ? "?" : "", order->query) < 0) {
        return CURLE_OUT_OF_MEMORY;
    }
    CURLcode code = curl_easy_setopt(handle->easy, CURLOPT_REQUEST_TARGET, target);
    free(target);
    return code;
}

int http_request_prepare(struct http_handle *handle, struct http_request *request)
{
    const char *method = request->order.method;
    request->is_safe =
        strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0 || strcmp(method, "OPTIONS") == 0;
    handle->reason[0] = '\0';
    handle->error[0] = '\0';
    CURLcode code = curl_easy_setopt(handle->easy, CURLOPT_FRESH_CONNECT, 0L);
    if (code == CURLE_OK) {
        code = curl_easy_setopt(handle->easy, CURLOPT_CONNECTTIMEOUT_MS,
                                (long)handle->node->config->connect_timeout_ms);
    }
    if (code == CURLE_OK) {
        code = set_method(handle, &request->order);
    }
    if (code == CURLE_OK) {
        code = set_headers(handle, &request->order);
    }
    if (code == CURLE_OK) {
        code = set_target(handle, &request->order);
    }
    return code == CURLE_OK ? ARIZMQ_OK : ARIZMQ_ENOMEM;
}

/* --- The answer */

/* Keeps what stands behind the number in "HTTP/1.1 404 Variable Not Found". */
static void keep_reason(struct http_handle *handle, const char *line, size_t length)
{
    while (length > 0 && (line[length - 1] == '\r' || line[length - 1] == '\n')) {
        length--;
    }
    const char *end = line + length;
    const char *at = memchr(line, ' ', length);
    at = at != NULL ? memchr(at + 1, ' ', (size_t)(end - at - 1)) : NULL;
    int reason_length = at != NULL ? (int)(end - at - 1) : 0;
    snprintf(handle->reason, sizeof handle->reason, "%.*s", reason_length,
             at != NULL ? at + 1 : "");
}

size_t http_request_read_head(char *line, size_t one, size_t length, void *owner)
{
    (void)one;
    struct http_handle *handle = owner;
    struct http_request *request = handle->request;
    request->head_bytes += length;
    if (request->head_bytes > HTTP_HEAD_MAX_BYTES) {
        request->refusal = "the head of its answer is larger than 256 KiB";
        return 0;
    }
    if (length > 5 && memcmp(line, "HTTP/", 5) == 0) {
        keep_reason(handle, line, length); /* an interim answer's is replaced by the next */
        const char *space = memchr(line, ' ', length);
        request->is_interim = space != NULL && space[1] == '1';
    } else if (line[0] == '\r' || line[0] == '\n') {
        request->is_head_whole = !request->is_interim;
    }
    return length;
}

/* Room for `length` bytes more; the length that the head promises is had at once. */
static bool reserve_body(struct http_request *request, size_t length)
{
    size_t needed = request->body_length + length;
    if (needed <= request->body_capacity) {
        return true;
    }
    size_t capacity = request->body_capacity * 2;
    curl_off_t promised = -1;
    if (capacity == 0) {
        curl_easy_getinfo(request->handle->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &promised);
        capacity = promised > 0 ? (size_t)promised : BODY_MIN_BYTES;
    }
    capacity = capacity < needed ? needed : capacity;
    char *body = realloc(request->body, capacity);
    if (body == NULL) {
        return false;
    }
    request->body = body;
    request->body_capacity = capacity;
    return true;
}

static bool is_too_large(const struct http_request *request, size_t length)
{
    uint64_t max_bytes = request->node->http->config->gateway.max_reply_bytes;
    curl_off_t promised = -1;
    if (request->body_capacity == 0) {
        curl_easy_getinfo(request->handle->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &promised);
    }
    return (promised > 0 && (uint64_t)promised > max_bytes) ||
           request->body_length + length > max_bytes;
}

size_t http_request_read_body(char *bytes, size_t one, size_t length, void *owner)
{
    (void)one;
    struct http_request *request = ((struct http_handle *)owner)->request;
    if (is_too_large(request, length)) {
        request->refusal = "the body of its answer is larger than gateway.max_reply_bytes";
        return 0;
    }
    if (!reserve_body(request, length)) {
        request->refusal = "there is no memory for the body of its answer";
        return 0;
    }
    memcpy(request->body + request->body_length, bytes, length);
    request->body_length += length;
    return length;
}

/* --- The outcome */

void http_request_detach(struct http_request *request)
{
    struct http_handle *handle = request->handle;
    struct http_node *node = request->node;
    curl_multi_remove_handle(node->multi, handle->easy);
    if (request->sends > 0) {
        DL_DELETE(node->sent, request);
        node->on_wire--;
    }
    node->under_way--;
    request->handle = NULL;
    http_node_free_handle(handle);
}

/* One line of plain ASCII: curl's texts may quote what a certificate or a server says. */
static void print_error(const struct http_request *request, const char *what, const char *why,
                        char out[HTTP_ERROR_SIZE])
{
    snprintf(out, HTTP_ERROR_SIZE, "%s: %s: %s", request->node->config->name, what, why);
    for (char *at = out; *at != '\0'; at++) {
        if (*at < ' ' || *at > '~') {
            *at = '?';
        }
    }
}

static const char *outcome_text(enum exchange_outcome outcome)
{
    switch (outcome) {
    case EXCHANGE_NOT_SENT:
        return "nothing was sent";
    case EXCHANGE_UNKNOWN:
        return "sent, but no whole answer came";
    default:
        return "the answer cannot be passed on";
    }
}

static void tell_failure(struct http_request *request, enum exchange_outcome outcome,
                         const char *why)
{
    char error[HTTP_ERROR_SIZE];
    print_error(request, outcome_text(outcome), why, error);
    metrics_add(METRIC_HTTP_FAILURES, 1);
    struct exchange_answer answer = {.outcome = outcome, .error = error};
    request->done(request->owner, &answer);
    http_request_free(request);
}

static void free_body(void *data, void *hint)
{
    (void)hint;
    free(data);
}

/* The body goes into the message, which frees it. */
static bool hand_over_body(struct http_request *request, zmq_msg_t *body)
{
    if (request->body_length == 0) {
        zmq_msg_init(body);
        return true;
    }
    if (zmq_msg_init_data(body, request->body, request->body_length, free_body, NULL) != 0) {
        return false;
    }
    request->body = NULL;
    return true;
}

static void tell_answer(struct http_request *request, const struct http_handle *handle)
{
    long status = 0;
    char *content_type = NULL;
    curl_easy_getinfo(handle->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(handle->easy, CURLINFO_CONTENT_TYPE, &content_type);
    zmq_msg_t body;
    if (!hand_over_body(request, &body)) {
        tell_failure(request, EXCHANGE_REFUSED, "there is no memory for the body of its answer");
        return;
    }
    struct exchange_answer answer = {.outcome = EXCHANGE_ANSWERED,
                                     .status_code = (int)status,
                                     .reason_phrase = handle->reason,
                                     .content_type = content_type,
                                     .body = &body};
    request->done(request->owner, &answer);
    zmq_msg_close(&body);
    http_request_free(request);
}

/* Errors of curl that mean an answer which is no HTTP. A head line of 100 KiB is, in curl's words,
 * out of memory or too large. */
static bool breaks_http(CURLcode code)
{
#if LIBCURL_VERSION_NUM >= 0x080600
    if (code == CURLE_TOO_LARGE) {
        return true;
    }
#endif
    return code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_WEIRD_SERVER_REPLY ||
           code == CURLE_OUT_OF_MEMORY || code == CURLE_BAD_CONTENT_ENCODING;
}

void http_request_end(struct http_request *request, CURLcode code)
{
    const struct http_handle *handle = request->handle;
    bool was_sent = count_sends(request) > 0;
    http_request_detach(request);
    const char *why = handle->error[0] != '\0' ? handle->error : curl_easy_strerror(code);
    if (code == CURLE_OK && request->is_head_whole) {
        tell_answer(request, handle);
    } else if (code == CURLE_OK) { /* a head that ends in the middle is none to curl */
        tell_failure(request, EXCHANGE_UNKNOWN, "the connection ended within its head");
    } else if (!was_sent) {
        tell_failure(request, EXCHANGE_NOT_SENT, why);
    } else if (request->refusal != NULL) {
        tell_failure(request, EXCHANGE_REFUSED, request->refusal);
    } else if (breaks_http(code)) {
        tell_failure(request, EXCHANGE_REFUSED, why);
    } else if (code == CURLE_ABORTED_BY_CALLBACK || code == CURLE_COULDNT_CONNECT) {
        tell_failure(request, EXCHANGE_UNKNOWN, "the connection ended"); /* and was not repeated */
    } else {
        tell_failure(request, EXCHANGE_UNKNOWN, why);
    }
}

void http_request_fail(struct http_request *request, enum exchange_outcome outcome, const char *why)
{
    if (request->handle != NULL) {
        http_request_detach(request);
    }
    tell_failure(request, outcome, why);
}
