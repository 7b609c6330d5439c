/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Topics: each rule by example, then all of them on random texts against a second way to write
 * them.
 */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"
#include "event/topic.h"
#include "random_json.h"
#include "topic_compare.h"

#define SPAN_OF(text) ((struct span){(text), sizeof(text) - 1})

static const char events_template[] = "{type}/{app}/{node}/{id}/";
static const char objects_template[] = "{kind}/{id}/{type}/{node}/";

static struct event_object object_of(const char *bytes, size_t length)
{
    return (struct event_object){.kind = "channel", .part = {{bytes, length}}, .parts = 1};
}

static struct event event_of(const char *type, const char *application)
{
    return (struct event){.type = {type, strlen(type)},
                          .application = {application, strlen(application)},
                          .node = "pbx1"};
}

/* The topic, as a string until the next call; checked against topic_compare(). */
static const char *write_topic(const char *template, const struct event *event,
                               const struct event_object *object)
{
    static struct topic topic;
    const char *problem = topic_compare(template, event, object, &topic);
    cr_assert_null(problem, "%s: %.*s", problem, (int)topic.length, topic.bytes);
    topic.bytes[topic.length] = '\0'; /* in its padding */
    return topic.bytes;
}

static const char *write_id(const char *bytes, size_t length)
{
    struct event event = event_of("T", "");
    struct event_object object = object_of(bytes, length);
    return write_topic("{id}/", &event, &object);
}

Test(topic, fills_the_templates_of_the_views)
{
    struct event event = event_of("StasisStart", "ivr");
    struct event_object object = object_of("1690.12", 7);
    cr_assert_str_eq(write_topic(events_template, &event, &object),
                     "StasisStart/ivr/pbx1/1690.12/");
    cr_assert_str_eq(write_topic(objects_template, &event, &object),
                     "channel/1690.12/StasisStart/pbx1/");
    struct event_object endpoint = {
        .kind = "endpoint", .part = {SPAN_OF("PJSIP"), SPAN_OF("alice")}, .parts = 2};
    cr_assert_str_eq(write_topic(events_template, &event, &endpoint),
                     "StasisStart/ivr/pbx1/PJSIP%2Falice/");
    cr_assert_str_eq(write_topic("prefix/{kind}/{id}/", &event, &endpoint),
                     "prefix/endpoint/PJSIP%2Falice/");
}

Test(topic, has_a_dash_for_what_is_not_there)
{
    struct event event = event_of("ApplicationRegistered", "");
    cr_assert_str_eq(write_topic(events_template, &event, NULL), "ApplicationRegistered/-/pbx1/-/");
    cr_assert_str_eq(write_topic(objects_template, &event, NULL),
                     "-/-/ApplicationRegistered/pbx1/");
    struct event_object object = object_of("", 0);
    cr_assert_str_eq(write_topic(objects_template, &event, &object),
                     "channel/-/ApplicationRegistered/pbx1/");
    event = event_of("", "");
    event.node = "";
    cr_assert_str_eq(write_topic(events_template, &event, &object), "-/-/-/-/");
}

Test(topic, encodes_slash_percent_and_control_bytes)
{
    static const struct {
        struct span id;
        const char *topic;
    } examples[] = {
        {SPAN_OF("a/b"), "a%2Fb/"},
        {SPAN_OF("//"), "%2F%2F/"},
        {SPAN_OF("100%"), "100%25/"},
        {SPAN_OF("%2F"), "%252F/"},
        {SPAN_OF("a b~\"{}\\"), "a b~\"{}\\/"},
        {SPAN_OF("\0"), "%00/"},
        {SPAN_OF("\n\t\x1f\x7f"), "%0A%09%1F%7F/"},
        /* UTF-8 stays */
        {SPAN_OF("\u00e4\u20ac\u2028\U0001F600"), "\u00e4\u20ac\u2028\U0001F600/"},
        {SPAN_OF("\xef\xbf\xbf\xf4\x8f\xbf\xbf"), "\xef\xbf\xbf\xf4\x8f\xbf\xbf/"},
        /* bytes that are none: alone, cut short, overlong, surrogates, beyond U+10FFFF */
        {SPAN_OF("\x80\xff\xfe"), "%80%FF%FE/"},
        {SPAN_OF("\xc3"), "%C3/"},
        {SPAN_OF("\xc3x\xe2\x82"), "%C3x%E2%82/"},
        {SPAN_OF("\xf0\x9f\x98/"), "%F0%9F%98%2F/"},
        {SPAN_OF("\xc0\xaf\xe0\x80\xaf"), "%C0%AF%E0%80%AF/"},
        {SPAN_OF("\xed\xa0\x80"), "%ED%A0%80/"},
        {SPAN_OF("\xf4\x90\x80\x80"), "%F4%90%80%80/"},
        {SPAN_OF("\xe4\u00e4"), "%E4\u00e4/"},
    };
    for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
        cr_expect_str_eq(write_id(examples[i].id.bytes, examples[i].id.length), examples[i].topic);
    }
}

Test(topic, encodes_every_byte_as_it_should)
{
    for (unsigned byte = 0; byte < 256; byte++) {
        char id = (char)byte;
        char expected[8];
        int stays = byte >= 0x20 && byte < 0x7f && byte != '/' && byte != '%';
        snprintf(expected, sizeof expected, stays ? "%c/" : "%%%02X/", byte);
        cr_expect_str_eq(write_id(&id, 1), expected, "byte %u", byte);
    }
}

/* A topic of one token has room for 511 bytes and its slash. */
Test(topic, is_cut_beyond_512_bytes_and_not_before)
{
    cr_assert_eq(topic_compare_hash("", 0), 0xcbf29ce484222325U);
    cr_assert_eq(topic_compare_hash("a", 1), 0xaf63dc4c8601ec8cU);
    char id[600];
    memset(id, 'x', sizeof id);
    for (size_t length = 500; length < 600; length++) {
        const char *topic = write_id(id, length);
        if (length <= 511) {
            cr_assert_eq(strlen(topic), length + 1);
            cr_assert_eq(strspn(topic, "x"), length);
        } else {
            char end[20];
            snprintf(end, sizeof end, "~%016" PRIx64 "/", topic_compare_hash(id, length));
            cr_assert_eq(strlen(topic), 512);
            cr_assert_eq(strspn(topic, "x"), 512 - 18);
            cr_assert_str_eq(topic + 512 - 18, end, "length %zu", length);
        }
    }
}

Test(topic, is_never_cut_inside_a_character_or_an_escape)
{
    static const struct {
        const char *unit;
        const char *written;
    } units[] = {{"\u00e4", "\u00e4"}, {"\u20ac", "\u20ac"}, {"\U0001F600", "\U0001F600"},
                 {"/", "%2F"},         {"\xff", "%FF"},      {"%", "%25"}};
    for (size_t u = 0; u < sizeof units / sizeof units[0]; u++) {
        size_t size = strlen(units[u].written);
        for (size_t shift = 0; shift < 5; shift++) {
            char id[1200] = "xxxxx";
            size_t used = shift;
            while (used < 700) {
                strcpy(id + used, units[u].unit);
                used += strlen(units[u].unit);
            }
            const char *topic = write_id(id, used);
            size_t cut = strcspn(topic, "~");
            cr_assert_eq(strlen(topic), cut + 18);
            cr_assert_eq((cut - shift) % size, 0, "%s after %zu", units[u].written, shift);
            cr_assert_gt(cut + size, 512 - 18);
            cr_assert_leq(cut, 512 - 18);
            cr_assert_eq(memcmp(topic + cut - size, units[u].written, size), 0);
        }
    }
}

/* Each token leaves the later ones 18 bytes: enough for a hash, or for what is short. */
Test(topic, leaves_room_for_the_tokens_behind)
{
    char longest[2000];
    memset(longest, 'y', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    struct event event = event_of(longest, longest);
    event.node = longest;
    struct event_object object = object_of(longest, 1999);
    const char *topic =
        write_topic("{type}/{app}/{node}/{id}/{type}/{app}/{node}/{id}/", &event, &object);
    cr_assert_eq(strlen(topic), 512);
    cr_assert_eq(strspn(topic, "y"), 512 - 8 * 18);
    const char *last = topic + 512 - 18;
    char hash[20];
    snprintf(hash, sizeof hash, "~%016" PRIx64 "/", topic_compare_hash(longest, 1999));
    cr_assert_str_eq(last, hash);

    struct event_object other = object_of("1690.12", 7);
    event = event_of("StasisStart", longest);
    topic = write_topic(events_template, &event, &other);
    cr_assert_not_null(strstr(topic, "/pbx1/1690.12/"));
    cr_assert_eq(strlen(topic), 512 - 2 * 18 + strlen("pbx1/1690.12/"));
}

Test(topic, of_different_long_ids_is_different)
{
    char id[3000];
    memset(id, 'z', sizeof id);
    char *first = strdup(write_id(id, sizeof id));
    id[sizeof id - 1] = 'Z';
    cr_assert_str_neq(first, write_id(id, sizeof id));
    id[sizeof id - 1] = 'z';
    cr_assert_str_neq(first, write_id(id, sizeof id - 1));
    cr_assert_str_eq(first, write_id(id, sizeof id));
    free(first);
}

Test(topic, template_is_refused_unless_it_has_one_to_eight_known_tokens)
{
    static const char *const refused[] = {
        "",
        "/",
        "//",
        "{type}",
        "{type}/{app}",
        "{type}//{app}/",
        "/{type}/",
        "{Type}/",
        "{typ}/",
        "{type }/",
        "{}/",
        "{call}/",
        "{type}{app}/",
        "x{type}/",
        "{type}x/",
        "{type/",
        "type}/",
        "a b/",
        "a%2F/",
        "\u00e4/",
        "a\n/",
        "a*/",
        "1/2/3/4/5/6/7/8/9/",
        "12345678901234567890123456789012345678901234567890123456789012345/",
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct topic_template template = {.count = 77};
        cr_expect_eq(topic_template_compile(refused[i], &template), ARIZMQ_EINVALID, "%s",
                     refused[i]);
        cr_expect_eq(template.count, 77, "written in spite of the error: %s", refused[i]);
    }
}

Test(topic, template_may_have_literals)
{
    static const char text[] = "{type}/{app}/{node}/{kind}/{id}/A.z_0-9/x/"
                               "1234567890123456789012345678901234567890123456789012345678901234/";
    struct topic_template template;
    cr_assert_eq(topic_template_compile(text, &template), ARIZMQ_OK);
    cr_assert_eq(template.count, TOPIC_TOKENS_MAX);
    static const enum topic_field fields[] = {TOPIC_TYPE,    TOPIC_APP,    TOPIC_NODE,
                                              TOPIC_KIND,    TOPIC_ID,     TOPIC_LITERAL,
                                              TOPIC_LITERAL, TOPIC_LITERAL};
    for (unsigned i = 0; i < TOPIC_TOKENS_MAX; i++) {
        cr_assert_eq(template.tokens[i].field, fields[i]);
    }
    cr_assert_str_eq(template.tokens[5].literal, "A.z_0-9");
    cr_assert_eq(strlen(template.tokens[7].literal), TOPIC_LITERAL_MAX);
}

static size_t random_text(uint64_t *state, char *out, size_t most)
{
    static const char *const pieces[] = {"/", "%", "\u00e4", "\u20ac", "\U0001F600", "\xff",
                                         "~", "-", "%2F",    "\xc3",   "\xe2\x82",   "\n"};
    size_t wanted = (size_t)random_below(state, random_below(state, 4) == 0 ? most : 24);
    size_t used = 0;
    while (used + 4 < wanted) {
        switch (random_below(state, 6)) {
        case 0: {
            const char *piece = pieces[random_below(state, sizeof pieces / sizeof pieces[0])];
            memcpy(out + used, piece, strlen(piece));
            used += strlen(piece);
            break;
        }
        case 1:
            out[used++] = (char)random_below(state, 256);
            break;
        default:
            out[used++] = (char)('a' + random_below(state, 26));
            break;
        }
    }
    return used;
}

Test(topic, holds_its_promises_for_random_texts)
{
    static const char *const templates[] = {events_template, objects_template, "{id}/",
                                            "{id}/{type}/{id}/{app}/{id}/{kind}/{id}/{node}/"};
    static char texts[4][1200];
    uint64_t seed = random_seed(0x70);
    uint64_t state = seed;
    unsigned cut = 0;
    for (unsigned i = 0; i < 60000 / RANDOM_LESS; i++) {
        struct event event = {.node = "pbx1"};
        struct event_object object = {.kind = "endpoint", .parts = 1 + (i & 1)};
        event.type = (struct span){texts[0], random_text(&state, texts[0], 700)};
        event.application = (struct span){texts[1], random_text(&state, texts[1], 700)};
        object.part[0] = (struct span){texts[2], random_text(&state, texts[2], 1200)};
        object.part[1] = (struct span){texts[3], random_text(&state, texts[3], 600)};
        struct topic topic;
        const char *problem =
            topic_compare(templates[i % 4], &event, i % 13 == 0 ? NULL : &object, &topic);
        cr_assert_null(problem, "seed %#" PRIx64 ", topic %u: %s: %.*s", seed, i, problem,
                       (int)topic.length, topic.bytes);
        cut += topic.is_cut;
    }
    cr_assert_gt(cut, 5000 / RANDOM_LESS);
    cr_assert_lt(cut, 55000 / RANDOM_LESS);
}
