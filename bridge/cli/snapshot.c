/* SPDX-License-Identifier: MPL-2.0 */
/*
 * `arizmq snapshot`: asks the gateway for arizmq/snapshot and writes a line for each object.
 */
#include "cli/snapshot.h"

#include <inttypes.h>
#include <stdlib.h>

#include "arizmq/error.h"
#include "cli/client.h"
#include "cli/client_options.h"
#include "cli/exit_status.h"
#include "cli/form_options.h"
#include "cli/manual.h"
#include "client/snapshot_body.h"

enum { KEY_KINDS = 0x100, KEY_NODE, KEY_APP, PARAMETERS = 3 };

struct snapshot_options {
    struct client_options client;
    struct print_style style;
    const char *texts[PARAMETERS]; /* of KEY_KINDS and those after it; NULL: not given */
};

static const char *const parameters[PARAMETERS] = {"kinds", "node", "app"};

static const struct manual snapshot_manual = {
    .name = "arizmq snapshot",
    .summary = "show every object that arizmqd knows",
    .synopsis = "arizmq snapshot [OPTION]...\n",
    .description =
        "Asks the gateway of arizmqd for its snapshot and writes a line for each channel, bridge,\n"
        "playback, recording, endpoint and device state: its last value, as Asterisk sent it. A\n"
        "pipe or file gets one JSON object a line:\n"
        "\n"
        "    {\"object\":{\"kind\":K,\"id\":I,\"node\":N,\"app\":A,\"epoch\":E,\"seq\":N,"
        "\"value\":VALUE}}\n"
        "\n"
        "'arizmq sub --snapshot' goes on with what happens after that.\n"
        "\n" CLIENT_OPTIONS_ENVIRONMENT,
    .examples = "arizmq snapshot --kinds channels,bridges\n"
                "arizmq snapshot --node pbx1 | jq -r .object.id\n",
    .exit_status = "0    all went well\n"
                   "1    no reply, or one that is not understood; or the output could not be "
                   "written\n"
                   "2    an option or argument is wrong\n"
                   "4    4xx: the bridge refused the request\n"
                   "5    5xx: the bridge failed\n"
                   "130  ended by Ctrl-C\n",
};

static const struct argp_option option_list[] = {
    {"kinds", KEY_KINDS, "LIST", 0,
     "Only these, separated by commas: channels, bridges, playbacks, recordings, endpoints, "
     "deviceStates",
     2},
    {"node", KEY_NODE, "NAME", 0, "Only those of this Asterisk", 2},
    {"app", KEY_APP, "NAME", 0, "Only those of this application", 2},
    MANUAL_OPTIONS,
    {0}};
static error_t parse_option(int key, char *argument, struct argp_state *state);
static const struct argp_child children[] = {
    {.argp = &client_options_parser, .group = 0}, {.argp = &form_options_parser, .group = 1}, {0}};
static const struct argp parser = {
    .options = option_list, .parser = parse_option, .children = children};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct snapshot_options *options = state->input;
    switch (key) {
    case KEY_KINDS:
    case KEY_NODE:
    case KEY_APP:
        options->texts[key - KEY_KINDS] = argument;
        return 0;
    case MANUAL_KEY_HELP:
        manual_write(stdout, &snapshot_manual, &parser);
        exit(EXIT_STATUS_OK);
    case MANUAL_KEY_USAGE:
        manual_write_usage(stdout, &snapshot_manual);
        exit(EXIT_STATUS_OK);
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &options->client;
        state->child_inputs[1] = &options->style;
        return 0;
    case ARGP_KEY_ARG:
        argp_failure(state, EXIT_STATUS_USAGE, 0, "\"%s\": no argument is allowed", argument);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* Returns the exit status. */
static int write_objects(struct snapshot_body *body, const struct print_style *style)
{
    struct arizmq_object object;
    int rc = snapshot_body_next(body, &object);
    while (rc == ARIZMQ_OK) {
        print_object(stdout, style, &object);
        rc = snapshot_body_next(body, &object);
    }
    if (!client_finish_output()) {
        return EXIT_STATUS_FAILED;
    }
    if (rc != ARIZMQ_ENOTFOUND) {
        fputs("arizmq: the snapshot is not understood: one of its objects is none\n", stderr);
        return EXIT_STATUS_FAILED;
    }
    fprintf(stderr, "arizmq: epoch %" PRIu64 ", seq %" PRIu64 "\n", snapshot_body_epoch(body),
            snapshot_body_seq(body));
    return EXIT_STATUS_OK;
}

static int show(const struct arizmq_reply *reply, const struct print_style *style)
{
    if (client_reply_exit_status(reply) != EXIT_STATUS_OK) {
        return client_show_refusal(reply);
    }
    size_t length = 0;
    const char *bytes = arizmq_reply_body(reply, &length);
    struct snapshot_body *body = NULL;
    int rc = snapshot_body_create(bytes, length, &body);
    if (rc != ARIZMQ_OK) {
        fputs(rc == ARIZMQ_ENOMEM
                  ? "arizmq: no memory\n"
                  : "arizmq: the reply is not understood: its body is no snapshot\n",
              stderr);
        return EXIT_STATUS_FAILED;
    }
    int status = write_objects(body, style);
    snapshot_body_destroy(&body);
    return status;
}

int snapshot_run(int argc, char **argv)
{
    struct snapshot_options options = {0};
    const char *query[2 * PARAMETERS + 1] = {NULL};
    argp_err_exit_status = EXIT_STATUS_USAGE;
    argp_parse(&parser, argc, argv, ARGP_NO_HELP, NULL, &options);
    client_prepare_signals();
    for (size_t i = 0, used = 0; i < PARAMETERS; i++) {
        if (options.texts[i] != NULL) {
            query[used++] = parameters[i];
            query[used++] = options.texts[i];
        }
    }
    const struct arizmq_request request = {.method = "GET",
                                           .uri = "arizmq/snapshot",
                                           .query = query,
                                           .timeout_ms = options.client.timeout_ms};
    struct arizmq_reply *reply = NULL;
    int status = EXIT_STATUS_FAILED;
    int rc = client_ask(options.client.endpoint, &request, &reply);
    if (rc == ARIZMQ_OK) {
        status = show(reply, &options.style);
        arizmq_reply_destroy(&reply);
    } else if (rc == ARIZMQ_EINVALID) {
        status = EXIT_STATUS_USAGE;
    }
    return status;
}
