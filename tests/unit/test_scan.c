/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The scan against Jansson on every recorded text, on generated ones and on what is left of them
 * after they were broken.
 */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"
#include "event/scan.h"
#include "random_json.h"
#include "recordings.h"
#include "scan_compare.h"

static void check_line(const char *line, size_t length, void *context)
{
    (void)context;
    const char *problem = scan_compare(line, length);
    cr_assert_null(problem, "%s: %.*s", problem, (int)length, line);
}

Test(scan, reads_every_recorded_event_as_jansson_does)
{
    recordings_each_event(check_line, NULL);
}

static void check_exchange(const char *line, size_t length, void *context)
{
    size_t *objects = context;
    check_line(line, length, NULL);
    json_t *exchange = json_loadb(line, length, 0, NULL);
    cr_assert_not_null(exchange);
    json_t *body = json_object_get(exchange, "body");
    if (json_string_length(body) > 0) {
        check_line(json_string_value(body), json_string_length(body), NULL);
        *objects += json_string_value(body)[0] == '{';
    }
    json_decref(exchange);
}

Test(scan, reads_every_recorded_body_as_jansson_does)
{
    size_t objects = 0;
    cr_assert_eq(recordings_each("rest", check_exchange, &objects), 108);
    cr_assert_eq(recordings_each("rest-16", check_exchange, &objects), 108);
    cr_assert_gt(objects, 80);
}

Test(scan, reads_generated_objects_as_jansson_does)
{
    static struct random_json json;
    uint64_t seed = random_seed(0x5CA9);
    json.state = seed;
    size_t late = 0;
    for (unsigned i = 0; i < 50000 / RANDOM_LESS; i++) {
        random_json_make(&json);
        const char *problem = scan_compare(json.text, json.length);
        cr_assert_null(problem, "seed %#" PRIx64 ", text %u: %s: %.*s", seed, i, problem,
                       (int)json.length, json.text);
        if (i % 10 == 0) {
            json_t *tree = json_loadb(json.text, json.length, JSON_ALLOW_NUL, NULL);
            cr_assert(json_is_object(tree), "seed %#" PRIx64 ", text %u is no JSON: %.*s", seed, i,
                      (int)json.length, json.text);
            late += json_object_size(tree) > SCAN_MEMBERS_MAX;
            json_decref(tree);
        }
    }
    cr_assert_gt(late, 20 / RANDOM_LESS);
}

Test(scan, agrees_with_itself_and_jansson_on_broken_texts)
{
    static struct random_json json;
    uint64_t seed = random_seed(0xB4D);
    json.state = seed;
    size_t refused = 0;
    for (unsigned i = 0; i < 50000 / RANDOM_LESS; i++) {
        random_json_make(&json);
        random_json_break(&json);
        const char *problem = scan_compare(json.text, json.length);
        cr_assert_null(problem, "seed %#" PRIx64 ", text %u: %s: %.*s", seed, i, problem,
                       (int)json.length, json.text);
        json_t *tree = json_loadb(json.text, json.length, JSON_ALLOW_NUL, NULL);
        refused += tree == NULL;
        json_decref(tree);
    }
    cr_assert_gt(refused, 10000 / RANDOM_LESS);
    cr_assert_lt(refused, 49000 / RANDOM_LESS);
}

/* A text with SCAN_PADDING behind it. */
static char *padded(const char *text, size_t length)
{
    char *copy = malloc(length + SCAN_PADDING);
    cr_assert_not_null(copy);
    memcpy(copy, text, length);
    memset(copy + length, '}', SCAN_PADDING);
    return copy;
}

/* Puts each kind of string so that its last quote stands at every place around two borders. */
Test(scan, finds_the_ends_of_strings_at_every_place_of_a_block)
{
    static const char *const tails[] = {"",  "\\\"",  "\\\\", "\\\\\\\"", "\\\\\\\\\\\\",
                                        "}", ",\\\"{"};
    char text[512];
    for (size_t fill = 0; fill < 200; fill++) {
        for (size_t tail = 0; tail < sizeof tails / sizeof tails[0]; tail++) {
            int length = snprintf(
                text, sizeof text, "{\"%.*s%s\":\"%.*s%s\",\"type\":\"T%s\"}", (int)(fill / 3),
                "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"
                "kkkkkkkkkkkkkkkkkkkkkkkk",
                tails[tail], (int)fill,
                "vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv"
                "vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv"
                "vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv",
                tails[tail], tails[tail]);
            const char *problem = scan_compare(text, (size_t)length);
            cr_assert_null(problem, "%s: %s", problem, text);
            struct scan scan;
            char *copy = padded(text, (size_t)length);
            cr_assert_eq(scan_object(copy, (size_t)length, &scan), ARIZMQ_OK, "%s", text);
            cr_assert_eq(scan.count, 2);
            free(copy);
        }
    }
}

/* An odd number of backslashes escapes the quote behind them, an even number does not, wherever
 * the run crosses a border. */
Test(scan, counts_backslashes_across_borders)
{
    char text[1024];
    for (size_t begin = 40; begin < 140; begin++) {
        for (size_t run = 0; run < 140; run++) {
            size_t used = (size_t)snprintf(text, sizeof text, "{\"a\":\"%*s", (int)begin, "");
            memset(text + used, '\\', run);
            used += run;
            used += (size_t)snprintf(text + used, sizeof text - used,
                                     run % 2 == 0 ? "\",\"type\":\"x\"}" : "\",:}{\",\"type\":1}");
            const char *problem = scan_compare(text, used);
            cr_assert_null(problem, "%zu + %zu: %s: %s", begin, run, problem, text);
            struct scan scan;
            char *copy = padded(text, used);
            cr_assert_eq(scan_object(copy, used, &scan), ARIZMQ_OK, "%zu + %zu", begin, run);
            cr_assert_eq(scan.count, 2);
            cr_assert_eq(*scan_find(&scan, "type", 4)->bytes, run % 2 == 0 ? '"' : '1');
            free(copy);
        }
    }
}

static void scan_many(const char *text, struct scan *out)
{
    char *copy = padded(text, strlen(text));
    cr_assert_eq(scan_object(copy, strlen(text), out), ARIZMQ_OK, "%s", text);
    /* Only counts are looked at afterwards, and values through scan_compare(). */
    free(copy);
}

/* type and application at every pair of places around the last ones that are kept. */
Test(scan, finds_type_and_application_beyond_the_members_it_keeps)
{
    static char text[8192];
    static const char *const type_keys[] = {"type", "ty\\u0070e"};
    static const char *const application_keys[] = {"application", "\\u0061pplication"};
    for (int escaped = 0; escaped < 2; escaped++) {
        for (unsigned type = 0; type < 70; type += type < 60 ? 20 : 1) {
            for (unsigned application = 0; application < 70; application++) {
                size_t used = (size_t)snprintf(text, sizeof text, "{\"type\":\"early\"");
                for (unsigned i = 0; i < 70; i++) {
                    const char *key = i == type          ? type_keys[escaped]
                                      : i == application ? application_keys[escaped]
                                                         : "member";
                    used +=
                        (size_t)snprintf(text + used, sizeof text - used, ",\"%s\":\"%u\"", key, i);
                }
                snprintf(text + used, sizeof text - used, "}");
                const char *problem = scan_compare(text, strlen(text));
                cr_assert_null(problem, "type %u, application %u: %s", type, application, problem);
            }
        }
    }
}

/* Nothing but the two: many of one must not push the other out. */
Test(scan, keeps_application_before_a_crowd_of_types)
{
    static const char *const keys[] = {"type", "application"};
    char text[4096];
    for (int crowd = 0; crowd < 2; crowd++) {
        size_t used = (size_t)snprintf(text, sizeof text, "{\"%s\":0", keys[1 - crowd]);
        for (unsigned i = 1; i < 130; i++) {
            used += (size_t)snprintf(text + used, sizeof text - used, ",\"%s\":%u", keys[crowd], i);
        }
        snprintf(text + used, sizeof text - used, "}");
        const char *problem = scan_compare(text, strlen(text));
        cr_assert_null(problem, "many of %s: %s", keys[crowd], problem);
    }
}

Test(scan, counts_members_kept_and_dropped)
{
    struct scan scan;
    scan_many("{}", &scan);
    cr_assert_eq(scan.count, 0);
    cr_assert_not(scan.has_escapes);
    scan_many(" { \"a\" : \"\\\\\" , \"a\" : { \"type\" : [ ] } } ", &scan);
    cr_assert_eq(scan.count, 2);
    cr_assert(scan.has_escapes);
    char text[4096] = "{";
    for (unsigned members = 1; members <= 80; members++) {
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s\"k%u\":%u", members > 1 ? "," : "", members,
                 members);
        char whole[4200];
        snprintf(whole, sizeof whole, "%s}", text);
        scan_many(whole, &scan);
        cr_assert_eq(scan.count, members < SCAN_MEMBERS_MAX ? members : SCAN_MEMBERS_MAX);
        cr_assert_eq(scan.dropped, members - scan.count);
    }
}

Test(scan, finds_the_last_of_repeated_keys)
{
    static const char text[] = "{\"type\":1,\"t\\u0079pe\":2,\"typ\":4,\"types\":5,\"id\":6}";
    char *copy = padded(text, sizeof text - 1);
    struct scan scan;
    cr_assert_eq(scan_object(copy, sizeof text - 1, &scan), ARIZMQ_OK);
    cr_assert_eq(*scan_find(&scan, "type", 4)->bytes, '2');
    cr_assert_eq(*scan_find(&scan, "id", 2)->bytes, '6');
    cr_assert_null(scan_find(&scan, "i", 1));
    cr_assert_null(scan_find(&scan, "", 0));
    cr_assert_eq(scan_find(&scan, "id", 2)->length, 1);
    free(copy);
}
