/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The order of loading: the file's text to a tree, environment and flags over it, the schema, then
 * libcyaml fills struct config from the merged tree, then the rules between values. main.c calls
 * config_load() before any thread; a reload calls it again, in a thread of its own.
 */
#include "arizmq/error.h"
#include "ops/config_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX_BYTES = 1 << 20 };

/* Reads until the end or until `room` bytes are there. Returns how many, or -1 with errno. */
static ssize_t read_all(int descriptor, char *text, size_t room)
{
    size_t used = 0;
    while (used < room) {
        ssize_t got = read(descriptor, text + used, room - used);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return -1;
        }
        if (got == 0) {
            break;
        }
        used += (size_t)got;
    }
    return (ssize_t)used;
}

static int read_descriptor(int descriptor, size_t max_bytes, char **text, size_t *length)
{
    struct stat status;
    if (fstat(descriptor, &status) != 0) {
        return ARIZMQ_EIO;
    }
    if (!S_ISREG(status.st_mode)) {
        return ARIZMQ_EINVALID;
    }
    char *buffer = malloc(max_bytes + 1); /* one more: a file of max_bytes + 1 shows itself */
    if (!buffer) {
        return ARIZMQ_ENOMEM;
    }
    ssize_t got = read_all(descriptor, buffer, max_bytes + 1);
    if (got < 0 || (size_t)got > max_bytes) {
        int reason = errno;
        free(buffer);
        errno = reason;
        return got < 0 ? ARIZMQ_EIO : ARIZMQ_ETOOLARGE;
    }
    buffer[got] = '\0';
    *text = buffer;
    *length = (size_t)got;
    return ARIZMQ_OK;
}

int config_read_file(const char *path, size_t max_bytes, char **text, size_t *length)
{
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0) {
        return ARIZMQ_EIO;
    }
    int result = read_descriptor(descriptor, max_bytes, text, length);
    int reason = errno;
    close(descriptor);
    errno = reason;
    return result;
}

const char *config_read_error(int result, size_t max_bytes, char *out, size_t out_size)
{
    switch (result) {
    case ARIZMQ_ETOOLARGE:
        snprintf(out, out_size, "is larger than %zu bytes", max_bytes);
        break;
    case ARIZMQ_EINVALID:
        snprintf(out, out_size, "is no regular file");
        break;
    case ARIZMQ_ENOMEM:
        snprintf(out, out_size, "cannot be read (out of memory)");
        break;
    default:
        snprintf(out, out_size, "cannot be read (%s)", strerrordesc_np(errno));
        break;
    }
    return out;
}

/* The merged tree into a struct by libcyaml. */
static int fill(struct config_tree *tree, struct config **out)
{
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    if (!stream) {
        return config_out_of_memory(tree);
    }
    int result = config_tree_write(tree, stream);
    if ((fclose(stream) != 0 || !text) && result == ARIZMQ_OK) {
        result = config_out_of_memory(tree);
    }
    cyaml_data_t *data = NULL;
    if (result == ARIZMQ_OK) {
        cyaml_err_t error = cyaml_load_data((const uint8_t *)text, length, &config_cyaml,
                                            &config_schema, &data, NULL);
        if (error != CYAML_OK) { /* config_shape() lets nothing through that would come here */
            result = config_refuse(tree, "", NULL, "libcyaml: %s", cyaml_strerror(error));
        }
    }
    free(text);
    if (result == ARIZMQ_OK) {
        *out = data;
    }
    return result;
}

int config_load_text(const struct config_source *source, const char *text, size_t length,
                     struct config **out, char *error, size_t error_size)
{
    struct config_tree tree = {.file = source->file, .error = error, .error_size = error_size};
    struct config *config = NULL;
    int result = config_tree_create(&tree, text, length);
    if (result == ARIZMQ_OK) {
        result = config_env_apply(&tree, source);
    }
    if (result == ARIZMQ_OK) {
        result = config_shape(&tree);
    }
    if (result == ARIZMQ_OK) {
        result = fill(&tree, &config);
    }
    if (result == ARIZMQ_OK) {
        result = config_check(&tree, config);
    }
    config_tree_destroy(&tree);
    if (result != ARIZMQ_OK) {
        config_free(config);
        return result;
    }
    config_begin_holds(config);
    *out = config;
    return ARIZMQ_OK;
}

int config_load(const struct config_source *source, struct config **out, char *error,
                size_t error_size)
{
    char *text = NULL;
    size_t length = 0;
    if (source->file) {
        int result = config_read_file(source->file, FILE_MAX_BYTES, &text, &length);
        if (result != ARIZMQ_OK) {
            char why[128];
            snprintf(error, error_size, "%s: %s; allowed: a readable YAML file of at most %d bytes",
                     source->file, config_read_error(result, FILE_MAX_BYTES, why, sizeof why),
                     FILE_MAX_BYTES);
            return result;
        }
    }
    int result = config_load_text(source, text ? text : "", length, out, error, error_size);
    free(text);
    return result;
}
