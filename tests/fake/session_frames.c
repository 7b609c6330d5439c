/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What a client's frames lead to, and the ways in which the script lets a WebSocket speak, end or
 * break. Frames come from session.c, which also writes what is queued here. Rules and limits are
 * those measured on Asterisk.
 */
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "fake.h"
#include "session_private.h"

/* Asterisk closes with 1009 above this, header included. */
enum { CLIENT_FRAME_MAX = 65535, CONTROL_PAYLOAD_MAX = 125 };

void session_send_raw(struct session *session, const void *data, size_t length)
{
    bytes_append(&session->out, data, length);
}

void session_send_text(struct session *session, const char *text, size_t length)
{
    frame_append(&session->out, true, FRAME_TEXT, text, length);
    session->fake->stats.frames_sent++;
}

static void session_append_close(struct session *session, int code, const char *reason)
{
    uint8_t payload[CONTROL_PAYLOAD_MAX];
    size_t length = 0;
    if (code) {
        uint16_t big_endian = htobe16((uint16_t)code);
        memcpy(payload, &big_endian, sizeof big_endian);
        size_t reason_length = strnlen(reason, sizeof payload - sizeof big_endian);
        memcpy(payload + sizeof big_endian, reason, reason_length);
        length = sizeof big_endian + reason_length;
    }
    frame_append(&session->out, true, FRAME_CLOSE, payload, length);
}

void session_close(struct session *session, int code, const char *reason)
{
    session_stop_play(session);
    session_append_close(session, code, reason);
    session->state = SESSION_CLOSING;
    session->close_code = code ? code : 1005;
    session_flush(session);
}

void session_finish(struct session *session)
{
    session_stop_play(session);
    session->is_ending = true;
    session_flush(session);
}

void session_cut(struct session *session, const char *text, size_t length, size_t cut_at)
{
    static const uint8_t close_1011[] = {0x88, 0x02, 0x03, 0xf3};
    uint8_t header[FRAME_HEADER_MAX];
    session_stop_play(session);
    session_send_raw(session, header, frame_write_header(header, true, FRAME_TEXT, length));
    session_send_raw(session, text, cut_at);
    session_send_raw(session, close_1011, sizeof close_1011);
    session->state = SESSION_HALF_DEAD;
    session_flush(session);
}

void session_stall(struct session *session)
{
    session->is_stalled = true;
    session_set_reading(session);
}

void session_resume(struct session *session)
{
    session->is_stalled = false;
    session_set_reading(session);
    session_flush(session);
    session_parse(session);
    session_read(session);
}

/* Ends the connection for what the client did, with a close frame that says why. */
static void session_refuse(struct session *session, int code)
{
    session_stop_play(session);
    session->close_code = code;
    session_append_close(session, code, "");
    session->is_ending = true;
}

static void delay_is_over(lws_sorted_usec_list_t *timer)
{
    struct session *session = lws_container_of(timer, struct session, timer);
    session->is_delayed = false;
    if (session->state == SESSION_OPEN) {
        session_send_text(session, session->delayed_answer, strlen(session->delayed_answer));
    }
    free(session->delayed_answer);
    session->delayed_answer = NULL;
    session_set_reading(session);
    session_flush(session);
    session_parse(session);
    session_read(session);
}

static void handle_text(struct session *session, const uint8_t *text, size_t length)
{
    struct fake *fake = session->fake;
    fake->stats.text_received++;
    if (!fake->version->has_rest_over_websocket) {
        console_event("text id=%u length=%zu ignored", session->id, length);
        return;
    }
    char *answer = rest_handle_message(fake, session, (const char *)text, length);
    if (fake->swallows_answers) {
        console_event("swallowed id=%u app=%s", session->id, session->apps);
        free(answer);
        return;
    }
    if (fake->rest_delay_ms == 0) {
        session_send_text(session, answer, strlen(answer));
        free(answer);
        return;
    }
    session->delayed_answer = answer;
    session->is_delayed = true;
    session_set_reading(session);
    lws_sul_schedule(fake->lws, 0, &session->timer, delay_is_over,
                     (lws_usec_t)fake->rest_delay_ms * 1000);
}

/* Fragments are put together, and only up to the size that one frame may have. */
static void handle_data(struct session *session, const struct frame *frame)
{
    size_t length = (size_t)frame->length;
    if (frame->opcode == FRAME_BINARY) {
        session->fake->stats.binary_received++;
        console_event("binary id=%u length=%zu ignored", session->id, length);
        return;
    }
    if (frame->is_final && frame->opcode == FRAME_TEXT) {
        handle_text(session, frame->payload, length);
        return;
    }
    if (frame->opcode == FRAME_TEXT) {
        session->message.length = 0;
    }
    bytes_append(&session->message, frame->payload, length);
    if (!frame->is_final && session->message.length <= CLIENT_FRAME_MAX) {
        return;
    }
    bool is_too_long = session->message.length > CLIENT_FRAME_MAX;
    handle_text(session, session->message.data, is_too_long ? 0 : session->message.length);
    session->message.length = 0;
    if (is_too_long) {
        session_finish(session);
    }
}

static void handle_close(struct session *session, const struct frame *frame)
{
    uint16_t code = 1000;
    if (frame->length >= sizeof code) {
        memcpy(&code, frame->payload, sizeof code);
        code = be16toh(code);
    }
    if (session->state == SESSION_OPEN) {
        session->close_code = code;
        session_stop_play(session);
        session_append_close(session, code, "");
    }
    session->is_ending = true;
}

/* Asterisk's thread still reads for a while after it has cut a message, but writes nothing. */
static void handle_half_dead(struct session *session, const struct frame *frame)
{
    if (frame->opcode == FRAME_PING) {
        console_event("stuck id=%u app=%s", session->id, session->apps);
        session->state = SESSION_STUCK;
        session_set_reading(session);
    } else if (frame->opcode != FRAME_PONG) {
        session_end(session);
    }
}

static void handle_frame(struct session *session, const struct frame *frame)
{
    if (frame->opcode >= FRAME_CLOSE) {
        struct fake_stats *stats = &session->fake->stats;
        stats->closes_received += frame->opcode == FRAME_CLOSE;
        stats->pings_received += frame->opcode == FRAME_PING;
        stats->pongs_received += frame->opcode == FRAME_PONG;
        console_event("frame id=%u opcode=%u length=%zu", session->id, frame->opcode,
                      (size_t)frame->length);
    }
    if (session->state == SESSION_HALF_DEAD) {
        handle_half_dead(session, frame);
        return;
    }
    switch (frame->opcode) {
    case FRAME_CONTINUATION:
    case FRAME_TEXT:
    case FRAME_BINARY:
        handle_data(session, frame);
        break;
    case FRAME_PING:
        frame_append(&session->out, true, FRAME_PONG, frame->payload, (size_t)frame->length);
        break;
    case FRAME_PONG:
        break;
    case FRAME_CLOSE:
        handle_close(session, frame);
        break;
    default:
        session_refuse(session, 1003);
        break;
    }
}

void session_parse(struct session *session)
{
    struct frame frame;
    while (!session->is_stalled && !session->is_delayed && !session->is_ending &&
           session->state != SESSION_STUCK && session->state != SESSION_ENDED &&
           frame_parse(session->in.data, session->in.length, &frame)) {
        if (frame.length + frame.header_length > CLIENT_FRAME_MAX) {
            session_refuse(session, 1009);
            break;
        }
        if (!frame.payload) {
            break;
        }
        handle_frame(session, &frame);
        bytes_consume(&session->in, frame.header_length + (size_t)frame.length);
    }
    session_flush(session);
}
