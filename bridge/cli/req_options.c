/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The arguments and the manual of `arizmq req`; the request's header is put together here. Called
 * once, before anything is opened. A wrong value gets one line that names it. Which methods, uris
 * and nodes there are is for the bridge and Asterisk to say.
 */
#include "cli/req_options.h"

#include <ctype.h>
#include <string.h>

#include "cli/arguments.h"
#include "cli/exit_status.h"
#include "cli/manual.h"
#include "cli/pretty.h"

enum {
    KEY_BODY = 0x100,
    KEY_CONTENT_TYPE,
    KEY_JSON,
    KEY_NODE,
    KEY_APP,
    KEY_REQUEST_ID,
    KEY_RETRY,
    KEY_HEADER,
    KEY_RAW,
};

enum { METHOD_BYTES_MAX = 16 };

static const struct manual req_manual = {
    .name = "arizmq req",
    .summary = "send a command to Asterisk through arizmqd",
    .synopsis = "arizmq req [OPTION]... METHOD URI [NAME=VALUE]...\n",
    .description =
        "Sends one request to the gateway of arizmqd, which knows the Asterisk that it is for, "
        "and\n"
        "shows the reply. METHOD is GET, POST, PUT, DELETE, in lower case too. URI is relative to\n"
        "/ari/; each NAME=VALUE goes into its query, percent-encoded where it has to be. A NAME\n"
        "may be given several times.\n"
        "\n"
        "The status goes to standard error, the body to standard output. A body that is JSON is\n"
        "indented, its numbers and strings left as they came; any other is written as it is, but\n"
        "not to a terminal if it is not text.\n"
        "\n"
        "Every request has a request_id, under which the bridge runs a command once for some time\n"
        "(gateway.once_window_ms of its configuration): an attempt of --retry, or a repetition\n"
        "with --request-id, gets the reply to the first.\n"
        "\n" CLIENT_OPTIONS_ENVIRONMENT,
    .examples = "arizmq req GET channels\n"
                "arizmq req POST channels/1690.12/play media=sound:hello-world\n"
                "arizmq req POST channels endpoint=PJSIP/bob app=ivr --node pbx2 --retry 2\n"
                "arizmq req POST channels/1690.12/variable variable=LANG value=en\n"
                "arizmq req PUT applications/ivr/eventFilter --json '{\"disallowed\":[]}'\n"
                "arizmq req GET recordings/stored/hello/file --raw > hello.wav\n"
                "arizmq req DELETE channels/1690.12 || echo \"no such call\"\n",
    .exit_status = "0    2xx\n"
                   "1    no reply, or one that is not understood; or the output could not be "
                   "written\n"
                   "2    an option or argument is wrong\n"
                   "3    3xx\n"
                   "4    4xx: refused by Asterisk or the bridge\n"
                   "5    5xx: failed in Asterisk or the bridge\n"
                   "130  ended by Ctrl-C\n",
};

static const struct argp_option option_list[] = {
    {"body", KEY_BODY, "FILE", 0, "Send this file's bytes as the body; - is standard input", 1},
    {"json", KEY_JSON, "TEXT", 0, "Send this text, which must be JSON, as the body", 1},
    {"content-type", KEY_CONTENT_TYPE, "TYPE", 0,
     "What the body is (the bridge takes it for application/json otherwise)", 1},
    {"node", KEY_NODE, "NAME", 0, "Send it to this Asterisk, whatever the bridge knows", 1},
    {"app", KEY_APP, "NAME", 0, "The application that the request is made for", 1},
    {"request-id", KEY_REQUEST_ID, "ID", 0, "Identify the request so (default: a new UUID)", 2},
    {"retry", KEY_RETRY, "N", 0,
     "Where no reply comes, try again up to N times with the same request_id (default 0)", 2},
    {"header", KEY_HEADER, NULL, 0,
     "Write the reply's header as one line of JSON instead of the status, also to standard error",
     3},
    {"raw", KEY_RAW, NULL, 0, "Write the body's bytes as they came, to a terminal too", 3},
    MANUAL_OPTIONS,
    {0},
};

static error_t parse_option(int key, char *argument, struct argp_state *state);
static const struct argp_child children[] = {{.argp = &client_options_parser, .group = 0}, {0}};
static const struct argp parser = {
    .options = option_list, .parser = parse_option, .children = children};

/* Puts the text into the header of the request. */
static void take_text(struct argp_state *state, const char *what, const char *name,
                      const char *text)
{
    struct req_options *options = state->input;
    if (*text == '\0') {
        argp_failure(state, EXIT_STATUS_USAGE, 0, "%s: \"\" is not allowed", what);
    }
    if (json_object_set_new(options->header, name, json_string(text)) != 0) {
        argp_failure(state, EXIT_STATUS_USAGE, 0, "%s: \"%s\" is no UTF-8", what, text);
    }
}

static void take_method(struct argp_state *state, const char *text)
{
    char method[METHOD_BYTES_MAX + 1] = "";
    size_t length = 0;
    while (length < METHOD_BYTES_MAX && isalpha((unsigned char)text[length])) {
        method[length] = (char)toupper((unsigned char)text[length]);
        length++;
    }
    if (length == 0 || text[length] != '\0') {
        argp_failure(state, EXIT_STATUS_USAGE, 0,
                     "\"%s\" is no method; allowed: 1 to %d letters, such as GET", text,
                     METHOD_BYTES_MAX);
    }
    take_text(state, "METHOD", "method", method);
}

static void take_pair(struct argp_state *state, const char *text)
{
    struct req_options *options = state->input;
    const char *equals = strchr(text, '=');
    if (equals == NULL || equals == text) {
        argp_failure(state, EXIT_STATUS_USAGE, 0, "\"%s\" is no NAME=VALUE", text);
        return;
    }
    json_t *pair =
        json_pack("{s:s%, s:s}", "name", text, (size_t)(equals - text), "value", equals + 1);
    if (pair == NULL || json_array_append_new(options->pairs, pair) != 0) {
        argp_failure(state, EXIT_STATUS_USAGE, 0, "\"%s\" is no UTF-8", text);
    }
}

static void take_argument(struct argp_state *state, const char *text)
{
    struct req_options *options = state->input;
    switch (options->arguments++) {
    case 0:
        take_method(state, text);
        break;
    case 1:
        take_text(state, "URI", "uri", text);
        break;
    default:
        take_pair(state, text);
        break;
    }
}

static void take_json(struct argp_state *state, const char *text)
{
    struct req_options *options = state->input;
    json_t *json = pretty_parse(text, strlen(text));
    if (json == NULL) {
        argp_failure(state, EXIT_STATUS_USAGE, 0, "--json: \"%s\" is no JSON", text);
    }
    json_decref(json);
    options->json = text;
}

/* An object reads best; a list where a name comes twice. */
static json_t *make_query(const json_t *pairs)
{
    json_t *query = json_object();
    size_t index = 0;
    json_t *pair = NULL;
    json_array_foreach((json_t *)pairs, index, pair)
    {
        json_object_set(query, json_string_value(json_object_get(pair, "name")),
                        json_object_get(pair, "value"));
    }
    if (json_object_size(query) == json_array_size(pairs)) {
        return query;
    }
    json_decref(query);
    return json_deep_copy(pairs);
}

/* After the last argument: what is missing or does not go together. */
static void complete(struct argp_state *state)
{
    struct req_options *options = state->input;
    bool has_type = json_object_get(options->header, "content_type") != NULL;
    if (options->arguments < 2) {
        argp_failure(state, EXIT_STATUS_USAGE, 0, "%s ('%s --help' tells more)",
                     options->arguments == 0 ? "no METHOD and no URI given" : "no URI given",
                     req_manual.name);
    }
    if (options->json != NULL && options->body_file != NULL) {
        argp_failure(state, EXIT_STATUS_USAGE, 0, "--json and --body: only one body is allowed");
    }
    if (options->json == NULL && options->body_file == NULL && has_type) {
        argp_failure(state, EXIT_STATUS_USAGE, 0,
                     "--content-type: \"%s\" needs a body, of --body or --json",
                     json_string_value(json_object_get(options->header, "content_type")));
    }
    if (options->json != NULL && !has_type) {
        take_text(state, "--json", "content_type", "application/json");
    }
    if (json_array_size(options->pairs) > 0) {
        json_object_set_new(options->header, "query_strings", make_query(options->pairs));
    }
}

static error_t parse_text_option(int key, const char *argument, struct argp_state *state)
{
    switch (key) {
    case KEY_CONTENT_TYPE:
        take_text(state, "--content-type", "content_type", argument);
        return 0;
    case KEY_NODE:
        take_text(state, "--node", "node", argument);
        return 0;
    case KEY_APP:
        take_text(state, "--app", "app", argument);
        return 0;
    case KEY_REQUEST_ID:
        take_text(state, "--request-id", "request_id", argument);
        return 0;
    case MANUAL_KEY_HELP:
        manual_write(stdout, &req_manual, &parser);
        exit(EXIT_STATUS_OK);
    case MANUAL_KEY_USAGE:
        manual_write_usage(stdout, &req_manual);
        exit(EXIT_STATUS_OK);
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct req_options *options = state->input;
    switch (key) {
    case KEY_BODY:
        options->body_file = argument;
        return 0;
    case KEY_JSON:
        take_json(state, argument);
        return 0;
    case KEY_RETRY:
        options->retries =
            (unsigned)arguments_parse_number(state, "--retry", argument, 0, REQ_RETRIES_MAX);
        return 0;
    case KEY_HEADER:
        options->shows_header = true;
        return 0;
    case KEY_RAW:
        options->is_raw = true;
        return 0;
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &options->client;
        return 0;
    case ARGP_KEY_ARG:
        take_argument(state, argument);
        return 0;
    case ARGP_KEY_END:
        complete(state);
        return 0;
    default:
        return parse_text_option(key, argument, state);
    }
}

void req_options_parse(int argc, char **argv, struct req_options *out)
{
    struct req_options options = {.header = json_object(), .pairs = json_array()};
    argp_err_exit_status = EXIT_STATUS_USAGE;
    argp_parse(&parser, argc, argv, ARGP_NO_HELP, NULL, &options);
    *out = options;
}

void req_options_clear(struct req_options *options)
{
    json_decref(options->header);
    json_decref(options->pairs);
    *options = (struct req_options){0};
}
