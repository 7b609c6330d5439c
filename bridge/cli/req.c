/* SPDX-License-Identifier: MPL-2.0 */
/*
 * `arizmq req`: reads the body to send, asks the gateway, and shows its reply: the status on
 * standard error, the body on standard output. It never decides what a request means, and changes
 * no byte of a body but the space between the tokens of JSON.
 */
#include "cli/req.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arizmq/error.h"
#include "cli/client.h"
#include "cli/exit_status.h"
#include "cli/pretty.h"
#include "cli/req_options.h"
#include "cli/text.h"

/* Reads a stream to its end. Returns malloc()ed bytes, NULL with errno. */
static char *read_stream(FILE *in, size_t *length)
{
    char *bytes = NULL;
    FILE *memory = open_memstream(&bytes, length);
    if (memory == NULL) {
        return NULL;
    }
    char chunk[65536];
    size_t read = 0;
    while ((read = fread(chunk, 1, sizeof chunk, in)) > 0) {
        fwrite(chunk, 1, read, memory);
    }
    int error = ferror(in) ? errno : 0;
    if (fclose(memory) != 0 && error == 0) {
        error = ENOMEM;
    }
    if (error != 0) {
        free(bytes);
        errno = error;
        return NULL;
    }
    return bytes;
}

/* Returns the file's bytes, for free(); NULL after a line about it. */
static char *read_body(const char *name, size_t *length)
{
    FILE *in = strcmp(name, "-") == 0 ? stdin : fopen(name, "rb");
    char *bytes = in == NULL ? NULL : read_stream(in, length);
    if (bytes == NULL) {
        fprintf(stderr, "arizmq req: --body: \"%s\": %s\n", name, strerror(errno));
    }
    if (in != NULL && in != stdin) {
        fclose(in);
    }
    return bytes;
}

/* Whether it can be shown to a person: UTF-8 without control characters but those of layout. */
static bool body_is_text(const char *bytes, size_t length)
{
    json_t *string = json_stringn(bytes, length);
    bool is_text = string != NULL;
    json_decref(string);
    for (size_t i = 0; i < length && is_text; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        is_text = byte >= 0x20 || memchr("\t\n\r\f\033", byte, 5) != NULL;
    }
    return is_text;
}

/* Text as it is; on a terminal cleaned. */
static void write_text(const char *bytes, size_t length)
{
    if (isatty(STDOUT_FILENO)) {
        text_write_clean(stdout, bytes, length, "\t\n");
    } else {
        fwrite(bytes, 1, length, stdout);
    }
}

static bool body_is_json(const struct arizmq_reply *reply, const char *bytes, size_t length)
{
    const char *type = client_reply_text(reply, "content_type", "application/json");
    json_t *json = strcasestr(type, "json") != NULL ? pretty_parse(bytes, length) : NULL;
    bool is_json = json != NULL;
    json_decref(json);
    return is_json;
}

static int write_json(const char *bytes, size_t length)
{
    char *text = NULL;
    size_t text_length = 0;
    FILE *memory = open_memstream(&text, &text_length);
    if (memory == NULL) {
        return ARIZMQ_ENOMEM;
    }
    pretty_write(memory, bytes, length);
    putc('\n', memory);
    if (fclose(memory) != 0) {
        free(text);
        return ARIZMQ_ENOMEM;
    }
    write_text(text, text_length);
    free(text);
    return ARIZMQ_OK;
}

/* Returns whether the body could be shown; a line says why not. */
static bool write_body(const struct arizmq_reply *reply, bool is_raw)
{
    size_t length = 0;
    const char *bytes = arizmq_reply_body(reply, &length);
    if (length == 0) {
        return true;
    }
    if (is_raw) {
        fwrite(bytes, 1, length, stdout);
    } else if (body_is_json(reply, bytes, length)) {
        if (write_json(bytes, length) != ARIZMQ_OK) {
            fputs("arizmq: no memory\n", stderr);
            return false;
        }
    } else if (isatty(STDOUT_FILENO) && !body_is_text(bytes, length)) {
        const char *type = client_reply_text(reply, "content_type", "no text");
        fprintf(stderr, "arizmq: the body of %zu bytes (", length);
        text_write_clean(stderr, type, strlen(type), "");
        fputs(") is not for a terminal; redirect standard output, or use --raw\n", stderr);
        return false;
    } else {
        write_text(bytes, length);
    }
    return client_finish_output();
}

static void write_header(const struct arizmq_reply *reply)
{
    size_t length = 0;
    const char *text = arizmq_reply_header(reply, &length);
    json_t *header = json_loadb(text, length, JSON_ALLOW_NUL, NULL);
    char *line = json_dumps(header, JSON_COMPACT | JSON_REAL_PRECISION(15));
    if (line != NULL) {
        text_write_clean(stderr, line, strlen(line), "");
    }
    fputc('\n', stderr);
    free(line);
    json_decref(header);
}

static int show(const struct arizmq_reply *reply, const struct req_options *options)
{
    if (options->shows_header) {
        write_header(reply);
    } else {
        client_reply_write_status(reply);
    }
    return write_body(reply, options->is_raw) ? client_reply_exit_status(reply)
                                              : EXIT_STATUS_FAILED;
}

int req_run(int argc, char **argv)
{
    struct req_options options;
    struct arizmq_reply *reply = NULL;
    char *file = NULL;
    int status = EXIT_STATUS_FAILED;
    req_options_parse(argc, argv, &options);
    client_prepare_signals();
    char *members = json_dumps(options.header, JSON_COMPACT);
    struct arizmq_request request = {
        .method = json_string_value(json_object_get(options.header, "method")),
        .uri = json_string_value(json_object_get(options.header, "uri")),
        .members = members,
        .body = options.json,
        .timeout_ms = options.client.timeout_ms,
        .retries = options.retries};
    if (members == NULL) {
        fputs("arizmq: no memory\n", stderr);
        goto cleanup;
    }
    if (options.json != NULL) {
        request.body_length = strlen(options.json);
    } else if (options.body_file != NULL) {
        request.body = file = read_body(options.body_file, &request.body_length);
        if (file == NULL) {
            status = EXIT_STATUS_USAGE;
            goto cleanup;
        }
    }
    int rc = client_ask(options.client.endpoint, &request, &reply);
    if (rc == ARIZMQ_OK) {
        status = show(reply, &options);
    } else if (rc == ARIZMQ_EINVALID) {
        status = EXIT_STATUS_USAGE;
    }
cleanup:
    arizmq_reply_destroy(&reply);
    free(members);
    free(file);
    req_options_clear(&options);
    return status;
}
