/* SPDX-License-Identifier: MPL-2.0 */
/*
 * recorder: subscribes and writes down what it gets, until SIGTERM; then goes on to the next
 * heartbeat and to the end of all repairs, so that its last word is exact. Scenarios start it, the
 * ledger reads its file. On stdout: "joined N" for each endpoint when everything is expected from
 * there on, and "ended messages=N" as the last line.
 */
#include "recorder.h"

#include <argp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include <jansson.h>

static volatile sig_atomic_t is_asked_to_stop;

static void on_signal(int number)
{
    (void)number;
    is_asked_to_stop = 1;
}

void recorder_fail(const char *what, const char *why)
{
    fprintf(stderr, "recorder: %s: %s\n", what, why);
    exit(EXIT_FAILURE);
}

uint64_t recorder_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000U + (uint64_t)now.tv_nsec / 1000000U;
}

static uint64_t wall_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

/* --- names that records are short for */

enum { NAMES_MAX = 1024, NAME_BYTES_MAX = 160 };

struct names {
    char name[NAMES_MAX][NAME_BYTES_MAX];
    unsigned count;
};

static uint16_t find_name(struct recorder *recorder, struct names *names, enum record_kind kind,
                          const char *name, size_t length)
{
    for (unsigned i = names->count; i > 0; i--) { /* mostly the last one */
        if (strncmp(names->name[i - 1], name, length) == 0 && names->name[i - 1][length] == '\0') {
            return (uint16_t)i;
        }
    }
    if (names->count == NAMES_MAX || length >= NAME_BYTES_MAX) {
        recorder_fail(recorder->name, "too many names, or too long ones");
    }
    memcpy(names->name[names->count++], name, length);
    struct record record = {.kind = (uint8_t)kind};
    record_write(recorder->file, &record, name, length);
    return (uint16_t)names->count;
}

uint16_t recorder_epoch(struct recorder *recorder, uint64_t epoch)
{
    static struct names names;
    static uint64_t last;
    static uint16_t last_number;
    if (epoch != last) {
        char text[24];
        int length = snprintf(text, sizeof text, "%llu", (unsigned long long)epoch);
        last_number = find_name(recorder, &names, RECORD_EPOCH, text, (size_t)length);
        last = epoch;
    }
    return last_number;
}

uint16_t recorder_link(struct recorder *recorder, const char *name, size_t length)
{
    static struct names names;
    return find_name(recorder, &names, RECORD_LINK, name, length);
}

/* --- options */

struct options {
    struct recorder *recorder;
    struct stream *streams;
    unsigned streams_count;
    const char *out;
};

enum { KEY_OUT = 256, KEY_NAME, KEY_VIEW, KEY_CONNECT, KEY_GATEWAY, KEY_BOOKS, KEY_SLOW, KEY_HWM };

static const struct argp_option option_list[] = {
    {"out", KEY_OUT, "FILE", 0, "The record file", 0},
    {"name", KEY_NAME, "TEXT", 0, "What the ledger calls it", 0},
    {"view", KEY_VIEW, "events|objects", 0, "Default events", 0},
    {"connect", KEY_CONNECT, "ENDPOINT", 0, "A view of a bridge; may be given several times", 0},
    {"gateway", KEY_GATEWAY, "ENDPOINT", 0,
     "Of the bridge named before it: what is lost is got back from its history", 0},
    {"books", KEY_BOOKS, NULL, 0, "Of the whole view, for the ledger's books", 0},
    {"slow", KEY_SLOW, "N", 0, "Sleep for 1 ms after N messages", 0},
    {"rcvhwm", KEY_HWM, "N", 0, "Default 0: without bound", 0},
    {0}};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct options *options = state->input;
    struct recorder *recorder = options->recorder;
    switch (key) {
    case KEY_OUT:
        options->out = argument;
        return 0;
    case KEY_NAME:
        recorder->name = argument;
        return 0;
    case KEY_VIEW:
        recorder->view = argument;
        return 0;
    case KEY_CONNECT:
        if (options->streams_count == RECORDER_STREAMS_MAX) {
            argp_error(state, "too many endpoints");
        }
        options->streams[options->streams_count++].endpoint = argument;
        return 0;
    case KEY_GATEWAY:
        if (options->streams_count == 0) {
            argp_error(state, "--gateway comes after its --connect");
        }
        recorder->repairs = true;
        options->streams[options->streams_count - 1].gateway = argument;
        return 0;
    case KEY_BOOKS:
        recorder->is_books = true;
        return 0;
    case KEY_SLOW:
        recorder->slow_every = (unsigned)strtoul(argument, NULL, 10);
        return 0;
    case KEY_HWM:
        recorder->rcvhwm = (int)strtol(argument, NULL, 10);
        return 0;
    case ARGP_KEY_ARG:
        if (recorder->prefixes_count == RECORDER_PREFIXES_MAX) {
            argp_error(state, "too many prefixes");
        }
        recorder->prefixes[recorder->prefixes_count++] = argument;
        return 0;
    case ARGP_KEY_END:
        if (options->out == NULL || options->streams_count == 0 || recorder->prefixes_count == 0) {
            argp_error(state, "--out, --connect and a prefix (\"\" for all) are needed");
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void write_head(struct recorder *recorder)
{
    json_t *prefixes = json_array();
    for (unsigned i = 0; i < recorder->prefixes_count; i++) {
        json_array_append_new(prefixes, json_string(recorder->prefixes[i]));
    }
    json_t *head =
        json_pack("{s:s, s:s, s:o, s:b, s:b}", "name", recorder->name, "view", recorder->view,
                  "prefixes", prefixes, "repairs", recorder->repairs, "books", recorder->is_books);
    char *text = json_dumps(head, JSON_COMPACT);
    if (text == NULL) {
        recorder_fail(recorder->name, "no memory");
    }
    struct record record = {.kind = RECORD_SUBSCRIBER};
    record_write(recorder->file, &record, text, strlen(text));
    free(text);
    json_decref(head);
}

/* --- the loop */

enum { POLL_MS = 50 };

/* Waits until one of the sockets has something. */
static void wait_for_any(struct stream *streams, unsigned count, bool there_is_more)
{
    zmq_pollitem_t items[2 * RECORDER_STREAMS_MAX];
    unsigned items_count = 0;
    for (unsigned i = 0; i < count; i++) {
        items[items_count++] = (zmq_pollitem_t){.socket = streams[i].socket, .events = ZMQ_POLLIN};
        if (repair_socket(&streams[i]) != NULL) {
            items[items_count++] =
                (zmq_pollitem_t){.socket = repair_socket(&streams[i]), .events = ZMQ_POLLIN};
        }
    }
    zmq_poll(items, (int)items_count, there_is_more ? 0 : POLL_MS);
}

static void run(struct recorder *recorder, struct stream *streams, unsigned count)
{
    bool may_end = false;
    bool there_is_more = false;
    while (!may_end) {
        wait_for_any(streams, count, there_is_more);
        if (is_asked_to_stop && recorder->stop_ns == 0) {
            recorder->stop_ns = wall_ns();
        }
        may_end = recorder->stop_ns != 0;
        there_is_more = false;
        for (unsigned i = 0; i < count; i++) {
            there_is_more |= stream_read(&streams[i]);
            repair_turn(&streams[i]);
            may_end &= stream_may_end(&streams[i]);
        }
    }
}

int main(int argc, char **argv)
{
    static struct recorder recorder = {.name = "recorder", .view = "events"};
    static struct stream streams[RECORDER_STREAMS_MAX];
    struct options options = {.recorder = &recorder, .streams = streams};
    static const struct argp parser = {
        option_list, parse_option, "PREFIX...", "Writes down what a bridge publishes.",
        NULL,        NULL,         NULL};
    argp_parse(&parser, argc, argv, 0, NULL, &options);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigaction(SIGTERM, &(struct sigaction){.sa_handler = on_signal}, NULL);
    recorder.file = fopen(options.out, "wb");
    if (recorder.file == NULL) {
        recorder_fail(options.out, "cannot be written");
    }
    setvbuf(recorder.file, NULL, _IOFBF, 1 << 20);
    setvbuf(stdout, NULL, _IOLBF, 0);
    write_head(&recorder);
    void *context = zmq_ctx_new();
    for (unsigned i = 0; i < options.streams_count; i++) {
        streams[i].recorder = &recorder;
        streams[i].index = i;
        stream_open(&streams[i], context);
    }
    run(&recorder, streams, options.streams_count);
    for (unsigned i = 0; i < options.streams_count; i++) {
        stream_close(&streams[i]);
    }
    zmq_ctx_term(context);
    if (fclose(recorder.file) != 0) {
        recorder_fail(options.out, "could not be written");
    }
    printf("ended messages=%llu\n", (unsigned long long)recorder.messages);
    return EXIT_SUCCESS;
}
