/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The rules that need more than one value: names and endpoints that stand twice, options that
 * belong together, files that must be there. config_load() calls it with the filled struct config;
 * what is derived (host, port, path, password, subscribe_all_app) is filled in here. It opens no
 * connection.
 */
#include "arizmq/error.h"
#include "ops/config_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { PASSWORD_FILE_MAX = 1026 }; /* a password and "\r\n" */

const char *config_node_path(unsigned index, const char *key, char out[CONFIG_PATH_BYTES])
{
    snprintf(out, CONFIG_PATH_BYTES, "nodes[%u].%s", index, key);
    return out;
}

static int check_url(struct config_tree *tree, struct config_node *node, unsigned index)
{
    char path[CONFIG_PATH_BYTES];
    char error[512];
    struct config_url url;
    if (config_url_parse(node->url, &url, error, sizeof error) != ARIZMQ_OK) {
        return config_refuse(tree, config_node_path(index, "url", path), node->url, "%s", error);
    }
    node->use_tls = url.use_tls;
    node->host = url.host;
    node->port = url.port;
    node->path = url.path;
    return ARIZMQ_OK;
}

/* The content of password_file without its final newline. */
static int read_password(struct config_tree *tree, struct config_node *node, unsigned index)
{
    char path[CONFIG_PATH_BYTES];
    char why[128];
    char *text;
    size_t length;
    config_node_path(index, "password_file", path);
    int result = config_read_file(node->password_file, PASSWORD_FILE_MAX, &text, &length);
    if (result == ARIZMQ_ENOMEM) {
        return config_out_of_memory(tree);
    }
    if (result != ARIZMQ_OK) {
        return config_refuse(tree, path, node->password_file, "%s; allowed: %s",
                             config_read_error(result, PASSWORD_FILE_MAX, why, sizeof why),
                             config_rule_find(path)->allowed);
    }
    if (length > 0 && text[length - 1] == '\n') {
        length -= length > 1 && text[length - 2] == '\r' ? 2 : 1;
    }
    bool is_line = length > 0;
    for (size_t i = 0; i < length; i++) {
        is_line = is_line && (unsigned char)text[i] >= 0x20 && text[i] != 0x7f;
    }
    text[length] = '\0';
    if (!is_line) {
        free(text);
        return config_refuse(tree, path, node->password_file,
                             "is empty or holds more than one line of text; allowed: %s",
                             config_rule_find(path)->allowed);
    }
    node->password = text;
    return ARIZMQ_OK;
}

static int check_password(struct config_tree *tree, struct config_node *node, unsigned index)
{
    char path[CONFIG_PATH_BYTES];
    if (node->password && node->password_file) {
        return config_refuse(tree, config_node_path(index, "password_file", path), NULL,
                             "is given beside password; allowed: one of the two");
    }
    if (node->password_file) {
        return read_password(tree, node, index);
    }
    if (!node->password) {
        struct config_place place =
            config_tree_place(tree, config_node_path(index, "password", path));
        return config_refuse_at(tree, &place, place.origin ? "ARI_PASSWORD" : path, NULL,
                                "is missing; allowed: password or password_file, or ARI_PASSWORD "
                                "or ARI_PASSWORD_FILE in the environment");
    }
    return ARIZMQ_OK;
}

static bool has_app(const struct config_node *node, const char *app, unsigned before)
{
    for (unsigned i = 0; i < before; i++) {
        if (strcmp(node->apps[i], app) == 0) {
            return true;
        }
    }
    return false;
}

static int check_apps(struct config_tree *tree, struct config_node *node, unsigned index)
{
    char path[CONFIG_PATH_BYTES];
    for (unsigned i = 1; i < node->apps_count; i++) {
        if (has_app(node, node->apps[i], i)) {
            snprintf(path, sizeof path, "nodes[%u].apps[%u]", index, i);
            return config_refuse(tree, path, node->apps[i],
                                 "is in this list already; allowed: each application once");
        }
    }
    if (node->subscribe_all_app && !has_app(node, node->subscribe_all_app, node->apps_count)) {
        return config_refuse(tree, config_node_path(index, "subscribe_all_app", path),
                             node->subscribe_all_app,
                             "is not in this node's apps; allowed: one of them");
    }
    if (!node->subscribe_all || node->subscribe_all_app) {
        return ARIZMQ_OK;
    }
    if (node->apps_count > 1) {
        return config_refuse(tree, config_node_path(index, "subscribe_all", path), NULL,
                             "is true with %u apps, each event would come %u times; allowed: with "
                             "subscribe_all_app, which names one of them",
                             node->apps_count, node->apps_count);
    }
    node->subscribe_all_app = strdup(node->apps[0]);
    return node->subscribe_all_app ? ARIZMQ_OK : config_out_of_memory(tree);
}

/* http:// and https:// are what ARI's other clients have; from here on it is ws:// and wss://. */
static void make_websocket_url(char *url)
{
    static const char http[] = "http";
    if (strncmp(url, http, strlen(http)) == 0) {
        memmove(url, "ws", strlen("ws"));
        memmove(url + strlen("ws"), url + strlen(http), strlen(url + strlen(http)) + 1);
    }
}

static int check_node(struct config_tree *tree, struct config_node *node, unsigned index)
{
    char path[CONFIG_PATH_BYTES];
    int result = check_url(tree, node, index);
    if (result == ARIZMQ_OK) {
        result = check_password(tree, node, index);
    }
    if (result == ARIZMQ_OK) {
        result = check_apps(tree, node, index);
    }
    if (result == ARIZMQ_OK) {
        result = config_tls_check(tree, node, index);
    }
    if (result == ARIZMQ_OK && node->backoff_min_ms > node->backoff_max_ms) {
        result = config_refuse(tree, config_node_path(index, "backoff_min_ms", path), NULL,
                               "is %u and backoff_max_ms %u; allowed: at most backoff_max_ms",
                               node->backoff_min_ms, node->backoff_max_ms);
    }
    make_websocket_url(node->url);
    return result;
}

static bool is_same_server(const struct config_node *one, const struct config_node *other)
{
    struct config_url first = {.host = one->host, .port = one->port, .path = one->path};
    struct config_url second = {.host = other->host, .port = other->port, .path = other->path};
    return config_url_is_same(&first, &second);
}

/* Asterisk gives an application to the client that came last: two links to one application would
 * take it from each other for ever. */
static int check_pair(struct config_tree *tree, const struct config *config, unsigned one,
                      unsigned other)
{
    char path[CONFIG_PATH_BYTES];
    const struct config_node *first = &config->nodes[one];
    const struct config_node *second = &config->nodes[other];
    if (strcmp(first->name, second->name) == 0) {
        return config_refuse(tree, config_node_path(other, "name", path), second->name,
                             "is the name of nodes[%u] too; allowed: each name once", one);
    }
    if (!is_same_server(first, second)) {
        return ARIZMQ_OK;
    }
    for (unsigned i = 0; i < second->apps_count; i++) {
        if (has_app(first, second->apps[i], first->apps_count)) {
            snprintf(path, sizeof path, "nodes[%u].apps[%u]", other, i);
            return config_refuse(tree, path, second->apps[i],
                                 "is an app of nodes[%u] too, which has the same url: they would "
                                 "take it from each other; allowed: each application once for each "
                                 "url",
                                 one);
        }
    }
    return ARIZMQ_OK;
}

/* tcp://127.0.0.1:* and the like: every bind finds another free one. */
static bool is_wildcard(const char *endpoint)
{
    const char *end = strrchr(endpoint, ':');
    return strcmp(end, ":*") == 0 || strcmp(end, ":0") == 0 || strcmp(end, "://*") == 0;
}

static int check_publish(struct config_tree *tree, const struct config *config)
{
    for (unsigned i = 0; i < config->publish_count; i++) {
        const char *endpoint = config->publish[i].endpoint;
        for (unsigned j = 0; j < i; j++) {
            if (strcmp(endpoint, config->publish[j].endpoint) == 0 && !is_wildcard(endpoint)) {
                char path[CONFIG_PATH_BYTES];
                snprintf(path, sizeof path, "publish[%u].endpoint", i);
                return config_refuse(tree, path, endpoint,
                                     "is the endpoint of publish[%u] too; allowed: each once", j);
            }
        }
    }
    return ARIZMQ_OK;
}

static int check_gateway_endpoint(struct config_tree *tree, const struct config *config)
{
    const char *endpoint = config->gateway.endpoint;
    for (unsigned i = 0; i < config->publish_count; i++) {
        if (strcmp(endpoint, config->publish[i].endpoint) == 0 && !is_wildcard(endpoint)) {
            return config_refuse(tree, "gateway.endpoint", endpoint,
                                 "is the endpoint of publish[%u] too; allowed: one of its own, or "
                                 "gateway.enabled: false",
                                 i);
        }
    }
    return ARIZMQ_OK;
}

static int check_gateway(struct config_tree *tree, const struct config *config)
{
    const struct config_gateway *gateway = &config->gateway;
    const struct {
        const char *path;
        uint32_t value;
        const char *bound;
        uint32_t most;
    } pairs[] = {
        {"gateway.timeout_ms", gateway->timeout_ms, "max_timeout_ms", gateway->max_timeout_ms},
        {"gateway.max_requests_per_node", gateway->max_requests_per_node, "max_requests",
         gateway->max_requests},
        {"gateway.max_body_bytes", gateway->max_body_bytes, "max_request_bytes",
         gateway->max_request_bytes},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        if (pairs[i].value > pairs[i].most) {
            return config_refuse(tree, pairs[i].path, NULL, "is %u and %s %u; allowed: at most %s",
                                 pairs[i].value, pairs[i].bound, pairs[i].most, pairs[i].bound);
        }
    }
    return gateway->enabled ? check_gateway_endpoint(tree, config) : ARIZMQ_OK;
}

/* The journal reads what history holds: with next to no room it would miss all that comes fast. */
static int check_journal(struct config_tree *tree, const struct config *config)
{
    static const uint64_t least = 1048576;
    if (config->journal.path != NULL && config->history.max_bytes < least) {
        return config_refuse(tree, "history.max_bytes", NULL,
                             "is %" PRIu64 " with a journal.path, and the journal reads what "
                             "history holds; allowed: at least %" PRIu64,
                             config->history.max_bytes, least);
    }
    return ARIZMQ_OK;
}

int config_check(struct config_tree *tree, struct config *config)
{
    int result = ARIZMQ_OK;
    for (unsigned i = 0; result == ARIZMQ_OK && i < config->nodes_count; i++) {
        result = check_node(tree, &config->nodes[i], i);
        for (unsigned j = 0; result == ARIZMQ_OK && j < i; j++) {
            result = check_pair(tree, config, j, i);
        }
    }
    if (result == ARIZMQ_OK) {
        result = check_publish(tree, config);
    }
    if (result == ARIZMQ_OK) {
        result = check_gateway(tree, config);
    }
    return result == ARIZMQ_OK ? check_journal(tree, config) : result;
}
