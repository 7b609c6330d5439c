/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The effective configuration as YAML, for --dump-config: what came out of defaults, file,
 * environment and flags, the views' own topics among it. libcyaml writes it, so that config_load()
 * reads it again once the passwords, which go out as "***", are put in.
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
    static char hidden[] = CONFIG_HIDDEN;
    struct config copy = *config;
    copy.nodes = calloc(config->nodes_count, sizeof *copy.nodes);
    copy.publish = calloc(config->publish_count, sizeof *copy.publish);
    if (!copy.nodes || !copy.publish) {
        fputs("# cannot be written: out of memory\n", out);
        free(copy.nodes);
        free(copy.publish);
        return;
    }
    memcpy(copy.nodes, config->nodes, config->nodes_count * sizeof *copy.nodes);
    memcpy(copy.publish, config->publish, config->publish_count * sizeof *copy.publish);
    for (unsigned i = 0; i < copy.nodes_count; i++) {
        /* A password from a file is told by the file's name; both would be refused. */
        copy.nodes[i].password = copy.nodes[i].password_file ? NULL : hidden;
    }
    for (unsigned i = 0; i < copy.publish_count; i++) {
        if (!copy.publish[i].topic) { /* libcyaml only reads it */
            copy.publish[i].topic = (char *)(uintptr_t)config_view_topic(copy.publish[i].view);
        }
    }
    dump(&copy, out);
    free(copy.publish);
    free(copy.nodes);
}
