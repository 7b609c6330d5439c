/* SPDX-License-Identifier: MPL-2.0 */
/*
 * SIGHUP under steady numbered events: nodes, applications, views and bounds come, go and change
 * beside a node that must not notice; what is wrong with a configuration changes nothing.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "flow/reload_stage.h"

TestSuite(reload, .timeout = 900);

static struct stage stage;

static void expect_undisturbed(void)
{
    cr_assert_eq(stage.disturbances, 0);
    cr_assert_eq(stage.unordered, 0);
    cr_assert_eq(fake_count_events(stage.fake[0], "connected "), 1);
    cr_assert_eq(fake_count_events(stage.fake[0], "closed "), 0);
}

/* --- fifty of them */

/* What may be in the file beside node a, each time something else of it. */
static void write_any(char *out, size_t size, const struct stage *on)
{
    static const char *const apps[] = {"x", "x, y", "y", "y, x, z", "z"};
    static const char *const rules[] = {"", ", on_replaced: reconnect",
                                        ", connect_timeout_ms: 4000", ", rest_connections: 2",
                                        ", rest: websocket"};
    char nodes[1024] = "";
    for (unsigned i = 1; i < 3; i++) {
        if (rand() % 4 == 0) {
            continue;
        }
        snprintf(nodes + strlen(nodes), sizeof nodes - strlen(nodes),
                 STAGE_NODE "password: secret, apps: [%s]%s" FLOW_NODE_END, i == 1 ? "b" : "c",
                 on->fake[i]->port, apps[rand() % 5], rules[rand() % 5]);
    }
    if (rand() % 3 == 0) { /* nobody listens there */
        snprintf(nodes + strlen(nodes), sizeof nodes - strlen(nodes),
                 STAGE_NODE "password: secret, apps: [q]" FLOW_NODE_END, "down", 1);
    }
    const char *objects =
        rand() % 2 ? "  - {view: objects, endpoint: \"ipc://DIR/objects\"}\n" : "";
    const char *more =
        rand() % 2 ? "  - {view: events, endpoint: \"ipc://DIR/more\", topic: \"all/{app}/\"}\n"
                   : "";
    snprintf(out, size,
             STAGE_A "%spublish:\n" STAGE_EVENTS "%s%s"
                     "limits: {max_event_bytes: %d, max_counters: %d}\n"
                     "gateway: {endpoint: \"ipc://DIR/gateway\", timeout_ms: %d, max_objects: %d,"
                     " once_max_requests: %d}\n"
                     "history: {max_bytes: %d}\nstate: {max_objects: %d}\nheartbeat_ms: %d\n"
                     "stop_timeout_ms: %d\n",
             on->fake[0]->port, nodes, objects, more, 100000 + rand() % 100000,
             100000 + rand() % 1000, 4000 + rand() % 1000, 1000 + rand() % 100000,
             100 + rand() % 10000, (1 + rand() % 50) * 1000000, 1000 + rand() % 100000,
             20 + rand() % 100, 5000 + rand() % 1000);
}

static void expect_answer(const char *id, int status)
{
    struct answer answer;
    asker_receive(stage.asker, id, &answer);
    cr_assert_eq(answer_number(&answer, "status_code"), status, "%lld %s",
                 answer_number(&answer, "status_code"), answer_error(&answer));
    answer_clear(&answer);
}

/* The nodes that are in the file get commands, the others are not known. */
static void expect_routes(const char *config)
{
    static const char *const names[] = {"b", "c"};
    for (unsigned i = 0; i < 2; i++) {
        char error[32];
        char entry[32];
        snprintf(entry, sizeof entry, "{name: %s,", names[i]);
        if (strstr(config, entry) != NULL) {
            stage_ask_until(&stage, "GET", "asterisk/ping", names[i], 200);
        } else {
            cr_assert_eq(stage_ask(&stage, "GET", "asterisk/ping", names[i], error), 404);
            cr_assert_str_eq(error, "no_such_node");
        }
    }
}

Test(reload, fifty_times_beside_a_node_that_does_not_notice)
{
    enum { RELOADS = 50 };
    srand(11);
    stage_open(&stage, 3);
    stage_start(&stage, STAGE_A "publish:\n" STAGE_EVENTS STAGE_REST, stage.fake[0]->port);
    stage_flood(&stage, 2000);
    for (unsigned i = 0; i < RELOADS; i++) {
        char config[4096];
        char id[32];
        snprintf(id, sizeof id, "during-%u", i);
        write_any(config, sizeof config, &stage);
        uint64_t serial = stage.serial;
        asker_send(stage.asker, "GET", "asterisk/ping", "a", id);
        stage_reload(&stage, "%s", config);
        expect_answer(id, 200);
        if (i % 3 == 0) {
            expect_routes(config);
        }
        STAGE_UNTIL(&stage, stage.serial > serial);
    }
    stage_reload(&stage, STAGE_A "publish:\n" STAGE_EVENTS STAGE_REST, stage.fake[0]->port);
    STAGE_UNTIL(&stage, stage_reloads(&stage, "count") == RELOADS + 1);
    cr_assert_eq(stage_reloads(&stage, "refused"), 0);
    stage_end_flood(&stage);
    expect_undisturbed();
    /* What is left is what the last one says. */
    STAGE_UNTIL(&stage, scene_metric(stage.daemon, "arizmq_links_up") == 1);
    cr_assert_eq(scene_metric(stage.daemon, "arizmq_links"), 1);
    cr_assert_eq(scene_metric(stage.daemon, "arizmq_reloads_total"), RELOADS + 1);
    cr_assert_gt(scene_metric(stage.daemon, "arizmq_last_reload_timestamp_seconds"), 1700000000U);
    stage_close(&stage);
}

/* --- what is wrong */

static void expect_unchanged(unsigned refused)
{
    cr_assert_eq(stage_reloads(&stage, "refused"), (long long)refused);
    cr_assert_eq(stage_reloads(&stage, "count"), 0);
    cr_assert_eq(stage_ask(&stage, "GET", "asterisk/ping", "b", NULL), 200);
    cr_assert_eq(stage_ask(&stage, "GET", "asterisk/ping", "c", NULL), 404);
    cr_assert_eq(scene_metric(stage.daemon, "arizmq_links"), 2);
    cr_assert_eq(fake_count_events(stage.fake[1], "connected "), 1);
    cr_assert_eq(fake_count_events(stage.fake[2], "connected "), 0);
}

/* Each would take node b away and add node c, if it were not for the one mistake. */
static void expect_refused(const char *mistake, const char *said)
{
    static unsigned refused;
    stage_write(&stage, STAGE_A STAGE_NODE "%s" FLOW_NODE_END "publish:\n" STAGE_EVENTS "%s",
                stage.fake[0]->port, "c", stage.fake[2]->port, "password: secret, apps: [x]",
                mistake);
    stage_expect_refusal(&stage, said);
    expect_unchanged(++refused);
}

static void refuse_text(const char *text, const char *said, unsigned refused)
{
    stage_write(&stage, "%s", text);
    stage_expect_refusal(&stage, said);
    expect_unchanged(refused);
}

Test(reload, what_is_wrong_changes_nothing)
{
    stage_open(&stage, 3);
    stage_start(&stage,
                STAGE_A STAGE_NODE "password: secret, apps: [x]" FLOW_NODE_END
                                   "publish:\n" STAGE_EVENTS STAGE_REST,
                stage.fake[0]->port, "b", stage.fake[1]->port);
    stage_await_up(&stage, "b");
    stage_flood(&stage, 1000);
    expect_refused("bad", "is no YAML");
    expect_refused(STAGE_REST "colour: red\n", "colour: is an unknown key");
    expect_refused("gateway: {max_requests: many}\n", "\"many\" is no number");
    expect_refused("gateway: {endpoint: \"ipc://DIR/events\"}\n",
                   "is the endpoint of publish[0] too");
    expect_refused("  - {view: objects, endpoint: \"ipc://DIR/no/such/place\"}\n" STAGE_REST,
                   "publish[1]: cannot bind ipc://");
    expect_refused("  - {view: objects, endpoint: \"ipc://DIR/new\"}\n"
                   "  - {view: objects, endpoint: \"ipc://DIR/no/such/place\"}\n" STAGE_REST,
                   "publish[2]: cannot bind ipc://");
    expect_refused("  - {view: objects, endpoint: \"ipc://DIR/gateway\"}\n",
                   "/gateway\" is where the running gateway is");
    unsigned refused = 7;
    refuse_text("", "nodes: is missing", ++refused);
    refuse_text("nodes:\n" STAGE_REST, "nodes: has no value", ++refused);
    refuse_text("nodes:\n  - {name: a, url: \"ws://h/ari\", username: u, password_file: /no/such,"
                " apps: [x]}\n",
                "nodes[0].password_file: \"/no/such\"", ++refused);
    refuse_text("nodes:\n  - {name: a, url: \"wss://h/ari\", username: u, password: p, apps: [x],"
                " tls: {ca_file: /no/such}}\n",
                "nodes[0].tls.ca_file: \"/no/such\"", ++refused);
    cr_assert_eq(unlink(stage.daemon->config_path), 0);
    stage_expect_refusal(&stage, "No such file or directory");
    expect_unchanged(++refused);
    stage_end_flood(&stage);
    expect_undisturbed();
    cr_assert_eq(scene_metric(stage.daemon, "arizmq_reloads_refused_total"), refused);
    stage_close(&stage);
}

Test(reload, what_needs_a_restart_is_named_and_the_rest_applies)
{
    stage_open(&stage, 2);
    stage_start(&stage, STAGE_A "publish:\n" STAGE_EVENTS STAGE_REST, stage.fake[0]->port);
    for (unsigned i = 0; i < 2; i++) { /* the second time nothing else has changed */
        stage_reload(&stage,
                     STAGE_A STAGE_NODE "password: secret, apps: [x]" FLOW_NODE_END
                                        "publish:\n" STAGE_EVENTS
                                        "gateway: {endpoint: \"ipc://DIR/other\"}\n"
                                        "io_threads: 2\njournal: {path: DIR/journal}\n",
                     stage.fake[0]->port, "b", stage.fake[1]->port);
        const char *line =
            daemon_await_log(stage.daemon, "reload_needs_restart", NULL, FLOW_TIMEOUT_MS);
        cr_assert_not_null(line);
        cr_assert_not_null(strstr(line, ": gateway.endpoint, journal.path, io_threads"), "%s",
                           line);
        stage_ask_until(&stage, "GET", "asterisk/ping", "b", 200);
    }
    cr_assert_eq(fake_count_events(stage.fake[1], "connected "), 1);
    expect_undisturbed();
    stage_close(&stage);
}

/* --- signals at bad moments */

Test(reload, many_signals_in_a_row)
{
    stage_open(&stage, 2);
    stage_start(&stage, STAGE_A "publish:\n" STAGE_EVENTS STAGE_REST, stage.fake[0]->port);
    stage_flood(&stage, 1000);
    for (unsigned i = 0; i < 20; i++) {
        stage_write(&stage,
                    STAGE_A STAGE_NODE "password: secret, apps: [%s]" FLOW_NODE_END
                                       "publish:\n" STAGE_EVENTS STAGE_REST,
                    stage.fake[0]->port, i % 2 ? "b" : "c", stage.fake[1]->port,
                    i % 3 ? "x" : "y, x");
        stage_hang_up(&stage);
        stage_hang_up(&stage);
        stage_listen(&stage, 1);
    }
    stage_write(&stage,
                STAGE_A STAGE_NODE "password: secret, apps: [last]" FLOW_NODE_END
                                   "publish:\n" STAGE_EVENTS STAGE_REST,
                stage.fake[0]->port, "d", stage.fake[1]->port);
    stage_hang_up(&stage);
    stage_hang_up(&stage);
    stage_ask_until(&stage, "GET", "asterisk/ping", "d", 200);
    STAGE_UNTIL(&stage, scene_metric(stage.daemon, "arizmq_links_up") == 2);
    cr_assert_eq(stage_ask(&stage, "GET", "asterisk/ping", "b", NULL), 404);
    cr_assert_eq(stage_ask(&stage, "GET", "asterisk/ping", "c", NULL), 404);
    stage_end_flood(&stage);
    expect_undisturbed();
    stage_close(&stage);
}

/* It is kept back until it can be answered, however early it comes. */
Test(reload, while_it_starts)
{
    for (unsigned i = 0; i < 10; i++) {
        struct fake *fake = fake_start_asterisk(NULL);
        char config[1024];
        snprintf(config, sizeof config, STAGE_A "publish:\n" STAGE_EVENTS STAGE_REST, fake->port);
        struct daemon *daemon = daemon_start(&(struct daemon_options){.config = config});
        cr_assert_not_null(daemon);
        /* Before it has blocked the signal it is a program like any other, which a SIGHUP ends. */
        usleep(20000 + i * 3000);
        process_signal(daemon->process, SIGHUP);
        int status = process_wait(daemon->process, 500);
        if (status == 128 + SIGHUP) {
            daemon_stop(&daemon, 0);
        } else {
            cr_assert_not_null(
                daemon_await_log(daemon, "reloaded", "nothing has changed", FLOW_TIMEOUT_MS));
            cr_assert_eq(daemon_stop(&daemon, FLOW_TIMEOUT_MS), 0);
        }
        cr_assert_eq(fake_stop(&fake), 0);
    }
}

Test(reload, while_it_stops)
{
    stage_open(&stage, 1);
    stage_start(&stage, STAGE_A "publish:\n" STAGE_EVENTS STAGE_REST "stop_timeout_ms: 20000\n",
                stage.fake[0]->port);
    fake_do(stage.fake[0], "stall"); /* no answer to the close frame: the stop waits */
    fake_do(stage.fake[0], "rest-stall applications");
    cr_assert_eq(process_signal(stage.daemon->process, SIGTERM), 0);
    cr_assert_not_null(daemon_await_log(stage.daemon, "stopping", NULL, FLOW_TIMEOUT_MS));
    stage_write(&stage, "nodes: []\n");
    stage_expect_refusal(&stage, "the bridge is stopping");
    fake_do(stage.fake[0], "resume");
    fake_do(stage.fake[0], "rest-resume");
    stage_close(&stage);
}

/* A reload whose nodes are on their way out when the stop comes. */
Test(reload, a_stop_in_the_middle)
{
    stage_open(&stage, 2);
    stage_start(&stage,
                STAGE_A STAGE_NODE "password: secret, apps: [x]" FLOW_NODE_END
                                   "publish:\n" STAGE_EVENTS STAGE_REST "stop_timeout_ms: 2000\n",
                stage.fake[0]->port, "b", stage.fake[1]->port);
    stage_await_up(&stage, "b");
    fake_do(stage.fake[1], "stall");
    stage_reload(&stage, STAGE_A "publish:\n" STAGE_EVENTS STAGE_REST "stop_timeout_ms: 2000\n",
                 stage.fake[0]->port);
    stage_close(&stage);
}
