/* SPDX-License-Identifier: MPL-2.0 */
/*
 * arizmqd as a test runs it: a temporary directory, a configuration in it, the process, its log.
 * Endpoints are ipc:// sockets in that directory, so tests never meet on a port; the gateway's,
 * too, unless the test's own lines have a `gateway:`.
 */
#ifndef ARIZMQ_HARNESS_DAEMON_H
#define ARIZMQ_HARNESS_DAEMON_H

#include <stdint.h>

#include "harness/process.h"

struct daemon_node {
    const char *name; /* NULL: the list's end */
    uint16_t port;    /* of the fake Asterisk, or of a fault proxy before it */
    const char *apps; /* "ivr" or "ivr, queue" */
    bool subscribe_all;
    const char *username; /* NULL: lab */
    const char *password; /* NULL: secret */
    const char *url;      /* NULL: ws://127.0.0.1:PORT/ari */
    const char *extra;    /* NULL, or more YAML lines, each indented by four blanks */
};

enum { DAEMON_NODES_MAX = 16 };

struct daemon_options {
    struct daemon_node nodes[DAEMON_NODES_MAX];
    const char *extra;   /* NULL, or more YAML lines at the top level */
    const char *config;  /* not NULL: the whole file, used instead of the above; DIR in it stands
                            for the temporary directory */
    const char *program; /* NULL: ${build}/arizmqd */
    const char *const *arguments; /* NULL, or more arguments, NULL-terminated */
};

struct daemon {
    struct process *process;
    char directory[64];
    char config_path[96];
    char events_endpoint[96];  /* ipc://…/events */
    char objects_endpoint[96]; /* ipc://…/objects */
    char gateway_endpoint[96]; /* ipc://…/gateway */
};

/* Writes the configuration and starts the program; does not wait for anything. NULL when it cannot
 * be started. */
struct daemon *daemon_start(const struct daemon_options *options);

/* The first log line not handed out yet whose event word (see bridge/ops/log.h) is `event` and
 * which contains `text`, NULL for any; waits for it. NULL when the time is over. Borrowed. */
const char *daemon_await_log(struct daemon *daemon, const char *event, const char *text,
                             int timeout_ms);
/* How many log lines with that event word have come so far. */
size_t daemon_count_log(struct daemon *daemon, const char *event);

/* Sends SIGTERM, waits, removes the directory and frees; nulls the pointer. Returns the exit
 * status, or ARIZMQ_ENOTFOUND when it did not end within the time and was killed. Its log goes to
 * the test's stderr when that is not 0. */
int daemon_stop(struct daemon **self, int timeout_ms);

#endif
