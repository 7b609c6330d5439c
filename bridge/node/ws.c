/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What both WebSocket transports have in common: life, the frames that wait to be written, and how
 * the end is told. Links call it; it runs in the event thread and never waits.
 */
#include "node/ws.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "arizmq/error.h"
#include "node/ws_private.h"

static void ws_free(struct ws *ws)
{
    lws_sul_cancel(&ws->end_later);
    struct ws_frame *frame = NULL;
    struct ws_frame *next = NULL;
    DL_FOREACH_SAFE(ws->waiting, frame, next)
    {
        free(frame);
    }
    ws_reader_deinit(&ws->reader);
    ws_message_deinit(&ws->message);
    free(ws->handshake);
    free(ws);
}

void ws_finish(struct ws *self)
{
    if (self->wsi != NULL) {
        lws_set_opaque_user_data(self->wsi, NULL);
        self->wsi = NULL;
    }
    if (!self->has_ended) {
        ws_set_ended(self, self->is_open ? WS_END_LOST : WS_END_UNREACHABLE, WS_CODE_ABNORMAL,
                     self->is_open ? "the connection was lost" : "no connection");
    }
    if (self->is_opening) {
        return; /* ws_open() sees to it that the owner is told from the loop */
    }
    self->handler->ended(self->owner, &self->how);
    ws_free(self);
}

static void end_later(lws_sorted_usec_list_t *sul)
{
    struct ws *ws = lws_container_of(sul, struct ws, end_later);
    ws_finish(ws);
}

int ws_open(const struct target *target, const char *path, const struct ws_handler *handler,
            void *owner, struct ws **out)
{
    struct ws *ws = calloc(1, sizeof *ws);
    if (ws == NULL) {
        return ARIZMQ_ENOMEM;
    }
    ws->target = *target;
    ws->path = path;
    ws->handler = handler;
    ws->owner = owner;
    ws->transport = target->use_tls ? &ws_role_transport : &ws_raw_transport;

    /* No checks of libwebsockets' own: what proves life here is told in link.c. */
    static const lws_retry_bo_t no_checks = {0};
    char authority[TARGET_AUTHORITY_SIZE];
    struct lws_client_connect_info info = target_connect_info(target, path, authority);
    info.ietf_version_or_minus_one = -1;
    info.opaque_user_data = ws;
    info.retry_and_idle_policy = &no_checks;
    info.pwsi = &ws->wsi;
    ws->transport->prepare(ws, &info);
    ws->is_opening = true;
    struct lws *wsi = lws_client_connect_via_info(&info);
    ws->is_opening = false;
    if (wsi == NULL || ws->has_ended) {
        ws->wsi = NULL;
        lws_sul_schedule(target->context, 0, &ws->end_later, end_later, 1);
    }
    *out = ws;
    return ARIZMQ_OK;
}

void ws_set_handler(struct ws *self, const struct ws_handler *handler, void *owner)
{
    self->handler = handler;
    self->owner = owner;
}

void ws_set_open(struct ws *self)
{
    self->is_open = true;
    self->handler->opened(self->owner);
}

void ws_set_ended(struct ws *self, enum ws_end end, int code, const char *detail)
{
    if (self->has_ended) {
        return;
    }
    self->has_ended = true;
    self->how.end = end;
    self->how.code = code;
    snprintf(self->how.detail, sizeof self->how.detail, "%s", detail);
    for (char *at = self->how.detail; *at != '\0'; at++) {
        if (!isprint((unsigned char)*at)) {
            *at = '\0';
            break;
        }
    }
}

/* RFC 6455, section 5.5.3: of several pings only the last need be answered. */
static void drop_waiting_pong(struct ws *ws)
{
    struct ws_frame *frame = NULL;
    DL_SEARCH_SCALAR(ws->waiting, frame, opcode, WS_PONG);
    if (frame != NULL) {
        DL_DELETE(ws->waiting, frame);
        ws->waiting_count--;
        free(frame);
    }
}

int ws_queue(struct ws *self, enum ws_opcode opcode, const void *payload, size_t length)
{
    if (self->wsi == NULL || !self->is_open || self->is_closing) {
        return ARIZMQ_ECLOSED;
    }
    struct ws_frame *frame = malloc(sizeof *frame + WS_FRAME_PAYLOAD_AT + length);
    if (frame == NULL) {
        return ARIZMQ_ENOMEM;
    }
    if (opcode == WS_PONG) {
        drop_waiting_pong(self);
    }
    if (self->waiting_count == WS_FRAMES_WAITING_MAX) {
        free(frame);
        return ARIZMQ_ETOOLARGE;
    }
    frame->opcode = opcode;
    frame->length = length;
    if (length > 0) {
        memcpy(frame->buffer + WS_FRAME_PAYLOAD_AT, payload, length);
    }
    DL_APPEND(self->waiting, frame);
    self->waiting_count++;
    lws_callback_on_writable(self->wsi);
    return ARIZMQ_OK;
}

int ws_write_next(struct ws *self)
{
    struct ws_frame *frame = self->waiting;
    if (frame == NULL) {
        return 0;
    }
    DL_DELETE(self->waiting, frame);
    self->waiting_count--;
    int result = self->transport->write(self, frame);
    free(frame);
    if (result == 0 && self->waiting_count > 0) {
        lws_callback_on_writable(self->wsi);
    }
    return result;
}

int ws_send_text(struct ws *self, const char *text, size_t length)
{
    return ws_queue(self, WS_TEXT, text, length);
}

int ws_ping(struct ws *self)
{
    return ws_queue(self, WS_PING, NULL, 0);
}

static int queue_close(struct ws *ws, unsigned code)
{
    unsigned char payload[2] = {(unsigned char)(code >> 8), (unsigned char)code};
    int result = ws_queue(ws, WS_CLOSE, payload, sizeof payload);
    ws->is_closing = true;
    return result;
}

void ws_close(struct ws *self, enum ws_close_code code)
{
    if (self->wsi == NULL || self->is_closing) {
        return;
    }
    if (!self->is_open || queue_close(self, (unsigned)code) != ARIZMQ_OK) {
        lws_set_timeout(self->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
    }
}

void ws_abandon(struct ws **self)
{
    struct ws *ws = *self;
    *self = NULL;
    if (ws == NULL) {
        return;
    }
    if (ws->wsi != NULL) {
        if (ws->is_open && !ws->is_closing && queue_close(ws, WS_CODE_NORMAL) == ARIZMQ_OK) {
            while (ws->waiting_count > 0 && ws_write_next(ws) == 0) {
            }
        }
        lws_set_opaque_user_data(ws->wsi, NULL);
        lws_set_timeout(ws->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
    }
    ws_free(ws);
}

bool ws_has_asked(const struct ws *self)
{
    return self->has_asked;
}

void ws_set_max_message_bytes(struct ws *self, uint64_t bytes)
{
    self->target.max_message_bytes = bytes;
    self->message.max_bytes = bytes;
    self->reader.message.max_bytes = bytes;
}

bool ws_is_between_messages(const struct ws *self)
{
    return ws_reader_is_between_messages(&self->reader) && !self->in_message;
}
