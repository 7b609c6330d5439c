/* SPDX-License-Identifier: MPL-2.0 */
/*
 * `arizmq nodes`: asks the gateway for arizmq/nodes and writes a line for each Asterisk or for each
 * application, in columns, or the body as it came. What a member lacks is shown as a dash.
 */
#include "cli/nodes.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "arizmq/error.h"
#include "cli/client.h"
#include "cli/client_options.h"
#include "cli/exit_status.h"
#include "cli/manual.h"
#include "cli/pretty.h"
#include "cli/table.h"
#include "cli/text.h"

enum { KEY_JSON = 0x100, KEY_EVENTS };

struct nodes_options {
    struct client_options client;
    bool is_json;
    bool shows_events;
};

static const struct manual nodes_manual = {
    .name = "arizmq nodes",
    .summary = "show which Asterisks arizmqd is connected to",
    .synopsis = "arizmq nodes [OPTION]...\n",
    .description =
        "Asks the gateway of arizmqd about its nodes and shows a line for each: its state and for\n"
        "how long (by the clock here), Asterisk's version, the state of each application, calls,\n"
        "events and commands per second, commands under way, and the last error, of the node or\n"
        "of an application.\n"
        "\n"
        "With --events: for each application what became of every message that came from\n"
        "Asterisk: RECEIVED = PUBLISHED + RESPONSES + those refused for their SIZE, for not being\n"
        "UTF8, for want of MEMORY.\n"
        "\n" CLIENT_OPTIONS_ENVIRONMENT,
    .examples = "arizmq nodes\n"
                "arizmq nodes --events\n"
                "arizmq nodes --json | jq -r '.nodes[] | select(.state != \"up\") | .name'\n"
                "arizmq nodes > /dev/null || echo \"something is down\"\n",
    .exit_status = "0    every node is up, and no application is down (standby is not down)\n"
                   "1    no reply, or one that is not understood; or the output could not be "
                   "written\n"
                   "2    an option or argument is wrong\n"
                   "3    a node or an application is down\n"
                   "4    4xx: the bridge refused the request\n"
                   "5    5xx: the bridge failed\n"
                   "130  ended by Ctrl-C\n",
};

static const struct argp_option option_list[] = {
    {"events", KEY_EVENTS, NULL, 0,
     "A line for each application: what became of every message that came from Asterisk", 1},
    {"json", KEY_JSON, NULL, 0, "Write the reply's body as it came", 1},
    MANUAL_OPTIONS,
    {0}};
static error_t parse_option(int key, char *argument, struct argp_state *state);
static const struct argp_child children[] = {{.argp = &client_options_parser, .group = 0}, {0}};
static const struct argp parser = {
    .options = option_list, .parser = parse_option, .children = children};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct nodes_options *options = state->input;
    switch (key) {
    case KEY_EVENTS:
        options->shows_events = true;
        return 0;
    case KEY_JSON:
        options->is_json = true;
        return 0;
    case MANUAL_KEY_HELP:
        manual_write(stdout, &nodes_manual, &parser);
        exit(EXIT_STATUS_OK);
    case MANUAL_KEY_USAGE:
        manual_write_usage(stdout, &nodes_manual);
        exit(EXIT_STATUS_OK);
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &options->client;
        return 0;
    case ARGP_KEY_ARG:
        argp_failure(state, EXIT_STATUS_USAGE, 0, "\"%s\": no argument is allowed", argument);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* How long ago the time of day was, in its two largest units. */
static void write_since(FILE *out, const json_t *node, const char *name)
{
    const char *text = json_string_value(json_object_get(node, name));
    struct tm utc = {0};
    const char *rest = text == NULL ? NULL : strptime(text, "%Y-%m-%dT%H:%M:%S", &utc);
    if (rest == NULL) {
        putc('-', out);
        return;
    }
    if (*rest == '.') {
        rest += 1 + strspn(rest + 1, "0123456789");
    }
    struct tm zone = {0};
    long offset_s = strptime(rest, "%z", &zone) == NULL ? 0 : zone.tm_gmtoff;
    long long s = (long long)time(NULL) - (long long)timegm(&utc) + offset_s;
    s = s < 0 ? 0 : s;
    if (s < 60) {
        fprintf(out, "%llds", s);
    } else if (s < 3600) {
        fprintf(out, "%lldm%02llds", s / 60, s % 60);
    } else if (s < 86400) {
        fprintf(out, "%lldh%02lldm", s / 3600, s / 60 % 60);
    } else {
        fprintf(out, "%lldd%02lldh", s / 86400, s / 3600 % 24);
    }
}

static void write_text(FILE *out, const json_t *object, const char *name)
{
    const json_t *text = json_object_get(object, name);
    if (json_string_length(text) == 0) {
        putc('-', out);
        return;
    }
    text_write_clean(out, json_string_value(text), json_string_length(text), "");
}

static void write_apps(FILE *out, const json_t *node, const char *name)
{
    const json_t *apps = json_object_get(node, name);
    for (size_t i = 0; i < json_array_size(apps); i++) {
        const json_t *app = json_array_get(apps, i);
        fputs(i > 0 ? "," : "", out);
        write_text(out, app, "name");
        putc(':', out);
        write_text(out, app, "state");
    }
    fputs(json_array_size(apps) == 0 ? "-" : "", out);
}

static void write_decimals(FILE *out, const json_t *row, const char *name, int decimals)
{
    const json_t *number = json_object_get(row, name);
    if (json_is_number(number)) {
        fprintf(out, "%.*f", decimals, json_number_value(number));
    } else {
        putc('-', out);
    }
}

static void write_number(FILE *out, const json_t *row, const char *name)
{
    write_decimals(out, row, name, 0);
}

static void write_rate(FILE *out, const json_t *row, const char *name)
{
    write_decimals(out, row, name, 1);
}

/* The node's, then those of its applications that say something else. */
static void write_errors(FILE *out, const json_t *node, const char *name)
{
    const char *of_node = json_string_value(json_object_get(node, name));
    const json_t *apps = json_object_get(node, "apps");
    const char *between = "";
    if (of_node != NULL) {
        write_text(out, node, name);
        between = "; ";
    }
    for (size_t i = 0; i < json_array_size(apps); i++) {
        const json_t *app = json_array_get(apps, i);
        const char *of_app = json_string_value(json_object_get(app, name));
        if (of_app != NULL && (of_node == NULL || strcmp(of_app, of_node) != 0)) {
            fputs(between, out);
            write_text(out, app, "name");
            fputs(": ", out);
            write_text(out, app, name);
            between = "; ";
        }
    }
    fputs(*between == '\0' ? "-" : "", out);
}

static const struct table_column node_columns[] = {
    {"NODE", "name", write_text, false},
    {"STATE", "state", write_text, false},
    {"SINCE", "since", write_since, false},
    {"VERSION", "version", write_text, false},
    {"APPS", "apps", write_apps, false},
    {"CALLS", "calls", write_number, true},
    {"EV/S", "events_per_s", write_rate, true},
    {"CMD/S", "commands_per_s", write_rate, true},
    {"UNDER WAY", "under_way", write_number, true},
    {"LAST ERROR", "last_error", write_errors, false},
};

/* --- --events: a row is an application, its node and its counters in one object */

static const struct table_column events_columns[] = {
    {"NODE", "node", write_text, false},
    {"APP", "name", write_text, false},
    {"RECEIVED", "received", write_number, true},
    {"PUBLISHED", "published", write_number, true},
    {"RESPONSES", "responses", write_number, true},
    {"SIZE", "size", write_number, true},
    {"UTF8", "utf8", write_number, true},
    {"MEMORY", "memory", write_number, true},
};

/* Adds the members of `from`, where it has any. */
static int add_members(json_t *row, json_t *from)
{
    return json_is_object(from) ? json_object_update(row, from) : 0;
}

/* Returns NULL without memory. */
static json_t *make_events_row(const json_t *node, json_t *app)
{
    json_t *events = json_object_get(app, "events");
    json_t *name = json_object_get(node, "name");
    json_t *row = json_object();
    if (row == NULL || add_members(row, app) != 0 || add_members(row, events) != 0 ||
        add_members(row, json_object_get(events, "refused")) != 0 ||
        (name != NULL && json_object_set(row, "node", name) != 0)) {
        json_decref(row);
        return NULL;
    }
    return row;
}

/* A row for each application of each node; NULL without memory. */
static json_t *make_events_rows(const json_t *nodes)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < json_array_size(nodes); i++) {
        const json_t *node = json_array_get(nodes, i);
        const json_t *apps = json_object_get(node, "apps");
        for (size_t k = 0; k < json_array_size(apps); k++) {
            json_t *row = make_events_row(node, json_array_get(apps, k));
            if (json_array_append_new(rows, row) != 0) {
                json_decref(rows);
                return NULL;
            }
        }
    }
    return rows;
}

/* --- the reply */

static int write_nodes(const json_t *nodes, bool shows_events)
{
    if (!shows_events) {
        return table_write(node_columns, sizeof node_columns / sizeof node_columns[0], nodes);
    }
    json_t *rows = make_events_rows(nodes);
    int rc = ARIZMQ_ENOMEM;
    if (rows != NULL) {
        rc = table_write(events_columns, sizeof events_columns / sizeof events_columns[0], rows);
    }
    json_decref(rows);
    return rc;
}

static bool state_is(const json_t *object, const char *state)
{
    const char *text = json_string_value(json_object_get(object, "state"));
    return text != NULL && strcmp(text, state) == 0;
}

static bool something_is_down(const json_t *nodes)
{
    for (size_t i = 0; i < json_array_size(nodes); i++) {
        const json_t *node = json_array_get(nodes, i);
        const json_t *apps = json_object_get(node, "apps");
        if (!state_is(node, "up")) {
            return true;
        }
        for (size_t k = 0; k < json_array_size(apps); k++) {
            if (state_is(json_array_get(apps, k), "down")) {
                return true;
            }
        }
    }
    return false;
}

/* Returns the array of nodes of the body, `*body` owning it; NULL if it is not what it should be.
 */
static const json_t *read_nodes(const char *bytes, size_t length, json_t **body)
{
    *body = pretty_parse(bytes, length);
    const json_t *nodes = json_object_get(*body, "nodes");
    if (!json_is_array(nodes)) {
        return NULL;
    }
    for (size_t i = 0; i < json_array_size(nodes); i++) {
        if (!json_is_object(json_array_get(nodes, i))) {
            return NULL;
        }
    }
    return nodes;
}

static int show(const struct nodes_options *options, const struct arizmq_reply *reply)
{
    if (client_reply_exit_status(reply) != EXIT_STATUS_OK) {
        return client_show_refusal(reply);
    }
    size_t length = 0;
    const char *bytes = arizmq_reply_body(reply, &length);
    json_t *body = NULL;
    const json_t *nodes = read_nodes(bytes, length, &body);
    int status = EXIT_STATUS_FAILED;
    if (nodes == NULL) {
        fprintf(stderr, "arizmq: %s: the reply is not understood: its body is no list of nodes\n",
                options->client.endpoint);
    } else if (options->is_json) {
        fwrite(bytes, 1, length, stdout);
        fputs(bytes[length - 1] != '\n' ? "\n" : "", stdout);
        status = EXIT_STATUS_OK;
    } else if (write_nodes(nodes, options->shows_events) == ARIZMQ_OK) {
        status = EXIT_STATUS_OK;
    } else {
        fputs("arizmq: no memory\n", stderr);
    }
    if (!client_finish_output()) {
        status = EXIT_STATUS_FAILED;
    } else if (status == EXIT_STATUS_OK && something_is_down(nodes)) {
        status = EXIT_STATUS_MISSING;
    }
    json_decref(body);
    return status;
}

int nodes_run(int argc, char **argv)
{
    struct nodes_options options = {0};
    argp_err_exit_status = EXIT_STATUS_USAGE;
    argp_parse(&parser, argc, argv, ARGP_NO_HELP, NULL, &options);
    client_prepare_signals();
    const struct arizmq_request request = {
        .method = "GET", .uri = "arizmq/nodes", .timeout_ms = options.client.timeout_ms};
    struct arizmq_reply *reply = NULL;
    int status = EXIT_STATUS_FAILED;
    int rc = client_ask(options.client.endpoint, &request, &reply);
    if (rc == ARIZMQ_OK) {
        status = show(&options, reply);
        arizmq_reply_destroy(&reply);
    } else if (rc == ARIZMQ_EINVALID) {
        status = EXIT_STATUS_USAGE;
    }
    return status;
}
