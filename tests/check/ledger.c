/* SPDX-License-Identifier: MPL-2.0 */
/*
 * ledger: proves that nothing is unaccounted for, or says what is. Scenarios call it when all is
 * over. Exit status 0: all comes out even; 1: it does not; 2: it could not be found out.
 */
#include "ledger.h"

#include <argp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN_OF_A_KIND = 8, KINDS_MAX = 64, FILES_MAX = 4096 };

/* Faults of one kind are often many; each kind is to be seen. */
static bool is_to_be_shown(const char *kind)
{
    static const char *kinds[KINDS_MAX];
    static unsigned shown[KINDS_MAX];
    unsigned i = 0;
    while (i < KINDS_MAX - 1 && kinds[i] != NULL && kinds[i] != kind) {
        i++;
    }
    kinds[i] = kind;
    return shown[i]++ < SHOWN_OF_A_KIND;
}

static void fault(struct ledger *ledger, const char *kind, const char *format, va_list arguments)
{
    ledger->faults++;
    if (is_to_be_shown(kind)) {
        fputs("FAULT ", stdout);
        vprintf(format, arguments);
        putchar('\n');
    }
}

void ledger_fault(struct ledger *ledger, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fault(ledger, format, format, arguments);
    va_end(arguments);
}

void ledger_fault_of_kind(struct ledger *ledger, const char *kind, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fault(ledger, kind, format, arguments);
    va_end(arguments);
}

void ledger_report(const struct ledger *ledger, const char *format, ...)
{
    if (ledger->is_quiet) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    putchar('\n');
    va_end(arguments);
}

void ledger_give_up(const char *what, const char *why)
{
    fprintf(stderr, "ledger: %s: %s\n", what, why);
    exit(2);
}

void *ledger_grow(void *items, uint32_t *capacity, uint32_t index, size_t size)
{
    if (index < *capacity) {
        return items;
    }
    size_t wanted = (size_t)index * 2 + 1024;
    char *grown = realloc(items, wanted * size);
    if (grown == NULL) {
        ledger_give_up("memory", "there is not enough");
    }
    memset(grown + *capacity * size, 0, (wanted - *capacity) * size);
    *capacity = (uint32_t)wanted;
    return grown;
}

const char *ledger_keep(const char *text, size_t length)
{
    enum { CHUNK = 1 << 20 };
    static char *chunk;
    static size_t used = CHUNK;
    if (used + length + 1 > CHUNK) {
        chunk = malloc(CHUNK);
        used = 0;
        if (chunk == NULL || length >= CHUNK) {
            ledger_give_up("memory", "there is not enough");
        }
    }
    char *copy = chunk + used;
    memcpy(copy, text, length);
    copy[length] = '\0';
    used += length + 1;
    return copy;
}

struct link *ledger_link(struct ledger *ledger, const char *name)
{
    for (unsigned i = 0; i < ledger->links_count; i++) {
        if (strcmp(ledger->links[i].name, name) == 0) {
            return &ledger->links[i];
        }
    }
    const char *slash = strchr(name, '/');
    if (ledger->links_count == LINKS_MAX || slash == NULL || strlen(name) >= NAME_MAX_BYTES) {
        ledger_give_up(name, "no NODE/APP, or one too many");
    }
    struct link *link = &ledger->links[ledger->links_count++];
    strcpy(link->name, name);
    memcpy(link->node, name, (size_t)(slash - name));
    link->app = link->name + (slash - name) + 1;
    return link;
}

struct epoch *ledger_find_epoch(const struct ledger *ledger, uint64_t number)
{
    for (unsigned i = 0; i < ledger->epochs_count; i++) {
        if (ledger->epochs[i].number == number) {
            return &ledger->epochs[i];
        }
    }
    return NULL;
}

struct options {
    struct ledger *ledger;
    const char *files[FILES_MAX];
    unsigned files_count;
    const char *counters[EPOCHS_MAX];
    unsigned counters_count;
};

enum { KEY_TRUTH = 256, KEY_COUNTERS, KEY_QUIET };

static const struct argp_option option_list[] = {
    {"truth", KEY_TRUTH, "NODE=FILE", 0, "The truth log of a fake Asterisk", 0},
    {"counters", KEY_COUNTERS, "FILE", 0, "What GET arizmq/nodes said in the end, with the epoch",
     0},
    {"quiet", KEY_QUIET, NULL, 0, "Only what is wrong", 0},
    {0}};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct options *options = state->input;
    char *equals = NULL;
    switch (key) {
    case KEY_TRUTH:
        equals = strchr(argument, '=');
        if (equals == NULL) {
            argp_error(state, "--truth: NODE=FILE");
        }
        *equals = '\0';
        truth_read(options->ledger, argument, equals + 1);
        return 0;
    case KEY_COUNTERS:
        if (options->counters_count == EPOCHS_MAX) {
            argp_error(state, "too many files");
        }
        options->counters[options->counters_count++] = argument;
        return 0;
    case KEY_QUIET:
        options->ledger->is_quiet = true;
        return 0;
    case ARGP_KEY_ARG:
        if (options->files_count == FILES_MAX) {
            argp_error(state, "too many files");
        }
        options->files[options->files_count++] = argument;
        return 0;
    case ARGP_KEY_END:
        if (options->files_count == 0 || options->ledger->links_count == 0) {
            argp_error(state, "--truth and the files of recorders are needed");
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int main(int argc, char **argv)
{
    static struct ledger ledger;
    static struct options options = {.ledger = &ledger};
    static const struct argp parser = {
        option_list, parse_option, "FILE...", "Looks for anything that is unaccounted for.",
        NULL,        NULL,         NULL};
    argp_parse(&parser, argc, argv, 0, NULL, &options);
    for (unsigned i = 0; i < options.files_count; i++) {
        books_find_epochs(&ledger, options.files[i]);
    }
    for (unsigned i = 0; i < options.files_count; i++) {
        books_read(&ledger, options.files[i]);
    }
    books_audit(&ledger);
    links_check(&ledger);
    for (unsigned i = 0; i < options.files_count; i++) {
        subscriber_check(&ledger, options.files[i]);
    }
    for (unsigned i = 0; i < options.counters_count; i++) {
        counters_check(&ledger, options.counters[i]);
    }
    if (ledger.faults > 0) {
        printf("ledger: %llu FAULTS\n", (unsigned long long)ledger.faults);
        return 1;
    }
    printf("ledger: nothing is unaccounted for\n");
    return 0;
}
