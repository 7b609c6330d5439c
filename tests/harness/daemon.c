/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Runs arizmqd for a test with a configuration in a temporary directory. Called by tests, which
 * wait for its log lines and stop it. It never chooses a fixed port or path.
 */
#include "daemon.h"

#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arizmq/error.h"

enum { ARGUMENTS_MAX = 32 };

static void node_write(FILE *file, const struct daemon_node *node)
{
    fprintf(file, "  - name: %s\n", node->name);
    if (node->url) {
        fprintf(file, "    url: %s\n", node->url);
    } else {
        fprintf(file, "    url: ws://127.0.0.1:%u/ari\n", node->port);
    }
    fprintf(file, "    username: %s\n    password: %s\n    apps: [%s]\n    subscribe_all: %s\n",
            node->username ? node->username : "lab", node->password ? node->password : "secret",
            node->apps, node->subscribe_all ? "true" : "false");
    if (node->extra) {
        fputs(node->extra, file);
    }
}

static void config_write_text(FILE *file, const char *text, const char *directory)
{
    for (const char *at; (at = strstr(text, "DIR")) != NULL; text = at + strlen("DIR")) {
        fwrite(text, 1, (size_t)(at - text), file);
        fputs(directory, file);
    }
    fputs(text, file);
}

/* Whether these YAML lines, NULL for none, say something of the gateway. */
static bool has_gateway(const char *text)
{
    return text &&
           (strncmp(text, "gateway:", strlen("gateway:")) == 0 || strstr(text, "\ngateway:"));
}

static int config_write(const struct daemon *daemon, const struct daemon_options *options)
{
    FILE *file = fopen(daemon->config_path, "w");
    if (!file) {
        return ARIZMQ_EIO;
    }
    if (options->config) {
        config_write_text(file, options->config, daemon->directory);
    } else {
        fputs("nodes:\n", file);
        for (int i = 0; i < DAEMON_NODES_MAX && options->nodes[i].name; i++) {
            node_write(file, &options->nodes[i]);
        }
        fprintf(file,
                "publish:\n  - {view: events, endpoint: \"%s\"}\n"
                "  - {view: objects, endpoint: \"%s\"}\n",
                daemon->events_endpoint, daemon->objects_endpoint);
        if (options->extra) {
            fputs(options->extra, file);
        }
    }
    if (!has_gateway(options->config) && !has_gateway(options->extra)) {
        fprintf(file, "gateway: {endpoint: \"%s\"}\n", daemon->gateway_endpoint);
    }
    return fclose(file) ? ARIZMQ_EIO : ARIZMQ_OK;
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    return remove(path);
}

static void daemon_free(struct daemon **self)
{
    struct daemon *daemon = *self;
    process_destroy(&daemon->process);
    if (*daemon->directory) {
        nftw(daemon->directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    }
    free(daemon);
    *self = NULL;
}

struct daemon *daemon_start(const struct daemon_options *options)
{
    const char *argv[ARGUMENTS_MAX + 4] = {options->program ? options->program
                                                            : BUILD_DIR "/arizmqd"};
    struct daemon *daemon = calloc(1, sizeof *daemon);
    if (!daemon) {
        return NULL;
    }
    /* Short, because the path of an ipc:// socket has at most 107 bytes. */
    strcpy(daemon->directory, "/tmp/arizmq-XXXXXX");
    if (!mkdtemp(daemon->directory)) {
        daemon->directory[0] = '\0';
        daemon_free(&daemon);
        return NULL;
    }
    snprintf(daemon->config_path, sizeof daemon->config_path, "%s/arizmqd.yaml", daemon->directory);
    snprintf(daemon->events_endpoint, sizeof daemon->events_endpoint, "ipc://%s/events",
             daemon->directory);
    snprintf(daemon->objects_endpoint, sizeof daemon->objects_endpoint, "ipc://%s/objects",
             daemon->directory);
    snprintf(daemon->gateway_endpoint, sizeof daemon->gateway_endpoint, "ipc://%s/gateway",
             daemon->directory);
    argv[1] = "-c";
    argv[2] = daemon->config_path;
    for (int i = 0; options->arguments && options->arguments[i] && i < ARGUMENTS_MAX; i++) {
        argv[i + 3] = options->arguments[i];
    }
    if (config_write(daemon, options) || process_start(argv, &daemon->process)) {
        daemon_free(&daemon);
    }
    return daemon;
}

struct log_wanted {
    const char *event;
    const char *text;
};

/* "TIME LEVEL EVENT: TEXT" */
static bool line_is_wanted(const char *line, const void *argument)
{
    const struct log_wanted *wanted = argument;
    const char *at = strchr(line, ' ');
    at = at ? strchr(at + 1, ' ') : NULL;
    size_t length = strlen(wanted->event);
    if (!at || strncmp(at + 1, wanted->event, length) != 0 || at[1 + length] != ':') {
        return false;
    }
    return !wanted->text || strstr(at + 1 + length, wanted->text);
}

const char *daemon_await_log(struct daemon *daemon, const char *event, const char *text,
                             int timeout_ms)
{
    struct log_wanted wanted = {event, text};
    return process_await_line(daemon->process, PROCESS_STDERR, line_is_wanted, &wanted, timeout_ms);
}

size_t daemon_count_log(struct daemon *daemon, const char *event)
{
    struct log_wanted wanted = {event, NULL};
    return process_count_lines(daemon->process, PROCESS_STDERR, line_is_wanted, &wanted);
}

int daemon_stop(struct daemon **self, int timeout_ms)
{
    struct daemon *daemon = *self;
    if (!daemon) {
        return ARIZMQ_ECLOSED;
    }
    process_signal(daemon->process, SIGTERM);
    int status = process_wait(daemon->process, timeout_ms);
    if (status != 0) {
        process_dump(daemon->process);
    }
    daemon_free(self);
    return status;
}
