/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Which values of two configurations differ. It walks the schema, so that a new key cannot be
 * forgotten here; what a difference means is reload_plan.c's affair, which calls it.
 */
#include "ops/config_compare.h"

#include "arizmq/error.h"
#include "ops/config_internal.h"

#include <stdlib.h>
#include <string.h>

/* The mapping that `path` names: "" for the whole, "nodes[]" for an entry of that list. */
static const cyaml_schema_value_t *mapping_find(const char *path)
{
    if (path[0] == '\0') {
        return &config_schema;
    }
    size_t length = strcspn(path, "[");
    const cyaml_schema_field_t *field = config_schema.mapping.fields;
    while (strlen(field->key) != length || strncmp(field->key, path, length) != 0) {
        field++;
    }
    return field->value.sequence.entry;
}

static const char *text_of(const void *value)
{
    return *(const char *const *)value;
}

static bool is_same(const struct config_value *value)
{
    if (value->schema->type == CYAML_STRING) {
        const char *before = text_of(value->before);
        const char *after = text_of(value->after);
        return before == after || (before != NULL && after != NULL && strcmp(before, after) == 0);
    }
    return memcmp(value->before, value->after, value->schema->data_size) == 0;
}

static void compare(const cyaml_schema_value_t *mapping, const char *path, const char *before,
                    char *after, config_differs *differs, void *owner)
{
    for (const cyaml_schema_field_t *field = mapping->mapping.fields; field->key != NULL; field++) {
        char below[CONFIG_PATH_BYTES];
        snprintf(below, sizeof below, "%s%s%s", path, path[0] != '\0' ? "." : "", field->key);
        struct config_value value = {.path = below,
                                     .schema = &field->value,
                                     .before = before + field->data_offset,
                                     .after = after + field->data_offset};
        if (field->value.type == CYAML_MAPPING) {
            compare(&field->value, below, value.before, value.after, differs, owner);
        } else if (field->value.type != CYAML_SEQUENCE && !is_same(&value)) {
            differs(owner, &value);
        }
    }
}

void config_compare(const char *path, const void *before, void *after, config_differs *differs,
                    void *owner)
{
    compare(mapping_find(path), path, before, after, differs, owner);
}

int config_value_take_back(const struct config_value *value)
{
    if (value->schema->type != CYAML_STRING) {
        memcpy(value->after, value->before, value->schema->data_size);
        return ARIZMQ_OK;
    }
    const char *before = text_of(value->before);
    char *copy = before != NULL ? strdup(before) : NULL;
    if (copy == NULL && before != NULL) {
        return ARIZMQ_ENOMEM;
    }
    char **after = value->after;
    free(*after);
    *after = copy;
    return ARIZMQ_OK;
}
