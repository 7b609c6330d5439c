/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The script's commands of fault_proxy: each sets what is wrong with one or both directions of all
 * connections, or acts on them at once. Called by fault_proxy.c with a line of stdin; each answers
 * with one line.
 */
#include "proxy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

void proxy_clear(void)
{
    for (int i = 0; i < PROXY_DIRECTIONS; i++) {
        proxy.faults[i] = (struct proxy_faults){.pass_bytes = PROXY_UNLIMITED};
        struct proxy_connection *each;
        DL_FOREACH(proxy.connections, each)
        {
            each->flows[i].pass_left = PROXY_UNLIMITED;
        }
    }
}

static void set_delay(enum proxy_direction direction, size_t number)
{
    proxy.faults[direction].delay_ms = (unsigned)number;
}

static void set_slice(enum proxy_direction direction, size_t number)
{
    proxy.faults[direction].slice_bytes = number;
}

static void set_stall(enum proxy_direction direction, size_t number)
{
    (void)number;
    proxy.faults[direction].is_stalled = true;
}

static void set_resume(enum proxy_direction direction, size_t number)
{
    (void)number;
    proxy.faults[direction].is_stalled = false;
}

static void set_black_hole(enum proxy_direction direction, size_t number)
{
    (void)number;
    proxy.faults[direction].is_black_hole = true;
}

static void set_pass(enum proxy_direction direction, size_t number, bool holds_after)
{
    proxy.faults[direction].pass_bytes = (int64_t)number;
    proxy.faults[direction].holds_after = holds_after;
    struct proxy_connection *each;
    DL_FOREACH(proxy.connections, each)
    {
        each->flows[direction].pass_left = (int64_t)number;
    }
}

static void set_truncate(enum proxy_direction direction, size_t number)
{
    set_pass(direction, number, false);
}

static void set_truncate_hold(enum proxy_direction direction, size_t number)
{
    set_pass(direction, number, true);
}

/* Commands for one direction or, where none is named, both. */
static const struct {
    const char *verb;
    bool needs_number;
    void (*set)(enum proxy_direction direction, size_t number);
} settings[] = {
    {"delay", true, set_delay},
    {"slice", true, set_slice},
    {"stall", false, set_stall},
    {"resume", false, set_resume},
    {"black-hole", false, set_black_hole},
    {"truncate", true, set_truncate},
    {"truncate-hold", true, set_truncate_hold},
};

static void run_stats(void)
{
    uint64_t bytes[PROXY_DIRECTIONS];
    for (int i = 0; i < PROXY_DIRECTIONS; i++) {
        bytes[i] = proxy.forwarded_bytes[i];
        struct proxy_connection *each;
        DL_FOREACH(proxy.connections, each)
        {
            bytes[i] += each->flows[i].forwarded_bytes;
        }
    }
    printf("ok connections=%u accepted=%u up_bytes=%llu down_bytes=%llu\n", proxy.connections_count,
           proxy.accepted, (unsigned long long)bytes[PROXY_UP],
           (unsigned long long)bytes[PROXY_DOWN]);
}

static void run_reset(void)
{
    struct proxy_connection *each;
    struct proxy_connection *next;
    printf("ok connections=%u\n", proxy.connections_count);
    DL_FOREACH_SAFE(proxy.connections, each, next)
    {
        proxy_connection_close(each, "reset", true);
    }
}

static void run_refuse(void)
{
    if (proxy.listener >= 0) {
        close(proxy.listener);
        proxy.listener = -1;
    }
    puts("ok");
}

static void run_clear(void)
{
    proxy_clear();
    if (proxy.listener < 0 && proxy_listen()) {
        printf("error port %u: %s\n", proxy.port, strerror(errno));
    } else {
        puts("ok");
    }
}

static void run_quit(void)
{
    proxy.is_quitting = true;
    puts("ok");
}

static const struct {
    const char *verb;
    void (*run)(void);
} plain_commands[] = {
    {"stats", run_stats}, {"reset", run_reset}, {"refuse", run_refuse},
    {"clear", run_clear}, {"quit", run_quit},
};

static void run_setting(size_t index, char *rest)
{
    bool applies[PROXY_DIRECTIONS] = {true, true};
    char *word = strtok(rest, " ");
    if (word && (strcmp(word, "up") == 0 || strcmp(word, "down") == 0)) {
        applies[*word == 'u' ? PROXY_DOWN : PROXY_UP] = false;
        word = strtok(NULL, " ");
    }
    unsigned long number = 0;
    char *end = NULL;
    if (settings[index].needs_number) {
        number = word ? strtoul(word, &end, 10) : 0;
        if (!word || *end || number > INT32_MAX) {
            printf("error %s: \"%s\" is no number; allowed: 0 to %d\n", settings[index].verb,
                   word ? word : "", INT32_MAX);
            return;
        }
    } else if (word) {
        printf("error %s: \"%s\" is no direction; allowed: up, down\n", settings[index].verb, word);
        return;
    }
    for (int i = 0; i < PROXY_DIRECTIONS; i++) {
        if (applies[i]) {
            settings[index].set((enum proxy_direction)i, number);
        }
    }
    puts("ok");
}

void proxy_run(char *line)
{
    char *rest = line + strcspn(line, " ");
    if (*rest) {
        *rest++ = '\0';
    }
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        if (strcmp(settings[i].verb, line) == 0) {
            run_setting(i, rest);
            return;
        }
    }
    for (size_t i = 0; i < sizeof plain_commands / sizeof *plain_commands; i++) {
        if (strcmp(plain_commands[i].verb, line) == 0) {
            plain_commands[i].run();
            return;
        }
    }
    printf("error unknown command \"%s\"\n", line);
}
