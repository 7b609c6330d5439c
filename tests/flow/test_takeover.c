/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A bridge takes over from another one, under numbered events: each comes once, in the stream of
 * the one or of the other. And what becomes of a takeover that fails.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "arizmq/error.h"
#include "flow/takeover_stage.h"

TestSuite(takeover, .timeout = 900);

static struct relay relay;

/* Events a second at each of two Asterisks. What is sanitized must not fall behind by the time that
 * a takeover may take. */
#ifdef SANITIZED
enum { RATE = 300, LESS = 200, TAKEOVERS = 4 };
#else
enum { RATE = 5000, LESS = 2000, TAKEOVERS = 8 };
#endif

static struct relay_bridge *begin(void)
{
    relay_create(&relay);
    struct relay_bridge *first = relay_start(&relay, NULL, NULL);
    relay_listen(&relay, RELAY_APPS);
    return first;
}

/* So many more events come. */
static void pass(uint64_t events)
{
    uint64_t before = relay.numbers;
    RELAY_UNTIL(&relay, relay.numbers >= before + events);
}

/* Every event that Asterisk sent has come, once. */
static void expect_all(void)
{
    uint64_t dropped = 0;
    uint64_t sent = relay_end_flood(&relay, &dropped);
    if (dropped != 0) {
        relay_show(&relay);
        cr_assert_fail("nobody was there for %llu events", (unsigned long long)dropped);
    }
    RELAY_UNTIL(&relay, relay.numbers == sent);
    cr_assert_eq(relay.doubled, 0);
}

static void expect_successor(const struct relay_bridge *old, const struct relay_bridge *new)
{
    const json_t *successor = json_object_get(old->stopping, "successor");
    cr_assert_eq((uint64_t)json_integer_value(json_object_get(successor, "epoch")), new->epoch);
    const json_t *view = json_array_get(json_object_get(successor, "views"), 0);
    cr_assert_str_eq(json_string_value(json_object_get(view, "endpoint")),
                     new->daemon->events_endpoint);
    cr_assert_str_eq(
        json_string_value(json_object_get(json_object_get(successor, "gateway"), "endpoint")),
        new->daemon->gateway_endpoint);
    cr_assert_eq((uint64_t)json_integer_value(json_object_get(old->stopping, "seq")) + 1,
                 old->last_seq);
}

Test(takeover, many_times_under_events)
{
    struct relay_bridge *old = begin();
    relay_flood(&relay, RATE);
    for (unsigned i = 0; i < TAKEOVERS; i++) {
        struct relay_bridge *new = relay_start(&relay, old->daemon->gateway_endpoint, NULL);
        cr_assert_eq(relay_await_end(&relay, old), 0);
        expect_successor(old, new);
        cr_assert_eq(old->disconnected, 0);
        cr_assert_eq(old->gaps, 0);
        RELAY_UNTIL(&relay, new->handed_over == RELAY_APPS);
        cr_assert_eq(new->connected, 0);
        pass(1000);
        old = new;
    }
    expect_all();
    cr_assert_eq(old->disconnected, 0);
    cr_assert_eq(old->gaps, 0);
    for (unsigned i = 0; i < RELAY_NODES; i++) {
        fake_do(relay.asterisk[i], "stats");
        cr_assert_eq(fake_count_events(relay.asterisk[i], "rest DELETE"), 0);
    }
    relay_destroy(&relay);
}

/* The old one goes on, and the subscriber to both has missed nothing: what the new one had was in
 * its stream. */
static void expect_taken_back(struct relay_bridge *old, unsigned taken)
{
    RELAY_UNTIL(&relay, old->gaps == taken);
    cr_assert_eq(old->disconnected, taken);
    cr_assert_str_eq(old->reason, "replaced");
    cr_assert_eq(old->connected, RELAY_APPS + taken);
    cr_assert_null(old->stopping);
    pass(1000);
}

/* And another one may take over after that. */
static void expect_another(struct relay_bridge *old)
{
    struct relay_bridge *next = relay_start(&relay, old->daemon->gateway_endpoint, NULL);
    cr_assert_eq(relay_await_end(&relay, old), 0);
    expect_successor(old, next);
    pass(1000);
}

Test(takeover, wrong_password_for_one_node)
{
    struct relay_bridge *old = begin();
    relay_flood(&relay, LESS);
    struct relay_options options = {.password = {NULL, "wrong"}};
    struct relay_bridge *new = relay_start(&relay, old->daemon->gateway_endpoint, &options);
    cr_assert_eq(relay_await_end(&relay, new), 1);
    cr_assert_not_null(daemon_await_log(new->daemon, "takeover_failed", "pbx2/vip was not taken",
                                        RELAY_TIMEOUT_MS));
    cr_assert_not_null(daemon_await_log(old->daemon, "takeover_failed", "pbx2/vip was not taken",
                                        RELAY_TIMEOUT_MS));
    expect_taken_back(old, 2);
    expect_another(old);
    expect_all();
    relay_destroy(&relay);
}

/* The new one dies with half of the applications. */
Test(takeover, killed_half_way)
{
    struct relay_bridge *old = begin();
    relay_flood(&relay, LESS);
    fake_do(relay.proxy[1], "stall");
    struct relay_options options = {.uses_proxy = {false, true}};
    struct relay_bridge *new = relay_start(&relay, old->daemon->gateway_endpoint, &options);
    RELAY_UNTIL(&relay, new->handed_over == 2);
    pass(1000);
    process_signal(new->daemon->process, SIGKILL);
    cr_assert_eq(relay_await_end(&relay, new), 128 + SIGKILL);
    cr_assert_not_null(
        daemon_await_log(old->daemon, "takeover_failed", "nothing was heard", RELAY_TIMEOUT_MS));
    expect_taken_back(old, 2);
    relay_end_flood(&relay, NULL);
    cr_assert_eq(relay.doubled, 0);
    relay_destroy(&relay);
}

/* SIGTERM to the new one gives all back at once. */
Test(takeover, given_up_half_way)
{
    struct relay_bridge *old = begin();
    relay_flood(&relay, LESS);
    fake_do(relay.proxy[1], "refuse");
    struct relay_options options = {.uses_proxy = {false, true}};
    struct relay_bridge *new = relay_start(&relay, old->daemon->gateway_endpoint, &options);
    RELAY_UNTIL(&relay, new->handed_over == 2);
    process_signal(new->daemon->process, SIGTERM);
    cr_assert_eq(relay_await_end(&relay, new), 1);
    cr_assert_not_null(
        daemon_await_log(old->daemon, "takeover_failed", "it has given up", RELAY_TIMEOUT_MS));
    expect_taken_back(old, 2);
    expect_all();
    relay_destroy(&relay);
}

/* The old one is behind with reading: it hears that the new one has given up before it reads that
 * the new one had taken something. */
Test(takeover, given_up_before_it_was_noticed)
{
    relay_create(&relay);
    struct relay_options behind = {.uses_proxy = {true, false}};
    struct relay_bridge *old = relay_start(&relay, NULL, &behind);
    relay_listen(&relay, RELAY_APPS);
    relay_flood(&relay, 1000);
    pass(100);
    fake_do(relay.proxy[0], "stall down");
    fake_do(relay.proxy[1], "refuse");
    struct relay_options options = {.uses_proxy = {false, true}};
    struct relay_bridge *new = relay_start(&relay, old->daemon->gateway_endpoint, &options);
    RELAY_UNTIL(&relay, new->handed_over == 2);
    process_signal(new->daemon->process, SIGTERM);
    cr_assert_not_null(
        daemon_await_log(old->daemon, "takeover_failed", "it has given up", RELAY_TIMEOUT_MS));
    fake_do(relay.proxy[0], "clear");
    cr_assert_eq(relay_await_end(&relay, new), 1);
    expect_taken_back(old, 2);
    cr_assert_eq(daemon_count_log(old->daemon, "standby"), 0);
    expect_all();
    relay_destroy(&relay);
}

/* The old one dies with half of the applications still its own: the new one goes on alone, and says
 * what may be missing. */
Test(takeover, old_one_killed_half_way)
{
    struct relay_bridge *old = begin();
    relay_flood(&relay, LESS);
    fake_do(relay.proxy[1], "refuse");
    struct relay_options options = {.uses_proxy = {false, true}};
    struct relay_bridge *new = relay_start(&relay, old->daemon->gateway_endpoint, &options);
    RELAY_UNTIL(&relay, new->handed_over == 2);
    process_signal(old->daemon->process, SIGKILL);
    cr_assert_eq(relay_await_end(&relay, old), 128 + SIGKILL);
    cr_assert_not_null(
        daemon_await_log(new->daemon, "takeover_alone", "has fallen silent", RELAY_TIMEOUT_MS));
    fake_do(relay.proxy[1], "clear");
    RELAY_UNTIL(&relay, new->gaps == RELAY_APPS);
    cr_assert_eq(new->disconnected, 0);
    pass(1000);
    relay_end_flood(&relay, NULL);
    cr_assert_eq(relay.doubled, 0);
    relay_destroy(&relay);
}

/* An Asterisk is away: it is nothing to wait for, and the new one tells what the old one would
 * have. */
Test(takeover, a_node_is_down)
{
    struct relay_bridge *old = begin();
    relay_flood(&relay, LESS);
    pass(1000);
    fake_do(relay.asterisk[1], "stop-listening");
    fake_do(relay.asterisk[1], "drop-all");
    RELAY_UNTIL(&relay, old->disconnected == 1);
    struct relay_bridge *new = relay_start(&relay, old->daemon->gateway_endpoint, NULL);
    cr_assert_eq(relay_await_end(&relay, old), 0);
    RELAY_UNTIL(&relay, new->handed_over == 2);
    cr_assert_eq(new->gaps, 0);
    cr_assert_eq(old->gaps, 0);
    fake_do(relay.asterisk[1], "listen");
    RELAY_UNTIL(&relay, new->gaps == 1);
    cr_assert_eq(new->connected, 1);
    cr_assert_str_eq(json_string_value(json_object_get(new->gap, "node")), "pbx2");
    /* It began before the old one ended. */
    cr_assert_lt(strcmp(json_string_value(json_object_get(new->gap, "from")),
                        json_string_value(json_object_get(old->stopping, "timestamp"))),
                 0);
    pass(1000);
    relay_end_flood(&relay, NULL);
    cr_assert_eq(relay.doubled, 0);
    relay_destroy(&relay);
}

/* What the new one does not have in its configuration ends with the old one. */
Test(takeover, an_application_less)
{
    struct relay_bridge *old = begin();
    struct relay_options options = {.lacks_queue = true};
    struct relay_bridge *new = relay_start(&relay, old->daemon->gateway_endpoint, &options);
    cr_assert_eq(relay_await_end(&relay, old), 0);
    RELAY_UNTIL(&relay, new->handed_over == 2);
    cr_assert_eq(old->disconnected, 1);
    cr_assert_str_eq(old->reason, "stopping");
    cr_assert_not_null(
        daemon_await_log(new->daemon, "takeover", "pbx1/queue is not in", RELAY_TIMEOUT_MS));
    relay_destroy(&relay);
}

/* Two bridges, each with a node, become one. */
Test(takeover, two_become_one)
{
    relay_create(&relay);
    struct relay_options one = {.lacks_node = {false, true}};
    struct relay_options two = {.lacks_node = {true, false}};
    struct relay_bridge *first = relay_start(&relay, NULL, &one);
    struct relay_bridge *second = relay_start(&relay, NULL, &two);
    relay_listen(&relay, RELAY_APPS);
    relay_flood(&relay, LESS);
    char both[256];
    snprintf(both, sizeof both, "%s,%s", first->daemon->gateway_endpoint,
             second->daemon->gateway_endpoint);
    struct relay_bridge *new = relay_start(&relay, both, NULL);
    cr_assert_eq(relay_await_end(&relay, first), 0);
    cr_assert_eq(relay_await_end(&relay, second), 0);
    RELAY_UNTIL(&relay, new->handed_over == RELAY_APPS);
    pass(1000);
    expect_all();
    relay_destroy(&relay);
}

/* --- nothing is taken */

static void expect_untouched(struct relay_bridge *old)
{
    relay_turn(&relay);
    cr_assert_eq(old->connected, RELAY_APPS);
    cr_assert_eq(old->disconnected, 0);
    cr_assert_eq(process_wait(old->daemon->process, 0), ARIZMQ_ENOTFOUND);
}

Test(takeover, nobody_answers)
{
    relay_create(&relay);
    char log[512];
    cr_assert_eq(relay_start_in_vain(&relay, "ipc:///tmp/arizmq-nobody", NULL, log), 1);
    cr_assert_not_null(strstr(log, "no bridge answers at ipc:///tmp/arizmq-nobody"), "%s", log);
    cr_assert_eq(relay_start_in_vain(&relay, "nonsense", NULL, log), 1);
    cr_assert_not_null(strstr(log, "\"nonsense\" is no endpoint"), "%s", log);
    relay_destroy(&relay);
}

Test(takeover, same_endpoints)
{
    struct relay_bridge *old = begin();
    char log[512];
    struct relay_options options = {.directory = old->daemon->directory};
    cr_assert_eq(relay_start_in_vain(&relay, old->daemon->gateway_endpoint, &options, log), 1);
    cr_assert_not_null(strstr(log, "belongs to the running bridge"), "%s", log);
    cr_assert_not_null(strstr(log, "needs endpoints of its own"), "%s", log);
    expect_untouched(old);
    relay_flood(&relay, 1000);
    pass(100);
    expect_all();
    relay_destroy(&relay);
}

Test(takeover, not_allowed)
{
    relay_create(&relay);
    struct relay_options options = {.gateway = "takeover: false,"};
    struct relay_bridge *old = relay_start(&relay, NULL, &options);
    relay_listen(&relay, RELAY_APPS);
    struct relay_bridge *new = relay_start(&relay, old->daemon->gateway_endpoint, NULL);
    cr_assert_eq(relay_await_end(&relay, new), 1);
    cr_assert_not_null(daemon_await_log(new->daemon, "takeover_failed", "gateway.takeover: false",
                                        RELAY_TIMEOUT_MS));
    cr_assert_eq(new->handed_over + new->connected, 0);
    expect_untouched(old);
    relay_destroy(&relay);
}

/* While one is taking over, another may not. */
Test(takeover, one_at_a_time)
{
    struct relay_bridge *old = begin();
    relay_flood(&relay, 1000);
    fake_do(relay.proxy[1], "refuse");
    struct relay_options options = {.uses_proxy = {false, true}};
    struct relay_bridge *first = relay_start(&relay, old->daemon->gateway_endpoint, &options);
    struct relay_bridge *second = relay_start(&relay, old->daemon->gateway_endpoint, NULL);
    RELAY_UNTIL(&relay, first->handed_over == 2);
    cr_assert_eq(relay_await_end(&relay, second), 1);
    cr_assert_not_null(
        daemon_await_log(second->daemon, "takeover_failed", "is taking over", RELAY_TIMEOUT_MS));
    cr_assert_eq(second->handed_over + second->connected, 0);
    fake_do(relay.proxy[1], "clear");
    cr_assert_eq(relay_await_end(&relay, old), 0);
    expect_successor(old, first);
    pass(500);
    expect_all();
    relay_destroy(&relay);
}
