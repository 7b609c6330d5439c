/* SPDX-License-Identifier: MPL-2.0 */
#include "config_helpers.h"

#include <glob.h>

static void expect_gateway_defaults(const struct config_gateway *gateway)
{
    cr_expect(gateway->enabled);
    cr_expect_str_eq(gateway->endpoint, "tcp://127.0.0.1:5558");
    cr_expect_eq(gateway->timeout_ms, 5000);
    cr_expect_eq(gateway->max_timeout_ms, 600000);
    cr_expect_eq(gateway->answer_timeout_ms, 30000);
    cr_expect_eq(gateway->max_requests, 20000);
    cr_expect_eq(gateway->max_requests_per_node, 10000);
    cr_expect_eq(gateway->max_request_bytes, 65536);
    cr_expect_eq(gateway->max_body_bytes, 40960);
    cr_expect_eq(gateway->max_request_line_bytes, 4096);
    cr_expect_eq(gateway->max_reply_bytes, 64 << 20);
    cr_expect_eq(gateway->max_objects, 500000);
    cr_expect_eq(gateway->feed_bytes, 4 << 20);
    cr_expect_eq(gateway->once_window_ms, 300000);
    cr_expect_eq(gateway->once_max_requests, 100000);
    cr_expect_eq(gateway->once_max_bytes, 64 << 20);
    cr_expect(gateway->takeover);
    cr_expect_eq(gateway->takeover_timeout_ms, 10000);
}

Test(config, example_has_the_defaults)
{
    struct config_source source = {.file = EXAMPLE};
    struct config *config = NULL;
    char error[1024] = "";
    cr_assert_eq(config_load(&source, &config, error, sizeof error), ARIZMQ_OK, "%s", error);
    struct config *bare = must_load(ONE_NODE, NULL);
    cr_expect_eq(config->nodes_count, 1);
    const struct config_node *node = &config->nodes[0];
    const struct config_node *other = &bare->nodes[0];
    cr_expect_str_eq(node->name, "pbx1");
    cr_expect_str_eq(node->host, "127.0.0.1");
    cr_expect_eq(node->port, 8088);
    cr_expect_str_eq(node->path, "/ari");
    cr_expect_not(node->use_tls);
    cr_expect_eq(node->apps_count, 2);
    cr_expect_eq(node->subscribe_all, other->subscribe_all);
    cr_expect(node->tls.verify && other->tls.verify);
    cr_expect(node->connect_timeout_ms == 5000 && other->connect_timeout_ms == 5000);
    cr_expect(node->liveness_ms == 10000 && other->liveness_ms == 10000);
    cr_expect(node->backoff_min_ms == 200 && other->backoff_min_ms == 200);
    cr_expect(node->backoff_max_ms == 30000 && other->backoff_max_ms == 30000);
    cr_expect(node->on_replaced == CONFIG_ON_REPLACED_WHEN_FREE);
    cr_expect(other->on_replaced == CONFIG_ON_REPLACED_WHEN_FREE);
    cr_expect(node->replaced_retry_ms == 30000 && other->replaced_retry_ms == 30000);
    cr_expect(config->publish_count == 2 && bare->publish_count == 2);
    static const char *const endpoints[] = {"tcp://127.0.0.1:5555", "tcp://127.0.0.1:5556"};
    for (unsigned i = 0; i < 2; i++) {
        cr_expect_eq(config->publish[i].view, i == 0 ? CONFIG_VIEW_EVENTS : CONFIG_VIEW_OBJECTS);
        cr_expect_eq(config->publish[i].view, bare->publish[i].view);
        cr_expect_str_eq(config->publish[i].endpoint, endpoints[i]);
        cr_expect_str_eq(bare->publish[i].endpoint, endpoints[i]);
        cr_expect(config->publish[i].sndhwm == 10000 && bare->publish[i].sndhwm == 10000);
        cr_expect_null(bare->publish[i].topic);
    }
    cr_expect_eq(config->limits.max_event_bytes, 4 << 20);
    cr_expect_eq(memcmp(&config->limits, &bare->limits, sizeof config->limits), 0);
    cr_expect_eq(config->limits.max_counters, 100000);
    cr_expect_eq(config->limits.heartbeat_first_tokens, 1000);
    cr_expect_eq(config->limits.coalesce_ms, 0);
    cr_expect_eq(config->limits.receive_buffer_bytes, 65536);
    expect_gateway_defaults(&config->gateway);
    expect_gateway_defaults(&bare->gateway);
    cr_expect(node->rest == CONFIG_REST_HTTP && other->rest == CONFIG_REST_HTTP);
    cr_expect(node->rest_connections == 32 && other->rest_connections == 32);
    cr_expect(config->heartbeat_ms == 1000 && bare->heartbeat_ms == 1000);
    cr_expect(config->stop_timeout_ms == 5000 && bare->stop_timeout_ms == 5000);
    cr_expect(config->io_threads == 1 && bare->io_threads == 1);
    cr_expect(config->log_level == LOG_LEVEL_INFO && bare->log_level == LOG_LEVEL_INFO);
    config_destroy(&bare);
    config_destroy(&config);
    cr_expect_null(config);
    config_destroy(&config);
}

/* The second line of each file is the error that it gets. */
static void expect_refusal(const char *path)
{
    char *text = read_text(path);
    char *rest = text;
    cr_assert_not_null(strsep(&rest, "\n"), "%s", path);
    const char *expected = strsep(&rest, "\n");
    cr_assert(expected && strlen(expected) > 2, "%s", path);
    expected += 2;
    struct config_source source = {.file = path};
    struct config *untouched = NULL;
    char error[1024] = "";
    int result = config_load(&source, &untouched, error, sizeof error);
    cr_expect_eq(result, ARIZMQ_EINVALID, "%s", path);
    cr_assert_null(untouched);
    cr_assert_eq(strncmp(error, path, strlen(path)), 0, "%s", error);
    cr_expect_str_eq(error + strlen(path), expected);
    cr_expect_null(strstr(error, SECRET), "%s", error);
    free(text);
}

static void for_each_file(const char *pattern, size_t at_least, void (*do_file)(const char *path))
{
    glob_t found;
    cr_assert_eq(glob(pattern, 0, NULL, &found), 0, "%s", pattern);
    cr_assert_geq(found.gl_pathc, at_least);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        do_file(found.gl_pathv[i]);
    }
    globfree(&found);
}

Test(config, bad_files_get_their_line)
{
    for_each_file(TEST_DATA "/config/bad-*.yaml", 40, expect_refusal);
    for_each_file(TEST_DATA "/config/refused-*.yaml", 15, expect_refusal);
}

/* What is dumped loads again, once it has its passwords, and is dumped the same. */
static void expect_round_trip(const char *path)
{
    struct config_source source = {.file = path};
    struct config *config = NULL;
    char error[1024] = "";
    cr_assert_eq(config_load(&source, &config, error, sizeof error), ARIZMQ_OK, "%s", error);
    char *dump = dump_text(config);
    cr_expect_null(strstr(dump, SECRET));
    cr_expect_not_null(strstr(dump, "\"***\""));
    change_passwords(dump, "***", "new");
    struct config *again = must_load(dump, NULL);
    change_passwords(dump, "new", "***");
    char *second = dump_text(again);
    cr_expect_str_eq(dump, second);
    cr_expect_eq(again->nodes_count, config->nodes_count);
    for (unsigned i = 0; i < config->nodes_count; i++) {
        cr_expect_str_eq(again->nodes[i].username, config->nodes[i].username);
        cr_expect_eq(again->nodes[i].apps_count, config->nodes[i].apps_count);
        cr_expect_eq(again->nodes[i].tls.verify, config->nodes[i].tls.verify);
        cr_expect_str_eq(again->nodes[i].path, config->nodes[i].path);
    }
    free(second);
    free(dump);
    config_destroy(&again);
    config_destroy(&config);
}

Test(config, dump_loads_again)
{
    for_each_file(TEST_DATA "/config/good-*.yaml", 2, expect_round_trip);
    expect_round_trip(EXAMPLE);
}

Test(config, dump_shows_the_topics_that_come_from_the_views)
{
    struct config *config = must_load(ONE_NODE, NULL);
    char *dump = dump_text(config);
    cr_expect_not_null(strstr(dump, "topic: \"{type}/{app}/{node}/{id}/\""), "%s", dump);
    cr_expect_not_null(strstr(dump, "topic: \"{kind}/{id}/{type}/{node}/\""), "%s", dump);
    cr_expect_null(config->publish[0].topic);
    free(dump);
    config_destroy(&config);
}

Test(config, http_is_taken_as_ws)
{
    char *text = read_text(TEST_DATA "/config/good-http.yaml");
    struct config *config = must_load(text, NULL);
    cr_expect_str_eq(config->nodes[0].url, "ws://h:8088/ari");
    cr_expect_not(config->nodes[0].use_tls);
    cr_expect_str_eq(config->nodes[1].url, "wss://h:8089/ari");
    cr_expect(config->nodes[1].use_tls);
    cr_expect_str_eq(config->nodes[1].host, "h");
    cr_expect_eq(config->nodes[1].port, 8089);
    config_destroy(&config);
    free(text);
}

Test(config, endpoints_are_what_can_be_bound)
{
    static const char *const good[] = {"tcp://*:*",       "tcp://127.0.0.1:0", "tcp://lo:65535",
                                       "tcp://[::]:5555", "ipc:///run/a:b",    "inproc://a"};
    static const char *const bad[] = {"tcp://localhost:5555", "tcp://127.1:5555",
                                      "tcp://[1:2]:5555", "tcp://127.0.0.1:65536",
                                      "tcp://*:99999999999999999999"};
    char error[512];
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        cr_expect_eq(config_endpoint_check(good[i], error, sizeof error), ARIZMQ_OK, "%s", good[i]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        error[0] = '\0';
        cr_expect_eq(config_endpoint_check(bad[i], error, sizeof error), ARIZMQ_EINVALID, "%s",
                     bad[i]);
        cr_expect_not_null(strstr(error, "allowed: "), "%s", error);
    }
}

Test(config, reads_every_key)
{
    char *text = read_text(TEST_DATA "/config/good-all-keys.yaml");
    struct config *config = must_load(text, NULL);
    const struct config_node *node = &config->nodes[0];
    cr_expect_str_eq(node->name, "pbx-1.a_B");
    cr_expect_str_eq(node->host, "2001:db8::1");
    cr_expect_eq(node->port, 443);
    cr_expect_str_eq(node->path, "/pbx/ari");
    cr_expect(node->use_tls);
    cr_expect_str_eq(node->username, "null");
    cr_expect_str_eq(node->password, "~ # : \" \\ \xc3\xa9");
    cr_expect_str_eq(node->apps[1], "yes");
    cr_expect_str_eq(node->apps[3], "a: b");
    cr_expect(node->subscribe_all);
    cr_expect_str_eq(node->subscribe_all_app, "1001");
    cr_expect_not(node->tls.verify);
    cr_expect_eq(node->connect_timeout_ms, 100);
    cr_expect_eq(node->liveness_ms, 600000);
    cr_expect_eq(node->backoff_min_ms, 10);
    cr_expect_eq(node->backoff_max_ms, 3600000);
    cr_expect_eq(node->on_replaced, CONFIG_ON_REPLACED_STANDBY);
    cr_expect_eq(node->replaced_retry_ms, 100);
    cr_expect_str_eq(config->nodes[1].name, "b");
    cr_expect_eq(config->publish_count, 3);
    cr_expect_str_eq(config->publish[0].topic, "v1/{kind}/");
    cr_expect_eq(config->publish[0].sndhwm, 1);
    cr_expect_eq(config->publish[2].view, CONFIG_VIEW_EVENTS);
    cr_expect_str_eq(config->publish[2].endpoint, "ipc:///run/arizmq/events");
    cr_expect_eq(config->limits.max_event_bytes, 1073741824);
    cr_expect_eq(config->limits.max_counters, 1);
    cr_expect_eq(config->limits.heartbeat_first_tokens, 7);
    cr_expect_eq(config->limits.coalesce_ms, 5);
    cr_expect_eq(config->limits.receive_buffer_bytes, 1024);
    cr_expect_eq(config->heartbeat_ms, 10);
    cr_expect_eq(config->stop_timeout_ms, 10);
    cr_expect_eq(config->io_threads, 64);
    cr_expect_eq(config->log_level, LOG_LEVEL_DEBUG);
    config_destroy(&config);
    free(text);
}

/* Each another value, so that no two keys can be taken for one another. */
Test(config, reads_every_key_of_the_gateway)
{
    char *text = read_text(TEST_DATA "/config/good-all-keys.yaml");
    struct config *config = must_load(text, NULL);
    const struct config_gateway *gateway = &config->gateway;
    cr_expect_eq(config->nodes[0].rest, CONFIG_REST_WEBSOCKET);
    cr_expect_eq(config->nodes[0].rest_connections, 90);
    cr_expect_not(gateway->enabled);
    /* That of a view, which is none of its business where it is not enabled. */
    cr_expect_str_eq(gateway->endpoint, config->publish[2].endpoint);
    cr_expect_eq(gateway->timeout_ms, 11);
    cr_expect_eq(gateway->max_timeout_ms, 12);
    cr_expect_eq(gateway->answer_timeout_ms, 101);
    cr_expect_eq(gateway->max_requests, 14);
    cr_expect_eq(gateway->max_requests_per_node, 13);
    cr_expect_eq(gateway->max_request_bytes, 2049);
    cr_expect_eq(gateway->max_body_bytes, 2048);
    cr_expect_eq(gateway->max_request_line_bytes, 257);
    cr_expect_eq(gateway->max_reply_bytes, 1073741824);
    cr_expect_eq(gateway->max_objects, 1);
    cr_expect_eq(gateway->feed_bytes, 65536);
    cr_expect_eq(gateway->once_window_ms, 86400000);
    cr_expect_eq(gateway->once_max_requests, 10000000);
    cr_expect_eq(gateway->once_max_bytes, 1099511627776);
    cr_expect_not(gateway->takeover);
    cr_expect_eq(gateway->takeover_timeout_ms, 1000);
    config_destroy(&config);
    free(text);
}

Test(config, files_that_cannot_be_read_are_named)
{
    static const struct {
        const char *path;
        const char *what;
        int result;
    } cases[] = {
        {"/nonexistent.yaml", "cannot be read (No such file or directory)", ARIZMQ_EIO},
        {"/dev", "is no regular file", ARIZMQ_EINVALID},
        {"/dev/zero", "is no regular file", ARIZMQ_EINVALID},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct config_source source = {.file = cases[i].path};
        struct config *untouched = NULL;
        char error[256];
        char expected[256];
        snprintf(expected, sizeof expected,
                 "%s: %s; allowed: a readable YAML file of at most 1048576 bytes", cases[i].path,
                 cases[i].what);
        cr_expect_eq(config_load(&source, &untouched, error, sizeof error), cases[i].result);
        cr_expect_str_eq(error, expected);
        cr_expect_null(untouched);
    }
}

Test(config, files_over_a_mebibyte_are_refused)
{
    enum { SIZE = (1 << 20) + 1 };
    char *blank = malloc(SIZE);
    memset(blank, '\n', SIZE);
    char *path;
    write_file(blank, SIZE, &path);
    struct config_source source = {.file = path};
    struct config *untouched = NULL;
    char error[256];
    cr_expect_eq(config_load(&source, &untouched, error, sizeof error), ARIZMQ_ETOOLARGE);
    cr_expect_not_null(strstr(error, ": is larger than 1048576 bytes; allowed: "), "%s", error);
    unlink(path);
    free(path);
    free(blank);
}

Test(config, broken_utf8_is_refused_with_its_line)
{
    must_refuse("heartbeat_ms: 50\nnodes: \xff\n", NULL,
                "file.yaml:2: is no YAML: invalid leading UTF-8 octet");
}

Test(config, long_values_are_cut_between_characters)
{
    char text[512];
    char quoted[CONFIG_QUOTED_BYTES];
    memset(text, 'x', 73);
    strcpy(text + 73, "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9");
    config_quote(text, quoted);
    cr_expect_eq(strlen(quoted), 1 + 73 + 3 + 1);
    cr_expect_str_eq(quoted + 1 + 73, "...\"");
    cr_expect_str_eq(config_quote("a\nb\x1b\x7f\xff", quoted), "\"a?b???\"");
}

Test(config, error_fits_into_any_buffer)
{
    char whole[1024] = "";
    struct config *untouched = NULL;
    load("nodes: 1", NULL, NULL, &untouched, whole, sizeof whole);
    for (size_t size = 1; size < 64; size++) {
        char *error = malloc(size); /* so that a write beyond it is seen */
        cr_assert_eq(load("nodes: 1", NULL, NULL, &untouched, error, size), ARIZMQ_EINVALID);
        cr_expect_eq(strncmp(error, whole, size - 1), 0, "%zu: %s", size, error);
        cr_expect_lt(strlen(error), size);
        free(error);
    }
}

Test(config, topics_are_checked_by_token)
{
    static const char *const good[] = {"{type}/", "a/", "{type}/{app}/{node}/{kind}/{id}/",
                                       "A-Za-z.0_9/1/2/3/4/5/6/7/"};
    static const char *const bad[] = {
        "",    "/",      "{type}", "{type}/{id}",        "{Type}/", "{type}x/", "a b/",
        "{}/", "{type/", "//",     "1/2/3/4/5/6/7/8/9/", "a/\n/"};
    char error[512];
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        cr_expect_eq(config_check_topic(good[i], error, sizeof error), ARIZMQ_OK, "%s", good[i]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        error[0] = '\0';
        cr_expect_eq(config_check_topic(bad[i], error, sizeof error), ARIZMQ_EINVALID, "%s",
                     bad[i]);
        cr_expect_not_null(strstr(error, "allowed: "), "%s", error);
        cr_expect_null(strchr(error, '\n'));
    }
}
