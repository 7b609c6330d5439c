/* SPDX-License-Identifier: MPL-2.0 */
#include <criterion/criterion.h>
#include <ctype.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ops/metrics.h"
#include "ops/tally.h"

Test(metrics, begin_at_zero_add_and_set)
{
    for (unsigned i = 0; i < METRICS_COUNT; i++) {
        cr_assert_eq(metrics_get((enum metric)i), 0);
    }
    metrics_add(METRIC_EVENTS, 1);
    metrics_add(METRIC_EVENTS, 41);
    metrics_set(METRIC_LINKS, 7);
    metrics_set(METRIC_LINKS, 5);
    metrics_add(METRIC_LINKS, UINT64_MAX); /* minus one */
    metrics_add(METRIC_EVENT_BYTES, UINT64_C(1) << 40);
    cr_assert_eq(metrics_get(METRIC_EVENTS), 42);
    cr_assert_eq(metrics_get(METRIC_LINKS), 4);
    cr_assert_eq(metrics_get(METRIC_EVENT_BYTES), UINT64_C(1) << 40);
    cr_assert_eq(metrics_get(METRIC_EVENTS_UNPARSED), 0);
}

enum { SHARED_ADDITIONS = 2000000 };

static void *add_often(void *unused)
{
    (void)unused;
    for (unsigned i = 0; i < SHARED_ADDITIONS; i++) {
        metrics_add_shared(METRIC_LOG_LINES_DROPPED, 1);
    }
    return NULL;
}

Test(metrics, of_several_threads_lose_no_addition)
{
    pthread_t threads[2];
    for (unsigned i = 0; i < 2; i++) {
        cr_assert_eq(pthread_create(&threads[i], NULL, add_often, NULL), 0);
    }
    for (unsigned i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    cr_assert_eq(metrics_get(METRIC_LOG_LINES_DROPPED), 2 * SHARED_ADDITIONS);
}

static char *write_all(void)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    cr_assert_not_null(file);
    metrics_write(file);
    fclose(file);
    cr_assert_eq(strlen(text), size);
    return text;
}

/* Prometheus's rules for a name, and its custom that only counters end in _total. */
static void assert_name(const char *name, const char *type)
{
    cr_assert_eq(strncmp(name, "arizmq_", 7), 0, "%s", name);
    for (const char *at = name; *at != '\0'; at++) {
        cr_assert(islower(*at) || isdigit(*at) || *at == '_', "%s", name);
    }
    const char *end = strlen(name) > 6 ? name + strlen(name) - 6 : name;
    int is_counter = strcmp(type, "counter") == 0;
    cr_assert(is_counter || strcmp(type, "gauge") == 0, "%s is a %s", name, type);
    cr_assert_eq(strcmp(end, "_total") == 0, is_counter, "%s is a %s", name, type);
}

/* Three lines for each: help, type, value. Each value is set to its place in the table, so that a
 * name with another's value would show. */
Test(metrics, are_written_in_the_format_of_prometheus)
{
    static const char *const names[] = {
#define NAME(identifier, type, name, help) name,
        METRICS_TABLE(NAME)
#undef NAME
    };
    for (unsigned i = 0; i < METRICS_COUNT; i++) {
        metrics_set((enum metric)i, UINT64_MAX - i);
    }
    tally_add(tally_open("pbx1", "ivr"), TALLY_RECEIVED);
    char *text = write_all();
    char *rest = NULL;
    char *line = strtok_r(text, "\n", &rest);
    for (unsigned i = 0; i < METRICS_COUNT; i++) {
        char name[64] = "";
        char type[16] = "";
        char help[16] = "";
        cr_assert_eq(sscanf(line, "# HELP %63s %15s", name, help), 2, "%s", line);
        cr_assert_str_eq(name, names[i]);
        cr_assert_null(strchr(line, '\\'), "a help that would have to be escaped: %s", line);
        line = strtok_r(NULL, "\n", &rest);
        cr_assert_eq(sscanf(line, "# TYPE %63s %15s", name, type), 2, "%s", line);
        cr_assert_str_eq(name, names[i]);
        assert_name(name, type);
        line = strtok_r(NULL, "\n", &rest);
        uint64_t value = 0;
        cr_assert_eq(sscanf(line, "%63s %" SCNu64, name, &value), 2, "%s", line);
        cr_assert_str_eq(name, names[i]);
        cr_assert_eq(value, UINT64_MAX - i, "%s", line);
        line = strtok_r(NULL, "\n", &rest);
        for (unsigned other = 0; other < i; other++) {
            cr_assert_str_neq(names[i], names[other]);
        }
    }
    /* Then the tallies; test_tally.c looks at those. */
    cr_assert_eq(strncmp(line, "# HELP arizmq_link_events_received_total ", 41), 0, "%s", line);
    unsigned tallies = 0;
    while (strcmp(line, "# EOF") != 0) {
        tallies +=
            strcmp(line, "arizmq_link_events_received_total{node=\"pbx1\",app=\"ivr\"} 1") == 0;
        line = strtok_r(NULL, "\n", &rest);
        cr_assert_not_null(line, "no # EOF");
    }
    cr_assert_eq(tallies, 1);
    cr_assert_null(strtok_r(NULL, "\n", &rest));
    free(text);
}
