/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Any bytes as a configuration: a YAML text, then, each after a NUL byte, the variables of an
 * environment. Whatever they are, config_load() either refuses them with one line, or gives a
 * configuration whose dump, with passwords, it loads again and dumps the same.
 */
#include "arizmq/error.h"
#include "ops/config_internal.h"

#include <stdlib.h>
#include <string.h>

/* A dump shows no password; it is loaded again with one. No other text has these bytes: in a text
 * the quotes are escaped. */
#define HIDDEN "password: \"***\""
#define SHOWN  "password: \"+++\""

enum { VARIABLES_MAX = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool is_so, const char *what, const char *text)
{
    if (!is_so) {
        fprintf(stderr, "%s: %s\n", what, text);
        abort();
    }
}

static char *dump_text(const struct config *config, size_t *length)
{
    char *text = NULL;
    FILE *stream = open_memstream(&text, length);
    config_dump(config, stream);
    fclose(stream);
    return text;
}

/* `from` becomes `to`, which is as long. */
static void change_passwords(char *dump, const char *from, const char *to)
{
    for (char *at = strstr(dump, from); at; at = strstr(at + 1, from)) {
        memcpy(at, to, strlen(to));
    }
}

static void check_round_trip(const struct config *config)
{
    const struct config_source source = {.file = "dump.yaml"};
    struct config *again = NULL;
    char error[1024] = "";
    size_t length;
    size_t second_length;
    char *text = dump_text(config, &length);
    change_passwords(text, HIDDEN, SHOWN);
    int result = config_load_text(&source, text, length, &again, error, sizeof error);
    demand(result == ARIZMQ_OK, error, text);
    change_passwords(text, SHOWN, HIDDEN);
    char *second = dump_text(again, &second_length);
    demand(strcmp(text, second) == 0, second, text);
    config_destroy(&again);
    free(second);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size + 1);
    char *environment[VARIABLES_MAX + 1] = {NULL};
    if (!copy) {
        return 0;
    }
    if (size > 0) {
        memcpy(copy, data, size);
    }
    copy[size] = '\0';
    size_t length = strlen(copy);
    size_t count = 0;
    for (size_t at = length + 1; at < size && count < VARIABLES_MAX; at += strlen(copy + at) + 1) {
        environment[count++] = copy + at;
    }
    const struct config_source source = {.file = "file.yaml", .environ = environment};
    struct config *config = NULL;
    char error[1024] = "";
    int result = config_load_text(&source, copy, length, &config, error, sizeof error);
    if (result == ARIZMQ_OK) {
        check_round_trip(config);
        config_destroy(&config);
    } else {
        demand(error[0] != '\0' && !strchr(error, '\n'), "no line", error);
        demand(config == NULL, "out-parameter written", error);
    }
    free(copy);
    return 0;
}
