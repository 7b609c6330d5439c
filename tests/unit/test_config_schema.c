/* SPDX-License-Identifier: MPL-2.0 */
/* The tables of keys against what is written for people: the JSON Schema and the example. */
#include "config_helpers.h"

#include <jansson.h>

/* The first key of "nodes[].tls.verify" goes through $ref and items to its subschema. */
static const json_t *subschema_of(const json_t *schema, const char *path)
{
    const json_t *here = schema;
    char copy[128];
    snprintf(copy, sizeof copy, "%s", path);
    for (char *rest = copy, *key = strsep(&rest, "."); key; key = strsep(&rest, ".")) {
        size_t length = strcspn(key, "[");
        bool is_list = key[length] == '[';
        key[length] = '\0';
        here = json_object_get(json_object_get(here, "properties"), key);
        here = is_list ? json_object_get(here, "items") : here;
        const char *reference = json_string_value(json_object_get(here, "$ref"));
        if (reference) {
            here = json_object_get(json_object_get(schema, "$defs"), strrchr(reference, '/') + 1);
        }
    }
    return here;
}

/* The default as YAML has it. */
static void expect_default(const struct config_rule *rule, const json_t *value)
{
    char text[64] = "";
    if (json_is_integer(value)) {
        snprintf(text, sizeof text, "%lld", (long long)json_integer_value(value));
    } else if (json_is_boolean(value)) {
        snprintf(text, sizeof text, "%s", json_is_true(value) ? "true" : "false");
    } else if (json_is_string(value)) {
        snprintf(text, sizeof text, "%s", json_string_value(value));
    }
    cr_expect_str_eq(text, rule->initial ? rule->initial : "", "%s", rule->path);
}

Test(config_schema, json_schema_says_the_same)
{
    json_error_t failure;
    json_t *schema = json_load_file(SCHEMA, 0, &failure);
    cr_assert_not_null(schema, "%s", failure.text);
    for (size_t i = 0; i < config_rules_count; i++) {
        const struct config_rule *rule = &config_rules[i];
        const json_t *sub = subschema_of(schema, rule->path);
        cr_assert_not_null(sub, "%s", rule->path);
        expect_default(rule, json_object_get(sub, "default"));
        cr_expect_eq((uint64_t)json_integer_value(json_object_get(sub, "minimum")), rule->min, "%s",
                     rule->path);
        cr_expect_eq((uint64_t)json_integer_value(json_object_get(sub, "maximum")), rule->max, "%s",
                     rule->path);
        const char *pattern = json_string_value(json_object_get(sub, "pattern"));
        if (rule->pattern) {
            cr_expect_str_eq(pattern ? pattern : "none", rule->pattern, "%s", rule->path);
        }
    }
    json_decref(schema);
}

/* Every key of libcyaml's table is in the JSON Schema with the same bounds, and the other way. */
static void compare_mapping(const json_t *schema, const json_t *sub,
                            const cyaml_schema_value_t *table, const char *path)
{
    size_t count = 0;
    for (const cyaml_schema_field_t *field = table->mapping.fields; field->key; field++, count++) {
        char below[128];
        snprintf(below, sizeof below, "%s%s%s", path, path[0] ? "." : "", field->key);
        const json_t *property = json_object_get(json_object_get(sub, "properties"), field->key);
        cr_assert_not_null(property, "%s", below);
        const cyaml_schema_value_t *value = &field->value;
        if (value->type == CYAML_STRING) {
            cr_expect_eq(json_integer_value(json_object_get(property, "minLength")),
                         value->string.min, "%s", below);
            cr_expect_eq(json_integer_value(json_object_get(property, "maxLength")),
                         value->string.max, "%s", below);
        } else if (value->type == CYAML_SEQUENCE) {
            cr_expect_eq(json_integer_value(json_object_get(property, "minItems")),
                         value->sequence.min, "%s", below);
            cr_expect_eq(json_integer_value(json_object_get(property, "maxItems")),
                         value->sequence.max, "%s", below);
            strcat(below, "[]");
            value = value->sequence.entry;
        } else if (value->type == CYAML_ENUM) {
            cr_expect_eq(json_array_size(json_object_get(property, "enum")),
                         value->enumeration.count, "%s", below);
        } else if (value->type == CYAML_INT || value->type == CYAML_UINT) {
            cr_expect_not_null(config_rule_find(below), "%s has no range", below);
        }
        if (value->type == CYAML_MAPPING) {
            compare_mapping(schema, subschema_of(schema, below), value, below);
        }
    }
    cr_expect_eq(json_object_size(json_object_get(sub, "properties")), count, "%s", path);
    cr_expect(json_is_false(json_object_get(sub, "additionalProperties")), "%s", path);
}

Test(config_schema, json_schema_has_the_same_keys)
{
    json_error_t failure;
    json_t *schema = json_load_file(SCHEMA, 0, &failure);
    cr_assert_not_null(schema, "%s", failure.text);
    compare_mapping(schema, schema, &config_schema, "");
    json_decref(schema);
}

Test(config_schema, example_names_every_key_and_variable)
{
    char *text = read_text(EXAMPLE);
    for (size_t i = 0; i < config_rules_count; i++) {
        const struct config_rule *rule = &config_rules[i];
        cr_expect(!rule->variable || strstr(text, rule->variable), "%s", rule->variable);
        const char *dot = strrchr(rule->path, '.');
        char key[64];
        snprintf(key, sizeof key, "%s:", dot ? dot + 1 : rule->path);
        cr_expect(strchr(key, '[') || strstr(text, key), "%s", key);
    }
    free(text);
}
