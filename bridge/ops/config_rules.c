/* SPDX-License-Identifier: MPL-2.0 */
/*
 * One line for each key of the configuration: its variable, its default, what is allowed; and the
 * defaults of each view, topic template included. The
 * schema walk (config_shape.c), the environment (config_env.c) and the error lines read it; a test
 * compares it with schemas/config.schema.json and docker/arizmqd.example.yaml. It decides nothing
 * that needs two keys.
 */
#include "ops/config_internal.h"

#include <regex.h>
#include <string.h>

#define PORT  "([0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
#define HOST6 "\\[[0-9A-Fa-f:.]{2,45}\\]"

/* What a ZeroMQ socket is bound to; config_endpoint_check() looks closer at hosts and ports. */
#define ENDPOINT                                                                                   \
    "^(tcp://(\\*|[A-Za-z0-9._-]{1,253}|" HOST6 "):(\\*|" PORT                                     \
    ")|ipc://.{1,107}|inproc://.{1,249})$"
#define ENDPOINT_ALLOWED "tcp://ADDRESS:PORT, ipc://PATH or inproc://NAME"

const struct config_rule config_rules[] = {
    {.path = "nodes", .allowed = "a list of 1 to 4096 nodes"},
    {.path = "nodes[].name",
     .variable = "ARIZMQ_NODE_NAME",
     .pattern = "^[A-Za-z0-9._-]{1,64}$",
     .allowed = "1 to 64 of A-Z a-z 0-9 . _ -"},
    {.path = "nodes[].url",
     .variable = "ARI_URL",
     .pattern =
         "^(ws|http)s?://([A-Za-z0-9._-]{1,253}|" HOST6 ")(:" PORT ")?(/[A-Za-z0-9._~-]+)+/?$",
     .allowed = CONFIG_URL_ALLOWED,
     .check = config_url_check},
    {.path = "nodes[].username",
     .variable = "ARI_USERNAME",
     .pattern = "^[^:]+$",
     .allowed = "1 to 256 bytes without ':'"},
    {.path = "nodes[].password",
     .variable = "ARI_PASSWORD",
     .allowed = "1 to 1024 bytes",
     .check = config_password_check,
     .is_secret = true},
    {.path = "nodes[].password_file",
     .variable = "ARI_PASSWORD_FILE",
     .allowed = "a file that holds the password in one line"},
    {.path = "nodes[].apps", .variable = "ARI_APPLICATION", .allowed = "a list of 1 to 32 names"},
    {.path = "nodes[].apps[]", .pattern = "^[^,]+$", .allowed = "1 to 70 bytes without ','"},
    {.path = "nodes[].subscribe_all", .variable = "ARIZMQ_SUBSCRIBE_ALL", .initial = "false"},
    {.path = "nodes[].subscribe_all_app",
     .variable = "ARIZMQ_SUBSCRIBE_ALL_APP",
     .pattern = "^[^,]+$",
     .allowed = "one of this node's apps"},
    {.path = "nodes[].tls.ca_file",
     .variable = "ARIZMQ_TLS_CA_FILE",
     .allowed = "a readable PEM file of certificates"},
    {.path = "nodes[].tls.cert_file",
     .variable = "ARIZMQ_TLS_CERT_FILE",
     .allowed = "a readable PEM file with a certificate"},
    {.path = "nodes[].tls.key_file",
     .variable = "ARIZMQ_TLS_KEY_FILE",
     .allowed = "a readable PEM file with the unencrypted key of cert_file"},
    {.path = "nodes[].tls.verify", .variable = "ARIZMQ_TLS_VERIFY", .initial = "true"},
    {.path = "nodes[].connect_timeout_ms",
     .variable = "ARIZMQ_CONNECT_TIMEOUT_MS",
     .initial = "5000",
     .min = 100,
     .max = 600000},
    {.path = "nodes[].liveness_ms",
     .variable = "ARIZMQ_LIVENESS_MS",
     .initial = "10000",
     .min = 1000,
     .max = 600000},
    {.path = "nodes[].backoff_min_ms",
     .variable = "ARIZMQ_BACKOFF_MIN_MS",
     .initial = "200",
     .min = 10,
     .max = 600000},
    {.path = "nodes[].backoff_max_ms",
     .variable = "ARIZMQ_BACKOFF_MAX_MS",
     .initial = "30000",
     .min = 10,
     .max = 3600000},
    {.path = "nodes[].on_replaced", .variable = "ARIZMQ_ON_REPLACED", .initial = "when_free"},
    {.path = "nodes[].replaced_retry_ms",
     .variable = "ARIZMQ_REPLACED_RETRY_MS",
     .initial = "30000",
     .min = 100,
     .max = 3600000},
    {.path = "nodes[].rest", .variable = "ARIZMQ_REST", .initial = "http"},
    {.path = "nodes[].rest_connections",
     .variable = "ARIZMQ_REST_CONNECTIONS",
     .initial = "32",
     .min = 1,
     .max = 90},
    {.path = "publish", .allowed = "a list of 1 to 16 entries"},
    {.path = "publish[].endpoint",
     .pattern = ENDPOINT,
     .allowed = ENDPOINT_ALLOWED,
     .check = config_endpoint_check},
    {.path = "publish[].topic",
     .allowed = "1 to 8 tokens such as {type}/ or text/",
     .check = config_check_topic},
    {.path = "publish[].sndhwm", .initial = "10000", .min = 1, .max = 10000000},
    {.path = "limits.max_event_bytes",
     .variable = "ARIZMQ_LIMITS_MAX_EVENT_BYTES",
     .initial = "4194304",
     .min = 1024,
     .max = 1073741824},
    {.path = "limits.max_counters",
     .variable = "ARIZMQ_LIMITS_MAX_COUNTERS",
     .initial = "100000",
     .min = 1,
     .max = 10000000},
    {.path = "limits.heartbeat_first_tokens",
     .variable = "ARIZMQ_LIMITS_HEARTBEAT_FIRST_TOKENS",
     .initial = "1000",
     .min = 1,
     .max = 100000},
    {.path = "limits.coalesce_ms",
     .variable = "ARIZMQ_LIMITS_COALESCE_MS",
     .initial = "0",
     .max = 100},
    {.path = "limits.receive_buffer_bytes",
     .variable = "ARIZMQ_LIMITS_RECEIVE_BUFFER_BYTES",
     .initial = "65536",
     .min = 1024,
     .max = 16777216},
    {.path = "gateway.enabled", .variable = "ARIZMQ_GATEWAY_ENABLED", .initial = "true"},
    {.path = "gateway.endpoint",
     .variable = "ARIZMQ_GATEWAY_ENDPOINT",
     .initial = "tcp://127.0.0.1:5558",
     .pattern = ENDPOINT,
     .allowed = ENDPOINT_ALLOWED,
     .check = config_endpoint_check},
    {.path = "gateway.timeout_ms",
     .variable = "ARIZMQ_GATEWAY_TIMEOUT_MS",
     .initial = "5000",
     .min = 10,
     .max = 3600000},
    {.path = "gateway.max_timeout_ms",
     .variable = "ARIZMQ_GATEWAY_MAX_TIMEOUT_MS",
     .initial = "600000",
     .min = 10,
     .max = 3600000},
    {.path = "gateway.answer_timeout_ms",
     .variable = "ARIZMQ_GATEWAY_ANSWER_TIMEOUT_MS",
     .initial = "30000",
     .min = 100,
     .max = 3600000},
    {.path = "gateway.max_requests",
     .variable = "ARIZMQ_GATEWAY_MAX_REQUESTS",
     .initial = "20000",
     .min = 1,
     .max = 1000000},
    {.path = "gateway.max_requests_per_node",
     .variable = "ARIZMQ_GATEWAY_MAX_REQUESTS_PER_NODE",
     .initial = "10000",
     .min = 1,
     .max = 1000000},
    {.path = "gateway.max_request_bytes",
     .variable = "ARIZMQ_GATEWAY_MAX_REQUEST_BYTES",
     .initial = "65536",
     .min = 1024,
     .max = 16777216},
    {.path = "gateway.max_body_bytes",
     .variable = "ARIZMQ_GATEWAY_MAX_BODY_BYTES",
     .initial = "40960",
     .min = 1024,
     .max = 16777216},
    {.path = "gateway.max_request_line_bytes",
     .variable = "ARIZMQ_GATEWAY_MAX_REQUEST_LINE_BYTES",
     .initial = "4096",
     .min = 256,
     .max = 65536},
    {.path = "gateway.max_reply_bytes",
     .variable = "ARIZMQ_GATEWAY_MAX_REPLY_BYTES",
     .initial = "67108864",
     .min = 1024,
     .max = 1073741824},
    {.path = "gateway.max_objects",
     .variable = "ARIZMQ_GATEWAY_MAX_OBJECTS",
     .initial = "500000",
     .min = 1,
     .max = 10000000},
    {.path = "gateway.feed_bytes",
     .variable = "ARIZMQ_GATEWAY_FEED_BYTES",
     .initial = "4194304",
     .min = 65536,
     .max = 1073741824},
    {.path = "gateway.once_window_ms",
     .variable = "ARIZMQ_GATEWAY_ONCE_WINDOW_MS",
     .initial = "300000",
     .min = 100,
     .max = 86400000},
    {.path = "gateway.once_max_requests",
     .variable = "ARIZMQ_GATEWAY_ONCE_MAX_REQUESTS",
     .initial = "100000",
     .min = 1,
     .max = 10000000},
    {.path = "gateway.once_max_bytes",
     .variable = "ARIZMQ_GATEWAY_ONCE_MAX_BYTES",
     .initial = "67108864",
     .min = 1024,
     .max = 1099511627776},
    {.path = "gateway.takeover", .variable = "ARIZMQ_GATEWAY_TAKEOVER", .initial = "true"},
    {.path = "gateway.takeover_timeout_ms",
     .variable = "ARIZMQ_GATEWAY_TAKEOVER_TIMEOUT_MS",
     .initial = "10000",
     .min = 1000,
     .max = 600000},
    {.path = "history.max_bytes",
     .variable = "ARIZMQ_HISTORY_MAX_BYTES",
     .initial = "67108864",
     .min = 0,
     .max = 1099511627776},
    {.path = "history.max_age_ms",
     .variable = "ARIZMQ_HISTORY_MAX_AGE_MS",
     .initial = "3600000",
     .min = 1000,
     .max = 604800000},
    {.path = "history.max_page_messages",
     .variable = "ARIZMQ_HISTORY_MAX_PAGE_MESSAGES",
     .initial = "10000",
     .min = 1,
     .max = 1000000},
    {.path = "history.max_page_bytes",
     .variable = "ARIZMQ_HISTORY_MAX_PAGE_BYTES",
     .initial = "8388608",
     .min = 1024,
     .max = 1073741824},
    {.path = "history.max_unread_bytes",
     .variable = "ARIZMQ_HISTORY_MAX_UNREAD_BYTES",
     .initial = "67108864",
     .min = 1048576,
     .max = 1099511627776},
    {.path = "journal.path", .variable = "ARIZMQ_JOURNAL_PATH", .allowed = "the path of a file"},
    {.path = "journal.max_bytes",
     .variable = "ARIZMQ_JOURNAL_MAX_BYTES",
     .initial = "1073741824",
     .min = 1048576,
     .max = 1099511627776},
    {.path = "journal.max_age_ms",
     .variable = "ARIZMQ_JOURNAL_MAX_AGE_MS",
     .initial = "604800000",
     .min = 1000,
     .max = 31536000000},
    {.path = "journal.commit_ms",
     .variable = "ARIZMQ_JOURNAL_COMMIT_MS",
     .initial = "100",
     .min = 1,
     .max = 60000},
    {.path = "state.enabled", .variable = "ARIZMQ_STATE_ENABLED", .initial = "true"},
    {.path = "state.max_objects",
     .variable = "ARIZMQ_STATE_MAX_OBJECTS",
     .initial = "500000",
     .min = 1,
     .max = 10000000},
    {.path = "state.max_bytes",
     .variable = "ARIZMQ_STATE_MAX_BYTES",
     .initial = "268435456",
     .min = 1048576,
     .max = 1099511627776},
    {.path = "state.reconcile_per_s",
     .variable = "ARIZMQ_STATE_RECONCILE_PER_S",
     .initial = "1000",
     .min = 1,
     .max = 1000000},
    {.path = "heartbeat_ms",
     .variable = "ARIZMQ_HEARTBEAT_MS",
     .initial = "1000",
     .min = 10,
     .max = 3600000},
    {.path = "stop_timeout_ms",
     .variable = "ARIZMQ_STOP_TIMEOUT_MS",
     .initial = "5000",
     .min = 10,
     .max = 600000},
    {.path = "io_threads", .variable = "ARIZMQ_IO_THREADS", .initial = "1", .min = 1, .max = 64},
    {.path = "log.level", .variable = "ARIZMQ_LOG_LEVEL", .initial = "info"},
};

const struct config_view config_views[CONFIG_VIEWS] = {
    [CONFIG_VIEW_EVENTS] = {.name = "events",
                            .variable = "ARIZMQ_PUBLISH_EVENTS",
                            .endpoint = "tcp://127.0.0.1:5555",
                            .topic = "{type}/{app}/{node}/{id}/"},
    [CONFIG_VIEW_OBJECTS] = {.name = "objects",
                             .variable = "ARIZMQ_PUBLISH_OBJECTS",
                             .endpoint = "tcp://127.0.0.1:5556",
                             .topic = "{kind}/{id}/{type}/{node}/"},
};

const char *config_view_name(enum config_view_kind view)
{
    return config_views[view].name;
}

const char *config_view_topic(enum config_view_kind view)
{
    return config_views[view].topic;
}

const size_t config_rules_count = sizeof config_rules / sizeof config_rules[0];

/* Whether "nodes[3].name" is one of "nodes[].name". */
static bool path_is_of(const char *path, const char *pattern)
{
    while (*pattern != '\0') {
        if (*path++ != *pattern) {
            return false;
        }
        if (*pattern++ == '[') {
            path += strspn(path, "0123456789");
        }
    }
    return *path == '\0';
}

const struct config_rule *config_rule_find(const char *path)
{
    for (size_t i = 0; i < config_rules_count; i++) {
        if (path_is_of(path, config_rules[i].path)) {
            return &config_rules[i];
        }
    }
    return NULL;
}

bool config_rule_is_of_node(const struct config_rule *rule)
{
    return strncmp(rule->path, "nodes[].", strlen("nodes[].")) == 0;
}

bool config_pattern_matches(const char *pattern, const char *text)
{
    regex_t expression;
    if (regcomp(&expression, pattern, REG_EXTENDED | REG_NOSUB) != 0) {
        return false; /* no memory: refused rather than let through */
    }
    bool matches = regexec(&expression, text, 0, NULL, 0) == 0;
    regfree(&expression);
    return matches;
}
