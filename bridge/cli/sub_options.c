/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The arguments and the manual of `arizmq sub`. Called once, before anything is opened. A wrong
 * value gets one line that names it and what is allowed.
 */
#include "cli/sub_options.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arizmq/gaps.h"
#include "arizmq/gateway.h"
#include "cli/arguments.h"
#include "cli/exit_status.h"
#include "cli/manual.h"

enum {
    KEY_VIEW = 0x100,
    KEY_JSON,
    KEY_PRETTY,
    KEY_TOPICS,
    KEY_HUMAN,
    KEY_HEARTBEATS,
    KEY_COLOR,
    KEY_RCVHWM,
    KEY_GATEWAY,
    KEY_NO_REPAIR,
    KEY_SNAPSHOT,
};

/* Where a bridge has its gateway by default. */
#define GATEWAY_PORT "5558"

static const struct manual sub_manual = {
    .name = "arizmq sub",
    .summary = "look at the events that arizmqd publishes",
    .synopsis = "arizmq sub [OPTION]... [PREFIX]...\n",
    .description =
        "Subscribes to every PREFIX of a topic, or to everything, and writes what comes. Topics\n"
        "are\n"
        "\n"
        "    {type}/{app}/{node}/{id}/    in the view events\n"
        "    {kind}/{id}/{type}/{node}/   in the view objects\n"
        "\n"
        "A terminal gets one line for a person, its time of day local; a pipe or file gets one\n"
        "JSON object a line:\n"
        "\n"
        "    "
        "{\"topic\":T,\"stamp\":{\"epoch\":E,\"seq\":N,\"received_ns\":N,\"count\":[...]},"
        "\"event\":EVENT}\n"
        "\n"
        "EVENT is the event byte for byte as Asterisk sent it (line breaks between its tokens\n"
        "become spaces), or a JSON string of it where it is not JSON. Text that is no UTF-8 goes\n"
        "into event_base64 or topic_base64 instead.\n"
        "\n"
        "Messages that were lost on the way here are asked of the bridge's history and come in\n"
        "their place. Those that cannot be had any more, or all with --no-repair, are reported on\n"
        "standard error, so that a slow reader of the output never loses anything silently.\n"
        "Heartbeats of the bridge show loss after which no message came, for\n"
        "prefixes that end in the first token or at its slash. Of overlapping prefixes the widest\n"
        "is counted. SIGINT and SIGTERM end it in good order.\n"
        "\n"
        "What was lost between Asterisk and the bridge is told by the bridge's own events "
        "ArizmqGap\n"
        "and ArizmqRefused. They are listened to as well, whatever the PREFIX: each gives a line "
        "on\n"
        "standard error, and is a message on standard output only where a PREFIX asks for it.\n"
        "\n"
        "Standard error also says when the endpoint publishes another view than --view, and, on a\n"
        "terminal or when --timeout ends it, what the bridge has sent while nothing came.\n"
        "\n"
        "With --snapshot every object that the bridge knows comes first, a line each:\n"
        "\n"
        "    {\"object\":{\"kind\":K,\"id\":I,\"node\":N,\"app\":A,\"epoch\":E,\"seq\":N,"
        "\"value\":VALUE}}\n"
        "\n"
        "and then every event with a seq above theirs, and none twice. Where something is lost "
        "all\n"
        "objects come again.\n"
        "\n"
        "The environment variable ARIZMQ_CONNECT holds endpoints, separated by spaces, for use\n"
        "without --connect, and ARIZMQ_GATEWAY_CONNECT the gateway, for use without --gateway.\n"
        "NO_COLOR switches colours off.\n",
    .examples = "arizmq sub StasisStart/ StasisEnd/       calls entering and leaving applications\n"
                "arizmq sub --view objects channel/1690.12/    all about one channel\n"
                "arizmq sub ChannelDtmfReceived/ | jq -r .event.digit\n"
                "arizmq sub --snapshot                    all there is, then what happens\n"
                "arizmq sub --count 1000 --check-gaps > /dev/null && echo nothing lost\n"
                "arizmq sub --connect tcp://a:5555 --connect tcp://b:5555 Channel\n",
    .exit_status =
        "0    ended by --count, by a signal, by --timeout after messages came, or because the\n"
        "     reader of the output went away\n"
        "1    the output could not be written, or no memory\n"
        "2    an option or argument is wrong\n"
        "3    --check-gaps: messages are missing; or the bridge told of events that it did not\n"
        "     get, ArizmqGap, or discarded, ArizmqRefused, under any PREFIX; or it was restarted,\n"
        "     so that what was missed cannot be told\n"
        "4    --timeout: nothing came, or less than --count asked for\n",
};

static const struct argp_option option_list[] = {
    {"connect", 'c', "ENDPOINT", 0,
     "Connect to this endpoint, tcp://HOST:PORT or ipc://PATH; may be given several times "
     "(default tcp://127.0.0.1:5555 for events, tcp://127.0.0.1:5556 for objects)",
     0},
    {"gateway", KEY_GATEWAY, "ENDPOINT", 0,
     "Ask this gateway for what was lost; may be given once for each --connect, in their order "
     "(default: port " GATEWAY_PORT " of the host of --connect, else " ARIZMQ_GATEWAY_ENDPOINT ")",
     0},
    {"no-repair", KEY_NO_REPAIR, NULL, 0, "Report what was lost, do not ask for it", 0},
    {"snapshot", KEY_SNAPSHOT, NULL, 0,
     "First write every object that there is, then the events after that", 0},
    {"view", KEY_VIEW, "VIEW", 0, "Which view that is: events (default) or objects", 0},
    {"human", KEY_HUMAN, NULL, 0, "Write lines for a person, in a pipe too", 1},
    {"json", KEY_JSON, NULL, 0, "Write one JSON object a line, on a terminal too", 1},
    {"pretty", KEY_PRETTY, NULL, 0, "Write topic, stamp and the event indented", 1},
    {"topics", KEY_TOPICS, NULL, 0, "Write topics only", 1},
    {"color", KEY_COLOR, "WHEN", 0, "Colours: auto (default, on a terminal), always or never", 1},
    {"heartbeats", KEY_HEARTBEATS, NULL, 0,
     "Show the bridge's heartbeats too; otherwise only a prefix that goes as far as ArizmqH or "
     "arizmq/-/ArizmqH does",
     1},
    {"count", 'n', "N", 0, "End after N messages were written", 2},
    {"timeout", 't', "SECONDS", 0, "End after this time, fractions allowed", 2},
    {"check-gaps", 'g', NULL, 0,
     "At the end report for each prefix what was received, what is missing and what was repaired, "
     "and what the bridge told of; end with status 3 if anything is missing or may be",
     2},
    {"rcvhwm", KEY_RCVHWM, "N", 0,
     "Messages of each bridge that may wait here for a slow output (default 100000)", 2},
    MANUAL_OPTIONS,
    {0},
};

static error_t parse_option(int key, char *argument, struct argp_state *state);
static const struct argp parser = {.options = option_list, .parser = parse_option};

static void append(struct argp_state *state, const char ***list, size_t *count, const char *item)
{
    const char **longer = realloc(*list, (*count + 1) * sizeof *longer);
    if (longer == NULL) {
        argp_failure(state, EXIT_STATUS_FAILED, 0, "no memory for the arguments");
        return;
    }
    longer[(*count)++] = item;
    *list = longer;
}

static uint64_t parse_seconds(struct argp_state *state, const char *text)
{
    const double max = 1e9;
    char *end = NULL;
    double seconds = strtod(text, &end);
    if (end == text || *end != '\0' || !(seconds >= 0.001) || seconds > max) {
        argp_failure(state, EXIT_STATUS_USAGE, 0,
                     "--timeout: \"%s\" is not allowed; allowed: 0.001 to 1000000000 seconds",
                     text);
    }
    return (uint64_t)(seconds * 1000 + 0.5);
}

/* Returns the index of the text in the list. */
static unsigned parse_word(struct argp_state *state, const char *option, const char *text,
                           const char *const words[], const char *allowed)
{
    unsigned i = 0;
    while (words[i] != NULL && strcmp(words[i], text) != 0) {
        i++;
    }
    if (words[i] == NULL) {
        argp_failure(state, EXIT_STATUS_USAGE, 0, "%s: \"%s\" is not allowed; allowed: %s", option,
                     text, allowed);
    }
    return i;
}

static void parse_prefix(struct argp_state *state, const char *text)
{
    struct sub_options *options = state->input;
    struct arizmq_gaps *gaps = NULL;
    if (arizmq_gaps_create(&text, 1, 1, &gaps) != 0) {
        argp_failure(state, EXIT_STATUS_USAGE, 0,
                     "prefix \"%s\" matches no topic; allowed: at most %d bytes and %d tokens",
                     text, ARIZMQ_TOPIC_BYTES_MAX, ARIZMQ_STAMP_TOKENS_MAX);
    }
    arizmq_gaps_destroy(&gaps);
    append(state, &options->prefixes, &options->prefixes_count, text);
}

/* What decides whether colours are used where nothing was said. */
static bool terminal_has_colors(void)
{
    const char *no_color = getenv("NO_COLOR");
    const char *terminal = getenv("TERM");
    return isatty(STDOUT_FILENO) && (no_color == NULL || *no_color == '\0') &&
           (terminal == NULL || strcmp(terminal, "dumb") != 0);
}

static bool parse_color(struct argp_state *state, const char *text)
{
    static const char *const words[] = {"auto", "always", "never", NULL};
    unsigned when = parse_word(state, "--color", text, words, "auto, always, never");
    return when == 0 ? terminal_has_colors() : when == 1;
}

static enum message_view parse_view(struct argp_state *state, const char *text)
{
    static const char *const words[] = {
        [MESSAGE_VIEW_EVENTS] = "events", [MESSAGE_VIEW_OBJECTS] = "objects", NULL};
    return (enum message_view)parse_word(state, "--view", text, words, "events, objects");
}

static void take_gateway(struct argp_state *state, const char *source, const char *endpoint)
{
    struct sub_options *options = state->input;
    if (!arguments_endpoint_is_allowed(endpoint)) {
        argp_failure(
            state, EXIT_STATUS_USAGE, 0,
            "%s: \"%s\" is no endpoint to connect to; allowed: tcp://HOST:PORT, ipc://PATH", source,
            endpoint);
    }
    append(state, &options->gateways, &options->gateways_count, endpoint);
}

/* The default port of the host that publishes; NULL where it is no host. For free(). */
static char *make_gateway(struct argp_state *state, const char *endpoint)
{
    const char *colon = strrchr(endpoint, ':');
    char *gateway = NULL;
    if (strncmp(endpoint, "tcp://", 6) != 0 || colon <= endpoint + 6) {
        return NULL;
    }
    if (asprintf(&gateway, "%.*s:" GATEWAY_PORT, (int)(colon - endpoint), endpoint) < 0) {
        argp_failure(state, EXIT_STATUS_FAILED, 0, "no memory for the arguments");
    }
    return gateway;
}

/* One for each endpoint; the last one that was given stands for those that were not. */
static void fill_gateways(struct argp_state *state)
{
    struct sub_options *options = state->input;
    const char *variable = getenv("ARIZMQ_GATEWAY_CONNECT");
    if (options->gateways_count == 0 && variable != NULL && *variable != '\0') {
        take_gateway(state, "ARIZMQ_GATEWAY_CONNECT", variable);
    }
    if (options->gateways_count > options->endpoints_count) {
        argp_failure(state, EXIT_STATUS_USAGE, 0,
                     "--gateway: %zu were given for %zu endpoints; allowed: as many as --connect",
                     options->gateways_count, options->endpoints_count);
    }
    size_t given = options->gateways_count;
    options->gateway_texts = calloc(options->endpoints_count, sizeof(char *));
    if (options->gateway_texts == NULL) {
        argp_failure(state, EXIT_STATUS_FAILED, 0, "no memory for the arguments");
        return;
    }
    for (size_t i = given; i < options->endpoints_count; i++) {
        const char *gateway = given > 0 ? options->gateways[given - 1] : ARIZMQ_GATEWAY_ENDPOINT;
        if (given == 0) {
            options->gateway_texts[i] = make_gateway(state, options->endpoints[i]);
            gateway = options->gateway_texts[i] != NULL ? options->gateway_texts[i] : gateway;
        }
        append(state, &options->gateways, &options->gateways_count, gateway);
    }
    if (options->no_repair && options->snapshot) {
        argp_failure(state, EXIT_STATUS_USAGE, 0,
                     "--no-repair and --snapshot: only one of them is allowed");
    }
}

/* After the last argument: what was not given. */
static void fill_defaults(struct argp_state *state)
{
    struct sub_options *options = state->input;
    if (options->prefixes_count == 0) {
        append(state, &options->prefixes, &options->prefixes_count, "");
    }
    const char *variable = getenv("ARIZMQ_CONNECT");
    if (options->endpoints_count == 0 && variable != NULL) {
        options->environment = strdup(variable);
        if (options->environment == NULL) {
            argp_failure(state, EXIT_STATUS_FAILED, 0, "no memory for ARIZMQ_CONNECT");
        }
        char *rest = options->environment;
        for (char *endpoint = strtok_r(rest, " \t\n", &rest); endpoint != NULL;
             endpoint = strtok_r(NULL, " \t\n", &rest)) {
            append(state, &options->endpoints, &options->endpoints_count, endpoint);
        }
    }
    if (options->endpoints_count == 0) {
        append(state, &options->endpoints, &options->endpoints_count,
               options->style.view == MESSAGE_VIEW_EVENTS ? "tcp://127.0.0.1:5555"
                                                          : "tcp://127.0.0.1:5556");
    }
    fill_gateways(state);
}

static error_t parse_form(int key, struct sub_options *options)
{
    switch (key) {
    case KEY_HUMAN:
        options->style.form = PRINT_FORM_HUMAN;
        return 0;
    case KEY_JSON:
        options->style.form = PRINT_FORM_JSON;
        return 0;
    case KEY_PRETTY:
        options->style.form = PRINT_FORM_PRETTY;
        return 0;
    case KEY_TOPICS:
        options->style.form = PRINT_FORM_TOPICS;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct sub_options *options = state->input;
    switch (key) {
    case 'c':
        append(state, &options->endpoints, &options->endpoints_count, argument);
        return 0;
    case 'n':
        options->messages_max =
            arguments_parse_number(state, "--count", argument, 1, UINT64_MAX - 1);
        return 0;
    case 't':
        options->timeout_ms = parse_seconds(state, argument);
        return 0;
    case 'g':
        options->check_gaps = true;
        return 0;
    case KEY_VIEW:
        options->style.view = parse_view(state, argument);
        return 0;
    case KEY_COLOR:
        options->style.use_color = parse_color(state, argument);
        return 0;
    case KEY_RCVHWM:
        options->rcvhwm =
            (int)arguments_parse_number(state, "--rcvhwm", argument, 1, SUB_RCVHWM_MAX);
        return 0;
    case KEY_HEARTBEATS:
        options->heartbeats = true;
        return 0;
    case KEY_GATEWAY:
        take_gateway(state, "--gateway", argument);
        return 0;
    case KEY_NO_REPAIR:
        options->no_repair = true;
        return 0;
    case KEY_SNAPSHOT:
        options->snapshot = true;
        return 0;
    case MANUAL_KEY_HELP:
        manual_write(stdout, &sub_manual, &parser);
        exit(EXIT_STATUS_OK);
    case MANUAL_KEY_USAGE:
        manual_write_usage(stdout, &sub_manual);
        exit(EXIT_STATUS_OK);
    case ARGP_KEY_ARG:
        parse_prefix(state, argument);
        return 0;
    case ARGP_KEY_END:
        fill_defaults(state);
        return 0;
    default:
        return parse_form(key, options);
    }
}

void sub_options_parse(int argc, char **argv, struct sub_options *out)
{
    struct sub_options options = {
        .messages_max = UINT64_MAX,
        .rcvhwm = SUB_RCVHWM_DEFAULT,
        .style = {.form = isatty(STDOUT_FILENO) ? PRINT_FORM_HUMAN : PRINT_FORM_JSON,
                  .use_color = terminal_has_colors()},
    };
    argp_err_exit_status = EXIT_STATUS_USAGE;
    argp_parse(&parser, argc, argv, ARGP_NO_HELP, NULL, &options);
    *out = options;
}

void sub_options_clear(struct sub_options *options)
{
    free(options->prefixes);
    free(options->endpoints);
    free(options->environment);
    for (size_t i = 0; options->gateway_texts != NULL && i < options->endpoints_count; i++) {
        free(options->gateway_texts[i]);
    }
    free(options->gateway_texts);
    free(options->gateways);
    *options = (struct sub_options){0};
}
