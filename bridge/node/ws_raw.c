/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The WebSocket transport for ws://: libwebsockets connects and polls (its RAW role), the handshake
 * and the frames are read here in bulk. libwebsockets calls ws_raw_callback() in the event thread;
 * everything that arrives goes on at once to the frame reader, nothing is kept for later.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "arizmq/error.h"
#include "base/clock.h"
#include "node/ws_handshake.h"
#include "node/ws_private.h"

static void on_message(void *owner, const char *text, size_t length)
{
    struct ws *ws = owner;
    ws->handler->message(ws->owner, text, length, ws->received_ns);
}

static void on_refused(void *owner, enum ws_refusal why, uint64_t length)
{
    struct ws *ws = owner;
    ws->handler->refused(ws->owner, why, length);
    /* The owner has published that; the messages behind it must not seem to be older. */
    ws->received_ns = clock_wall_ns();
}

static void on_close_frame(struct ws *ws, const uint8_t *payload, size_t length)
{
    int code = length >= 2 ? payload[0] << 8 | payload[1] : WS_CODE_NO_STATUS;
    char detail[sizeof ws->how.detail];
    snprintf(detail, sizeof detail, "close frame %d%s%.*s", code, length > 2 ? " " : "",
             length > 2 ? (int)(length - 2) : 0, (const char *)payload + (length > 2 ? 2 : 0));
    ws_set_ended(ws, WS_END_CLOSED, code, detail);
    if (!ws->is_closing) { /* echo it, as RFC 6455, section 5.5.1 has it */
        ws_queue(ws, WS_CLOSE, payload, length >= 2 ? 2 : 0);
        ws->is_closing = true;
    }
}

static void on_control(void *owner, enum ws_opcode opcode, const uint8_t *payload, size_t length)
{
    struct ws *ws = owner;
    if (opcode == WS_CLOSE) {
        on_close_frame(ws, payload, length);
    } else if (opcode == WS_PING) {
        ws_queue(ws, WS_PONG, payload, length);
    }
}

static const struct ws_reader_handler reader_handler = {on_message, on_refused, on_control};

static void raw_prepare(struct ws *ws, struct lws_client_connect_info *info)
{
    unsigned char random[16];
    lws_get_random(ws->target.context, random, sizeof random);
    lws_b64_encode_string((const char *)random, sizeof random, ws->key, sizeof ws->key);
    ws_reader_init(&ws->reader, &reader_handler, ws, ws->target.max_message_bytes);
    info->method = "RAW";
    info->local_protocol_name = ws_raw_protocol.name;
}

/* A client's frames are masked with a key that nobody can foresee (RFC 6455, section 5.3). */
static int raw_write(struct ws *ws, struct ws_frame *frame)
{
    unsigned char *payload = frame->buffer + WS_FRAME_PAYLOAD_AT;
    unsigned char mask[4];
    lws_get_random(ws->target.context, mask, sizeof mask);
    for (size_t i = 0; i < frame->length; i++) {
        payload[i] ^= mask[i % 4];
    }
    unsigned char header[14];
    size_t used = 0;
    header[used++] = (unsigned char)(0x80 | frame->opcode);
    if (frame->length < 126) {
        header[used++] = (unsigned char)(0x80 | frame->length);
    } else if (frame->length <= UINT16_MAX) {
        header[used++] = 0x80 | 126;
        header[used++] = (unsigned char)(frame->length >> 8);
        header[used++] = (unsigned char)frame->length;
    } else {
        header[used++] = 0x80 | 127;
        for (int shift = 56; shift >= 0; shift -= 8) {
            header[used++] = (unsigned char)((uint64_t)frame->length >> shift);
        }
    }
    memcpy(header + used, mask, sizeof mask);
    used += sizeof mask;
    unsigned char *start = payload - used;
    memcpy(start, header, used);
    return lws_write(ws->wsi, start, used + frame->length, LWS_WRITE_RAW) < 0 ? -1 : 0;
}

const struct ws_transport ws_raw_transport = {raw_prepare, raw_write};

static int send_handshake(struct ws *ws)
{
    enum { REQUEST_BYTES_MAX = 8192 };
    unsigned char *buffer = malloc(LWS_PRE + REQUEST_BYTES_MAX);
    if (buffer == NULL) {
        return -1;
    }
    size_t length =
        ws_handshake_write(ws->path, ws->target.host, ws->target.port, ws->key,
                           ws->target.authorization, (char *)buffer + LWS_PRE, REQUEST_BYTES_MAX);
    int written = length == 0 ? -1 : lws_write(ws->wsi, buffer + LWS_PRE, length, LWS_WRITE_RAW);
    free(buffer);
    return written < 0 ? -1 : 0;
}

/* What an answer other than 101 says: its reason phrase, and the message where its body is ARI's
 * {"message": …} or else that it is HTML. */
static void refuse_handshake(struct ws *ws, const struct ws_answer *answer, const char *body,
                             size_t body_length)
{
    char detail[sizeof ws->how.detail];
    json_t *json = json_loadb(body, body_length, 0, NULL);
    const char *message = json_string_value(json_object_get(json, "message"));
    if (message != NULL) {
        snprintf(detail, sizeof detail, "%d %s: %s", answer->status, answer->reason, message);
    } else if (body_length > 0 && body[0] == '<') {
        snprintf(detail, sizeof detail, "%d %s, as an HTML page: not ARI's own answer",
                 answer->status, answer->reason);
    } else {
        snprintf(detail, sizeof detail, "%d %s", answer->status, answer->reason);
    }
    json_decref(json);
    ws_set_ended(ws, WS_END_REFUSED, answer->status, detail);
}

static int feed_frames(struct ws *ws, const char *bytes, size_t length)
{
    const char *error = NULL;
    int code = ws_reader_feed(&ws->reader, (const uint8_t *)bytes, length, &error);
    if (code != 0) {
        enum ws_end end = code == WS_CODE_NOT_UTF8 ? WS_END_NOT_UTF8 : WS_END_PROTOCOL_ERROR;
        ws_set_ended(ws, end, code, error);
        ws_close(ws, (enum ws_close_code)code);
    }
    /* After its close frame the peer has nothing more to say; after an error it is not heard. */
    if (ws->has_ended) {
        while (ws->waiting_count > 0 && ws_write_next(ws) == 0) {
        }
        return -1;
    }
    ws->handler->heard(ws->owner, ws->received_ns);
    return 0;
}

/* Collects the handshake's answer. Returns 0 to go on, -1 to close. */
static int feed_handshake(struct ws *ws, const char *bytes, size_t length)
{
    if (ws->handshake == NULL) {
        ws->handshake = malloc(WS_HANDSHAKE_BYTES_MAX);
        if (ws->handshake == NULL) {
            ws_set_ended(ws, WS_END_UNREACHABLE, 0, "no memory for the handshake");
            return -1;
        }
    }
    size_t room = WS_HANDSHAKE_BYTES_MAX - ws->handshake_length;
    size_t taken = length < room ? length : room;
    memcpy(ws->handshake + ws->handshake_length, bytes, taken);
    ws->handshake_length += taken;

    struct ws_answer answer;
    int found = ws_handshake_read(ws->handshake, ws->handshake_length, ws->key, &answer);
    if (found < 0 || (found == 0 && ws->handshake_length == WS_HANDSHAKE_BYTES_MAX)) {
        ws_set_ended(ws, WS_END_PROTOCOL_ERROR, 0, "the answer to the handshake is no HTTP");
        return -1;
    }
    if (found == 0) {
        return 0;
    }
    if (!answer.is_accepted) {
        size_t body = ws->handshake_length - answer.head;
        if (body < answer.body && ws->handshake_length < WS_HANDSHAKE_BYTES_MAX) {
            return 0;
        }
        refuse_handshake(ws, &answer, ws->handshake + answer.head, body);
        return -1;
    }
    size_t before = ws->handshake_length - taken; /* of the head, in earlier reads */
    size_t frames_at = answer.head - before;
    free(ws->handshake);
    ws->handshake = NULL;
    ws_set_open(ws);
    ws->received_ns =
        clock_wall_ns(); /* frames behind the head are not older than its being open */
    return frames_at < length ? feed_frames(ws, bytes + frames_at, length - frames_at) : 0;
}

/* The peer has closed before the handshake was done. */
static void end_handshake(struct ws *ws)
{
    struct ws_answer answer;
    if (ws->handshake != NULL &&
        ws_handshake_read(ws->handshake, ws->handshake_length, ws->key, &answer) > 0) {
        refuse_handshake(ws, &answer, ws->handshake + answer.head,
                         ws->handshake_length - answer.head);
    } else {
        ws_set_ended(ws, WS_END_UNREACHABLE, 0, "the connection was closed without an answer");
    }
}

static int ws_raw_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                           size_t length)
{
    (void)user;
    struct ws *ws = lws_get_opaque_user_data(wsi);
    if (ws == NULL) {
        /* Abandoned; were it to connect in the same turn of the loop, that would undo the timeout
         * that is to end it. */
        return reason == LWS_CALLBACK_RAW_CONNECTED || reason == LWS_CALLBACK_RAW_RX ? -1 : 0;
    }
    switch (reason) {
    case LWS_CALLBACK_RAW_CONNECTED:
        ws->wsi = wsi;
        ws->has_asked = true;
        return send_handshake(ws);
    case LWS_CALLBACK_RAW_RX:
        ws->received_ns = clock_wall_ns();
        return ws->is_open ? feed_frames(ws, in, length) : feed_handshake(ws, in, length);
    case LWS_CALLBACK_RAW_WRITEABLE:
        return ws_write_next(ws);
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
        ws_set_ended(ws, WS_END_UNREACHABLE, 0, in != NULL ? in : "cannot connect");
        ws_finish(ws);
        return 0;
    case LWS_CALLBACK_RAW_CLOSE:
        if (!ws->is_open) {
            end_handshake(ws);
        }
        ws_finish(ws);
        return 0;
    default:
        return 0;
    }
}

const struct lws_protocols ws_raw_protocol = {.name = "arizmq-ws-raw", .callback = ws_raw_callback};
