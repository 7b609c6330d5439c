/* SPDX-License-Identifier: MPL-2.0 */
/*
 * objects_generate OBJECTS.JSON TABLE.INC
 * Reads the object table and writes it as constant C data, which bridge/event/objects.c includes.
 * The build calls it; the daemon never does. Whatever is wrong with the file ends the build with
 * one line that names the place and what is allowed there, and leaves no output behind.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "event/objects.h"
#include "event/objects_hash.h"

enum {
    SLOTS_MAX = 512,
    TYPES_MAX = UINT8_MAX - 1, /* a slot is a byte: 0 for empty, index + 1 */
};

static const char *const kinds[OBJECT_KINDS][2] = {
    [OBJECT_CHANNEL] = {"channel", "OBJECT_CHANNEL"},
    [OBJECT_BRIDGE] = {"bridge", "OBJECT_BRIDGE"},
    [OBJECT_PLAYBACK] = {"playback", "OBJECT_PLAYBACK"},
    [OBJECT_RECORDING] = {"recording", "OBJECT_RECORDING"},
    [OBJECT_ENDPOINT] = {"endpoint", "OBJECT_ENDPOINT"},
    [OBJECT_DEVICE] = {"device", "OBJECT_DEVICE"},
};

static const char *const forms[][2] = {
    {"string", "OBJECT_FORM_STRING"},
    {"endpoint", "OBJECT_FORM_ENDPOINT"},
    {"uri", "OBJECT_FORM_URI"},
};

static const char *input_path;

__attribute__((format(printf, 1, 2), noreturn)) static void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%s: ", input_path);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(EXIT_FAILURE);
}

/* The C name of `word` in a table of `count` pairs, NULL if it is not there. */
static const char *find_word(const char *const (*table)[2], size_t count, const char *word)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(table[i][0], word) == 0) {
            return table[i][1];
        }
    }
    return NULL;
}

/* What may stand in a type's name or a path needs no escaping in C. */
static int is_identifier(const char *text, size_t length)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
    return length > 0 && length <= UINT8_MAX && memchr(letters, text[0], sizeof letters - 1) &&
           strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789") >=
               length;
}

/* Whether the path's last member is the one that bears the id in an object of that kind, so that
 * what holds it is the object itself: channel.id, but neither destination_bridge nor
 * bridge.video_source_id. */
static int is_whole(const char *path, const char *form, const char *kind)
{
    if (strcmp(form, "endpoint") == 0) {
        return 1;
    }
    const char *last = strrchr(path, '.');
    if (strcmp(form, "string") != 0 || last == NULL) {
        return 0;
    }
    int has_name = strcmp(kind, "recording") == 0 || strcmp(kind, "device") == 0;
    return strcmp(last + 1, has_name ? "name" : "id") == 0;
}

/* Writes "a.b" as the depth and the members of a rule. */
static void write_path(FILE *out, const char *type, const char *path)
{
    char members[1024] = "";
    size_t used = 0;
    unsigned depth = 0;
    for (const char *part = path;;) {
        size_t length = strcspn(part, ".");
        if (!is_identifier(part, length)) {
            fail("types.%s: path \"%s\" is not members joined by single dots", type, path);
        }
        if (++depth > OBJECT_PATH_MAX) {
            fail("types.%s: path \"%s\" is deeper than %d members", type, path, OBJECT_PATH_MAX);
        }
        used += (size_t)snprintf(members + used, sizeof members - used, "%s{\"%.*s\", %zu}",
                                 depth > 1 ? ", " : "", (int)length, part, length);
        if (part[length] == '\0') {
            break;
        }
        part += length + 1;
    }
    fprintf(out, "%u, {%s}", depth, members);
}

/* "begins" and "ends", `word`, are for what has a life of its own and is named by the rule itself.
 */
static void check_life(const char *type, size_t index, const char *word, const char *form,
                       const char *kind_name)
{
    if (strcmp(form, "string") != 0) {
        fail("types.%s[%zu]: \"%s\" is for form \"string\", not \"%s\"", type, index, word, form);
    }
    if (strcmp(kind_name, "OBJECT_ENDPOINT") == 0 || strcmp(kind_name, "OBJECT_DEVICE") == 0) {
        fail("types.%s[%zu]: \"%s\" is for kinds channel, bridge, playback and recording", type,
             index, word);
    }
}

/* The C name of the kind of what a rule finds. */
static const char *find_kind(const char *type, size_t index, const char *form, const char *kind)
{
    int kind_is_in_uri = strcmp(form, "uri") == 0;
    if (kind_is_in_uri && kind != NULL) {
        fail("types.%s[%zu]: form \"uri\" names the kind itself, remove kind \"%s\"", type, index,
             kind);
    }
    if (!kind_is_in_uri && kind == NULL) {
        fail("types.%s[%zu]: \"kind\" is missing", type, index);
    }
    const char *kind_name = kind_is_in_uri ? "OBJECT_KINDS" : find_word(kinds, OBJECT_KINDS, kind);
    if (kind_name == NULL) {
        fail("types.%s[%zu]: kind \"%s\" is none of channel, bridge, playback, recording, "
             "endpoint, device",
             type, index, kind);
    }
    return kind_name;
}

static void write_rule(FILE *out, const char *type, size_t index, json_t *rule)
{
    json_error_t error;
    const char *path = NULL;
    const char *kind = NULL;
    const char *form = "string";
    int begins = 0;
    int ends = 0;
    if (json_unpack_ex(rule, &error, JSON_STRICT, "{s:s, s?s, s?s, s?b, s?b}", "path", &path,
                       "kind", &kind, "form", &form, "begins", &begins, "ends", &ends) != 0) {
        fail(
            "types.%s[%zu]: %s; a rule has \"path\" and, as needed, \"kind\", \"form\", \"begins\" "
            "and \"ends\"",
            type, index, error.text);
    }
    const char *form_name = find_word(forms, sizeof forms / sizeof *forms, form);
    if (form_name == NULL) {
        fail("types.%s[%zu]: form \"%s\" is none of string, endpoint, uri", type, index, form);
    }
    const char *kind_name = find_kind(type, index, form, kind);
    static const char *const words[] = {"begins", "ends"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (json_object_get(rule, words[i]) != NULL) {
            check_life(type, index, words[i], form, kind_name);
        }
    }
    fprintf(out, "    {%s, %s, %s, %s, %s, ", kind_name, form_name, begins ? "true" : "false",
            ends ? "true" : "false", is_whole(path, form, kind) ? "true" : "false");
    write_path(out, type, path);
    fprintf(out, "},\n");
}

static void refuse_repeated_paths(const char *type, json_t *rules)
{
    for (size_t i = 0; i < json_array_size(rules); i++) {
        const char *path = json_string_value(json_object_get(json_array_get(rules, i), "path"));
        for (size_t k = 0; k < i; k++) {
            const char *earlier =
                json_string_value(json_object_get(json_array_get(rules, k), "path"));
            if (strcmp(path, earlier) == 0) {
                fail("types.%s: path \"%s\" stands there twice", type, path);
            }
        }
    }
}

static void write_rules(FILE *out, const char *type, const char *c_name, json_t *rules)
{
    if (!json_is_array(rules)) {
        fail("types.%s is not a list of rules", type);
    }
    if (json_array_size(rules) > UINT8_MAX) {
        fail("types.%s has %zu rules; %d are allowed", type, json_array_size(rules), UINT8_MAX);
    }
    if (json_array_size(rules) == 0) {
        return;
    }
    fprintf(out, "static const struct object_rule rules_%s[] = {\n", c_name);
    size_t index;
    json_t *rule;
    json_array_foreach(rules, index, rule)
    {
        write_rule(out, type, index, rule);
    }
    fprintf(out, "};\n");
    refuse_repeated_paths(type, rules);
}

static void write_type(FILE *out, const char *name, json_t *rules)
{
    int is_other = strcmp(name, "*") == 0;
    size_t count = json_array_size(rules);
    if (is_other) {
        fprintf(out, "{NULL, 0, %zu, %s}", count, count > 0 ? "rules_" : "NULL");
    } else {
        fprintf(out, "{\"%s\", %zu, %zu, %s%s}", name, strlen(name), count,
                count > 0 ? "rules_" : "NULL", count > 0 ? name : "");
    }
}

/* Lays the types out by hash with open addressing: as few slots as leave three in four empty, so
 * that almost every lookup compares once. */
static void write_slots(FILE *out, const char *const *names, size_t count)
{
    uint8_t slots[SLOTS_MAX] = {0};
    uint32_t size = 4;
    while (size < count * 4 && size < SLOTS_MAX) {
        size *= 2;
    }
    for (size_t i = 0; i < count; i++) {
        uint32_t slot = objects_hash_name(names[i], strlen(names[i])) & (size - 1);
        while (slots[slot] != 0) {
            slot = (slot + 1) & (size - 1);
        }
        slots[slot] = (uint8_t)(i + 1);
    }
    fprintf(out, "enum { OBJECTS_SLOTS_MASK = %u };\n", size - 1);
    fprintf(out, "static const uint8_t objects_slots[OBJECTS_SLOTS_MASK + 1] = {\n");
    for (uint32_t i = 0; i < size; i++) {
        fprintf(out, "%s%u,%s", i % 16 == 0 ? "    " : " ", (unsigned)slots[i],
                i % 16 == 15 ? "\n" : "");
    }
    fprintf(out, "%s};\n", size % 16 == 0 ? "" : "\n");
}

static int compare_names(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static void write_table(FILE *out, json_t *types)
{
    const char *names[TYPES_MAX];
    size_t count = 0;
    const char *name;
    json_t *rules;
    json_object_foreach(types, name, rules)
    {
        if (strcmp(name, "*") == 0) {
            continue;
        }
        if (!is_identifier(name, strlen(name))) {
            fail("types: \"%s\" is neither a type's name nor \"*\"", name);
        }
        if (count == TYPES_MAX) {
            fail("types: more than %d types", TYPES_MAX);
        }
        names[count++] = name;
    }
    if (count == 0) {
        fail("types: no event type is named");
    }
    qsort(names, count, sizeof *names, compare_names);

    fprintf(out, "/* Generated by objects_generate from objects.json: change that file. */\n");
    for (size_t i = 0; i < count; i++) {
        write_rules(out, names[i], names[i], json_object_get(types, names[i]));
    }
    write_rules(out, "*", "", json_object_get(types, "*"));
    fprintf(out, "static const struct object_type objects_types[] = {\n");
    for (size_t i = 0; i < count; i++) {
        fprintf(out, "    ");
        write_type(out, names[i], json_object_get(types, names[i]));
        fprintf(out, ",\n");
    }
    fprintf(out, "};\nstatic const size_t objects_types_count = %zu;\n", count);
    fprintf(out, "static const struct object_type objects_other =\n    ");
    write_type(out, "*", json_object_get(types, "*"));
    fprintf(out, ";\n");
    write_slots(out, names, count);
}

static json_t *read_table(json_t **types)
{
    json_error_t error;
    json_t *root = json_load_file(input_path, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL) {
        fail("line %d, column %d: %s", error.line, error.column, error.text);
    }
    const char *schema = NULL;
    json_t *description = NULL;
    if (json_unpack_ex(root, &error, JSON_STRICT, "{s?s, s?o, s:o}", "$schema", &schema,
                       "description", &description, "types", types) != 0) {
        fail("%s; allowed are \"$schema\", \"description\" and \"types\"", error.text);
    }
    if (!json_is_object(*types)) {
        fail("\"types\" is not an object of event types");
    }
    if (json_object_get(*types, "*") == NULL) {
        fail("types: \"*\", the rules of types that are not named, is missing");
    }
    return root;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: %s OBJECTS.JSON TABLE.INC\n", argv[0]);
        return EXIT_FAILURE;
    }
    input_path = argv[1];
    json_t *types = NULL;
    json_t *root = read_table(&types);

    /* Written to memory first, so that a refused table leaves no half-written file. */
    char *text = NULL;
    size_t length = 0;
    FILE *memory = open_memstream(&text, &length);
    if (memory == NULL) {
        fail("%s", strerror(errno));
    }
    write_table(memory, types);
    if (fclose(memory) != 0) {
        fail("%s", strerror(errno));
    }
    FILE *out = fopen(argv[2], "w");
    if (out == NULL || fwrite(text, 1, length, out) != length || fclose(out) != 0) {
        fprintf(stderr, "%s: cannot be written: %s\n", argv[2], strerror(errno));
        return EXIT_FAILURE;
    }
    free(text);
    json_decref(root);
    return EXIT_SUCCESS;
}
