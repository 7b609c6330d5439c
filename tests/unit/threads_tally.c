/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A tally between two threads: one counts messages as the event thread does, each ending in a
 * random way, the other reads all the while. What it reads must be the state between two messages,
 * and never less than before. A plain program, because Criterion cannot run under ThreadSanitizer.
 */
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "ops/tally.h"

enum { MESSAGES = 3000000, LINKS = 20 };

static struct tally *tally;
static atomic_bool is_done;
static uint64_t ended[TALLY_ENTRIES];

static void *count_messages(void *unused)
{
    (void)unused;
    uint64_t random = 88172645463325252U;
    for (unsigned i = 0; i < MESSAGES; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        enum tally_entry end = (enum tally_entry)(1 + random % (TALLY_ENTRIES - 1));
        tally_add(tally, TALLY_RECEIVED);
        tally_add(tally, end);
        ended[end]++;
        if (i % (MESSAGES / LINKS) == 0) { /* links come while others are read */
            char name[16];
            snprintf(name, sizeof name, "app%u", i / (MESSAGES / LINKS));
            tally_open("pbx1", name);
        }
        if (i % 256 == 0) {
            sched_yield(); /* a moment in which no message is on its way */
        }
    }
    atomic_store(&is_done, true);
    return NULL;
}

static void fail(const char *what, const struct tally_sums *sums)
{
    fprintf(stderr, "%s:", what);
    for (unsigned i = 0; i < TALLY_ENTRIES; i++) {
        fprintf(stderr, " %" PRIu64, sums->value[i]);
    }
    fputs("\n", stderr);
    exit(EXIT_FAILURE);
}

static uint64_t sum_of_ends(const struct tally_sums *sums)
{
    uint64_t sum = 0;
    for (unsigned i = TALLY_RECEIVED + 1; i < TALLY_ENTRIES; i++) {
        sum += sums->value[i];
    }
    return sum;
}

int main(void)
{
    tally = tally_open("pbx1", "ivr");
    pthread_t writer;
    if (tally == NULL || pthread_create(&writer, NULL, count_messages, NULL) != 0) {
        fputs("no memory or no thread\n", stderr);
        return EXIT_FAILURE;
    }
    struct tally_sums last = {0};
    uint64_t reads = 0;
    uint64_t exact = 0;
    while (!atomic_load(&is_done)) {
        struct tally_sums sums;
        tally_read(tally_find("pbx1", "ivr"), &sums);
        for (unsigned i = 0; i < TALLY_ENTRIES; i++) {
            if (sums.value[i] < last.value[i]) {
                fail("it has become less", &sums);
            }
        }
        if (sums.value[TALLY_RECEIVED] < sum_of_ends(&sums)) {
            fail("more has ended than was received", &sums);
        }
        exact += sums.value[TALLY_RECEIVED] == sum_of_ends(&sums);
        reads++;
        last = sums;
    }
    pthread_join(writer, NULL);
    tally_read(tally, &last);
    for (unsigned i = TALLY_RECEIVED + 1; i < TALLY_ENTRIES; i++) {
        if (last.value[i] != ended[i]) {
            fail("not what was counted", &last);
        }
    }
    if (last.value[TALLY_RECEIVED] != MESSAGES || exact == 0) {
        fail("received", &last);
    }
    printf("%d messages; %" PRIu64 " reads, %" PRIu64 " of them exact\n", MESSAGES, reads, exact);
    return EXIT_SUCCESS;
}
