/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The configuration as a tree of libyaml's nodes, between the text and struct config: the layers
 * are merged here, and it knows where each value was written. config.c makes it, config_env.c and
 * config_shape.c change it. It judges no value; only YAML itself is refused here.
 */
#include "arizmq/error.h"
#include "ops/config_internal.h"

#include <stdlib.h>
#include <string.h>

static const char *bytes_of(const yaml_char_t *text)
{
    return (const char *)text;
}

static int refuse_syntax(struct config_tree *tree, const yaml_parser_t *parser, const char *text,
                         size_t length)
{
    /* libyaml fails without an error set where it cannot grow a document. */
    if (parser->error == YAML_MEMORY_ERROR || parser->error == YAML_NO_ERROR) {
        return config_out_of_memory(tree);
    }
    struct config_place place = {.line = parser->problem_mark.line + 1};
    if (parser->error == YAML_READER_ERROR) { /* gives an offset, and no line */
        place.line = 1;
        for (size_t i = 0; i < length && i < parser->problem_offset; i++) {
            place.line += text[i] == '\n';
        }
    }
    return config_refuse_at(tree, &place, "", NULL, "is no YAML: %s%s%s",
                            parser->problem ? parser->problem : "unknown problem",
                            parser->context ? ", " : "", parser->context ? parser->context : "");
}

static int refuse_second_document(struct config_tree *tree, yaml_parser_t *parser, const char *text,
                                  size_t length)
{
    yaml_document_t second;
    if (!yaml_parser_load(parser, &second)) {
        return refuse_syntax(tree, parser, text, length);
    }
    const yaml_node_t *root = yaml_document_get_root_node(&second);
    int result = ARIZMQ_OK;
    if (root) {
        struct config_place place = {.line = root->start_mark.line + 1};
        result = config_refuse_at(tree, &place, "", NULL,
                                  "begins a second YAML document; allowed: one in a file");
    }
    yaml_document_delete(&second);
    return result;
}

int config_tree_create(struct config_tree *tree, const char *text, size_t length)
{
    memset(&tree->document, 0, sizeof tree->document);
    tree->origins = NULL;
    tree->origins_count = 0;
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser)) {
        return config_out_of_memory(tree);
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, length);
    int result = ARIZMQ_OK;
    if (!yaml_parser_load(&parser, &tree->document)) {
        result = refuse_syntax(tree, &parser, text, length);
    } else if (yaml_document_get_root_node(&tree->document)) {
        result = refuse_second_document(tree, &parser, text, length);
    } else {
        /* An empty stream leaves a document without the room for nodes. */
        yaml_document_delete(&tree->document);
        if (!yaml_document_initialize(&tree->document, NULL, NULL, NULL, 1, 1) ||
            config_tree_add_mapping(tree, NULL) == 0) {
            result = config_out_of_memory(tree);
        }
    }
    yaml_parser_delete(&parser);
    return result;
}

void config_tree_destroy(struct config_tree *tree)
{
    yaml_document_delete(&tree->document);
    free(tree->origins);
    tree->origins = NULL;
    tree->origins_count = 0;
}

static yaml_node_t *node_of(struct config_tree *tree, int node, yaml_node_type_t type)
{
    yaml_node_t *found = yaml_document_get_node(&tree->document, node);
    return found && found->type == type ? found : NULL;
}

bool config_tree_is(struct config_tree *tree, int node, yaml_node_type_t type)
{
    return node_of(tree, node, type) != NULL;
}

int config_tree_root(const struct config_tree *tree)
{
    (void)tree;
    return 1; /* libyaml numbers nodes from 1, the root first */
}

/* The pair of `key` in a mapping, NULL where it is none or has none. */
static yaml_node_pair_t *pair_of(struct config_tree *tree, int mapping, const char *key)
{
    yaml_node_t *node = node_of(tree, mapping, YAML_MAPPING_NODE);
    if (!node) {
        return NULL;
    }
    for (yaml_node_pair_t *pair = node->data.mapping.pairs.start;
         pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *name = node_of(tree, pair->key, YAML_SCALAR_NODE);
        if (name && strcmp(bytes_of(name->data.scalar.value), key) == 0) {
            return pair;
        }
    }
    return NULL;
}

int config_tree_get(struct config_tree *tree, int mapping, const char *key)
{
    const yaml_node_pair_t *pair = pair_of(tree, mapping, key);
    return pair ? pair->value : 0;
}

size_t config_tree_items(struct config_tree *tree, int sequence)
{
    const yaml_node_t *node = node_of(tree, sequence, YAML_SEQUENCE_NODE);
    return node ? (size_t)(node->data.sequence.items.top - node->data.sequence.items.start) : 0;
}

int config_tree_item(struct config_tree *tree, int sequence, size_t index)
{
    if (index >= config_tree_items(tree, sequence)) {
        return 0;
    }
    return node_of(tree, sequence, YAML_SEQUENCE_NODE)->data.sequence.items.start[index];
}

/* Notes where a new node is from; 0 again if there is no memory. */
static int remember(struct config_tree *tree, int node, const char *name, const char *text)
{
    if (node == 0 || !name) {
        return node;
    }
    struct config_origin *grown =
        reallocarray(tree->origins, tree->origins_count + 1, sizeof *grown);
    if (!grown) {
        return 0;
    }
    tree->origins = grown;
    tree->origins[tree->origins_count++] =
        (struct config_origin){.node = node, .name = name, .text = text};
    return node;
}

int config_tree_add_scalar(struct config_tree *tree, const char *value, const char *name,
                           const char *text)
{
    int node = yaml_document_add_scalar(&tree->document, NULL, (const yaml_char_t *)value, -1,
                                        YAML_DOUBLE_QUOTED_SCALAR_STYLE);
    return remember(tree, node, name, text);
}

int config_tree_add_mapping(struct config_tree *tree, const char *name)
{
    int node = yaml_document_add_mapping(&tree->document, NULL, YAML_BLOCK_MAPPING_STYLE);
    return remember(tree, node, name, NULL);
}

int config_tree_add_sequence(struct config_tree *tree, const char *name)
{
    int node = yaml_document_add_sequence(&tree->document, NULL, YAML_BLOCK_SEQUENCE_STYLE);
    return remember(tree, node, name, NULL);
}

int config_tree_append(struct config_tree *tree, int sequence, int item)
{
    bool is_done = item != 0 && yaml_document_append_sequence_item(&tree->document, sequence, item);
    return is_done ? ARIZMQ_OK : config_out_of_memory(tree);
}

static int set_key(struct config_tree *tree, int mapping, const char *key, int value)
{
    yaml_node_pair_t *pair = pair_of(tree, mapping, key);
    if (pair) {
        pair->value = value;
        return ARIZMQ_OK;
    }
    int name = config_tree_add_scalar(tree, key, NULL, NULL);
    bool is_done =
        name != 0 && yaml_document_append_mapping_pair(&tree->document, mapping, name, value);
    return is_done ? ARIZMQ_OK : config_out_of_memory(tree);
}

int config_tree_set(struct config_tree *tree, int mapping, const char *path, int value)
{
    char key[64];
    const char *dot = strchr(path, '.');
    snprintf(key, sizeof key, "%.*s", dot ? (int)(dot - path) : (int)strlen(path), path);
    if (value == 0) {
        return config_out_of_memory(tree);
    }
    if (!config_tree_is(tree, mapping, YAML_MAPPING_NODE)) {
        return ARIZMQ_OK;
    }
    if (!dot) {
        return set_key(tree, mapping, key, value);
    }
    int inner = config_tree_get(tree, mapping, key);
    if (inner == 0) {
        inner = config_tree_add_mapping(tree, NULL);
        if (inner == 0 || set_key(tree, mapping, key, inner) != ARIZMQ_OK) {
            return config_out_of_memory(tree);
        }
    }
    return config_tree_set(tree, inner, dot + 1, value);
}

void config_tree_remove(struct config_tree *tree, int mapping, const char *key)
{
    yaml_node_pair_t *pair = pair_of(tree, mapping, key);
    if (pair) {
        yaml_node_t *node = node_of(tree, mapping, YAML_MAPPING_NODE);
        node->data.mapping.pairs.top--;
        memmove(pair, pair + 1, (size_t)(node->data.mapping.pairs.top - pair) * sizeof *pair);
    }
}

struct config_place config_tree_place_of(struct config_tree *tree, int node)
{
    struct config_place place = {0};
    for (size_t i = 0; i < tree->origins_count; i++) {
        if (tree->origins[i].node == node) {
            place.origin = &tree->origins[i];
        }
    }
    /* A node that was not parsed has all marks at zero. */
    const yaml_node_t *found = yaml_document_get_node(&tree->document, node);
    if (!place.origin && found && found->end_mark.index > 0) {
        place.line = found->start_mark.line + 1;
    }
    return place;
}

/* One step of a path. Returns the node it leads to and moves *path behind it; *place becomes that
 * of the node, or stays where the node was not written by anybody. */
static int step(struct config_tree *tree, int node, const char **path, struct config_place *place)
{
    int next;
    int line_from;
    if (**path == '[') {
        char *end;
        next = config_tree_item(tree, node, strtoul(*path + 1, &end, 10));
        line_from = next;
        *path = end + 1;
    } else {
        char key[64];
        size_t length = strcspn(*path, ".[");
        snprintf(key, sizeof key, "%.*s", (int)length, *path);
        const yaml_node_pair_t *pair = pair_of(tree, node, key);
        next = pair ? pair->value : 0;
        line_from = pair ? pair->key : 0; /* a mapping's own mark is at its first key */
        *path += length;
    }
    *path += **path == '.';
    struct config_place found = config_tree_place_of(tree, next);
    if (!found.origin && found.line > 0) {
        found = config_tree_place_of(tree, line_from);
    }
    if (found.origin || found.line > 0) {
        *place = found;
    }
    return next;
}

struct config_place config_tree_place(struct config_tree *tree, const char *path)
{
    int node = config_tree_root(tree);
    struct config_place place = config_tree_place_of(tree, node);
    while (*path != '\0' && node != 0) {
        node = step(tree, node, &path, &place);
    }
    return place;
}

static bool write_event(yaml_emitter_t *emitter, yaml_event_t *event, int is_made)
{
    return is_made && yaml_emitter_emit(emitter, event);
}

static bool write_node(struct config_tree *tree, yaml_emitter_t *emitter, int id)
{
    const yaml_node_t *node = yaml_document_get_node(&tree->document, id);
    yaml_event_t event;
    bool is_written = true;
    switch (node->type) {
    case YAML_MAPPING_NODE:
        is_written = write_event(
            emitter, &event,
            yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, YAML_BLOCK_MAPPING_STYLE));
        for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
             is_written && pair < node->data.mapping.pairs.top; pair++) {
            is_written =
                write_node(tree, emitter, pair->key) && write_node(tree, emitter, pair->value);
        }
        return is_written &&
               write_event(emitter, &event, yaml_mapping_end_event_initialize(&event));
    case YAML_SEQUENCE_NODE:
        is_written = write_event(
            emitter, &event,
            yaml_sequence_start_event_initialize(&event, NULL, NULL, 1, YAML_BLOCK_SEQUENCE_STYLE));
        for (const yaml_node_item_t *item = node->data.sequence.items.start;
             is_written && item < node->data.sequence.items.top; item++) {
            is_written = write_node(tree, emitter, *item);
        }
        return is_written &&
               write_event(emitter, &event, yaml_sequence_end_event_initialize(&event));
    default:
        return write_event(emitter, &event,
                           yaml_scalar_event_initialize(&event, NULL, NULL, node->data.scalar.value,
                                                        (int)node->data.scalar.length, 1, 1,
                                                        YAML_DOUBLE_QUOTED_SCALAR_STYLE));
    }
}

int config_tree_write(struct config_tree *tree, FILE *out)
{
    yaml_emitter_t emitter;
    if (!yaml_emitter_initialize(&emitter)) {
        return config_out_of_memory(tree);
    }
    yaml_emitter_set_output_file(&emitter, out);
    yaml_emitter_set_unicode(&emitter, 1);
    yaml_event_t event;
    bool is_written =
        write_event(&emitter, &event,
                    yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING)) &&
        write_event(&emitter, &event,
                    yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1)) &&
        write_node(tree, &emitter, config_tree_root(tree)) &&
        write_event(&emitter, &event, yaml_document_end_event_initialize(&event, 1)) &&
        write_event(&emitter, &event, yaml_stream_end_event_initialize(&event));
    yaml_emitter_delete(&emitter);
    return is_written ? ARIZMQ_OK : config_out_of_memory(tree);
}
