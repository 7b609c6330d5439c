/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The one line that a wrong configuration gets: where it comes from, which key, the value, what is
 * allowed. All of config*.c end here when they refuse something. No secret and no control byte ever
 * gets into the line.
 */
#include "arizmq/error.h"
#include "ops/config_internal.h"

#include <stdarg.h>
#include <string.h>
#include <unistr.h>

enum { WHAT_BYTES = 2048 };

void config_make_line(char *text)
{
    bool is_utf8 = u8_check((const uint8_t *)text, strlen(text)) == NULL;
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte < 0x20 || byte == 0x7f || (byte >= 0x80 && !is_utf8)) {
            *text = '?';
        }
    }
}

const char *config_quote(const char *text, char out[CONFIG_QUOTED_BYTES])
{
    static const char more[] = "...";
    int room = CONFIG_QUOTED_BYTES - (int)sizeof more - 2;
    size_t length = strlen(text);
    if (length <= (size_t)room) {
        snprintf(out, CONFIG_QUOTED_BYTES, "\"%s\"", text);
    } else {
        int used = room; /* not into the middle of a character */
        while (used > room - 4 && ((unsigned char)text[used] & 0xC0) == 0x80) {
            used--;
        }
        snprintf(out, CONFIG_QUOTED_BYTES, "\"%.*s%s\"", used, text, more);
    }
    config_make_line(out);
    return out;
}

const char *config_allowed(const cyaml_schema_value_t *schema, const struct config_rule *rule,
                           char *out, size_t out_size)
{
    if (rule && rule->allowed) {
        snprintf(out, out_size, "%s", rule->allowed);
        return out;
    }
    FILE *stream = fmemopen(out, out_size, "w");
    if (!stream) {
        snprintf(out, out_size, "see the documentation");
        return out;
    }
    switch (schema->type) {
    case CYAML_BOOL:
        fputs("true or false", stream);
        break;
    case CYAML_ENUM:
        for (uint32_t i = 0; i < schema->enumeration.count; i++) {
            fprintf(stream, "%s%s", i ? ", " : "", schema->enumeration.strings[i].str);
        }
        break;
    case CYAML_MAPPING:
        fputs("a mapping of ", stream);
        for (const cyaml_schema_field_t *field = schema->mapping.fields; field->key; field++) {
            fprintf(stream, "%s%s", field == schema->mapping.fields ? "" : ", ", field->key);
        }
        break;
    default:
        fprintf(stream, "%llu to %llu", rule ? (unsigned long long)rule->min : 0,
                rule ? (unsigned long long)rule->max : 0);
        break;
    }
    fclose(stream);
    out[out_size - 1] = '\0';
    return out;
}

static void write_place(FILE *stream, const struct config_tree *tree,
                        const struct config_place *place, const char *path)
{
    if (place->origin && strncmp(place->origin->name, "--", 2) == 0) {
        fprintf(stream, "%s", place->origin->name); /* a flag */
    } else if (place->origin && place->origin->name[0] != '\0') {
        fprintf(stream, "environment: %s", place->origin->name);
    } else {
        bool is_environment = place->origin || !tree->file;
        fprintf(stream, "%s", is_environment ? "environment" : tree->file);
        if (place->line > 0) {
            fprintf(stream, ":%zu", place->line);
        }
        if (path[0] != '\0') {
            fprintf(stream, ": %s", path);
        }
    }
    fputs(": ", stream);
}

/* A URL may hold user:password@ or api_key=user:password. */
static bool is_shown(const char *path, const char *value)
{
    const struct config_rule *rule = config_rule_find(path);
    if (rule && rule->is_secret) {
        return false;
    }
    return !(rule && rule->check == config_url_check && strpbrk(value, "@?"));
}

static void refuse(struct config_tree *tree, const struct config_place *place, const char *path,
                   const char *value, const char *what)
{
    if (tree->error_size == 0) {
        return;
    }
    FILE *stream = fmemopen(tree->error, tree->error_size, "w");
    if (!stream) {
        snprintf(tree->error, tree->error_size, "out of memory");
        return;
    }
    write_place(stream, tree, place, path);
    if (value && place->origin && place->origin->text) {
        value = place->origin->text;
    }
    if (value && is_shown(path, value)) {
        char quoted[CONFIG_QUOTED_BYTES];
        fprintf(stream, "%s ", config_quote(value, quoted));
    }
    fputs(what, stream);
    fclose(stream);
    tree->error[tree->error_size - 1] = '\0';
    config_make_line(tree->error); /* names of files and variables may hold anything */
}

int config_refuse_at(struct config_tree *tree, const struct config_place *place, const char *path,
                     const char *value, const char *format, ...)
{
    char what[WHAT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    refuse(tree, place, path, value, what);
    return ARIZMQ_EINVALID;
}

int config_refuse(struct config_tree *tree, const char *path, const char *value, const char *format,
                  ...)
{
    struct config_place place = config_tree_place(tree, path);
    char what[WHAT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    refuse(tree, &place, path, value, what);
    return ARIZMQ_EINVALID;
}

int config_refuse_variable(struct config_tree *tree, const char *name, const char *format, ...)
{
    struct config_origin origin = {.name = name};
    struct config_place place = {.origin = &origin};
    char what[WHAT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    refuse(tree, &place, "", NULL, what);
    return ARIZMQ_EINVALID;
}

int config_out_of_memory(struct config_tree *tree)
{
    snprintf(tree->error, tree->error_size, "%s: out of memory",
             tree->file ? tree->file : "environment");
    return ARIZMQ_ENOMEM;
}
