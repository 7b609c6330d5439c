/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The shape of the configuration as libcyaml reads it: every key with its type and its member in
 * struct config. Lengths of texts and lists stand here, ranges and forms in config_rules.c.
 * libcyaml and config_shape.c walk these tables; the tables hold no rule that looks at two values.
 */
#include "ops/config_internal.h"

#include "ops/log.h"

enum {
    APPS_MAX = 32,
    TEXT_MAX = 256,
    URL_MAX = 1024,
    FILE_NAME_MAX = 4095,
};

/* Texts are written in quotes, so that "yes" or "~" come back as texts. */
#define TEXT          (CYAML_FLAG_POINTER | CYAML_FLAG_SCALAR_QUOTE_DOUBLE)
#define OPTIONAL_TEXT (TEXT | CYAML_FLAG_OPTIONAL)
#define OPTIONAL      CYAML_FLAG_OPTIONAL

static const cyaml_strval_t on_replaced_names[] = {
    {"standby", CONFIG_ON_REPLACED_STANDBY},
    {"when_free", CONFIG_ON_REPLACED_WHEN_FREE},
    {"reconnect", CONFIG_ON_REPLACED_RECONNECT},
};

static const cyaml_strval_t rest_names[] = {
    {"http", CONFIG_REST_HTTP},
    {"websocket", CONFIG_REST_WEBSOCKET},
};

static const cyaml_strval_t view_names[] = {
    {"events", CONFIG_VIEW_EVENTS},
    {"objects", CONFIG_VIEW_OBJECTS},
};

static const cyaml_strval_t log_level_names[] = {
    {"error", LOG_LEVEL_ERROR},
    {"warning", LOG_LEVEL_WARNING},
    {"info", LOG_LEVEL_INFO},
    {"debug", LOG_LEVEL_DEBUG},
};

static const cyaml_schema_field_t tls_fields[] = {
    CYAML_FIELD_STRING_PTR("ca_file", OPTIONAL_TEXT, struct config_tls, ca_file, 1, FILE_NAME_MAX),
    CYAML_FIELD_STRING_PTR("cert_file", OPTIONAL_TEXT, struct config_tls, cert_file, 1,
                           FILE_NAME_MAX),
    CYAML_FIELD_STRING_PTR("key_file", OPTIONAL_TEXT, struct config_tls, key_file, 1,
                           FILE_NAME_MAX),
    CYAML_FIELD_BOOL("verify", OPTIONAL, struct config_tls, verify),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t app_schema = {
    CYAML_VALUE_STRING(TEXT, char, 1, 70),
};

static const cyaml_schema_field_t node_fields[] = {
    CYAML_FIELD_STRING_PTR("name", TEXT, struct config_node, name, 1, 64),
    CYAML_FIELD_STRING_PTR("url", TEXT, struct config_node, url, 1, URL_MAX),
    CYAML_FIELD_STRING_PTR("username", TEXT, struct config_node, username, 1, TEXT_MAX),
    CYAML_FIELD_STRING_PTR("password", OPTIONAL_TEXT, struct config_node, password, 1, URL_MAX),
    CYAML_FIELD_STRING_PTR("password_file", OPTIONAL_TEXT, struct config_node, password_file, 1,
                           FILE_NAME_MAX),
    CYAML_FIELD_SEQUENCE_COUNT("apps", CYAML_FLAG_POINTER, struct config_node, apps, apps_count,
                               &app_schema, 1, APPS_MAX),
    CYAML_FIELD_BOOL("subscribe_all", OPTIONAL, struct config_node, subscribe_all),
    CYAML_FIELD_STRING_PTR("subscribe_all_app", OPTIONAL_TEXT, struct config_node,
                           subscribe_all_app, 1, 70),
    CYAML_FIELD_MAPPING("tls", OPTIONAL, struct config_node, tls, tls_fields),
    CYAML_FIELD_UINT("connect_timeout_ms", OPTIONAL, struct config_node, connect_timeout_ms),
    CYAML_FIELD_UINT("liveness_ms", OPTIONAL, struct config_node, liveness_ms),
    CYAML_FIELD_UINT("backoff_min_ms", OPTIONAL, struct config_node, backoff_min_ms),
    CYAML_FIELD_UINT("backoff_max_ms", OPTIONAL, struct config_node, backoff_max_ms),
    CYAML_FIELD_ENUM("on_replaced", OPTIONAL, struct config_node, on_replaced, on_replaced_names,
                     CYAML_ARRAY_LEN(on_replaced_names)),
    CYAML_FIELD_UINT("replaced_retry_ms", OPTIONAL, struct config_node, replaced_retry_ms),
    CYAML_FIELD_ENUM("rest", OPTIONAL, struct config_node, rest, rest_names,
                     CYAML_ARRAY_LEN(rest_names)),
    CYAML_FIELD_UINT("rest_connections", OPTIONAL, struct config_node, rest_connections),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t node_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct config_node, node_fields),
};

static const cyaml_schema_field_t publish_fields[] = {
    CYAML_FIELD_ENUM("view", CYAML_FLAG_DEFAULT, struct config_publish, view, view_names,
                     CYAML_ARRAY_LEN(view_names)),
    CYAML_FIELD_STRING_PTR("endpoint", TEXT, struct config_publish, endpoint, 1, TEXT_MAX),
    CYAML_FIELD_STRING_PTR("topic", OPTIONAL_TEXT, struct config_publish, topic, 1, TEXT_MAX),
    CYAML_FIELD_INT("sndhwm", OPTIONAL, struct config_publish, sndhwm),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t publish_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct config_publish, publish_fields),
};

static const cyaml_schema_field_t limits_fields[] = {
    CYAML_FIELD_UINT("max_event_bytes", OPTIONAL, struct config_limits, max_event_bytes),
    CYAML_FIELD_UINT("max_counters", OPTIONAL, struct config_limits, max_counters),
    CYAML_FIELD_UINT("heartbeat_first_tokens", OPTIONAL, struct config_limits,
                     heartbeat_first_tokens),
    CYAML_FIELD_UINT("coalesce_ms", OPTIONAL, struct config_limits, coalesce_ms),
    CYAML_FIELD_UINT("receive_buffer_bytes", OPTIONAL, struct config_limits, receive_buffer_bytes),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t gateway_fields[] = {
    CYAML_FIELD_BOOL("enabled", OPTIONAL, struct config_gateway, enabled),
    CYAML_FIELD_STRING_PTR("endpoint", OPTIONAL_TEXT, struct config_gateway, endpoint, 1, TEXT_MAX),
    CYAML_FIELD_UINT("timeout_ms", OPTIONAL, struct config_gateway, timeout_ms),
    CYAML_FIELD_UINT("max_timeout_ms", OPTIONAL, struct config_gateway, max_timeout_ms),
    CYAML_FIELD_UINT("answer_timeout_ms", OPTIONAL, struct config_gateway, answer_timeout_ms),
    CYAML_FIELD_UINT("max_requests", OPTIONAL, struct config_gateway, max_requests),
    CYAML_FIELD_UINT("max_requests_per_node", OPTIONAL, struct config_gateway,
                     max_requests_per_node),
    CYAML_FIELD_UINT("max_request_bytes", OPTIONAL, struct config_gateway, max_request_bytes),
    CYAML_FIELD_UINT("max_body_bytes", OPTIONAL, struct config_gateway, max_body_bytes),
    CYAML_FIELD_UINT("max_request_line_bytes", OPTIONAL, struct config_gateway,
                     max_request_line_bytes),
    CYAML_FIELD_UINT("max_reply_bytes", OPTIONAL, struct config_gateway, max_reply_bytes),
    CYAML_FIELD_UINT("max_objects", OPTIONAL, struct config_gateway, max_objects),
    CYAML_FIELD_UINT("feed_bytes", OPTIONAL, struct config_gateway, feed_bytes),
    CYAML_FIELD_UINT("once_window_ms", OPTIONAL, struct config_gateway, once_window_ms),
    CYAML_FIELD_UINT("once_max_requests", OPTIONAL, struct config_gateway, once_max_requests),
    CYAML_FIELD_UINT("once_max_bytes", OPTIONAL, struct config_gateway, once_max_bytes),
    CYAML_FIELD_BOOL("takeover", OPTIONAL, struct config_gateway, takeover),
    CYAML_FIELD_UINT("takeover_timeout_ms", OPTIONAL, struct config_gateway, takeover_timeout_ms),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t history_fields[] = {
    CYAML_FIELD_UINT("max_bytes", OPTIONAL, struct config_history, max_bytes),
    CYAML_FIELD_UINT("max_age_ms", OPTIONAL, struct config_history, max_age_ms),
    CYAML_FIELD_UINT("max_page_messages", OPTIONAL, struct config_history, max_page_messages),
    CYAML_FIELD_UINT("max_page_bytes", OPTIONAL, struct config_history, max_page_bytes),
    CYAML_FIELD_UINT("max_unread_bytes", OPTIONAL, struct config_history, max_unread_bytes),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t journal_fields[] = {
    CYAML_FIELD_STRING_PTR("path", OPTIONAL_TEXT, struct config_journal, path, 1, FILE_NAME_MAX),
    CYAML_FIELD_UINT("max_bytes", OPTIONAL, struct config_journal, max_bytes),
    CYAML_FIELD_UINT("max_age_ms", OPTIONAL, struct config_journal, max_age_ms),
    CYAML_FIELD_UINT("commit_ms", OPTIONAL, struct config_journal, commit_ms),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t state_fields[] = {
    CYAML_FIELD_BOOL("enabled", OPTIONAL, struct config_state, enabled),
    CYAML_FIELD_UINT("max_objects", OPTIONAL, struct config_state, max_objects),
    CYAML_FIELD_UINT("max_bytes", OPTIONAL, struct config_state, max_bytes),
    CYAML_FIELD_UINT("reconcile_per_s", OPTIONAL, struct config_state, reconcile_per_s),
    CYAML_FIELD_END,
};

/* In YAML a mapping "log", in struct config the one member log_level: a struct of one int. */
struct log_mapping {
    int level;
};
_Static_assert(sizeof(struct log_mapping) == sizeof(((struct config *)NULL)->log_level),
               "log_level stands for a struct log_mapping");

static const cyaml_schema_field_t log_fields[] = {
    CYAML_FIELD_ENUM("level", OPTIONAL, struct log_mapping, level, log_level_names,
                     CYAML_ARRAY_LEN(log_level_names)),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t root_fields[] = {
    CYAML_FIELD_SEQUENCE_COUNT("nodes", CYAML_FLAG_POINTER, struct config, nodes, nodes_count,
                               &node_schema, 1, CONFIG_NODES_MAX),
    CYAML_FIELD_SEQUENCE_COUNT("publish", CYAML_FLAG_POINTER, struct config, publish, publish_count,
                               &publish_schema, 1, CONFIG_PUBLISH_MAX),
    CYAML_FIELD_MAPPING("limits", OPTIONAL, struct config, limits, limits_fields),
    CYAML_FIELD_MAPPING("gateway", OPTIONAL, struct config, gateway, gateway_fields),
    CYAML_FIELD_MAPPING("history", OPTIONAL, struct config, history, history_fields),
    CYAML_FIELD_MAPPING("journal", OPTIONAL, struct config, journal, journal_fields),
    CYAML_FIELD_MAPPING("state", OPTIONAL, struct config, state, state_fields),
    CYAML_FIELD_UINT("heartbeat_ms", OPTIONAL, struct config, heartbeat_ms),
    CYAML_FIELD_UINT("stop_timeout_ms", OPTIONAL, struct config, stop_timeout_ms),
    CYAML_FIELD_INT("io_threads", OPTIONAL, struct config, io_threads),
    {
        .key = "log",
        .data_offset = offsetof(struct config, log_level),
        .value = {CYAML_VALUE_MAPPING(OPTIONAL, struct log_mapping, log_fields)},
    },
    CYAML_FIELD_END,
};

const cyaml_schema_value_t config_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct config, root_fields),
};

const cyaml_config_t config_cyaml = {
    .log_fn = NULL,
    .mem_fn = cyaml_mem,
    .log_level = CYAML_LOG_ERROR,
    .flags = CYAML_CFG_STYLE_BLOCK | CYAML_CFG_NO_ALIAS,
};
