/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The layers above the file: environment variables and flags become values of the tree, in place of
 * those that the file gives. config_load() calls it before the schema is compared, so that their
 * values meet the same rules as the file's. It never reads getenv(): the environment is handed in.
 */
#include "arizmq/error.h"
#include "ops/config_internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistr.h>

#define WEBSOCKET_URL "ARI_WEBSOCKET_URL"

static const char *value_of(char *const *environment, const char *name)
{
    size_t length = strlen(name);
    for (char *const *entry = environment; entry && *entry; entry++) {
        if (strncmp(*entry, name, length) == 0 && (*entry)[length] == '=') {
            return *entry + length + 1;
        }
    }
    return NULL;
}

/* libyaml takes UTF-8 only, and says no more than "failed" about anything else. */
static int check_utf8(struct config_tree *tree, const char *name, const char *value)
{
    if (u8_check((const uint8_t *)value, strlen(value))) {
        return config_refuse_variable(tree, name, "is no valid UTF-8; allowed: UTF-8");
    }
    return ARIZMQ_OK;
}

/* ARI_APPLICATION=ivr,queue */
static int add_apps(struct config_tree *tree, const char *name, const char *value)
{
    int list = config_tree_add_sequence(tree, name);
    char *copy = strdup(value);
    int result = list != 0 && copy ? ARIZMQ_OK : config_out_of_memory(tree);
    char *rest = copy;
    while (result == ARIZMQ_OK && rest) {
        const char *app = strsep(&rest, ",");
        result = config_tree_append(tree, list, config_tree_add_scalar(tree, app, name, NULL));
    }
    free(copy);
    return result == ARIZMQ_OK ? list : 0;
}

/* ws://HOST:8088/ari/events, as ARI's other clients have it in ARI_WEBSOCKET_URL, without /events.
 * NULL: no memory. */
static char *without_events(const char *value)
{
    char *url = strdup(value);
    char *events = url ? strrchr(url, '/') : NULL;
    if (events && strcmp(events, "/events") == 0) {
        *events = '\0';
    }
    return url;
}

/* Both URLs name one server, or the bridge would listen to another than the one that is meant. */
static int compare_urls(struct config_tree *tree, const char *url, const char *websocket)
{
    char error[512];
    struct config_url one = {0};
    struct config_url other = {0};
    int result = ARIZMQ_OK;
    if (config_url_parse(url, &one, error, sizeof error) != ARIZMQ_OK) {
        result = config_refuse_variable(tree, "ARI_URL", "%s", error);
    } else if (config_url_parse(websocket, &other, error, sizeof error) != ARIZMQ_OK) {
        result = config_refuse_variable(tree, WEBSOCKET_URL, "%s", error);
    } else if (!config_url_is_same(&one, &other)) {
        result = config_refuse_variable(tree, WEBSOCKET_URL,
                                        "names another server than ARI_URL; allowed: the same "
                                        "host, port and path with /events, or ARI_URL alone");
    }
    config_url_release(&one);
    config_url_release(&other);
    return result;
}

static int set_url(struct config_tree *tree, int node, const char *url, const char *websocket)
{
    char *other = websocket ? without_events(websocket) : NULL;
    int result = ARIZMQ_OK;
    if (websocket && !other) {
        result = config_out_of_memory(tree);
    } else if (url && other) {
        result = compare_urls(tree, url, other);
    }
    if (result == ARIZMQ_OK && (url || other)) {
        int value = url ? config_tree_add_scalar(tree, url, "ARI_URL", NULL)
                        : config_tree_add_scalar(tree, other, WEBSOCKET_URL, websocket);
        result = config_tree_set(tree, node, "url", value);
    }
    free(other);
    return result;
}

/* The one password of the environment takes the place of either kind in the file. */
static void clear_other_password(struct config_tree *tree, int node, char *const *environment)
{
    if (value_of(environment, "ARI_PASSWORD")) {
        config_tree_remove(tree, node, "password_file");
    }
    if (value_of(environment, "ARI_PASSWORD_FILE")) {
        config_tree_remove(tree, node, "password");
    }
}

/* The variables that say something of the node: the first that is set, NULL where none is. */
static const char *first_node_variable(char *const *environment)
{
    for (size_t i = 0; i < config_rules_count; i++) {
        const char *variable = config_rules[i].variable;
        if (variable && config_rule_is_of_node(&config_rules[i]) &&
            value_of(environment, variable)) {
            return variable;
        }
    }
    return value_of(environment, WEBSOCKET_URL) ? WEBSOCKET_URL : NULL;
}

/* The node that the variables are for, made where there is none; 0 with *result set if it cannot
 * be. */
static int node_for(struct config_tree *tree, const char *variable, int *result)
{
    int root = config_tree_root(tree);
    int nodes = config_tree_get(tree, root, "nodes");
    if (nodes == 0) {
        nodes = config_tree_add_sequence(tree, "");
        *result = config_tree_set(tree, root, "nodes", nodes);
    }
    size_t count = config_tree_items(tree, nodes);
    if (count > 1) {
        *result = config_refuse_variable(
            tree, variable,
            "is set, but the file has %zu nodes; allowed: with one node in the file, or none",
            count);
    }
    if (*result != ARIZMQ_OK || !config_tree_is(tree, nodes, YAML_SEQUENCE_NODE)) {
        return 0; /* whatever stands there instead of a list is config_shape()'s to refuse */
    }
    if (count == 1) {
        return config_tree_item(tree, nodes, 0);
    }
    int node = config_tree_add_mapping(tree, "");
    *result = config_tree_append(tree, nodes, node);
    if (*result == ARIZMQ_OK) {
        *result = config_tree_set(
            tree, node, "name", config_tree_add_scalar(tree, "asterisk", "ARIZMQ_NODE_NAME", NULL));
    }
    return *result == ARIZMQ_OK ? node : 0;
}

static int apply_rule(struct config_tree *tree, int node, const struct config_rule *rule,
                      const char *value)
{
    bool is_of_node = config_rule_is_of_node(rule);
    int result = check_utf8(tree, rule->variable, value);
    if (result != ARIZMQ_OK || rule->check == config_url_check) {
        return result; /* the URL has two variables: set_url() */
    }
    bool is_list = strcmp(rule->path, "nodes[].apps") == 0;
    int scalar = is_list ? add_apps(tree, rule->variable, value)
                         : config_tree_add_scalar(tree, value, rule->variable, NULL);
    return is_of_node ? config_tree_set(tree, node, rule->path + strlen("nodes[]."), scalar)
                      : config_tree_set(tree, config_tree_root(tree), rule->path, scalar);
}

static int apply_rules(struct config_tree *tree, char *const *environment)
{
    int result = ARIZMQ_OK;
    int node = 0;
    const char *variable = first_node_variable(environment);
    if (variable) {
        node = node_for(tree, variable, &result);
        clear_other_password(tree, node, environment);
    }
    for (size_t i = 0; result == ARIZMQ_OK && i < config_rules_count; i++) {
        const char *value =
            config_rules[i].variable ? value_of(environment, config_rules[i].variable) : NULL;
        if (value) {
            result = apply_rule(tree, node, &config_rules[i], value);
        }
    }
    const char *websocket = value_of(environment, WEBSOCKET_URL);
    if (result == ARIZMQ_OK && websocket) {
        result = check_utf8(tree, WEBSOCKET_URL, websocket);
    }
    return result == ARIZMQ_OK ? set_url(tree, node, value_of(environment, "ARI_URL"), websocket)
                               : result;
}

/* Appends an entry for config_views[i]; name NULL: the default. */
static int append_view(struct config_tree *tree, int publish, size_t i, const char *name)
{
    int entry = config_tree_add_mapping(tree, name);
    int view = config_tree_add_scalar(tree, config_views[i].name, name, NULL);
    int endpoint = config_tree_add_scalar(tree, config_views[i].endpoint, NULL, NULL);
    int result = config_tree_append(tree, publish, entry);
    if (result == ARIZMQ_OK) {
        result = config_tree_set(tree, entry, "view", view);
    }
    return result == ARIZMQ_OK ? config_tree_set(tree, entry, "endpoint", endpoint) : result;
}

/* Where the file has no `publish`, both views. */
static int add_default_views(struct config_tree *tree)
{
    int root = config_tree_root(tree);
    if (config_tree_get(tree, root, "publish") != 0) {
        return ARIZMQ_OK;
    }
    int publish = config_tree_add_sequence(tree, NULL);
    int result = config_tree_set(tree, root, "publish", publish);
    for (size_t i = 0; result == ARIZMQ_OK && i < CONFIG_VIEWS; i++) {
        result = append_view(tree, publish, i, NULL);
    }
    return result;
}

/* The entry of publish that has this view, 0 for none; counts them. */
static int entry_of_view(struct config_tree *tree, int publish, const char *view, size_t *count)
{
    int found = 0;
    *count = 0;
    for (size_t i = 0; i < config_tree_items(tree, publish); i++) {
        int entry = config_tree_item(tree, publish, i);
        int value = config_tree_get(tree, entry, "view");
        if (config_tree_is(tree, value, YAML_SCALAR_NODE) &&
            strcmp((const char *)yaml_document_get_node(&tree->document, value)->data.scalar.value,
                   view) == 0) {
            found = entry;
            ++*count;
        }
    }
    return found;
}

static int apply_view(struct config_tree *tree, size_t i, const char *value)
{
    const char *name = config_views[i].variable;
    int publish = config_tree_get(tree, config_tree_root(tree), "publish");
    int result = check_utf8(tree, name, value);
    if (result != ARIZMQ_OK || !config_tree_is(tree, publish, YAML_SEQUENCE_NODE)) {
        return result;
    }
    size_t count;
    int entry = entry_of_view(tree, publish, config_views[i].name, &count);
    if (count > 1) {
        return config_refuse_variable(tree, name,
                                      "is set, but the file publishes the view %s %zu times; "
                                      "allowed: once or not at all",
                                      config_views[i].name, count);
    }
    if (count == 0) {
        result = append_view(tree, publish, i, name);
        entry = config_tree_item(tree, publish, config_tree_items(tree, publish) - 1);
    }
    return result == ARIZMQ_OK ? config_tree_set(tree, entry, "endpoint",
                                                 config_tree_add_scalar(tree, value, name, NULL))
                               : result;
}

int config_env_apply(struct config_tree *tree, const struct config_source *source)
{
    int result = config_variables_check(tree, source->environ);
    if (result != ARIZMQ_OK || !config_tree_is(tree, config_tree_root(tree), YAML_MAPPING_NODE)) {
        return result;
    }
    result = apply_rules(tree, source->environ);
    if (result == ARIZMQ_OK) {
        result = add_default_views(tree);
    }
    for (size_t i = 0; result == ARIZMQ_OK && i < CONFIG_VIEWS; i++) {
        const char *value = value_of(source->environ, config_views[i].variable);
        result = value ? apply_view(tree, i, value) : ARIZMQ_OK;
    }
    if (result == ARIZMQ_OK && source->log_level) {
        result = check_utf8(tree, "--log-level", source->log_level);
    }
    if (result == ARIZMQ_OK && source->log_level) {
        int value = config_tree_add_scalar(tree, source->log_level, "--log-level", NULL);
        result = config_tree_set(tree, config_tree_root(tree), "log.level", value);
    }
    return result;
}
