/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The merged tree against the schema (config_schema.c) and the rules (config_rules.c): keys, types,
 * ranges and forms, one value at a time; what is missing gets its default. config_load() calls it
 * before libcyaml reads the tree, because libcyaml takes "maybe" for true and 0100 for 64, lets a
 * key stand twice and knows no ranges.
 */
#include "arizmq/error.h"
#include "ops/config_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    PATH_BYTES = 256,
    ALLOWED_BYTES = 512,
};

/* The value that is looked at. */
struct shape {
    struct config_tree *tree;
    int node;
    const cyaml_schema_value_t *schema;
    const struct config_rule *rule; /* NULL: none */
    char path[PATH_BYTES];
};

static int shape_value(struct shape *shape);

static int refuse_shape(const struct shape *shape, const char *value, const char *what)
{
    char allowed[ALLOWED_BYTES];
    return config_refuse(shape->tree, shape->path, value, "%s; allowed: %s", what,
                         config_allowed(shape->schema, shape->rule, allowed, sizeof allowed));
}

/* The value at `path` below shape's own. */
static int shape_child(const struct shape *shape, int node, const cyaml_schema_value_t *schema,
                       const char *key)
{
    struct shape child = {.tree = shape->tree, .node = node, .schema = schema};
    bool needs_dot = shape->path[0] != '\0' && key[0] != '[';
    snprintf(child.path, sizeof child.path, "%.190s%s%.60s", shape->path, needs_dot ? "." : "",
             key);
    child.rule = config_rule_find(child.path);
    return shape_value(&child);
}

/* The part of an unknown key that can be shown: `password:secret` is one key for YAML. */
static const char *shown_key(const char *key, char out[CONFIG_QUOTED_BYTES])
{
    size_t length =
        strspn(key, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-");
    snprintf(out, CONFIG_QUOTED_BYTES, "%.*s%s", length > 60 ? 60 : (int)length, key,
             key[length] == '\0' && length <= 60 ? "" : "...");
    return out;
}

static const cyaml_schema_field_t *field_of(const cyaml_schema_value_t *schema, const char *key)
{
    const cyaml_schema_field_t *field = schema->mapping.fields;
    while (field->key && strcmp(field->key, key) != 0) {
        field++;
    }
    return field->key ? field : NULL;
}

/* Each key is known and stands once. */
static int check_keys(const struct shape *shape, const yaml_node_t *mapping)
{
    for (const yaml_node_pair_t *pair = mapping->data.mapping.pairs.start;
         pair < mapping->data.mapping.pairs.top; pair++) {
        struct config_place place = config_tree_place_of(shape->tree, pair->key);
        const yaml_node_t *name = yaml_document_get_node(&shape->tree->document, pair->key);
        char allowed[ALLOWED_BYTES];
        config_allowed(shape->schema, NULL, allowed, sizeof allowed);
        if (name->type != YAML_SCALAR_NODE) {
            return config_refuse_at(shape->tree, &place, shape->path, NULL,
                                    "has a key that is no text; allowed: %s", allowed);
        }
        const char *key = (const char *)name->data.scalar.value;
        char path[PATH_BYTES + CONFIG_QUOTED_BYTES];
        char shown[CONFIG_QUOTED_BYTES];
        snprintf(path, sizeof path, "%s%s%s", shape->path, shape->path[0] ? "." : "",
                 shown_key(key, shown));
        if (strlen(key) != name->data.scalar.length || !field_of(shape->schema, key)) {
            return config_refuse_at(shape->tree, &place, path, NULL,
                                    "is an unknown key; allowed: %s", allowed);
        }
        if (config_tree_get(shape->tree, shape->node, key) != pair->value) {
            return config_refuse_at(shape->tree, &place, path, NULL,
                                    "is given a second time; allowed: once");
        }
    }
    return ARIZMQ_OK;
}

static int refuse_missing(const struct shape *shape, const char *path,
                          const cyaml_schema_field_t *field)
{
    const struct config_rule *rule = config_rule_find(path);
    struct config_place place = config_tree_place(shape->tree, shape->path);
    char allowed[ALLOWED_BYTES];
    config_allowed(&field->value, rule, allowed, sizeof allowed);
    if (strcmp(path, "nodes") == 0) {
        return config_refuse_at(shape->tree, &place, path, NULL,
                                "is missing; allowed: %s, or ARI_URL, ARI_USERNAME, ARI_PASSWORD "
                                "and ARI_APPLICATION in the environment",
                                allowed);
    }
    if (place.origin && rule && rule->variable) { /* the environment made this node */
        return config_refuse_variable(shape->tree, rule->variable, "is missing; allowed: %s",
                                      allowed);
    }
    return config_refuse_at(shape->tree, &place, path, NULL, "is missing; allowed: %s", allowed);
}

/* Adds what the mapping leaves out: defaults, and the mappings that hold defaults. */
static int fill_defaults(const struct shape *shape)
{
    for (const cyaml_schema_field_t *field = shape->schema->mapping.fields; field->key; field++) {
        if (config_tree_get(shape->tree, shape->node, field->key) != 0) {
            continue;
        }
        char path[PATH_BYTES];
        snprintf(path, sizeof path, "%.190s%s%.60s", shape->path, shape->path[0] ? "." : "",
                 field->key);
        const struct config_rule *rule = config_rule_find(path);
        int value = 0;
        if (rule && rule->initial) {
            value = config_tree_add_scalar(shape->tree, rule->initial, NULL, NULL);
        } else if (field->value.type == CYAML_MAPPING) {
            value = config_tree_add_mapping(shape->tree, NULL);
        } else if (field->value.flags & CYAML_FLAG_OPTIONAL) {
            continue;
        } else {
            return refuse_missing(shape, path, field);
        }
        int result = config_tree_set(shape->tree, shape->node, field->key, value);
        if (result != ARIZMQ_OK) {
            return result;
        }
    }
    return ARIZMQ_OK;
}

static int shape_mapping(struct shape *shape)
{
    const yaml_node_t *mapping = yaml_document_get_node(&shape->tree->document, shape->node);
    int result = check_keys(shape, mapping);
    if (result == ARIZMQ_OK) {
        result = fill_defaults(shape);
    }
    for (const cyaml_schema_field_t *field = shape->schema->mapping.fields;
         result == ARIZMQ_OK && field->key; field++) {
        int value = config_tree_get(shape->tree, shape->node, field->key);
        if (value != 0) {
            result = shape_child(shape, value, &field->value, field->key);
        }
    }
    return result;
}

static int shape_sequence(struct shape *shape)
{
    size_t items = config_tree_items(shape->tree, shape->node);
    if (items < shape->schema->sequence.min || items > shape->schema->sequence.max) {
        char what[64];
        snprintf(what, sizeof what, "has %zu entries", items);
        return refuse_shape(shape, NULL, what);
    }
    int result = ARIZMQ_OK;
    for (size_t i = 0; result == ARIZMQ_OK && i < items; i++) {
        char key[32];
        snprintf(key, sizeof key, "[%zu]", i);
        result = shape_child(shape, config_tree_item(shape->tree, shape->node, i),
                             shape->schema->sequence.entry, key);
    }
    return result;
}

static int shape_number(const struct shape *shape, const char *value)
{
    const char *digits = value + (value[0] == '-');
    size_t length = strspn(digits, "0123456789");
    bool has_leading_zero = length > 1 && digits[0] == '0'; /* octal for some, not for others */
    if (length == 0 || digits[length] != '\0' || has_leading_zero) {
        return refuse_shape(shape, value, "is no number");
    }
    uint64_t number = strtoull(digits, NULL, 10); /* ULLONG_MAX when too large: out of range */
    uint64_t min = shape->rule ? shape->rule->min : 0;
    uint64_t max = shape->rule ? shape->rule->max : 0; /* no rule: nothing is allowed */
    if (value[0] == '-' || number < min || number > max) {
        return refuse_shape(shape, value, "is out of range");
    }
    return ARIZMQ_OK;
}

static int shape_enum(const struct shape *shape, const char *value)
{
    for (uint32_t i = 0; i < shape->schema->enumeration.count; i++) {
        if (strcmp(shape->schema->enumeration.strings[i].str, value) == 0) {
            return ARIZMQ_OK;
        }
    }
    return refuse_shape(shape, value, "is unknown");
}

static int shape_text(const struct shape *shape, const char *value)
{
    size_t length = strlen(value);
    if (length < shape->schema->string.min) {
        return refuse_shape(shape, value, "is empty");
    }
    if (length > shape->schema->string.max) {
        char what[64];
        snprintf(what, sizeof what, "is longer than %u bytes", shape->schema->string.max);
        return refuse_shape(shape, value, what);
    }
    char error[ALLOWED_BYTES];
    if (shape->rule && shape->rule->check &&
        shape->rule->check(value, error, sizeof error) != ARIZMQ_OK) {
        return config_refuse(shape->tree, shape->path, value, "%s", error);
    }
    if (shape->rule && shape->rule->pattern &&
        !config_pattern_matches(shape->rule->pattern, value)) {
        return refuse_shape(shape, value, "has not the right form");
    }
    return ARIZMQ_OK;
}

static bool has_control_byte(const char *value, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)value[i] < 0x20 || value[i] == 0x7f) {
            return true;
        }
    }
    return false;
}

static bool is_null(const yaml_node_t *node)
{
    static const char *const names[] = {"", "~", "null", "Null", "NULL"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
            strcmp((const char *)node->data.scalar.value, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

static int shape_scalar(const struct shape *shape, const yaml_node_t *node)
{
    const char *value = (const char *)node->data.scalar.value;
    if (has_control_byte(value, node->data.scalar.length)) {
        return refuse_shape(shape, value, "contains a control character");
    }
    switch (shape->schema->type) {
    case CYAML_BOOL:
        return strcmp(value, "true") == 0 || strcmp(value, "false") == 0
                   ? ARIZMQ_OK
                   : refuse_shape(shape, value, "is neither true nor false");
    case CYAML_ENUM:
        return shape_enum(shape, value);
    case CYAML_STRING:
        return shape_text(shape, value);
    default:
        return shape_number(shape, value);
    }
}

static yaml_node_type_t wanted_type(const cyaml_schema_value_t *schema)
{
    switch (schema->type) {
    case CYAML_MAPPING:
        return YAML_MAPPING_NODE;
    case CYAML_SEQUENCE:
        return YAML_SEQUENCE_NODE;
    default:
        return YAML_SCALAR_NODE;
    }
}

static int shape_value(struct shape *shape)
{
    static const struct {
        const char *what;
        const char *tag;
    } types[] = {
        [YAML_NO_NODE] = {"is nothing", ""},
        [YAML_SCALAR_NODE] = {"is a single value", YAML_DEFAULT_SCALAR_TAG},
        [YAML_SEQUENCE_NODE] = {"is a list", YAML_DEFAULT_SEQUENCE_TAG},
        [YAML_MAPPING_NODE] = {"is a mapping", YAML_DEFAULT_MAPPING_TAG},
    };
    const yaml_node_t *node = yaml_document_get_node(&shape->tree->document, shape->node);
    if (strcmp((const char *)node->tag, types[node->type].tag) != 0) {
        return refuse_shape(shape, NULL, "has a YAML tag, which means nothing here");
    }
    if (node->type == YAML_SCALAR_NODE && is_null(node)) {
        return refuse_shape(shape, NULL, "has no value");
    }
    yaml_node_type_t wanted = wanted_type(shape->schema);
    if (node->type != wanted) {
        return refuse_shape(shape, NULL, types[node->type].what);
    }
    switch (wanted) {
    case YAML_MAPPING_NODE:
        return shape_mapping(shape);
    case YAML_SEQUENCE_NODE:
        return shape_sequence(shape);
    default:
        return shape_scalar(shape, node);
    }
}

int config_shape(struct config_tree *tree)
{
    struct shape root = {.tree = tree, .node = config_tree_root(tree), .schema = &config_schema};
    return shape_value(&root);
}
