/* SPDX-License-Identifier: MPL-2.0 */
/*
 * WebSocket connections up to their opening: the request, every way to be refused, and being
 * abandoned on the way.
 */
#include <arpa/inet.h>
#include <sys/resource.h>
#include <unistd.h>

#include "arizmq/error.h"
#include "conversation.h"

#define OVER_BOTH(name)                                                                            \
    static void name(struct conversation *talk);                                                   \
    Test(ws_open, name)                                                                            \
    {                                                                                              \
        struct conversation talk;                                                                  \
        conversation_create(&talk, false);                                                         \
        name(&talk);                                                                               \
        conversation_destroy(&talk);                                                               \
    }                                                                                              \
    Test(wss_open, name)                                                                           \
    {                                                                                              \
        struct conversation talk;                                                                  \
        conversation_create(&talk, true);                                                          \
        name(&talk);                                                                               \
        conversation_destroy(&talk);                                                               \
    }                                                                                              \
    static void name(struct conversation *talk)

static void expect_header(const char *head, const char *name, const char *expected)
{
    char *value = peer_header(head, name);
    cr_assert_not_null(value, "no %s in %s", name, head);
    cr_expect_str_eq(value, expected, "%s: %s", name, value);
    free(value);
}

/* Waits for the request and drops it. */
static void await_request(struct conversation *talk)
{
    TALK_UNTIL(talk, peer_has_head(&talk->peer));
    free(peer_take_head(&talk->peer));
}

OVER_BOTH(the_request_is_what_ari_expects)
{
    conversation_open(talk);
    cr_expect_eq(ws_send_text(talk->ws, "early", 5), ARIZMQ_ECLOSED);
    cr_expect_eq(ws_ping(talk->ws), ARIZMQ_ECLOSED);
    TALK_UNTIL(talk, peer_has_head(&talk->peer));
    char *head = peer_take_head(&talk->peer);
    static const char first[] = "GET /ari/events?app=ivr HTTP/1.1\r\n";
    cr_expect_eq(strncmp(head, first, sizeof first - 1), 0, "%s", head);
    expect_header(head, "Authorization", "Basic bGFiOnNlY3JldA==");
    expect_header(head, "Sec-WebSocket-Version", "13");
    expect_header(head, "Upgrade", "websocket");
    expect_header(head, "Connection", "Upgrade");
    char *extensions = peer_header(head, "Sec-WebSocket-Extensions");
    cr_expect_null(extensions, "%s", extensions);
    char *host = peer_header(head, "Host");
    cr_expect_eq(strncmp(host, "localhost", 9), 0, "%s", host);
    char *key = peer_header(head, "Sec-WebSocket-Key");
    cr_expect_eq(strlen(key), 24, "%s", key);
    cr_expect_eq(talk->record.opened, 0);
    peer_accept_websocket(&talk->peer, head);
    TALK_UNTIL(talk, talk->record.opened == 1);
    /* Another connection has another key. */
    ws_abandon(&talk->ws);
    TALK_UNTIL(talk, talk->peer.is_eof);
    peer_close(&talk->peer);
    talk->peer.in.length = 0;
    conversation_open(talk);
    TALK_UNTIL(talk, peer_has_head(&talk->peer));
    free(head);
    head = peer_take_head(&talk->peer);
    char *other_key = peer_header(head, "Sec-WebSocket-Key");
    cr_expect_str_neq(key, other_key);
    ws_abandon(&talk->ws);
    free(other_key);
    free(key);
    free(host);
    free(head);
}

OVER_BOTH(events_in_the_same_segment_as_the_answer)
{
    conversation_open(talk);
    TALK_UNTIL(talk, peer_has_head(&talk->peer));
    char *head = peer_take_head(&talk->peer);
    peer_accept_websocket(&talk->peer, head);
    free(head);
    frame_append_text(&talk->peer.out, FRAME_FINAL | WS_TEXT, "at once");
    frame_append_text(&talk->peer.out, FRAME_FINAL | WS_TEXT, "and more");
    TALK_UNTIL(talk, talk->record.messages == 2);
    cr_expect_eq(talk->record.opened, 1);
    cr_expect_str_eq(talk->record.text[0], "at once");
    cr_expect_str_eq(talk->record.text[1], "and more");
    ws_abandon(&talk->ws);
}

OVER_BOTH(the_answer_arrives_byte_by_byte)
{
    conversation_open(talk);
    TALK_UNTIL(talk, peer_has_head(&talk->peer));
    char *head = peer_take_head(&talk->peer);
    peer_accept_websocket(&talk->peer, head);
    free(head);
    frame_append_text(&talk->peer.out, FRAME_FINAL | WS_TEXT, "hello");
    struct bytes all = talk->peer.out;
    talk->peer.out = (struct bytes){0};
    for (size_t i = 0; i < all.length; i++) {
        peer_send(&talk->peer, all.data + i, 1);
        peer_turn(&talk->peer);
        loop_turn(&talk->loop);
    }
    bytes_free(&all);
    TALK_UNTIL(talk, talk->record.messages == 1);
    cr_expect_str_eq(talk->record.text[0], "hello");
    ws_abandon(&talk->ws);
}

OVER_BOTH(connection_refused)
{
    peer_stop_listening(&talk->peer);
    talk->files--;
    conversation_open(talk);
    conversation_end(talk, WS_END_UNREACHABLE, 0);
    cr_expect_gt(strlen(talk->record.how.detail), 0);
}

/* connect(2) fails at once, within ws_open(). */
OVER_BOTH(no_route)
{
    talk->target.address = "255.255.255.255";
    conversation_open(talk);
    cr_expect_eq(talk->record.ended, 0);
    TALK_UNTIL(talk, talk->record.ended > 0);
    cr_expect_eq(talk->record.ended, 1);
    cr_expect_eq(talk->record.how.end, WS_END_UNREACHABLE);
    cr_expect_gt(strlen(talk->record.how.detail), 0);
}

OVER_BOTH(no_route_and_abandoned)
{
    talk->target.address = "255.255.255.255";
    conversation_open(talk);
    ws_abandon(&talk->ws);
    for (unsigned i = 0; i < 20; i++) {
        loop_turn(&talk->loop);
    }
    cr_expect_eq(talk->record.ended, 0);
}

OVER_BOTH(no_file_descriptor_left)
{
    struct rlimit before;
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    int next = dup(STDERR_FILENO); /* the next one that would be given out */
    close(next);
    struct rlimit limit = {.rlim_cur = (rlim_t)next, .rlim_max = before.rlim_max};
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    conversation_open(talk);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    TALK_UNTIL(talk, talk->record.ended > 0);
    cr_expect_eq(talk->record.ended, 1);
    cr_expect_eq(talk->record.how.end, WS_END_UNREACHABLE, "%s", talk->record.how.detail);
}

/* Asterisk does so beyond sessionlimit. */
OVER_BOTH(closed_without_an_answer)
{
    conversation_open(talk);
    await_request(talk);
    peer_close(&talk->peer);
    TALK_UNTIL(talk, talk->record.ended > 0);
    cr_expect_eq(talk->record.how.end, WS_END_UNREACHABLE);
    cr_expect_eq(talk->record.opened, 0);
}

Test(ws_open, closed_without_an_answer_is_said)
{
    struct conversation talk;
    conversation_create(&talk, false);
    conversation_open(&talk);
    await_request(&talk);
    peer_close(&talk.peer);
    TALK_UNTIL(&talk, talk.record.ended > 0);
    cr_expect_str_eq(talk.record.how.detail, "the connection was closed without an answer");
    conversation_destroy(&talk);
}

struct refusal {
    const char *answer;
    int code;
    const char *detail; /* of the RAW transport; the WebSocket role knows the status only */
};

static const struct refusal refusals[] = {
    {"HTTP/1.1 401 Unauthorized\r\nContent-type: application/json\r\nContent-Length: 37\r\n\r\n"
     "{\"message\":\"Authentication required\"}",
     401, "401 Unauthorized: Authentication required"},
    {"HTTP/1.1 404 Not Found\r\nContent-type: text/html\r\nContent-Length: 20\r\n\r\n"
     "<html>Nothing</html>",
     404, "404 Not Found, as an HTML page: not ARI's own answer"},
    {"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", 400, "400 Bad Request"},
    {"HTTP/1.1 503 Service Unavailable\r\n\r\n", 503, "503 Service Unavailable"},
    {"HTTP/1.1 500 Oops\r\nContent-Length: 10\r\n\r\n{\"broken\":", 500, "500 Oops"},
};

OVER_BOTH(refused)
{
    for (unsigned i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        talk->record.ended = 0;
        conversation_open(talk);
        await_request(talk);
        peer_send_text(&talk->peer, refusals[i].answer);
        conversation_end(talk, WS_END_REFUSED, refusals[i].code);
        cr_expect_eq(talk->record.opened, 0);
        if (talk->use_tls) {
            cr_expect_not_null(strstr(talk->record.how.detail,
                                      (char[]){refusals[i].detail[0], refusals[i].detail[1],
                                               refusals[i].detail[2], '\0'}),
                               "%s", talk->record.how.detail);
        } else {
            cr_expect_str_eq(talk->record.how.detail, refusals[i].detail, "%s",
                             talk->record.how.detail);
        }
        peer_close(&talk->peer);
    }
}

Test(ws_open, a_refusal_that_comes_in_pieces)
{
    struct conversation talk;
    conversation_create(&talk, false);
    conversation_open(&talk);
    await_request(&talk);
    for (const char *at = refusals[0].answer; *at != '\0'; at++) {
        peer_send(&talk.peer, at, 1);
        peer_turn(&talk.peer);
        loop_turn(&talk.loop);
    }
    conversation_end(&talk, WS_END_REFUSED, 401);
    cr_expect_str_eq(talk.record.how.detail, refusals[0].detail);
    conversation_destroy(&talk);
}

Test(ws_open, a_refusal_that_is_cut_off)
{
    struct conversation talk;
    conversation_create(&talk, false);
    conversation_open(&talk);
    await_request(&talk);
    peer_send(&talk.peer, refusals[0].answer, strlen(refusals[0].answer) - 5);
    peer_turn(&talk.peer);
    for (unsigned i = 0; i < 5; i++) {
        loop_turn(&talk.loop);
    }
    cr_expect_eq(talk.record.ended, 0, "the rest of the body may come");
    peer_close(&talk.peer);
    TALK_UNTIL(&talk, talk.record.ended > 0);
    cr_expect_eq(talk.record.how.end, WS_END_REFUSED);
    cr_expect_eq(talk.record.how.code, 401);
    cr_expect_str_eq(talk.record.how.detail, "401 Unauthorized");
    conversation_destroy(&talk);
}

Test(ws_open, answers_that_are_no_http)
{
    static const char *const answers[] = {"Asterisk Call Manager/9.0.0\r\n", "SSH-2.0-x\r\n",
                                          "\x15\x03\x01\x00\x02\x02\x46"};
    struct conversation talk;
    conversation_create(&talk, false);
    for (unsigned i = 0; i < 3; i++) {
        talk.record.ended = 0;
        conversation_open(&talk);
        await_request(&talk);
        peer_send_text(&talk.peer, answers[i]);
        conversation_end(&talk, WS_END_PROTOCOL_ERROR, 0);
        cr_expect_str_eq(talk.record.how.detail, "the answer to the handshake is no HTTP");
        peer_close(&talk.peer);
    }
    conversation_destroy(&talk);
}

Test(ws_open, a_head_without_an_end)
{
    struct conversation talk;
    conversation_create(&talk, false);
    conversation_open(&talk);
    await_request(&talk);
    peer_send_text(&talk.peer, "HTTP/1.1 101 Switching Protocols\r\n");
    for (unsigned i = 0; i < 1000; i++) {
        peer_send_text(&talk.peer, "X-Header: and one more\r\n");
    }
    TALK_UNTIL(&talk, talk.record.ended > 0);
    cr_expect_eq(talk.record.how.end, WS_END_PROTOCOL_ERROR);
    conversation_destroy(&talk);
}

OVER_BOTH(an_accept_of_another_key)
{
    conversation_open(talk);
    await_request(talk);
    peer_accept_websocket(&talk->peer, "\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    TALK_UNTIL(talk, talk->record.ended > 0);
    cr_expect_eq(talk->record.opened, 0);
    cr_expect_eq(talk->record.ended, 1);
    cr_expect_neq(talk->record.how.end, WS_END_LOST);
}

/* --- abandoned on the way */

OVER_BOTH(abandoned_at_once)
{
    conversation_open(talk);
    ws_abandon(&talk->ws);
    cr_expect_null(talk->ws);
    for (unsigned i = 0; i < 20; i++) {
        peer_turn(&talk->peer);
        loop_turn(&talk->loop);
    }
    cr_expect_eq(talk->record.ended, 0);
}

OVER_BOTH(abandoned_while_connecting)
{
    for (unsigned turns = 0; turns < 12; turns++) {
        conversation_open(talk);
        for (unsigned i = 0; i < turns; i++) {
            loop_turn(&talk->loop);
            if (i % 2 == 1) {
                peer_turn(&talk->peer);
            }
        }
        ws_abandon(&talk->ws);
        for (unsigned i = 0; i < 5; i++) {
            loop_turn(&talk->loop);
            peer_turn(&talk->peer);
        }
        peer_close(&talk->peer);
        talk->peer.in.length = 0;
    }
    cr_expect_eq(talk->record.ended, 0);
    cr_expect_eq(talk->record.opened, 0);
}

OVER_BOTH(abandoned_before_the_answer)
{
    conversation_open(talk);
    await_request(talk);
    ws_abandon(&talk->ws);
    peer_send_text(&talk->peer, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
    TALK_UNTIL(talk, talk->peer.is_eof);
    cr_expect_eq(talk->record.ended, 0);
}

OVER_BOTH(abandoned_within_the_answer)
{
    conversation_open(talk);
    await_request(talk);
    peer_send_text(&talk->peer, "HTTP/1.1 101 Switching Pro");
    peer_turn(&talk->peer);
    loop_turn(&talk->loop);
    loop_turn(&talk->loop);
    ws_abandon(&talk->ws);
    TALK_UNTIL(talk, talk->peer.is_eof);
    cr_expect_eq(talk->record.ended, 0);
}

static void abandon_on_wake(void *owner)
{
    struct conversation *talk = owner;
    ws_abandon(&talk->ws);
}

/* Abandons it from another callback, in a turn of the loop that has something for it, too. */
static void abandon_in_the_same_turn(struct conversation *talk)
{
    talk->loop.wake = abandon_on_wake;
    talk->loop.owner = talk;
    lws_cancel_service(talk->loop.context);
    TALK_UNTIL(talk, talk->ws == NULL && (talk->peer.is_eof || talk->peer.fd < 0));
    talk->loop.wake = NULL;
    cr_expect_eq(talk->record.ended, 0);
    cr_expect_eq(talk->record.opened, 0);
}

OVER_BOTH(abandoned_in_the_turn_that_connects)
{
    conversation_open(talk);
    while (talk->peer.fd < 0) { /* connected as far as the kernel is concerned */
        peer_turn(&talk->peer);
    }
    abandon_in_the_same_turn(talk);
    cr_expect_eq(talk->peer.in.length, 0, "a request was sent");
}

OVER_BOTH(abandoned_in_the_turn_that_opens)
{
    conversation_open(talk);
    TALK_UNTIL(talk, peer_has_head(&talk->peer));
    char *head = peer_take_head(&talk->peer);
    peer_accept_websocket(&talk->peer, head);
    free(head);
    frame_append_text(&talk->peer.out, FRAME_FINAL | WS_TEXT, "event");
    peer_turn(&talk->peer);
    abandon_in_the_same_turn(talk);
    cr_expect_eq(talk->record.messages, 0);
}

OVER_BOTH(closed_before_it_was_open)
{
    conversation_open(talk);
    await_request(talk);
    ws_close(talk->ws, WS_CODE_NORMAL);
    TALK_UNTIL(talk, talk->record.ended > 0);
    cr_expect_eq(talk->record.ended, 1);
    cr_expect_eq(talk->record.how.end, WS_END_UNREACHABLE);
    TALK_UNTIL(talk, talk->peer.is_eof);
}

/* The context goes with a connection under way: the owner is told, or has abandoned it. */
OVER_BOTH(many_abandoned_and_the_context_destroyed_at_once)
{
    struct ws *ws[10];
    for (unsigned i = 0; i < 10; i++) {
        conversation_open(talk);
        ws[i] = talk->ws;
        if (i == 5) {
            loop_turn(&talk->loop);
        }
    }
    for (unsigned i = 0; i < 10; i++) {
        ws_abandon(&ws[i]);
    }
    cr_expect_eq(talk->record.ended, 0);
}
