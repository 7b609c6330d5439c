/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Two configurations, value by value.
 */
#ifndef ARIZMQ_OPS_CONFIG_COMPARE_H
#define ARIZMQ_OPS_CONFIG_COMPARE_H

#include "ops/config.h"

struct cyaml_schema_value;

/* A value that is not the same in both. */
struct config_value {
    const char *path; /* "nodes[].tls.verify"; borrowed for the call */
    const struct cyaml_schema_value *schema;
    const void *before;
    void *after;
};

typedef void config_differs(void *owner, const struct config_value *value);

/* Compares two mappings of the kind that `path` names: "" for two struct config, "nodes[]" for two
 * struct config_node, "publish[]" for two struct config_publish; those below them too, but no list.
 * Texts are compared byte by byte; what is derived is not compared. */
void config_compare(const char *path, const void *before, void *after, config_differs *differs,
                    void *owner);

/* Makes the later one what the earlier one is. Returns ARIZMQ_OK; or ARIZMQ_ENOMEM, and then it is
 * as it was. */
int config_value_take_back(const struct config_value *value);

#endif
