/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Fault 08: frames that Asterisk is not known to send. What RFC 6455 allows arrives byte for byte;
 * what it does not is answered with the right close code, told, and followed by a reconnect.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "fault.h"

TestSuite(fault_08, .timeout = 300);

/* Two, three and four bytes for a character; every split falls into one somewhere. */
static const char event[] = "{\"type\":\"ChannelUserevent\",\"application\":\"ivr\",\"userevent\":{"
                            "\"a\":\"J\xc3\xbcrg \xe2\x82\xac\xe2\x80\xa8 \xf0\x9f\x93\x9e\"}}";

static struct fault *begin(void)
{
    struct fault_options options = {.nodes = {{.name = "pbx1", .liveness_ms = 30000}}};
    struct fault *fault = fault_start(&options);
    fault_open(fault, fault_peer(fault, 0));
    return fault;
}

Test(fault_08, fragments_at_every_split)
{
    struct fault *fault = begin();
    struct fault_peer *peer = fault_peer(fault, 0);
    size_t length = sizeof event - 1;
    for (size_t at = 0; at <= length; at++) {
        fake_do(peer->asterisk, "fragment %zu %s", at, event);
        fault_expect(fault, peer, event, length);
    }
    for (size_t at = 1; at < length; at += 7) {
        fake_do(peer->asterisk, "fragment-with-ping %zu %s", at, event);
        peer->pings++;
        fault_expect(fault, peer, event, length);
    }
    fake_do(peer->asterisk, "fragment-every %s", event);
    fault_expect(fault, peer, event, length);
    fault_pass(fault, peer);
    cr_assert_geq(fault_metric(fault, METRIC_FRAGMENTS), 2 * length);
    for (unsigned i = 0; i < peer->pings; i++) {
        cr_assert_eq(fake_number(fault_await(fault, peer, "frame"), "opcode"), 10);
    }
    fault_expect_metric(fault, METRIC_DISCONNECTS, 0);
    fault_stop(&fault);
}

/* Frames that are legal and odd: empty, with pongs nobody asked for, an empty continuation, a
 * binary frame, a header in pieces. */
Test(fault_08, odd_and_legal)
{
    struct fault *fault = begin();
    struct fault_peer *peer = fault_peer(fault, 0);
    fake_do(peer->asterisk, "send-hex 81 00"); /* no JSON: published as it is */
    fault_expect(fault, peer, "", 0);
    fake_do(peer->asterisk, "send-hex 82 02 7b 7d");
    fault_expect(fault, peer, "{}", 2);
    fake_do(peer->asterisk, "send-hex 8a 00 8a 02 61 62 01 01 7b 8a 00 00 00 80 01 7d");
    fault_expect(fault, peer, "{}", 2);
    fake_do(peer->asterisk, "send-hex 81");
    fake_do(peer->asterisk, "send-hex 7e");
    fake_do(peer->asterisk, "send-hex 00");
    fake_do(peer->asterisk, "send-hex 80");
    char text[129];
    memset(text, ' ', sizeof text);
    fake_do(peer->asterisk, "pour 128  ");
    fault_expect(fault, peer, text, 128);
    fault_expect_metric(fault, METRIC_EVENTS_UNPARSED, 4);
    fault_pass(fault, peer);
    fault_expect_metric(fault, METRIC_DISCONNECTS, 0);
    fault_stop(&fault);
}

static void expect_close(struct fault *fault, struct fault_peer *peer, int code)
{
    char closed[64];
    snprintf(closed, sizeof closed, "closed id=");
    const char *line = fault_await(fault, peer, closed);
    cr_assert_eq(fake_number(line, "code"), code, "%s", line);
}

static void run_not_utf8(const char *frames, size_t size)
{
    struct fault *fault = begin();
    struct fault_peer *peer = fault_peer(fault, 0);
    fault_pass(fault, peer);
    fake_do(peer->asterisk, "send-hex %s", frames);
    json_t *own = fault_expect_own(fault, peer, "ArizmqRefused", "limit", "utf8");
    cr_assert(json_is_null(json_object_get(own, "allowed")));
    cr_assert_eq(json_integer_value(json_object_get(own, "size")), (json_int_t)size);
    fault_expect_own(fault, peer, "ArizmqNodeDisconnected", "reason", "invalid_utf8");
    expect_close(fault, peer, 1007);
    fault_expect_log(fault, "event_refused", "bytes was discarded: utf8");
    fault_expect_log(fault, "node_disconnected",
                     "pbx1/ivr: invalid_utf8: a text message is not UTF-8");
    fault_expect_reconnect(fault, peer, "reconnect");
    fault_pass(fault, peer);
    fault_pass_healthy(fault);
    fault_expect_metric(fault, METRIC_EVENTS_REFUSED_UTF8, 1);
    fault_expect_metric(fault, METRIC_PROTOCOL_ERRORS, 0);
    fault_stop(&fault);
}

Test(fault_08, not_utf8)
{
    run_not_utf8("81 04 7b c3 28 7d", 4);
}

Test(fault_08, not_utf8_in_fragments)
{
    run_not_utf8("01 02 7b c3 80 02 28 7d", 4);
}

Test(fault_08, a_character_without_its_end)
{
    run_not_utf8("81 03 7b e2 82", 3);
}

/* Binary frames carry no text by definition. */
Test(fault_08, binary_need_not_be_utf8)
{
    struct fault *fault = begin();
    struct fault_peer *peer = fault_peer(fault, 0);
    fake_do(peer->asterisk, "send-hex 82 04 7b c3 28 7d");
    fault_expect(fault, peer, "{\xc3(}", 4);
    fault_pass(fault, peer);
    fault_expect_metric(fault, METRIC_DISCONNECTS, 0);
    fault_stop(&fault);
}

Test(fault_08, protocol_errors)
{
    static const struct {
        const char *frames;
        const char *detail;
    } errors[] = {
        {"81 82 00 00 00 00 7b 7d", "a server's frame is masked"},
        {"c1 02 7b 7d", "reserved bits are set, but no extension was agreed on"},
        {"a1 02 7b 7d", "reserved bits are set, but no extension was agreed on"},
        {"91 02 7b 7d", "reserved bits are set, but no extension was agreed on"},
        {"83 00", "an opcode that RFC 6455 does not define"},
        {"87 00", "an opcode that RFC 6455 does not define"},
        {"8b 00", "an opcode that RFC 6455 does not define"},
        {"8f 00", "an opcode that RFC 6455 does not define"},
        {"09 00", "a control frame is fragmented"},
        {"08 02 03 e8", "a control frame is fragmented"},
        {"89 7e 00 7e", "a control frame is longer than 125 bytes"},
        {"80 02 7b 7d", "a continuation frame without a message to continue"},
        {"01 01 7b 81 02 7b 7d", "a new message before the last one's final frame"},
        {"81 7e 00 02 7b 7d", "a frame's length is not written in its shortest form"},
        {"81 7f 00 00 00 00 00 00 00 02 7b 7d",
         "a frame's length is not written in its shortest form"},
        {"81 7f 80 00 00 00 00 00 00 00", "a frame's length is not written in its shortest form"},
    };
    struct fault *fault = begin();
    struct fault_peer *peer = fault_peer(fault, 0);
    size_t count = sizeof errors / sizeof *errors;
    for (size_t i = 0; i < count; i++) {
        fault_pass(fault, peer);
        /* What stands before the error in the same write is delivered. */
        fake_do(peer->asterisk, "send-hex 81 02 7b 7d %s 81 02 7b 7d", errors[i].frames);
        fault_expect(fault, peer, "{}", 2);
        json_t *own =
            fault_expect_own(fault, peer, "ArizmqNodeDisconnected", "reason", "protocol_error");
        cr_assert_str_eq(json_string_value(json_object_get(own, "detail")), errors[i].detail);
        expect_close(fault, peer, 1002);
        fault_expect_log(fault, "node_disconnected", errors[i].detail);
        fault_expect_reconnect(fault, peer, "reconnect");
        fault_await(fault, peer, "connected");
    }
    fault_pass(fault, peer);
    fault_pass_healthy(fault);
    fault_expect_metric(fault, METRIC_PROTOCOL_ERRORS, count);
    fault_expect_metric(fault, METRIC_DISCONNECTS, count);
    fault_stop(&fault);
}
