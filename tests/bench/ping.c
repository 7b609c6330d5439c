/* SPDX-License-Identifier: MPL-2.0 */
/*
 * bench_ping: sends GET asterisk/ping many times on one of five ways and prints one line of JSON
 * with what it took. tests/bench/gateway runs it; ping.py is the same in Python. It checks every
 * answer and ends with status 1 at the first that is wrong.
 */
#include "ping.h"

#include <argp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

static const struct {
    const char *name;
    void (*run)(struct ping_load *load);
} ways[] = {{"http", ping_http},
            {"curl", ping_curl},
            {"gateway", ping_gateway},
            {"zurl", ping_zurl},
            {"echo", ping_echo}};

enum { WAYS_COUNT = sizeof ways / sizeof *ways };

void ping_die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("bench_ping: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(EXIT_FAILURE);
}

static uint64_t read_clock(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

uint64_t ping_now_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

uint32_t ping_left(const struct ping_load *load, uint32_t sent)
{
    return load->warm_up + load->requests - sent;
}

void ping_answered(struct ping_load *load, uint64_t sent_ns)
{
    uint64_t now_ns = ping_now_ns();
    if (load->answered >= load->warm_up) {
        load->latency_ns[load->answered - load->warm_up] = now_ns - sent_ns;
    }
    load->answered++;
    if (load->answered == load->warm_up) {
        load->begun_cpu_ns = read_clock(CLOCK_PROCESS_CPUTIME_ID);
        load->begun_ns = ping_now_ns();
    } else if (ping_left(load, load->answered) == 0) {
        load->ended_ns = now_ns;
        load->ended_cpu_ns = read_clock(CLOCK_PROCESS_CPUTIME_ID);
    }
}

int ping_contains(const char *bytes, size_t length, const char *text)
{
    return memmem(bytes, length, text, strlen(text)) != NULL;
}

/* --- what was measured */

static int compare(const void *a, const void *b)
{
    uint64_t one = *(const uint64_t *)a;
    uint64_t other = *(const uint64_t *)b;
    return (one > other) - (one < other);
}

static double percentile_us(const struct ping_load *load, double share)
{
    size_t index = (size_t)(share * (load->requests - 1));
    return (double)load->latency_ns[index] / 1000.0;
}

static void report(struct ping_load *load)
{
    qsort(load->latency_ns, load->requests, sizeof *load->latency_ns, compare);
    double seconds = (double)(load->ended_ns - load->begun_ns) / 1e9;
    double cpu_us = (double)(load->ended_cpu_ns - load->begun_cpu_ns) / 1e3;
    json_t *json =
        json_pack("{s:i, s:i, s:f, s:f, s:f, s:f, s:f}", "requests", (int)load->requests,
                  "in_flight", (int)load->in_flight, "p50_us", percentile_us(load, 0.5), "p99_us",
                  percentile_us(load, 0.99), "max_us", percentile_us(load, 1), "per_s",
                  load->requests / seconds, "client_cpu_us", cpu_us / load->requests);
    if (json == NULL || json_dumpf(json, stdout, JSON_COMPACT) != 0) {
        ping_die("no memory for the report");
    }
    putchar('\n');
    json_decref(json);
}

/* --- the command line */

enum { OPTION_URL = 256, OPTION_AUTHORIZATION, OPTION_REQUEST_IDS };

static const struct argp_option options[] = {
    {"in-flight", 'f', "N", 0, "How many are sent before an answer must come (1)", 0},
    {"warm-up", 'w', "N", 0, "Answers before the clock starts (500)", 0},
    {"requests", 'n', "N", 0, "Answers that are measured (5000)", 0},
    {"url", OPTION_URL, "URL", 0, "zurl: what it is to get", 0},
    {"authorization", OPTION_AUTHORIZATION, "TEXT", 0, "http, curl, zurl: value of that header", 0},
    {"request-ids", OPTION_REQUEST_IDS, NULL, 0, "gateway: a request_id in each command", 0},
    {0}};

struct command_line {
    struct ping_load load;
    unsigned way;
};

static uint32_t number(struct argp_state *state, const char *text, long max)
{
    char *end = NULL;
    long value = strtol(text, &end, 10);
    if (*text == '\0' || *end != '\0' || value < 1 || value > max) {
        argp_error(state, "\"%s\" is no number from 1 to %ld", text, max);
    }
    return (uint32_t)value;
}

static error_t take_positional(struct command_line *line, struct argp_state *state,
                               const char *argument)
{
    if (state->arg_num > 1) {
        return ARGP_ERR_UNKNOWN;
    }
    if (state->arg_num == 1) {
        line->load.target = argument;
        return 0;
    }
    while (line->way < WAYS_COUNT && strcmp(ways[line->way].name, argument) != 0) {
        line->way++;
    }
    if (line->way == WAYS_COUNT) {
        argp_error(state, "\"%s\" is no way; allowed: http, curl, gateway, zurl, echo", argument);
    }
    return 0;
}

static error_t take(int key, char *argument, struct argp_state *state)
{
    struct command_line *line = state->input;
    switch (key) {
    case 'f':
        line->load.in_flight = number(state, argument, PING_IN_FLIGHT_MAX);
        return 0;
    case 'w':
        line->load.warm_up = number(state, argument, 1000000);
        return 0;
    case 'n':
        line->load.requests = number(state, argument, 10000000);
        return 0;
    case OPTION_URL:
        line->load.url = argument;
        return 0;
    case OPTION_AUTHORIZATION:
        line->load.authorization = argument;
        return 0;
    case OPTION_REQUEST_IDS:
        line->load.has_request_ids = 1;
        return 0;
    case ARGP_KEY_ARG:
        return take_positional(line, state, argument);
    case ARGP_KEY_END:
        if (state->arg_num < 2) {
            argp_usage(state);
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int main(int argc, char **argv)
{
    static const struct argp parser = {
        .options = options, .parser = take, .args_doc = "http|curl|gateway|zurl|echo TARGET"};
    struct command_line line = {
        .load = {.url = "", .authorization = "", .in_flight = 1, .warm_up = 500, .requests = 5000}};
    argp_parse(&parser, argc, argv, 0, NULL, &line);
    line.load.latency_ns = calloc(line.load.requests, sizeof *line.load.latency_ns);
    if (line.load.latency_ns == NULL) {
        ping_die("no memory for %u latencies", line.load.requests);
    }
    ways[line.way].run(&line.load);
    report(&line.load);
    free(line.load.latency_ns);
    return EXIT_SUCCESS;
}
