/* SPDX-License-Identifier: MPL-2.0 */
#include "config_helpers.h"

Test(config_env, ports_have_the_defaults_of_their_scheme)
{
    static const struct {
        const char *variable;
        const char *host;
        uint16_t port;
        bool use_tls;
    } cases[] = {
        {"ARI_URL=ws://pbx/ari", "pbx", 80, false},
        {"ARI_URL=wss://pbx/ari/", "pbx", 443, true},
        {"ARI_URL=http://pbx:8088/ari", "pbx", 8088, false},
        {"ARI_URL=https://pbx:8089/ari", "pbx", 8089, true},
        {"ARI_URL=http://[::1]:8088/ari", "::1", 8088, false},
        {"ARI_WEBSOCKET_URL=https://pbx/ari/events", "pbx", 443, true},
        {"ARI_WEBSOCKET_URL=wss://10.1.2.3:1/ari/events", "10.1.2.3", 1, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *const environment[] = {cases[i].variable, "ARI_USERNAME=u", "ARI_PASSWORD=p",
                                           "ARI_APPLICATION=x", NULL};
        struct config *config = must_load(NULL, environment);
        cr_expect_str_eq(config->nodes[0].host, cases[i].host);
        cr_expect_eq(config->nodes[0].port, cases[i].port);
        cr_expect_eq(config->nodes[0].use_tls, cases[i].use_tls);
        cr_expect_str_eq(config->nodes[0].path, "/ari");
        config_destroy(&config);
    }
}

Test(config_env, environment_alone_makes_a_node)
{
    const char *const environment[] = {"PATH=/bin",
                                       "ARI_URL=http://asterisk:8088/ari",
                                       "ARI_USERNAME=u",
                                       "ARI_PASSWORD=" SECRET,
                                       "ARI_APPLICATION=ivr,queue",
                                       "ARIZMQ_SUBSCRIBE_ALL=true",
                                       "ARIZMQ_SUBSCRIBE_ALL_APP=queue",
                                       "ARIZMQ_PUBLISH_EVENTS=tcp://*:5555",
                                       "ARIZMQ_SERVICE_HOST=10.0.0.1",
                                       "ARIZMQ_PORT=tcp://10.0.0.1:5555",
                                       "ARIZMQ_PORT_5555_TCP_ADDR=10.0.0.1",
                                       "ARIZMQ_PUB_SERVICE_PORT_EVENTS=5555",
                                       NULL};
    struct config *config = must_load(NULL, environment);
    cr_assert_eq(config->nodes_count, 1);
    const struct config_node *node = &config->nodes[0];
    cr_expect_str_eq(node->name, "asterisk");
    cr_expect_str_eq(node->url, "ws://asterisk:8088/ari");
    cr_expect_str_eq(node->username, "u");
    cr_expect_str_eq(node->password, SECRET);
    cr_assert_eq(node->apps_count, 2);
    cr_expect_str_eq(node->apps[0], "ivr");
    cr_expect_str_eq(node->apps[1], "queue");
    cr_expect_str_eq(node->subscribe_all_app, "queue");
    cr_expect_str_eq(config->publish[0].endpoint, "tcp://*:5555");
    cr_expect_str_eq(config->publish[1].endpoint, "tcp://127.0.0.1:5556");
    config_destroy(&config);
}

Test(config_env, environment_wins_over_the_file_and_the_flag_over_both)
{
    const char *const environment[] = {"ARI_PASSWORD=other",
                                       "ARIZMQ_NODE_NAME=b",
                                       "ARIZMQ_LIVENESS_MS=2000",
                                       "ARIZMQ_TLS_VERIFY=false",
                                       "ARI_URL=https://i/ari",
                                       "ARIZMQ_HEARTBEAT_MS=250",
                                       "ARIZMQ_LIMITS_MAX_EVENT_BYTES=2048",
                                       "ARIZMQ_LIMITS_MAX_COUNTERS=7",
                                       "ARIZMQ_LIMITS_RECEIVE_BUFFER_BYTES=4096",
                                       "ARIZMQ_STOP_TIMEOUT_MS=77",
                                       "ARIZMQ_IO_THREADS=2",
                                       "ARIZMQ_LOG_LEVEL=error",
                                       NULL};
    char text[512];
    snprintf(text, sizeof text, "%sheartbeat_ms: 500\nlog: {level: debug}\n", ONE_NODE);
    struct config *config = must_load(text, environment);
    cr_expect_str_eq(config->nodes[0].name, "b");
    cr_expect_str_eq(config->nodes[0].username, "u");
    cr_expect_str_eq(config->nodes[0].password, "other");
    cr_expect_eq(config->nodes[0].liveness_ms, 2000);
    cr_expect_not(config->nodes[0].tls.verify);
    cr_expect_eq(config->heartbeat_ms, 250);
    cr_expect_eq(config->limits.max_event_bytes, 2048);
    cr_expect_eq(config->limits.max_counters, 7);
    cr_expect_eq(config->limits.receive_buffer_bytes, 4096);
    cr_expect_eq(config->stop_timeout_ms, 77);
    cr_expect_eq(config->io_threads, 2);
    cr_expect_eq(config->log_level, LOG_LEVEL_ERROR);
    config_destroy(&config);

    char error[1024] = "";
    cr_assert_eq(load(text, environment, "warning", &config, error, sizeof error), ARIZMQ_OK);
    cr_expect_eq(config->log_level, LOG_LEVEL_WARNING);
    config_destroy(&config);
    cr_assert_eq(load(text, environment, "loud", &config, error, sizeof error), ARIZMQ_EINVALID);
    cr_expect_str_eq(error,
                     "--log-level: \"loud\" is unknown; allowed: error, warning, info, debug");
}

Test(config_env, environment_changes_the_endpoint_of_its_view)
{
    char text[512];
    const char *const environment[] = {"ARIZMQ_PUBLISH_EVENTS=tcp://*:1",
                                       "ARIZMQ_PUBLISH_OBJECTS=tcp://*:2", NULL};
    snprintf(text, sizeof text, "%spublish: [{view: events, endpoint: 'tcp://*:9', sndhwm: 5}]\n",
             ONE_NODE);
    struct config *config = must_load(text, environment);
    cr_assert_eq(config->publish_count, 2);
    cr_expect_str_eq(config->publish[0].endpoint, "tcp://*:1");
    cr_expect_eq(config->publish[0].sndhwm, 5);
    cr_expect_eq(config->publish[1].view, CONFIG_VIEW_OBJECTS);
    cr_expect_str_eq(config->publish[1].endpoint, "tcp://*:2");
    cr_expect_eq(config->publish[1].sndhwm, 10000);
    config_destroy(&config);
    snprintf(text, sizeof text,
             "%spublish: [{view: events, endpoint: 'tcp://*:9'}, {view: events, endpoint: "
             "'tcp://*:8'}]\n",
             ONE_NODE);
    must_refuse(
        text, environment,
        "environment: ARIZMQ_PUBLISH_EVENTS: is set, but the file publishes the view events "
        "2 times; allowed: once or not at all");
}

Test(config_env, environment_changes_the_gateway_and_the_way_of_commands)
{
    char text[512];
    const char *const environment[] = {"ARIZMQ_GATEWAY_ENDPOINT=tcp://*:5",
                                       "ARIZMQ_GATEWAY_MAX_REQUESTS_PER_NODE=7",
                                       "ARIZMQ_GATEWAY_ONCE_MAX_BYTES=1099511627776",
                                       "ARIZMQ_REST=websocket",
                                       "ARIZMQ_REST_CONNECTIONS=3",
                                       NULL};
    snprintf(text, sizeof text, "%sgateway: {endpoint: 'tcp://*:9', max_requests: 8}\n", ONE_NODE);
    struct config *config = must_load(text, environment);
    cr_expect_str_eq(config->gateway.endpoint, "tcp://*:5");
    cr_expect_eq(config->gateway.max_requests, 8);
    cr_expect_eq(config->gateway.max_requests_per_node, 7);
    cr_expect_eq(config->gateway.once_max_bytes, 1099511627776);
    cr_expect_eq(config->nodes[0].rest, CONFIG_REST_WEBSOCKET);
    cr_expect_eq(config->nodes[0].rest_connections, 3);
    config_destroy(&config);
    const char *const taken[] = {"ARIZMQ_GATEWAY_ENDPOINT=tcp://127.0.0.1:5556", NULL};
    must_refuse(ONE_NODE, taken,
                "environment: ARIZMQ_GATEWAY_ENDPOINT: \"tcp://127.0.0.1:5556\" is the endpoint of "
                "publish[1] too; allowed: one of its own, or gateway.enabled: false");
    const char *const view[] = {"ARIZMQ_PUBLISH_EVENTS=tcp://127.0.0.1:5558", NULL};
    must_refuse(ONE_NODE, view,
                "file.yaml:1: gateway.endpoint: \"tcp://127.0.0.1:5558\" is the endpoint of "
                "publish[0] too; allowed: one of its own, or gateway.enabled: false");
    const char *const disabled[] = {"ARIZMQ_PUBLISH_EVENTS=tcp://127.0.0.1:5558",
                                    "ARIZMQ_GATEWAY_ENABLED=false", NULL};
    config = must_load(ONE_NODE, disabled);
    cr_expect_not(config->gateway.enabled);
    config_destroy(&config);
    const char *const wildcards[] = {"ARIZMQ_PUBLISH_EVENTS=tcp://127.0.0.1:*",
                                     "ARIZMQ_GATEWAY_ENDPOINT=tcp://127.0.0.1:*", NULL};
    config = must_load(ONE_NODE, wildcards);
    config_destroy(&config);
}

Test(config_env, environment_errors_name_the_variable)
{
    must_refuse(ONE_NODE, ENVIRONMENT("ARIZMQ_HEARTBEAT_MS=x"),
                "environment: ARIZMQ_HEARTBEAT_MS: \"x\" is no number; allowed: 10 to 3600000");
    must_refuse(ONE_NODE, ENVIRONMENT("ARIZMQ_HEARTBEAT_MS="),
                "environment: ARIZMQ_HEARTBEAT_MS: \"\" is no number; allowed: 10 to 3600000");
    must_refuse(ONE_NODE, ENVIRONMENT("ARI_APPLICATION=a,,b"),
                "environment: ARI_APPLICATION: \"\" is empty; allowed: 1 to 70 bytes without ','");
    must_refuse(ONE_NODE, ENVIRONMENT("ARI_APPLICATION=a,b", "ARIZMQ_SUBSCRIBE_ALL=true"),
                "environment: ARIZMQ_SUBSCRIBE_ALL: is true with 2 apps, each event would come 2 "
                "times; allowed: with subscribe_all_app, which names one of them");
    must_refuse(ONE_NODE, ENVIRONMENT("ARI_URL=http://h:8088"),
                "environment: ARI_URL: \"http://h:8088\" has no path; it usually ends in /ari; "
                "allowed: " CONFIG_URL_ALLOWED);
    must_refuse(ONE_NODE, ENVIRONMENT("ARI_URL=http://joe:" SECRET "@h:8088/ari"),
                "environment: ARI_URL: contains '@': name and password go into username and "
                "password; allowed: " CONFIG_URL_ALLOWED);
    must_refuse(
        ONE_NODE, ENVIRONMENT("ARI_PASSWORD=" SECRET "\n"),
        "environment: ARI_PASSWORD: contains a control character; allowed: 1 to 1024 bytes");
    must_refuse(ONE_NODE, ENVIRONMENT("ARI_USERNAME=\xff\xfe"),
                "environment: ARI_USERNAME: is no valid UTF-8; allowed: UTF-8");
    must_refuse(
        ONE_NODE, ENVIRONMENT("ARI_PASSWORD=a", "ARI_PASSWORD_FILE=/b"),
        "environment: ARI_PASSWORD_FILE: is given beside password; allowed: one of the two");
    must_refuse(TWO_NODES, ENVIRONMENT("ARI_PASSWORD=" SECRET),
                "environment: ARI_PASSWORD: is set, but the file has 2 nodes; allowed: with one "
                "node in the file, or none");
    must_refuse(TWO_NODES, ENVIRONMENT("ARI_WEBSOCKET_URL=ws://h/ari/events"),
                "environment: ARI_WEBSOCKET_URL: is set, but the file has 2 nodes; allowed: with "
                "one node in the file, or none");
    must_refuse(
        ONE_NODE,
        ENVIRONMENT("ARI_URL=http://h:8088/ari", "ARI_WEBSOCKET_URL=ws://i:8088/ari/events"),
        "environment: ARI_WEBSOCKET_URL: names another server than ARI_URL; allowed: the "
        "same host, port and path with /events, or ARI_URL alone");
    must_refuse(ONE_NODE, ENVIRONMENT("ARIZMQ_PUBLISH_EVENTS=5555"),
                "environment: ARIZMQ_PUBLISH_EVENTS: \"5555\" has not the right form; allowed: "
                "tcp://ADDRESS:PORT, ipc://PATH or inproc://NAME");
}

Test(config_env, what_the_environment_leaves_out_is_named)
{
    must_refuse(NULL, NULL,
                "environment: nodes: is missing; allowed: a list of 1 to 4096 nodes, or ARI_URL, "
                "ARI_USERNAME, ARI_PASSWORD and ARI_APPLICATION in the environment");
    must_refuse(NULL, ENVIRONMENT("ARI_USERNAME=u"),
                "environment: ARI_URL: is missing; allowed: " CONFIG_URL_ALLOWED);
    must_refuse("heartbeat_ms: 50\n", ENVIRONMENT("ARI_URL=ws://h/ari", "ARI_USERNAME=u"),
                "environment: ARI_APPLICATION: is missing; allowed: a list of 1 to 32 names");
    must_refuse(NULL, ENVIRONMENT("ARI_URL=ws://h/ari", "ARI_USERNAME=u", "ARI_APPLICATION=x"),
                "environment: ARI_PASSWORD: is missing; allowed: password or password_file, or "
                "ARI_PASSWORD or ARI_PASSWORD_FILE in the environment");
}

Test(config_env, both_urls_may_be_given_for_one_server)
{
    struct config *config = must_load(
        NULL, ENVIRONMENT("ARI_URL=http://h:8088/ari", "ARI_USERNAME=u", "ARI_PASSWORD=" SECRET,
                          "ARI_APPLICATION=ivr", "ARI_WEBSOCKET_URL=ws://h:8088/ari/events"));
    cr_expect_str_eq(config->nodes[0].path, "/ari");
    config_destroy(&config);
}

Test(config_env, unknown_variables_are_refused_with_the_nearest)
{
    static const struct {
        const char *entry;
        const char *nearest; /* NULL: none is near */
    } cases[] = {
        {"ARIZMQ_HEARTBEET_MS=" SECRET, "ARIZMQ_HEARTBEAT_MS"},
        {"ARIZMQ_HEARTBEAT=1", "ARIZMQ_HEARTBEAT_MS"},
        {"ARIZMQ_LIVENESS_M=1", "ARIZMQ_LIVENESS_MS"},
        {"ARIZMQ_LIVENESS_MSX=1", "ARIZMQ_LIVENESS_MS"},
        {"ARIZMQ_PUBLISH_OBJECT=1", "ARIZMQ_PUBLISH_OBJECTS"},
        {"ARIZMQ_=1", NULL},
        {"ARIZMQ_REPORT=1", "ARIZMQ_REST"},
        {"ARIZMQ_PORTS=1", NULL},
        {"ARIZMQ_CONNECTED=1", NULL},
        {"ARIZMQ_TESTS=1", "ARIZMQ_REST"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char expected[256];
        snprintf(expected, sizeof expected,
                 "environment: %.*s: is an unknown variable%s%s; allowed: see "
                 "docker/arizmqd.example.yaml",
                 (int)strcspn(cases[i].entry, "="), cases[i].entry,
                 cases[i].nearest ? "; the nearest is " : "",
                 cases[i].nearest ? cases[i].nearest : "");
        must_refuse(ONE_NODE, ENVIRONMENT(cases[i].entry), expected);
    }
}

Test(config_env, variables_of_the_other_programs_are_passed_over)
{
    struct config *config =
        must_load(ONE_NODE, ENVIRONMENT("ARIZMQ_CONNECT=tcp://h:5555", "ARIZMQ_CACHE=/c",
                                        "ARIZMQ_GATEWAY_CONNECT=tcp://h:5558", "ARIZMQ_JOBS=2",
                                        "ARIZMQ_TEST_=", "ARIZMQ_TEST_ROOTFS=/r"));
    cr_expect_eq(config->nodes_count, 1);
    config_destroy(&config);
}

Test(config_env, variable_of_any_length_is_refused)
{
    enum { LENGTH = 5000 };
    struct config *untouched = NULL;
    char error[1024] = "";
    char *name = malloc(LENGTH + 1);
    memset(name, 'X', LENGTH);
    memcpy(name, "ARIZMQ_", strlen("ARIZMQ_"));
    name[LENGTH] = '\0';
    cr_assert_eq(load(ONE_NODE, ENVIRONMENT(name), NULL, &untouched, error, sizeof error),
                 ARIZMQ_EINVALID);
    cr_expect_not_null(strstr(error, "XXX: is an unknown variable; allowed: see "), "%s", error);
    free(name);
}

Test(config_env, password_of_a_dump_is_refused)
{
    must_refuse(ONE_NODE, ENVIRONMENT("ARI_PASSWORD=***"),
                "environment: ARI_PASSWORD: is \"***\", which --dump-config shows in place of a "
                "password; allowed: the password itself");
}

Test(config_env, error_is_one_line_whatever_the_variable_is_called)
{
    struct config *untouched = NULL;
    char error[128];
    cr_assert_eq(
        load(ONE_NODE, ENVIRONMENT("ARIZMQ_A\nB\xff=1"), NULL, &untouched, error, sizeof error),
        ARIZMQ_EINVALID);
    cr_expect_eq(strncmp(error, "environment: ARIZMQ_A?B?: is an unknown", 39), 0, "%s", error);
}

Test(config_env, password_comes_from_a_file)
{
    static const struct {
        const char *content;
        const char *password; /* NULL: refused */
    } cases[] = {
        {SECRET, SECRET},
        {SECRET "\n", SECRET},
        {SECRET "\r\n", SECRET},
        {" " SECRET " \n", " " SECRET " "},
        {"\n", NULL},
        {"", NULL},
        {SECRET "\n\n", NULL},
        {"a\tb", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *path;
        char variable[128];
        char expected[256];
        write_file(cases[i].content, strlen(cases[i].content), &path);
        snprintf(variable, sizeof variable, "ARI_PASSWORD_FILE=%s", path);
        if (cases[i].password) {
            struct config *config = must_load(ONE_NODE, ENVIRONMENT(variable));
            cr_expect_str_eq(config->nodes[0].password, cases[i].password);
            char *dump = dump_text(config);
            cr_expect_null(strstr(dump, SECRET));
            struct config *again = must_load(dump, NULL);
            cr_expect_str_eq(again->nodes[0].password, cases[i].password);
            config_destroy(&again);
            free(dump);
            config_destroy(&config);
        } else {
            snprintf(expected, sizeof expected,
                     "environment: ARI_PASSWORD_FILE: \"%s\" is empty or holds more than one line "
                     "of text; allowed: a file that holds the password in one line",
                     path);
            must_refuse(ONE_NODE, ENVIRONMENT(variable), expected);
        }
        unlink(path);
        free(path);
    }
}
