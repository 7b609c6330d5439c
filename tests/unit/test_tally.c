/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The tallies: one for each pair of names and for good, written for Prometheus; and without memory:
 * what they allocate goes through __wrap_calloc() and __wrap_strdup().
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "ops/tally.h"

/* How many allocations may still succeed. */
static unsigned allocations_left = UINT32_MAX;

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);

static int may_allocate(void)
{
    if (allocations_left == 0) {
        return 0;
    }
    allocations_left -= allocations_left != UINT32_MAX;
    return 1;
}

void *__wrap_calloc(size_t count, size_t size)
{
    return may_allocate() ? __real_calloc(count, size) : NULL;
}

char *__wrap_strdup(const char *text)
{
    return may_allocate() ? __real_strdup(text) : NULL;
}

static void expect(const struct tally *tally, enum tally_entry entry, uint64_t value)
{
    struct tally_sums sums;
    tally_read(tally, &sums);
    cr_assert_eq(sums.value[entry], value, "entry %d is %llu, not %llu", (int)entry,
                 (unsigned long long)sums.value[entry], (unsigned long long)value);
}

Test(tally, belongs_to_its_names_for_good)
{
    cr_assert_null(tally_find("pbx1", "ivr"));
    char node[] = "pbx1";
    char application[] = "ivr";
    struct tally *ivr = tally_open(node, application);
    memset(node, 'x', sizeof node - 1);
    memset(application, 'x', sizeof application - 1);
    struct tally *queue = tally_open("pbx1", "queue");
    struct tally *other = tally_open("pbx2", "ivr");
    cr_assert(ivr != queue && ivr != other && queue != other);
    for (unsigned i = TALLY_RECEIVED; i < TALLY_ENTRIES; i++) {
        expect(ivr, (enum tally_entry)i, 0);
    }
    tally_add(ivr, TALLY_RECEIVED);
    tally_add(ivr, TALLY_REFUSED_SIZE);
    cr_assert_eq(tally_open("pbx1", "ivr"), ivr, "a link that is made anew counts on");
    cr_assert_eq(tally_open("pbx2", "ivr"), other);
    tally_add(ivr, TALLY_RECEIVED);
    tally_add(ivr, TALLY_PUBLISHED);
    cr_assert_eq(tally_find("pbx1", "ivr"), ivr);
    cr_assert_eq(tally_find("pbx1", "queue"), queue);
    cr_assert_null(tally_find("pbx2", "queue"));
    expect(ivr, TALLY_RECEIVED, 2);
    expect(ivr, TALLY_REFUSED_SIZE, 1);
    expect(ivr, TALLY_PUBLISHED, 1);
    expect(queue, TALLY_RECEIVED, 0);
    expect(other, TALLY_RECEIVED, 0);
}

/* What was received and has not ended yet does not hold a reader up. */
Test(tally, can_be_read_while_a_message_is_on_its_way)
{
    struct tally *tally = tally_open("pbx1", "ivr");
    tally_add(tally, TALLY_RECEIVED);
    expect(tally, TALLY_RECEIVED, 1);
    expect(tally, TALLY_PUBLISHED, 0);
}

static char *write_all(void)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    cr_assert_not_null(file);
    tally_write(file);
    fclose(file);
    return text;
}

static void add(struct tally *tally, enum tally_entry entry, unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        tally_add(tally, TALLY_RECEIVED);
        tally_add(tally, entry);
    }
}

Test(tally, is_written_with_its_names_as_labels)
{
    struct tally *ivr = tally_open("pbx1", "ivr");
    struct tally *strange = tally_open("pbx2", "a\\b\"c\nd{é}");
    add(ivr, TALLY_PUBLISHED, 5);
    add(ivr, TALLY_RESPONSES, 4);
    add(strange, TALLY_REFUSED_SIZE, 3);
    add(strange, TALLY_REFUSED_UTF8, 2);
    add(strange, TALLY_REFUSED_MEMORY, 1);
#define STRANGE "{node=\"pbx2\",app=\"a\\\\b\\\"c\\nd{é}\""
    char *text = write_all();
    cr_assert_str_eq(
        text,
        "# HELP arizmq_link_events_received_total Messages that came over WebSockets: those "
        "published, responses and refused, and no others\n"
        "# TYPE arizmq_link_events_received_total counter\n"
        "arizmq_link_events_received_total{node=\"pbx1\",app=\"ivr\"} 9\n"
        "arizmq_link_events_received_total" STRANGE "} 6\n"
        "# HELP arizmq_link_events_published_total Of these: numbered and handed to every view\n"
        "# TYPE arizmq_link_events_published_total counter\n"
        "arizmq_link_events_published_total{node=\"pbx1\",app=\"ivr\"} 5\n"
        "arizmq_link_events_published_total" STRANGE "} 0\n"
        "# HELP arizmq_link_events_responses_total Of these: RESTResponses to the bridge's own "
        "requests; not published\n"
        "# TYPE arizmq_link_events_responses_total counter\n"
        "arizmq_link_events_responses_total{node=\"pbx1\",app=\"ivr\"} 4\n"
        "arizmq_link_events_responses_total" STRANGE "} 0\n"
        "# HELP arizmq_link_events_refused_total Of these: discarded, and told as ArizmqRefused\n"
        "# TYPE arizmq_link_events_refused_total counter\n"
        "arizmq_link_events_refused_total{node=\"pbx1\",app=\"ivr\",reason=\"size\"} 0\n"
        "arizmq_link_events_refused_total" STRANGE ",reason=\"size\"} 3\n"
        "arizmq_link_events_refused_total{node=\"pbx1\",app=\"ivr\",reason=\"utf8\"} 0\n"
        "arizmq_link_events_refused_total" STRANGE ",reason=\"utf8\"} 2\n"
        "arizmq_link_events_refused_total{node=\"pbx1\",app=\"ivr\",reason=\"memory\"} 0\n"
        "arizmq_link_events_refused_total" STRANGE ",reason=\"memory\"} 1\n");
    free(text);
}

Test(tally, that_there_is_no_memory_for)
{
    struct tally *ivr = tally_open("pbx1", "ivr");
    for (unsigned left = 0; left < 3; left++) {
        allocations_left = left;
        cr_assert_null(tally_open("pbx1", "queue"));
        cr_assert_eq(tally_open("pbx1", "ivr"), ivr);
        cr_assert_null(tally_find("pbx1", "queue"));
    }
    allocations_left = UINT32_MAX;
    cr_assert_not_null(tally_open("pbx1", "queue"));
}
