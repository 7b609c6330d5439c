/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The WebSocket transport for wss://: libwebsockets' own WebSocket role, which does handshake, TLS,
 * frames, pongs and closing. libwebsockets calls ws_role_callback() in the event thread with pieces
 * of messages; here they become whole ones.
 */
#include <stdio.h>
#include <string.h>

#include <openssl/ssl.h>

#include "base/clock.h"
#include "node/ws_private.h"
#include "ops/metrics.h"

enum { RX_BUFFER_BYTES = 16384 };

static void role_prepare(struct ws *ws, struct lws_client_connect_info *info)
{
    ws_message_init(&ws->message, ws->target.max_message_bytes);
    info->local_protocol_name = ws_role_protocol.name;
}

static int role_write(struct ws *ws, struct ws_frame *frame)
{
    unsigned char *payload = frame->buffer + WS_FRAME_PAYLOAD_AT;
    switch (frame->opcode) {
    case WS_CLOSE:
        /* Not lws_close_reason(): after that libwebsockets drops what is still on its way, does not
         * tell of the answer, and is silent where the connection is abandoned. So this frame is
         * made here, and passes through as bytes. */
        return ws_raw_transport.write(ws, frame);
    case WS_PING:
        return lws_write(ws->wsi, payload, frame->length, LWS_WRITE_PING) < 0 ? -1 : 0;
    default:
        return lws_write(ws->wsi, payload, frame->length, LWS_WRITE_TEXT) < 0 ? -1 : 0;
    }
}

const struct ws_transport ws_role_transport = {role_prepare, role_write};

static int end_message(struct ws *ws)
{
    enum ws_refusal refusal = ws_message_end(&ws->message);
    ws->in_message = false;
    if (refusal == WS_REFUSED_NOT) {
        ws->handler->message(ws->owner, ws->message.bytes, ws->message.length, ws->received_ns);
        return 0;
    }
    ws->handler->refused(ws->owner, refusal, ws->message.total);
    if (refusal == WS_REFUSED_UTF8) {
        ws_set_ended(ws, WS_END_NOT_UTF8, WS_CODE_NOT_UTF8, "a text message is not UTF-8");
        lws_close_reason(ws->wsi, LWS_CLOSE_STATUS_INVALID_PAYLOAD, NULL, 0);
        return -1;
    }
    return 0;
}

static int on_receive(struct ws *ws, const char *bytes, size_t length)
{
    ws->received_ns = clock_wall_ns();
    ws->handler->heard(ws->owner, ws->received_ns);
    if (lws_is_first_fragment(ws->wsi)) {
        ws_message_begin(&ws->message, !lws_frame_is_binary(ws->wsi));
        ws->in_message = true;
    }
    ws_message_append(&ws->message, bytes, length);
    if (lws_remaining_packet_payload(ws->wsi) == 0) {
        if (lws_is_final_fragment(ws->wsi)) {
            return end_message(ws);
        }
        metrics_add(METRIC_FRAGMENTS, 1);
    }
    return 0;
}

static int append_authorization(struct ws *ws, unsigned char **at, unsigned char *end)
{
    const char *value = ws->target.authorization;
    return lws_add_http_header_by_token(ws->wsi, WSI_TOKEN_HTTP_AUTHORIZATION,
                                        (const unsigned char *)value, (int)strlen(value), at, end);
}

static void on_connection_error(struct ws *ws, const char *text)
{
    unsigned status = lws_http_client_http_response(ws->wsi);
    char detail[sizeof ws->how.detail];
    if (status >= 200) {
        snprintf(detail, sizeof detail, "%u", status);
        ws_set_ended(ws, WS_END_REFUSED, (int)status, detail);
        return;
    }
    /* libwebsockets says no more than that TLS has failed; OpenSSL knows of the certificate. */
    SSL *ssl = lws_get_ssl(ws->wsi);
    long verdict = ssl != NULL && ws->target.verify ? SSL_get_verify_result(ssl) : X509_V_OK;
    if (verdict != X509_V_OK) {
        snprintf(detail, sizeof detail, "the server's certificate is not accepted: %s",
                 X509_verify_cert_error_string(verdict));
        text = detail;
    }
    ws_set_ended(ws, WS_END_UNREACHABLE, 0, text != NULL ? text : "cannot connect");
}

/* Returns 0 for libwebsockets to echo the close frame, -1 where ours has been
 * sent, or now is. */
static int on_peer_close(struct ws *ws, const unsigned char *payload, size_t length)
{
    int code = length >= 2 ? payload[0] << 8 | payload[1] : WS_CODE_NO_STATUS;
    char detail[sizeof ws->how.detail];
    snprintf(detail, sizeof detail, "close frame %d", code);
    metrics_add(METRIC_CONTROL_FRAMES, 1);
    ws_set_ended(ws, WS_END_CLOSED, code, detail);
    if (!ws->is_closing) {
        return 0;
    }
    while (ws->waiting_count > 0 && ws_write_next(ws) == 0) {
    }
    return -1;
}

/* What may still come in the turn of the loop in which the connection was abandoned; it would undo
 * the timeout that is to end it. */
static bool is_progress(enum lws_callback_reasons reason)
{
    return reason == LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER ||
           reason == LWS_CALLBACK_CLIENT_ESTABLISHED || reason == LWS_CALLBACK_CLIENT_RECEIVE ||
           reason == LWS_CALLBACK_CLIENT_WRITEABLE;
}

static int ws_role_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                            size_t length)
{
    (void)user;
    struct ws *ws = lws_get_opaque_user_data(wsi);
    if (ws == NULL) {
        return is_progress(reason) ? -1 : 0;
    }
    ws->wsi = wsi;
    switch (reason) {
    case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER: {
        unsigned char **at = in;
        ws->has_asked = true;
        return append_authorization(ws, at, *at + length);
    }
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
        ws_set_open(ws);
        return 0;
    case LWS_CALLBACK_CLIENT_RECEIVE:
        return on_receive(ws, in, length);
    case LWS_CALLBACK_CLIENT_RECEIVE_PONG:
        metrics_add(METRIC_CONTROL_FRAMES, 1);
        ws->received_ns = clock_wall_ns();
        ws->handler->heard(ws->owner, ws->received_ns);
        return 0;
    case LWS_CALLBACK_CLIENT_WRITEABLE:
        return ws_write_next(ws);
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
        return on_peer_close(ws, in, length);
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
        on_connection_error(ws, in);
        ws_finish(ws);
        return 0;
    case LWS_CALLBACK_CLOSED_CLIENT_HTTP: /* killed before the handshake's answer */
    case LWS_CALLBACK_CLIENT_CLOSED:
        ws_finish(ws);
        return 0;
    default:
        return 0;
    }
}

const struct lws_protocols ws_role_protocol = {
    .name = "arizmq-ws-role", .callback = ws_role_callback, .rx_buffer_size = RX_BUFFER_BYTES};
