/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The numbers behind the table in metrics.h. Called on the event path, so an addition is a plain
 * load and store: each metric has one writing thread, and the atomics only keep readers in other
 * threads honest. The few that several threads write are added to in one step.
 */
#include "ops/metrics.h"

#include <inttypes.h>
#include <stdatomic.h>

#include "ops/tally.h"

static _Atomic uint64_t values[METRICS_COUNT];

struct description {
    const char *type;
    const char *name;
    const char *help;
};

#define DESCRIBE(identifier, metric_type, metric_name, metric_help)                                \
    [METRIC_##identifier] = {#metric_type, metric_name, metric_help},
static const struct description descriptions[METRICS_COUNT] = {METRICS_TABLE(DESCRIBE)};
#undef DESCRIBE

void metrics_add(enum metric metric, uint64_t amount)
{
    uint64_t value = atomic_load_explicit(&values[metric], memory_order_relaxed);
    atomic_store_explicit(&values[metric], value + amount, memory_order_relaxed);
}

void metrics_add_shared(enum metric metric, uint64_t amount)
{
    atomic_fetch_add_explicit(&values[metric], amount, memory_order_relaxed);
}

void metrics_set(enum metric metric, uint64_t value)
{
    atomic_store_explicit(&values[metric], value, memory_order_relaxed);
}

uint64_t metrics_get(enum metric metric)
{
    return atomic_load_explicit(&values[metric], memory_order_relaxed);
}

void metrics_write(FILE *out)
{
    for (unsigned i = 0; i < METRICS_COUNT; i++) {
        const struct description *about = &descriptions[i];
        fprintf(out, "# HELP %s %s\n# TYPE %s %s\n%s %" PRIu64 "\n", about->name, about->help,
                about->name, about->type, about->name, metrics_get((enum metric)i));
    }
    tally_write(out);
    fputs("# EOF\n", out);
}
