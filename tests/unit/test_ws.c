/* SPDX-License-Identifier: MPL-2.0 */
/*
 * WebSocket connections once they are open, over both transports: messages, control frames, and
 * every way to end. What precedes is in test_ws_open.c, what is particular to TLS in test_ws_tls.c.
 */
#include "arizmq/error.h"
#include "conversation.h"
#include "node/ws_private.h"
#include "ops/metrics.h"

/* Defines the tests ws::NAME and wss::NAME, whose body follows. */
#define OVER_BOTH(name)                                                                            \
    static void name(struct conversation *talk);                                                   \
    Test(ws, name)                                                                                 \
    {                                                                                              \
        struct conversation talk;                                                                  \
        conversation_create(&talk, false);                                                         \
        name(&talk);                                                                               \
        conversation_destroy(&talk);                                                               \
    }                                                                                              \
    Test(wss, name)                                                                                \
    {                                                                                              \
        struct conversation talk;                                                                  \
        conversation_create(&talk, true);                                                          \
        name(&talk);                                                                               \
        conversation_destroy(&talk);                                                               \
    }                                                                                              \
    static void name(struct conversation *talk)

enum { TEXT = FRAME_FINAL | WS_TEXT };

OVER_BOTH(messages_arrive_whole_and_in_order)
{
    enum { LARGE = 200000 };
    static char large[LARGE];
    memset(large, 'x', LARGE);
    conversation_open_up(talk);
    uint64_t before_ns = clock_wall_ns();
    conversation_send(talk, TEXT, "first", 5);
    conversation_send(talk, WS_TEXT, "in ", 3);
    conversation_send(talk, FRAME_FINAL | WS_PONG, "", 0);
    conversation_send(talk, WS_CONTINUATION, "three ", 6);
    conversation_send(talk, FRAME_FINAL | WS_CONTINUATION, "parts", 5);
    conversation_send(talk, TEXT, large, LARGE);
    conversation_send(talk, TEXT, "gr\xc3\xbc\xc3\x9f", 6);
    conversation_send(talk, FRAME_FINAL | WS_BINARY, "\xff\x00\xfe", 3);
    TALK_UNTIL(talk, talk->record.messages == 5);
    uint64_t after_ns = clock_wall_ns();
    static const struct {
        const char *text;
        size_t length;
    } expected[] = {{"first", 5},
                    {"in three parts", 14},
                    {large, LARGE},
                    {"gr\xc3\xbc\xc3\x9f", 6},
                    {"\xff", 3}};
    for (unsigned i = 0; i < 5; i++) {
        cr_expect_eq(talk->record.length[i], expected[i].length, "message %u", i);
        cr_expect_eq(strncmp(talk->record.text[i], expected[i].text, expected[i].length), 0,
                     "message %u", i);
        cr_expect(talk->record.received_ns[i] >= before_ns &&
                      talk->record.received_ns[i] <= after_ns,
                  "message %u", i);
        cr_expect(i == 0 || talk->record.received_ns[i] >= talk->record.received_ns[i - 1]);
    }
    cr_expect_gt(talk->record.heard, 0);
    cr_expect_eq(talk->record.refused, 0);
    cr_expect(ws_is_between_messages(talk->ws));
    ws_abandon(&talk->ws);
    TALK_UNTIL(talk, talk->peer.is_eof);
}

OVER_BOTH(an_empty_message_is_a_message)
{
    conversation_open_up(talk);
    conversation_send(talk, TEXT, "", 0);
    conversation_send(talk, TEXT, "next", 4);
    TALK_UNTIL(talk, talk->record.messages == 2);
    cr_expect_eq(talk->record.length[0], 0);
    cr_expect_str_eq(talk->record.text[1], "next");
    ws_abandon(&talk->ws);
}

static uint64_t bent_ns;
static uint64_t bent_clock(void)
{
    return bent_ns;
}

OVER_BOTH(received_ns_is_when_the_last_byte_was_read)
{
    conversation_open_up(talk);
    clock_set_wall_source(bent_clock);
    bent_ns = 1000;
    conversation_send(talk, WS_TEXT, "ab", 2);
    TALK_UNTIL(talk, !ws_is_between_messages(talk->ws));
    bent_ns = 2000;
    conversation_send(talk, FRAME_FINAL | WS_CONTINUATION, "cd", 2);
    TALK_UNTIL(talk, talk->record.messages == 1);
    clock_set_wall_source(NULL);
    cr_expect_eq(talk->record.received_ns[0], 2000);
    ws_abandon(&talk->ws);
}

OVER_BOTH(text_is_sent_masked)
{
    enum { LARGE = 70000 };
    static char large[LARGE];
    memset(large, 'y', LARGE);
    static const size_t lengths[] = {1, 125, 126, 127, 65535, 65536, LARGE};
    conversation_open_up(talk);
    uint8_t last[4] = {0};
    unsigned repeated = 0;
    for (unsigned i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        cr_assert_eq(ws_send_text(talk->ws, large, lengths[i]), ARIZMQ_OK);
        const struct peer_frame *frame = conversation_frame(talk, WS_TEXT);
        cr_expect_eq(frame->length, lengths[i], "%zu", frame->length);
        cr_expect_eq(memcmp(frame->payload, large, lengths[i]), 0, "%zu", lengths[i]);
        repeated += memcmp(frame->mask, last, 4) == 0;
        memcpy(last, frame->mask, 4);
    }
    cr_expect_eq(repeated, 0, "masks must not be foreseeable");
    cr_expect_eq(large[0], 'y', "what was sent belongs to the caller");
    ws_abandon(&talk->ws);
}

OVER_BOTH(frames_that_wait_are_bounded_and_sent_in_order)
{
    conversation_open_up(talk);
    for (unsigned i = 0; i < WS_FRAMES_WAITING_MAX; i++) {
        char text = (char)('0' + i % 10);
        cr_assert_eq(ws_send_text(talk->ws, &text, 1), ARIZMQ_OK, "frame %u", i);
    }
    cr_expect_eq(ws_send_text(talk->ws, "8", 1), ARIZMQ_ETOOLARGE);
    cr_expect_eq(ws_ping(talk->ws), ARIZMQ_ETOOLARGE);
    for (unsigned i = 0; i < WS_FRAMES_WAITING_MAX; i++) {
        const struct peer_frame *frame = conversation_frame(talk, WS_TEXT);
        cr_expect_eq(frame->length, 1);
        cr_expect_eq(frame->payload[0], '0' + i % 10);
    }
    cr_expect_eq(ws_send_text(talk->ws, "9", 1), ARIZMQ_OK, "there is room again");
    conversation_frame(talk, WS_TEXT);
    ws_abandon(&talk->ws);
}

OVER_BOTH(pings_are_answered_with_their_payload)
{
    char longest[WS_CONTROL_BYTES_MAX];
    memset(longest, 'p', sizeof longest);
    conversation_open_up(talk);
    static const size_t lengths[] = {0, 1, WS_CONTROL_BYTES_MAX};
    for (unsigned i = 0; i < 3; i++) {
        conversation_send(talk, FRAME_FINAL | WS_PING, longest, lengths[i]);
        const struct peer_frame *frame = conversation_frame(talk, WS_PONG);
        cr_expect_eq(frame->length, lengths[i]);
        cr_expect_eq(memcmp(frame->payload, longest, lengths[i]), 0);
    }
    ws_abandon(&talk->ws);
}

/* RFC 6455, section 5.5.3. libwebsockets' own role answers the first one instead. */
Test(ws, of_several_pings_the_last_is_answered)
{
    struct conversation talk;
    conversation_create(&talk, false);
    conversation_open_up(&talk);
    conversation_send(&talk, FRAME_FINAL | WS_PING, "one", 3);
    conversation_send(&talk, FRAME_FINAL | WS_PING, "two", 3);
    conversation_send(&talk, FRAME_FINAL | WS_PING, "three", 5);
    const struct peer_frame *frame = conversation_frame(&talk, WS_PONG);
    cr_expect_eq(frame->length, 5);
    cr_expect_eq(memcmp(frame->payload, "three", 5), 0);
    cr_assert_eq(ws_send_text(talk.ws, "end", 3), ARIZMQ_OK);
    conversation_frame(&talk, WS_TEXT); /* and no further pong before it */
    ws_abandon(&talk.ws);
    conversation_destroy(&talk);
}

/* Asterisk 22.11.0-rc1 crashes on a pong that it did not ask for. */
OVER_BOTH(no_pong_is_sent_unasked)
{
    conversation_open_up(talk);
    conversation_send(talk, FRAME_FINAL | WS_PONG, "unasked", 7);
    conversation_send(talk, TEXT, "message", 7);
    TALK_UNTIL(talk, talk->record.messages == 1);
    cr_assert_eq(ws_ping(talk->ws), ARIZMQ_OK);
    const struct peer_frame *frame = conversation_frame(talk, WS_PING); /* the first of all */
    unsigned heard = talk->record.heard;
    conversation_send(talk, FRAME_FINAL | WS_PONG, frame->payload, frame->length);
    TALK_UNTIL(talk, talk->record.heard > heard);
    cr_assert_eq(ws_send_text(talk->ws, "end", 3), ARIZMQ_OK);
    conversation_frame(talk, WS_TEXT);
    ws_abandon(&talk->ws);
}

OVER_BOTH(the_peer_s_close_is_echoed)
{
    conversation_open_up(talk);
    conversation_send(talk, TEXT, "last", 4);
    conversation_send(talk, FRAME_FINAL | WS_CLOSE,
                      "\x03\xe9"
                      "going away",
                      12);
    const struct peer_frame *frame = conversation_frame(talk, WS_CLOSE);
    cr_expect_geq(frame->length, 2);
    cr_expect_eq(memcmp(frame->payload, "\x03\xe9", 2), 0, "1001");
    conversation_end(talk, WS_END_CLOSED, 1001);
    cr_expect_eq(talk->record.messages, 1);
    cr_expect_not_null(strstr(talk->record.how.detail, "1001"), "%s", talk->record.how.detail);
}

Test(ws, the_peer_s_words_at_its_close_are_told_as_far_as_they_can_be_printed)
{
    struct conversation talk;
    conversation_create(&talk, false);
    conversation_open_up(&talk);
    conversation_send(&talk, FRAME_FINAL | WS_CLOSE,
                      "\x03\xf3"
                      "write timeout\nforged line",
                      27);
    conversation_end(&talk, WS_END_CLOSED, 1011);
    cr_expect_str_eq(talk.record.how.detail, "close frame 1011 write timeout");
    conversation_destroy(&talk);
}

OVER_BOTH(a_close_without_a_code)
{
    conversation_open_up(talk);
    conversation_send(talk, FRAME_FINAL | WS_CLOSE, "", 0);
    conversation_frame(talk, WS_CLOSE);
    conversation_end(talk, WS_END_CLOSED, WS_CODE_NO_STATUS);
}

OVER_BOTH(closing_delivers_what_is_on_its_way)
{
    conversation_open_up(talk);
    ws_close(talk->ws, WS_CODE_NORMAL);
    ws_close(talk->ws, WS_CODE_NORMAL); /* once is enough */
    cr_expect_eq(ws_send_text(talk->ws, "late", 4), ARIZMQ_ECLOSED);
    cr_expect_eq(ws_ping(talk->ws), ARIZMQ_ECLOSED);
    const struct peer_frame *frame = conversation_frame(talk, WS_CLOSE);
    cr_expect_eq(frame->length, 2);
    cr_expect_eq(memcmp(frame->payload, "\x03\xe8", 2), 0, "1000");
    conversation_send(talk, TEXT, "on its way", 10);
    conversation_send(talk, FRAME_FINAL | WS_CLOSE, "\x03\xe8", 2);
    conversation_end(talk, WS_END_CLOSED, 1000);
    cr_expect_eq(talk->record.messages, 1);
    cr_expect_eq(talk->peer.in.length, 0, "something was sent after the close frame");
}

OVER_BOTH(closing_waits_behind_frames_sent_before)
{
    conversation_open_up(talk);
    cr_assert_eq(ws_send_text(talk->ws, "before", 6), ARIZMQ_OK);
    ws_close(talk->ws, WS_CODE_NORMAL);
    conversation_frame(talk, WS_TEXT);
    conversation_frame(talk, WS_CLOSE);
    peer_close(&talk->peer); /* without an answer */
    TALK_UNTIL(talk, talk->record.ended > 0);
    cr_expect_eq(talk->record.how.end, WS_END_LOST, "%s", talk->record.how.detail);
}

OVER_BOTH(end_of_file_within_a_message)
{
    conversation_open_up(talk);
    conversation_send(talk, TEXT, "whole", 5);
    conversation_send(talk, WS_TEXT, "first", 5);
    peer_send(&talk->peer, "\x80\x0ahalf", 6);
    TALK_UNTIL(talk, talk->record.messages == 1 && !ws_is_between_messages(talk->ws));
    peer_close(&talk->peer);
    conversation_end(talk, WS_END_LOST, WS_CODE_ABNORMAL);
    cr_expect_eq(talk->record.messages, 1);
}

/* libwebsockets' own role keeps such bytes for itself. */
Test(ws, an_incomplete_frame_is_seen)
{
    struct conversation talk;
    conversation_create(&talk, false);
    conversation_open_up(&talk);
    cr_expect(ws_is_between_messages(talk.ws));
    peer_send(&talk.peer, "\x81", 1);
    TALK_UNTIL(&talk, talk.record.heard == 1);
    cr_expect_not(ws_is_between_messages(talk.ws));
    peer_send(&talk.peer, "\x02h", 2);
    TALK_UNTIL(&talk, talk.record.heard == 2);
    cr_expect_not(ws_is_between_messages(talk.ws));
    peer_send(&talk.peer, "i", 1);
    TALK_UNTIL(&talk, talk.record.messages == 1);
    cr_expect(ws_is_between_messages(talk.ws));
    ws_abandon(&talk.ws);
    conversation_destroy(&talk);
}

OVER_BOTH(reset)
{
    conversation_open_up(talk);
    peer_reset(&talk->peer);
    conversation_end(talk, WS_END_LOST, WS_CODE_ABNORMAL);
}

OVER_BOTH(text_that_is_not_utf8)
{
    conversation_open_up(talk);
    conversation_send(talk, TEXT, "fine", 4);
    conversation_send(talk, WS_TEXT, "broken", 6);
    conversation_send(talk, FRAME_FINAL | WS_CONTINUATION, "\xc0\xaf", 2);
    conversation_send(talk, TEXT, "never", 5);
    const struct peer_frame *frame = conversation_frame(talk, WS_CLOSE);
    cr_expect_eq(memcmp(frame->payload, "\x03\xef", 2), 0, "1007");
    peer_close(&talk->peer);
    conversation_end(talk, WS_END_NOT_UTF8, WS_CODE_NOT_UTF8);
    cr_expect_eq(talk->record.messages, 1);
    cr_expect_eq(talk->record.refused, 1);
    cr_expect_eq(talk->record.refusal, WS_REFUSED_UTF8);
    cr_expect_eq(talk->record.refused_length, 8);
}

Test(ws, protocol_error)
{
    struct conversation talk;
    conversation_create(&talk, false);
    conversation_open_up(&talk);
    /* The ping's answer is still to be written when the error comes, and goes before the close. */
    conversation_send(&talk, FRAME_FINAL | WS_PING, "ping", 4);
    peer_send(&talk.peer, "\x83\x01x", 3);
    conversation_frame(&talk, WS_PONG);
    const struct peer_frame *frame = conversation_frame(&talk, WS_CLOSE);
    cr_expect_eq(frame->length, 2);
    cr_expect_eq(memcmp(frame->payload, "\x03\xea", 2), 0, "1002");
    conversation_end(&talk, WS_END_PROTOCOL_ERROR, WS_CODE_PROTOCOL_ERROR);
    cr_expect_str_eq(talk.record.how.detail, "an opcode that RFC 6455 does not define");
    conversation_destroy(&talk);
}

Test(wss, protocol_error)
{
    struct conversation talk;
    conversation_create(&talk, true);
    conversation_open_up(&talk);
    peer_send(&talk.peer, "\x83\x01x", 3);
    TALK_UNTIL(&talk, talk.record.ended > 0); /* libwebsockets does not tell why */
    cr_expect_eq(talk.record.ended, 1);
    TALK_UNTIL(&talk, talk.peer.is_eof);
    conversation_destroy(&talk);
}

OVER_BOTH(a_message_beyond_the_bound_is_refused_and_the_next_delivered)
{
    static char large[CONVERSATION_MAX_BYTES + 1];
    memset(large, 'z', sizeof large);
    conversation_open_up(talk);
    conversation_send(talk, TEXT, large, sizeof large);
    conversation_send(talk, TEXT, large, sizeof large - 1);
    TALK_UNTIL(talk, talk->record.messages == 1);
    cr_expect_eq(talk->record.length[0], sizeof large - 1);
    cr_expect_eq(talk->record.refused, 1);
    cr_expect_eq(talk->record.refusal, WS_REFUSED_SIZE);
    cr_expect_eq(talk->record.refused_length, sizeof large);
    ws_abandon(&talk->ws);
}

OVER_BOTH(abandoned_while_open)
{
    conversation_open_up(talk);
    cr_assert_eq(ws_send_text(talk->ws, "waiting", 7), ARIZMQ_OK);
    conversation_send(talk, TEXT, "unread", 6);
    ws_abandon(&talk->ws);
    cr_expect_null(talk->ws);
    ws_abandon(&talk->ws); /* NULL is fine */
    TALK_UNTIL(talk, talk->peer.is_eof);
    cr_expect_eq(talk->record.ended, 0);
    cr_expect_eq(talk->record.messages, 0);
    struct peer_frame frame;
    cr_assert(peer_take_frame(&talk->peer, &frame));
    cr_expect_eq(frame.opcode, WS_TEXT);
    cr_assert(peer_take_frame(&talk->peer, &frame));
    cr_expect_eq(frame.opcode, WS_CLOSE);
    cr_expect_eq(memcmp(frame.payload, "\x03\xe8", 2), 0, "1000");
    cr_expect_eq(talk->peer.in.length, 0);
}

OVER_BOTH(abandoned_within_a_message)
{
    conversation_open_up(talk);
    peer_send(&talk->peer, "\x01\x02hi\x80\x04xy", 8);
    TALK_UNTIL(talk, !ws_is_between_messages(talk->ws) && talk->record.heard > 0);
    ws_abandon(&talk->ws);
    TALK_UNTIL(talk, talk->peer.is_eof);
    cr_expect_eq(talk->record.messages, 0);
}

OVER_BOTH(abandoned_while_closing)
{
    conversation_open_up(talk);
    ws_close(talk->ws, WS_CODE_NORMAL);
    conversation_frame(talk, WS_CLOSE);
    ws_abandon(&talk->ws);
    TALK_UNTIL(talk, talk->peer.is_eof);
    cr_expect_eq(talk->peer.in.length, 0, "nothing follows a close frame");
    cr_expect_eq(talk->record.ended, 0);
}

OVER_BOTH(abandoned_with_a_close_that_was_not_written)
{
    conversation_open_up(talk);
    ws_close(talk->ws, WS_CODE_NORMAL);
    ws_abandon(&talk->ws);
    TALK_UNTIL(talk, talk->peer.is_eof);
    cr_expect_eq(talk->record.ended, 0);
}
