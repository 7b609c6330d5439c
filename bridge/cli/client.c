/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Asking the gateway, for `arizmq req`, `nodes`, `snapshot` and `history`: the library asks, this
 * tells on standard error what came of it. What is in a body is the command's affair. Nothing here
 * writes to standard output.
 */
#include "cli/client.h"

#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#include "arizmq/error.h"
#include "cli/text.h"

static void handle_signal(int number)
{
    raise(number);       /* its default effect, which ends the loop of a shell, too */
    _exit(128 + number); /* the first process of a container survives that */
}

void client_prepare_signals(void)
{
    struct sigaction action = {.sa_handler = handle_signal,
                               .sa_flags = (int)(SA_RESETHAND | SA_NODEFER)};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static void write_clean(const char *text)
{
    text_write_clean(stderr, text, strlen(text), "");
}

static void tell_retry(void *argument, const char *failure, unsigned left)
{
    (void)argument;
    if (left > 0) {
        fputs("arizmq: ", stderr);
        write_clean(failure);
        fputs("; trying again with the same request_id\n", stderr);
    }
}

/* Why there is no reply, and what that means. */
static void tell_failure(const struct arizmq_gateway *gateway, int rc)
{
    fputs("arizmq: ", stderr);
    write_clean(arizmq_gateway_failure(gateway));
    if (rc == ARIZMQ_ECLOSED || rc == ARIZMQ_ETIMEOUT) {
        fputs("; whether the request was carried out is not known, the same again with "
              "--request-id=",
              stderr);
        write_clean(arizmq_gateway_request_id(gateway));
        fputs(" will not do it twice", stderr);
    }
    fputc('\n', stderr);
}

int client_ask(const char *endpoint, const struct arizmq_request *request,
               struct arizmq_reply **out)
{
    struct arizmq_gateway *gateway = NULL;
    const struct arizmq_gateway_options options = {.on_failure = tell_retry};
    int rc = arizmq_gateway_create(endpoint, &options, &gateway);
    if (rc == ARIZMQ_EINVALID) {
        fprintf(stderr,
                "arizmq: \"%s\" is no endpoint to connect to; allowed: tcp://HOST:PORT, "
                "ipc://PATH\n",
                endpoint);
    } else if (rc != ARIZMQ_OK) {
        fprintf(stderr, "arizmq: no socket for %s: %s\n", endpoint, zmq_strerror(zmq_errno()));
    } else {
        rc = arizmq_gateway_request(gateway, request, out);
        if (rc != ARIZMQ_OK) {
            tell_failure(gateway, rc);
        }
    }
    arizmq_gateway_destroy(&gateway);
    return rc;
}

const char *client_reply_text(const struct arizmq_reply *reply, const char *name,
                              const char *otherwise)
{
    const char *text = arizmq_reply_text(reply, name);
    return text != NULL ? text : otherwise;
}

int client_reply_exit_status(const struct arizmq_reply *reply)
{
    int digit = arizmq_reply_status(reply) / 100;
    return digit == 2 ? 0 : digit;
}

/* The header's elapsed_ms; negative where it has none. */
static double read_elapsed_ms(const struct arizmq_reply *reply)
{
    size_t length = 0;
    const char *text = arizmq_reply_header(reply, &length);
    json_t *header = json_loadb(text, length, JSON_ALLOW_NUL, NULL);
    const json_t *elapsed = json_object_get(header, "elapsed_ms");
    double ms = json_is_number(elapsed) ? json_number_value(elapsed) : -1;
    json_decref(header);
    return ms;
}

void client_reply_write_status(const struct arizmq_reply *reply)
{
    const char *const words[] = {client_reply_text(reply, "node", ""),
                                 client_reply_text(reply, "error", "")};
    const char *reason = client_reply_text(reply, "reason_phrase", "");
    const char *before = " (";
    fprintf(stderr, "%d%s", arizmq_reply_status(reply), *reason != '\0' ? " " : "");
    write_clean(reason);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (*words[i] != '\0') {
            fputs(before, stderr);
            write_clean(words[i]);
            before = ", ";
        }
    }
    double ms = read_elapsed_ms(reply);
    if (ms >= 0) {
        fprintf(stderr, "%s%.*f ms", before, ms < 1 ? 2 : 1, ms);
        before = ", ";
    }
    if (arizmq_reply_frames(reply) > 0) {
        fprintf(stderr, "%s%zu further frames", before, arizmq_reply_frames(reply));
        before = ", ";
    }
    fputs(*before == ',' ? ")\n" : "\n", stderr);
}

int client_show_refusal(const struct arizmq_reply *reply)
{
    size_t length = 0;
    const char *bytes = arizmq_reply_body(reply, &length);
    client_reply_write_status(reply);
    text_write_clean(stderr, bytes, length, "\n");
    fputs(length > 0 ? "\n" : "", stderr);
    return client_reply_exit_status(reply);
}

bool client_finish_output(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout)) {
        return true;
    }
    if (errno == EPIPE) {
        return true;
    }
    fprintf(stderr, "arizmq: cannot write the output: %s\n", strerror(errno));
    return false;
}
