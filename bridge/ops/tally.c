/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The tallies of all links, in the order in which they were opened. The pipeline and the link add
 * to them for every message, so an addition is a plain load and store; the command thread reads
 * them for GET arizmq/nodes. Nothing is ever taken out of the list, so that readers need no lock;
 * it grows with the names that configurations have had.
 */
#include "ops/tally.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* How often a reader looks for a moment between two messages; some twenty microseconds. */
enum { READS_MAX = 1000 };

struct tally {
    _Atomic(struct tally *) next;
    char *node;
    char *application;
    _Atomic uint64_t value[TALLY_ENTRIES];
};

static _Atomic(struct tally *) first;

const struct tally *tally_find(const char *node, const char *application)
{
    struct tally *tally = atomic_load_explicit(&first, memory_order_acquire);
    while (tally != NULL &&
           (strcmp(tally->node, node) != 0 || strcmp(tally->application, application) != 0)) {
        tally = atomic_load_explicit(&tally->next, memory_order_acquire);
    }
    return tally;
}

static struct tally *tally_create(const char *node, const char *application)
{
    struct tally *tally = calloc(1, sizeof *tally);
    if (tally == NULL) {
        return NULL;
    }
    tally->node = strdup(node);
    tally->application = strdup(application);
    if (tally->node == NULL || tally->application == NULL) {
        free(tally->node);
        free(tally->application);
        free(tally);
        return NULL;
    }
    return tally;
}

struct tally *tally_open(const char *node, const char *application)
{
    _Atomic(struct tally *) *at = &first;
    struct tally *tally = NULL;
    while ((tally = atomic_load_explicit(at, memory_order_relaxed)) != NULL) {
        if (strcmp(tally->node, node) == 0 && strcmp(tally->application, application) == 0) {
            return tally;
        }
        at = &tally->next;
    }
    tally = tally_create(node, application);
    if (tally != NULL) {
        atomic_store_explicit(at, tally, memory_order_release);
    }
    return tally;
}

/* The release of a way out orders the receipt before it; see tally_read(). */
void tally_add(struct tally *self, enum tally_entry entry)
{
    uint64_t value = atomic_load_explicit(&self->value[entry], memory_order_relaxed);
    atomic_store_explicit(&self->value[entry], value + 1, memory_order_release);
}

/* Whoever sees that a message has ended sees that it was received. So what is read after the ways
 * out is never less than their sum; and where it is no more, no message came meanwhile. */
static bool tally_is_at_rest(const struct tally *tally, struct tally_sums *out)
{
    uint64_t ended = 0;
    for (unsigned i = TALLY_RECEIVED + 1; i < TALLY_ENTRIES; i++) {
        out->value[i] = atomic_load_explicit(&tally->value[i], memory_order_acquire);
        ended += out->value[i];
    }
    out->value[TALLY_RECEIVED] =
        atomic_load_explicit(&tally->value[TALLY_RECEIVED], memory_order_relaxed);
    return out->value[TALLY_RECEIVED] == ended;
}

void tally_read(const struct tally *self, struct tally_sums *out)
{
    for (unsigned reads = 0; reads < READS_MAX && !tally_is_at_rest(self, out); reads++) {
    }
}

/* The text of a label: Prometheus escapes backslash, quote and newline. */
static void write_label(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\n') {
            fputs("\\n", out);
        } else {
            if (*text == '\\' || *text == '"') {
                putc('\\', out);
            }
            putc(*text, out);
        }
    }
}

struct tally_metric {
    enum tally_entry entry;
    const char *name;
    const char *labels; /* further ones */
    const char *help;   /* NULL: another value of the metric above */
};

static const struct tally_metric tally_metrics[] = {
    {TALLY_RECEIVED, "arizmq_link_events_received_total", "",
     "Messages that came over WebSockets: those published, responses and refused, and no others"},
    {TALLY_PUBLISHED, "arizmq_link_events_published_total", "",
     "Of these: numbered and handed to every view"},
    {TALLY_RESPONSES, "arizmq_link_events_responses_total", "",
     "Of these: RESTResponses to the bridge's own requests; not published"},
    {TALLY_REFUSED_SIZE, "arizmq_link_events_refused_total", ",reason=\"size\"",
     "Of these: discarded, and told as ArizmqRefused"},
    {TALLY_REFUSED_UTF8, "arizmq_link_events_refused_total", ",reason=\"utf8\"", NULL},
    {TALLY_REFUSED_MEMORY, "arizmq_link_events_refused_total", ",reason=\"memory\"", NULL},
};

static void write_metric(FILE *out, const struct tally_metric *metric)
{
    const struct tally *tally = atomic_load_explicit(&first, memory_order_acquire);
    for (; tally != NULL; tally = atomic_load_explicit(&tally->next, memory_order_acquire)) {
        struct tally_sums sums;
        tally_read(tally, &sums);
        fprintf(out, "%s{node=\"", metric->name);
        write_label(out, tally->node);
        fputs("\",app=\"", out);
        write_label(out, tally->application);
        fprintf(out, "\"%s} %" PRIu64 "\n", metric->labels, sums.value[metric->entry]);
    }
}

void tally_write(FILE *out)
{
    for (size_t i = 0; i < sizeof tally_metrics / sizeof tally_metrics[0]; i++) {
        const struct tally_metric *metric = &tally_metrics[i];
        if (metric->help != NULL) {
            fprintf(out, "# HELP %s %s\n# TYPE %s counter\n", metric->name, metric->help,
                    metric->name);
        }
        write_metric(out, metric);
    }
}
