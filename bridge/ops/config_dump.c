/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The effective configuration as YAML, for --dump-config: what came out of defaults, file,
 * environment and flags. libcyaml writes it, so that config_load() reads it again. Secrets go out
 * as
 * "***".
 */
#include "ops/config_internal.h"

#include <stdlib.h>
#include <string.h>

static void dump(const struct config *config, FILE *out)
{
    char *text = NULL;
    size_t length = 0;
    cyaml_err_t error = cyaml_save_data(&text, &length, &config_cyaml, &config_schema, config, 0);
    if (error != CYAML_OK) {
        fprintf(out, "# cannot be written: %s\n", cyaml_strerror(error));
        return;
    }
    fwrite(text, 1, length, out);
    config_cyaml.mem_fn(config_cyaml.mem_ctx, text, 0);
}

void config_dump(const struct config *config, FILE *out)
{
    static char hidden[] = "***";
    struct config copy = *config;
    copy.nodes = calloc(config->nodes_count, sizeof *copy.nodes);
    if (!copy.nodes) {
        fputs("# cannot be written: out of memory\n", out);
        return;
    }
    memcpy(copy.nodes, config->nodes, config->nodes_count * sizeof *copy.nodes);
    for (unsigned i = 0; i < copy.nodes_count; i++) {
        /* A password from a file is told by the file's name; both would be refused. */
        copy.nodes[i].password = copy.nodes[i].password_file ? NULL : hidden;
    }
    dump(&copy, out);
    free(copy.nodes);
}
