/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What the files config*.c share; nobody else includes this but their tests.
 *
 * The way of a configuration: text to a tree of YAML nodes (config_tree.c); the environment and the
 * flags into that tree (config_env.c); every node compared with the schema, defaults filled in
 * (config_shape.c); the tree into struct config by libcyaml (config.c); the rules that look at more
 * than one value (config_check.c). The tree is kept until the end, because it knows the lines.
 */
#ifndef ARIZMQ_OPS_CONFIG_INTERNAL_H
#define ARIZMQ_OPS_CONFIG_INTERNAL_H

#include "ops/config.h"

#include <cyaml/cyaml.h>
#include <yaml.h>

/* The whole YAML document: libcyaml's table of keys, types and members. */
extern const cyaml_schema_value_t config_schema;

/* How libcyaml is called: silent, its own allocator (which is realloc() and free()). */
extern const cyaml_config_t config_cyaml;

/* What libcyaml's table does not say of a key. */
struct config_rule {
    const char *path;     /* "nodes[].liveness_ms" */
    const char *variable; /* in the environment, NULL: none */
    const char *initial;  /* default as YAML has it, NULL: none */
    uint64_t min, max;    /* of a number */
    const char *pattern;  /* POSIX extended regular expression of a text, NULL: any */
    const char *allowed;  /* the end of an error line, NULL: made from type, min and max */
    /* Refuses with a better sentence than `pattern` can give; NULL: none. Writes what is wrong and
     * what is allowed into error[error_size] and returns ARIZMQ_EINVALID. */
    int (*check)(const char *text, char *error, size_t error_size);
    bool is_secret; /* its value never stands in an error */
};

extern const struct config_rule config_rules[];
extern const size_t config_rules_count;

/* A view as it is where nothing says otherwise. */
struct config_view {
    const char *name;
    const char *variable; /* of its endpoint */
    const char *endpoint;
    const char *topic; /* template */
};
enum { CONFIG_VIEWS = CONFIG_VIEW_OBJECTS + 1 };
extern const struct config_view config_views[CONFIG_VIEWS]; /* by enum config_view_kind */

/* What --dump-config shows in place of a password. */
#define CONFIG_HIDDEN "***"

#define CONFIG_URL_ALLOWED "ws[s]://HOST[:PORT]/ari or http[s]://HOST[:PORT]/ari"

/* The rule of "nodes[3].liveness_ms", NULL where there is none. */
const struct config_rule *config_rule_find(const char *path);
/* Whether the key belongs to a node. */
bool config_rule_is_of_node(const struct config_rule *rule);
bool config_pattern_matches(const char *pattern, const char *text);

/* Where a value of the tree comes from when it is not from the file. */
struct config_origin {
    int node;         /* id in the document */
    const char *name; /* "ARI_URL", "--log-level"; "" for what the environment made as a whole */
    const char *text; /* as given, where the tree has another form of it; else NULL */
};

struct config_tree {
    yaml_document_t document;
    const char *file; /* borrowed, NULL: none */
    struct config_origin *origins;
    size_t origins_count;
    char *error; /* borrowed: where the one line goes */
    size_t error_size;
};

/* Where to send the user. */
struct config_place {
    const struct config_origin *origin; /* NULL: from the file, or nowhere */
    size_t line;                        /* in the file, from 1; 0: none */
};

/* text[0..length) as the tree's document; an empty text gives an empty mapping. Sets file, error
 * and error_size before. Returns 0, or ARIZMQ_E… with the error line written; the tree is to be
 * destroyed in either case. */
int config_tree_create(struct config_tree *tree, const char *text, size_t length);
void config_tree_destroy(struct config_tree *tree);

/* Node ids, 0 for none. */
int config_tree_root(const struct config_tree *tree);
int config_tree_get(struct config_tree *tree, int mapping, const char *key);
int config_tree_item(struct config_tree *tree, int sequence, size_t index);
size_t config_tree_items(struct config_tree *tree, int sequence);
bool config_tree_is(struct config_tree *tree, int node, yaml_node_type_t type);

/* New nodes; 0 when there is no memory. `name` and `text` go into the origin and are borrowed;
 * name NULL: a default, which has none. */
int config_tree_add_scalar(struct config_tree *tree, const char *value, const char *name,
                           const char *text);
int config_tree_add_mapping(struct config_tree *tree, const char *name);
int config_tree_add_sequence(struct config_tree *tree, const char *name);
int config_tree_append(struct config_tree *tree, int sequence, int item);

/* Gives `mapping` the value at "tls.ca_file", in place of one that is there; makes the mappings in
 * between. Leaves a tree alone whose form does not allow that: config_shape() will refuse it.
 * Returns 0 or ARIZMQ_ENOMEM. */
int config_tree_set(struct config_tree *tree, int mapping, const char *path, int value);
void config_tree_remove(struct config_tree *tree, int mapping, const char *key);

/* The place of "nodes[0].tls.ca_file" or of the nearest that encloses it. */
struct config_place config_tree_place(struct config_tree *tree, const char *path);
struct config_place config_tree_place_of(struct config_tree *tree, int node);

/* Writes the tree as YAML without anchors. Call it after config_shape() only, which bounds it.
 * Returns 0 or ARIZMQ_ENOMEM. */
int config_tree_write(struct config_tree *tree, FILE *out);

/* Write the one error line and return ARIZMQ_EINVALID. `value` is shown in quotes before the
 * sentence, unless it is NULL or could hold a secret. */
int config_refuse(struct config_tree *tree, const char *path, const char *value, const char *format,
                  ...) __attribute__((format(printf, 4, 5)));
int config_refuse_at(struct config_tree *tree, const struct config_place *place, const char *path,
                     const char *value, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
int config_refuse_variable(struct config_tree *tree, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int config_out_of_memory(struct config_tree *tree);

/* Control bytes, and all beyond ASCII where the text is no valid UTF-8, become '?'. */
void config_make_line(char *text);

enum { CONFIG_QUOTED_BYTES = 80 };
/* `text` in quotes as config_make_line() leaves it, cut where it is long. Returns out. */
const char *config_quote(const char *text, char out[CONFIG_QUOTED_BYTES]);

/* What is allowed for a value of this schema, e.g. "1000 to 600000". Returns out. */
const char *config_allowed(const cyaml_schema_value_t *schema, const struct config_rule *rule,
                           char *out, size_t out_size);

/* The layers above the file. Each returns 0, or ARIZMQ_E… with the error line written. */
int config_env_apply(struct config_tree *tree, const struct config_source *source);

/* Refuses a variable ARIZMQ_… that nobody knows: a mistyped one must not be passed over. */
int config_variables_check(struct config_tree *tree, char *const *environment);

/* Compares the tree with the schema and the rules and fills in the defaults. */
int config_shape(struct config_tree *tree);

/* The rules between values; fills in what is derived. */
int config_check(struct config_tree *tree, struct config *config);

enum { CONFIG_PATH_BYTES = 64 };
/* "nodes[2].tls.key_file". Returns out. */
const char *config_node_path(unsigned index, const char *key, char out[CONFIG_PATH_BYTES]);

/* The rules of a node's tls: they fit its url and each other, and OpenSSL can load the files, whose
 * digests are filled in. */
int config_tls_check(struct config_tree *tree, struct config_node *node, unsigned index);

struct config_url {
    bool use_tls;
    char *host; /* without brackets */
    uint16_t port;
    char *path; /* without trailing slash */
};

/* Takes ws://HOST[:PORT]/PATH apart, http:// as ws://; see config_rule.check for the error. The
 * caller frees host and path. */
int config_url_parse(const char *text, struct config_url *out, char *error, size_t error_size);
int config_url_check(const char *text, char *error, size_t error_size);
bool config_url_is_same(const struct config_url *one, const struct config_url *other);
/* Of config_rule.check too: a password that is one, an endpoint that can be bound on this machine.
 */
int config_password_check(const char *text, char *error, size_t error_size);
int config_endpoint_check(const char *text, char *error, size_t error_size);
void config_url_release(struct config_url *url);

/* Reads a regular file of at most max_bytes. Returns 0 with a NUL-terminated text that the caller
 * frees; ARIZMQ_ETOOLARGE; ARIZMQ_EINVALID if it is no regular file; ARIZMQ_EIO with errno. */
int config_read_file(const char *path, size_t max_bytes, char **text, size_t *length);
/* What went wrong there, as the end of an error line. */
const char *config_read_error(int result, size_t max_bytes, char *out, size_t out_size);

/* Frees all of it; NULL is fine. */
void config_free(struct config *config);

/* The one who loaded it holds it, and each node knows where it belongs. */
void config_begin_holds(struct config *config);

/* config_load() with the file's content at hand. */
int config_load_text(const struct config_source *source, const char *text, size_t length,
                     struct config **out, char *error, size_t error_size);

#endif
