/* SPDX-License-Identifier: MPL-2.0 */
/*
 * `arizmq history`: asks the gateway for arizmq/history, page by page, and writes the messages as
 * `arizmq sub` does.
 */
#include "cli/history.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"
#include "cli/arguments.h"
#include "cli/client.h"
#include "cli/client_options.h"
#include "cli/exit_status.h"
#include "cli/form_options.h"
#include "cli/manual.h"
#include "client/history_page.h"

enum {
    KEY_AFTER = 0x100,
    KEY_UNTIL,
    KEY_EPOCH,
    KEY_VIEW,
    NUMBER_SIZE = 24,
    PARAMETERS = 5,
};

struct history_options {
    struct client_options client;
    struct print_style style;
    const char *view;
    const char *prefix; /* NULL: all */
    uint64_t after;
    uint64_t until; /* UINT64_MAX: no end */
    uint64_t epoch; /* 0: this run */
    uint64_t count; /* messages that are yet to be written */
};

static const struct manual history_manual = {
    .name = "arizmq history",
    .summary = "look at the events that arizmqd has published",
    .synopsis = "arizmq history [OPTION]... [PREFIX]\n",
    .description =
        "Asks the gateway of arizmqd for messages that it has published under the prefix, or for\n"
        "all, and writes them as 'arizmq sub' does. What the bridge keeps no longer is left out,\n"
        "with one line about it on standard error.\n"
        "\n" CLIENT_OPTIONS_ENVIRONMENT,
    .examples = "arizmq history StasisStart/ivr/          all calls that are still known\n"
                "arizmq history --after 1042 --until 1050\n"
                "arizmq history --view objects channel/1690.12/\n",
    .exit_status = "0    all went well\n"
                   "1    no reply, or one that is not understood; or the output could not be "
                   "written\n"
                   "2    an option or argument is wrong\n"
                   "3    some of it is kept no longer, and --after asked for it\n"
                   "4    4xx: the bridge refused the request\n"
                   "5    5xx: the bridge failed\n"
                   "130  ended by Ctrl-C\n",
};

static const struct argp_option option_list[] = {
    {"after", KEY_AFTER, "N", 0, "Only what has a greater seq (default: the oldest there is)", 2},
    {"until", KEY_UNTIL, "N", 0, "And none greater than this", 2},
    {"epoch", KEY_EPOCH, "N", 0, "Of that run of the bridge (default: this one)", 2},
    {"view", KEY_VIEW, "VIEW", 0, "Of the view events (default) or objects", 2},
    {"count", 'n', "N", 0, "End after N messages", 2},
    MANUAL_OPTIONS,
    {0}};
static error_t parse_option(int key, char *argument, struct argp_state *state);
static const struct argp_child children[] = {
    {.argp = &client_options_parser, .group = 0}, {.argp = &form_options_parser, .group = 1}, {0}};
static const struct argp parser = {
    .options = option_list, .parser = parse_option, .children = children};

static void take_view(struct argp_state *state, const char *text)
{
    struct history_options *options = state->input;
    bool is_objects = strcmp(text, "objects") == 0;
    if (!is_objects && strcmp(text, "events") != 0) {
        argp_failure(state, EXIT_STATUS_USAGE, 0,
                     "--view: \"%s\" is not allowed; allowed: events, objects", text);
    }
    options->view = text;
    options->style.view = is_objects ? MESSAGE_VIEW_OBJECTS : MESSAGE_VIEW_EVENTS;
}

static void take_prefix(struct argp_state *state, const char *text)
{
    struct history_options *options = state->input;
    if (options->prefix != NULL) {
        argp_failure(state, EXIT_STATUS_USAGE, 0, "\"%s\": only one prefix is allowed", text);
    }
    options->prefix = text;
}

static error_t parse_number(int key, const char *argument, struct argp_state *state)
{
    struct history_options *options = state->input;
    switch (key) {
    case KEY_AFTER:
        options->after = arguments_parse_number(state, "--after", argument, 0, INT64_MAX);
        return 0;
    case KEY_UNTIL:
        options->until = arguments_parse_number(state, "--until", argument, 0, INT64_MAX);
        return 0;
    case KEY_EPOCH:
        options->epoch = arguments_parse_number(state, "--epoch", argument, 1, INT64_MAX);
        return 0;
    case 'n':
        options->count = arguments_parse_number(state, "--count", argument, 1, INT64_MAX);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct history_options *options = state->input;
    switch (key) {
    case KEY_VIEW:
        take_view(state, argument);
        return 0;
    case MANUAL_KEY_HELP:
        manual_write(stdout, &history_manual, &parser);
        exit(EXIT_STATUS_OK);
    case MANUAL_KEY_USAGE:
        manual_write_usage(stdout, &history_manual);
        exit(EXIT_STATUS_OK);
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &options->client;
        state->child_inputs[1] = &options->style;
        return 0;
    case ARGP_KEY_ARG:
        take_prefix(state, argument);
        return 0;
    default:
        return parse_number(key, argument, state);
    }
}

/* The parameters, and room for their numbers. */
struct question {
    const char *query[2 * PARAMETERS + 1];
    char numbers[PARAMETERS][NUMBER_SIZE];
    size_t used;
};

static void ask_for(struct question *question, const char *name, const char *text)
{
    question->query[question->used++] = name;
    question->query[question->used++] = text;
}

static void ask_for_number(struct question *question, const char *name, uint64_t number)
{
    char *text = question->numbers[question->used / 2];
    snprintf(text, NUMBER_SIZE, "%" PRIu64, number);
    ask_for(question, name, text);
}

static int ask(const struct history_options *options, struct arizmq_reply **out)
{
    struct question question = {.used = 0};
    ask_for(&question, "view", options->view);
    ask_for_number(&question, "after", options->after);
    if (options->prefix != NULL) {
        ask_for(&question, "prefix", options->prefix);
    }
    if (options->until != UINT64_MAX) {
        ask_for_number(&question, "until", options->until);
    }
    if (options->epoch != 0) {
        ask_for_number(&question, "epoch", options->epoch);
    }
    const struct arizmq_request request = {.method = "GET",
                                           .uri = "arizmq/history",
                                           .query = question.query,
                                           .timeout_ms = options->client.timeout_ms};
    return client_ask(options->client.endpoint, &request, out);
}

/* Returns whether all of the page was understood. */
static bool write_page(struct history_options *options, const struct arizmq_reply *reply,
                       const struct history_page *page)
{
    for (size_t i = 0; i < page->count && options->count > 0; i++) {
        struct message message;
        if (history_page_message(reply, i, options->epoch, &message) != ARIZMQ_OK) {
            fputs("arizmq: the reply is not understood: one of its messages is none\n", stderr);
            return false;
        }
        print_message(stdout, &options->style, &message);
        options->count--;
    }
    return client_finish_output();
}

/* One reply. Returns the exit status; *is_more says whether to ask again. */
static int take_reply(struct history_options *options, const struct arizmq_reply *reply,
                      bool *is_more)
{
    struct history_page page;
    *is_more = false;
    if (history_page_read(reply, options->after, &page) != ARIZMQ_OK) {
        fputs("arizmq: the reply is not understood: it is no page of history\n", stderr);
        return EXIT_STATUS_FAILED;
    }
    if (page.answer == HISTORY_COMPACTED) {
        *is_more = page.oldest <= options->until;
        fprintf(stderr, "arizmq: nothing before seq %" PRIu64 " is kept any more\n", page.oldest);
        options->after = page.oldest - 1;
        return EXIT_STATUS_MISSING;
    }
    if (page.answer != HISTORY_PAGE) {
        return client_show_refusal(reply);
    }
    uint64_t epoch = 0;
    if (options->epoch == 0 && arizmq_reply_number(reply, "epoch", &epoch)) {
        options->epoch = epoch; /* the pages that follow are to be of the same run */
    }
    if (!write_page(options, reply, &page)) {
        return EXIT_STATUS_FAILED;
    }
    options->after = page.last;
    *is_more = page.is_more && options->count > 0;
    return EXIT_STATUS_OK;
}

int history_run(int argc, char **argv)
{
    struct history_options options = {
        .view = "events", .until = UINT64_MAX, .count = UINT64_MAX, .after = UINT64_MAX};
    argp_err_exit_status = EXIT_STATUS_USAGE;
    argp_parse(&parser, argc, argv, ARGP_NO_HELP, NULL, &options);
    client_prepare_signals();
    bool asks_for_all = options.after == UINT64_MAX;
    options.after = asks_for_all ? 0 : options.after;
    int status = EXIT_STATUS_OK;
    for (bool is_more = true; is_more;) {
        struct arizmq_reply *reply = NULL;
        int rc = ask(&options, &reply);
        if (rc != ARIZMQ_OK) {
            return rc == ARIZMQ_EINVALID ? EXIT_STATUS_USAGE : EXIT_STATUS_FAILED;
        }
        int page_status = take_reply(&options, reply, &is_more);
        if (page_status == EXIT_STATUS_MISSING && asks_for_all) {
            page_status = EXIT_STATUS_OK;
        }
        status = page_status != EXIT_STATUS_OK ? page_status : status;
        arizmq_reply_destroy(&reply);
    }
    return status;
}
