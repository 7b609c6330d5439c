/* SPDX-License-Identifier: MPL-2.0 */
/* What the tests of the configuration share. */
#ifndef ARIZMQ_TESTS_CONFIG_HELPERS_H
#define ARIZMQ_TESTS_CONFIG_HELPERS_H

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arizmq/error.h"
#include "ops/config_internal.h"
#include "ops/log.h"

#define EXAMPLE PROJECT_DIR "/docker/arizmqd.example.yaml"
#define SCHEMA  PROJECT_DIR "/schemas/config.schema.json"
#define SECRET  "hidden-word" /* the password wherever the test data has one */

#define ONE_NODE                                                                                   \
    "nodes:\n"                                                                                     \
    "  - name: a\n"                                                                                \
    "    url: ws://h:8088/ari\n"                                                                   \
    "    username: u\n"                                                                            \
    "    password: " SECRET "\n"                                                                   \
    "    apps: [x]\n"

#define TWO_NODES                                                                                  \
    "nodes:\n"                                                                                     \
    "  - {name: a, url: 'ws://h/ari', username: u, password: p, apps: [x]}\n"                      \
    "  - {name: b, url: 'ws://i/ari', username: u, password: p, apps: [x]}\n"

/* `text` is the file "file.yaml", NULL: none. */
static inline int load(const char *text, const char *const *environment, const char *log_level,
                       struct config **out, char *error, size_t error_size)
{
    struct config_source source = {
        .file = text ? "file.yaml" : NULL,
        .environ = (char *const *)environment,
        .log_level = log_level,
    };
    return config_load_text(&source, text ? text : "", text ? strlen(text) : 0, out, error,
                            error_size);
}

static inline struct config *must_load(const char *text, const char *const *environment)
{
    struct config *config = NULL;
    char error[1024] = "";
    int result = load(text, environment, NULL, &config, error, sizeof error);
    cr_assert_eq(result, ARIZMQ_OK, "%s", error);
    cr_assert_not_null(config);
    return config;
}

static inline void must_refuse(const char *text, const char *const *environment,
                               const char *expected)
{
    struct config *untouched = NULL;
    char error[4096] = "";
    int result = load(text, environment, NULL, &untouched, error, sizeof error);
    cr_assert_eq(result, ARIZMQ_EINVALID, "was loaded, expected: %s", expected);
    cr_assert_null(untouched);
    cr_expect_str_eq(error, expected);
    cr_expect_null(strstr(error, SECRET));
}

static inline char *read_text(const char *path)
{
    char *text = NULL;
    size_t length = 0;
    cr_assert_eq(config_read_file(path, 1 << 20, &text, &length), ARIZMQ_OK, "%s", path);
    return text;
}

/* Not inlined: gcc 12 then takes what open_memstream() gives for the address of `text`. */
static __attribute__((noinline, unused)) char *dump_text(const struct config *config)
{
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    config_dump(config, stream);
    fclose(stream);
    return text;
}

/* Every password: "from" becomes `to`, which is as long. */
static inline void change_passwords(char *dump, const char *from, const char *to)
{
    char key[64];
    snprintf(key, sizeof key, "password: \"%s\"", from);
    for (char *at = strstr(dump, key); at; at = strstr(at + 1, key)) {
        memcpy(at + strlen("password: \""), to, strlen(to));
    }
}

#define ENVIRONMENT(...) ((const char *const[]){__VA_ARGS__, NULL})

/* Writes a file that goes away with the test; *path is to be freed. */
static inline void write_file(const char *content, size_t length, char **path)
{
    char name[] = "/tmp/arizmq-test-XXXXXX";
    int descriptor = mkstemp(name);
    cr_assert_geq(descriptor, 0);
    cr_assert_eq(write(descriptor, content, length), (ssize_t)length);
    close(descriptor);
    *path = strdup(name);
}

#endif
