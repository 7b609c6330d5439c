/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Fault 07: events larger than limits.max_event_bytes. They are discarded and told, on the same
 * connection, in memory that does not grow with them.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fault.h"

TestSuite(fault_07, .timeout = 300);

enum { LIMIT = 1 << 20, MIB = 1 << 20 };

static struct fault *begin(void)
{
    struct fault_options options = {.nodes = {{.name = "pbx1", .liveness_ms = 30000}},
                                    .extra = "limits: {max_event_bytes: 1048576}\n"};
    struct fault *fault = fault_start(&options);
    fault_open(fault, fault_peer(fault, 0));
    return fault;
}

static void expect_refused(struct fault *fault, struct fault_peer *peer, long long size)
{
    json_t *own = fault_expect_own(fault, peer, "ArizmqRefused", "limit", "max_event_bytes");
    cr_assert_str_eq(json_string_value(json_object_get(own, "application")), "ivr");
    cr_assert_eq(json_integer_value(json_object_get(own, "allowed")), LIMIT);
    cr_assert_eq(json_integer_value(json_object_get(own, "size")), size);
    char log[128];
    snprintf(log, sizeof log, "pbx1/ivr: an event of %lld bytes was discarded: max_event_bytes",
             size);
    fault_expect_log(fault, "event_refused", log);
}

/* Nothing of this was a reason to end the connection. */
static void finish(struct fault *fault, uint64_t refused)
{
    struct fault_peer *peer = fault_peer(fault, 0);
    fault_pass(fault, peer);
    fault_pass_healthy(fault);
    fault_expect_metric(fault, METRIC_EVENTS_REFUSED_SIZE, refused);
    fault_expect_metric(fault, METRIC_DISCONNECTS, 0);
    cr_assert_eq(fault_count(peer, "connected"), 1);
    cr_assert_eq(fault_count(peer, "closed"), 0);
    fault_stop(&fault);
}

static void expect_big(struct fault *fault, struct fault_peer *peer, size_t size)
{
    const struct subscriber_message *message = fault_next(fault, peer);
    cr_assert_eq(message->event_length, size, "%zu bytes", message->event_length);
    json_t *json = json_loadb(message->event, message->event_length, 0, NULL);
    cr_assert_not_null(json, "it is no JSON any more");
    json_decref(json);
}

Test(fault_07, exactly_the_limit)
{
    struct fault *fault = begin();
    struct fault_peer *peer = fault_peer(fault, 0);
    for (int i = 0; i < 3; i++) {
        fake_do(peer->asterisk, "big %d", LIMIT);
        expect_big(fault, peer, LIMIT);
        fake_do(peer->asterisk, "big %d", LIMIT + 1);
        expect_refused(fault, peer, LIMIT + 1);
        fake_do(peer->asterisk, "big %d", LIMIT - 1);
        expect_big(fault, peer, LIMIT - 1);
    }
    finish(fault, 3);
}

Test(fault_07, ten_megabytes)
{
    struct fault *fault = begin();
    struct fault_peer *peer = fault_peer(fault, 0);
    fault_pass(fault, peer);
    fake_do(peer->asterisk, "big 10000000");
    expect_refused(fault, peer, 10000000);
    finish(fault, 1);
}

/* In fragments the size is not known before the end; small events follow at once. */
Test(fault_07, fragmented)
{
    struct fault *fault = begin();
    struct fault_peer *peer = fault_peer(fault, 0);
    char path[] = "/tmp/arizmq-big-XXXXXX";
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    FILE *file = fdopen(fd, "w");
    fputs("{\"type\":\"Big\",\"pad\":\"", file);
    for (int i = 0; i < 2 * MIB; i++) {
        putc('x', file);
    }
    fputs("\"}", file);
    long size = ftell(file);
    fclose(file);
    static const char *const splits[] = {"1", "1048575", "1048576", "1048577", "2000000"};
    for (size_t i = 0; i < sizeof splits / sizeof *splits; i++) {
        fake_do(peer->asterisk, "fragment %s @%s", splits[i], path);
        expect_refused(fault, peer, size);
        fault_pass(fault, peer);
    }
    fake_do(peer->asterisk, "fragment-with-ping 1500000 @%s", path);
    peer->pings++;
    expect_refused(fault, peer, size);
    remove(path);
    finish(fault, sizeof splits / sizeof *splits + 1);
}

/* 200 MB in one frame, piece by piece. */
Test(fault_07, memory_is_bounded)
{
    enum { PIECES = 200 };
    struct fault *fault = begin();
    struct fault_peer *peer = fault_peer(fault, 0);
    fault_pass(fault, peer);
    fake_do(peer->asterisk, "big %d", LIMIT); /* a legal one has had its memory before */
    expect_big(fault, peer, LIMIT);
    uint64_t before = 0;
    cr_assert_eq(process_resident_bytes(fault->daemon->process, &before), 0);
    fake_do(peer->asterisk, "send-hex 81 7f %016x", PIECES * MIB);
    uint64_t most = 0;
    for (int i = 0; i < PIECES; i++) {
        fake_do(peer->asterisk, "pour %d", MIB);
        uint64_t now = 0;
        cr_assert_eq(process_resident_bytes(fault->daemon->process, &now), 0);
        most = now > most ? now : most;
    }
    expect_refused(fault, peer, (long long)PIECES * MIB);
    cr_assert_leq(most, before + (FAULT_IS_SANITIZED ? 64U : 8U) * MIB, "it grew by %llu bytes",
                  (unsigned long long)(most - before));
    finish(fault, 1);
}

/* A length that no memory has is announced and never sent: costs nothing, and the silence in the
 * middle of it ends the connection. */
Test(fault_07, an_announced_length_costs_nothing)
{
    struct fault_options options = {.nodes = {{.name = "pbx1"}}};
    struct fault *fault = fault_start(&options);
    struct fault_peer *peer = fault_peer(fault, 0);
    fault_open(fault, peer);
    fault_pass(fault, peer);
    uint64_t before = 0;
    uint64_t after = 0;
    process_resident_bytes(fault->daemon->process, &before);
    fake_do(peer->asterisk, "send-hex 81 7f 7fffffffffffffff 7b");
    fault_expect_own(fault, peer, "ArizmqNodeDisconnected", "reason", "frame_stalled");
    process_resident_bytes(fault->daemon->process, &after);
    cr_assert_leq(after, before + (FAULT_IS_SANITIZED ? 64U : 8U) * MIB);
    fault_expect_log(fault, "node_disconnected", "pbx1/ivr: frame_stalled: ");
    fault_expect_metric(fault, METRIC_FRAMES_STALLED, 1);
    fault_expect_reconnect(fault, peer, "reconnect");
    fault_pass(fault, peer);
    fault_stop(&fault);
}
