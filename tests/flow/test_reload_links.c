/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What a reload does to the connections of the nodes that it concerns: handed over, closed in good
 * order, left alone; and to the commands that are under way to them.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "flow/reload_stage.h"

TestSuite(reload_links, .timeout = 900);

static struct stage stage;

#define END FLOW_NODE_END "publish:\n" STAGE_EVENTS STAGE_REST

static size_t events_of_b(const char *prefix)
{
    fake_do(stage.fake[1], "stats"); /* events before its answer are all here then */
    return fake_count_events(stage.fake[1], prefix);
}

/* So many times more has what node b has been compared with its lists. */
static void await_reconciled(unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        cr_assert_not_null(daemon_await_log(stage.daemon, "reconciled", " b/", FLOW_TIMEOUT_MS));
    }
}

/* Node a, and node b at the second fake with the rest of its entry, in which so many apps stand. */
static void open_with_b(const char *b, unsigned apps)
{
    stage_open(&stage, 2);
    stage_start(&stage, STAGE_A STAGE_NODE "%s" END, stage.fake[0]->port, "b", stage.fake[1]->port,
                b);
    stage_await_up(&stage, "b");
    /* Its lists have been read for each application: no request but the test's own is under way. */
    await_reconciled(apps);
    cr_assert_eq(stage_ask(&stage, "GET", "asterisk/ping", "b", NULL), 200);
}

static void reload_with_b(const char *b)
{
    stage_reload(&stage, STAGE_A STAGE_NODE "%s" END, stage.fake[0]->port, "b", stage.fake[1]->port,
                 b);
}

static void reload_without_b(void)
{
    stage_reload(&stage, STAGE_A "publish:\n" STAGE_EVENTS STAGE_REST, stage.fake[0]->port);
}

static void expect_answer(const char *id, int status, const char *word)
{
    struct answer answer;
    asker_receive(stage.asker, id, &answer);
    cr_assert_eq(answer_number(&answer, "status_code"), status, "%s: %lld %s", id,
                 answer_number(&answer, "status_code"), answer_error(&answer));
    cr_assert_str_eq(answer_error(&answer), word);
    answer_clear(&answer);
}

/* --- credentials */

static void write_password(const char *word)
{
    char path[128];
    snprintf(path, sizeof path, "%s/password", stage.daemon->directory);
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    fprintf(file, "%s\n", word);
    cr_assert_eq(fclose(file), 0);
}

/* The node itself: only the content of its password_file is another. */
static void reload_password(const char *word)
{
    write_password(word);
    stage_expect_reload(&stage, "node a: password (hand-over)");
}

Test(reload_links, a_new_password_loses_nothing)
{
    stage_open(&stage, 1);
    char config[1024];
    snprintf(config, sizeof config,
             "nodes:\n" STAGE_NODE
             "password_file: DIR/password, apps: [ivr], subscribe_all: true" END,
             "a", stage.fake[0]->port);
    /* The directory is not there before the daemon is: it starts with another node. */
    stage_start(&stage, STAGE_A "publish:\n" STAGE_EVENTS STAGE_REST, stage.fake[0]->port);
    write_password("secret");
    stage_reload(&stage, "%s", config);
    stage_flood(&stage, 3000);
    for (unsigned i = 1; i <= 5; i++) {
        char word[16];
        snprintf(word, sizeof word, "word-%u", i);
        fake_do(stage.fake[0], "password %s", word);
        cr_assert_eq(stage_ask(&stage, "GET", "asterisk/ping", "a", NULL), 401);
        reload_password(word);
        STAGE_UNTIL(&stage, stage.handovers == i);
        cr_assert_eq(stage_ask(&stage, "GET", "asterisk/ping", "a", NULL), 200);
        uint64_t serial = stage.serial;
        STAGE_UNTIL(&stage, stage.serial > serial + 500);
    }
    stage_end_flood(&stage);
    cr_assert_eq(stage.gaps, 0);
    cr_assert_str_eq(stage.reason, "");
    stage_close(&stage);
}

/* The link works on with the old connection, and is handed over as soon as the password fits. */
Test(reload_links, a_wrong_password_leaves_the_connection)
{
    open_with_b("password: secret, apps: [x]", 1);
    reload_with_b("password: wrong, apps: [x]");
    cr_assert_not_null(daemon_await_log(stage.daemon, "handover_failed", "b/x", FLOW_TIMEOUT_MS));
    reload_with_b("password: secret, apps: [x]");
    STAGE_UNTIL(&stage, stage.handovers == 1);
    stage_ask_until(&stage, "GET", "asterisk/ping", "b", 200);
    cr_assert_eq(stage.gaps, 0);
    stage_close(&stage);
}

/* A node that never came up does not wait for its pause to end. */
Test(reload_links, a_password_that_is_put_right_is_tried_at_once)
{
    stage_open(&stage, 2);
    stage_start(&stage,
                STAGE_A "  - {name: b, url: \"ws://127.0.0.1:%u/ari\", username: lab,"
                        " backoff_max_ms: 3600000, password: wrong, apps: [x]" END,
                stage.fake[0]->port, stage.fake[1]->port);
    cr_assert_not_null(daemon_await_log(stage.daemon, "node_retry", "b/x", FLOW_TIMEOUT_MS));
    stage_reload(&stage,
                 STAGE_A "  - {name: b, url: \"ws://127.0.0.1:%u/ari\", username: lab,"
                         " backoff_max_ms: 3600000, password: secret, apps: [x]" END,
                 stage.fake[0]->port, stage.fake[1]->port);
    stage_await_up(&stage, "b");
    stage_close(&stage);
}

/* The same for a pause that has become too long. */
Test(reload_links, a_shorter_pause_holds_for_the_one_that_goes_on)
{
    stage_open(&stage, 2);
    fake_do(stage.fake[1], "status 401");
    stage_start(&stage,
                STAGE_A "  - {name: b, url: \"ws://127.0.0.1:%u/ari\", username: lab,"
                        " backoff_max_ms: 3600000, password: secret, apps: [x]" END,
                stage.fake[0]->port, stage.fake[1]->port);
    cr_assert_not_null(daemon_await_log(stage.daemon, "node_retry", "b/x", FLOW_TIMEOUT_MS));
    fake_do(stage.fake[1], "status 0");
    reload_with_b("password: secret, apps: [x]");
    stage_await_up(&stage, "b");
    stage_close(&stage);
}

/* --- another address */

Test(reload_links, another_address_is_another_asterisk)
{
    stage_open(&stage, 3);
    stage_start(&stage, STAGE_A STAGE_NODE "password: secret, apps: [x]" END, stage.fake[0]->port,
                "b", stage.fake[1]->port);
    stage_await_up(&stage, "b");
    cr_assert_eq(stage_ask(&stage, "POST", "channels/old?endpoint=Local/1&app=x", "b", NULL), 200);
    stage_reload(&stage, STAGE_A STAGE_NODE "password: secret, apps: [x]" END, stage.fake[0]->port,
                 "b", stage.fake[2]->port);
    STAGE_UNTIL(&stage, stage.handovers == 1);
    cr_assert_eq(stage_ask(&stage, "POST", "channels/new?endpoint=Local/1&app=x", "b", NULL), 200);
    cr_assert_eq(stage_ask(&stage, "GET", "channels/new", NULL, NULL), 200);
    /* What it had there is not there any more: its lists have been read. */
    stage_ask_until(&stage, "POST", "channels/old/answer", "b", 404);
    cr_assert_eq(fake_count_events(stage.fake[2], "rest POST channels/new"), 1);
    cr_assert_eq(fake_count_events(stage.fake[2], "rest POST channels/old/answer"), 1);
    cr_assert_not_null(fake_await_event(stage.fake[1], "closed ", FLOW_TIMEOUT_MS));
    stage_close(&stage);
}

/* Nobody has taken the application of the Asterisk that is left: its device states are let go of
 * before the connection is closed, as at a stop. */
Test(reload_links, an_asterisk_that_is_left_for_another_is_left_in_good_order)
{
    stage_open(&stage, 3);
    stage_start(&stage, STAGE_A STAGE_NODE "password: secret, apps: [x], subscribe_all: true" END,
                stage.fake[0]->port, "b", stage.fake[1]->port);
    stage_await_up(&stage, "b");
    await_reconciled(1);
    stage_reload(&stage, STAGE_A STAGE_NODE "password: secret, apps: [x], subscribe_all: true" END,
                 stage.fake[0]->port, "b", stage.fake[2]->port);
    STAGE_UNTIL(&stage, stage.handovers == 1);
    await_reconciled(1); /* what is there is other than what was here */
    STAGE_UNTIL(&stage, events_of_b("rest DELETE applications/x/subscription") == 1);
    cr_assert_not_null(
        fake_await_event(stage.fake[1], "closed id=1 app=x code=1000", FLOW_TIMEOUT_MS));
    await_reconciled(1); /* until now events came from both */
    fake_do(stage.fake[2], "stats");
    cr_assert_eq(fake_count_events(stage.fake[2], "rest DELETE"), 0);
    stage_close(&stage);
}

/* --- removed */

Test(reload_links, a_removed_node_is_left_in_good_order_and_forgotten)
{
    char error[32];
    stage_open(&stage, 3);
    stage_start(&stage,
                STAGE_A STAGE_NODE
                "password: secret, apps: [x], subscribe_all: true" FLOW_NODE_END STAGE_NODE
                "password: secret, apps: [x]" END,
                stage.fake[0]->port, "b", stage.fake[1]->port, "c", stage.fake[2]->port);
    stage_await_up(&stage, "b");
    stage_await_up(&stage, "c");
    cr_assert_eq(stage_ask(&stage, "POST", "channels/one?endpoint=Local/1&app=x", "b", NULL), 200);
    cr_assert_eq(stage_ask(&stage, "POST", "channels/one/answer", NULL, NULL), 204);
    stage_reload(&stage, STAGE_A STAGE_NODE "password: secret, apps: [x]" END, stage.fake[0]->port,
                 "c", stage.fake[2]->port);
    STAGE_UNTIL(&stage, strcmp(stage.removed, "b") == 0);
    cr_assert_not_null(
        fake_await_event(stage.fake[1], "closed id=1 app=x code=1000", FLOW_TIMEOUT_MS));
    cr_assert_eq(events_of_b("rest DELETE applications/x/subscription"), 1);
    cr_assert_eq(stage_ask(&stage, "GET", "asterisk/ping", "b", error), 404);
    cr_assert_str_eq(error, "no_such_node");
    cr_assert_eq(stage_ask(&stage, "POST", "channels/one/answer", NULL, error), 404);
    cr_assert_str_eq(error, "no_such_object");
    cr_assert_eq(stage_ask(&stage, "GET", "channels/one", NULL, error), 404);
    /* It comes again, and what it has is known again. */
    reload_with_b("password: secret, apps: [x]");
    stage_await_up(&stage, "b");
    stage_ask_until(&stage, "POST", "channels/one/answer", NULL, 204);
    cr_assert_eq(stage.gaps, 0);
    stage_close(&stage);
}

Test(reload_links, a_removed_application_leaves_the_others)
{
    open_with_b("password: secret, apps: [x, y, z]", 3);
    reload_with_b("password: secret, apps: [z, x]");
    cr_assert_not_null(fake_await_event(stage.fake[1], "closed ", FLOW_TIMEOUT_MS));
    STAGE_UNTIL(&stage, strcmp(stage.removed, "b") == 0);
    cr_assert_eq(events_of_b("closed "), 1);
    cr_assert_eq(events_of_b("connected "), 3);
    stage_await_up(&stage, "b");
    fake_do(stage.fake[1], "drop-all"); /* each is told by its own name and place */
    reload_with_b("password: secret, apps: [w, x, z]");
    stage_await_up(&stage, "b");
    cr_assert_eq(stage_ask(&stage, "GET", "asterisk/ping", "b", NULL), 200);
    stage_close(&stage);
}

/* Another name for the same node: the new link takes the application from the old one. */
Test(reload_links, a_renamed_node_loses_nothing)
{
    stage_open(&stage, 2);
    stage_start(&stage, STAGE_A STAGE_NODE "password: secret, apps: [x]" END, stage.fake[0]->port,
                "b", stage.fake[1]->port);
    stage_await_up(&stage, "b");
    stage_flood(&stage, 3000);
    uint64_t serial = stage.serial;
    stage_reload(&stage,
                 "nodes:\n" STAGE_NODE
                 "password: secret, apps: [ivr], subscribe_all: true" FLOW_NODE_END STAGE_NODE
                 "password: secret, apps: [x]" END,
                 "renamed", stage.fake[0]->port, "b", stage.fake[1]->port);
    STAGE_UNTIL(&stage, strcmp(stage.removed, "a") == 0);
    STAGE_UNTIL(&stage, stage.serial > serial + 5000);
    stage_end_flood(&stage);
    cr_assert_eq(stage.gaps, 0);
    fake_do(stage.fake[0], "stats");
    cr_assert_eq(fake_count_events(stage.fake[0], "rest DELETE"), 0);
    cr_assert_eq(stage_ask(&stage, "GET", "asterisk/ping", "renamed", NULL), 200);
    stage_close(&stage);
}

/* --- commands under way */

Test(reload_links, commands_under_way_to_a_removed_node_are_answered)
{
    char error[32];
    open_with_b("password: secret, apps: [x], rest_connections: 2", 1);
    struct asker *client = asker_create(stage.daemon->gateway_endpoint);
    fake_do(stage.fake[1], "rest-stall channels");
    asker_send(client, "POST", "channels/one?endpoint=Local/1&app=x", "b", "one");
    asker_send(client, "POST", "channels/two?endpoint=Local/1&app=x", "b", "two");
    STAGE_UNTIL(&stage, events_of_b("rest POST channels") == 2);
    asker_send(client, "GET", "channels", "b", "three"); /* waits for a connection */
    reload_without_b();
    STAGE_UNTIL(&stage, strcmp(stage.removed, "b") == 0);
    cr_assert_eq(stage_ask(&stage, "GET", "asterisk/ping", "b", error), 404);
    cr_assert_str_eq(error, "no_such_node");
    /* The name comes back while they are under way, and goes again. */
    reload_with_b("password: secret, apps: [x]");
    stage_await_up(&stage, "b");
    stage_ask_until(&stage, "GET", "asterisk/ping", "b", 200);
    reload_without_b();
    fake_do(stage.fake[1], "rest-resume");
    for (unsigned i = 0; i < 3; i++) {
        struct answer answer;
        asker_receive(client, NULL, &answer);
        cr_assert_eq(answer_number(&answer, "status_code"), 200, "%s: %s",
                     json_string_value(json_object_get(answer.header, "request_id")),
                     answer_error(&answer));
        answer_clear(&answer);
    }
    cr_assert_eq(events_of_b("rest POST channels/one "), 1);
    asker_destroy(&client);
    stage_close(&stage);
}

Test(reload_links, commands_over_a_websocket_are_answered_before_it_is_closed)
{
    open_with_b("password: secret, apps: [x], rest: websocket, rest_connections: 2", 1);
    fake_do(stage.fake[1], "rest-delay 300");
    char id[16];
    for (unsigned i = 0; i < 5; i++) { /* two are sent, three wait */
        snprintf(id, sizeof id, "%u", i);
        asker_send(stage.asker, "GET", "asterisk/ping", "b", id);
    }
    reload_without_b();
    for (unsigned i = 0; i < 5; i++) {
        struct answer answer;
        asker_receive(stage.asker, NULL, &answer);
        cr_assert_eq(answer_number(&answer, "status_code"), 200, "%s", answer_error(&answer));
        answer_clear(&answer);
    }
    STAGE_UNTIL(&stage, strcmp(stage.removed, "b") == 0);
    stage_close(&stage);
}

/* What is on the wire stays there; what is not, goes out with the new password. */
Test(reload_links, commands_under_way_while_the_password_changes)
{
    open_with_b("password: secret, apps: [x], rest_connections: 1", 1);
    fake_do(stage.fake[1], "rest-stall channels");
    asker_send(stage.asker, "POST", "channels/one?endpoint=Local/1&app=x", "b", "one");
    STAGE_UNTIL(&stage, events_of_b("rest POST channels") == 1);
    asker_send(stage.asker, "GET", "asterisk/ping", "b", "two");
    fake_do(stage.fake[1], "password other");
    reload_with_b("password: other, apps: [x], rest_connections: 1");
    expect_answer("two", 200, "");
    STAGE_UNTIL(&stage, stage.handovers == 1);
    fake_do(stage.fake[1], "rest-resume");
    expect_answer("one", 200, "");
    stage_close(&stage);
}

/* --- in place */

Test(reload_links, a_standby_follows_the_new_rule)
{
    open_with_b("password: secret, apps: [x], on_replaced: standby", 1);
    fake_do(stage.fake[1], "replace x");
    cr_assert_not_null(daemon_await_log(stage.daemon, "standby", "b/x", FLOW_TIMEOUT_MS));
    reload_with_b("password: secret, apps: [x], on_replaced: reconnect, replaced_retry_ms: 100");
    stage_await_up(&stage, "b");
    cr_assert_eq(events_of_b("connected "), 2);
    stage_close(&stage);
}

Test(reload_links, the_largest_event_holds_for_connections_that_are_up)
{
    stage_open(&stage, 1);
    stage_start(&stage, STAGE_A "publish:\n" STAGE_EVENTS STAGE_REST, stage.fake[0]->port);
    uint64_t seq = stream_seq(stage.stream);
    fake_do(stage.fake[0], "big 200000");
    STAGE_UNTIL(&stage, stream_seq(stage.stream) > seq);
    cr_assert_eq(scene_metric(stage.daemon, "arizmq_events_refused_size_total"), 0);
    stage_reload(&stage,
                 STAGE_A "publish:\n" STAGE_EVENTS STAGE_REST "limits: {max_event_bytes: 100000}\n",
                 stage.fake[0]->port);
    fake_do(stage.fake[0], "big 200000");
    scene_await_metric(stage.daemon, "arizmq_events_refused_size_total", 1);
    stage_reload(&stage,
                 STAGE_A "publish:\n" STAGE_EVENTS STAGE_REST "limits: {max_event_bytes: 300000}\n",
                 stage.fake[0]->port);
    seq = stream_seq(stage.stream);
    fake_do(stage.fake[0], "big 200000");
    STAGE_UNTIL(&stage, stream_seq(stage.stream) > seq);
    cr_assert_eq(scene_metric(stage.daemon, "arizmq_events_refused_size_total"), 1);
    cr_assert_eq(fake_count_events(stage.fake[0], "connected "), 1);
    stage_close(&stage);
}

/* --- subscribe_all */

Test(reload_links, subscribe_all_on_and_off)
{
    open_with_b("password: secret, apps: [x]", 1);
    reload_with_b("password: secret, apps: [x], subscribe_all: true");
    STAGE_UNTIL(&stage, stage.handovers == 1);
    /* Asterisk ignores subscribeAll where the application exists: it is asked for over REST. */
    STAGE_UNTIL(&stage, events_of_b("rest POST applications/x/subscription") == 1);
    cr_assert_str_eq(stage.reason, "");
    stage_await_up(&stage, "b");
    reload_with_b("password: secret, apps: [x]");
    STAGE_UNTIL(&stage, strcmp(stage.reason, "reload") == 0);
    unsigned gaps = stage.gaps;
    STAGE_UNTIL(&stage, events_of_b("connected ") == 3);
    cr_assert_eq(events_of_b("connected id=3 app=x subscribeAll=false"), 1);
    stage_await_up(&stage, "b");
    STAGE_UNTIL(&stage, stage.gaps > gaps - (gaps > 0)); /* the time between is told */
    cr_assert_eq(stage.disturbances, 0);
    stage_close(&stage);
}
